//! Transactions: each is tried again where the database rolled it back or its connection was lost, and none is reported
//! as failed whose commit got no answer before the database was asked how it ended.

use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::{Sqlite, Transaction};
use tokio::time::{sleep, timeout};

use crate::store::database::deadline::{until, within};
use crate::store::database::dialect::{On, Work};
use crate::store::database::postgres::{Loan, TransactionId};
use crate::store::database::query::Query;
use crate::store::error::Cause;
use crate::store::{Error, Store};

/// How often work is tried. Of transactions that are in each other's way, one gets through each time.
const MOST_ATTEMPTS: u32 = 20;
/// How much longer the pause is after each further attempt.
const PAUSE: Duration = Duration::from_millis(2);
/// How many connections one piece of work may lose: it may itself be what crashes the server.
const MOST_LOST: u32 = 5;
/// How much longer the pause is after each further connection that was lost.
const PAUSE_WHEN_LOST: Duration = Duration::from_millis(50);
/// The pause before the database is asked again how a transaction ended.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Store {
    /// Runs `body`, which begins a transaction and gives it back with a result, and commits. `body` is run again if what
    /// it did is rolled back, or its connection lost before the commit. Within `patience`, but for the commit.
    pub(in crate::store) async fn write<T, F>(&self, body: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<(Work, T), Error>>,
    {
        self.write_within(self.patience, body).await
    }

    /// `write` for a body that may take longer.
    pub(in crate::store) async fn write_within<T, F>(
        &self,
        limit: Duration,
        body: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<(Work, T), Error>>,
    {
        let end = sleep(limit).deadline();
        self.try_again(|| async {
            let (work, value) = until(end, self.unless_moved(body())).await?;
            self.commit(work).await?;
            Ok(value)
        })
        .await
    }

    /// Runs a query that writes; returns the number of rows that it affected.
    pub(in crate::store) async fn execute(&self, query: Query) -> Result<u64, Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            let affected = work.execute(query.clone()).await?;
            Ok((work, affected))
        })
        .await
    }

    /// Does work again that the database rolled back, in favour of other work or because a connection was lost. Where the
    /// loss of a connection leaves a commit in doubt, the work must say so with another error.
    pub(in crate::store) async fn try_again<T, F>(&self, work: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (mut attempts, mut lost) = (0, 0);
        loop {
            let error = match work().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempts += 1;
            lost += u32::from(error.is_lost_session());
            match error {
                Error::RolledBack(_) if attempts < MOST_ATTEMPTS => {
                    sleep(PAUSE * (attempts - 1)).await;
                }
                Error::RolledBack(cause) => return Err(Error::Unavailable(cause)),
                error if error.is_lost_session() && lost < MOST_LOST => {
                    sleep(PAUSE_WHEN_LOST * (lost - 1)).await;
                }
                error => return Err(error),
            }
        }
    }

    /// Commits; an error means that nothing was written, unless it is `OutcomeUnknown`.
    pub(in crate::store) async fn commit(&self, work: Work) -> Result<(), Error> {
        match work {
            On::Sqlite(transaction) => commit_file(transaction, self.patience).await,
            On::Postgres(loan) => self.commit_loan(loan).await,
        }
    }

    async fn commit_loan(&self, mut loan: Loan) -> Result<(), Error> {
        let identifying = self.unless_moved(async { Ok(loan.transaction().await?) });
        let id = within(self.patience, identifying).await?;
        let Some(id) = id else { return Ok(()) };
        let committing = self.unless_moved(async { Ok(loan.commit().await) });
        let lost = match within(self.patience, committing).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if is_refusal(&error) => return Err(error.into()),
            Ok(Err(error)) => error.into(),
            Err(error) => error,
        };
        loan.discard();
        self.find_outcome(&id, lost.into_cause()).await
    }

    /// How a transaction ended whose commit got no answer.
    async fn find_outcome(&self, id: &TransactionId, lost: Cause) -> Result<(), Error> {
        let asking = async {
            loop {
                match self.find_state(id).await {
                    Ok(Some(state)) if state == "committed" => return Ok(()),
                    Ok(Some(state)) if state == "aborted" => {
                        return Err(Error::RolledBack(lost.clone()));
                    }
                    Ok(None) => return Err(Error::OutcomeUnknown(lost.clone())),
                    // It is in progress, or the server is not back yet.
                    Ok(Some(_)) | Err(_) => sleep(ASK_AGAIN).await,
                }
            }
        };
        let found = timeout(self.patience, asking).await;
        found.unwrap_or_else(|_| Err(Error::OutcomeUnknown(lost.clone())))
    }

    /// `committed`, `aborted` or `in progress`; `None` if the server cannot tell.
    async fn find_state(&self, id: &TransactionId) -> Result<Option<String>, Error> {
        const INVALID_PARAMETER: &str = "22023";
        let On::Postgres(mut loan) = self.reader(self.wait).await? else { return Ok(None) };
        match loan.state_of(id).await {
            Ok(state) => Ok(state),
            // A server that was promoted has not given this number yet, so it never heard of the transaction.
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| code == INVALID_PARAMETER) =>
            {
                Ok(Some("aborted".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does uncommitted work, and leaves it once another server is in use: the former one may never answer.
    pub(in crate::store) async fn unless_moved<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        // Boxed, since every future that queries would have room for it several times.
        let work = Box::pin(work);
        let On::Postgres(servers) = &self.pools else { return work.await };
        tokio::select! {
            done = work => done,
            () = servers.left() => {
                Err(Error::RolledBack(Cause::new("another server is in use")))
            }
        }
    }
}

/// Commits in a task of its own, since SQLite commits whether anybody waits for it or not.
async fn commit_file(
    transaction: Transaction<'static, Sqlite>,
    patience: Duration,
) -> Result<(), Error> {
    let committing = tokio::spawn(transaction.commit());
    match timeout(patience, committing).await {
        Ok(Ok(ended)) => Ok(ended?),
        Ok(Err(_)) | Err(_) => Err(Error::OutcomeUnknown(Cause::new("no answer in time"))),
    }
}

/// Whether the server itself says that it did not commit.
fn is_refusal(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    let error = error.and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    // A session that ends, or a pooler that lost its server, says nothing of the transaction.
    error.is_some_and(|error| {
        error.severity() == PgSeverity::Error && !error.code().starts_with("08")
    })
}
