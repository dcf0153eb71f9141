//! Connecting an account: the one-time link that an admin creates, and how an attempt can end.

use time::OffsetDateTime;

use crate::model::key::{CHECK_LENGTH, checksum};
use crate::model::{Secret, UserId};

/// How many random base62 digits a new link takes: 256 bits.
pub const RANDOM_LENGTH: usize = 43;

/// An invitation to connect an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    pub app: String,
    /// The admin's name for the link.
    pub label: String,
    /// The only user who may connect with it; `None` allows anybody.
    pub expected_user: Option<UserId>,
    /// Where a browser goes on to once the account is connected.
    pub return_to: Option<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// Composes the text in a link: random base62 digits and their checksum.
pub fn compose(digits: &[u8; RANDOM_LENGTH]) -> Secret {
    let mut text = String::with_capacity(RANDOM_LENGTH + CHECK_LENGTH);
    text.extend(digits.iter().copied().map(char::from));
    text.extend(checksum(&text).map(char::from));
    Secret::new(text)
}

/// Whether this text can be in a link, which needs no database to know.
pub fn is_link_id(text: &str) -> bool {
    let is_base62 = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts =
        text.split_at_checked(RANDOM_LENGTH).filter(|(_, check)| check.len() == CHECK_LENGTH);
    is_base62 && parts.is_some_and(|(body, check)| check.as_bytes() == checksum(body))
}

/// Why an attempt connected nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NotConnected {
    /// The link never existed, or its time is over.
    LinkUnknown,
    LinkUsed,
    /// Another browser has begun with this link.
    OtherBrowser,
    /// The user said no at X.
    Cancelled,
    /// The user is not the one that the link is for.
    OtherUser,
    /// X no longer accepted the request token or the verifier.
    TookTooLong,
    CallbackNotApproved,
    ClockRejected,
    AppSuspended,
    AppRejected,
    /// X's answer cannot be trusted.
    OddAnswer,
    /// X was not reached, or did not answer in time.
    XAway,
    /// X's answer is being processed, or processing it was cut short.
    UnderWay,
}

impl NotConnected {
    pub const ALL: [NotConnected; 13] = [
        NotConnected::LinkUnknown,
        NotConnected::LinkUsed,
        NotConnected::OtherBrowser,
        NotConnected::Cancelled,
        NotConnected::OtherUser,
        NotConnected::TookTooLong,
        NotConnected::CallbackNotApproved,
        NotConnected::ClockRejected,
        NotConnected::AppSuspended,
        NotConnected::AppRejected,
        NotConnected::OddAnswer,
        NotConnected::XAway,
        NotConnected::UnderWay,
    ];

    /// The name under which it is stored and counted.
    pub const fn name(self) -> &'static str {
        match self {
            NotConnected::LinkUnknown => "link_unknown",
            NotConnected::LinkUsed => "link_used",
            NotConnected::OtherBrowser => "other_browser",
            NotConnected::Cancelled => "cancelled",
            NotConnected::OtherUser => "other_user",
            NotConnected::TookTooLong => "took_too_long",
            NotConnected::CallbackNotApproved => "callback_not_approved",
            NotConnected::ClockRejected => "clock_rejected",
            NotConnected::AppSuspended => "app_suspended",
            NotConnected::AppRejected => "app_rejected",
            NotConnected::OddAnswer => "odd_answer",
            NotConnected::XAway => "x_away",
            NotConnected::UnderWay => "under_way",
        }
    }

    pub fn from_name(name: &str) -> Option<NotConnected> {
        NotConnected::ALL.into_iter().find(|end| end.name() == name)
    }

    /// A headline of two or three words.
    pub const fn headline(self) -> &'static str {
        match self {
            NotConnected::UnderWay => "Not connected yet.",
            _ => "Not connected.",
        }
    }

    /// What happened, in a sentence for the user.
    pub const fn what(self) -> &'static str {
        match self {
            NotConnected::LinkUnknown => "This link is unknown or has expired.",
            NotConnected::LinkUsed => "This link has already been used.",
            NotConnected::OtherBrowser => "This link is already open in another browser.",
            NotConnected::Cancelled => "Access was denied at X, so nothing was connected.",
            NotConnected::OtherUser => {
                "This link is for a different X user than the one who signed in."
            }
            NotConnected::TookTooLong => "This attempt took too long, so X no longer accepts it.",
            NotConnected::CallbackNotApproved => {
                "X does not accept the address that it should send you back to."
            }
            NotConnected::ClockRejected => "X says that this server's clock is wrong.",
            NotConnected::AppSuspended => "X has suspended the app.",
            NotConnected::AppRejected => "X does not accept the app's keys.",
            NotConnected::OddAnswer => "X sent a response that cannot be trusted.",
            NotConnected::XAway => "X could not be reached.",
            NotConnected::UnderWay => {
                "This link is in use: the response from X is being processed."
            }
        }
    }

    /// Whether retrying is of no use until somebody else has fixed something.
    pub const fn is_for_others(self) -> bool {
        matches!(
            self,
            NotConnected::CallbackNotApproved
                | NotConnected::ClockRejected
                | NotConnected::AppSuspended
                | NotConnected::AppRejected
        )
    }

    /// What to do next.
    pub const fn advice(self) -> &'static str {
        match self {
            NotConnected::LinkUnknown => "Ask the person who sent it for a new link.",
            NotConnected::LinkUsed => {
                "If you used it, you are done. If not, tell the person who sent it, and ask for a new link."
            }
            NotConnected::OtherBrowser => {
                "Continue in the browser where you started, or ask for a new link."
            }
            NotConnected::Cancelled => "If that was a mistake, try again.",
            NotConnected::OtherUser => {
                "Sign in to X as the user that the link is for, then try again."
            }
            NotConnected::TookTooLong => "Try again.",
            NotConnected::CallbackNotApproved => {
                "Tell the person who sent you the link: the app's settings at X need this server's callback URL."
            }
            NotConnected::ClockRejected => {
                "Tell the person who sent you the link: this server's clock needs to be set."
            }
            NotConnected::AppSuspended | NotConnected::AppRejected => {
                "Tell the person who sent you the link: the app needs attention in X's developer portal."
            }
            NotConnected::OddAnswer | NotConnected::XAway => {
                "Try again in a moment; if that does not help, tell the person who sent you the link."
            }
            NotConnected::UnderWay => {
                "Reload this page in a moment; if that does not help, try again."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_can_stand_in_a_link_and_nothing_near_it_can() {
        let id = compose(&[b'x'; RANDOM_LENGTH]);
        let id = id.expose();
        assert!(is_link_id(id) && id.len() == 49, "{id}");
        for at in 0..id.len() {
            let mut text = id.as_bytes().to_vec();
            text[at] = if text[at] == b'q' { b'r' } else { b'q' };
            assert!(!is_link_id(std::str::from_utf8(&text).unwrap()), "at {at}");
        }
        let (longer, cut) = (format!("{id}0"), &id[..id.len() - 1]);
        for wrong in ["", "x", &id[..RANDOM_LENGTH], cut, &longer, &"é".repeat(25), "%00"] {
            assert!(!is_link_id(wrong), "{wrong}");
        }
    }
}
