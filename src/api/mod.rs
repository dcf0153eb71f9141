//! The JSON API over HTTP, for services and operators, and its description.

pub(crate) mod audit_export;
pub(crate) mod callers;
pub mod openapi;
pub(crate) mod operators;
pub(crate) mod probes;
