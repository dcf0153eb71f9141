//! The tests over real sockets, in one binary.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop at the line where it fails"
)]

mod bench;
mod browser;
mod calls;
mod config;
mod connect;
mod console;
mod database;
mod dice;
mod documents;
mod edge;
mod house;
mod manual;
mod month;
mod openapi;
mod overview;
mod program;
mod question;
mod relay;
mod sandbox;
mod seed;
mod store;
mod tidy;
mod trouble;
mod usage;
mod webhooks;
