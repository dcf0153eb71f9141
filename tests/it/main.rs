//! The tests over real sockets, in one binary.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails should stop at the line where it fails"
)]

mod attention;
mod browser;
mod calls;
mod config;
mod connect;
mod console;
mod database;
mod dice;
mod documents;
mod edge;
mod gateway;
mod http;
mod manual;
mod month;
mod openapi;
mod overview;
mod own;
mod pages;
mod pgbouncer;
mod postgres_relay;
mod program;
mod question;
mod quota;
mod relay;
mod sandbox;
mod seed;
mod store;
mod tidy;
mod trouble;
mod upstream;
mod usage;
mod webhooks;
