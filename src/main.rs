//! The `countersign` command: parse the command line, run it, print the error chain, choose the exit code.

use std::io::Write;
use std::process::ExitCode;

use countersign::cli::{self, Command};

/// Measured: with glibc's allocator a relayed call takes 1.08 times the instructions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(Command::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_logged {
                let _ = writeln!(std::io::stderr(), "countersign: {}", failure.text());
            }
            ExitCode::from(failure.code)
        }
    }
}
