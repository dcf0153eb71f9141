//! Webhooks: telling the operator's services what happens to accounts.

mod admin;
mod delivery;
mod events;
mod imports;
mod order;
mod proof;
pub mod receiver;
mod receivers;
mod replicas;
mod resend;
mod signature;

use countersign::config::Config;
use countersign::gateway::NewWebhook;
use countersign::model::webhook::{Delivery, Unreadable};
use countersign::model::{AccountRef, AccountState, Clock};
use time::Duration;

use crate::database::Database;
use crate::gateway::TestGateway;
use crate::webhooks::receiver::Receiver;

/// A gateway that may send to receivers over plain `http`.
pub async fn start_gateway(database: &Database) -> TestGateway {
    TestGateway::start_with(database, with_http).await
}

fn with_http(config: &mut Config) {
    config.webhooks.allow_http = true;
}

impl TestGateway {
    /// Adds a webhook for that receiver; gives its id and secret.
    pub async fn hook(&self, receiver: &Receiver) -> (String, String) {
        let new = NewWebhook { url: receiver.url.clone(), app: None };
        let (webhook, secret) = self.inner.add_webhook(new, "test").await.unwrap();
        (webhook.id, secret.expose().to_owned())
    }

    pub fn named(&self, name: &str) -> AccountRef {
        AccountRef::Id(self.id(name))
    }

    /// Sends what is due; gives the number of attempts.
    pub async fn deliver(&self) -> usize {
        let mut attempts = 0;
        while self.inner.deliver_next().await.unwrap() {
            attempts += 1;
        }
        attempts
    }

    /// Moves the clock and polls the change feed, so that the gateway does not take its cache for stale.
    pub async fn later(&self, by: Duration) {
        self.sandbox.clock.forward(by);
        self.inner.catch_up_once().await.unwrap();
    }
}

/// Gives an account a state, with its event.
async fn mark(gateway: &TestGateway, name: &str, state: AccountState) {
    let stored = gateway.store.find_account("demo", gateway.id(name)).await.unwrap().unwrap();
    let now = gateway.sandbox.clock.now();
    let marked = gateway.store.update_account_state(&stored, state, "a test says so", "test", now);
    assert!(marked.await.unwrap());
}

fn names(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(event, name)| (format!("account.{event}"), (*name).to_owned())).collect()
}

fn read(listed: Vec<Result<Delivery, Unreadable>>) -> Vec<Delivery> {
    listed.into_iter().map(Result::unwrap).collect()
}
