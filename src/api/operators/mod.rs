//! The operators' API: its handlers, each beside its description.

pub(crate) mod accounts;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod overview;
pub(crate) mod usage;
pub(crate) mod webhooks;

use crate::api::openapi::operation::Operation;

/// The descriptions of all handlers, in the order in which they are shown.
pub(crate) fn operations() -> Vec<Operation> {
    let all = [
        overview::operations(),
        apps::operations(),
        accounts::operations(),
        keys::operations(),
        links::operations(),
        webhooks::operations(),
        calls::operations(),
        usage::operations(),
        audit::operations(),
    ];
    all.into_iter().flatten().collect()
}
