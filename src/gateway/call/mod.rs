//! A relayed call, from what is checked to what goes back; `forward` is the heart.

pub(super) mod check;
pub(super) mod credential;
pub(super) mod forward;
pub(super) mod json;
pub(super) mod recent;
