//! The program itself, as an operator runs it: what it prints, how it exits, and what it never discloses.

mod addresses;
pub mod asking;
mod checking;
mod commands;
mod connecting;
mod containers;
mod crashes;
pub mod demo;
pub mod deployment;
mod disk;
mod failing;
mod files;
pub mod front;
mod killer;
mod leaks;
mod lifecycle;
mod looking;
mod proxies;
mod query;
mod refusals;
mod rings;
mod rotation;
mod scan;
mod starting;
mod streams;
mod tls;
mod webhooks;
