//! Delivering account events to webhooks: at least once, in the order of each account's events, a few at a time for
//! each webhook, across all replicas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::gateway::account::links::{LINK_LEFT, NewLink};
use crate::gateway::app::reconnects::Reconnect;
use crate::gateway::{Error, Gateway};
use crate::model::Secret;
use crate::model::webhook::{Delivery, Event, Subject, Webhook};
use crate::store::{ClaimedDelivery, Outcome, Receiver, StoredWebhook};
use crate::upstream::{Message, NotReceived};
use crate::vault::{self, Seal};

const ACTOR: &str = "webhook";
/// Times since the first failure at which to try again; after the last, one attempt every `REST`.
const TRIES: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(35),
    Duration::from_secs(155),
    Duration::from_secs(755),
];
const REST: Duration = Duration::from_mins(30);
/// An event older than this is given up when it fails.
const GIVE_UP: Duration = Duration::from_hours(24);
/// How long a claim lasts unless it is renewed; then another sender takes over, as from one that has died. Leaves room
/// for replicas' clocks to differ.
const LEASE: Duration = Duration::from_secs(20);
/// How often a claim is renewed, and how long that may take. It is taken for lost when two renewals in a row fail.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(4);
const RENEWAL: Duration = Duration::from_secs(3);
/// How often to look for events that have become due, or that other replicas left behind.
const BETWEEN_POLLS: Duration = Duration::from_secs(2);
/// Events sent at a time; a webhook has a smaller limit of its own, across all replicas.
const SENDERS: usize = 64;
/// Why an event is put aside.
pub(in crate::gateway) const DISTRUSTED: &str =
    "its row does not match its seal: something else has changed it, so it is not sent";
/// Why an event that cannot be proven here waits.
const UNPROVEN: &str = "the vault key that sealed it is not in vault.keys";

/// Whether this program wrote an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::gateway) enum Proof {
    Right,
    Wrong,
    /// The key that sealed it is not here.
    Unknown,
}

