//! Faults on demand: their kinds, which one strikes a request, and how often each did.

mod fields;
mod respond;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use crate::sandbox::lock::held;

pub use respond::{Reset, respond};

const MOST_BOMB_MB: u32 = 4_096;

/// A fault as it is ordered. Fields that its kind does not use are ignored.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub kind: Kind,
    /// The prefix of the paths that it strikes; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How often it strikes; `None` for always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of an `{"errors":[{"code","message"}]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A body to send as it is, as HTML unless `headers` declare another type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// New values for fields of a form; null removes a field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Option<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// The decompressed size of a bomb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mb: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Status,
    /// A delay before the request is handled; other faults may strike after it.
    Delay,
    /// The answer is ready, but held until the faults are replaced.
    Hold,
    Hang,
    /// The connection is closed before any header.
    Reset,
    /// Half of the promised body, then the connection is closed.
    CutBody,
    /// Compressed, whatever the request accepts.
    Gzip,
    /// Well framed, but the compressed stream is cut.
    TruncatedGzip,
    WrongContentLength,
    Html,
    /// Status 200 and well framed, but the JSON is cut.
    BadJson,
    /// Other fields in the handshake's answers, and in the callbacks that it redirects to.
    Fields,
    SlowBody,
    GzipBomb,
}

impl Fault {
    /// The mistake in an order, if there is one.
    pub fn complaint(&self) -> Option<String> {
        let known_status = self.status.is_none_or(|status| (200..=599).contains(&status));
        let known_headers = self.headers.iter().all(|(name, value)| {
            name.parse::<HeaderName>().is_ok() && HeaderValue::try_from(value).is_ok()
        });
        match self.kind {
            _ if !known_status => Some("status is not between 200 and 599".to_owned()),
            _ if !known_headers => Some("headers are not valid".to_owned()),
            Kind::Status if self.status.is_none() && self.code.is_none() => {
                Some("a status fault needs status or code".to_owned())
            }
            Kind::Fields if self.fields.is_empty() => Some("fields are missing".to_owned()),
            Kind::Delay | Kind::SlowBody if self.ms.is_none() => Some("ms is missing".to_owned()),
            Kind::GzipBomb if self.mb.is_none_or(|mb| mb > MOST_BOMB_MB) => {
                Some(format!("mb is missing or above {MOST_BOMB_MB}"))
            }
            _ => None,
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or_default())
    }
}

/// A fault and how often it struck.
#[derive(Clone, Debug, Serialize)]
pub struct Ordered {
    #[serde(flatten)]
    pub fault: Fault,
    pub fired: u64,
}

/// The faults that strike one request: every delay, a hold, and the first other fault.
#[derive(Debug, Default)]
pub struct Strike {
    pub delays: Vec<Duration>,
    /// Signals when a held answer may be sent.
    pub held: Option<watch::Receiver<()>>,
    pub fault: Option<Fault>,
}

/// The faults in force.
#[derive(Default)]
pub struct Faults {
    list: Mutex<Vec<Ordered>>,
    replaced: watch::Sender<()>,
}

impl Faults {
    pub fn replace(&self, faults: Vec<Fault>) {
        *held(&self.list) = faults.into_iter().map(|fault| Ordered { fault, fired: 0 }).collect();
        self.replaced.send_replace(());
    }

    pub fn list(&self) -> Vec<Ordered> {
        held(&self.list).clone()
    }

    /// Returns the faults that strike a request for `path`, and counts them.
    pub fn strike(&self, path: &str) -> Strike {
        let mut strike = Strike::default();
        for Ordered { fault, fired } in held(&self.list).iter_mut() {
            let spent = fault.times.is_some_and(|times| *fired >= times);
            let elsewhere = fault.path.as_ref().is_some_and(|prefix| !path.starts_with(&**prefix));
            let goes_with_others = matches!(fault.kind, Kind::Delay | Kind::Hold);
            if spent || elsewhere || (strike.fault.is_some() && !goes_with_others) {
                continue;
            }
            *fired += 1;
            match fault.kind {
                Kind::Delay => strike.delays.push(fault.pause()),
                Kind::Hold => strike.held = Some(self.replaced.subscribe()),
                _ => strike.fault = Some(fault.clone()),
            }
        }
        strike
    }
}
