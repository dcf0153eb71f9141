//! The architecture, checked: who may import whom, and where each outside crate lives.

mod rooms;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each module may import, and no others.
/// Read top to bottom: every line mentions only lines above it, so there are no cycles.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("oauth1", &["model"]),
    ("config", &["model"]),
    ("telemetry", &["config"]),
    ("vault", &["config", "model"]),
    ("store", &["config", "model"]),
    ("admission", &["model"]),
    ("upstream", &["admission", "config", "model", "oauth1"]),
    ("gateway", &["admission", "config", "model", "store", "upstream", "vault"]),
    ("wire", &["gateway", "model"]),
    ("web", &["config", "gateway", "model", "telemetry", "wire"]),
    ("api", &["gateway", "model", "web", "wire"]),
    ("pages", &["api", "gateway", "model", "web", "wire"]),
    ("server", &["api", "config", "gateway", "model", "pages", "telemetry", "web"]),
    ("sandbox", &["model"]),
    ("client", &["config", "model"]),
    (
        "cli",
        &[
            "api",
            "client",
            "config",
            "gateway",
            "model",
            "sandbox",
            "server",
            "store",
            "telemetry",
            "vault",
            "wire",
        ],
    ),
];

/// The modules in which an outside crate may be named.
const LIVES_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("sqlx_macros", &["store"]),
    ("reqwest", &["client", "upstream"]),
    ("hyper_rustls", &["upstream"]),
    ("rustls", &["upstream"]),
    ("oauth1_request", &["oauth1"]),
    ("aws_lc_rs", &["sandbox", "upstream", "vault"]),
    ("moka", &["gateway"]),
    ("futures_util", &["gateway", "web"]),
    ("axum", &["api", "pages", "sandbox", "server", "web"]),
    ("cookie", &["pages", "web"]),
    ("tower_http", &["api", "pages", "sandbox", "server", "web"]),
    ("askama", &["pages", "sandbox"]),
    ("ipnet", &["config"]),
    ("postcard", &["gateway"]),
    // `store` has a module of that name.
    ("use url", &["model"]),
    ("utoipa", &["api", "pages", "wire"]),
    ("toml", &["config"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["telemetry"]),
    ("tracing_appender", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
];

const MAX_LINES: usize = 400;

#[test]
fn layers_import_only_what_lies_below() {
    let mut seen = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        assert!(allowed.iter().all(|name| seen.contains(name)), "{module} imports upwards");
        seen.push(module);
    }

    for (path, text) in sources() {
        let module = top_module(&path);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            assert!(matches!(&*module, "lib" | "main"), "{module} has no line in MAY_IMPORT");
            continue;
        };
        let climbs = text
            .lines()
            .any(|line| code(line).contains("super::") && line.trim() != "use super::*;");
        assert!(!climbs, "{}: write crate:: paths, so the line shows the edge", path.display());
        for (line, target) in words_after(&text, "crate::") {
            let known = target == module || allowed.contains(&target);
            assert!(known, "{}:{line}: {module} may not import {target}", path.display());
        }
    }
}

#[test]
fn the_map_says_the_same_as_the_table() {
    let map = fs::read_to_string("src/lib.rs").unwrap();
    let rows: Vec<(&str, Vec<&str>)> = map.lines().filter_map(row).collect();
    let modules: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let table: Vec<&str> = MAY_IMPORT.iter().map(|row| row.0).collect();
    assert_eq!(modules, table);
    for ((module, listed), (_, allowed)) in rows.iter().zip(MAY_IMPORT) {
        assert_eq!(listed, allowed, "{module}");
    }
}

/// A row of the map: the module, and the modules that it may import.
fn row(line: &str) -> Option<(&str, Vec<&str>)> {
    let (module, rest) = line.strip_prefix("//! | [`")?.split_once("`]")?;
    let allowed = rest.trim_end_matches(" |").rsplit_once(" | ")?.1;
    Some((module, allowed.split('`').skip(1).step_by(2).collect()))
}

#[test]
fn the_map_leads_to_files_and_items_that_exist() {
    let map = fs::read_to_string("src/lib.rs").unwrap();
    let section = map.split_once("//! # Where to find it\n").unwrap().1;
    let section = section.split("//! # ").next().unwrap();
    let mut paths = 0;
    for cell in section.lines().filter_map(second_cell) {
        let mut text = String::new();
        for quoted in cell.split('`').skip(1).step_by(2) {
            if quoted.contains('.') {
                let read = fs::read_to_string(quoted);
                text = read.unwrap_or_else(|error| panic!("{quoted}: {error}"));
                paths += 1;
            } else {
                let item = quoted.rsplit("::").next().unwrap();
                assert!(text.contains(item), "{cell}: {quoted} is not there");
            }
        }
    }
    assert!(paths > 25, "{paths}");
}

/// The second cell of a row of a table in the map.
fn second_cell(line: &str) -> Option<&str> {
    line.strip_prefix("//! | ")?.split(" | ").nth(1)
}

#[test]
fn what_a_page_shows_is_made_of_models_alone() {
    let mut views = 0;
    for (path, text) in sources() {
        let name = path.to_string_lossy().replace('\\', "/");
        let is_view = name.starts_with("src/pages/") && name.ends_with("/view.rs");
        if !is_view && !name.starts_with("src/pages/parts/") {
            continue;
        }
        views += 1;
        for line in text.lines().map(code).filter(|line| line.contains("crate::")) {
            let shown = [
                "crate::model",
                "crate::pages::parts",
                "::layout",
                "::form_errors",
                "::fields::",
                "::view",
            ];
            assert!(shown.iter().any(|path| line.contains(path)), "{name}: {line}");
        }
    }
    assert!(views > 12, "{views}");
}

#[test]
fn outside_crates_stay_home() {
    for (path, text) in sources() {
        for (name, homes) in LIVES_IN {
            let used = text.lines().any(|line| code(line).contains(&format!("{name}::")));
            let at_home = homes.contains(&&*top_module(&path));
            assert!(!used || at_home, "{}: {name} belongs in {homes:?}", path.display());
        }
    }
}

/// PostgreSQL's relatives lack it, and everybody would wait.
#[test]
fn no_statement_locks_a_table() {
    for (path, text) in sources() {
        let text = text.to_lowercase();
        let locks = text.contains("lock table") || text.contains("\"lock ");
        assert!(!locks || top_module(&path) != "store", "{}", path.display());
    }
}

#[test]
fn files_open_with_a_purpose_and_stay_short() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(text.starts_with("//! "), "{}: say what the file is for", path.display());
        assert!(lines <= MAX_LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn types_are_called_by_what_they_are() {
    for (path, text) in sources() {
        for kind in ["struct ", "enum ", "type "] {
            for (line, name) in words_after(&text, kind) {
                let is_vague = ["Asked", "Place", "Told"].contains(&name);
                assert!(!is_vague, "{}:{line}: {name}", path.display());
            }
        }
    }
}

/// The identifiers that follow `marker` in code, with their line numbers.
fn words_after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().flat_map(move |(index, line)| {
        code(line).split(marker).skip(1).map(move |rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (index + 1, rest.split_at(end).0)
        })
    })
}

fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn top_module(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => {
                    files.push((path.clone(), fs::read_to_string(path).unwrap()));
                }
                _ => (),
            }
        }
    }
    files
}
