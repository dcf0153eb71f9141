//! Every command that README and `docs/` show is run, against a demo.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::manual::blocks::{Commands, commands_of, documents};
use crate::manual::shell::Shell;
use crate::program::deployment::Running;
use crate::webhooks::receiver::Receiver;

/// What a stranger is asked to read first, in bytes.
const README: usize = 8192;

/// Headings whose blocks another test runs, since they need more than a demo.
const BY_OTHER_TESTS: [(&str, &str, &str); 3] = [
    ("docs/operating.md", "Changing the vault's key", "program::rings, on two replicas under load"),
    ("docs/operating.md", "Dumping PostgreSQL", "manual::backup"),
    ("docs/operating.md", "Dumping SQLite", "manual::backup"),
];

/// The blocks that are not run as they stand, by their first lines, and why.
const NOT_RUN: [(&str, &str, &str); 13] = [
    (
        "README.md",
        "cargo run --release -- demo",
        "each test here starts such a demo; Cargo has built it",
    ),
    ("README.md", "tests/run", "runs this test"),
    (
        "docs/browser.md",
        "COUNTERSIGN_KEY=\"$(cat charts.key)\" POSTS=\"$POST,$OTHER_POST\" python3 examples/browser/server.py",
        "goes on until it is stopped: pages::examples",
    ),
    (
        "docs/browser.md",
        "COUNTERSIGN_KEY=\"$(cat charts.key)\" POSTS=\"$POST,$OTHER_POST\" node examples/browser/server.mjs",
        "goes on until it is stopped: pages::examples",
    ),
    ("docs/console.md", "ssh -L 8081:127.0.0.1:8081 gateway.internal", "needs a second machine"),
    (
        "docs/operating.md",
        "countersign serve",
        "goes on until it is stopped: program::starting and others",
    ),
    (
        "docs/operating.md",
        "countersign account connect --pin",
        "waits for a PIN: program::connecting",
    ),
    (
        "docs/operating.md",
        "docker compose up demo",
        "needs Docker: program::containers plays its parts",
    ),
    ("docs/operating.md", "docker compose up", "needs Docker: program::containers plays its parts"),
    (
        "examples/README.md",
        "npx --package typescript@5.9.3 tsc --strict --target es2022 --module nodenext \\",
        "fetches the compiler: manual::clients compiles with the same options",
    ),
    (
        "docs/sandbox.md",
        "countersign sandbox --seed 7 --now 2026-03-10T21:15:30Z",
        "goes on until it is stopped: program::first_minutes",
    ),
    (
        "docs/sandbox.md",
        "countersign sandbox --switch per_minute=30 --switch echo_end=now",
        "goes on until it is stopped: program::starting",
    ),
    (
        "docs/sandbox.md",
        "curl -i \"$SANDBOX/oauth/authorize\" -d \"oauth_token=$TOKEN&decision=allow&screen_name=alice\"",
        "needs a flow that has begun: sandbox::consent",
    ),
];

fn is_run(block: &Commands) -> bool {
    let first = block.text.lines().next().unwrap();
    let elsewhere = BY_OTHER_TESTS
        .iter()
        .any(|(document, heading, _)| *document == block.document && *heading == block.heading);
    !elsewhere
        && !NOT_RUN.iter().any(|(document, line, _)| *document == block.document && *line == first)
}

/// Runs a document's blocks in their order, each in a shell of its own.
async fn run_all(document: &str, shell: &Shell) {
    let blocks = commands_of(document);
    let mut count = 0;
    for block in blocks.iter().filter(|block| is_run(block)) {
        count += 1;
        let out = shell.must(&block.text).await;
        let is_printed = block.text.contains("$URL/") && !block.text.contains(" > ");
        if is_printed && !block.text.contains("text/csv") {
            let answers = serde_json::Deserializer::from_str(&out).into_iter::<Value>();
            let objects = answers.filter(|answer| answer.as_ref().is_ok_and(Value::is_object));
            let wanted = block.text.matches("curl ").count();
            assert!(objects.count() >= wanted, "{}: {out}", block.text);
        }
    }
    assert!(count > 0, "{document} has no commands that are run");
}

#[tokio::test]
async fn the_commands_of_the_readme_work() {
    let shell = Shell::start().await;
    run_all("README.md", &shell).await;
}

#[tokio::test]
async fn the_first_answer_is_as_the_readme_shows_it() {
    let shell = Shell::start().await;
    let blocks = commands_of("README.md");
    let call = blocks.iter().find(|block| block.text.starts_with("curl ")).unwrap();
    let answer: Value = serde_json::from_str(&shell.must(&call.text).await).unwrap();
    let post = shell.must("echo $POST").await;
    let readme = fs::read_to_string("README.md").unwrap();
    let shown = readme.split_once("```json\n").unwrap().1.split_once("\n```").unwrap().0;
    let shown: Value = serde_json::from_str(shown).unwrap();
    let (shown, numbers) =
        (&shown["by_tweet"]["1560000000000000000"], &answer["by_tweet"][post.trim()]);
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(numbers), names(shown), "{answer}");
    for number in numbers.as_object().unwrap().values() {
        number.as_str().unwrap().parse::<u64>().unwrap();
    }
}

