//! A running `serve`: what it prints, what it lets other processes see, and how it ends.

use std::os::unix::fs::MetadataExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::trouble::PATIENCE;
use crate::upstream::{TOTALS, body};

async fn it_serves_and_stops_at_a_signal(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let alice = &deployment.sandbox.user("alice").user_id;
    let call = Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", &key)
        .header("countersign-account", alice)
        .header("x-request-id", "the-call")
        .body(body.to_string());
    let answer = call.send().await;
    answer.is_relayed(200);
    assert_eq!(answer.json(), deployment.sandbox.own("alice", TOTALS, &body).await.json());
    running.signal(Signal::TERM);
    let done = running.end().await;
    assert_eq!((done.code, &*done.out), (0, ""), "{done:?}");
    let lines: Vec<Value> =
        done.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = lines.iter().find(|line| line["message"] == "call").unwrap();
    let expected = json!({
        "request_id": "the-call",
        "key": "reports",
        "account": alice,
        "endpoint": "totals",
        "auth": "user-context",
        "status": 200,
        "upstream_status": 200,
        "attempts": 1,
        "bytes_in": body.to_string().len(),
        "bytes_out": answer.raw.len(),
        "level": "INFO",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&call[field], value, "{field} in {call}");
    }
    assert!(call["us"].is_u64() && call["upstream_us"].is_u64(), "{call}");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    let keys = deployment.must(&["key", "list", "--json"]).await;
    assert!(keys.contains(r#""last_used_at": "20"#), "what the call noted was written: {keys}");
}

on_both!(it_serves_and_stops_at_a_signal);

#[tokio::test]
async fn an_interrupt_ends_it_too() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("LOG__FORMAT", "human");
    let running = deployment.start(&["serve"]);
    running.err.wait_for("serving").await;
    running.signal(Signal::INT);
    let done = running.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!done.err.contains('\u{1b}'), "colours in a pipe: {}", done.err);
}

#[tokio::test]
async fn between_the_signal_and_the_end_it_asks_clients_to_leave() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("LIMITS__DRAIN_NOTICE", "10m");
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    running.signal(Signal::TERM);
    running.err.wait_for("stopping").await;
    let ready = Ask::new(&http, &running.url, "GET", "/readyz").send().await;
    assert_eq!((ready.status.as_u16(), ready.header("connection")), (503, "close"));
    let live = Ask::new(&http, &running.admin_url, "GET", "/livez").send().await;
    assert_eq!((live.status.as_u16(), live.header("connection")), (200, "close"));
    running.signal(Signal::TERM);
    let done = running.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("stopped at once by a second signal"), "{}", done.err);
}

#[tokio::test]
async fn a_second_signal_ends_it_with_calls_in_flight() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let running = deployment.serve().await;
    deployment
        .sandbox
        .put("/sandbox/faults", json!([{ "kind": "hang", "path": "/insights/" }]))
        .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", &key)
        .body(body.to_string());
    let call = tokio::spawn(call.try_send());
    while deployment
        .sandbox
        .get("/sandbox/calls?path=/insights/")
        .await
        .as_array()
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    running.signal(Signal::INT);
    // Once the listener is closed, only the call is waited for.
    let address = running.url.strip_prefix("http://").unwrap();
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    running.signal(Signal::INT);
    let done = running.end().await;
    assert!(done.err.contains("stopped at once by a second signal"), "{done:?}");
    assert!(call.await.unwrap().is_err(), "the call was cut");
}

#[tokio::test]
async fn nobody_reads_its_memory() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let running = deployment.serve().await;
    let proc = format!("/proc/{}", running.child.id());
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    // The files in `/proc` of a process that is not dumpable belong to root.
    let owner = std::fs::metadata(format!("{proc}/environ")).unwrap().uid();
    assert_eq!(owner, 0);
    let own = std::fs::metadata("/proc/self/environ").unwrap().uid();
    if own != 0 {
        assert!(std::fs::read(format!("{proc}/environ")).is_err());
    }
}

/// The soft and the hard limit of a process's core dumps.
fn core_limits(running: &Running) -> Option<Vec<String>> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).ok()?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"))?;
    Some(core.split_whitespace().skip(4).take(2).map(str::to_owned).collect())
}

#[tokio::test]
async fn no_command_that_holds_a_secret_leaves_its_memory() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    // It accepts the connection and sends nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    deployment.environment.insert("COUNTERSIGN_URL".to_owned(), url);
    deployment
        .environment
        .insert("COUNTERSIGN_KEY".to_owned(), deployment.key("reports", &[]).await);
    let query = ["query", "--tweets", "20", "--metrics", "favorites"];
    for command in [&["account", "import"][..], &["account", "connect", "--pin"], &query] {
        let running = deployment.start_by("ulimit -c 1000; exec \"$0\" \"$@\"", command);
        let hidden = async {
            while core_limits(&running).as_deref() != Some(&["0".to_owned(), "0".to_owned()]) {
                tokio::task::yield_now().await;
            }
        };
        let hidden = tokio::time::timeout(PATIENCE, hidden).await;
        assert!(hidden.is_ok(), "{command:?}: {:?}", core_limits(&running));
    }
}

#[tokio::test]
async fn a_health_check_says_what_the_gateway_says() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("LIMITS__DRAIN_NOTICE", "10m");
    let running = deployment.serve().await;
    deployment.set("ADMIN__LISTEN", running.admin_url.strip_prefix("http://").unwrap());
    let done = deployment.run(&["healthcheck"]).await;
    assert_eq!((done.code, &*done.out), (0, "{\"reasons\":[],\"status\":\"ready\"}\n"), "{done:?}");
    running.signal(Signal::TERM);
    running.err.wait_for("stopping").await;
    let done = deployment.run(&["healthcheck"]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("the gateway is stopping"), "{done:?}");
    drop(running);
    let done = deployment.run(&["healthcheck"]).await;
    assert_eq!(done.code, 1, "{done:?}");
    assert_eq!(done.err.lines().count(), 1, "{done:?}");
}

#[tokio::test]
async fn without_an_app_it_is_not_ready_and_says_why() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.environment.retain(|name, _| !name.contains("__APPS__"));
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = Ask::new(&http, &running.url, "GET", "/readyz").send().await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("no app is configured"), "{}", ready.text());
}

#[tokio::test]
async fn the_upstreams_status_is_logged_though_its_answer_was_cut_short() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let running = deployment.serve().await;
    deployment
        .sandbox
        .put("/sandbox/faults", json!([{ "kind": "cut_body", "path": "/insights/" }]))
        .await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = Ask::new(&http, &running.url, "POST", TOTALS).header("x-api-key", &key);
    call.body(body.to_string()).send().await.is_own(502, "upstream_cut_short");
    let line: Value = serde_json::from_str(&running.err.wait_for("\"call\"").await).unwrap();
    assert_eq!((&line["status"], &line["upstream_status"]), (&json!(502), &json!(200)), "{line}");
}
