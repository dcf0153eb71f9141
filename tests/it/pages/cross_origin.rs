//! Which pages may ask and read: preflights, the headers of every answer, and keys that browsers send.

use countersign::gateway::Gateway;
use countersign::model::Origin;
use countersign::model::key::Right;
use countersign::vault::Vault;
use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::{ORIGIN, TestGateway, settings};
use crate::http::{Answer, Ask};
use crate::pages::{ASK, MINT, Pages, SECOND};
use crate::upstream::{TOTALS, body};

const CORS: &str = "access-control-";

/// The `Access-Control-*` headers of an answer, without that part of their names.
fn cors(answer: &Answer) -> Vec<(&str, &str)> {
    let named = answer.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().strip_prefix(CORS)?, value.to_str().unwrap()))
    });
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    named
}

fn preflight(ask: Ask, origin: &str) -> Ask {
    ask.method("OPTIONS")
        .header("authorization", "")
        .header("content-type", "")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

async fn preflights_are_answered_by_the_origins_of_keys(database: Database) {
    let pages = Pages::start(&database).await;
    let ask = || pages.gateway.ask("POST", ASK);
    let allowed = [
        ("allow-headers", "authorization, content-type, accept, countersign-deadline"),
        ("allow-methods", "POST"),
        ("allow-origin", ORIGIN),
        (
            "expose-headers",
            "countersign-complete, countersign-missing, countersign-note, countersign-error, retry-after, age, x-request-id",
        ),
        ("max-age", "7200"),
    ];
    for (method, headers) in [
        ("POST", "authorization,content-type"),
        ("POST", "authorization,content-type,accept,countersign-deadline"),
        ("POST", ""),
        // The browser compares these with what is allowed.
        ("PUT", "authorization"),
        ("POST", "x-anything"),
    ] {
        let answer = preflight(ask(), ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", headers)
            .send()
            .await;
        assert_eq!((answer.status.as_u16(), answer.raw.len()), (204, 0), "{method} {headers}");
        assert_eq!(cors(&answer), allowed, "{method} {headers}");
        assert_eq!(answer.header("vary"), "origin");
    }
    let second = preflight(ask(), SECOND).send().await;
    assert_eq!(second.header("access-control-allow-origin"), SECOND);
    for foreign in [
        "null",
        "https://third.example.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://app.example.com.evil.example",
        "https://evil.example#https://app.example.com",
        "*",
    ] {
        let answer = preflight(ask(), foreign).send().await;
        assert_eq!((answer.status.as_u16(), cors(&answer)), (204, vec![]), "{foreign}");
        assert_eq!(answer.header("vary"), "origin");
    }
    let empty = preflight(ask(), "").another("origin", "").send().await;
    assert_eq!((empty.status.as_u16(), cors(&empty)), (204, vec![]));
    // Without what makes it a preflight, it is an OPTIONS request like any other.
    let plain = ask().method("OPTIONS").send().await;
    assert_eq!((plain.status.as_u16(), plain.header("allow")), (204, "POST, OPTIONS"));
}

async fn every_answer_to_an_allowed_origin_can_be_read(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    let ask = || pages.ask(&token, &json!({}));
    for (ask, status) in [
        (ask(), 200),
        (ask().header("accept", "text/csv"), 200),
        (ask().header("accept", "application/x-ndjson"), 200),
        (ask().body("{"), 400),
        (ask().body(r#"{"tweet_ids": ["20"]}"#), 403),
        (ask().header("authorization", "Bearer csb_x"), 401),
        (ask().header("authorization", ""), 401),
        (ask().header("accept", "image/png"), 406),
        (ask().header("content-type", "text/plain"), 415),
        (ask().body(" ".repeat(4 << 20)), 413),
        (ask().method("GET").body(""), 405),
    ] {
        let answer = ask.send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{status}");
        assert!(answer.header("access-control-expose-headers").contains("retry-after"), "{status}");
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
        assert!(answer.header("vary").split(", ").any(|name| name == "origin"), "{status}");
    }
    for foreign in ["null", "https://third.example.com"] {
        let answer = ask().header("origin", foreign).send().await;
        answer.is_own(403, "origin_not_allowed");
        assert_eq!((cors(&answer), answer.header("vary")), (vec![], "accept-encoding, origin"));
    }
    for none in [ask().header("origin", ""), ask().header("origin", "").another("origin", "")] {
        let answer = none.send().await;
        answer.is_own(403, "origin_not_allowed");
        assert_eq!(cors(&answer), []);
    }
    let service = pages.gateway.ask("POST", ASK).header("content-type", "application/json");
    let question = json!({ "tweet_ids": pages.posts(), "engagement_types": ["favorites"] });
    let service = service.body(question.to_string()).send().await;
    assert_eq!((service.status.as_u16(), cors(&service)), (200, vec![]));
    assert_eq!(service.header("vary"), "accept, accept-encoding, origin");
}

/// The other origin's page may know why; the operator learns both.
async fn an_origin_that_the_token_is_not_for_gets_a_readable_refusal(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": pages.question(), "origins": [ORIGIN] })).await;
    let refused = pages.ask(&token, &json!({})).header("origin", SECOND).send().await;
    refused.is_own(403, "origin_not_allowed");
    assert_eq!(refused.header("access-control-allow-origin"), SECOND);
    let foreign = "https://third.example.com";
    preflight(pages.gateway.ask("POST", ASK), foreign).send().await;
    pages.gateway.inner.settle_refusals().await.unwrap();
    let audited = pages.gateway.audited("page.refused").await;
    let has = |origin: &str, why: &str| {
        audited.iter().any(|(actor, _, detail)| {
            actor == "stranger" && detail.starts_with(&format!("{why}, from {origin}: once"))
        })
    };
    assert!(has(SECOND, "the token is for pages of other origins"), "{audited:?}");
    assert!(has(foreign, "no key has this origin, so the browser asks nothing"), "{audited:?}");
}

async fn no_other_route_lets_a_page_read_anything(database: Database) {
    let pages = Pages::start(&database).await;
    let admin = pages.gateway.new_admin_key().await;
    let token = pages.plain_token().await;
    let mut asked = 0;
    for (url, paths) in [
        (
            &pages.gateway.url,
            &[
                "/v1/engagement/plan",
                MINT,
                "/v1/links",
                "/v1/key",
                "/v1/accounts",
                "/v1/usage",
                TOTALS,
                "/livez",
                "/docs",
                "/openapi.json",
                "/connect/x",
                "/",
                "/V1/engagement",
                "/v1/engagement/",
            ][..],
        ),
        (
            &pages.gateway.admin_url,
            &[
                ASK,
                "/admin/v1/keys",
                "/console/",
                "/console/sign-in",
                "/metrics",
                "/livez",
                "/docs",
                "/openapi.json",
            ],
        ),
    ] {
        for path in paths {
            for method in ["GET", "POST", "OPTIONS"] {
                for key in [&token, &admin, &pages.key] {
                    let ask = pages.ask(key, &json!({})).to(&format!("{url}{path}"));
                    let answer = if method == "OPTIONS" {
                        preflight(ask, ORIGIN).send().await
                    } else {
                        ask.method(method).send().await
                    };
                    assert_eq!(cors(&answer), [], "{method} {url}{path}");
                    assert_ne!(answer.status, 204, "{method} {url}{path}");
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 22 * 9);
}

async fn a_new_keys_origin_works_on_every_replica_and_an_ended_ones_does_not(database: Database) {
    let pages = Pages::start(&database).await;
    let other =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let third = "https://third.example.com";
    let is_allowed = async |gateway: &TestGateway| {
        let answer = preflight(gateway.ask("POST", ASK), third).send().await;
        answer.header("access-control-allow-origin") == third
    };
    assert!(!is_allowed(&other).await);
    let key = pages
        .gateway
        .new_key(|key| {
            key.scopes.rights = [Right::Browser].into();
            key.scopes.origins = vec![Origin::parse(third).unwrap()];
            key.expires_in = Some(std::time::Duration::from_secs(100));
        })
        .await;
    other.inner.catch_up_once().await.unwrap();
    assert!(is_allowed(&other).await);
    // A row that something else has changed adds nothing.
    let id = crate::trouble::id_of(&pages.key);
    let edit = format!("update key set origins = 'https://evil.example' where key_id = '{id}'");
    database.run(&edit).await;
    pages.gateway.inner.revoke_key(&pages.gateway.key, "test").await.unwrap().unwrap();
    other.inner.catch_up_once().await.unwrap();
    for gone in ["https://evil.example", ORIGIN] {
        let answer = preflight(other.ask("POST", ASK), gone).send().await;
        assert_eq!(cors(&answer), [], "{gone}");
    }
    assert!(is_allowed(&other).await);
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(101));
    assert!(!is_allowed(&other).await, "it has expired");
    drop(key);
}

/// Whoever starts knows no origins yet, and must not let browsers remember a refusal.
#[tokio::test]
async fn until_the_origins_were_read_preflights_wait() {
    let database = fresh(Kind::Sqlite).await;
    let pages = Pages::start(&database).await;
    let config = settings(&pages.gateway.sandbox, &database.settings());
    let vault = Vault::new(&config.vault).unwrap();
    let clock = pages.gateway.sandbox.clock.clone();
    let inner = Gateway::new(&config, pages.gateway.store.clone(), vault, clock).unwrap();
    assert_eq!(inner.allows_origin(ORIGIN), None);
    let url = serve(inner.clone(), &config, &pages).await;
    let ask = || preflight(Ask::new(&pages.gateway.http, &url, "OPTIONS", ASK), ORIGIN);
    let early = ask().send().await;
    early.is_own(503, "busy");
    assert_eq!((early.header("retry-after"), cors(&early)), ("1", vec![]));
    inner.catch_up_once().await.unwrap();
    assert_eq!(ask().send().await.status, 204);
}

/// Serves a gateway that nobody keeps up to date.
async fn serve(inner: Gateway, config: &countersign::config::Config, pages: &Pages) -> String {
    use countersign::server::{self, Life, Listener, Listeners};
    let (callers, url) = crate::gateway::listen().await;
    let (operators, _) = crate::gateway::listen().await;
    let (limits, clock) = (config.limits.clone(), pages.gateway.sandbox.clock.clone());
    let [callers, operators] = [callers, operators]
        .map(|listener| Listener::new(listener, &config.server.trusted_proxies));
    tokio::spawn(async move {
        let metrics = countersign::telemetry::start_metrics();
        let listeners = Listeners { callers, operators, front: None };
        server::serve(listeners, inner, metrics, &limits, clock, Life::default()).await;
    });
    url
}

/// Whoever opens the page could read the key.
async fn a_key_that_a_browser_sends_from_another_site_has_leaked(database: Database) {
    let pages = Pages::start(&database).await;
    let gateway = &pages.gateway;
    let question = json!({ "tweet_ids": pages.posts(), "engagement_types": ["favorites"] });
    let call = body(&pages.posts(), &["favorites"], &["tweet.id"]).to_string();
    let admin = gateway.new_admin_key().await;
    let json = |ask: Ask| ask.header("content-type", "application/json");
    let asks = [
        json(gateway.ask("POST", ASK)).body(question.to_string()),
        json(gateway.ask("POST", TOTALS)).body(call),
        gateway.admin(&admin, "GET", "/admin/v1/keys"),
    ];
    for ask in asks {
        for (name, value, is_leaked) in [
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
            ("origin", ORIGIN, true),
            ("origin", "https://third.example.com", false),
        ] {
            let answer = ask.clone().header(name, value).send().await;
            if is_leaked {
                answer.is_own(403, "key_leaked");
            } else {
                assert_eq!(answer.status, 200, "{name}: {value}: {}", answer.text());
            }
        }
    }
    let excepted = gateway.new_key(|key| key.scopes.rights = [Right::InBrowsers].into()).await;
    let allowed = json(gateway.ask("POST", ASK))
        .header("authorization", &format!("Bearer {excepted}"))
        .header("origin", ORIGIN)
        .header("sec-fetch-site", "cross-site")
        .body(question.to_string())
        .send()
        .await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    // Whether a made-up key exists is not told either way.
    let unknown = json(gateway.ask("POST", ASK))
        .header("authorization", &format!("Bearer csk_{}", "x".repeat(62)))
        .header("origin", ORIGIN)
        .send()
        .await;
    unknown.is_own(401, "unknown_key");
    gateway.inner.settle_refusals().await.unwrap();
    let told = gateway.audited("key.refused").await;
    let leaked = told.iter().filter(|entry| entry.2.contains("it has leaked"));
    assert!(leaked.clone().any(|entry| entry.2.contains(&format!(", from {ORIGIN}"))), "{told:?}");
    assert!(leaked.clone().all(|entry| entry.1.starts_with("key:")), "{told:?}");
}

on_both!(
    preflights_are_answered_by_the_origins_of_keys,
    every_answer_to_an_allowed_origin_can_be_read,
    an_origin_that_the_token_is_not_for_gets_a_readable_refusal,
    no_other_route_lets_a_page_read_anything,
    a_new_keys_origin_works_on_every_replica_and_an_ended_ones_does_not,
    a_key_that_a_browser_sends_from_another_site_has_leaked,
);
