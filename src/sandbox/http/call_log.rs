//! The log of calls: the latest ones in order, and counters by path and by run-time change that made calls fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use serde::Serialize;

use crate::sandbox::auth::credentials::Credentials;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::lock::held;

/// The most calls that are kept; older ones are dropped.
const MOST_CALLS: usize = 10_000;
/// Paths beyond these are counted together, so that a scan does not grow the map.
const MOST_PATHS: usize = 1_000;

/// A run-time change, other than a fault, because of which a call was refused that would have been accepted.
#[derive(Clone, Copy, Debug)]
pub enum BrokenBy {
    /// The user's token was revoked.
    RevokedToken,
    /// The bearer token was replaced by another.
    RotatedBearer,
    /// The timestamp would be right without the clock's offset.
    ClockOffset,
}

impl BrokenBy {
    /// Its name among the counters; it differs from paths, which begin with a slash.
    const fn name(self) -> &'static str {
        match self {
            BrokenBy::RevokedToken => "revoked_token",
            BrokenBy::RotatedBearer => "rotated_bearer",
            BrokenBy::ClockOffset => "clock_offset",
        }
    }
}

/// One call as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    pub path: String,
    pub query: Option<String>,
    pub method: String,
    pub auth_kind: &'static str,
    pub consumer_key: Option<String>,
    pub token: Option<String>,
    pub nonce: Option<String>,
    pub timestamp: Option<String>,
    /// Names in the order received.
    pub headers: Vec<String>,
    pub header_values: BTreeMap<String, String>,
    pub body: String,
    /// `None` while the call is in flight, and if it never got an answer.
    pub status: Option<u16>,
}

/// The position of a call in the log.
#[derive(Clone, Copy)]
pub struct Ticket(u64);

/// The log of calls.
#[derive(Default)]
pub struct Calls {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// How many calls arrived before the oldest one kept.
    gone: u64,
    kept: VecDeque<Call>,
    counts: BTreeMap<String, u64>,
}

impl Calls {
    pub fn record(&self, arrival: &Arrival) -> Ticket {
        let call = Call::of(arrival);
        let mut log = held(&self.log);
        let is_known = log.counts.contains_key(&call.path) || log.counts.len() < MOST_PATHS;
        let path = if is_known { call.path.clone() } else { "other".to_owned() };
        *log.counts.entry(path).or_default() += 1;
        if log.kept.len() == MOST_CALLS {
            log.kept.pop_front();
            log.gone += 1;
        }
        log.kept.push_back(call);
        Ticket(log.gone + log.kept.len() as u64 - 1)
    }

    pub fn count_broken(&self, by: BrokenBy) {
        *held(&self.log).counts.entry(by.name().to_owned()).or_default() += 1;
    }

    pub fn answered(&self, ticket: Ticket, status: u16) {
        let mut log = held(&self.log);
        let place = ticket.0.checked_sub(log.gone).and_then(|offset| usize::try_from(offset).ok());
        if let Some(call) = place.and_then(|place| log.kept.get_mut(place)) {
            call.status = Some(status);
        }
    }

    /// Calls whose path begins with `prefix`, in order of arrival.
    pub fn list(&self, prefix: &str) -> Vec<Call> {
        held(&self.log).kept.iter().filter(|call| call.path.starts_with(prefix)).cloned().collect()
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        held(&self.log).counts.clone()
    }

    /// Forgets all calls; earlier tickets find nothing.
    pub fn clear(&self) {
        let mut log = held(&self.log);
        log.gone += log.kept.len() as u64;
        log.kept.clear();
        log.counts.clear();
    }
}

impl Call {
    fn of(arrival: &Arrival) -> Call {
        let named = |name: &str| match &arrival.credentials {
            Credentials::OAuth(signed) if signed.has(name) => Some(signed.get(name).to_owned()),
            _ => None,
        };
        let (consumer_key, token) = match &arrival.credentials {
            Credentials::Basic { key, .. } => (Some(key.clone()), None),
            Credentials::Bearer(token) => (None, Some(token.clone())),
            _ => (named("oauth_consumer_key"), named("oauth_token")),
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Call {
            path: arrival.path.clone(),
            query: arrival.query.clone(),
            method: arrival.method.clone(),
            auth_kind: arrival.credentials.kind(),
            consumer_key,
            token,
            nonce: named("oauth_nonce"),
            timestamp: named("oauth_timestamp"),
            headers: arrival.headers.keys().map(ToString::to_string).collect(),
            header_values: arrival
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
                .collect(),
            body: text(&arrival.body),
            status: None,
        }
    }
}
