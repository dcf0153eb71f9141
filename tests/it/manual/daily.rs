//! The ten questions of `docs/daily.md`: each is one command, and answered.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::manual::blocks::commands_of;
use crate::manual::shell::Shell;

/// The numbers of a question's only grouping.
fn grouping(out: &str) -> Value {
    let answer: Value = serde_json::from_str(out).unwrap_or_else(|_| panic!("no JSON: {out}"));
    let (_, found) = answer.as_object().unwrap().iter().next().unwrap();
    found.clone()
}

fn members(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

#[tokio::test]
async fn ten_questions_of_daily_work_take_one_command_each() {
    let shell = Shell::start().await;
    let blocks = commands_of("docs/daily.md");
    let mut answers = BTreeMap::new();
    for block in &blocks {
        let first = block.text.lines().next().unwrap().to_owned();
        answers.insert(block.text.clone(), (first, shell.must(&block.text).await));
    }
    let answer = |word: &str| {
        let mut found = answers.iter().filter(|(command, _)| command.contains(word));
        let (_, (_, out)) = found.next().unwrap_or_else(|| panic!("no command with {word}"));
        assert!(found.next().is_none(), "more than one command with {word}");
        out.as_str()
    };
    assert_eq!(blocks.len(), 10);
    let quarter = grouping(answer("--last 200"));
    assert!(members(&quarter["impressions"]) > 60, "{quarter}");
    let top = grouping(answer("--top"));
    assert!((1..=10).contains(&members(&top)), "{top}");
    let yesterday = grouping(answer("-d yesterday"));
    let (_, hours) = yesterday["impressions"].as_object().unwrap().iter().next().unwrap();
    assert!(members(hours) > 0, "{yesterday}");
    let sum = grouping(answer("$OTHER_POST"));
    assert!(members(&sum) > 0, "{sum}");
    answer("--spreadsheet");
    let table = fs::read_to_string(shell.folder.path().join("posts.csv")).unwrap();
    assert!(table.lines().count() > 1 && table.contains("https://x.com/"), "{table}");
    let services = answer("usage --by key");
    assert!(services.lines().count() > 1, "{services}");
    let failed = answer("calls --outcome failed");
    assert!(failed.lines().all(|line| !line.contains("answered (200)")), "{failed}");
    answer("audit --action key.revoked");
    let billed = answer("usage --by account");
    assert!(billed.lines().count() > 1, "{billed}");
    let overview: Value = serde_json::from_str(answer("/admin/v1/overview")).unwrap();
    assert!(overview["quotas"].is_array(), "{overview}");
}
