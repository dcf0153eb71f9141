//! The tests over real sockets, in one binary.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop at the line where it fails"
)]

mod config;
mod database;
mod sandbox;
mod store;
mod tidy;
