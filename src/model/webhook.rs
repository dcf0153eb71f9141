//! Webhooks: the operator's receivers of account events, and the events themselves.

use time::OffsetDateTime;

use crate::model::{AccountState, UserId};

/// A change to an account, or to many by an import; or something about the gateway that needs attention.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// A token was stored: a new account's, or a newer one of an existing account.
    Connected,
    /// Many tokens were stored at once.
    Imported,
    /// X accepts a token again that it had refused.
    Recovered,
    Revoked,
    Blocked,
    Quarantined,
    Removed,
    /// Something began to need attention.
    GatewayDegraded,
    /// It no longer does.
    GatewayRecovered,
}

impl Event {
    pub const ALL: [Event; 9] = [
        Event::Connected,
        Event::Imported,
        Event::Recovered,
        Event::Revoked,
        Event::Blocked,
        Event::Quarantined,
        Event::Removed,
        Event::GatewayDegraded,
        Event::GatewayRecovered,
    ];

    /// The event for an account that enters this state.
    pub const fn of_state(state: AccountState) -> Event {
        match state {
            AccountState::Active => Event::Recovered,
            AccountState::Revoked => Event::Revoked,
            AccountState::Blocked => Event::Blocked,
            AccountState::Quarantined => Event::Quarantined,
        }
    }

    /// The name under which it is sent, stored and audited.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Connected => "account.connected",
            Event::Imported => "accounts.imported",
            Event::Recovered => "account.recovered",
            Event::Revoked => "account.revoked",
            Event::Blocked => "account.blocked",
            Event::Quarantined => "account.quarantined",
            Event::Removed => "account.removed",
            Event::GatewayDegraded => "gateway.degraded",
            Event::GatewayRecovered => "gateway.recovered",
        }
    }

    pub fn from_name(name: &str) -> Option<Event> {
        Event::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Whether calls cannot be made for the account from then on.
    pub const fn ends_account(self) -> bool {
        matches!(self, Event::Revoked | Event::Blocked | Event::Quarantined | Event::Removed)
    }
}

/// What an event is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    Account {
        user_id: UserId,
        screen_name: String,
    },
    /// How many accounts an import added, and of how many it replaced the tokens.
    Import {
        added: u64,
        replaced: u64,
    },
    /// What needs attention, or did until now.
    Gateway {
        cause: String,
        /// Numbers with their names.
        figures: Vec<(String, u64)>,
    },
}

impl Subject {
    /// The account, if it is only one.
    pub fn account(&self) -> Option<(UserId, &str)> {
        match self {
            Subject::Account { user_id, screen_name } => Some((*user_id, screen_name)),
            Subject::Import { .. } | Subject::Gateway { .. } => None,
        }
    }
}

/// Figures as text, such as `failed=3 calls=94`.
pub fn figures_text(figures: &[(String, u64)]) -> String {
    let figures = figures.iter().map(|(name, number)| format!("{name}={number}"));
    figures.collect::<Vec<_>>().join(" ")
}

/// The figures that [`figures_text`] has written.
pub fn read_figures(text: &str) -> Vec<(String, u64)> {
    let figure = |part: &str| {
        let (name, number) = part.split_once('=')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    text.split(' ').filter_map(figure).collect()
}

/// A receiver of events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    pub id: String,
    pub url: String,
    /// The app whose accounts' events it receives; `None` means all apps.
    pub app: Option<String>,
    pub created_at: OffsetDateTime,
    /// Until then events are also signed with the previous secret.
    pub old_secret_until: Option<OffsetDateTime>,
}

impl Webhook {
    /// The URL without what follows the host, which may be a secret of the receiver's.
    pub fn host(&self) -> &str {
        let rest = self.url.find("://").map_or(0, |at| at + 3);
        let path = self.url.get(rest..).and_then(|rest| rest.find(['/', '?']));
        path.and_then(|length| self.url.get(..rest + length)).unwrap_or(&self.url)
    }

    /// The URL as pages show it: without the values of its query, which may be secrets of the receiver's.
    pub fn shown_url(&self) -> String {
        let Some((address, query)) = self.url.split_once('?') else { return self.url.clone() };
        let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
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
    pub subject: Subject,
    /// The reason, in words.
    pub reason: String,
    pub occurred_at: OffsetDateTime,
    /// Attempts begun so far.
    pub attempts: u32,
    /// When the first attempt was begun.
    pub attempted_at: Option<OffsetDateTime>,
    /// When the next attempt is due; `None` once delivery is over.
    pub attempt_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why the last attempt failed, in words.
    pub failure: Option<String>,
}

/// The state of an event's delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryState {
    Waiting,
    Delivered,
    GivenUp,
}

/// What is known of a delivery whose row this program cannot read, such as that of a later version's event.
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

    /// The state's name for people.
    pub const fn words(self) -> &'static str {
        match self {
            DeliveryState::GivenUp => "given up",
            other => other.name(),
        }
    }

    pub fn from_name(name: &str) -> Option<DeliveryState> {
        DeliveryState::ALL.into_iter().find(|state| state.name() == name)
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

    /// The id by which a receiver knows the event, the same for every attempt.
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

/// Includes the time, since a restored database issues the same numbers again.
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
