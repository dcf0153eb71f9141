//! The PostgreSQL servers that a URL names: a pool of connections to the one in use, and the search for the one that
//! takes writes when that one is gone or no longer does.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::{self, Pooler};
use crate::store::Error;
use crate::store::database::pooler;
use crate::store::database::postgres::{self, Loan, Refused, Terms};
use crate::store::database::url::parameters::Target;

/// The pause between two searches.
const REST: Duration = Duration::from_millis(250);
/// The longest time for which connections to a server that was left are closed one by one.
const CLOSING: Duration = Duration::from_secs(5);
const READ_ONLY: &str = "the server is read-only";

pub(crate) struct Servers {
    /// In the URL's order; at least one.
    candidates: Vec<PgConnectOptions>,
    used: watch::Sender<Used>,
    search: watch::Sender<Search>,
    terms: Terms,
    connect_timeout: Duration,
}

/// The server in use.
#[derive(Clone)]
pub(crate) struct Used {
    /// Its place among the candidates.
    index: usize,
    /// How many pools there were before.
    number: u64,
    pub(crate) pool: PgPool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Search {
    Idle,
    Running,
    Resting,
}

impl Servers {
    /// Reads the URL; connects to nothing yet.
    pub(crate) fn of(settings: &config::Database) -> Result<Arc<Servers>, Error> {
        let Target { servers, connect_timeout } = Target::of(settings.url.expose())?;
        let terms = Terms::of(settings);
        let candidates: Vec<PgConnectOptions> =
            servers.into_iter().map(|options| terms.apply(options)).collect::<Result<_, _>>()?;
        let first =
            candidates.first().ok_or_else(|| Error::settings("database.url has no host"))?;
        let used = Used { index: 0, number: 0, pool: terms.pool(first.clone()) };
        Ok(Arc::new(Servers {
            used: watch::Sender::new(used),
            search: watch::Sender::new(Search::Idle),
            connect_timeout: connect_timeout.unwrap_or(settings.wait),
            candidates,
            terms,
        }))
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The server in use, and whether it is still that one.
    pub(crate) fn used(&self) -> watch::Receiver<Used> {
        self.used.subscribe()
    }

    /// Returns once the server in use is another one.
    pub(crate) async fn left(&self) {
        let mut used = self.used();
        let index = used.borrow_and_update().index;
        // The sender lives as long as `self`.
        let _ = used.wait_for(|used| used.index != index).await;
    }

    /// A connection as `postgres::lend` gives it, to another server if the one in use is gone or refuses writes and
    /// another one takes them.
    pub(crate) async fn lend(
        self: &Arc<Self>,
        answer_within: Duration,
        begins: bool,
    ) -> Result<Loan, Error> {
        let mut used = self.used();
        loop {
            let Used { index, number, pool } = used.borrow_and_update().clone();
            let refused = tokio::select! {
                lent = postgres::lend(&pool, &self.terms, answer_within, begins) => match lent {
                    Ok(loan) => return Ok(loan),
                    Err(refused) => refused,
                },
                () = self.moved(&mut used, answer_within) => continue,
            };
            let error = match refused {
                Refused::Failed(error) => error,
                Refused::ReadOnly => {
                    // The pool's other connections lead to the same server.
                    self.replace(index, |used| used.number == number && used.pool.size() > 1);
                    Error::unavailable(READ_ONLY)
                }
            };
            if self.candidates.len() > 1 {
                self.search();
                let mut search = self.search.subscribe();
                let _ = search.wait_for(|state| *state != Search::Running).await;
            }
            if used.borrow().index == index {
                return Err(error);
            }
        }
    }

    /// Returns once another server is in use; searches for one whenever `patience` was not enough for a connection.
    async fn moved(self: &Arc<Self>, used: &mut watch::Receiver<Used>, patience: Duration) {
        if self.candidates.len() == 1 {
            return std::future::pending().await;
        }
        loop {
            tokio::select! {
                _ = used.changed() => return,
                () = sleep(patience) => self.search(),
            }
        }
    }

    /// Searches in the background, unless that is being done or was just done.
    fn search(self: &Arc<Self>) {
        let starts = self.search.send_if_modified(|state| {
            let starts = *state == Search::Idle;
            if starts {
                *state = Search::Running;
            }
            starts
        });
        if !starts {
            return;
        }
        let servers = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(index) = servers.find_writable().await {
                servers.move_to(index);
            }
            servers.search.send_replace(Search::Resting);
            sleep(REST).await;
            servers.search.send_replace(Search::Idle);
        });
    }

    /// The first server to answer that it takes writes.
    async fn find_writable(&self) -> Option<usize> {
        let mut probes = JoinSet::new();
        for (index, options) in self.candidates.iter().cloned().enumerate() {
            let limit = self.connect_timeout;
            probes.spawn(async move {
                let answer = timeout(limit, postgres::takes_writes(&options)).await;
                matches!(answer, Ok(Ok(true))).then_some(index)
            });
        }
        while let Some(probed) = probes.join_next().await {
            if let Ok(Some(index)) = probed {
                return Some(index);
            }
        }
        None
    }

    fn move_to(&self, index: usize) {
        if self.replace(index, |used| used.index != index) {
            let server = self.candidates.get(index).map(place);
            tracing::warn!(server, "the database is now another server");
        }
    }

    /// Leaves all connections for new ones to this server, if the `Used` is one to leave.
    fn replace(&self, index: usize, leaves: impl Fn(&Used) -> bool) -> bool {
        let Some(options) = self.candidates.get(index) else { return false };
        let mut left = None;
        self.used.send_if_modified(|used| {
            if leaves(used) {
                let pool = self.terms.pool(options.clone());
                let new = Used { index, number: used.number + 1, pool };
                left = Some(std::mem::replace(used, new).pool);
            }
            left.is_some()
        });
        let Some(left) = left else { return false };
        tokio::spawn(async move { timeout(CLOSING, left.close()).await });
        true
    }

    /// Closes all connections, waiting for work in progress.
    pub(crate) async fn close(&self) {
        let pool = self.used.borrow().pool.clone();
        pool.close().await;
    }

    /// An error about the settings if they do not name a pooler that is there.
    pub(crate) async fn check_pooler(&self, first: Loan, limit: Duration) -> Result<(), Error> {
        if self.terms.pooler == Pooler::Transaction {
            return Ok(());
        }
        let options = self.used.borrow().pool.connect_options();
        pooler::check(first, &options, &self.terms, limit).await
    }

    /// Why there was no first connection, with each server's host and port. The pool retries a server that refuses
    /// until its time is up, and then reports only the timeout.
    pub(crate) async fn explain(&self, error: Error, limit: Duration) -> Error {
        let mut reasons = Vec::new();
        for options in &self.candidates {
            let cause = match timeout(limit, postgres::takes_writes(options)).await {
                Ok(Err(refused)) if pooler::refuses(&refused) => return pooler::unnamed(),
                Ok(Err(refused)) => Error::from(refused),
                Ok(Ok(false)) => Error::unavailable(READ_ONLY),
                Ok(Ok(true)) | Err(_) => error.clone(),
            };
            let cause = cause.source().map_or_else(|| cause.to_string(), ToString::to_string);
            reasons.push(format!("{}: {cause}", place(options)));
        }
        Error::unavailable(&reasons.join("; "))
    }
}

fn place(options: &PgConnectOptions) -> String {
    let host =
        options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
    format!("host {host}, port {}", options.get_port())
}
