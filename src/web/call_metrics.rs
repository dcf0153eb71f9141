//! The counters of relayed calls, found once: looking them up by their labels for every call would cost more than
//! counting.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Counter, Histogram};

use crate::model::{AuthKind, Endpoint};

/// Statuses with counters of their own: those that the reference names. The upstream may send any.
const STATUSES: [(u16, &str); 18] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (406, "406"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (299, "2xx"),
    (399, "3xx"),
    (499, "4xx"),
    (999, "5xx"),
];

/// A meter for each endpoint and each kind of credentials, or none.
pub(crate) struct Meters([[Meter; 3]; 3]);

pub(crate) struct Meter {
    endpoint: &'static str,
    auth: &'static str,
    seconds: Histogram,
    own: Histogram,
    statuses: [OnceLock<Counter>; STATUSES.len()],
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let kinds = [None, Some(AuthKind::AppOnly), Some(AuthKind::UserContext)];
        Meters(Endpoint::ALL.map(|endpoint| kinds.map(|auth| Meter::new(endpoint, auth))))
    }

    pub(crate) fn of(&self, endpoint: Endpoint, auth: Option<AuthKind>) -> &Meter {
        let [totals, hours, historical] = &self.0;
        let [none, app, user] = match endpoint {
            Endpoint::Totals => totals,
            Endpoint::TwentyEightHours => hours,
            Endpoint::Historical => historical,
        };
        match auth {
            None => none,
            Some(AuthKind::AppOnly) => app,
            Some(AuthKind::UserContext) => user,
        }
    }
}

impl Meter {
    fn new(endpoint: Endpoint, auth: Option<AuthKind>) -> Meter {
        let (endpoint, auth) = (endpoint.name(), auth.map_or("none", AuthKind::name));
        Meter {
            endpoint,
            auth,
            seconds: metrics::histogram!("countersign_call_seconds", "endpoint" => endpoint, "auth" => auth),
            own: metrics::histogram!("countersign_gateway_seconds"),
            statuses: Default::default(),
        }
    }

    /// Counts one call: the status it ended with, how long it took, and the gateway's own share of that.
    pub(crate) fn count(&self, status: StatusCode, elapsed: Duration, own: Duration) {
        let code = status.as_u16();
        let exact = STATUSES.iter().position(|status| status.0 == code);
        let class =
            || STATUSES.iter().skip(14).position(|status| code <= status.0).map(|index| index + 14);
        let found = exact.or_else(class).unwrap_or_default();
        if let (Some(counter), Some((_, label))) = (self.statuses.get(found), STATUSES.get(found)) {
            let (endpoint, auth) = (self.endpoint, self.auth);
            let make = || {
                metrics::counter!(
                    "countersign_calls_total", "endpoint" => endpoint, "auth" => auth, "status" => *label
                )
            };
            counter.get_or_init(make).increment(1);
        }
        self.seconds.record(elapsed.as_secs_f64());
        self.own.record(own.as_secs_f64());
    }
}
