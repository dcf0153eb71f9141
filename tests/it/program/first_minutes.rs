//! What a demo shows in its first minutes: what it prints, its past, and that it stays the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, Ask};
use crate::program::demo::{PORTS, card, start};
use crate::program::deployment::Running;

fn text<'a>(card: &'a Value, field: &str) -> &'a str {
    card[field].as_str().unwrap()
}

async fn get(url: &str) -> Answer {
    let stay = reqwest::redirect::Policy::none();
    let http = reqwest::Client::builder().no_proxy().redirect(stay).build().unwrap();
    let (base, path) = url.split_at(url[8..].find('/').map_or(url.len(), |at| at + 8));
    Ask::new(&http, base, "GET", if path.is_empty() { "/" } else { path }).send().await
}

async fn admin(card: &Value, path: &str) -> Value {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = Ask::new(&http, text(card, "admin"), "GET", path);
    let answer = ask.header("x-api-key", text(card, "admin_key")).send().await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn stop(running: Running) {
    running.signal(Signal::INT);
    assert_eq!(running.end().await.code, 0);
}

fn shell(script: &str, folder: &Path) -> tokio::task::JoinHandle<String> {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).env("no_proxy", "*").current_dir(folder);
    tokio::task::spawn_blocking(move || {
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    })
}

#[tokio::test]
async fn what_it_prints_fits_a_small_terminal_and_can_be_pasted() {
    let folder = TempDir::new().unwrap();
    let running = start(folder.path(), &[]);
    running.out.wait_for("countersign-demo/log").await;
    let printed = running.out.text();
    assert!(printed.lines().count() <= 24, "{printed}");
    // Those addresses of a test have five digits, as those of a reader's ports may.
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    assert_eq!(printed.matches("curl ").count(), 1, "{printed}");
    let pasted =
        printed.split_once("terminal:\n").unwrap().1.split_once("\n\nThe admin").unwrap().0;
    let answer = shell(&format!("{pasted} -s"), folder.path()).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["countersign"]["complete"], true, "{answer}");
    // Every address leads to a page for people.
    let addresses: Vec<&str> =
        printed.split_whitespace().filter(|word| word.starts_with("http")).collect();
    assert_eq!(addresses.len(), 4, "{printed}");
    for address in addresses.iter().filter(|address| !address.contains("/console/")) {
        let page = get(address).await;
        assert!(page.status == 200 && page.header("content-type").starts_with("text/html"));
    }
    let kept = |name: &str| fs::read_to_string(folder.path().join("countersign-demo").join(name));
    assert!(kept("tour.txt").unwrap().contains("csa_"));
    assert!(!running.err.text().contains("INFO"), "{}", running.err.text());
    stop(running).await;

    let running = start(folder.path(), &["--log", "--tour"]);
    running.out.wait_for("countersign-demo/env").await;
    assert_eq!(running.out.text().trim_end(), kept("tour.txt").unwrap().trim_end());
    stop(running).await;
    // As in a container, from which the folder is copied.
    let copy = start(folder.path(), &["--dir", "volume/demo", "--fetch", "cp -r volume/demo ."]);
    copy.out.wait_for("The log: demo/log").await;
    let printed = copy.out.text();
    let pasted =
        printed.split_once("terminal:\n").unwrap().1.split_once("\n\nThe admin").unwrap().0;
    assert!(
        pasted.lines().all(|line| !line.ends_with('\\')),
        "each line is pasted alone: {pasted}"
    );
    let answer = shell(&format!("{pasted} -s"), folder.path()).await.unwrap();
    assert!(answer.contains("\"complete\":true"), "{answer}");
    stop(copy).await;
}

