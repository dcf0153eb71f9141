//! A whole session of the real program with everything logged, then a search for every secret in all that it left.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::connect::browser::Browser;
use crate::database::{Database, on_both};
use crate::gateway::{ORIGIN, RING};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::program::scan::{Canary, Seen};
use crate::sandbox::handshake::{allowed, fields};
use crate::upstream::{TOTALS, body};
use crate::webhooks::receiver::Receiver;

/// Where its pages are said to be.
const PUBLIC_URL: &str = "https://countersign.example.com";

/// A second entry of the ring.
const SECOND: &str = "testkey2=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn canaries(deployment: &Deployment, keys: &[(&str, &String)]) -> Vec<Canary> {
    let app = deployment.sandbox.app("demo");
    let mut canaries = vec![
        Canary::new("consumer secret", &app.consumer_secret),
        Canary::new("consumer key", &app.consumer_key),
        Canary::new("bearer token", &app.bearer_token),
        Canary::new("vault key", RING.split_once('=').unwrap().1),
        Canary::new("second vault key", SECOND.split_once('=').unwrap().1),
        // The key that opens the vault, as raw bytes.
        Canary::new(
            "vault key, decoded",
            "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{e}\u{f}\u{10}\u{11}",
        ),
    ];
    for name in ["alice", "bob"] {
        let user = deployment.sandbox.user(name);
        // The part before the dash is the user's id, which is no secret.
        let (_, token) = user.access_token.split_once('-').unwrap();
        canaries.push(Canary::new(&format!("{name}'s token"), token));
        canaries.push(Canary::new(&format!("{name}'s token secret"), &user.access_token_secret));
    }
    // The beginning of a key is its public id; the rest is the secret.
    canaries.extend(keys.iter().map(|(name, key)| Canary::new(name, &key[17..])));
    canaries
}

/// Good and bad calls, with a fault of every kind.
async fn calls(deployment: &Deployment, running: &Running, key: &str, seen: &mut Seen) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str| {
        Ask::new(&http, &running.url, "POST", path)
            .header("authorization", &format!("Bearer {key}"))
    };
    let body =
        body(&deployment.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]).to_string();
    let call = ask(TOTALS).header("countersign-account", "@alice").body(&*body);
    let public = ask(TOTALS)
        .header("accept-encoding", "gzip")
        .body(body.replace("impressions", "favorites"));
    for call in [&call, &public] {
        seen.ask(call.clone()).await;
        seen.ask(call.clone().body("{")).await;
        seen.ask(call.clone().header("content-type", "text/plain")).await;
        seen.ask(call.clone().header("countersign-account", "@nobody")).await;
        seen.ask(call.clone().header("authorization", &format!("Bearer {}x", &key[..65]))).await;
    }
    // A key in places where it does not belong.
    for path in [format!("/{key}"), format!("{TOTALS}/{key}"), format!("{TOTALS}?key={key}")] {
        let ask = Ask::new(&http, &running.url, "GET", &path);
        // The answer goes to the client that sent the key; the log is read by others.
        seen.ask(ask.header("user-agent", key).header("cookie", key).header("referer", key)).await;
    }
    for kind in ["reset", "cut_body", "truncated_gzip", "wrong_content_length", "html", "bad_json"]
    {
        deployment
            .sandbox
            .put("/sandbox/faults", json!([{ "kind": kind, "path": "/insights/" }]))
            .await;
        seen.ask(call.clone()).await;
    }
    let app = deployment.sandbox.app("demo");
    let echo = json!({ "errors": [{ "code": 32, "message": "no" }] });
    for fault in [
        json!({ "kind": "gzip_bomb", "mb": 64 }),
        json!({ "kind": "status", "status": 401, "body": echo }),
        json!({ "kind": "status", "code": 89 }),
        json!({ "kind": "status", "code": 135 }),
        json!({ "kind": "status", "status": 500 }),
        json!({
            "kind": "status",
            "status": 302,
            "headers": {
                "location": format!("http://x/?t={}", app.bearer_token),
                "set-cookie": app.consumer_secret,
            },
        }),
    ] {
        deployment.sandbox.put("/sandbox/faults", json!([fault])).await;
        for call in [&call, &public] {
            seen.ask(call.clone()).await;
        }
    }
    deployment.sandbox.put("/sandbox/faults", json!([])).await;
}

