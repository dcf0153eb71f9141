//! The sandbox behaves as the reference says that the upstream does.

mod ages;
mod connected_apps;
mod consent;
mod credentials;
mod exchange;
mod faults;
mod forms;
mod groupings;
pub mod handshake;
mod lifted;
mod lookup;
mod manual;
mod numbers;
mod post_list;
mod quotas;
mod switches;
mod tokens;
mod windows;
mod world;
