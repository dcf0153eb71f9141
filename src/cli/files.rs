//! How many files the process may open, and what that leaves for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;

/// Files for what is no connection counted here: the database's own files, look-ups, events, and the places for probes.
const RESERVED: u64 = 100;

/// Raises the process's limit to the most that it may have, and holds `limits.connections` to what that allows.
pub(super) fn fit_connections(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let Some(files) = getrlimit(Resource::Nofile).current else { return };
    let (wanted, most) = (config.limits.connections, most(files, config.database.connections));
    if wanted > most {
        config.limits.connections = most;
        warn!(
            open_files = files,
            configured = wanted,
            held_to = most,
            "limits.connections is more than the process's limit of open files allows (ulimit -n)"
        );
    }
}

/// A third of what is left: each caller's connection may need one to X, and operators have as many again.
fn most(files: u64, database: u32) -> usize {
    let left = files.saturating_sub(RESERVED + u64::from(database));
    usize::try_from(left / 3).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        for (files, database, expected) in
            [(256, 10, 48), (1024, 10, 304), (40_000, 100, 13_266), (64, 10, 1)]
        {
            assert_eq!(most(files, database), expected, "{files}");
        }
    }
}