/// The operators' side: every listing, refusals, and changes.
async fn administer(
    deployment: &Deployment,
    running: &Running,
    admin: &str,
    other: &str,
    seen: &mut Seen,
) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |method: &str, path: &str| {
        Ask::new(&http, &running.admin_url, method, path)
            .header("authorization", &format!("Bearer {admin}"))
    };
    let lines = deployment.lines(&["alice", "bob"]);
    seen.ask(ask("POST", "/admin/v1/accounts?app=demo").body(&*lines)).await;
    // Each line is broken in another place.
    for (from, to) in [
        ("\"user_id\"", "\"id\""),
        ("}", ""),
        ("screen_name\":\"", "screen_name\":7,\"x\":\""),
        ("_secret\":", "_secret\":1,\"y\":"),
        ("access_token\":\"", "access_token\":\"9-"),
    ] {
        seen.ask(ask("POST", "/admin/v1/accounts?app=demo").body(lines.replace(from, to))).await;
    }
    for path in [
        "/admin/v1/accounts",
        "/admin/v1/keys",
        "/admin/v1/apps",
        "/admin/v1/overview",
        "/admin/v1/audit?limit=1000",
        "/metrics",
        "/readyz",
    ] {
        seen.ask(ask("GET", path)).await;
    }
    seen.ask(ask("POST", "/admin/v1/accounts/@alice/verify")).await;
    seen.ask(ask("DELETE", &format!("/admin/v1/keys/{other}"))).await;
    seen.ask(ask("DELETE", &format!("/admin/v1/keys/{}", &other[4..16]))).await;
    seen.ask(ask(
        "GET",
        &format!("/admin/v1/accounts/{}", deployment.sandbox.user("bob").access_token),
    ))
    .await;
    seen.ask(ask("GET", "/metrics")).await;
}

/// Connects alice by a link, with repeated and failed steps, and begins with another. Gives what only the browser and X
/// should know; the browser's own pages are not searched for it.
async fn connect(deployment: &Deployment, running: &Running) -> Vec<(String, String)> {
    let (mut browser, mut known) = (Browser::new(), Vec::new());
    let mut know = |name: &str, text: &str| known.push((name.to_owned(), text.to_owned()));
    for is_finished in [true, false] {
        let link = deployment.must(&["account", "connect"]).await;
        let id = link.trim().rsplit_once('/').unwrap().1;
        know("link", id);
        let here = format!("{}/connect/{id}", running.url);
        assert_eq!(browser.open(&here).await.status, 200);
        let pressed = browser.press(&here).await;
        let token = fields(pressed.header("location"))["oauth_token"].clone();
        know("request token", &token);
        know("cookie", browser.cookies[0].1.split_once('.').unwrap().1);
        let verifier = allowed(&deployment.sandbox, &token, "alice").await;
        know("verifier", &verifier);
        let query = format!("oauth_token={token}&oauth_verifier={verifier}");
        let back = format!("{}/connect/callback?{query}", running.url);
        assert_eq!(Browser::new().follow(&back).await.status, 403);
        assert_eq!(browser.open(&format!("{here}/{query}")).await.status, 404);
        assert_eq!(browser.ask("PUT", &here).send().await.status, 405);
        for _ in 0..usize::from(is_finished) * 2 {
            assert_eq!(browser.follow(&back).await.status, 303);
        }
    }
    known
}

/// The secret in a receiver's address, which only operators are shown.
const RECEIVERS_OWN: &str = "rcvr-0123456789-secret";

