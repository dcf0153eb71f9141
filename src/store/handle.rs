//! A handle on the database: its connections, the turns on them, and how long work may take.

use crate::config::{self, Pooler};
use crate::store::database::deadline::within;
use crate::store::database::dialect::{Lease, On, Work};
use crate::store::database::query::{Query, Row, Rows};
use crate::store::database::servers::Servers;
use crate::store::database::sqlite;
use crate::store::error::Error;
use crate::store::webhook::prover::Prover;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One connection in this many is for look-ups of what may not exist, and for others that must not crowd out calls.
const SHARE: usize = 5;

/// How much slower than usual a connection may be that has been waited for patiently.
const SLOWER: u32 = 4;

/// A handle for a look-up that may take longer than others, with its turn.
pub struct PatientStore {
    pub store: Store,
    _turn: OwnedSemaphorePermit,
}

/// A handle on the database; clones share its connections.
#[derive(Clone)]
pub struct Store {
    pub(super) pools: On<Arc<Servers>, sqlite::Pools>,
    /// Turns for look-ups of keys and sessions that may be made up, so that these leave connections to others.
    pub(super) strangers: Arc<Semaphore>,
    /// The same for links, and for the tokens with which X sends browsers back.
    pub(super) links: Arc<Semaphore>,
    /// The same for look-ups on the path of requests that wait for a slow database.
    patient: Arc<Semaphore>,
    pub(super) prover: Prover,
    /// How many connections one of these kinds may use.
    share: usize,
    /// The longest that a look-up on a request's path may take in total.
    pub(super) call_wait: Duration,
    /// The longest that a connection may take to show that it is not dead.
    answer_wait: Duration,
    /// The longest wait for a connection elsewhere.
    pub(super) wait: Duration,
    /// The longest that anything else may take in total.
    pub(super) patience: Duration,
}

impl Store {
    /// Opens the database and proves that it answers. Creates a missing SQLite file for its owner alone.
    ///
    /// Anything that stops the first connection is `Unavailable`, even a wrong password or a missing database.
    pub async fn connect(settings: &config::Database) -> Result<Store, Error> {
        Store::open(settings).await.map_err(|error| match error {
            Error::Query(cause) => Error::Unavailable(cause),
            other => other,
        })
    }

    /// The same, but a missing SQLite file is an error and stays missing.
    pub async fn connect_existing(settings: &config::Database) -> Result<Store, Error> {
        if settings.url.expose().starts_with("sqlite:") {
            sqlite::require_file(settings)?;
        }
        Store::connect(settings).await
    }

    async fn open(settings: &config::Database) -> Result<Store, Error> {
        let url = settings.url.expose();
        let pools = if url.starts_with("sqlite:") {
            if settings.pooler != Pooler::None {
                return Err(Error::settings("database.pooler: SQLite has no pooler; remove it"));
            }
            On::Sqlite(sqlite::open(settings).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            On::Postgres(Servers::of(settings)?)
        } else {
            return Err(Error::settings("the URL must start with sqlite:// or postgres://"));
        };
        let patience = settings.wait + settings.statement_timeout * 2;
        let readers = match &pools {
            On::Postgres(_) => settings.connections,
            On::Sqlite(_) => sqlite::readers(settings),
        };
        let share = (readers as usize / SHARE).max(1);
        let turns = || Arc::new(Semaphore::new(share));
        let store = Store {
            pools,
            strangers: turns(),
            links: turns(),
            patient: turns(),
            share,
            prover: Prover::default(),
            call_wait: settings.call_wait,
            answer_wait: settings.call_wait,
            wait: settings.wait,
            patience,
        };
        match (store.reader(store.wait).await, &store.pools) {
            (Ok(On::Postgres(first)), On::Postgres(servers)) => {
                servers.check_pooler(first, store.wait).await?;
                Ok(store)
            }
            (Ok(_), _) => Ok(store),
            (Err(error), On::Postgres(servers)) => {
                Err(servers.explain(error, store.call_wait).await)
            }
            (Err(error), On::Sqlite(_)) => Err(error),
        }
    }

    /// `postgres` or `sqlite`.
    pub fn kind(&self) -> &'static str {
        match self.pools {
            On::Postgres(_) => "postgres",
            On::Sqlite(_) => "sqlite",
        }
    }

    /// How many connections may be used at a time by work that must not crowd out calls.
    pub fn share(&self) -> usize {
        self.share
    }

    /// The longest that a look-up on a request's path may take in total.
    pub fn call_wait(&self) -> Duration {
        self.call_wait
    }

