//! One thing that needs attention.

use time::OffsetDateTime;

use crate::model::UserId;

/// Something that needs attention.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attention {
    /// A name for what is wrong: one of `model::Cause`, or that of a state of the gateway.
    pub cause: &'static str,
    pub app: Option<String>,
    /// From when on calls are counted, if it is about calls.
    pub since: Option<OffsetDateTime>,
    /// What is wrong, in whole sentences.
    pub text: String,
    /// What to do about it, in whole sentences.
    pub remedy: String,
    /// Numbers with their names, such as `failed` calls of `calls`.
    pub figures: Vec<(&'static str, u64)>,
    /// The keys that are most concerned.
    pub keys: Vec<FailedKey>,
    /// The accounts that are most concerned.
    pub accounts: Vec<FailedAccount>,
}

/// A key, and how many calls it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedKey {
    pub id: String,
    pub name: Option<String>,
    pub calls: u64,
}

/// An account, and how many calls it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedAccount {
    pub user_id: UserId,
    pub screen_name: Option<String>,
    /// `None` if it is about the account itself.
    pub calls: Option<u64>,
}

impl Attention {
    pub(super) fn new(
        cause: &'static str,
        app: Option<&str>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Attention {
        Attention {
            cause,
            app: app.map(str::to_owned),
            since: None,
            text: text.into(),
            remedy: remedy.into(),
            figures: Vec::new(),
            keys: Vec::new(),
            accounts: Vec::new(),
        }
    }

    pub(super) fn with(self, figures: impl IntoIterator<Item = (&'static str, u64)>) -> Attention {
        Attention { figures: figures.into_iter().collect(), ..self }
    }

    /// Adds it to a list; if that has the same for the app already, the two become one.
    pub(super) fn join(self, items: &mut Vec<Attention>) {
        let is_same = |item: &&mut Attention| item.cause == self.cause && item.app == self.app;
        let Some(item) = items.iter_mut().find(is_same) else { return items.push(self) };
        item.text = format!("{} {}", item.text, self.text);
        item.since = item.since.or(self.since);
        item.figures.extend(self.figures);
        item.keys.extend(self.keys);
        item.accounts.extend(self.accounts);
    }
}

/// A time for people, such as `2026-03-10 21:15 UTC`.
pub(super) fn minute(at: OffsetDateTime) -> String {
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// A text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
