//! The back ends of the example page, against a demo.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Answer, Ask};
use crate::manual::shell::Shell;
use crate::program::deployment::Running;

/// The address of a server that `program` starts beside a demo, with a key for its page.
async fn start(shell: &Shell, program: &[&str]) -> (Running, String) {
    // Nobody keeps the port free until the server takes it.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        let name = format!("charts-{port}");
        let create = format!("countersign key create {name} --browser --origins {origin}");
        let key = shell.must(&create).await;
        let variables = shell.must("echo \"$URL $POST,$OTHER_POST\"").await;
        let (gateway, posts) = variables.trim().split_once(' ').unwrap();
        let mut command = Command::new(program[0]);
        command
            .arg(format!("{}/examples/browser/{}", env!("CARGO_MANIFEST_DIR"), program[1]))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("PYTHONUNBUFFERED", "1")
            .envs([("COUNTERSIGN_URL", gateway), ("COUNTERSIGN_KEY", key.trim())])
            .envs([("POSTS", posts), ("PORT", &port.to_string())]);
        let running = Running::of(command);
        tokio::select! {
            _ = running.out.wait_for("the page is at") => return (running, origin),
            _ = running.err.wait_for("in use") => (),
        }
    }
    panic!("no port was free");
}

async fn gives_its_page_tokens_that_work(program: &[&str]) {
    let shell = Shell::start().await;
    let (_running, origin) = start(&shell, program).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = Ask::new(&http, &origin, "GET", "/").send().await;
    assert!(page.status == 200 && page.text().contains("<title>"), "{}", page.text());
    let settings = Ask::new(&http, &origin, "GET", "/page.json").send().await.json();
    let token = Ask::new(&http, &origin, "POST", "/token")
        .header("origin", &origin)
        .header("sec-fetch-site", "same-origin")
        .send()
        .await;
    assert_eq!(token.status, 201, "{}", token.text());
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let gateway = settings["gateway"].as_str().unwrap();
    let ask = async |body: Value| -> Answer {
        Ask::new(&http, gateway, "POST", "/v1/engagement")
            .header("authorization", &format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("origin", &origin)
            .body(body.to_string())
            .send()
            .await
    };
    let answer = ask(json!({ "engagement_types": ["impressions", "favorites"] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json()["by_tweet"].as_object().unwrap().len();
    assert_eq!(found, settings["posts"].as_array().unwrap().len());
    ask(json!({ "tweet_ids": ["20"], "engagement_types": ["favorites"] }))
        .await
        .is_own(403, "not_allowed");
}

#[tokio::test]
async fn the_one_in_python_gives_its_page_tokens_that_work() {
    gives_its_page_tokens_that_work(&["python3", "server.py"]).await;
}

#[tokio::test]
async fn the_one_for_node_gives_its_page_tokens_that_work() {
    gives_its_page_tokens_that_work(&["node", "server.mjs"]).await;
}
