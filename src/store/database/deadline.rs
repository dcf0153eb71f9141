//! The longest that work on the database takes.

use std::time::Duration;

use tokio::time::timeout;

use crate::store::error::Error;

pub(in crate::store) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Error::unavailable("no answer in time")))
}
