//! A process with a low limit of open files.

use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::edge::raw::Raw;
use crate::program::deployment::Deployment;

#[tokio::test]
async fn connections_are_held_to_the_files_that_the_process_may_open() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let running = deployment.start_by("ulimit -n 256; exec \"$0\" \"$@\"", &["serve"]);
    let warned: Value = serde_json::from_str(&running.err.wait_for("ulimit").await).unwrap();
    let numbers =
        ["open_files", "configured", "held_to"].map(|name| warned[name].as_u64().unwrap());
    assert_eq!((numbers, &warned["level"]), ([256, 10_000, 48], &"WARN".into()));
    let running = running.serving().await;
    let mut crowd = Vec::new();
    for url in [&running.url, &running.admin_url] {
        for number in 0..200 {
            crowd.push(Raw::connect_from(&format!("127.0.0.{}", 2 + number % 4), url).await);
        }
    }
    for url in [&running.url, &running.admin_url] {
        let mut probe = Raw::connect(url).await;
        probe.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(probe.answer().await.starts_with("HTTP/1.1 200"));
    }
    let said = running.err.text();
    assert!(!said.contains("a connection was not accepted"), "{said}");
}