#[tokio::test]
async fn the_variables_load_as_the_demo_says_from_any_folder() {
    let folder = TempDir::new().unwrap();
    let any = "127.0.0.1:0";
    let ports =
        ["--listen", any, "--admin-listen", any, "--front-listen", any, "--sandbox-listen", any];
    let arguments = [&["demo", "--dir", "it's odd/$demo"], &ports[..]].concat();
    let demo = Running::start(folder.path(), &BTreeMap::new(), &arguments);
    let load = demo.out.wait_for("env").await;
    let script = format!("{load}cd /\ncountersign account list --json\n");
    let mut command = Command::new("/bin/sh");
    command.args(["-euc", &script]).current_dir(folder.path());
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let done = Running::of(command).end().await;
    assert_eq!(done.code, 0, "{script}{done:?}");
    let accounts: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(accounts.as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn the_commands_for_callers_work() {
    run_all("docs/calling.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_for_makers_of_pages_work() {
    run_all("docs/browser.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_for_operators_work() {
    run_all("docs/operating.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_of_the_admin_api_work() {
    run_all("docs/admin-api.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_about_the_console_work() {
    run_all("docs/console.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_about_the_sandbox_work() {
    run_all("docs/sandbox.md", &Shell::start().await).await;
}

#[tokio::test]
async fn the_commands_about_the_examples_work() {
    let shell = Shell::start().await;
    let examples = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    symlink(examples, shell.folder.path().join("examples")).unwrap();
    run_all("examples/README.md", &shell).await;
}

#[tokio::test]
async fn the_commands_about_webhooks_work() {
    let mut shell = Shell::start().await;
    let receiver = Receiver::start().await;
    shell.must(&format!("countersign webhook add '{}'", receiver.url)).await;
    let listed = shell.must("countersign webhook list --json").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let mine = listed.as_array().unwrap().iter().find(|webhook| webhook["url"] == receiver.url);
    let webhook = mine.unwrap()["id"].as_str().unwrap().to_owned();
    // An event of an account, which is a delivery that can be sent again.
    shell.must("countersign account remove @bob").await;
    receiver.wait_for(1).await;
    let deliveries = format!(
        "curl \"$ADMIN/admin/v1/webhooks/{webhook}/deliveries\" -H \"Authorization: Bearer $ADMIN_KEY\""
    );
    let deliveries: Value = serde_json::from_str(&shell.must(&deliveries).await).unwrap();
    let delivery = deliveries["deliveries"][0]["id"].as_str().unwrap();
    let number =
        delivery.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap().to_owned();
    shell.variables.extend([("WEBHOOK".to_owned(), webhook), ("DELIVERY".to_owned(), number)]);
    run_all("docs/webhooks.md", &shell).await;
}

#[test]
fn each_block_that_is_not_run_is_listed_with_its_reason_and_there_is_no_other() {
    let blocks: Vec<Commands> = documents().iter().flat_map(|it| commands_of(it)).collect();
    for (document, line, _) in NOT_RUN {
        let is_it = |block: &&Commands| {
            block.document == document && block.text.lines().next() == Some(line)
        };
        assert_eq!(blocks.iter().filter(is_it).count(), 1, "{document}: {line}");
    }
    for (document, heading, _) in BY_OTHER_TESTS {
        let is_it = |block: &Commands| block.document == document && block.heading == heading;
        assert!(blocks.iter().any(is_it), "{document}: {heading}");
    }
    let run = blocks.iter().filter(|block| is_run(block));
    let documents: BTreeSet<&str> = run.map(|block| &*block.document).collect();
    let tested = [
        "README.md",
        "docs/admin-api.md",
        "docs/browser.md",
        "docs/calling.md",
        "docs/console.md",
        "docs/daily.md",
        "docs/operating.md",
        "docs/sandbox.md",
        "docs/webhooks.md",
        "examples/README.md",
    ];
    assert_eq!(documents.into_iter().collect::<Vec<_>>(), tested);
}

#[test]
fn the_readme_is_short_and_begins_with_its_two_commands() {
    let readme = fs::read_to_string("README.md").unwrap();
    assert!(readme.len() <= README, "{} bytes", readme.len());
    let blocks = commands_of("README.md");
    let first: Vec<&str> = blocks.iter().take(2).map(|block| &*block.text).collect();
    assert_eq!(first, ["cargo run --release -- demo", "tests/run"]);
    let line = readme.lines().position(|line| line == "tests/run").unwrap();
    assert!(line < 30, "not on the first screen: line {line}");
}
