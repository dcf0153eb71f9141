//! Reloading the settings while `serve` runs: when one of their files changes, and on SIGHUP.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::cli::assemble;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::telemetry;

/// How often the files are checked for changes.
const EVERY: Duration = Duration::from_secs(2);

/// The state of a file: differs after the file was changed or replaced, also behind a symbolic link.
type Stamp = Option<[i64; 6]>;

/// Reloads the settings whenever that is due; never ends.
pub(super) async fn follow_settings(
    path: Option<PathBuf>,
    gateway: Gateway,
    mut files: Vec<PathBuf>,
    mut hangups: Signal,
) {
    let mut seen = stamps(&files).await;
    let mut refused: Option<String> = None;
    // A change between the start's reading of the settings and the first stamps would go unnoticed, hence one reload.
    let (mut is_requested, mut again) = (false, true);
    loop {
        let now = stamps(&files).await;
        let has_changed = is_requested || now != seen;
        // Settings that were refused may fit later: when the database is back, or its contents have changed.
        if has_changed || again || refused.is_some() {
            (seen, again) = (now, false);
            match reload(path.clone(), &gateway, has_changed).await {
                Ok(config) if config.files != files => {
                    files = config.files;
                    seen = stamps(&files).await;
                    (refused, again) = (None, true);
                }
                Ok(_) => refused = None,
                Err(why) => {
                    if has_changed || refused.as_ref() != Some(&why) {
                        error!(why, "the settings were reloaded, but could not be applied in full");
                    }
                    refused = Some(why);
                }
            }
        }
        is_requested = tokio::select! {
            Some(()) = hangups.recv() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
    }
}

/// Loads the settings and applies those that can change at run time; the error says why they are not all in force.
async fn reload(
    path: Option<PathBuf>,
    gateway: &Gateway,
    has_changed: bool,
) -> Result<Config, String> {
    let loaded = spawn_blocking(move || assemble::settings_with_ring(path.as_deref())).await;
    let config = match loaded.map_err(|error| error.to_string())? {
        Ok(config) => config,
        Err(failure) => {
            gateway.set_outdated(true);
            return Err(failure.text());
        }
    };
    telemetry::set_log_level(config.log.level);
    if has_changed {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        gateway.compare_apps(&config);
    }
    match gateway.reload(&config).await {
        Ok(Ok(())) => {
            if has_changed {
                info!("the settings were reloaded");
            }
            Ok(config)
        }
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

async fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let files = files.to_owned();
    spawn_blocking(move || files.iter().map(|file| stamp(file)).collect()).await.unwrap_or_default()
}

fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    let (device, inode) = (metadata.dev().cast_signed(), metadata.ino().cast_signed());
    let length = metadata.len().cast_signed();
    // The mode counts, too: a refused one may have been fixed.
    let changed = metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec());
    let modified = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
    Some([device, inode, length, changed, modified, i64::from(metadata.mode())])
}