    /// A handle whose look-ups on a request's path may take up to `limit`; `None` while others have all turns.
    pub fn patient(&self, limit: Duration) -> Option<PatientStore> {
        let turn = Arc::clone(&self.patient).try_acquire_owned().ok()?;
        let answer_wait = self.answer_wait.saturating_mul(SLOWER);
        // Not all of it at once: a connection that hangs is left for another one.
        let store = Store { call_wait: limit.min(self.wait), answer_wait, ..self.clone() };
        Some(PatientStore { store, _turn: turn })
    }

    /// Whether the database answers and its server accepts writes.
    pub async fn ping(&self) -> Result<(), Error> {
        let query = self.query("select 1");
        self.short(async { self.reader(self.call_wait).await?.execute(query).await.map(drop) })
            .await
    }

    /// Closes all connections, waiting a while for work in progress; later work gets `Unavailable`.
    pub async fn close(&self) {
        let closed = async {
            match &self.pools {
                On::Postgres(servers) => servers.close().await,
                On::Sqlite(pools) => {
                    pools.reads.close().await;
                    pools.writes.close().await;
                }
            }
            Ok(())
        };
        // Work still running then ends with the process.
        let _ = self.long(closed).await;
    }

    /// A query for the database in use.
    pub(super) fn query(&self, sql: &'static str) -> Query {
        self.pools.query(sql)
    }

    /// A query whose text depends on the number of its parameters.
    pub(super) fn query_of_many(&self, sql: String) -> Query {
        self.pools.query_of_many(sql)
    }

    pub(super) async fn fetch_all<R: Row>(&self, query: Query) -> Result<Vec<R>, Error> {
        self.rows(query).await?.read()
    }

    pub(super) async fn fetch_optional<R: Row>(&self, query: Query) -> Result<Option<R>, Error> {
        self.first_row(query).await?.read_first()
    }

    /// `fetch_all` on a request's path.
    pub(super) async fn fetch_all_for_call<R: Row>(&self, query: Query) -> Result<Vec<R>, Error> {
        self.rows_for_call(query).await?.read()
    }

    /// `fetch_optional` on a request's path.
    pub(super) async fn fetch_optional_for_call<R: Row>(
        &self,
        query: Query,
    ) -> Result<Option<R>, Error> {
        self.first_row_for_call(query).await?.read_first()
    }

    async fn rows(&self, query: Query) -> Result<Rows, Error> {
        self.read(|| async { self.reader(self.wait).await?.rows(query.clone()).await }).await
    }

    async fn first_row(&self, query: Query) -> Result<Rows, Error> {
        self.read(|| async { self.reader(self.wait).await?.first_row(query.clone()).await }).await
    }

    /// Runs work that only reads; again if its connection is lost or another server is in use.
    pub(super) async fn read<T, F>(&self, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.long(self.try_again(|| self.unless_moved(work()))).await
    }

    async fn rows_for_call(&self, query: Query) -> Result<Rows, Error> {
        let once = || {
            self.unless_moved(async {
                self.reader(self.call_wait).await?.rows(query.clone()).await
            })
        };
        self.short(self.try_again(once)).await
    }

    async fn first_row_for_call(&self, query: Query) -> Result<Rows, Error> {
        let once = || {
            self.unless_moved(async {
                self.reader(self.call_wait).await?.first_row(query.clone()).await
            })
        };
        self.short(self.try_again(once)).await
    }

    /// Work on a request's path.
    pub(super) async fn short<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        within(self.call_wait, work).await
    }

    /// All other work.
    pub(super) async fn long<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        within(self.patience, work).await
    }

    /// A connection to read with, within `limit`.
    pub(super) async fn reader(&self, limit: Duration) -> Result<Lease, Error> {
        // Boxed, since connecting makes a large future that is seldom needed.
        let lease = Box::pin(async {
            Ok(match &self.pools {
                On::Postgres(servers) => {
                    On::Postgres(servers.lend(self.answer_within(limit), false).await?)
                }
                On::Sqlite(pools) => On::Sqlite(pools.reads.acquire().await?),
            })
        });
        within(limit, lease).await
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Result<Work, Error> {
        match &self.pools {
            On::Postgres(servers) => {
                let lending = Box::pin(servers.lend(self.answer_within(self.wait), true));
                within(self.wait, lending).await.map(On::Postgres)
            }
            // A plain `begin` takes the lock at the first write, and then fails at once where it should wait.
            On::Sqlite(pools) => {
                Ok(On::Sqlite(Box::pin(pools.writes.begin_with("begin immediate")).await?))
            }
        }
    }

    /// Half of the shortest limit for a connection that is dead leaves half for another.
    fn answer_within(&self, limit: Duration) -> Duration {
        self.answer_wait.min(limit / 2)
    }
}