#[tokio::test]
async fn its_link_signs_in_to_the_console_once() {
    let folder = TempDir::new().unwrap();
    let (running, card) = card(folder.path()).await;
    let link = text(&card, "console");
    let guess = format!("{}-", &link[..link.len() - 1]);
    let console = format!("{}/console/", text(&card, "admin"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.head(link).send().await.unwrap().status(), 204, "looked at, and not used up");
    for (followed, is_let_in) in [(&*guess, false), (link, true), (link, false)] {
        let answer = get(followed).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, &*console));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("set-cookie").contains("HttpOnly"), is_let_in, "{followed}");
        if is_let_in {
            let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
            let overview = Ask::new(&http, text(&card, "admin"), "GET", "/console/");
            assert_eq!(overview.header("cookie", &cookie).send().await.status, 200);
        }
    }
    // Nobody else has such a link.
    assert_eq!(get(&format!("{console}x")).await.status, 404);
    stop(running).await;
}

/// The posts of the sandbox, with what they have had in all.
async fn posts(card: &Value) -> BTreeMap<String, u64> {
    let world = get(&format!("{}/sandbox/world", text(card, "sandbox"))).await.json();
    assert_eq!(world["users"][0]["user_id"], "7588892");
    assert_eq!(world["users"][1]["user_id"], "98316042");
    let users = world["users"].as_array().unwrap();
    let posts = users.iter().flat_map(|user| user["posts"].as_array().unwrap());
    let post = |post: &Value| {
        (text(post, "id").to_owned(), post["totals"]["impressions"].as_u64().unwrap())
    };
    posts.map(post).collect()
}

#[tokio::test]
async fn its_posts_and_numbers_outlive_it() {
    let folder = TempDir::new().unwrap();
    let (running, first) = card(folder.path()).await;
    let before = posts(&first).await;
    stop(running).await;
    let (running, second) = card(folder.path()).await;
    let after = posts(&second).await;
    for (post, impressions) in &before {
        assert!(after.get(post).is_some_and(|now| now >= impressions), "{post}");
    }
    assert_eq!(first["old_post"], second["old_post"]);
    assert_ne!(first["console"], second["console"]);
    stop(running).await;

    // After ten days its users have written more.
    let born = folder.path().join("countersign-demo/born");
    let then = fs::read_to_string(&born).unwrap();
    let ten_days = time::Duration::days(10);
    let parsed =
        time::OffsetDateTime::parse(then.trim(), &time::format_description::well_known::Rfc3339);
    let earlier = parsed.unwrap() - ten_days;
    fs::write(&born, earlier.format(&time::format_description::well_known::Rfc3339).unwrap())
        .unwrap();
    let (running, third) = card(folder.path()).await;
    let grown = posts(&third).await;
    let users = grown.len() - before.len();
    assert!((8 * 11..=8 * 13).contains(&users), "{users} posts in ten days of eight users");
    stop(running).await;

    fs::write(&born, "yesterday").unwrap();
    let done = start(folder.path(), &[]).end().await;
    assert!(done.code == 78 && done.err.contains("born: expected a time"), "{done:?}");
    fs::remove_file(&born).unwrap();
    for _ in 0..2 {
        let done = start(folder.path(), &[]).end().await;
        assert!(done.code == 78 && done.err.contains("an earlier version"), "{done:?}");
    }
}

/// The ids of the past's keys.
async fn services(card: &Value) -> BTreeSet<String> {
    let keys = admin(card, "/admin/v1/keys").await;
    let keys = keys["keys"].as_array().unwrap();
    let of_past = keys.iter().filter(|key| !text(key, "name").starts_with("demo"));
    of_past.map(|key| text(key, "id").to_owned()).collect()
}

