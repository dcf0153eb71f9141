//! The process's limit on open files, and how many connections it allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;

/// Files needed beside callers' and operators' connections: the database's own, look-ups, events and probes.
const RESERVED: u64 = 100;

/// Raises the limit on open files to its maximum, and lowers `limits.connections` to what that allows.
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
            "limits.connections was lowered to what the process's limit on open files allows (ulimit -n)"
        );
    }
}

/// A third of the remaining files: each caller's connection may need one to X, and operators may have as many.
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
