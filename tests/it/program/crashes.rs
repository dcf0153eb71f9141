//! The program killed while it writes: everything that it acknowledged is stored, and nothing is stored by halves.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::database::{Database, on_both};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::program::killer::Killer;
use crate::upstream::{TOTALS, body};

/// How many accounts an import has.
const BATCH: usize = 200;

/// The lines of an import of made-up users, whose names say which import it was.
fn lines(users: std::ops::Range<usize>, import: usize) -> String {
    let line = |user: usize| {
        json!({
            "user_id": format!("{}", 1_000_000 + user),
            "screen_name": format!("u{user}_import{import}"),
            "access_token": format!("{}-{import:040}", 1_000_000 + user),
            "access_token_secret": format!("{import:045}"),
        })
    };
    users.map(|user| line(user).to_string() + "\n").collect()
}

/// The number of its import for each made-up user that is stored.
async fn imported(deployment: &Deployment) -> Vec<usize> {
    let listed: Value =
        serde_json::from_str(&deployment.must(&["account", "list", "--json"]).await).unwrap();
    let names =
        listed.as_array().unwrap().iter().map(|account| account["screen_name"].as_str().unwrap());
    names
        .filter_map(|name| name.split_once("_import"))
        .map(|halves| halves.1.parse().unwrap())
        .collect()
}

/// One call as alice.
async fn call(deployment: &Deployment, running: &Running, key: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let call = Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", key)
        .header("countersign-account", "@alice");
    call.body(body.to_string()).send().await.is_relayed(200);
}

async fn an_import_that_is_killed_is_there_whole_or_not_at_all(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let killer = Killer::of(&mut deployment, &database).await;
    let (mut last, mut kept) = (Vec::new(), 0);
    for import in 1.. {
        let lines = lines(0..BATCH, import);
        let done = killer.run(&deployment, &["account", "import"], &lines, import * 5_000).await;
        let found = imported(&deployment).await;
        let whole = found == [import; BATCH];
        assert!(whole || found == last, "{import}: {found:?}");
        let acknowledged = done.out == format!("imported {BATCH} accounts\n");
        assert!(whole || !acknowledged, "{import}: {done:?}");
        kept += usize::from(!whole);
        deployment.must(&["check"]).await;
        last = found;
        if done.code == 0 {
            assert!(acknowledged && import > 10 && kept > 8, "{import} rounds, {kept} undone");
            break;
        }
        assert_eq!(done.code, -1, "it was killed: {}", done.err);
    }
    deployment.must(&["account", "verify", "@alice"]).await;
}

async fn a_key_whose_making_is_killed_is_there_whole_or_not_at_all(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let killer = Killer::of(&mut deployment, &database).await;
    // So many that they fill many pages.
    let mut accounts: Vec<String> =
        (0..BATCH * 10).map(|number| format!("{}", u64::MAX / 2 - number as u64)).collect();
    accounts.push(deployment.sandbox.user("alice").user_id.clone());
    let scope: Vec<&str> = accounts.iter().flat_map(|account| ["--account", account]).collect();
    let (mut made, mut kept) = (0, 0);
    for round in 1.. {
        let name = format!("key {round}");
        let create = [&["key", "create", &*name], &*scope].concat();
        let done = killer.run(&deployment, &create, "", round * 2_500).await;
        let keys: Value =
            serde_json::from_str(&deployment.must(&["key", "list", "--json"]).await).unwrap();
        let keys = keys.as_array().unwrap();
        let found = keys.iter().find(|key| key["name"] == *name);
        assert!(
            found.is_none_or(|key| key["accounts"].as_array().unwrap().len() == accounts.len())
        );
        assert!(found.is_some() || done.out.is_empty(), "{round}");
        made += usize::from(found.is_some());
        kept += usize::from(found.is_none());
        assert_eq!(keys.len(), made, "{round}");
        if done.code == 0 {
            assert!(round > 10 && kept > 8, "{round} rounds, {kept} undone");
            let running = deployment.serve().await;
            call(&deployment, &running, done.out.trim()).await;
            break;
        }
        assert_eq!(done.code, -1, "it was killed: {}", done.err);
    }
    deployment.must(&["check"]).await;
}

