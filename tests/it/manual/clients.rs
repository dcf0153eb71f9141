//! The example clients, run against a demo.

use std::fs;
use std::path::Path;

use crate::database::setting;
use crate::manual::blocks::commands_of;
use crate::manual::shell::Shell;

fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A client that asks one question about posts prints a row for each; what it lacks, it says, and ends with 3.
async fn asks_a_question(shell: &Shell, client: &str) {
    let out = shell.must(&format!("{client} $POST $OTHER_POST")).await;
    let ids = shell.must("echo $POST $OTHER_POST").await;
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["post", "impressions", "favorites", "retweets", "replies"], "{out}");
    let mut posts: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    let mut wanted: Vec<&str> = ids.split_whitespace().collect();
    posts.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(posts, wanted);
    for number in rows[1..].iter().flat_map(|row| &row[1..]) {
        number.parse::<u64>().unwrap_or_else(|_| panic!("{out}"));
    }

    let partial = shell.run(&format!("{client} $POST 20")).await;
    assert_eq!(partial.code, 3, "{partial:?}");
    assert!(partial.err.contains("missing: ") && partial.err.contains("1 post(s)"), "{partial:?}");

    let refused = shell.run(&format!("COUNTERSIGN_KEY=csk_wrong {client} $POST")).await;
    assert!(refused.code == 1 && refused.err.contains("unknown_key: "), "{refused:?}");
}

#[tokio::test]
async fn the_one_in_python_asks_a_question() {
    asks_a_question(&Shell::start().await, &format!("python3 {}", example("question.py"))).await;
}

#[tokio::test]
async fn the_one_in_typescript_compiles_and_asks_a_question() {
    let shell = Shell::start().await;
    let readme = fs::read_to_string("examples/README.md").unwrap();
    let options = readme.split_once(" tsc ").unwrap().1.split_once(" examples/").unwrap().0;
    let compiler = setting("COUNTERSIGN_TEST_TSC");
    shell.must(&format!("node {compiler} {options} {}", example("question.ts"))).await;
    asks_a_question(&shell, "node out/question.js").await;
}

#[tokio::test]
async fn the_one_in_ruby_gets_private_totals() {
    let shell = Shell::start().await;
    let client = format!("ruby {}", example("relay.rb"));
    let out = shell.must(&format!("{client} @alice $POST")).await;
    let post = shell.must("echo $POST").await;
    assert!(out.starts_with(&format!("{}: ", post.trim())), "{out}");
    for metric in ["impressions", "engagements", "favorites", "retweets", "replies"] {
        assert!(out.contains(&format!(" {metric}")), "{metric}: {out}");
    }
    let foreign = shell.run(&format!("{client} @alice $OTHER_POST")).await;
    assert!(foreign.code == 1 && foreign.err.contains("X answered 403"), "{foreign:?}");
    let unknown = shell.run(&format!("{client} @nobody $POST")).await;
    let says = "Countersign answered 404";
    assert!(unknown.code == 1 && unknown.err.contains(says), "{unknown:?}");
}

#[tokio::test]
async fn the_one_in_shell_gets_the_last_hours() {
    let shell = Shell::start().await;
    let client = format!("sh {}", example("relay.sh"));
    let out = shell.must(&format!("{client} @alice $POST")).await;
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(answer["hours"].is_object() && answer.get("errors").is_none(), "{out}");
    let foreign = shell.run(&format!("{client} @alice $OTHER_POST")).await;
    assert!(foreign.code == 22 && foreign.out.contains("errors"), "{foreign:?}");
}

#[test]
fn each_is_listed_and_says_what_it_is() {
    let readme = fs::read_to_string("examples/README.md").unwrap();
    let shown: String = commands_of("examples/README.md").into_iter().map(|it| it.text).collect();
    for entry in fs::read_dir("examples").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension() == Some(Path::new("md").as_os_str()) {
            continue;
        }
        if path.is_dir() {
            for file in fs::read_dir(&path).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                assert!(readme.contains(&format!("]({name}/{file})")), "{name}/{file}");
            }
            continue;
        }
        assert!(readme.contains(&format!("[{name}]({name})")), "{name}");
        assert!(shown.contains(&format!("examples/{name}")), "{name}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("COUNTERSIGN_URL") && text.contains("COUNTERSIGN_KEY"), "{name}");
    }
}
