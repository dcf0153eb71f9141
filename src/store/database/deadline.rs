//! The longest that work on the database takes.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::store::error::Error;

const TOO_LATE: &str = "no answer in time";

pub(in crate::store) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Error::unavailable(TOO_LATE)))
}

/// The same, by a time.
pub(in crate::store) async fn until<T>(
    end: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout_at(end, work).await.unwrap_or_else(|_| Err(Error::unavailable(TOO_LATE)))
}
