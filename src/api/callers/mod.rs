//! The API for services: the relay, questions of any size, tokens for browsers, links, and what they may see of their
//! own keys.

pub(crate) mod accounts;
pub(crate) mod browser_tokens;
pub(crate) mod client_module;
pub(crate) mod engagement;
pub(crate) mod key;
pub(crate) mod links;
pub(crate) mod ndjson;
pub(crate) mod own;
pub(crate) mod relay;
pub(crate) mod usage;
