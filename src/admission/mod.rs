//! Which work may proceed, and with how much memory. All callers share one process: turns are dealt out fairly among
//! keys, and memory for answers is reserved before it is used.

mod memory;
mod turns;

pub use crate::admission::memory::{Held, Memory};
pub use crate::admission::turns::{Rules, Turn, Turns};
