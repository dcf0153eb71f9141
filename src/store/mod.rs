//! The only SQL: accounts, links, keys, bearer tokens, webhooks, authors of posts, usage, calls, the audit log, the
//! replicas that live and the change feed, on PostgreSQL or SQLite.
//!
//! Each query is written once, in the subset that both databases speak, and run by `on!` on the one that is there.
//! A mutation is one transaction: the row, its audit entry, and a change that tells every replica's caches.
//! Times are arguments and are kept in whole seconds, UTC. No error holds a bound value or a password.

mod account;
mod audit;
mod author;
mod backend;
mod bearer;
mod call;
mod change;
mod delivery;
mod delivery_log;
mod error;
mod event;
mod key;
mod last_call;
mod link;
mod name;
mod overview;
mod postgres;
mod recent;
mod replica;
mod schema;
mod seal;
mod session;
mod sqlite;
mod sums;
mod survey;
mod tally;
mod usage;
mod waiting;
mod wake;
mod webhook;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use account::{AccountFilter, NewAccount, StoredAccount, subject as account_subject};
pub use audit::AuditFilter;
pub use bearer::StoredBearer;
pub use call::CallFilter;
pub use change::{Change, Changes};
pub use delivery::{ClaimedDelivery, Outcome, StoredDelivery};
pub use delivery_log::DeliveryFilter;
pub use error::{Cause, Error};
pub use event::Prove;
pub use key::{KeyFilter, KeySearch, StoredKey};
pub use last_call::{Failure, LastCalls};
pub use link::{StoredHandshake, StoredLink};
pub use recent::RecentAccount;
pub use replica::Replica;
pub use schema::Schema;
pub use seal::Seals;
pub use session::StoredSession;
pub use sums::{Grain, UsageFilter, UsageRow};
pub use survey::{MOST_TOLD, UsageOfTime};
pub use usage::{UsageBatch, UsageWriter, UsedAccount};
pub use waiting::LinkFilter;
pub use wake::Wake;
pub use webhook::{Backlog, StoredWebhook};

use crate::config;
use crate::store::backend::{Lease, On, on};

/// Of so many connections one is for look-ups of what may not exist.
const SHARE: usize = 5;

/// A handle on the database; clones share its connections.
#[derive(Clone)]
pub struct Store {
    pools: On<PgPool, sqlite::Pools>,
    /// Turns of those who present keys and sessions that may be made up, so that they leave connections to others.
    strangers: Arc<Semaphore>,
    /// The same for links, and for what X sends browsers back with.
    links: Arc<Semaphore>,
    prover: event::Prover,
    /// The longest that a look-up on a request's path takes, all told.
    call_wait: Duration,
    /// The longest wait for a connection elsewhere.
    wait: Duration,
    /// The longest that anything else takes, all told.
    patience: Duration,
}

impl Store {
    /// Opens the database and proves that it answers. Creates a missing SQLite file for its owner alone.
    ///
    /// Whatever stops the first connection, a wrong password or a missing database too, is `Unavailable`.
    pub async fn connect(settings: &config::Database) -> Result<Store, Error> {
        Store::open(settings).await.map_err(|error| match error {
            Error::Query(cause) => Error::Unavailable(cause),
            other => other,
        })
    }

    async fn open(settings: &config::Database) -> Result<Store, Error> {
        let url = settings.url.expose();
        let pools = if url.starts_with("sqlite:") {
            On::Sqlite(sqlite::open(settings).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            On::Postgres(postgres::pool(settings, postgres::options(settings)?))
        } else {
            return Err(Error::settings("the URL must start with sqlite:// or postgres://"));
        };
        let patience = settings.wait + settings.statement_timeout * 2;
        let readers = match &pools {
            On::Postgres(_) => settings.connections,
            On::Sqlite(_) => sqlite::readers(settings),
        };
        let share = || Arc::new(Semaphore::new((readers as usize / SHARE).max(1)));
        let store = Store {
            pools,
            strangers: share(),
            links: share(),
            prover: event::Prover::default(),
            call_wait: settings.call_wait,
            wait: settings.wait,
            patience,
        };
        match (store.reader(store.wait).await, &store.pools) {
            (Ok(_), _) => Ok(store),
            (Err(error), On::Postgres(pool)) => {
                Err(postgres::locate(error, pool, store.call_wait).await)
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

    /// Whether the database answers and its server may be written to.
    pub async fn ping(&self) -> Result<(), Error> {
        self.short(async {
            let mut lease = self.reader(self.call_wait).await?;
            on!(&mut lease, it => sqlx::query("select 1").execute(&mut **it).await?.rows_affected());
            Ok(())
        })
        .await
    }

    /// Ends all connections, waiting a while for work in progress; what is asked for later gets `Unavailable`.
    pub async fn close(&self) {
        let closed = async {
            match &self.pools {
                On::Postgres(pool) => pool.close().await,
                On::Sqlite(pools) => {
                    pools.reads.close().await;
                    pools.writes.close().await;
                }
            }
            Ok(())
        };
        // What has not ended by then ends with the process.
        let _ = self.long(closed).await;
    }

    /// Work on a request's path.
    async fn short<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(self.call_wait, work).await
    }

    /// All other work.
    async fn long<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        within(self.patience, work).await
    }

    /// A connection to read with, within `limit`.
    async fn reader(&self, limit: Duration) -> Result<Lease, Error> {
        // Boxed, since connecting makes a large future that is seldom needed.
        let lease = Box::pin(async {
            Ok(match &self.pools {
                // Half of the shortest limit for a connection that is dead leaves half for another.
                On::Postgres(pool) => {
                    On::Postgres(postgres::lend(pool, self.call_wait.min(limit / 2)).await?)
                }
                On::Sqlite(pools) => On::Sqlite(pools.reads.acquire().await?),
            })
        });
        within(limit, lease).await
    }

    /// A connection to write with.
    async fn writer(&self) -> Result<Lease, Error> {
        match &self.pools {
            On::Postgres(_) => self.reader(self.wait).await,
            On::Sqlite(pools) => Ok(On::Sqlite(Box::pin(pools.writes.acquire()).await?)),
        }
    }
}

/// A pattern for `like … escape '!'`, which would take an underscore for any character.
fn holding(text: &str) -> String {
    let mark = |it: char| if matches!(it, '%' | '_' | '!') { vec!['!', it] } else { vec![it] };
    format!("%{}%", text.chars().flat_map(mark).collect::<String>())
}

/// As the store keeps it: UTC, without fractions of a second, which the two databases would order differently.
pub fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(time::UtcOffset::UTC).truncate_to_second()
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Error::unavailable("no answer in time")))
}
