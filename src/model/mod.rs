//! Plain values that every other module speaks of. No I/O and no serialisation: wire shapes belong to
//! the modules that own the wire.

pub mod account;
pub mod app;
pub mod audit;
pub mod call;
pub mod clock;
pub mod credential;
pub mod endpoint;
pub mod grouping;
pub mod handshake;
pub mod key;
pub mod metric;
pub mod post;
pub mod secret;
pub mod usage;
pub mod webhook;

pub use account::{Account, AccountRef, AccountState, UserId};
pub use app::{App, AppOnly};
pub use clock::{Clock, SystemClock};
pub use credential::AuthKind;
pub use endpoint::Endpoint;
pub use grouping::GroupBy;
pub use metric::Metric;
pub use secret::Secret;