async fn writes_acknowledged_by_a_gateway_that_is_killed_are_there(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let admin = deployment.key("boss", &["--admin"]).await;
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let running = deployment.serve().await;
        acknowledged.extend(write_until_killed(&running, &admin, round).await);
        running.end().await;
    }
    assert!(acknowledged.len() >= (0..20).sum(), "{}", acknowledged.len());

    deployment.must(&["check"]).await;
    let found = imported(&deployment).await;
    let running = deployment.serve().await;
    for write in acknowledged {
        match write {
            Write::Import(import) => assert!(found.contains(&import), "{import}"),
            Write::Key(key) => call(&deployment, &running, &key).await,
        }
    }
    // Acknowledged or not, an import is complete or absent, and every key has its entry in the audit log.
    for import in &found {
        assert_eq!(found.iter().filter(|number| *number == import).count(), 3, "{import}");
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask =
        |path: &str| Ask::new(&http, &running.admin_url, "GET", path).header("x-api-key", &admin);
    let keys = ask("/admin/v1/keys?limit=1000").send().await.json();
    let audit = ask("/admin/v1/audit?limit=1000").send().await.json();
    let mut keys: Vec<String> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| format!("key:{}", key["id"].as_str().unwrap()))
        .collect();
    let entries = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["action"] == "key.created");
    let mut created: Vec<&str> = entries.map(|entry| entry["subject"].as_str().unwrap()).collect();
    keys.sort_unstable();
    created.sort_unstable();
    assert_eq!(keys, created);
}

on_both!(
    an_import_that_is_killed_is_there_whole_or_not_at_all,
    a_key_whose_making_is_killed_is_there_whole_or_not_at_all,
    writes_acknowledged_by_a_gateway_that_is_killed_are_there
);

/// What the gateway acknowledged as stored.
enum Write {
    Key(String),
    Import(usize),
}

const WRITERS: usize = 4;

/// Writes from several clients at once, and kills the gateway once it has acknowledged `most`; cuts each client off.
async fn write_until_killed(running: &Running, admin: &str, most: usize) -> Vec<Write> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str, content_type: &str| {
        let ask = Ask::new(&http, &running.admin_url, "POST", path).header("x-api-key", admin);
        ask.header("content-type", content_type)
    };
    let key = ask("/admin/v1/keys", "application/json");
    let import = ask("/admin/v1/accounts", "application/x-ndjson");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let first = (most * WRITERS + writer) * 1000;
        writers.spawn(write(key.clone(), import.clone(), first, sender.clone()));
    }
    drop(sender);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < most {
        acknowledged.push(receiver.recv().await.unwrap());
    }
    running.signal(Signal::KILL);
    writers.join_all().await;
    while let Some(write) = receiver.recv().await {
        acknowledged.push(write);
    }
    acknowledged
}

/// Creates keys and imports accounts in turn, numbered from `first` on, until the gateway is gone.
async fn write(key: Ask, import: Ask, first: usize, acknowledged: mpsc::UnboundedSender<Write>) {
    for number in first.. {
        let ask = if number % 2 == 0 {
            key.clone().body(json!({ "name": format!("key {number}") }).to_string())
        } else {
            import.clone().body(lines(number * 3..number * 3 + 3, number))
        };
        let Ok(answer) = ask.try_send().await else { return };
        assert_eq!(answer.status, 201, "{}", answer.text());
        let write = match answer.json()["secret"].as_str() {
            Some(secret) => Write::Key(secret.to_owned()),
            None => Write::Import(number),
        };
        acknowledged.send(write).unwrap();
    }
}
