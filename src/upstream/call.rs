//! The answer to a call on the upstream, and the attempts and time it took.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};

use crate::model::call::{Attempt, Said};
use crate::upstream::body;
use crate::upstream::unpacked::Unpacked;
use crate::upstream::verdict::Verdict;

/// The upstream's answer, whole and unchanged.
#[derive(Clone)]
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

/// The effort of a call under way, which may be read from elsewhere meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    attempts: AtomicU32,
    /// 0 for none.
    status: AtomicU16,
    nanoseconds: AtomicU64,
    learnt: Mutex<Learnt>,
}

/// What is learnt of a call's requests, one by one.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    pub tries: Vec<Attempt>,
    /// What X said, if it refused the last one.
    pub said: Option<Said>,
}

impl Progress {
    pub fn effort(&self) -> UpstreamEffort {
        let status = self.status.load(Ordering::Relaxed);
        UpstreamEffort {
            attempts: self.attempts.load(Ordering::Relaxed),
            status: (status != 0).then_some(status),
            time: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)),
        }
    }

    pub fn set_status(&self, status: Option<u16>) {
        self.status.store(status.unwrap_or_default(), Ordering::Relaxed);
    }

    pub fn add_time(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What is learnt so far.
    pub fn learnt(&self) -> Learnt {
        self.learning().clone()
    }

    /// What X said, if it refused the last request.
    pub fn said(&self) -> Option<Said> {
        self.learning().said.clone()
    }

    pub fn set_said(&self, said: Option<Said>) {
        self.learning().said = said;
    }

    pub(super) fn begin_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.set_status(None);
        let mut learnt = self.learning();
        learnt.said = None;
        learnt.tries.push(Attempt::default());
    }

    pub(super) fn end_attempt(&self, time: Duration) {
        if let Some(last) = self.learning().tries.last_mut() {
            *last = Attempt { status: self.effort().status, time: Some(time) };
        }
    }

    fn learning(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
