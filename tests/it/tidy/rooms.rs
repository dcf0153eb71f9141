//! The inside of the modules, checked: no cycle of files anywhere, and which room of the large modules may name which.
//! Each name is followed through re-exports to the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, UseTree, VisRestricted, Visibility};

use crate::tidy::sources;

/// The only facade whose use cases may call each other through it.
const FACADE: &str = "gateway";

/// The rooms of a large module, each with the rooms that it may name.
type Rooms = &'static [(&'static str, &'static [&'static str])];

/// For each room of the large modules exactly the rooms that it names.
const MAY_NAME: &[(&str, Rooms)] = &[
    (
        "store",
        &[
            ("error", &[]),
            ("search", &[]),
            ("time", &[]),
            ("database", &["error", "handle", "time"]),
            ("audit", &["database", "error", "handle", "time"]),
            ("author", &["database", "error", "handle"]),
            ("bearer", &["database", "error", "handle", "time"]),
            ("attention", &["database", "error", "handle", "time", "webhook"]),
            ("call", &["database", "error", "handle", "tally", "time"]),
            ("tally", &["database", "error", "handle", "time"]),
            ("handle", &["database", "error", "webhook"]),
            ("key", &["audit", "database", "error", "handle", "search", "time"]),
            ("names", &["database", "error", "handle"]),
            ("overview", &["error", "handle", "time"]),
            ("replica", &["error", "handle", "time"]),
            ("reseal", &["database", "error", "handle", "time"]),
            ("session", &["error", "handle", "time"]),
            ("subject", &["error", "handle"]),
            ("token", &["audit", "database", "error", "handle"]),
            ("usage", &["database", "error", "handle", "time"]),
            (
                "account",
                &["audit", "database", "error", "handle", "key", "search", "time", "webhook"],
            ),
            ("lease", &["database", "error", "handle"]),
            ("link", &["account", "audit", "database", "error", "handle", "search", "time"]),
            ("webhook", &["account", "audit", "database", "error", "handle", "time"]),
        ],
    ),
    (
        "gateway",
        &[
            ("changes", &[]),
            ("attention", &["app", "error", "health", "key", "usage"]),
            ("audit", &["error"]),
            ("error_code", &["error"]),
            ("bounded", &[]),
            ("cache", &["bounded", "changes", "error"]),
            ("replicas", &["error"]),
            ("patience", &["bounded", "cache", "question"]),
            ("app", &["account", "bounded", "cache", "error"]),
            ("bearer", &["app", "error"]),
            ("health", &["app", "error"]),
            ("error", &["app", "call", "question"]),
            ("key", &["audit", "bounded", "error", "webhook"]),
            ("account", &["app", "bearer", "call", "error", "key"]),
            ("vault_ring", &["account", "error", "key"]),
            ("warm_up", &["account", "app", "error"]),
            ("webhook", &["account", "app", "error", "key"]),
            ("browser", &["error", "key", "question"]),
            ("own", &["error", "key", "question", "usage"]),
            ("quota", &[]),
            ("reload", &["error", "vault_ring"]),
            ("vault_rotation", &["account", "error", "webhook"]),
            (
                "question",
                &["account", "app", "bounded", "browser", "call", "error", "key", "usage"],
            ),
            ("call", &["app", "browser", "error", "key", "question", "usage"]),
            ("usage", &["app", "attention", "call", "error", "health", "key"]),
        ],
    ),
    (
        "web",
        &[
            ("call_metrics", &[]),
            ("client_address", &[]),
            ("connection_limits", &[]),
            ("freshness", &[]),
            ("host_names", &[]),
            ("lifecycle", &[]),
            ("pacing", &[]),
            ("paging", &[]),
            ("quota", &[]),
            ("unread", &[]),
            ("problem", &["connection_limits"]),
            ("body", &["problem"]),
            ("html", &["problem"]),
            ("cookie", &["html"]),
            ("cross_origin", &["client_address", "host", "problem"]),
            ("negotiation", &["problem"]),
            ("fixed", &["html", "negotiation"]),
            ("host", &["call_metrics", "host_names", "html", "lifecycle", "quota"]),
            ("streaming", &["negotiation"]),
            ("extract", &["body", "host", "problem"]),
            (
                "observe",
                &["client_address", "cross_origin", "host", "html", "negotiation", "problem"],
            ),
            ("presented_key", &["body", "client_address", "cross_origin", "host", "problem"]),
            (
                "connection",
                &[
                    "client_address",
                    "connection_limits",
                    "host",
                    "observe",
                    "pacing",
                    "problem",
                    "unread",
                ],
            ),
            ("listen", &["client_address", "connection", "connection_limits", "host"]),
        ],
    ),
    (
        "sandbox",
        &[
            ("lock", &[]),
            ("handle", &["http", "lock", "world"]),
            ("auth", &["handle", "http", "world"]),
            ("engagement", &["auth", "handle", "http", "world"]),
            ("world", &["engagement", "handle", "oauth"]),
            ("control", &["engagement", "handle", "http", "world"]),
            ("lookup", &["auth", "handle", "http", "world"]),
            ("post_list", &["auth", "handle", "http", "lookup", "world"]),
            (
                "http",
                &[
                    "auth",
                    "control",
                    "engagement",
                    "handle",
                    "lock",
                    "lookup",
                    "oauth",
                    "post_list",
                    "world",
                ],
            ),
            ("oauth", &["auth", "handle", "http", "world"]),
        ],
    ),
];

/// The segments of a path, from the root of the crate.
type Path = Vec<String>;

