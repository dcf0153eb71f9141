//! Nobody reaches the operators' routes without an admin key, however the path is written.

use std::collections::BTreeSet;

use crate::database::{Database, on_both};
use crate::edge::own;
use crate::edge::raw::Raw;
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::openapi::routes::{Route, written};

const SPELLINGS: &[&str] = &[
    "//admin/v1/keys",
    "/admin//v1/keys",
    "/admin/v1//keys",
    "/admin/v1/keys/",
    "/admin/v1/keys//",
    "/admin%2fv1%2fkeys",
    "/admin/v1%2Fkeys",
    "/%61dmin/v1/keys",
    "/admin/v1/%6beys",
    "/admin/v1/keys%00",
    "/admin/v1/keys%20",
    "/admin/v1/keys%0a",
    "/admin/v1/keys;",
    "/admin/v1/keys;x=.css",
    "/admin;/v1/keys",
    "/livez;/admin/v1/keys",
    "/livez/../admin/v1/keys",
    "/livez/%2e%2e/admin/v1/keys",
    "/./admin/v1/keys",
    "/admin/./v1/keys",
    "/admin/v1/x/../keys",
    "/admin/v1/accounts/../keys",
    "/metrics/..%2fadmin/v1/keys",
    "/admin/v1/keys#/livez",
    "/admin/v1/keys#",
    "/admin/v1/keys?/livez",
    "/admin/v1/keys?",
    "/ADMIN/v1/keys",
    "/Admin/V1/Keys",
    "/admin/v1/keys.json",
    "/admin/v1/keys/.",
    "/admin/v1/keys/..",
    "/admin/v2/keys",
    "/admin",
    "/admin/",
    "/admin/v1",
    "\\admin\\v1\\keys",
    "/\\admin/v1/keys",
    "/admin\\v1/keys",
    "http://a/admin/v1/keys",
    "http://127.0.0.1/admin/v1/keys",
    "/admin/v1/keys\u{ff0f}",
    "*",
    "",
];

/// Headers that make other servers use another path, method or user.
const TALK: &[&str] = &[
    "X-Original-URL: /livez",
    "X-Rewrite-URL: /livez",
    "X-HTTP-Method-Override: GET",
    "X-Method-Override: OPTIONS",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-User: admin",
    "X-Remote-User: admin",
    "Cookie: key=csa_x",
    "User-Agent: kube-probe/1.30",
    "Authorization: Basic YWRtaW46YWRtaW4=",
    "Authorization: Bearer",
    "Authorization:",
    "X-Api-Key:",
    "Connection: authorization, x-api-key",
];

/// The operators' routes that require a key.
fn admin_routes() -> Vec<Route> {
    written().into_iter().filter(|(path, _)| path.starts_with("/admin/v1/")).collect()
}

#[test]
fn every_admin_route_is_in_the_list() {
    let source = include_str!("../../../src/server/mod.rs");
    let written: BTreeSet<&str> =
        source.split('"').filter(|literal| literal.starts_with("/admin/v1/")).collect();
    let routes = admin_routes();
    let listed: BTreeSet<&str> = routes.iter().map(|(path, _)| &**path).collect();
    assert!(routes.len() > 23, "{routes:?}");
    assert_eq!(written, listed);
}

async fn every_admin_route_asks_for_an_admin_key(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let revoked = gateway.new_admin_key().await;
    let id = revoked[4..16].to_owned();
    gateway.admin(&admin, "DELETE", &format!("/admin/v1/keys/{id}")).send().await;
    let mut altered = admin.clone();
    altered.replace_range(30..31, if &admin[30..31] == "q" { "r" } else { "q" });
    for (path, method) in &admin_routes() {
        let path = path
            .replace("{account}", "@alice")
            .replace("{key}", &id)
            .replace("{webhook}", "x")
            .replace("{link}", "x");
        let bare = Ask::new(&gateway.http, &gateway.admin_url, method, &path);
        let unnamed = bare.clone().send().await;
        unnamed.is_own(401, "missing_key");
        assert!(unnamed.text().contains("csa_") && !unnamed.text().contains("csk_"));
        for key in [&gateway.key, &revoked, &altered, "csa_", "x"] {
            gateway.admin(key, method, &path).send().await.is_own(401, "unknown_key");
            bare.clone().header("x-api-key", key).send().await.is_own(401, "unknown_key");
        }
        let query = Ask::new(
            &gateway.http,
            &gateway.admin_url,
            method,
            &format!("{path}?key={admin}&access_token={admin}"),
        );
        query.send().await.is_own(401, "missing_key");
    }
    let alice = gateway.store.find_account("demo", gateway.id("alice")).await.unwrap();
    assert!(alice.is_some(), "nothing was removed");
}

