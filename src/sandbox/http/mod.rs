//! The sandbox as a server: requests in, routed, struck by faults and recorded, replies out.

pub(super) mod call_log;
pub(super) mod errors;
pub(super) mod faults;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod routes;
pub(super) mod scripted;
pub(super) mod serve;
