//! The counters of calls on the upstream, looked up once.

use hyper::StatusCode;
use metrics::{Counter, Histogram};

use crate::model::Endpoint;
use crate::upstream::pool::Failure;

const OUTCOMES: [&str; 6] = ["2xx", "3xx", "4xx", "5xx", "unreachable", "failed"];

/// A meter for each endpoint, and one for looking posts up.
pub(super) struct Meters {
    engagement: [Meter; 3],
    pub(super) lookup: Meter,
}

pub(super) struct Meter {
    pub(super) seconds: Histogram,
    /// Attempts lost to a closed connection.
    pub(super) replaced: Counter,
    attempts: [Counter; OUTCOMES.len()],
}

impl Meters {
    pub(super) fn new() -> Meters {
        Meters {
            engagement: Endpoint::ALL.map(|endpoint| Meter::new(endpoint.name())),
            lookup: Meter::new("lookup"),
        }
    }

    pub(super) fn of(&self, endpoint: Endpoint) -> &Meter {
        let [totals, hours, historical] = &self.engagement;
        match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        }
    }
}

impl Meter {
    fn new(endpoint: &'static str) -> Meter {
        let counter = |outcome| metrics::counter!("countersign_upstream_attempts_total", "endpoint" => endpoint, "outcome" => outcome);
        Meter {
            seconds: metrics::histogram!("countersign_upstream_seconds", "endpoint" => endpoint),
            replaced: metrics::counter!("countersign_upstream_lost_connections_total", "endpoint" => endpoint),
            attempts: OUTCOMES.map(counter),
        }
    }

    pub(super) fn count(&self, outcome: Result<StatusCode, &Failure>) {
        let [success, redirect, refusal, failure, unreachable, failed] = &self.attempts;
        let counter = match outcome {
            Ok(status) if status < StatusCode::MULTIPLE_CHOICES => success,
            Ok(status) if status.is_redirection() => redirect,
            Ok(status) if status.is_client_error() => refusal,
            Ok(_) => failure,
            Err(Failure::Lost(_) | Failure::Retryable(_)) => unreachable,
            Err(Failure::Final(_)) => failed,
        };
        counter.increment(1);
    }
}
