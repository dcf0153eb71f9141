//! The two kinds of credentials that the upstream takes.

use std::fmt;

/// Whose credentials a call used.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AuthKind {
    /// The app alone: a bearer token, or a two-legged OAuth 1.0a signature.
    AppOnly,
    /// The app and the post's author: an OAuth 1.0a signature with the author's token.
    UserContext,
}

impl AuthKind {
    pub const ALL: [AuthKind; 2] = [AuthKind::AppOnly, AuthKind::UserContext];

    pub const fn name(self) -> &'static str {
        match self {
            AuthKind::AppOnly => "app-only",
            AuthKind::UserContext => "user-context",
        }
    }

    pub fn from_name(name: &str) -> Option<AuthKind> {
        AuthKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for AuthKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
