//! Which work may proceed, and with how much memory and quota. All callers share one process: turns are dealt out fairly
//! among keys, memory for answers is reserved before it is used, X's quotas are shared out by weight, and keys and pages
//! have limits of their own.

mod breaker;
mod key_limits;
mod memory;
mod page_calls;
mod page_limits;
pub mod quota;
mod turns;

pub use crate::admission::breaker::{Attempts, Breaker, Trial, Turned};
pub use crate::admission::key_limits::{Handled, KeyLimiter, OverLimit, divide_limit};
pub use crate::admission::memory::{Held, Memory};
pub use crate::admission::page_calls::{
    LimitedToken, NoCalls, PageCalls, ReservedCalls, WrittenCalls,
};
pub use crate::admission::page_limits::{OverPageLimit, PageLimit, PageLimiter, PageQuestion};
pub use crate::admission::turns::{Rules, Turn, Turns};
