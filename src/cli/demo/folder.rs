//! The folder of a demo, and the settings that follow from it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, anyhow};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;

use crate::cli::assemble;
use crate::cli::demo::accounts::APP;
use crate::cli::failure::Failure;
use crate::cli::serve::url;
use crate::sandbox::World;
use crate::vault;
use crate::wire::rfc3339;

pub(super) const RING_FILE: &str = "vault_keys";
const PAST_FILE: &str = "past";

pub(super) fn create_folder(folder: &Path) -> Result<(), Failure> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created
        .with_context(|| format!("cannot create the folder {}", folder.display()))
        .map_err(Failure::unavailable)
}

/// Keeps other demos out of the folder until the returned file is closed.
pub(super) fn lock_folder(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| unusable(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let folder = folder.display();
            Err(Failure::unavailable(anyhow!(
                "another demo uses {folder}; stop it, or name another folder with --dir"
            )))
        }
        Err(TryLockError::Error(error)) => Err(unusable(&path, error)),
    }
}

/// When the demo's world began: with the folder's first start, so that its posts and numbers stay the same.
pub(super) fn born(folder: &Path) -> Result<OffsetDateTime, Failure> {
    let (path, shown) = (folder.join("born"), folder.display());
    if folder.join("countersign.db").exists() && !path.exists() {
        return Err(Failure::config(anyhow!(
            "an earlier version has made {shown}; delete this folder to start anew"
        )));
    }
    let text = read_or_create(&path, || rfc3339(assemble::now()))?;
    OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(|_| {
        let path = path.display();
        Failure::config(anyhow!("{path}: expected a time; delete its folder to start anew"))
    })
}

/// Whether a demo has a past.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Past {
    None,
    /// It is to be written; what there is of it was left by a start that was interrupted.
    Due,
    Written,
}

impl Past {
    /// What the folder's first start has decided, or this one.
    pub(super) fn read(folder: &Path, is_unwanted: bool) -> Result<Past, Failure> {
        let path = folder.join(PAST_FILE);
        let text = read_or_create(&path, || if is_unwanted { "none" } else { "due" }.to_owned())?;
        let past = match text.trim() {
            "none" => Past::None,
            "written" => Past::Written,
            _ => Past::Due,
        };
        if is_unwanted && past != Past::None {
            let folder = folder.display();
            return Err(Failure::config(anyhow!(
                "--empty: the demo in {folder} has a past; delete this folder, or name another with --dir"
            )));
        }
        if past == Past::Due {
            for name in ["countersign.db", "countersign.db-wal", "countersign.db-shm"] {
                let path = folder.join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(unusable(&path, error));
                    }
                    _ => (),
                }
            }
        }
        Ok(past)
    }

    pub(super) fn note_written(folder: &Path) -> Result<(), Failure> {
        write_private(&folder.join(PAST_FILE), "written")
    }
}

/// The settings of a demo. They take nothing from the environment or a file, so that it is the same everywhere.
pub(super) fn settings(
    folder: &Path,
    upstream: &TcpListener,
    callers: &TcpListener,
    world: &World,
    past: Past,
) -> Result<BTreeMap<String, String>, Failure> {
    let app = world
        .apps
        .iter()
        .find(|app| app.name == APP)
        .ok_or_else(|| Failure::general(anyhow!("the sandbox has no app named {APP}")))?;
    let (sandbox, public_url) = (url(upstream), url(callers));
    let new_ring = || vault::generate_key().expose().to_owned();
    let ring = read_or_create(&folder.join(RING_FILE), new_ring)?;
    let database = format!("sqlite://{}", escaped(&folder.join("countersign.db")));
    let set = [
        ("DATABASE__URL", &*database),
        ("SERVER__PUBLIC_URL", &public_url),
        ("UPSTREAM__DATA_URL", &sandbox),
        ("UPSTREAM__API_URL", &sandbox),
        ("UPSTREAM__ALLOW_HTTP", "true"),
        ("WEBHOOKS__ALLOW_HTTP", "true"),
        ("LIMITS__CONNECTIONS", "1000"),
        ("APPS__DEMO__CONSUMER_KEY", &app.consumer_key),
        ("APPS__DEMO__CONSUMER_SECRET", &app.consumer_secret),
        ("APPS__DEMO__LOOKUP", "true"),
        ("VAULT__KEYS", ring.trim()),
    ];
    // Five are connected in the past.
    let limit = (past != Past::None).then_some(("APPS__DEMO__ACCOUNT_LIMIT", "6"));
    let named = |(key, value): (&str, &str)| (format!("COUNTERSIGN__{key}"), value.to_owned());
    Ok(set.into_iter().chain(limit).map(named).collect())
}

/// The settings with the ring's file instead of its text, for commands beside the demo.
pub(super) fn with_ring_file(
    mut settings: BTreeMap<String, String>,
    folder: &Path,
) -> BTreeMap<String, String> {
    settings.remove("COUNTERSIGN__VAULT__KEYS");
    let file = folder.join(RING_FILE).display().to_string();
    settings.insert("COUNTERSIGN__VAULT__KEYS_FILE".to_owned(), file);
    settings
}

/// A path, percent-encoded for a URL.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The text of a private file, which is created if it is missing, or empty since a demo was killed.
fn read_or_create(path: &Path, create: impl FnOnce() -> String) -> Result<String, Failure> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(text),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(path, error)),
        _ => {
            let text = create();
            write_private(path, &text)?;
            Ok(text)
        }
    }
}

pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{}", text.trim_end()));
    written.map_err(|error| unusable(path, error))
}

pub(super) fn unusable(path: &Path, error: io::Error) -> Failure {
    Failure::unavailable(anyhow!(error).context(format!("cannot use {}", path.display())))
}