/// What one file refers to.
#[derive(Default)]
struct File {
    /// The paths that it names.
    named: BTreeSet<Path>,
    /// The names that it re-exports, with what they refer to.
    given: BTreeMap<String, Path>,
    children: BTreeSet<String>,
    /// The first segments of paths that do not begin at the root.
    relative: BTreeSet<String>,
}

#[test]
fn no_files_form_a_circle() {
    let mut graph = graph();
    graph.remove(FACADE);
    let circles = circles(graph);
    assert!(circles.is_empty(), "files that name each other in a circle: {circles:#?}");
}

#[test]
fn a_circle_is_found_where_there_is_one() {
    assert!(circles(graph()).contains_key(FACADE));
}

/// The files in a cycle, or on the way from one cycle to another.
fn circles(mut graph: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let rest: BTreeSet<String> = graph.keys().cloned().collect();
        let named: BTreeSet<String> = graph.values().flatten().cloned().collect();
        graph.retain(|file, names| named.contains(file) && !names.is_disjoint(&rest));
        if graph.len() == rest.len() {
            return graph;
        }
    }
}

#[test]
fn rooms_name_those_alone_that_their_table_lists() {
    let graph = graph();
    for (module, rooms) in MAY_NAME {
        let room = |file: &str| {
            let (top, inside) = file.split_once("::")?;
            (top == *module).then(|| inside.split("::").next().unwrap_or(inside).to_owned())
        };
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, names) in &graph {
            let Some(of) = room(file) else { continue };
            let others = names.iter().filter_map(|name| room(name)).filter(|other| *other != of);
            found.entry(of.clone()).or_default().extend(others);
        }
        let listed: BTreeMap<String, BTreeSet<String>> = rooms
            .iter()
            .map(|(room, names)| {
                ((*room).to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
            })
            .collect();
        assert_eq!(found, listed, "{module}");
    }
}

/// For each file the others whose definitions it names, as `module::room::file`.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<Path, File> =
        sources().into_iter().map(|(path, text)| (module(&path), read(&text))).collect();
    assert!(files.len() > 100, "{}", files.len());
    let edges = files.iter().filter(|(path, _)| !path.is_empty()).map(|(path, file)| {
        let named = file.named.iter().filter_map(|path| home(path, &files, 0));
        let children = file
            .children
            .intersection(&file.relative)
            .map(|child| [path, std::slice::from_ref(child)].concat());
        let others =
            named.chain(children).filter(|other| other != path && files.contains_key(other));
        (path.join("::"), others.map(|other| other.join("::")).collect())
    });
    edges.collect()
}

/// `src/store/link/mod.rs` is `store::link`; files above the modules have an empty path.
fn module(path: &std::path::Path) -> Path {
    let inside = path.strip_prefix("src").unwrap().with_extension("");
    let mut names: Path = inside
        .components()
        .map(|component| component.as_os_str().to_string_lossy().into_owned())
        .collect();
    if names.last().is_some_and(|name| ["lib", "main", "mod", "tests"].contains(&&**name)) {
        let last = names.pop();
        if last.as_deref() == Some("tests") {
            names.clear();
        }
    }
    if names.iter().any(|name| name == "tests") { Path::new() } else { names }
}

/// The file that defines the name.
fn home(path: &[String], files: &BTreeMap<Path, File>, steps: usize) -> Option<Path> {
    let length = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (file, rest) = path.split_at(length);
    let given = rest.first().and_then(|name| files[file].given.get(name));
    match given {
        Some(given) if steps < 8 => home(&[given, &rest[1..]].concat(), files, steps + 1),
        _ => Some(file.to_vec()),
    }
}

fn read(text: &str) -> File {
    let mut file = File::default();
    file.visit_file(&syn::parse_file(text).unwrap());
    file
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
    })
}

impl File {
    fn note(&mut self, path: &[String]) {
        match path {
            [root, inside @ ..] if root == "crate" && !inside.is_empty() => {
                self.named.insert(inside.to_vec());
            }
            [first, _, ..] => {
                self.relative.insert(first.clone());
            }
            _ => (),
        }
    }

    /// The paths in a macro's tokens, which are not parsed.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Path::new();
        let mut is_joined = false;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if is_joined || path.is_empty() => {
                    path.push(name.to_string());
                    is_joined = false;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    is_joined = true;
                }
                other => {
                    self.note(&std::mem::take(&mut path));
                    is_joined = false;
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => (),
                    }
                }
            }
        }
        self.note(&path);
    }
}

/// The paths of a `use`, each with the name under which it is imported.
fn flat(tree: &UseTree, before: &[String]) -> Vec<(Path, String)> {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => flat(&path.tree, &with(&path.ident)),
        UseTree::Group(group) => group.items.iter().flat_map(|tree| flat(tree, before)).collect(),
        UseTree::Name(name) if name.ident == "self" => {
            vec![(before.to_vec(), before.last().cloned().unwrap_or_default())]
        }
        UseTree::Name(name) => vec![(with(&name.ident), name.ident.to_string())],
        UseTree::Rename(rename) => vec![(with(&rename.ident), rename.rename.to_string())],
        UseTree::Glob(_) => vec![(before.to_vec(), String::new())],
    }
}

impl<'ast> Visit<'ast> for File {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_given = !matches!(item.vis, Visibility::Inherited);
        for (path, name) in flat(&item.tree, &[]) {
            if is_given && path.first().is_some_and(|first| first == "crate") {
                self.given.insert(name, path[1..].to_vec());
            } else if !is_given {
                self.note(&path);
                // An imported name does not refer to a child module.
                self.children.remove(&name);
            }
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_for_tests(&item.attrs) {
            return;
        }
        if item.content.is_none() {
            self.children.insert(item.ident.to_string());
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Path = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
    }

    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
