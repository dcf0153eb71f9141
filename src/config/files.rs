//! Files that hold settings and secrets: their permissions, and systemd's credentials.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use crate::config::layer::{Layer, Setting};
use crate::config::names::is_secret;
use crate::model::Secret;

const GROUP_READ: u32 = 0o040;
const OTHERS_READ: u32 = 0o004;

/// A file's text, with a warning about its mode.
pub struct Text {
    pub text: String,
    pub warning: Option<String>,
}

/// Reads the file that `key` names. The vault's keys open everything, so a ring that others may read is refused; for
/// other files that is a warning.
pub fn read(key: &str, path: &Path) -> Result<Text, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if key == "vault.keys_file" && !is_private(geteuid().as_raw(), owner, mode) {
        return Err(format!(
            "has mode {mode:04o} and owner {owner}: expected mode 0400 or 0600, or 0440 or 0640 if root or this process's user owns it; `chmod 0600` fixes it"
        ));
    }
    let warning = (mode & OTHERS_READ != 0).then(|| {
        let path = path.display();
        format!("{path} can be read by everybody on this machine; `chmod o= {path}` fixes it")
    });
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(Text { text, warning })
}

/// Whether only its owner can read a file, or also a group chosen by root or this process's user: that is how
/// Kubernetes and systemd provide secrets.
fn is_private(process: u32, owner: u32, mode: u32) -> bool {
    let is_trusted = owner == 0 || owner == process;
    let allowed = if is_trusted { 0o700 | GROUP_READ } else { 0o700 };
    mode & !allowed == 0
}

/// The secrets in systemd's credentials directory (`LoadCredential=`): a file named after a secret's key holds it.
pub fn credentials(folder: Option<&str>) -> Layer {
    let Some(folder) = folder else { return Layer::new() };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| credential(&entry.file_name().into_string().ok()?, &entry.path()))
        .collect()
}

fn credential(name: &str, path: &Path) -> Option<(String, Setting)> {
    let key = format!("{name}_file");
    let text = Secret::new(path.to_str()?.to_owned());
    let setting = Setting { key: key.clone(), origin: "CREDENTIALS_DIRECTORY".to_owned(), text };
    is_secret(name).then_some((key, setting))
}

/// The directory where systemd puts credentials.
pub fn credentials_folder(environment: &BTreeMap<String, String>) -> Option<&str> {
    environment.get("CREDENTIALS_DIRECTORY").map(String::as_str).filter(|folder| !folder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_for_its_owner_or_for_a_group_that_a_trusted_owner_has_chosen() {
        const US: u32 = 65_532;
        for (owner, mode, expected) in [
            (US, 0o400, true),
            (US, 0o600, true),
            (US, 0o440, true),
            (US, 0o640, true),
            (US, 0o660, false),
            (US, 0o620, false),
            (US, 0o604, false),
            (US, 0o444, false),
            (US, 0o644, false),
            (US, 0o402, false),
            // As Kubernetes, systemd and Swarm mount it.
            (0, 0o440, true),
            (0, 0o640, true),
            (0, 0o400, true),
            (0, 0o444, false),
            // Its owner could hand it to any group.
            (1000, 0o400, true),
            (1000, 0o600, true),
            (1000, 0o440, false),
            (1000, 0o640, false),
            (1000, 0o604, false),
        ] {
            assert_eq!(is_private(US, owner, mode), expected, "owner {owner}, mode {mode:04o}");
        }
    }
}
