//! Who may go on, and with how much memory. Everybody's work shares one process: turns are dealt out fairly among keys,
//! and what answers occupy is reserved before it is used.

mod memory;
mod turns;

pub use crate::admission::memory::{Held, Memory};
pub use crate::admission::turns::{Rules, Turn, Turns};
