//! Addresses: those to listen on, as people write them, and those of clients in the log, where each listener trusts its
//! own list of proxies.

use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::upstream::TOTALS;

/// Requests a path as a proxy does for somebody; gives the client's address from the log.
async fn logged(running: &Running, url: &str, method: &str, path: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = Ask::new(&http, url, method, path).header("x-forwarded-for", "203.0.113.9, 10.1.2.3");
    ask.send().await;
    let line = running.err.wait_for(&format!("\"path\":\"{path}\"")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    line["peer"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_log_has_the_address_that_a_trusted_proxy_names() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("SERVER__TRUSTED_PROXIES", "127.0.0.1,10.1.0.0/16");
    let running = deployment.serve().await;
    for (method, path) in [
        ("GET", "/docs"),
        ("GET", "/v1/nothing"),
        ("GET", "/insights/nothing"),
        ("POST", "/insights/engagement/total"),
        ("POST", "/insights/engagement/totals/"),
        ("GET", TOTALS),
    ] {
        assert_eq!(logged(&running, &running.url, method, path).await, "203.0.113.9", "{path}");
        let own = logged(&running, &running.admin_url, method, path).await;
        assert_eq!(own, "127.0.0.1", "operators have a list of their own: {path}");
    }
    let own = logged(&running, &running.admin_url, "POST", TOTALS).await;
    assert_eq!(own, "127.0.0.1", "operators have no relay");
}

#[tokio::test]
async fn a_port_alone_and_localhost_are_this_machines() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("SERVER__LISTEN", "0");
    deployment.set("ADMIN__LISTEN", "localhost:0\r\n");
    let by_settings = deployment.serve().await;
    deployment.set("SERVER__LISTEN", "0.0.0.0:0");
    deployment.set("ADMIN__LISTEN", "0.0.0.0:0");
    let by_options =
        deployment.start(&["serve", "--listen", "localhost:0", "--admin-listen", "0"]).serving();
    for running in [by_settings, by_options.await] {
        for url in [&running.url, &running.admin_url] {
            assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        }
    }
    let sandbox = deployment.start(&["sandbox", "--listen", "0"]);
    sandbox.out.wait_for("listening on http://127.0.0.1:").await;
    let wrong = deployment.run(&["serve", "--listen", ":8080"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("a port alone and localhost mean 127.0.0.1"), "{wrong:?}");
}
