//! The host names under which `/metrics` and `/admin` are served: none that somebody else may point at this machine.

use crate::database::{Database, on_both};
use crate::edge::own;
use crate::edge::raw::Raw;
use crate::gateway::TestGateway;
use crate::http::Ask;

const GUARDED: [&str; 2] = ["/metrics", "/admin/v1/keys"];

fn ask(gateway: &TestGateway, key: &str, path: &str, name: &str) -> Ask {
    gateway.admin(key, "GET", path).header("host", name)
}

async fn names_that_somebody_else_may_have_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    for path in GUARDED {
        for name in [
            "127.0.0.1:8081",
            "[::1]",
            "localhost",
            "countersign",
            "countersign.prod.svc",
            "countersign.prod.svc.cluster.local:8081",
        ] {
            assert_eq!(ask(&gateway, &key, path, name).send().await.status, 200, "{path} {name}");
        }
        for name in
            ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "x.svc.evil.example"]
        {
            let refused = ask(&gateway, &key, path, name).send().await;
            refused.is_own(421, "unknown_name");
            let detail = refused.json()["detail"].as_str().unwrap().to_owned();
            assert!(
                detail.contains("admin.hosts") && detail.contains("admin.public_url"),
                "{detail}"
            );
        }
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(&gateway, &key, path, "evil.example").send().await.status, 200, "{path}");
    }
    // Callers may use any host name.
    let call = crate::trouble::private(&gateway, "alice").header("host", "evil.example");
    call.send().await.is_relayed(200);
}

on_both!(names_that_somebody_else_may_have_are_refused);

#[tokio::test]
async fn names_that_the_settings_list_are_served() {
    let gateway = own(|config| {
        config.admin.hosts =
            (countersign::config::HOSTS.parse)("metrics.example.com, *.internal.example").unwrap();
        config.admin.public_url = Some("https://admin.example.com".to_owned());
    })
    .await;
    let key = gateway.new_admin_key().await;
    for path in GUARDED {
        for name in [
            "metrics.example.com",
            "Metrics.Example.com.:443",
            "a.b.internal.example",
            "admin.example.com",
        ] {
            assert_eq!(ask(&gateway, &key, path, name).send().await.status, 200, "{path} {name}");
        }
        for name in ["internal.example", "x.metrics.example.com", "example.com"] {
            ask(&gateway, &key, path, name).send().await.is_own(421, "unknown_name");
        }
    }
}

#[tokio::test]
async fn the_name_in_the_request_line_counts_before_the_header() {
    let gateway = own(|_| ()).await;
    for (line, host, status) in [
        ("http://evil.example/metrics", "127.0.0.1", 421),
        ("http://127.0.0.1/metrics", "evil.example", 200),
        ("/metrics", "a b", 421),
    ] {
        let mut raw = Raw::connect(&gateway.admin_url).await;
        raw.send(format!("GET {line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line} {host}: {answer}");
    }
    // Browsers always send a `Host`.
    let mut raw = Raw::connect(&gateway.admin_url).await;
    raw.send("GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(raw.rest().await.starts_with("HTTP/1.0 200"));
}
