//! The API for services: the relay, questions of any size, tokens for browsers, and links.

pub(crate) mod browser_tokens;
pub(crate) mod client_module;
pub(crate) mod engagement;
pub(crate) mod links;
pub(crate) mod ndjson;
pub(crate) mod relay;
