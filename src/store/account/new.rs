//! An account to be stored.

use crate::model::UserId;

/// An account to connect, or one whose token is to be replaced.
#[derive(Clone)]
pub struct NewAccount {
    pub app: String,
    pub user_id: UserId,
    pub screen_name: String,
    pub sealed_token: Vec<u8>,
    pub sealed_token_secret: Vec<u8>,
}
