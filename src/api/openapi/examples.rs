//! The ids and dates in examples. A demo puts those of its sandbox in, so that its examples work as they stand.

use std::sync::OnceLock;

use time::format_description::BorrowedFormatItem;
use time::macros::{date, datetime, format_description};
use time::{Date, Duration};

use crate::gateway::{Error, NamedAccount, Reconnect};
use crate::model::{AccountState, Secret, UserId};

/// A post by `USER_ID`.
pub(crate) const POST_ID: &str = "1560000000000000000";
/// The user id of `@alice`.
pub(crate) const USER_ID: &str = "7588892";
/// The origin of pages for which tokens are made.
pub(crate) const ORIGIN: &str = "https://app.example.com";
/// The day on which the examples were written.
const WRITTEN: Date = date!(2026 - 03 - 10);
/// How dates of examples begin.
const YEAR: &str = "2026-";
const FORM: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const LENGTH: usize = "2026-03-10".len();

/// A post, its author's user id, and the present day.
type Local = (String, String, Date);

static LOCAL: OnceLock<Local> = OnceLock::new();

/// Makes all examples about this post, its author and this day. Only the first call counts, before anything is served.
pub fn use_examples_of(post_id: &str, user_id: &str, today: Date) {
    LOCAL.get_or_init(|| (post_id.to_owned(), user_id.to_owned(), today));
}

/// A text with the ids and dates that examples have here.
pub(crate) fn localized(text: &str) -> String {
    let Some(local) = LOCAL.get() else { return text.to_owned() };
    put_in(text, local)
}

fn put_in(text: &str, (post_id, user_id, today): &Local) -> String {
    let text = text.replace(POST_ID, post_id).replace(USER_ID, user_id);
    let later = *today - WRITTEN;
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find(YEAR) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let written = from.get(..LENGTH).and_then(|date| Date::parse(date, FORM).ok());
        if let Some(moved) = written.and_then(|date| moved(date, later)) {
            out.push_str(&moved);
            rest = &from[LENGTH..];
        } else {
            out.push_str(YEAR);
            rest = &from[YEAR.len()..];
        }
    }
    out + rest
}

fn moved(date: Date, later: Duration) -> Option<String> {
    date.checked_add(later)?.format(FORM).ok()
}

/// The error for an account whose user has revoked the app's access.
pub(crate) fn revoked_account() -> Error {
    let user_id = UserId::parse(USER_ID).expect("an example's id is one");
    Error::AccountNotActive {
        account: NamedAccount { user_id, screen_name: "alice".to_owned() },
        state: AccountState::Revoked,
        since: datetime!(2026-03-10 21:15:30 UTC),
        reconnect: Some(Reconnect {
            url: Secret::from("https://countersign.example.com/connect/…"),
            until: datetime!(2026-03-11 21:15:30 UTC),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_dates_are_replaced_and_spans_stay_as_long() {
        let local = ("42".to_owned(), "7".to_owned(), date!(2027 - 01 - 02));
        let text = r#"{"1560000000000000000":"7588892","start":"2026-02-01","end":"2026-03-01T08:00:00Z","month":"2026-03","at":"2026-"}"#;
        let told = r#"{"42":"7","start":"2026-11-26","end":"2026-12-24T08:00:00Z","month":"2026-03","at":"2026-"}"#;
        assert_eq!(put_in(text, &local), told);
    }
}
