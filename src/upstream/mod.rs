//! The only HTTP client: engagement calls, bearer minting, handshakes, account checks, look-ups of posts, events for
//! webhooks, and what can go wrong there.

mod body;
mod budget;
mod clock;
mod counted;
mod engage;
mod failure;
mod handshake;
mod lookup;
mod meter;
mod odd;
mod refusal;
mod relay;
mod retry_after;
mod skew;
mod token;
mod verdict;
mod webhook;

use std::sync::Arc;

use bytes::Bytes;
use time::{Duration, OffsetDateTime};

pub use hyper::{HeaderMap, StatusCode};

pub use crate::upstream::body::{PREPAID, Room};
pub use crate::upstream::handshake::{Granted, HandshakeError};
pub use crate::upstream::lookup::{LookUpError, MOST_LOOKED_UP};
pub use crate::upstream::refusal::Refusal;
pub use crate::upstream::token::{MintError, Profile, VerifyError};
pub use crate::upstream::verdict::Verdict;
pub use crate::upstream::webhook::{Message, NotReceived, TOTAL as LONGEST_SENDING};

use crate::config;
use crate::model::{App, Clock, Secret};
use crate::upstream::budget::Budget;
use crate::upstream::meter::Meters;
use crate::upstream::relay::Relay;
use crate::upstream::retry_after::retry_after;
use crate::upstream::skew::Skew;
use crate::upstream::webhook::Receivers;

/// The upstream as configured: its clients, what was learnt of its clock, and how many retries are left.
pub struct Upstream {
    relay: Relay,
    tokens: reqwest::Client,
    receivers: Receivers,
    api_url: String,
    limits: config::Limits,
    skew: Skew,
    asked: clock::Asked,
    budget: Budget,
    meters: Meters,
    clock: Arc<dyn Clock>,
}

/// A user's access token, opened. It lives here and in `gateway`, and nowhere else.
pub struct Token {
    pub token: Secret,
    pub secret: Secret,
}

/// What proves a call.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    Bearer(&'a Secret),
    TwoLegged(&'a App),
    User(&'a App, &'a Token),
}

/// The upstream's answer, whole and unchanged.
pub struct Answer {
    pub status: StatusCode,
    /// Those that may be relayed: type, date, quotas and when to come back.
    pub headers: HeaderMap,
    /// As it came.
    pub wire: Bytes,
    /// What a gzipped answer holds.
    pub unpacked: Option<Unpacked>,
    pub verdict: Verdict,
}

/// A decompressed body, of which only the beginning is kept: most are no longer than that.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    pub start: Bytes,
    pub length: usize,
}

/// What calls on the upstream have taken so far, whether they were answered or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub attempts: u32,
    /// Of the last attempt, once the answer's head came.
    pub status: Option<u16>,
    /// From the first attempt's start to the last byte of the answer.
    pub time: std::time::Duration,
}

impl Answer {
    /// The body without compression, or of a long one the beginning.
    pub fn text(&self) -> &Bytes {
        self.unpacked.as_ref().map_or(&self.wire, |it| &it.start)
    }

    /// How long the body is without compression.
    pub fn length(&self) -> usize {
        self.unpacked.as_ref().map_or(self.wire.len(), |it| it.length)
    }

    /// The whole body without compression.
    pub fn whole_text(&self) -> Bytes {
        match &self.unpacked {
            Some(unpacked) if unpacked.start.len() < unpacked.length => {
                body::inflate(&self.wire, unpacked.length)
            }
            _ => self.text().clone(),
        }
    }

    /// How long X says to wait before the same may work.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        retry_after(&self.headers)
    }
}

/// Why there is no answer. Sources never hold a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other answers occupy all memory that there is for them.
    #[error("there is no memory left for the answer")]
    NoMemory,
    #[error("X could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("X's answer was cut short: {0}")]
    CutShort(&'static str),
    #[error("X's answer is too large: {0}")]
    TooLarge(&'static str),
    #[error("X did not answer in time: {0}")]
    Timeout(&'static str),
    /// What it is instead, in words that name nothing secret.
    #[error("an answer that X does not give: {0}")]
    Odd(String),
}

/// Why the clients could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the TLS client could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} is not a URL that can be called")]
    Url(String),
}

impl Upstream {
    /// Makes the clients; nothing is connected yet.
    pub fn new(
        settings: &config::Upstream,
        webhooks: &config::Webhooks,
        limits: &config::Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Upstream, SetupError> {
        Ok(Upstream {
            relay: Relay::new(settings, limits, &clock)?,
            tokens: token::client(settings, limits)?,
            receivers: Receivers::new(webhooks),
            api_url: settings.api_url.clone(),
            limits: limits.clone(),
            skew: Skew::default(),
            asked: clock::Asked::default(),
            budget: Budget::new(limits, clock.instant()),
            meters: Meters::new(),
            clock,
        })
    }

    /// Seconds by which the upstream's clock is ahead of ours; `None` before any answer has told.
    pub fn clock_offset(&self) -> Option<i64> {
        self.skew.is_known().then(|| self.skew.seconds())
    }

    /// The time as the upstream has it: ours, corrected by what its answers told of its clock.
    pub fn now(&self) -> OffsetDateTime {
        let (now, ahead) = (self.clock.now(), Duration::seconds(self.skew.seconds()));
        now.checked_add(ahead).unwrap_or(now)
    }
}
