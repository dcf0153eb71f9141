//! Webhooks: where the operator wants to be told what becomes of accounts, and the events that are told.

use time::OffsetDateTime;

use crate::model::{AccountState, UserId};

/// What became of an account.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// A token was stored: of a new account, or a newer one.
    Connected,
    /// X takes the token again that it had refused.
    Recovered,
    Revoked,
    Blocked,
    Quarantined,
    Removed,
}

impl Event {
    pub const ALL: [Event; 6] = [
        Event::Connected,
        Event::Recovered,
        Event::Revoked,
        Event::Blocked,
        Event::Quarantined,
        Event::Removed,
    ];

    /// What an account that comes to be in this state has to tell.
    pub const fn of_state(state: AccountState) -> Event {
        match state {
            AccountState::Active => Event::Recovered,
            AccountState::Revoked => Event::Revoked,
            AccountState::Blocked => Event::Blocked,
            AccountState::Quarantined => Event::Quarantined,
        }
    }

    /// As it is told, stored and audited.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Connected => "account.connected",
            Event::Recovered => "account.recovered",
            Event::Revoked => "account.revoked",
            Event::Blocked => "account.blocked",
            Event::Quarantined => "account.quarantined",
            Event::Removed => "account.removed",
        }
    }

    pub fn from_name(name: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether calls cannot be made for the account from then on.
    pub const fn ends_account(self) -> bool {
        !matches!(self, Event::Connected | Event::Recovered)
    }
}

/// A receiver of events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    pub id: String,
    pub url: String,
    /// The app whose accounts' events it gets; all apps' when left out.
    pub app: Option<String>,
    pub created_at: OffsetDateTime,
    /// Until then events are signed with the secret before the present one, too.
    pub old_secret_until: Option<OffsetDateTime>,
}

impl Webhook {
    /// The URL without what follows the host, which may be a secret of the receiver's.
    pub fn host(&self) -> &str {
        let rest = self.url.find("://").map_or(0, |at| at + 3);
        let path = self.url.get(rest..).and_then(|it| it.find(['/', '?']));
        path.and_then(|it| self.url.get(..rest + it)).unwrap_or(&self.url)
    }

    /// The URL as pages show it: without the values of its query, which may be secrets of the receiver's.
    pub fn shown_url(&self) -> String {
        let Some((address, query)) = self.url.split_once('?') else { return self.url.clone() };
        let shown = query.split('&').map(|it| match it.split_once('=') {
            Some((name, _)) => format!("{name}=…"),
            None => "…".to_owned(),
        });
        format!("{address}?{}", shown.collect::<Vec<_>>().join("&"))
    }
}

/// An event on its way to a webhook, or arrived there, or given up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    pub number: i64,
    pub webhook_id: String,
    pub event: Event,
    pub app: String,
    pub user_id: UserId,
    pub screen_name: String,
    /// Why, in words.
    pub reason: String,
    pub occurred_at: OffsetDateTime,
    /// Those begun so far.
    pub attempts: u32,
    /// When the first one was begun.
    pub attempted_at: Option<OffsetDateTime>,
    /// When it is tried next; `None` once it is over.
    pub attempt_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    /// Of the last answer.
    pub status: Option<u16>,
    /// Why the last attempt failed, in words.
    pub failure: Option<String>,
}

/// How far an event is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    GivenUp,
}

/// What a listing can say of a delivery whose row this program cannot read, such as of an event of a later version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    pub number: i64,
    pub webhook_id: String,
    pub app: String,
    pub occurred_at: OffsetDateTime,
    pub attempts: u32,
    pub attempt_at: Option<OffsetDateTime>,
    pub why: String,
}

impl DeliveryState {
    pub const ALL: [DeliveryState; 3] =
        [DeliveryState::Waiting, DeliveryState::Delivered, DeliveryState::GivenUp];

    pub const fn name(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::GivenUp => "given_up",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            DeliveryState::GivenUp => "given up",
            other => other.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl Delivery {
    pub const fn state(&self) -> DeliveryState {
        match (self.attempt_at, self.delivered_at) {
            (Some(_), _) => DeliveryState::Waiting,
            (None, Some(_)) => DeliveryState::Delivered,
            (None, None) => DeliveryState::GivenUp,
        }
    }

    /// What a receiver knows the event by, the same with every attempt.
    pub fn message_id(&self) -> String {
        message_id(&self.webhook_id, self.occurred_at, self.number)
    }
}

impl Unreadable {
    pub const fn state(&self) -> DeliveryState {
        if self.attempt_at.is_some() { DeliveryState::Waiting } else { DeliveryState::GivenUp }
    }

    pub fn message_id(&self) -> String {
        message_id(&self.webhook_id, self.occurred_at, self.number)
    }
}

/// With the time, since a database that was restored gives numbers again.
fn message_id(webhook_id: &str, occurred_at: OffsetDateTime, number: i64) -> String {
    format!("evt_{webhook_id}_{}_{number}", occurred_at.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_follows_in_a_query_is_not_shown() {
        for (url, shown) in [
            ("https://a.example/hook", "https://a.example/hook"),
            ("https://a.example/hook?token=s3cret", "https://a.example/hook?token=…"),
            ("https://a.example/?a=s&b=s=s&s", "https://a.example/?a=…&b=…&…"),
            ("https://a.example/?", "https://a.example/?…"),
        ] {
            let webhook = Webhook {
                id: "1".to_owned(),
                url: url.to_owned(),
                app: None,
                created_at: datetime!(2026-01-01 0:00 UTC),
                old_secret_until: None,
            };
            assert_eq!(webhook.shown_url(), shown);
        }
    }
}
