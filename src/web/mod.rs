//! What every answer over HTTP shares: extractors, the presented key, negotiation, problems, logging, the listener.

pub(crate) mod body;
pub(crate) mod call_metrics;
pub(crate) mod client_address;
mod connection;
pub(crate) mod connection_limits;
pub(crate) mod cookie;
pub(crate) mod cross_origin;
pub(crate) mod extract;
pub(crate) mod fixed;
pub(crate) mod freshness;
pub(crate) mod host;
pub(crate) mod host_names;
pub(crate) mod html;
pub mod lifecycle;
pub mod listen;
pub(crate) mod negotiation;
pub(crate) mod observe;
mod pacing;
pub(crate) mod paging;
pub(crate) mod presented_key;
pub(crate) mod problem;
pub(crate) mod quota;
pub(crate) mod streaming;
mod unread;