#[tokio::test]
async fn it_has_a_past_as_if_it_had_served_for_a_month() {
    let folder = TempDir::new().unwrap();
    let (running, card) = card(folder.path()).await;
    let overview = admin(&card, "/admin/v1/overview").await;
    assert_eq!(
        overview["accounts"],
        json!({ "active": 3, "revoked": 1, "blocked": 1, "quarantined": 0 })
    );
    assert!(overview["calls"].as_u64().unwrap() > 50, "{overview}");
    let services = services(&card).await;
    assert_eq!(services.len(), 4);
    let usage = admin(&card, "/admin/v1/usage?by=key").await;
    let usage = usage.to_string();
    assert!(services.iter().all(|id| usage.contains(id)), "{usage}");
    // What is listed call by call is what was counted.
    let calls = admin(&card, "/admin/v1/calls?limit=500").await;
    let calls = calls["calls"].as_array().unwrap();
    let since = text(&overview, "since");
    let listed = calls.iter().filter(|call| text(call, "at") >= since).count() as u64;
    assert!(listed <= overview["calls"].as_u64().unwrap(), "{listed} {}", overview["calls"]);
    assert!(calls.iter().any(|call| call["status"] == 403));
    let failing = admin(&card, "/admin/v1/webhooks").await;
    assert_eq!(failing["webhooks"].as_array().unwrap().len(), 1, "{failing}");
    let audit = admin(&card, "/admin/v1/audit?limit=200").await.to_string();
    assert!(audit.contains("203.0.113.9"), "a wrong caller: {audit}");
    stop(running).await;

    // It is written once.
    let (running, card) = self::card(folder.path()).await;
    assert_eq!(self::services(&card).await, services);
    stop(running).await;
    let done = start(folder.path(), &["--empty"]).end().await;
    assert!(done.code == 78 && done.err.contains("has a past"), "{done:?}");

    // A start that was killed while it wrote leaves half of it.
    fs::write(folder.path().join("countersign-demo/past"), "due").unwrap();
    let (running, card) = self::card(folder.path()).await;
    let anew = self::services(&card).await;
    assert!(anew.len() == 4 && anew.is_disjoint(&services), "{anew:?}");
    stop(running).await;
}

#[tokio::test]
async fn an_empty_one_has_none_and_leads_to_the_first_call() {
    let folder = TempDir::new().unwrap();
    let running = start(folder.path(), &["--json", "--empty"]);
    let card: Value = serde_json::from_str(&running.out.wait_for("{").await).unwrap();
    let overview = admin(&card, "/admin/v1/overview").await;
    assert_eq!((&overview["calls"], &overview["accounts"]["revoked"]), (&json!(0), &json!(0)));
    let answer = get(text(&card, "console")).await;
    assert_eq!(answer.header("location"), format!("{}/console/start", text(&card, "admin")));
    stop(running).await;
    let log = fs::read_to_string(folder.path().join("countersign-demo/log")).unwrap();
    assert!(log.contains("stopped") && !log.contains("WARN"), "{log}");
    let running = start(folder.path(), &["--json"]);
    running.out.wait_for("{").await;
    stop(running).await;
}

#[tokio::test]
async fn a_seed_and_a_time_give_the_same_sandbox() {
    let mut worlds = Vec::new();
    for now in ["2026-03-10T21:15:30Z", "2026-03-10T21:15:30Z", "2026-03-11T21:15:30Z"] {
        let arguments = ["sandbox", "--listen", PORTS[1], "--seed", "7", "--now", now];
        let folder = TempDir::new().unwrap();
        let running = Running::start(folder.path(), &BTreeMap::new(), &arguments);
        let line = running.out.wait_for("listening on").await;
        let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap();
        let world = get(&format!("{}/sandbox/world", url.trim_end_matches(';'))).await.json();
        let newest = world["users"][0]["posts"][0]["created_at"].as_str().unwrap();
        assert!(newest.starts_with(&format!("{}T19:", &now[..10])), "{newest}");
        stop(running).await;
        worlds.push(world);
    }
    assert_eq!(worlds[0], worlds[1]);
    assert_ne!(worlds[0]["users"][0]["posts"], worlds[2]["users"][0]["posts"]);
    for wrong in ["yesterday", "2026-03-10", "1999-01-01T00:00:00Z", "2222-01-01T00:00:00Z"] {
        let folder = TempDir::new().unwrap();
        let arguments = ["sandbox", "--now", wrong];
        let done = Running::start(folder.path(), &BTreeMap::new(), &arguments).end().await;
        assert!(done.code != 0 && done.err.contains("expected a"), "{wrong}: {done:?}");
    }
}
