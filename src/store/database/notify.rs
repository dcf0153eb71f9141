//! Notifications from PostgreSQL of changes, so that caches need not wait for their next poll.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::config::Pooler;
use crate::store::database::deadline::within;
use crate::store::database::dialect::On;
use crate::store::database::servers::Used;
use crate::store::{Error, Store};

pub(crate) const CHANNEL: &str = "countersign_change";

/// A dedicated connection that is notified of changes.
pub struct Wake {
    used: watch::Receiver<Used>,
    wait: Duration,
    listener: Option<PgListener>,
    /// When a silent connection is next checked for being alive.
    heartbeat: Interval,
}

impl Store {
    /// Listens for changes; `None` on SQLite, where a poll is cheap and nothing notifies, and behind a pooler, which
    /// would hand notifications to whoever has the connection next.
    pub async fn listen(&self) -> Result<Option<Wake>, Error> {
        let On::Postgres(servers) = &self.pools else { return Ok(None) };
        if servers.terms().pooler != Pooler::None {
            return Ok(None);
        }
        let mut heartbeat = interval(self.wait);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut wake = Wake { used: servers.used(), wait: self.wait, listener: None, heartbeat };
        wake.listener = Some(wake.listen().await?);
        Ok(Some(wake))
    }
}

impl Wake {
    /// Returns when something may have changed: on a notification, and after the connection was lost and
    /// restored, since one may have been missed. May be dropped while it waits. After an error, call it
    /// again later: it reconnects.
    pub async fn wait(&mut self) -> Result<(), Error> {
        let Some(listener) = &mut self.listener else {
            self.listener = Some(self.listen().await?);
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
                Ok(()) = self.used.changed() => Error::unavailable("another server is in use"),
            };
            self.listener = None;
            return Err(lost);
        }
    }

    async fn listen(&mut self) -> Result<PgListener, Error> {
        let options = self.used.borrow_and_update().pool.connect_options();
        listen(&options, self.wait).await
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
