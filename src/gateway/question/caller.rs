//! The caller of a question.

use std::net::IpAddr;
use std::sync::Arc;

use crate::gateway::key::KnownKey;

/// The caller's key and address, and the id of the request.
#[derive(Clone)]
pub struct Caller {
    pub key: Arc<KnownKey>,
    pub from: IpAddr,
    pub request_id: Arc<str>,
}
