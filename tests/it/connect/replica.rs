//! A gateway that can crash: it has a runtime of its own, and everything it does ends with that, at any point.

use std::time::Duration;

use countersign::config;
use countersign::gateway::{Gateway, NewLink, UsageFilter};
use countersign::model::usage::Month;
use countersign::server::{self, Life, Listener, Listeners};
use countersign::store::Store;
use countersign::telemetry;
use countersign::vault::Vault;
use tokio::runtime::{Builder, Runtime};

use crate::gateway::{listen, settings};
use crate::upstream::TestSandbox;

/// The proxy in front of all replicas, as far as links and X know.
pub const PUBLIC_URL: &str = "http://localhost";

pub struct Replica {
    runtime: Option<Runtime>,
    gateway: Gateway,
    url: String,
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Replica {
    /// On a database that is already migrated.
    pub async fn open(sandbox: &TestSandbox, database: &config::Database) -> Replica {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = settings(sandbox, database);
        config.connect.public_url = Some(PUBLIC_URL.to_owned());
        config.database.connections = 2;
        let clock = sandbox.clock.clone();
        let opening = runtime.spawn(async move {
            let ((callers, url), (operators, _)) = (listen().await, listen().await);
            let store = Store::connect(&config.database).await.unwrap();
            let vault = Vault::new(&config.vault).unwrap();
            let gateway = Gateway::new(&config, store, vault, clock.clone()).unwrap();
            let (served, life) = (gateway.clone(), Life::default());
            let callers = Listener::new(callers, &config.server.trusted_proxies);
            let operators = Listener::new(operators, &config.admin.trusted_proxies);
            tokio::spawn(async move {
                let (limits, metrics) = (&config.limits, telemetry::start_metrics());
                let listeners = Listeners { callers, operators, front: None };
                server::serve(listeners, served, metrics, limits, clock, life).await;
            });
            (gateway, url)
        });
        let (gateway, url) = opening.await.unwrap();
        Replica { runtime: Some(runtime), gateway, url }
    }

    /// Ends it at once; it never sees the answers that it waited for.
    pub async fn crash(mut self) {
        let runtime = self.runtime.take().unwrap();
        let ended =
            tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(30)));
        ended.await.unwrap();
    }

    /// The same path on this replica.
    pub fn at(&self, url: &str) -> String {
        url.replacen(PUBLIC_URL, &self.url, 1)
    }

    /// Writes what it has counted, without marking it as complete.
    pub async fn write_usage(&self) {
        let gateway = self.gateway.clone();
        let month = Month::of(time::OffsetDateTime::UNIX_EPOCH);
        let asking = async move { gateway.get_usage_report(&UsageFilter::default(), month).await };
        assert!(self.runtime.as_ref().unwrap().spawn(asking).await.unwrap().is_ok());
    }

    /// Reports how many calls it has counted, without writing any of them.
    pub async fn write_call_count(&self) {
        let gateway = self.gateway.clone();
        let telling = async move { gateway.write_call_count().await };
        assert!(self.runtime.as_ref().unwrap().spawn(telling).await.unwrap().is_ok());
    }

    pub async fn link(&self, new: NewLink) -> String {
        let gateway = self.gateway.clone();
        let making = async move { gateway.create_link(new, "test").await.unwrap() };
        let made = self.runtime.as_ref().unwrap().spawn(making).await.unwrap();
        made.url.expose().to_owned()
    }
}
