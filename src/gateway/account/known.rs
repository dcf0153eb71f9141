//! An account that the database knows, and what its token must look like.

use crate::model::UserId;
use crate::store::StoredAccount;
use crate::upstream::Token;

pub(in crate::gateway) const ACTOR: &str = "gateway";

/// An account that the database knows, its token opened.
pub struct KnownAccount {
    pub(in crate::gateway) stored: StoredAccount,
    /// `None` when the stored token does not open or is not this user's.
    pub(in crate::gateway) token: Option<Token>,
}

/// A token begins with its user's id (reference 6.4).
pub(in crate::gateway) fn is_token_of(user_id: UserId, token: &str) -> bool {
    token
        .split_once('-')
        .is_some_and(|(id, rest)| UserId::parse(id) == Some(user_id) && is_printable(rest))
}

pub(in crate::gateway) fn is_printable(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}
