//! The caller of a question.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::gateway::browser::calls::MadeCalls;
use crate::gateway::browser::claims::Token;
use crate::gateway::key::KnownKey;
use crate::model::Freshness;

/// The caller's key and address, the id of the request, and what of it may be answered by what is known already.
#[derive(Clone)]
pub struct Caller {
    pub key: Arc<KnownKey>,
    pub from: IpAddr,
    pub request_id: Arc<str>,
    pub freshness: Freshness,
    /// For how long the oldest of the numbers that were kept was kept, once that is known.
    pub oldest: Arc<OnceLock<Duration>>,
    /// Calls to X that were made for it.
    pub made: MadeCalls,
    /// The token with which a page asks; `None` for services.
    pub token: Option<Arc<Token>>,
}

impl Caller {
    /// In whose turn it waits for the gateway: pages wait in their own.
    pub(in crate::gateway) fn turn(&self) -> &Arc<str> {
        self.key.turn_of(self.token.is_some())
    }
}
