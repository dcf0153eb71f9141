//! Words that only their authors understood: none comes back, neither where people read them nor in names.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::sources;

/// Names that settings, routes, tables, flags and rights no longer have.
const FORMER_NAMES: &[&str] = &[
    "--looks",
    "looks only",
    "\"looks\"",
    "--ended",
    "ended=",
    "usage_day_told",
    "usage_month_told",
    "unknown_for",
    "--links",
    "\"links\": true",
];

/// Phrases that readers stumbled over, in lower case.
const STUMBLES: &[&str] = &[
    "this once",
    "nothing is said",
    "letter for letter",
    "mend what",
    "make a key",
    "make a link",
    "must be asked anew",
    "could be had",
    "what can be asked",
    "without what proves them",
    "let countersign ask as them",
];

/// What people read: the manual, the settings, the schema, pages, and the sources of the command line and of JSON.
fn public() -> Vec<(PathBuf, String)> {
    let folders = ["config", "docs", "migrations", "src/api", "src/cli", "src/pages", "src/wire"];
    let mut files: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "examples/README.md"].map(PathBuf::from).into();
    for folder in folders {
        collect(Path::new(folder), &mut files);
    }
    let text = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
    files.into_iter().filter_map(text).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn former_names_and_stumbling_phrases_are_gone() {
    let files = public();
    assert!(files.len() > 150, "{}", files.len());
    let mut found = Vec::new();
    for (path, text) in files {
        let lower = text.to_lowercase();
        let words = FORMER_NAMES.iter().filter(|name| text.contains(**name));
        for word in words.chain(STUMBLES.iter().filter(|phrase| lower.contains(**phrase))) {
            found.push(format!("{}: {word}", path.display()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn closures_name_what_they_take() {
    let is_unnamed = |line: &&str| line.contains("|it|") || line.contains("|&it|");
    let found: Vec<String> = sources()
        .into_iter()
        .flat_map(|(path, text)| {
            let lines = text.lines().filter(is_unnamed);
            lines.map(|line| format!("{}: {}", path.display(), line.trim())).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}
