//! The only HTTP client: engagement calls, bearer minting, handshakes, account checks, look-ups of posts, events for
//! webhooks, and what can go wrong there.

mod body;
mod budget;
mod call;
mod client;
mod clock;
mod counted;
mod credential;
mod engage;
mod error;
mod exchange;
mod failure;
mod handshake;
mod lookup;
mod meter;
mod mint;
mod odd;
mod pool;
mod quotas;
mod receivers;
mod refusal;
mod said;
mod skew;
mod time_requests;
mod tls;
mod unpacked;
mod verdict;
mod verify;
mod webhook;

pub use crate::upstream::body::{PREPAID, Room};
pub use crate::upstream::call::{Answer, Learnt, Progress, UpstreamEffort};
pub use crate::upstream::client::Upstream;
pub use crate::upstream::credential::{Credential, Token};
pub use crate::upstream::engage::MostTries;
pub use crate::upstream::error::{Error, SetupError};
pub use crate::upstream::handshake::{Granted, HandshakeError};
pub use crate::upstream::lookup::{LookUpError, MOST_LOOKED_UP};
pub use crate::upstream::mint::MintError;
pub use crate::upstream::quotas::QUOTA_HEADERS;
pub use crate::upstream::refusal::Refusal;
pub use crate::upstream::unpacked::Unpacked;
pub use crate::upstream::verdict::Verdict;
pub use crate::upstream::verify::{Profile, VerifyError};
pub use crate::upstream::webhook::{Message, NotReceived};
pub use hyper::{HeaderMap, StatusCode};
