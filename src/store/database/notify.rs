//! Notifications from PostgreSQL of changes, so that caches need not wait for their next poll.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::store::database::deadline::within;
use crate::store::database::dialect::On;
use crate::store::{Error, Store};

pub(crate) const CHANNEL: &str = "countersign_change";

/// A dedicated connection that is notified of changes.
pub struct Wake {
    options: PgConnectOptions,
    wait: Duration,
    listener: Option<PgListener>,
    /// When a silent connection is next checked for being alive.
    heartbeat: Interval,
}

impl Store {
    /// Listens for changes; `None` on SQLite, where a poll is cheap and nothing notifies.
    pub async fn listen(&self) -> Result<Option<Wake>, Error> {
        let On::Postgres(pool) = &self.pools else { return Ok(None) };
        let options = pool.connect_options().as_ref().clone();
        let listener = Some(listen(&options, self.wait).await?);
        let mut heartbeat = interval(self.wait);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Ok(Some(Wake { options, wait: self.wait, listener, heartbeat }))
    }
}

impl Wake {
    /// Returns when something may have changed: on a notification, and after the connection was lost and
    /// restored, since one may have been missed. May be dropped while it waits. After an error, call it
    /// again later: it reconnects.
    pub async fn wait(&mut self) -> Result<(), Error> {
        let Some(listener) = &mut self.listener else {
            self.listener = Some(listen(&self.options, self.wait).await?);
            return Ok(());
        };
        loop {
            let lost = tokio::select! {
                word = listener.try_recv() => match word {
                    Ok(Some(_)) => return Ok(()),
                    Ok(None) => Error::unavailable("the listening connection was lost"),
                    Err(error) => error.into(),
                },
                _ = self.heartbeat.tick() => match beat(listener, self.wait).await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            };
            self.listener = None;
            return Err(lost);
        }
    }
}

async fn beat(listener: &mut PgListener, wait: Duration) -> Result<(), Error> {
    within(wait, async { Ok(sqlx::query("select 1").execute(listener).await.map(drop)?) }).await
}

/// Its pool has this one connection and is new each time: a hung connection would keep its place in the old pool.
async fn listen(options: &PgConnectOptions, wait: Duration) -> Result<PgListener, Error> {
    let pool: PgPool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(wait)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options.clone());
    let listening = timeout(wait, async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    });
    Ok(listening.await.map_err(|_| Error::unavailable("no answer in time"))??)
}
