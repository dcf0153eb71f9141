//! The API for services: the relay, questions of any size, and links.

pub(crate) mod engagement;
pub(crate) mod links;
pub(crate) mod ndjson;
pub(crate) mod relay;
