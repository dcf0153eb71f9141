//! An account to be stored.

use crate::model::UserId;

/// An account to connect, or whose token to replace.
#[derive(Clone)]
pub struct NewAccount {
    pub app: String,
    pub user_id: UserId,
    pub screen_name: String,
    pub sealed_token: Vec<u8>,
    pub sealed_token_secret: Vec<u8>,
}
