//! JSON over HTTP: what services and operators ask, and its description.

pub(crate) mod audit_export;
pub(crate) mod callers;
pub mod openapi;
pub(crate) mod operators;
pub(crate) mod probes;
