//! Webhooks and their deliveries, in JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gateway::{self, Backlog, Detail, NotReceived};
use crate::model::webhook::{Subject, Unreadable};
use crate::model::{self, Secret};
use crate::wire::schema;
use crate::wire::schema::{DeliveryState, EventType, Time, Url};
use crate::wire::time::rfc3339;

/// A webhook, without its signing secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Webhook {
    pub id: String,
    #[schema(value_type = Url)]
    pub url: String,
    /// `null` for all apps.
    pub app: Option<String>,
    #[schema(value_type = Time)]
    pub created_at: String,
    /// Until then, events are also signed with the previous secret.
    #[schema(value_type = Option<Time>)]
    pub old_secret_until: Option<String>,
}

/// A webhook with its pending events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ListedWebhook {
    #[serde(flatten)]
    pub webhook: Webhook,
    /// Events that have not been delivered yet.
    #[schema(minimum = 0)]
    pub waiting: i64,
    #[schema(value_type = Option<Time>)]
    pub waiting_since: Option<String>,
    /// Why the last attempt to deliver one of them failed, if it did.
    pub failure: Option<String>,
}

/// A webhook with its new signing secret, which is shown only once.
#[derive(Serialize, ToSchema)]
pub struct WebhookSecret {
    #[schema(pattern = "^whsec_")]
    pub secret: String,
    #[serde(flatten)]
    pub webhook: Webhook,
}

/// A webhook to add.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// The URL that events are posted to.
    #[schema(value_type = Url)]
    pub url: String,
    /// The app whose accounts it gets events for; all apps by default.
    pub app: Option<String>,
}

/// How long the old secret still signs beside the new one.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// A duration such as `2h`; one day by default.
    #[schema(value_type = Option<schema::Duration>)]
    pub overlap: Option<String>,
}

/// What a receiver did with a test event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tested {
    pub received: bool,
    pub status: Option<u16>,
    pub failure: Option<String>,
}

/// An event for a webhook, and how its delivery went.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// The `webhook-id` that the receiver sees.
    pub id: String,
    pub number: i64,
    /// `null` if this version cannot read the stored event, such as one of a later version.
    #[schema(value_type = Option<EventType>)]
    pub event: Option<&'static str>,
    pub app: String,
    /// `null` for an import, for an event about the gateway, and if `event` is.
    #[schema(value_type = Option<schema::UserId>)]
    pub user_id: Option<String>,
    /// Empty if `user_id` is `null`.
    pub screen_name: String,
    /// How many accounts an import added; `null` for other events.
    #[schema(minimum = 0)]
    pub added: Option<u64>,
    /// Of how many accounts an import replaced the tokens; `null` for other events.
    #[schema(minimum = 0)]
    pub replaced: Option<u64>,
    pub reason: String,
    #[schema(value_type = Time)]
    pub occurred_at: String,
    #[schema(value_type = DeliveryState)]
    pub state: &'static str,
    pub attempts: u32,
    #[schema(value_type = Option<Time>)]
    pub attempt_at: Option<String>,
    #[schema(value_type = Option<Time>)]
    pub delivered_at: Option<String>,
    /// The status of the receiver's last answer.
    pub status: Option<u16>,
    pub failure: Option<String>,
}

impl From<model::webhook::Webhook> for Webhook {
    fn from(webhook: model::webhook::Webhook) -> Webhook {
        Webhook {
            id: webhook.id,
            url: webhook.url,
            app: webhook.app,
            created_at: rfc3339(webhook.created_at),
            old_secret_until: webhook.old_secret_until.map(rfc3339),
        }
    }
}

impl From<(model::webhook::Webhook, Backlog)> for ListedWebhook {
    fn from((webhook, backlog): (model::webhook::Webhook, Backlog)) -> ListedWebhook {
        ListedWebhook {
            webhook: webhook.into(),
            waiting: backlog.waiting,
            waiting_since: backlog.since.map(rfc3339),
            failure: backlog.failure,
        }
    }
}

impl From<(model::webhook::Webhook, Secret)> for WebhookSecret {
    fn from((webhook, secret): (model::webhook::Webhook, Secret)) -> WebhookSecret {
        WebhookSecret { secret: secret.expose().to_owned(), webhook: webhook.into() }
    }
}

impl From<NewWebhook> for gateway::NewWebhook {
    fn from(new: NewWebhook) -> gateway::NewWebhook {
        gateway::NewWebhook { url: new.url, app: new.app }
    }
}

impl Rotation {
    /// Reads the duration.
    pub fn read(&self) -> Result<Option<Duration>, Vec<Detail>> {
        let overlap = self.overlap.as_deref().map(humantime::parse_duration).transpose();
        overlap.map_err(|_| {
            vec![Detail::at(
                "/overlap",
                "must be a duration such as 24h; 0s ends the old secret at once",
            )]
        })
    }
}

impl From<Result<u16, NotReceived>> for Tested {
    fn from(sent: Result<u16, NotReceived>) -> Tested {
        match sent {
            Ok(status) => Tested { received: true, status: Some(status), failure: None },
            Err(failure) => {
                Tested { received: false, status: failure.status, failure: Some(failure.why) }
            }
        }
    }
}

impl From<Result<model::webhook::Delivery, Unreadable>> for Delivery {
    fn from(listed: Result<model::webhook::Delivery, Unreadable>) -> Delivery {
        match listed {
            Ok(delivery) => Delivery::from(delivery),
            Err(unreadable) => Delivery {
                id: unreadable.message_id(),
                number: unreadable.number,
                event: None,
                user_id: None,
                screen_name: String::new(),
                added: None,
                replaced: None,
                reason: String::new(),
                occurred_at: rfc3339(unreadable.occurred_at),
                state: unreadable.state().name(),
                app: unreadable.app,
                attempts: unreadable.attempts,
                attempt_at: unreadable.attempt_at.map(rfc3339),
                delivered_at: None,
                status: None,
                failure: Some(unreadable.why),
            },
        }
    }
}

impl From<model::webhook::Delivery> for Delivery {
    fn from(delivery: model::webhook::Delivery) -> Delivery {
        let id = delivery.message_id();
        let state = delivery.state().name();
        let (account, import) = match delivery.subject {
            Subject::Account { user_id, screen_name } => {
                (Some((user_id.to_string(), screen_name)), None)
            }
            Subject::Import { added, replaced } => (None, Some((added, replaced))),
            Subject::Gateway { .. } => (None, None),
        };
        let (user_id, screen_name) = account.unzip();
        let (added, replaced) = import.unzip();
        Delivery {
            id,
            number: delivery.number,
            event: Some(delivery.event.name()),
            state,
            app: delivery.app,
            user_id,
            screen_name: screen_name.unwrap_or_default(),
            added,
            replaced,
            reason: delivery.reason,
            occurred_at: rfc3339(delivery.occurred_at),
            attempts: delivery.attempts,
            attempt_at: delivery.attempt_at.map(rfc3339),
            delivered_at: delivery.delivered_at.map(rfc3339),
            status: delivery.status,
            failure: delivery.failure,
        }
    }
}
