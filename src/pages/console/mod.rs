//! The console: pages for admins on the operators' listener. People who are not signed in are sent to the sign-in page,
//! and forms are accepted from our own pages alone.

pub(crate) mod accounts;
pub(crate) mod address;
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod colours;
pub(crate) mod explore;
pub(crate) mod form;
pub(crate) mod form_errors;
pub(crate) mod guard;
pub(crate) mod keys;
pub(crate) mod layout;
pub(crate) mod links;
pub(crate) mod listing;
pub(crate) mod overview;
pub(crate) mod sign_in;
pub(crate) mod start;
pub(crate) mod usage;
pub(crate) mod webhooks;
