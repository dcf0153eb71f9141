//! A running demo, and a shell beside it, as somebody has who reads the manual.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::program::demo;
use crate::program::deployment::{Output, Running};

/// In the place of what README has a reader type, which is relative to where the demo was started.
const LOAD: &str = ". countersign-demo/env\n";
/// As the manual's commands are without: a refused request ends `curl` with an error.
const CURL: &str = "fail-with-body\nsilent\nshow-error\nnoproxy = \"*\"\n";

pub struct Shell {
    pub folder: TempDir,
    /// Set beside those of the demo.
    pub variables: BTreeMap<String, String>,
    _demo: Running,
}

impl Shell {
    pub async fn start() -> Shell {
        let folder = TempDir::new().unwrap();
        let (demo, _) = demo::card(folder.path()).await;
        fs::write(folder.path().join(".curlrc"), CURL).unwrap();
        let home = folder.path().display().to_string();
        let variables =
            [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", &home), ("no_proxy", "*")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Shell { folder, variables: variables.into(), _demo: demo }
    }

    /// Runs a script in a shell of its own that has loaded the demo's variables.
    pub async fn run(&self, script: &str) -> Output {
        let mut command = Command::new("/bin/sh");
        let script = format!("{LOAD}{script}");
        command.args(["-euc", &script]).current_dir(self.folder.path());
        command.env_clear().envs(&self.variables);
        let mut running = Running::of(command);
        running.tell("");
        running.end().await
    }

    /// Runs a script that must work; gives what it prints.
    pub async fn must(&self, script: &str) -> String {
        let done = self.run(script).await;
        assert_eq!(done.code, 0, "{script}\n{}\n{}", done.out, done.err);
        done.out
    }
}
