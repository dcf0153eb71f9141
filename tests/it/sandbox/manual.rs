//! The manual on the sandbox's own interface: everything it names exists, and everything that exists is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::upstream::{TestSandbox, keys};

/// The cells of the manual's table whose first heading is this one, by row.
fn table(heading: &str) -> Vec<Vec<String>> {
    let manual = fs::read_to_string("docs/sandbox.md").unwrap();
    let rows = manual.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |")));
    let rows = rows.skip(2).take_while(|row| row.starts_with('|'));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table of {heading}");
    rows
}

/// The texts between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn set(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

/// Method and path of every route in the router.
fn routes() -> BTreeSet<(String, String)> {
    let source = fs::read_to_string("src/sandbox/control.rs").unwrap();
    let lines = source.split(".route(\"").skip(1).map(|rest| rest.lines().next().unwrap());
    let of_line = |line: &str| {
        let (path, methods) = line.split_once('"').unwrap();
        let has = |text: &&str| methods.contains(&format!("{}(", text.to_lowercase()));
        let methods = ["GET", "PUT", "POST", "DELETE", "PATCH"].into_iter().filter(has);
        methods.map(|method| (method.to_owned(), path.to_owned())).collect::<Vec<_>>()
    };
    lines.flat_map(of_line).collect()
}

#[tokio::test]
async fn it_names_every_route() {
    let sandbox = TestSandbox::start().await;
    let mut named = BTreeSet::new();
    for row in table("route").iter().filter(|row| row[0].contains("/sandbox/")) {
        let (methods, path) = row[0].rsplit_once(' ').unwrap();
        let path = path.trim_matches('`').split('?').next().unwrap();
        for method in methods.split(',').map(|method| method.trim().trim_matches('`')) {
            named.insert((method.to_owned(), path.to_owned()));
            let path = path.replace("{user_id}", &sandbox.user("alice").user_id);
            let path = path.replace("{name}", "demo").replace("{endpoint}", "totals");
            let status = sandbox.ask(method, &path).send().await.status.as_u16();
            assert!(![404, 405].contains(&status), "{method} {path}: {status}");
        }
    }
    assert_eq!(named, routes());
}

#[tokio::test]
async fn what_it_says_to_lack_is_refused_in_xs_form() {
    let sandbox = TestSandbox::start().await;
    let rows = table("X has");
    let routes = rows.iter().flat_map(|row| quoted(&row[0]));
    let mut lacking = 0;
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let ask = sandbox.ask(method, path).header("authorization", &sandbox.bearer());
        let answer = ask.send().await;
        if path.starts_with("/1.1/") {
            answer.has_code(404, 34, "Sorry, that page does not exist.");
        } else {
            assert_eq!((answer.status.as_u16(), answer.raw.len()), (404, 0), "{route}");
        }
        lacking += 1;
    }
    assert!(lacking > 10, "{lacking}");
}

#[tokio::test]
async fn it_names_every_state_of_a_user() {
    let sandbox = TestSandbox::start().await;
    let alice = format!("/sandbox/users/{}", sandbox.user("alice").user_id);
    let refused = sandbox.put(&alice, json!({ "state": "?" })).await.json();
    let row = table("route").into_iter().find(|row| row[0].contains("/sandbox/users/")).unwrap();
    for state in &quoted(refused["error"].as_str().unwrap())[1..] {
        assert!(row[1].contains(&**state), "{state}");
    }
}

#[tokio::test]
async fn it_names_every_fault_with_its_fields() {
    let sandbox = TestSandbox::start().await;
    let refused = sandbox.put("/sandbox/faults", json!([{ "kind": "?" }])).await.json();
    let known = quoted(refused["error"].as_str().unwrap());
    let rows = table("kind");
    let named: Vec<String> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_eq!(set(&named), set(&known[1..]), "{refused}");

    let refused = sandbox.put("/sandbox/faults", json!([{ "?": 1 }])).await.json();
    let known = quoted(refused["error"].as_str().unwrap());
    let mut fields: Vec<String> = rows.iter().flat_map(|row| quoted(&row[1])).collect();
    fields.extend(["kind", "path", "times"].map(str::to_owned));
    assert_eq!(set(&fields), set(&known[1..]), "{refused}");

    let values = BTreeMap::from([
        ("status", json!(502)),
        ("code", json!(89)),
        ("message", json!("text")),
        ("text", json!("anything")),
        ("fields", json!({ "user_id": null })),
        ("body", json!({ "any": "thing" })),
        ("headers", json!({ "retry-after": "1" })),
        ("ms", json!(5)),
        ("mb", json!(1)),
    ]);
    for row in rows {
        let mut fault = json!({ "kind": quoted(&row[0])[0], "path": "/nowhere", "times": 1 });
        for field in quoted(&row[1]) {
            fault[&field] = values[&*field].clone();
        }
        let answer = sandbox.put("/sandbox/faults", json!([fault])).await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.text());
    }
}

#[tokio::test]
async fn it_names_every_switch_with_its_default_and_its_other_values() {
    let sandbox = TestSandbox::start().await;
    let mut told = serde_json::Map::new();
    let json_of = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    for row in table("switch") {
        let (switch, defaults) = (quoted(&row[0]), quoted(&row[1]));
        assert_eq!(switch.len(), defaults.len(), "{row:?}");
        if defaults[0].starts_with('"') {
            let refused =
                sandbox.put("/sandbox/switches", json!({ &*switch[0]: "?" })).await.json();
            let known = quoted(refused["error"].as_str().unwrap());
            let values = [defaults.clone(), quoted(&row[2])].concat();
            let words = values.iter().filter(|value| value.starts_with('"'));
            let words: Vec<String> = words.map(|word| word.trim_matches('"').to_owned()).collect();
            assert_eq!(set(&words), set(&known[1..]), "{row:?}");
        }
        told.extend(switch.into_iter().zip(defaults.iter().map(json_of)));
    }
    sandbox.ask("POST", "/sandbox/reset").send().await;
    let switches = sandbox.get("/sandbox/switches").await;
    let defaults = countersign::sandbox::Switches::default();
    assert_eq!(Value::Object(told), json!(defaults));
    assert_eq!(keys(&switches), keys(&json!(defaults)));
}
