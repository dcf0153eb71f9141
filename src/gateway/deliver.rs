//! Telling webhooks what becomes of accounts: at least once, in the order of each account's events, by one sender at a
//! time for each webhook, whichever replica it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::gateway::links::{LINK_LEFT, NewLink, Reconnect};
use crate::gateway::{Error, Gateway};
use crate::model::Secret;
use crate::model::webhook::{Delivery, Event, Webhook};
use crate::store::{ClaimedDelivery, Outcome, StoredWebhook};
use crate::upstream::Message;
use crate::vault::Place as Seal;

const ACTOR: &str = "webhook";
/// What follows each failed attempt until the next; a day, all told.
const WAITS: [Duration; 10] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(6),
    Duration::from_hours(10),
];
/// Longer than any attempt takes; then another sender takes over from one that has gone.
const LEASE: Duration = Duration::from_mins(1);
/// How often is looked for what became due, or what other replicas left behind.
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Webhooks served at a time.
const SENDERS: usize = 16;

/// What a receiver did with an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// Of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it does not count as received, in words.
    pub failure: Option<String>,
}

impl Gateway {
    /// Sends events in the background as they become due, until every clone of this gateway is dropped. Call it once.
    pub fn deliver_events(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut sending = JoinSet::new();
            let mut is_up = true;
            while let Some(inner) = inner.upgrade() {
                let told = Arc::clone(&inner.events);
                let gateway = Gateway(inner);
                while sending.len() < SENDERS {
                    let claimed = gateway.claim_delivery().await;
                    if let (Err(error), true) = (&claimed, is_up) {
                        warn!(error = error as &dyn std::error::Error, "no events can be sent");
                    }
                    is_up = claimed.is_ok();
                    let Ok(Some(claimed)) = claimed else { break };
                    let gateway = gateway.clone();
                    sending.spawn(async move { gateway.deliver(&claimed).await });
                }
                drop(gateway);
                tokio::select! {
                    Some(sent) = sending.join_next() => {
                        if let Ok(Err(error)) = sent {
                            let error = &error as &dyn std::error::Error;
                            warn!(error, "what became of an event could not be stored");
                        }
                    }
                    () = told.notified() => (),
                    () = tokio::time::sleep(BETWEEN_LOOKS) => (),
                }
            }
        }
    }

    /// Sends one event that is due; false when there is none, or each is being sent.
    pub async fn deliver_next(&self) -> Result<bool, Error> {
        let Some(claimed) = self.claim_delivery().await? else { return Ok(false) };
        self.deliver(&claimed).await?;
        Ok(true)
    }

    async fn claim_delivery(&self) -> Result<Option<ClaimedDelivery>, Error> {
        let now = self.now();
        Ok(self.0.store.claim_delivery(now, now + LEASE).await?)
    }

    /// One attempt. When it cannot even be made, nothing is noted, and it is made once the claim is over.
    async fn deliver(&self, claimed: &ClaimedDelivery) -> Result<(), Error> {
        let delivery = &claimed.delivery;
        let Some(stored) = self.0.store.find_webhook(&delivery.webhook_id).await? else {
            return Ok(());
        };
        let link = self.link_for(claimed).await?;
        let Answered { status, failure } =
            self.send(&stored, &delivery.message_id(), body(delivery, link)).await;
        let now = self.now();
        let tried = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
        let wait = WAITS.get(tried.saturating_sub(1));
        let again_at = failure.as_ref().and(wait).map(|it| now + *it);
        report(&stored.webhook, delivery, failure.as_deref(), again_at);
        let outcome = Outcome { status, failure, again_at };
        self.0.store.settle_delivery(claimed, &outcome, now).await?;
        Ok(())
    }

    /// Signs and sends, once.
    pub(super) async fn send(&self, stored: &StoredWebhook, id: &str, body: Bytes) -> Answered {
        let failed = |failure: String| Answered { status: None, failure: Some(failure) };
        let Some(secrets) = self.signing_secrets(stored) else {
            return failed("its row does not match its seal, so nothing is sent".to_owned());
        };
        let message = Message { url: &stored.webhook.url, id, body };
        match self.0.upstream.send_event(&message, &secrets).await {
            Ok(status @ 200..=299) => Answered { status: Some(status), failure: None },
            Ok(status) => {
                let redirects = if status / 100 == 3 { "; redirects are not followed" } else { "" };
                let failure = format!("it answered with status {status}{redirects}");
                Answered { status: Some(status), failure: Some(failure) }
            }
            Err(why) => failed(why),
        }
    }

    /// The link that an event carries: the one that an earlier attempt carried while it lasts, or a new one. None where
    /// links cannot be made.
    async fn link_for(&self, claimed: &ClaimedDelivery) -> Result<Option<Reconnect>, Error> {
        let Delivery { number, webhook_id, event, app, user_id, screen_name, .. } =
            &claimed.delivery;
        let possible = self.0.connect.public_url.is_some() && self.0.apps.contains_key(app);
        if !event.ends_account() || !possible {
            return Ok(None);
        }
        let place = Seal::delivery_link(webhook_id, *number);
        let kept = claimed.sealed_link.as_ref();
        let kept = kept.and_then(|it| read_link(&self.0.vault.open_text(&place, it).ok()?));
        if let Some(link) = kept.filter(|it| it.until >= self.now() + LINK_LEFT) {
            return Ok(Some(link));
        }
        let new = NewLink::to_reconnect(app, *user_id, screen_name);
        let created = self.create_link(new, ACTOR).await?;
        let until = created.link.expires_at;
        let text = format!("{} {}", until.unix_timestamp(), created.url.expose());
        let sealed = self.0.vault.seal(&place, Secret::new(text).expose().as_bytes())?;
        self.0.store.keep_link(*number, &sealed).await?;
        Ok(Some(Reconnect { url: created.url, until }))
    }

    /// Counts what became of an account, and has its event sent.
    pub(super) fn tell(&self, event: Event, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        metrics::counter!("countersign_account_events_total", "event" => event.name())
            .increment(count);
        self.0.events.notify_one();
    }
}