/// Sends events to a receiver that is down at first and then accepts them; gives the secrets in them. The program's
/// own output of the webhook's secret is not searched.
async fn tell(
    deployment: &Deployment,
    running: &Running,
    admin: &str,
    seen: &mut Seen,
) -> Vec<(String, String)> {
    let receiver = Receiver::start().await;
    receiver.next(&[500]);
    let url = receiver.url.replace("abc", RECEIVERS_OWN);
    let secret = deployment.must(&["webhook", "add", &url]).await.trim().to_owned();
    let ask = |method: &str, path: &str| {
        Ask::new(&reqwest::Client::new(), &running.admin_url, method, path)
            .header("authorization", &format!("Bearer {admin}"))
    };
    let bob = format!("/sandbox/users/{}", deployment.sandbox.user("bob").user_id);
    deployment.sandbox.put(&bob, json!({ "state": "revoked" })).await;
    seen.ask(ask("POST", "/admin/v1/accounts/@bob/verify")).await;
    receiver.wait_for(1).await;
    let listed = ask("GET", "/admin/v1/webhooks").send().await.json();
    let id = listed["webhooks"][0]["id"].as_str().unwrap().to_owned();
    seen.ask(ask("POST", &format!("/admin/v1/webhooks/{id}/test"))).await;
    receiver.wait_for(3).await;
    let path = format!("/admin/v1/webhooks/{id}/deliveries");
    seen.ask(ask("GET", &path)).await;
    let arrived = receiver.arrived();
    let link = arrived[0].json()["data"]["reconnect_url"].as_str().unwrap().to_owned();
    let link = link.rsplit_once('/').unwrap().1.to_owned();
    for event in arrived {
        // The link is the purpose of an event; the event may contain no other secret.
        let body = String::from_utf8_lossy(&event.body).replace(&link, "");
        seen.add("an event", format!("{:?}\n{body}", event.headers));
    }
    let rotated = deployment.must(&["webhook", "rotate", &id]).await.trim().to_owned();
    let inviting = deployment.key("inviting", &["--create-links"]).await;
    let named = |ask: Ask| ask.header("authorization", &format!("Bearer {inviting}"));
    let http = reqwest::Client::new();
    let made = named(Ask::new(&http, &running.url, "POST", "/v1/links")).body(r#"{"label":"x"}"#);
    let made = made.header("content-type", "application/json").send().await.json();
    let body = body(&deployment.sandbox.ids("bob", 1), &["impressions"], &["tweet.id"]).to_string();
    let call = named(Ask::new(&http, &running.url, "POST", TOTALS)).body(&*body);
    let refused =
        call.header("countersign-account", "@bob").header("accept", "application/problem+json");
    let refused = refused.send().await.json();
    deployment.sandbox.put(&bob, json!({ "state": "active" })).await;
    let end =
        |url: &serde_json::Value| url.as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    vec![
        ("webhook's secret".to_owned(), secret),
        ("webhook's later secret".to_owned(), rotated),
        ("link in an event".to_owned(), link),
        ("link by a key".to_owned(), end(&made["url"])),
        ("link in an answer".to_owned(), end(&refused["reconnect_url"])),
        ("inviting key".to_owned(), inviting.get(17..).unwrap().to_owned()),
        ("receiver's own secret".to_owned(), RECEIVERS_OWN.to_owned()),
    ]
}

/// Has a page ask with a token in every way; gives the token and its key, which only the page's back end was told.
async fn ask_as_page(
    deployment: &Deployment,
    running: &Running,
    seen: &mut Seen,
) -> Vec<(String, String)> {
    let charts = deployment.key("charts", &["--browser", "--origins", ORIGIN]).await;
    let http = reqwest::Client::new();
    let ask = |path: &str, key: &str, body: &str| {
        Ask::new(&http, &running.url, "POST", path)
            .header("authorization", &format!("Bearer {key}"))
            .header("content-type", "application/json")
            .header("origin", ORIGIN)
            .body(body)
    };
    let posts = deployment.sandbox.ids("alice", 1);
    let question = json!({ "tweet_ids": posts, "engagement_types": ["favorites"] });
    let new = json!({ "subject": "viewer-42", "question": question }).to_string();
    let made = ask("/v1/browser-tokens", &charts, &new).header("origin", "").send().await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    for (path, key, body, origin) in [
        ("/v1/engagement", &token, "{}", ORIGIN),
        ("/v1/engagement", &token, "{\"tweet_ids\":[\"20\"]}", ORIGIN),
        ("/v1/engagement", &token, "{}", "https://third.example.com"),
        ("/v1/engagement", &format!("{token}x"), "{}", ORIGIN),
        ("/v1/engagement/plan", &token, "{}", ORIGIN),
        ("/v1/engagement", &charts, "{}", ORIGIN),
        (&*format!("/{token}"), &token, "{}", ORIGIN),
        (&*format!("/v1/engagement?token={token}"), &token, "{}", ORIGIN),
    ] {
        seen.ask(ask(path, key, body).header("origin", origin)).await;
    }
    seen.output("tokens", deployment.run(&["key", "tokens", "charts", "--withdraw"]).await);
    seen.ask(ask("/v1/engagement", &token, "{}")).await;
    vec![
        ("token".to_owned(), token.get(40..100).unwrap().to_owned()),
        ("key of pages".to_owned(), charts.get(17..).unwrap().to_owned()),
    ]
}

/// Runs the commands that read the most, and one that revokes the key.
async fn run_commands(deployment: &Deployment, key: &str, seen: &mut Seen) {
    for command in [
        "migrate",
        "check",
        "account list",
        "account show @alice",
        "account verify @bob",
        "account list --json",
        "key list",
        "key list --json",
        "calls",
        "calls --json",
        "audit --limit 1000",
        "audit --limit 1000 --json",
        "vault status",
        "vault rotate",
        "account show @nobody",
        "config",
    ] {
        let arguments: Vec<&str> = command.split(' ').collect();
        seen.output(command, deployment.run(&arguments).await);
    }
    seen.output("key revoke", deployment.run(&["key", "revoke", key]).await);
}

/// Asserts that no secret was printed or stored.
fn search(canaries: &[Canary], seen: &Seen) {
    for canary in canaries {
        for (place, bytes) in &seen.0 {
            // The database has to know where to send events.
            let stored = place == "webhook" || place.starts_with('/');
            if stored && canary.name == "receiver's own secret" {
                continue;
            }
            let found = canary.found_in(bytes);
            assert_eq!(
                found,
                None,
                "the {} is in {place}: {}",
                canary.name,
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

async fn no_secret_is_said_or_stored(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.set("LOG__LEVEL", "trace");
    deployment.set("VAULT__KEYS", &format!("{RING},{SECOND}"));
    deployment.set("VAULT__ACTIVE", "testkey1");
    deployment.set("LIMITS__UPSTREAM_FIRST_BYTE", "2s");
    deployment.set("SERVER__PUBLIC_URL", PUBLIC_URL);
    deployment.set("WEBHOOKS__ALLOW_HTTP", "true");
    deployment.prepare().await;
    // The one place where a key is printed, which the search leaves out.
    let key = deployment.key("reports", &[]).await;
    let other = deployment.key("other", &[]).await;
    let admin = deployment.key("boss", &["--admin"]).await;

    let mut seen = Seen::default();
    let running = deployment.serve().await;
    calls(&deployment, &running, &key, &mut seen).await;
    administer(&deployment, &running, &admin, &other, &mut seen).await;
    let mut connecting = connect(&deployment, &running).await;
    connecting.extend(tell(&deployment, &running, &admin, &mut seen).await);
    connecting.extend(ask_as_page(&deployment, &running, &mut seen).await);
    let metrics = Ask::new(&reqwest::Client::new(), &running.admin_url, "GET", "/metrics");
    seen.ask(metrics).await;
    deployment.sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    calls(&deployment, &running, &key, &mut seen).await;
    let bearer = deployment.sandbox.get("/sandbox/world").await["apps"][0]["bearer_token"]
        .as_str()
        .unwrap()
        .to_owned();
    seen.database(&database).await;
    deployment.set("VAULT__ACTIVE", "testkey2");
    run_commands(&deployment, &key, &mut seen).await;
    running.signal(Signal::TERM);
    let done = running.end().await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.lines().count() > 40, "the log has nothing to search: {}", done.err);
    seen.output("serve", done);
    seen.database(&database).await;
    misconfigured(&deployment, &key, &mut seen).await;

    let mut canaries =
        canaries(&deployment, &[("key", &key), ("other key", &other), ("admin key", &admin)]);
    canaries.push(Canary::new("later bearer token", &bearer));
    canaries.extend(connecting.iter().map(|(name, text)| Canary::new(name, text)));
    search(&canaries, &seen);
    // The search would have found each of them.
    let planted = json!({
        "a": deployment.environment,
        "b": deployment.lines(&["alice", "bob"]),
        "c": [key, other, admin, bearer, connecting, deployment.sandbox.app("demo").bearer_token],
    })
    .to_string();
    for canary in canaries.iter().filter(|canary| !canary.name.ends_with("decoded")) {
        assert_eq!(canary.found_in(planted.as_bytes()), Some("raw"), "{}", canary.name);
    }
}

on_both!(no_secret_is_said_or_stored);

/// Starts the program with each secret in a setting that it does not belong in.
async fn misconfigured(deployment: &Deployment, key: &str, seen: &mut Seen) {
    let user = deployment.sandbox.user("alice");
    let app = deployment.sandbox.app("demo");
    let wrong: [(&str, String); 8] = [
        ("SERVER__LISTEN", key.to_owned()),
        ("VAULT__ACTIVE", RING.to_owned()),
        ("VAULT__KEYS", format!("{RING},{}", RING.replace("testkey1", "testkey1x"))),
        ("UPSTREAM__DATA_URL", format!("https://{}@x.com/", user.access_token_secret)),
        ("LOG__LEVEL", app.bearer_token.clone()),
        ("APPS__DEMO__APP_ONLY", app.consumer_secret.clone()),
        ("LIMITS__DRAIN", user.access_token.clone()),
        ("DATABASE__URL", format!("mysql://root:{key}@db/x")),
    ];
    let environment = deployment.environment.clone();
    let mut broken = Deployment {
        sandbox: deployment.sandbox.again(),
        folder: tempfile::TempDir::new().unwrap(),
        environment,
    };
    for (setting, value) in wrong {
        broken.set(setting, &value);
        for command in ["serve", "check"] {
            let done = broken.run(&[command]).await;
            assert_ne!(done.code, 0, "{done:?}");
            seen.output(&format!("{command} with a wrong {setting}"), done);
        }
    }
    let secret: Value = app.consumer_secret.clone().into();
    std::fs::write(
        broken.folder.path().join("bad.toml"),
        format!("[apps.demo]\nconsumer_secret = {secret} {secret}\n"),
    )
    .unwrap();
    seen.output("a bad file", broken.run(&["check", "--config", "bad.toml"]).await);
}
