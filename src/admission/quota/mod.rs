//! X's quotas, shared out among keys. A call takes a permit from its pool before it is made, and its answer says how much
//! X has left. Whoever cannot be served in time is refused at once.

mod lane;
mod lanes;
mod pages;
mod pool;
mod seconds;
mod shares;
mod state;
#[cfg(test)]
mod tests;
mod uses;
mod wanted;
mod window;
mod x_clock;

pub use crate::admission::quota::lanes::Class;
pub use crate::admission::quota::pool::{Permit, Pool};
pub use crate::admission::quota::shares::Division;
pub use crate::admission::quota::state::{Level, Portion};
pub use crate::admission::quota::wanted::{Exhausted, Patience, Wanted};
