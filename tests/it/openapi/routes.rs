//! The routes of the code and of the description are the same.

use std::collections::BTreeSet;
use std::process::Command;

use countersign::api::openapi::{Api, text};
use countersign::model::Endpoint;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::openapi::{Doors, document, document_of, operations};

/// A path and a method of the code.
pub type Route = (String, String);

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes that a source makes, as they are written there.
pub fn written() -> BTreeSet<Route> {
    let source = include_str!("../../../src/server/mod.rs");
    source.split(".route(").skip(1).flat_map(in_call).collect()
}

fn is_page((path, _): &Route) -> bool {
    path == "/" || ["/connect/", "/console"].iter().any(|it| path.starts_with(it))
}

/// Those of one call, whose arguments `text` begins with.
fn in_call(text: &str) -> Vec<Route> {
    let mut depth = 0;
    let is_end = |it: char| {
        depth += i32::from(it == '(') - i32::from(it == ')');
        depth < 0
    };
    let call = text.split(is_end).next().unwrap();
    let (path, handlers) = call.split_once(',').unwrap();
    if path == "endpoint.path()" {
        assert!(handlers.contains("relay::route(endpoint)"), "{handlers}");
        return Endpoint::ALL.map(|it| (it.path().to_owned(), "POST".to_owned())).to_vec();
    }
    let path = path.trim().trim_matches('"').to_owned();
    let calls = |method: &&str| {
        let is_word = |it: &str| {
            it.is_empty()
                || !it.ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':')
        };
        let opened = format!("{method}(");
        handlers.match_indices(&opened).any(|(at, _)| is_word(&handlers[..at]))
    };
    let methods: Vec<&str> = METHODS.into_iter().filter(calls).collect();
    assert!(!methods.is_empty(), "no method in {call}");
    methods.into_iter().map(|it| (path.clone(), it.to_uppercase())).collect()
}

fn is_nowhere(answer: &Answer) -> bool {
    answer.header("countersign-error") == "not_found"
        && answer.text().contains("there is nothing at")
}

#[test]
fn every_route_of_the_code_is_described_and_every_other_way_round() {
    let mut code = written();
    // What people's browsers come to is no API: those pages stay out of it.
    let pages: Vec<Route> = code.extract_if(.., is_page).collect();
    assert!(code.len() > 20 && pages.len() > 20, "{code:?} {pages:?}");
    // A part of the page, and not to be asked for by itself.
    assert!(code.remove(&("/docs/style.css".to_owned(), "GET".to_owned())));
    let document = document();
    let described: BTreeSet<Route> =
        operations(&document).into_iter().map(|it| (it.path, it.method)).collect();
    assert_eq!(code, described);
    assert!(!document["paths"].to_string().contains("/connect/callback"));
}

#[tokio::test]
async fn a_described_method_is_there_and_no_other_is() {
    let doors = Doors::fresh().await;
    let document = document();
    let operations = operations(&document);
    for it in &operations {
        let path = it.example_path();
        let mut taken: Vec<&str> =
            operations.iter().filter(|other| other.path == it.path).map(|it| &*it.method).collect();
        // For browsers, which ask this before they send a page's question.
        taken.extend((it.path == "/v1/engagement").then_some("OPTIONS"));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let answer = it.ask(&doors, &path).method(method).body("").send().await;
            let code = answer.header("countersign-error").to_owned();
            if taken.contains(&method) {
                assert_ne!(code, "method_not_allowed", "{method} {path}");
                assert!(!is_nowhere(&answer), "{method} {path}: {}", answer.text());
            } else {
                answer.is_own(405, "method_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn each_listener_serves_what_is_described_for_it_and_both_the_description() {
    let database = fresh(Kind::Sqlite).await;
    let doors = Doors::open(TestGateway::start(&database).await).await;
    let listeners =
        [(Api::Callers, &doors.gateway.url), (Api::Operators, &doors.gateway.admin_url)];
    for it in operations(&document()) {
        for (api, base) in listeners {
            let is_described = document_of(api)["paths"].get(&it.path).is_some();
            let there = it.ask(&doors, "").to(&format!("{base}{}", it.example_path()));
            let there = there.body("").send().await;
            assert_eq!(is_described, !is_nowhere(&there), "{} on {api:?}", it.id());
        }
    }
    for (api, base) in listeners {
        let ask = doors
            .gateway
            .ask("GET", "")
            .header("authorization", "")
            .to(&format!("{base}/openapi.json"));
        let answer = ask.clone().send().await;
        assert_eq!(answer.text(), text(api));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "public, max-age=300");
        let zipped = ask.header("accept-encoding", "gzip").send().await;
        assert_eq!(
            (zipped.header("content-encoding"), zipped.header("vary")),
            ("gzip", "accept-encoding")
        );
        assert_eq!(zipped.text(), answer.text());
    }
}

#[test]
fn the_program_prints_what_is_served_and_needs_no_settings() {
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_countersign");
        // Settings that no other command would take.
        let mut command = Command::new(program);
        command.env_clear().env("COUNTERSIGN_CONFIG", "/nowhere").args(arguments).output().unwrap()
    };
    for (arguments, api) in [
        (&["openapi"][..], Api::Callers),
        (&["openapi", "--listener", "callers"], Api::Callers),
        (&["openapi", "--listener", "operators"], Api::Operators),
    ] {
        let printed = run(arguments);
        assert!(printed.status.success() && printed.stderr.is_empty(), "{printed:?}");
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), format!("{}\n", text(api)));
        assert!(text(api).lines().count() > 1000, "it is indented");
    }
    let surplus = run(&["openapi", "--config", "x"]);
    assert!(!surplus.status.success());
}
