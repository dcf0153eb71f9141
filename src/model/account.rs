//! An account: an X user who connected to an app, and how callers refer to one.

use std::fmt;

use time::OffsetDateTime;

/// An X user's number: 1 to 19 digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UserId(u64);

impl UserId {
    /// Reads 1 to 19 digits without a leading zero; anything else is not a user id.
    pub fn parse(text: &str) -> Option<UserId> {
        let fits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !fits || text.starts_with('0') {
            return None;
        }
        text.parse().ok().map(UserId)
    }

    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a caller names an account.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum AccountRef {
    Id(UserId),
    /// Lower case, without the `@`.
    ScreenName(String),
}

impl AccountRef {
    /// Reads `7588892` or `@alice`.
    pub fn parse(text: &str) -> Option<AccountRef> {
        match text.strip_prefix('@') {
            Some(name) if is_screen_name(name) => {
                Some(AccountRef::ScreenName(name.to_ascii_lowercase()))
            }
            Some(_) => None,
            None => UserId::parse(text).map(AccountRef::Id),
        }
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountRef::Id(user_id) => user_id.fmt(f),
            AccountRef::ScreenName(name) => write!(f, "@{name}"),
        }
    }
}

/// Whether `name` can be a screen name: 1 to 20 of `A-Z`, `a-z`, `0-9` and `_`. X's limit is now 15 but was higher.
pub fn is_screen_name(name: &str) -> bool {
    (1..=20).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether calls can be made for an account.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AccountState {
    Active,
    /// X says that the token is no longer valid: the user must connect again.
    Revoked,
    /// X has suspended or locked the user; the token survives.
    Blocked,
    /// The stored token does not open, or is not this user's.
    Quarantined,
}

impl AccountState {
    pub const ALL: [AccountState; 4] = [
        AccountState::Active,
        AccountState::Revoked,
        AccountState::Blocked,
        AccountState::Quarantined,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            AccountState::Active => "active",
            AccountState::Revoked => "revoked",
            AccountState::Blocked => "blocked",
            AccountState::Quarantined => "quarantined",
        }
    }

    pub fn from_name(name: &str) -> Option<AccountState> {
        AccountState::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What may be shown of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    pub app: String,
    pub user_id: UserId,
    /// As X spells it, without the `@`.
    pub screen_name: String,
    pub state: AccountState,
    pub state_since: OffsetDateTime,
    pub connected_at: OffsetDateTime,
}

/// Since when an account has been connected, and in its state.
pub type Since = [OffsetDateTime; 2];

impl Account {
    pub fn since(&self) -> Since {
        [self.connected_at, self.state_since]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read() {
        assert_eq!(AccountRef::parse("7588892"), UserId::parse("7588892").map(AccountRef::Id));
        assert_eq!(AccountRef::parse("@Alice"), Some(AccountRef::ScreenName("alice".to_owned())));
        for wrong in
            ["", "@", "alice", "0", "007", "-1", "12345678901234567890", "@a b", "@ä", "1 "]
        {
            assert_eq!(AccountRef::parse(wrong), None, "{wrong:?}");
        }
    }
}
