//! `countersign demo`: everything that a new user sees first.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Ask;
use crate::program::deployment::Running;
use crate::upstream::{TOTALS, body, leaves};

pub const PORTS: [&str; 8] = [
    "--listen",
    "127.0.0.1:0",
    "--admin-listen",
    "127.0.0.1:0",
    "--front-listen",
    "127.0.0.1:0",
    "--sandbox-listen",
    "127.0.0.1:0",
];

pub fn start(folder: &Path, more: &[&str]) -> Running {
    // A demo ignores the environment.
    let environment =
        BTreeMap::from([("COUNTERSIGN__SERVER__LISTEN".to_owned(), "nonsense".to_owned())]);
    Running::start(folder, &environment, &[&["demo"], &PORTS[..], more].concat())
}

/// A demo, and what it printed.
pub async fn card(folder: &Path) -> (Running, Value) {
    let running = start(folder, &["--json"]);
    let line = running.out.wait_for("{").await;
    (running, serde_json::from_str(&line).unwrap())
}

fn user_ids(list: &Value) -> Vec<String> {
    let mut ids: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["user_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort_unstable();
    ids
}

/// The demo knows the authors of its month's posts; older ones it has to look up.
async fn a_question_looks_its_posts_up(http: &reqwest::Client, card: &Value, posts: &Value) {
    let text = |field: &str| card[field].as_str().unwrap().to_owned();
    // Ids hold the time in milliseconds.
    let days = |post: &Value| {
        (post["id"].as_str().unwrap().parse::<u64>().unwrap() >> 22) / (24 * 3600 * 1000)
    };
    let posts = posts.as_array().unwrap();
    let newest = posts.iter().map(days).max().unwrap();
    let older = posts.iter().find(|post| (40..80).contains(&(newest - days(post)))).unwrap();
    let question = json!({ "tweet_ids": [older["id"]], "engagement_types": ["impressions"] });
    let answer = Ask::new(http, &text("gateway"), "POST", "/v1/engagement")
        .header("authorization", &format!("Bearer {}", text("key")))
        .header("content-type", "application/json")
        .body(question.to_string());
    let made = answer.send().await.json()["countersign"]["calls"].clone();
    assert_eq!(
        (&made[0]["endpoint"], &made[0]["status"]),
        (&json!("lookup"), &json!(200)),
        "{made}"
    );
}

#[tokio::test]
async fn its_card_says_where_and_with_what() {
    let folder = TempDir::new().unwrap();
    let (running, first) = card(folder.path()).await;
    let mut fields: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "accounts",
            "admin",
            "admin_key",
            "console",
            "front",
            "gateway",
            "key",
            "link",
            "old_post",
            "sandbox"
        ]
    );
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = |field: &str| first[field].as_str().unwrap().to_owned();

    let world = Ask::new(&http, &text("sandbox"), "GET", "/sandbox/world").send().await.json();
    let account = &first["accounts"][0];
    let post = account["tweet_ids"][0].as_str().unwrap();
    let users = world["users"].as_array().unwrap();
    let known_user = users.iter().find(|user| user["user_id"] == account["user_id"]).unwrap();
    let known =
        known_user["posts"].as_array().unwrap().iter().find(|listed| listed["id"] == post).unwrap();
    let body = json!({
        "tweet_ids": [post],
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id", "engagement.type"] } },
    });
    let call = Ask::new(&http, &text("gateway"), "POST", TOTALS)
        .header("authorization", &format!("Bearer {}", text("key")))
        .header("countersign-account", account["user_id"].as_str().unwrap())
        .body(body.to_string());
    let answer = call.clone().send().await;
    answer.is_relayed(200);
    assert_eq!(leaves(&answer.json()["g"]), known["totals"]["impressions"].as_u64().unwrap());

    a_question_looks_its_posts_up(&http, &first, &known_user["posts"]).await;
    let accounts = Ask::new(&http, &text("admin"), "GET", "/admin/v1/accounts")
        .header("x-api-key", &text("admin_key"));
    let listed = accounts.send().await.json();
    let (all, shown) = (user_ids(&listed["accounts"]), user_ids(&first["accounts"]));
    assert!(shown.iter().all(|id| all.contains(id)), "{listed}");
    assert_eq!((shown.len(), all.len()), (3, 5), "two are connected no more");

    running.signal(Signal::TERM);
    let done = running.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.out.lines().count(), 1, "one object and nothing else: {}", done.out);

    // A second start in the same folder has the same keys.
    let (running, second) = card(folder.path()).await;
    assert_eq!((&second["key"], &second["admin_key"]), (&first["key"], &first["admin_key"]));
    let ready = Ask::new(&http, second["gateway"].as_str().unwrap(), "GET", "/readyz").send().await;
    assert_eq!(ready.status, 200);
    running.signal(Signal::INT);
    assert_eq!(running.end().await.code, 0);
}

#[tokio::test]
async fn addresses_that_nobody_can_call_are_shown_as_ones_that_work() {
    let folder = TempDir::new().unwrap();
    let everywhere: Vec<&str> = PORTS
        .iter()
        .map(|argument| if argument.starts_with("--") { argument } else { "0.0.0.0:0" })
        .collect();
    let arguments = [&["demo", "--json"], &everywhere[..]].concat();
    let running = Running::start(folder.path(), &BTreeMap::new(), &arguments);
    let card: Value = serde_json::from_str(&running.out.wait_for("{").await).unwrap();
    for url in ["front", "gateway", "admin", "sandbox"] {
        assert!(card[url].as_str().unwrap().starts_with("http://127.0.0.1:"), "{card}");
    }
    // Through the gateway to the sandbox, signed for the address by which the gateway calls it.
    let ids: Vec<String> =
        serde_json::from_value(card["accounts"][0]["tweet_ids"].clone()).unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = Ask::new(&http, card["gateway"].as_str().unwrap(), "POST", TOTALS)
        .header("x-api-key", card["key"].as_str().unwrap())
        .header("countersign-account", card["accounts"][0]["user_id"].as_str().unwrap())
        .body(body(&ids, &["impressions"], &["tweet.id"]).to_string())
        .send()
        .await;
    answer.is_relayed(200);
    let sandbox = card["sandbox"].as_str().unwrap();
    let calls = Ask::new(&http, sandbox, "GET", "/sandbox/calls").send().await.json();
    assert_eq!(calls[0]["header_values"]["host"], sandbox.trim_start_matches("http://"));
}

