//! Questions of all kinds, drawn at random where a table of cases would miss some.

mod dice;
mod leaves;
mod merging;
mod planning;
mod reading;

use time::OffsetDateTime;
use time::macros::datetime;

use crate::gateway::question::Limits;

const NOW: OffsetDateTime = datetime!(2026-06-15 12:34:56 UTC);
const LIMITS: Limits = Limits { posts: 10_000, days: 365, leaves: 5_000_000 };
