//! What comes back from a call on the upstream, and what it took.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use crate::upstream::body;
use crate::upstream::retry_after::retry_after;
use crate::upstream::unpacked::Unpacked;
use crate::upstream::verdict::Verdict;

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

/// What calls on the upstream have taken so far, whether they were answered or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub attempts: u32,
    /// Of the last attempt, once the answer's head came.
    pub status: Option<u16>,
    /// From the first attempt's start to the last byte of the answer.
    pub time: Duration,
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
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}
