//! The sandbox: a stand-in for the upstream, with its rules and invented numbers, for everyone without an enterprise
//! contract.
//!
//! It imports `model` alone, so it checks the gateway's signatures with code of its own.
//! A request's way through it: `http::routes` records and routes; `engagement` applies the rules in the order of
//! reference 4.4, with `auth`, `world::quota` and its own `body`, `access`, `window` and `numbers` each doing one step;
//! `http::reply` puts it on the wire. `lookup` returns posts with their authors, `post_list` the posts of a
//! user, and `engagement::unlimited` an endpoint's answers without limits. `oauth::handshake` grants apps access and `oauth::connected_apps` revokes it,
//! with `oauth::pages` for the people who do it. `world::population` invents users and posts, `world::numbers` their
//! numbers, `http::faults` injects failures, and `control` is the sandbox's own interface under `/sandbox`.

mod auth;
mod control;
mod engagement;
mod handle;
mod http;
mod lock;
mod lookup;
mod oauth;
mod post_list;
mod world;

pub use crate::sandbox::handle::Sandbox;
pub use crate::sandbox::http::serve::serve;
pub use crate::sandbox::world::listing::{World, WorldApp, WorldPost, WorldUser};
pub use crate::sandbox::world::population::UserState;
pub use crate::sandbox::world::settings::Settings;
pub use crate::sandbox::world::switches::{
    EchoEnd, ForbiddenWording, HistoryFloor, HourWithoutDay, LookupForm, RevokedWording, Switches,
};
