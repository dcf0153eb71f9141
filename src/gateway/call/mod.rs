//! A relayed call, from checking the request to returning the answer; `forward` is the heart.

pub(super) mod check;
pub(super) mod credential;
pub(super) mod forward;
pub(super) mod json;
mod make;
pub(super) mod recent;
pub(super) mod share;
pub(super) mod trace;
