//! Proxy variables in the environment, which must not divert credentials.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::http::Ask;
use crate::program::deployment::Deployment;
use crate::program::front::{Authority, Front};
use crate::upstream::{TOTALS, VERIFY, body};

/// Makes every kind of call to the upstream, with proxy variables that point to a listener nobody may connect to.
async fn goes_straight_to_the_upstream(mut deployment: Deployment) {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        for name in [name.to_owned(), name.to_lowercase()] {
            deployment.environment.insert(name, url.clone());
        }
    }
    // A proxy that accepts a connection and stays silent would be noticed within this time.
    deployment.set("LIMITS__UPSTREAM_FIRST_BYTE", "5s");
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    deployment.must(&["check"]).await;
    deployment.must(&["account", "verify", "@alice"]).await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (metric, account) in [("impressions", "@alice"), ("favorites", "")] {
        let body = body(&deployment.sandbox.ids("alice", 1), &[metric], &["tweet.id"]);
        let call = Ask::new(&http, &running.url, "POST", TOTALS)
            .header("x-api-key", &key)
            .header("countersign-account", account)
            .body(body.to_string());
        call.send().await.is_relayed(200);
    }
    // One of the three is the check's.
    for (path, times) in [("/oauth2/token", 2), (VERIFY, 1), (TOTALS, 3)] {
        let Value::Array(arrived) =
            deployment.sandbox.get(&format!("/sandbox/calls?path={path}")).await
        else {
            panic!("{path}")
        };
        assert_eq!(arrived.len(), times, "{path}: {arrived:?}");
    }
    // A connection would be waiting here to be accepted.
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn proxy_variables_do_not_lead_plain_calls_away() {
    let database = fresh(Kind::Sqlite).await;
    goes_straight_to_the_upstream(Deployment::new(&database).await).await;
}

#[tokio::test]
async fn proxy_variables_do_not_lead_tls_calls_away() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let authority = Authority::new("ours");
    let front = Front::before(&deployment.sandbox.address, &authority, "localhost", |_| ()).await;
    deployment.trust(&front, &authority);
    goes_straight_to_the_upstream(deployment).await;
}