async fn an_admin_key_opens_nothing_for_callers(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let ask = gateway
        .ask("POST", crate::upstream::TOTALS)
        .header("authorization", &format!("Bearer {admin}"));
    ask.body("{}").send().await.is_own(401, "unknown_key");
    // The callers' listener has none of the operators' routes.
    for path in ["/admin/v1/keys", "/metrics"] {
        let ask = Ask::new(&gateway.http, &gateway.url, "GET", path).header("x-api-key", &admin);
        let answer = ask.send().await;
        answer.is_own(404, "not_found");
        assert!(answer.text().contains("/insights/engagement/totals"), "{}", answer.text());
    }
    // Nor the other way round.
    let ask = Ask::new(&gateway.http, &gateway.admin_url, "POST", crate::upstream::TOTALS);
    let answer = ask.header("x-api-key", &admin).send().await;
    answer.is_own(404, "not_found");
    assert!(answer.text().contains("/admin/v1 "), "{}", answer.text());
}

on_both!(every_admin_route_asks_for_an_admin_key, an_admin_key_opens_nothing_for_callers);

#[tokio::test]
async fn no_spelling_of_a_path_passes_without_a_key() {
    let gateway = own(|_| ()).await;
    for path in SPELLINGS {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "get", "DELETE", "QUERY"] {
            let mut raw = Raw::connect(&gateway.admin_url).await;
            raw.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
                .await;
            let answer = raw.rest().await;
            let refused = ["HTTP/1.1 400", "HTTP/1.1 401", "HTTP/1.1 404", "HTTP/1.1 405"];
            assert!(
                refused.iter().any(|start| answer.starts_with(start)),
                "{method} {path:?}: {answer}"
            );
            assert!(!answer.contains("\"keys\""), "{method} {path:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn no_header_passes_for_a_key() {
    let gateway = own(|_| ()).await;
    for header in TALK {
        for (method, path) in [
            ("GET", "/admin/v1/keys"),
            ("POST", "/admin/v1/keys"),
            ("DELETE", "/admin/v1/accounts/@alice"),
        ] {
            let mut raw = Raw::connect(&gateway.admin_url).await;
            raw.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\n{header}\r\nConnection: close\r\n\r\n"
            ))
            .await;
            let answer = raw.rest().await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{header}: {answer}");
        }
    }
}

#[tokio::test]
async fn no_answer_allows_another_origin() {
    let gateway = own(|_| ()).await;
    let admin = gateway.new_admin_key().await;
    for origin in [
        "null",
        "https://evil.example",
        "http://localhost",
        &*gateway.admin_url,
        "*",
        "https://x.com",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            for path in ["/admin/v1/accounts", crate::upstream::TOTALS, "/livez", "/nowhere"] {
                for base in [&gateway.url, &gateway.admin_url] {
                    let ask = Ask::new(&gateway.http, base, method, path)
                        .header("origin", origin)
                        .header("x-api-key", &admin)
                        .header("access-control-request-method", "POST")
                        .header("access-control-request-headers", "authorization");
                    let answer = ask.send().await;
                    let cors = answer
                        .headers
                        .keys()
                        .find(|name| name.as_str().starts_with("access-control"));
                    assert_eq!(cors, None, "{method} {base}{path} from {origin}");
                }
            }
        }
    }
}
