//! Which work may proceed, and with how much memory and quota. All callers share one process: turns are dealt out fairly
//! among keys, memory for answers is reserved before it is used, and X's quotas are shared out by weight.

mod memory;
pub mod quota;
mod turns;

pub use crate::admission::memory::{Held, Memory};
pub use crate::admission::turns::{Rules, Turn, Turns};
