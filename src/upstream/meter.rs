//! The counters of calls on the upstream, found once.

use hyper::StatusCode;
use metrics::{Counter, Histogram};

use crate::model::Endpoint;
use crate::upstream::Answer;
use crate::upstream::relay::Failure;

const OUTCOMES: [&str; 6] = ["2xx", "3xx", "4xx", "5xx", "unreachable", "failed"];

/// A meter for each endpoint.
pub(super) struct Meters([Meter; 3]);

pub(super) struct Meter {
    pub(super) seconds: Histogram,
    attempts: [Counter; OUTCOMES.len()],
}

impl Meters {
    pub(super) fn new() -> Meters {
        Meters(Endpoint::ALL.map(Meter::new))
    }

    pub(super) fn of(&self, endpoint: Endpoint) -> &Meter {
        let [totals, hours, historical] = &self.0;
        match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        }
    }
}

impl Meter {
    fn new(endpoint: Endpoint) -> Meter {
        let endpoint = endpoint.name();
        let counter = |outcome| metrics::counter!("countersign_upstream_attempts_total", "endpoint" => endpoint, "outcome" => outcome);
        Meter {
            seconds: metrics::histogram!("countersign_upstream_seconds", "endpoint" => endpoint),
            attempts: OUTCOMES.map(counter),
        }
    }

    pub(super) fn count(&self, outcome: &Result<Answer, Failure>) {
        let [success, redirect, refusal, failure, unreachable, failed] = &self.attempts;
        let counter = match outcome {
            Ok(Answer { status, .. }) if *status < StatusCode::MULTIPLE_CHOICES => success,
            Ok(Answer { status, .. }) if status.is_redirection() => redirect,
            Ok(Answer { status, .. }) if status.is_client_error() => refusal,
            Ok(_) => failure,
            Err(Failure::Retryable(_)) => unreachable,
            Err(Failure::Final(_)) => failed,
        };
        counter.increment(1);
    }
}
