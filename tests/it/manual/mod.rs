//! The manual, README and `docs/`, run: its commands, its way to back up and restore, and the example clients.

mod backup;
mod blocks;
mod clients;
mod commands;
mod daily;
pub mod shell;
