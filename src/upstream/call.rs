//! The answer to a call on the upstream, and the attempts and time it took.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use crate::upstream::body;
use crate::upstream::unpacked::Unpacked;
use crate::upstream::verdict::Verdict;

/// The upstream's answer, whole and unchanged.
pub struct Answer {
    pub status: StatusCode,
    /// The headers that may be relayed: type, date, quotas and when to retry.
    pub headers: HeaderMap,
    /// The body as it came.
    pub wire: Bytes,
    /// The content of a gzipped answer.
    pub unpacked: Option<Unpacked>,
    pub verdict: Verdict,
}

/// The attempts and time that calls on the upstream have taken so far, answered or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpstreamEffort {
    pub attempts: u32,
    /// The status of the last attempt, once the answer's head came.
    pub status: Option<u16>,
    /// From the first attempt's start to the last byte of the answer.
    pub time: Duration,
}

impl Answer {
    /// The uncompressed body, or the beginning of a long one.
    pub fn text(&self) -> &Bytes {
        self.unpacked.as_ref().map_or(&self.wire, |unpacked| &unpacked.start)
    }

    /// The length of the uncompressed body.
    pub fn length(&self) -> usize {
        self.unpacked.as_ref().map_or(self.wire.len(), |unpacked| unpacked.length)
    }

    /// The whole uncompressed body.
    pub fn whole_text(&self) -> Bytes {
        match &self.unpacked {
            Some(unpacked) if unpacked.start.len() < unpacked.length => {
                body::inflate(&self.wire, unpacked.length)
            }
            _ => self.text().clone(),
        }
    }
}
