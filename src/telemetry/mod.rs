//! Logs and metrics: what an operator sees of a running gateway. No secret and no unbounded label reaches either.

mod json;
mod logs;
mod metrics;

pub use logs::{LogGuard, log_panics, set_log_level, start_logs, start_logs_to, subscriber};
pub use metrics::{Metrics, start_metrics};
