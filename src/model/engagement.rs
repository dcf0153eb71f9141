//! An engagement request as the upstream understands it, after every rule that can be checked here has held.

use time::{Duration, OffsetDateTime};

use crate::model::{GroupBy, Metric};

/// The longest span of a historical request.
pub const MAX_WINDOW: Duration = Duration::days(28);

/// What a caller asks of one endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub post_ids: Vec<u64>,
    pub metrics: Vec<Metric>,
    pub groupings: Vec<Grouping>,
    /// What a historical request names; either end may be left to the upstream.
    pub start: Option<OffsetDateTime>,
    pub end: Option<OffsetDateTime>,
}

/// One named nesting of the results.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grouping {
    pub name: String,
    pub levels: Vec<GroupBy>,
}
