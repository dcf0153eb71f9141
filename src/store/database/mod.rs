//! The two databases: what each needs, and the dialect they share.

pub(super) mod attempts;
pub(super) mod changes;
pub(super) mod deadline;
pub(super) mod dialect;
pub(super) mod migrations;
pub(super) mod notify;
pub(super) mod pooler;
pub(super) mod postgres;
pub(super) mod query;
pub(super) mod servers;
pub(super) mod sqlite;
mod url;
