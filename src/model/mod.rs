//! Plain values that every other module uses. No I/O and no serialisation: wire shapes belong to
//! the modules that own the wire.

pub mod account;
pub mod app;
pub mod audit;
pub mod browser;
pub mod call;
pub mod cause;
pub mod clock;
pub mod credential;
pub mod endpoint;
pub mod freshness;
pub mod grouping;
pub mod handshake;
pub mod key;
pub mod metric;
pub mod origin;
pub mod permission;
pub mod post;
pub mod quota;
pub mod secret;
pub mod suggestion;
pub mod tally;
pub mod usage;
pub mod webhook;

pub use crate::model::account::{Account, AccountRef, AccountState, UserId};
pub use crate::model::app::{App, AppOnly};
pub use crate::model::cause::Cause;
pub use crate::model::clock::{Clock, SetClock, SystemClock};
pub use crate::model::credential::AuthKind;
pub use crate::model::endpoint::Endpoint;
pub use crate::model::freshness::Freshness;
pub use crate::model::grouping::GroupBy;
pub use crate::model::metric::Metric;
pub use crate::model::origin::Origin;
pub use crate::model::secret::Secret;
