//! A relayed call, from checking the request to returning the answer; `forward` is the heart.

pub(super) mod check;
pub(super) mod credential;
pub(super) mod forward;
pub(super) mod json;
pub(super) mod recent;
