//! Rows of `account`, with their sealed tokens or without.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::{Account, AccountState, UserId};
use crate::store::Error;

macro_rules! account_columns {
    () => {
        "app, user_id, screen_name, state, state_since, connected_at"
    };
}

macro_rules! sealed_account_columns {
    () => {
        concat!(account_columns!(), ", sealed_token, sealed_token_secret")
    };
}
pub(in crate::store) use {account_columns, sealed_account_columns};

/// A row of `account`.
#[derive(FromRow)]
pub(in crate::store) struct Row {
    app: String,
    user_id: String,
    screen_name: String,
    state: String,
    state_since: OffsetDateTime,
    connected_at: OffsetDateTime,
}

/// A row of `account` with its sealed tokens.
#[derive(FromRow)]
pub(in crate::store) struct SealedRow {
    #[sqlx(flatten)]
    pub(super) account: Row,
    pub(super) sealed_token: Vec<u8>,
    pub(super) sealed_token_secret: Vec<u8>,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Account, Error> {
        let user_id = UserId::parse(&row.user_id);
        Ok(Account {
            app: row.app,
            user_id: user_id.ok_or_else(|| Error::unreadable("account.user_id"))?,
            screen_name: row.screen_name,
            state: state(&row.state)?,
            state_since: row.state_since,
            connected_at: row.connected_at,
        })
    }
}

pub(super) fn state(name: &str) -> Result<AccountState, Error> {
    AccountState::from_name(name).ok_or_else(|| Error::unreadable("account.state"))
}
