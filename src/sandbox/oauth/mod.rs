//! Authorisation: how apps get access and lose it, and who holds a token.

pub(super) mod bearer;
pub(super) mod callback;
pub(super) mod connected_apps;
pub(super) mod consent;
pub(super) mod exchange;
pub(super) mod handshake;
pub(super) mod pages;
pub(super) mod profile;
