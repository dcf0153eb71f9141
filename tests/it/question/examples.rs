//! The manual's examples of what one question replaces, run as they stand, except for the posts, the period and the
//! address.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use countersign::sandbox::Settings;
use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::question::oracle;
use crate::upstream::{TestSandbox, small};

const MANUAL: &str = include_str!("../../../docs/calling.md");
const SECTION: &str = "\n## What one question replaces\n";
const ADDRESS: &str = "$URL";
/// The period of the examples, and the one they are run with.
const PERIOD: [(&str, &str); 2] = [("$FROM", "2026-01-01"), ("$TO", "2026-03-01")];
/// The posts in the examples.
const POSTS: [&str; 2] = ["$POST", "$OTHER_POST"];

/// The code blocks of the section.
fn examples() -> Vec<&'static str> {
    let (_, section) = MANUAL.split_once(SECTION).unwrap();
    let section = section.split("\n#").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap()).collect()
}

/// The example with these posts in place of its own, and the gateway's address.
fn placed(example: &str, gateway: &TestGateway, posts: &[Vec<String>; 2]) -> String {
    let mut text = example.replace(ADDRESS, &gateway.url);
    for (shown, day) in PERIOD {
        text = text.replace(shown, day);
    }
    for (shown, ids) in POSTS.iter().zip(posts) {
        assert!(text.contains(shown), "{example}");
        text = text.replace(&format!("\"{shown}\""), &format!("\"{}\"", ids.join("\",\"")));
        text = text.replace(shown, &ids.join(","));
    }
    text
}

/// What a shell prints that runs it, and its exit status.
async fn run(script: &str, gateway: &TestGateway) -> (i32, Value) {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.display());
    let set = [
        ("PATH", &*path),
        ("KEY", &gateway.key),
        ("COUNTERSIGN_KEY", &gateway.key),
        ("COUNTERSIGN_URL", &gateway.url),
        ("no_proxy", "*"),
    ];
    let mut command = Command::new("sh");
    command.args(["-c", script]).env_clear().envs(BTreeMap::from(set));
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let answer = serde_json::from_str(&said);
    let answer = answer.unwrap_or_else(|error| {
        panic!("{error}: {said} {} of {script}", String::from_utf8_lossy(&done.stderr))
    });
    (done.status.code().unwrap(), answer)
}

#[tokio::test]
async fn what_the_manual_shows_is_one_question_each_with_the_right_answer() {
    let sandbox =
        TestSandbox::start_with(Settings { users: 3, posts_per_user: 300, ..small() }).await;
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    // Carol is not connected: one post among the others is foreign.
    let foreign = [gateway.sandbox.ids("bob", 30), gateway.sandbox.ids("carol", 1)].concat();
    let cases = [
        (["alice", "bob"].map(|name| gateway.sandbox.old_ids(name, 60)), "historical", 0, 12),
        ([gateway.sandbox.ids("alice", 260), foreign], "totals", 3, 3),
    ];
    let examples = examples();
    assert_eq!(examples.len(), cases.len());
    for (example, (posts, endpoint, code, calls)) in examples.into_iter().zip(cases) {
        let text = placed(example, &gateway, &posts);
        let (curl, query) = text.split_once("\n\n").unwrap();
        assert!(curl.starts_with("curl ") && query.starts_with("countersign query "), "{text}");
        let (mut exits, mut answers) = (Vec::new(), Vec::new());
        for script in [curl, query] {
            let (exit, mut answer) = run(script, &gateway).await;
            let report = answer.as_object_mut().unwrap().remove("countersign").unwrap();
            exits.push(exit);
            answers.push((answer, report));
        }
        assert_eq!(exits, [0, code]);
        let question = curl.split_once("<<JSON\n").unwrap().1.trim_end_matches("JSON");
        let question: Value = serde_json::from_str(question).unwrap();
        for (answer, report) in &answers {
            let missing = report["missing"].as_array().unwrap();
            assert_eq!(report["complete"], code == 0, "{missing:?}");
            assert!(report["calls"].as_array().unwrap().len() >= calls, "{}", report["calls"]);
            let whole = oracle::lifted(&gateway, &question, endpoint, missing).await;
            let sorted = |value: &Value| -> BTreeMap<String, Value> {
                let members = value.as_object().unwrap().iter();
                members.map(|(name, value)| (name.clone(), oracle::sorted(value))).collect()
            };
            assert_eq!(sorted(answer), sorted(&whole));
        }
    }
}