impl Gateway {
    /// Sends events in the background as they become due, until `stop` ends or every clone of this gateway is dropped;
    /// attempts in progress are then finished. Call it once.
    pub fn deliver_events<S: Future<Output = ()> + Send + 'static>(
        &self,
        stop: S,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let inner = Arc::downgrade(&self.0);
        let mut stop = Box::pin(stop);
        async move {
            let mut sending = JoinSet::new();
            let mut is_up = true;
            'serving: while let Some(inner) = inner.upgrade() {
                let new_events = Arc::clone(&inner.events);
                let gateway = Gateway(inner, None);
                while sending.len() < SENDERS {
                    // A claim abandoned half-way expires by itself, like that of a dead replica.
                    let claimed = tokio::select! {
                        biased;
                        () = &mut stop => break 'serving,
                        claimed = gateway.claim_deliveries(SENDERS - sending.len()) => claimed,
                    };
                    if let (Err(error), true) = (&claimed, is_up) {
                        warn!(error = error as &dyn std::error::Error, "events cannot be sent");
                    }
                    is_up = claimed.is_ok();
                    let claimed = claimed.unwrap_or_default();
                    if claimed.is_empty() {
                        break;
                    }
                    for claimed in claimed {
                        let gateway = gateway.clone();
                        sending.spawn(async move { gateway.deliver(&claimed).await });
                    }
                }
                drop(gateway);
                tokio::select! {
                    // After a stop, nothing more is claimed, whatever else has happened.
                    biased;
                    () = &mut stop => break 'serving,
                    Some(sent) = sending.join_next() => {
                        if let Ok(Err(error)) = sent {
                            let error = &error as &dyn std::error::Error;
                            warn!(error, "an event could not be sent, or its outcome not stored");
                        }
                    }
                    () = new_events.notified() => (),
                    () = tokio::time::sleep(BETWEEN_POLLS) => (),
                }
            }
            while sending.join_next().await.is_some() {}
        }
    }

    /// Sends one event that is due; false when there is none, or each is being sent.
    pub async fn deliver_next(&self) -> Result<bool, Error> {
        let Some(claimed) = self.claim_deliveries(1).await?.pop() else { return Ok(false) };
        self.deliver(&claimed).await?;
        Ok(true)
    }

    async fn claim_deliveries(&self, most: usize) -> Result<Vec<ClaimedDelivery>, Error> {
        let now = self.now();
        Ok(self.0.store.claim_deliveries(most, now, now + LEASE).await?)
    }

    /// Makes one attempt, and abandons it once the claim is over: another sender makes the next one.
    async fn deliver(&self, claimed: &ClaimedDelivery) -> Result<(), Error> {
        let outcome = tokio::select! {
            ended = self.attempt(claimed) => ended?,
            () = self.keep_claim(claimed) => {
                let (event, id) = (claimed.delivery.event.name(), claimed.delivery.message_id());
                warn!(event, id, "the claim on an event is lost; the event is left to another sender");
                return Ok(());
            }
        };
        let Some(Outcome { receiver: Receiver::Fails { since, .. }, failure, .. }) = outcome else {
            return Ok(());
        };
        if since + GIVE_UP <= self.now() {
            self.give_up_old(&claimed.delivery.webhook_id, &failure.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Renews a claim until that cannot be done.
    async fn keep_claim(&self, claimed: &ClaimedDelivery) {
        let mut failures = 0;
        while failures < 2 {
            tokio::time::sleep(BETWEEN_RENEWALS).await;
            let renewing = self.0.store.renew_claim(claimed, self.now() + LEASE);
            match tokio::time::timeout(RENEWAL, renewing).await {
                Ok(Ok(true)) => failures = 0,
                Ok(Ok(false)) => break,
                Ok(Err(_)) | Err(_) => failures += 1,
            }
        }
    }

    /// Makes one attempt, and records how it ended; `None` if nothing was sent. If it cannot even be made, nothing is
    /// recorded, and it is made once the claim has expired.
    async fn attempt(&self, claimed: &ClaimedDelivery) -> Result<Option<Outcome>, Error> {
        let delivery = &claimed.delivery;
        match self.proof_of(delivery, claimed.sealed_proof.as_deref()) {
            Proof::Right => (),
            Proof::Wrong => return self.put_aside(claimed).await.map(|()| None),
            Proof::Unknown => return self.put_off(claimed).await.map(|()| None),
        }
        let Some(stored) = self.0.store.find_webhook(&delivery.webhook_id).await? else {
            return Ok(None);
        };
        if self.require_signing_keys(&stored).is_err() {
            return self.put_off(claimed).await.map(|()| None);
        }
        let link = self.link_for(claimed).await?;
        let is_for_receiver = stored.webhook.app.as_ref().is_none_or(|app| *app == delivery.app);
        let sent = if is_for_receiver {
            self.send(&stored, &delivery.message_id(), body(delivery, link)).await
        } else {
            Err(NotReceived::unsent("its row names another app, so nothing is sent"))
        };
        let now = self.now();
        let outcome = outcome(claimed, sent, now);
        report(&stored.webhook, delivery, &outcome);
        self.0.store.settle_delivery(claimed, &outcome, now).await?;
        Ok(Some(outcome))
    }

    pub(in crate::gateway) fn proof_of(&self, delivery: &Delivery, sealed: Option<&[u8]>) -> Proof {
        let Some(sealed) = sealed else { return Proof::Wrong };
        match self.0.vault.open(&Seal::delivery(delivery), sealed) {
            Ok(_) => Proof::Right,
            Err(vault::Error::KeyMissing(_)) => Proof::Unknown,
            Err(_) => Proof::Wrong,
        }
    }

    /// Gives up an event that this program did not write: nothing is sent and no link is created.
    async fn put_aside(&self, claimed: &ClaimedDelivery) -> Result<(), Error> {
        let Delivery { number, webhook_id, .. } = &claimed.delivery;
        error!(webhook = webhook_id, delivery = number, why = DISTRUSTED, "an event was set aside");
        metrics::counter!("countersign_webhook_attempts_total", "outcome" => "distrusted")
            .increment(1);
        self.settle_unsent(claimed, DISTRUSTED, None).await
    }

    async fn put_off(&self, claimed: &ClaimedDelivery) -> Result<(), Error> {
        let Delivery { number, webhook_id, .. } = &claimed.delivery;
        warn!(webhook = webhook_id, delivery = number, why = UNPROVEN, "an event has to wait");
        let now = self.now();
        let tried_since = claimed.delivery.attempted_at.unwrap_or(now);
        self.settle_unsent(claimed, UNPROVEN, Some(next_try(tried_since, now))).await
    }

    /// Records that an event was not sent, which says nothing about the receiver.
    async fn settle_unsent(
        &self,
        claimed: &ClaimedDelivery,
        why: &str,
        again_at: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        let failure = Some(why.to_owned());
        let outcome = Outcome { failure, again_at, ..Outcome::default() };
        Ok(self.0.store.settle_delivery(claimed, &outcome, self.now()).await?)
    }

    /// Gives up all events older than a day, for a receiver that has failed for a day.
    async fn give_up_old(&self, webhook_id: &str, failure: &str) -> Result<(), Error> {
        let before = self.now() - GIVE_UP;
        let mut events = 0;
        loop {
            match self.0.store.give_up_deliveries(webhook_id, before, failure).await? {
                0 => break,
                more => events += more,
            }
        }
        if events > 0 {
            let webhook = webhook_id;
            warn!(webhook, events, "events were given up: their receiver has failed for a day");
            metrics::counter!("countersign_webhook_attempts_total", "outcome" => "given_up")
                .increment(events);
        }
        Ok(())
    }

    /// Signs and sends a message, once; returns the status with which it was accepted.
    pub(in crate::gateway) async fn send(
        &self,
        stored: &StoredWebhook,
        id: &str,
        body: Bytes,
    ) -> Result<u16, NotReceived> {
        let Some(secrets) = self.signing_secrets(stored) else {
            let why = "its row does not match its seal, so nothing is sent";
            return Err(NotReceived::unsent(why));
        };
        let message = Message { url: &stored.webhook.url, id, body };
        self.0.upstream.send_event(&message, &secrets).await
    }

    /// The link that an event carries: that of an earlier attempt while it is valid, or a new one. `None` if links
    /// cannot be created.
    async fn link_for(&self, claimed: &ClaimedDelivery) -> Result<Option<Reconnect>, Error> {
        let Delivery { number, webhook_id, event, app, subject, .. } = &claimed.delivery;
        let possible = self.0.connect.public_url.is_some() && self.0.apps.contains_key(app);
        let (Some((user_id, screen_name)), true) = (subject.account(), possible) else {
            return Ok(None);
        };
        if !event.ends_account() {
            return Ok(None);
        }
        let place = Seal::delivery_link(webhook_id, *number);
        let kept = claimed.sealed_link.as_ref();
        let kept = kept.and_then(|sealed| read_link(&self.0.vault.open_text(&place, sealed).ok()?));
        if let Some(link) = kept.filter(|link| link.until >= self.now() + LINK_LEFT) {
            return Ok(Some(link));
        }
        let new = NewLink::to_reconnect(app, user_id, screen_name);
        let created = match self.create_link(new, ACTOR).await {
            Ok(created) => created,
            Err(error @ (Error::StoreUnavailable(_) | Error::OutcomeUnknown(_))) => {
                return Err(error);
            }
            // An event without a link is better than none.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "no reconnect link was created");
                return Ok(None);
            }
        };
        let until = created.link.expires_at;
        let text = format!("{} {}", until.unix_timestamp(), created.url.expose());
        let sealed = self.0.vault.seal(&place, Secret::new(text).expose().as_bytes())?;
        self.0.store.update_delivery_link(*number, &sealed).await?;
        Ok(Some(Reconnect { url: created.url, until }))
    }

    /// Counts account events, and wakes the senders.
    pub(in crate::gateway) fn announce(&self, event: Event, count: usize) {
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
    let Delivery { app, reason, .. } = delivery;
    let mut data = match &delivery.subject {
        Subject::Account { user_id, screen_name } => json!({
            "app": app, "user_id": user_id.to_string(), "screen_name": screen_name, "reason": reason,
        }),
        Subject::Import { added, replaced } => {
            json!({ "app": app, "added": added, "replaced": replaced, "reason": reason })
        }
        Subject::Gateway { cause, figures } => {
            let app = Some(app).filter(|app| !app.is_empty());
            let figures: BTreeMap<&String, &u64> =
                figures.iter().map(|(name, number)| (name, number)).collect();
            json!({ "app": app, "cause": cause, "reason": reason, "figures": figures })
        }
    };
    if let (Some(Reconnect { url, until }), Some(data)) = (link, data.as_object_mut()) {
        data.insert("reconnect_url".to_owned(), url.expose().into());
        data.insert("reconnect_until".to_owned(), rfc3339(until).into());
    }
    message(delivery.event.name(), delivery.occurred_at, &data)
}

/// A message as the specification wants it: type, time and data.
pub(in crate::gateway) fn message(
    kind: &str,
    at: OffsetDateTime,
    data: &serde_json::Value,
) -> Bytes {
    json!({ "type": kind, "timestamp": rfc3339(at), "data": data }).to_string().into()
}

pub(in crate::gateway) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

/// What follows from an attempt: an event that is refused has a schedule of its own, a receiver that fails has one for
/// all of its events.
fn outcome(
    claimed: &ClaimedDelivery,
    sent: Result<u16, NotReceived>,
    now: OffsetDateTime,
) -> Outcome {
    let NotReceived { status, why, is_this_event } = match sent {
        Ok(status) => {
            let (status, receiver) = (Some(status), Receiver::Answers);
            return Outcome { status, receiver, ..Outcome::default() };
        }
        Err(not) => not,
    };
    let (receiver, again_at) = if is_this_event {
        let tried_since = claimed.delivery.attempted_at.unwrap_or(now);
        (Receiver::Answers, next_try(tried_since, now))
    } else {
        let since = claimed.failing_since.unwrap_or(now);
        let until = next_try(since, now);
        (Receiver::Fails { since, until }, until)
    };
    let is_old = claimed.delivery.occurred_at + GIVE_UP <= now;
    Outcome { status, failure: Some(why), again_at: (!is_old).then_some(again_at), receiver }
}

/// When to try again after failing since `since`.
fn next_try(since: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    let next = TRIES.iter().map(|wait| since + *wait).find(|at| *at > now);
    next.unwrap_or(now + REST)
}

fn report(webhook: &Webhook, delivery: &Delivery, outcome: &Outcome) {
    let (event, id, receiver) = (delivery.event.name(), delivery.message_id(), webhook.host());
    let outcome = match (&outcome.failure, outcome.again_at) {
        (None, _) => {
            info!(event, id, receiver, "an event was delivered");
            "delivered"
        }
        (Some(failure), Some(at)) => {
            let again_at = rfc3339(at);
            warn!(event, id, receiver, failure, again_at, "an event was not delivered");
            "failed"
        }
        (Some(failure), None) => {
            warn!(event, id, receiver, failure, "an event was given up after a day");
            "given_up"
        }
    };
    metrics::counter!("countersign_webhook_attempts_total", "outcome" => outcome).increment(1);
}