fn read_link(text: &Secret) -> Option<Reconnect> {
    let (until, url) = text.expose().split_once(' ')?;
    let until = OffsetDateTime::from_unix_timestamp(until.parse().ok()?).ok()?;
    Some(Reconnect { url: Secret::from(url), until })
}

fn body(delivery: &Delivery, link: Option<Reconnect>) -> Bytes {
    let mut data = json!({
        "app": delivery.app,
        "user_id": delivery.user_id.to_string(),
        "screen_name": delivery.screen_name,
        "reason": delivery.reason,
    });
    if let (Some(Reconnect { url, until }), Some(data)) = (link, data.as_object_mut()) {
        data.insert("reconnect_url".to_owned(), url.expose().into());
        data.insert("reconnect_until".to_owned(), rfc3339(until).into());
    }
    message(delivery.event.name(), delivery.occurred_at, &data)
}

/// A message as the specification wants it: type, time and data.
pub(super) fn message(kind: &str, at: OffsetDateTime, data: &serde_json::Value) -> Bytes {
    json!({ "type": kind, "timestamp": rfc3339(at), "data": data }).to_string().into()
}

fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn report(
    webhook: &Webhook,
    delivery: &Delivery,
    failure: Option<&str>,
    again_at: Option<OffsetDateTime>,
) {
    let (event, id, receiver) = (delivery.event.name(), delivery.message_id(), webhook.host());
    let outcome = match (failure, again_at) {
        (None, _) => {
            info!(event, id, receiver, "an event was delivered");
            "delivered"
        }
        (Some(failure), Some(at)) => {
            warn!(
                event,
                id,
                receiver,
                failure,
                again_at = rfc3339(at),
                "an event was not delivered"
            );
            "failed"
        }
        (Some(failure), None) => {
            warn!(event, id, receiver, failure, "an event was given up after a day of attempts");
            "given_up"
        }
    };
    metrics::counter!("countersign_webhook_attempts_total", "outcome" => outcome).increment(1);
}
