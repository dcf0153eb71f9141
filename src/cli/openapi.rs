//! `countersign openapi`: the description of either listener's API.

use clap::{Args, ValueEnum};

use crate::api::openapi::{Api, text};
use crate::cli::output;

#[derive(Args)]
pub(super) struct Arguments {
    /// The listener whose API is described
    #[arg(long, value_enum, default_value_t = Listener::Callers)]
    listener: Listener,
}

#[derive(Clone, Copy, ValueEnum)]
enum Listener {
    Callers,
    Operators,
}

pub(super) fn run(arguments: &Arguments) {
    let api = match arguments.listener {
        Listener::Callers => Api::Callers,
        Listener::Operators => Api::Operators,
    };
    output::line(text(api));
}