#[tokio::test]
async fn the_commands_that_it_prints_work_as_they_stand() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let running = start(folder.path(), &["--dir", "odd name/demo"]);
    running.out.wait_for("/log").await;
    let text = std::fs::read_to_string(folder.path().join("odd name/demo/tour.txt")).unwrap();
    let commands = commands(&text);
    assert_eq!(commands.len(), 5, "{text}");
    let mut answers = Vec::new();
    for command in commands {
        let ran = tokio::task::spawn_blocking(move || {
            Command::new("sh")
                .args(["-c", &command])
                .env("no_proxy", "*")
                .output()
                .expect("sh and curl are installed")
        });
        let ran = ran.await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{said} {}", String::from_utf8_lossy(&ran.stderr));
        answers.push(
            serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}")),
        );
    }
    assert_eq!(answers[0]["by_tweet"].as_object().unwrap().len(), 3, "{}", answers[0]);
    for answer in &answers[..2] {
        assert!(leaves(&answer["by_tweet"]) > 0, "{answer}");
    }
    let hours = answers[2]["by_tweet"].to_string();
    assert!(answers[2].get("errors").is_none() && hours.contains("impressions"), "{hours}");
    assert_eq!(answers[3]["countersign"]["complete"], true, "{}", answers[3]);
    assert_eq!(answers[3]["by_tweet"].as_object().unwrap().len(), 10, "{}", answers[3]);
    assert_eq!(answers[4]["accounts"].as_array().unwrap().len(), 5);

    let mode = |path: &str| {
        std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("odd name/demo"), 0o700);
    for file in std::fs::read_dir(folder.path().join("odd name/demo")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert_eq!(mode(&format!("odd name/demo/{name}")) & 0o077, 0, "{name}");
    }
}

/// How a demo ends that does not begin.
async fn refused(folder: &Path, more: &[&str]) -> (i32, String) {
    let done = start(folder, more).end().await;
    assert!(done.out.is_empty(), "{done:?}");
    for blamed in ["COUNTERSIGN_", "settings are invalid", "setting is invalid"] {
        assert!(!done.err.contains(blamed), "nobody has set anything: {done:?}");
    }
    (done.code, done.err)
}

#[tokio::test]
async fn a_broken_folder_is_told_and_no_variable_is_blamed() {
    let folder = TempDir::new().unwrap();
    let whole = folder.path().canonicalize().unwrap().join("countersign-demo");
    let file = |name: &str| whole.join(name);
    // What a start that was killed may leave: nothing is lost by beginning again.
    std::fs::create_dir(&whole).unwrap();
    std::fs::write(file("vault_keys"), "").unwrap();
    std::fs::write(file("keys.json"), "{").unwrap();
    let (running, _) = card(folder.path()).await;
    running.signal(Signal::INT);
    assert_eq!(running.end().await.code, 0);

    let ring = std::fs::read(file("vault_keys")).unwrap();
    let database = std::fs::read(file("countersign.db")).unwrap();
    let other = b"k0000001=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_vec();
    let in_ring = format!("{}: entry 1: expected `id=key`", file("vault_keys").display());
    let in_folder = format!("cannot use the demo in {}; delete this folder", whole.display());
    for (name, content, code, told) in [
        ("vault_keys", b"nonsense".to_vec(), 78, &in_ring),
        ("vault_keys", other, 78, &in_folder),
        ("countersign.db", b"nonsense".repeat(1000), 69, &in_folder),
    ] {
        std::fs::write(file(name), content).unwrap();
        let (found, said) = refused(folder.path(), &[]).await;
        assert_eq!(found, code, "{name}: {said}");
        assert!(said.contains(&**told) && said.contains(" folder to start anew"), "{said}");
        std::fs::write(file("vault_keys"), &ring).unwrap();
        std::fs::write(file("countersign.db"), &database).unwrap();
    }
    std::fs::remove_file(file("keys.json")).unwrap();
    std::fs::create_dir(file("keys.json")).unwrap();
    let (code, said) = refused(folder.path(), &[]).await;
    assert!(code == 69 && said.contains(&file("keys.json").display().to_string()), "{said}");

    let elsewhere = TempDir::new().unwrap();
    let arguments = [
        "demo",
        "--listen",
        "127.0.0.2:0",
        "--admin-listen",
        "0",
        "--front-listen",
        "0",
        "--sandbox-listen",
        "0",
    ];
    let done = Running::start(elsewhere.path(), &BTreeMap::new(), &arguments).end().await;
    assert!(done.code == 78 && done.err.starts_with("countersign: --listen: expected"), "{done:?}");
}

/// The commands in a text: each begins a line with `curl` or a variable, and ends with the last continued line.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if goes_on {
            let command = commands.last_mut().unwrap();
            command.push('\n');
            command.push_str(line);
        } else if ["curl ", "COUNTERSIGN_"].iter().any(|start| line.trim_start().starts_with(start))
        {
            commands.push(line.to_owned());
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    commands
}
