//! `/admin/v1/accounts`, `/admin/v1/apps`, and the audit entries of changes.

use countersign::model::{App, Endpoint};
use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::upstream::with;

const ACCOUNTS: &str = "/admin/v1/accounts";

/// A line of an import, as somebody would write it.
fn line(gateway: &TestGateway, name: &str) -> Value {
    let user = gateway.sandbox.user(name);
    json!({
        "user_id": user.user_id,
        "screen_name": user.screen_name,
        "access_token": user.access_token,
        "access_token_secret": user.access_token_secret,
    })
}

async fn import(gateway: &TestGateway, key: &str, lines: &str) -> Answer {
    let ask = gateway.admin(key, "POST", &format!("{ACCOUNTS}?app=demo"));
    ask.header("content-type", "application/x-ndjson").body(lines).send().await
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let accounts = body["accounts"].as_array().unwrap();
    accounts.iter().map(|account| account["screen_name"].as_str().unwrap().to_owned()).collect()
}

async fn an_import_may_begin_with_a_byte_order_mark(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let lines = format!("\u{feff}{}\r\n{}\r\n", line(&gateway, "alice"), line(&gateway, "bob"));
    let imported = import(&gateway, &key, &lines).await;
    assert_eq!((imported.status.as_u16(), imported.json()), (201, json!({ "imported": 2 })));
}

async fn an_import_of_broken_lines_is_answered_in_bounded_words(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let broken = "x\n".repeat(100_000);
    let lines = format!("{}\n{broken}", line(&gateway, "protected_pat"));
    let refused = import(&gateway, &key, &lines).await;
    assert_eq!(refused.status, 400);
    let problems = refused.json()["problems"].as_array().unwrap().clone();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[0]["line"], 2);
    assert_eq!(problems[100]["detail"], "has 99900 more problems, which are not listed");
}

async fn import_and_removal_are_audited(gateway: &TestGateway, key: &str, user_id: &str) {
    let actor = format!("key:{}", &key[4..16]);
    let audit = gateway.admin(key, "GET", "/admin/v1/audit").send().await.json();
    let entries: Vec<(&str, &str)> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["actor"] == actor.as_str())
        .map(|entry| (entry["action"].as_str().unwrap(), entry["subject"].as_str().unwrap()))
        .collect();
    let subject = entries[0].1;
    assert!(subject.ends_with(user_id), "{audit}");
    assert_eq!(entries.first(), Some(&("account.removed", subject)));
    assert_eq!(entries.last(), Some(&("account.imported", subject)));
}

async fn accounts_are_imported_listed_shown_verified_and_removed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let user = gateway.sandbox.user("protected_pat");
    let imported =
        import(&gateway, &key, &format!("\n{}\r\n\n", line(&gateway, "protected_pat"))).await;
    assert_eq!((imported.status.as_u16(), imported.json()), (201, json!({ "imported": 1 })));

    let listed = gateway.admin(&key, "GET", ACCOUNTS).send().await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.header("content-type"), "application/json");
    let mut expected = vec!["alice", "bob", "protected_pat"];
    expected.sort_by_key(|name| gateway.sandbox.user(name).user_id.clone());
    assert_eq!(names(&listed), expected);
    assert_eq!(listed.json()["next"], Value::Null);
    for secret in [&user.access_token, &user.access_token_secret] {
        assert!(!listed.text().contains(secret.as_str()));
    }

    let paths = [&user.user_id, "@protected_pat", "@PROTECTED_PAT", "%40protected_pat"];
    for path in paths {
        let shown = gateway.admin(&key, "GET", &format!("{ACCOUNTS}/{path}")).send().await.json();
        assert_eq!(
            shown,
            json!({
                "app": "demo",
                "user_id": user.user_id,
                "screen_name": "protected_pat",
                "state": "active",
                "state_since": "2026-03-10T21:15:30Z",
                "connected_at": "2026-03-10T21:15:30Z",
                "last_call_at": null,
                "last_error": null,
                "last_error_at": null,
            })
        );
    }

    let verified =
        gateway.admin(&key, "POST", &format!("{ACCOUNTS}/@protected_pat/verify")).send().await;
    assert_eq!(
        verified.json(),
        json!({
            "works": true, "state": "active", "screen_name": "protected_pat", "protected": true,
        })
    );
    let removed = gateway.admin(&key, "DELETE", &format!("{ACCOUNTS}/@protected_pat")).send().await;
    assert_eq!(removed.json()["user_id"], user.user_id);
    let path = format!("{ACCOUNTS}/@protected_pat");
    gateway.admin(&key, "GET", &path).send().await.is_own(404, "not_found");
    gateway.admin(&key, "DELETE", &path).send().await.is_own(404, "not_found");
    gateway.admin(&key, "POST", &format!("{path}/verify")).send().await.is_own(404, "not_found");

    import_and_removal_are_audited(&gateway, &key, &user.user_id).await;
}

async fn verifying_marks_what_x_refuses(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let id = &gateway.sandbox.user("alice").user_id;
    for (state, marked) in [("revoked", "revoked"), ("suspended", "blocked"), ("locked", "blocked")]
    {
        let changed =
            gateway.sandbox.put(&format!("/sandbox/users/{id}"), json!({ "state": state })).await;
        assert_eq!(changed.status, 200);
        let verified = gateway.admin(&key, "POST", &format!("{ACCOUNTS}/{id}/verify")).send().await;
        assert_eq!(verified.json(), json!({ "works": false, "state": marked }), "{state}");
        let found = gateway.admin(&key, "GET", &format!("{ACCOUNTS}?state={marked}")).send().await;
        assert_eq!(names(&found), ["alice"]);
    }
    gateway.sandbox.put(&format!("/sandbox/users/{id}"), json!({ "state": "active" })).await;
    let verified = gateway.admin(&key, "POST", &format!("{ACCOUNTS}/{id}/verify")).send().await;
    assert_eq!(verified.json()["works"], true);
    let found =
        gateway.admin(&key, "GET", &format!("{ACCOUNTS}?state=active&app=demo")).send().await;
    assert_eq!(names(&found).len(), 2);
}

async fn a_listing_comes_in_pages(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    gateway.connect(&["protected_pat", "suspended_sam"]).await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("{ACCOUNTS}?limit=3{after}");
        let page = gateway.admin(&key, "GET", &path).send().await;
        seen.extend(names(&page));
        let body = page.json();
        let Some(next) = body["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, names(&gateway.admin(&key, "GET", ACCOUNTS).send().await));
    assert_eq!(seen.len(), 4);
}

async fn an_import_stores_all_or_nothing_and_repeats_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let good = line(&gateway, "protected_pat").to_string();
    let wrong = |field: &str, value: Value| {
        let mut record = line(&gateway, "suspended_sam");
        record[field] = value;
        record.to_string()
    };
    let bad = [
        wrong("user_id", json!("canary!")),
        wrong("user_id", json!(12)),
        wrong("screen_name", json!("canary canary")),
        wrong("access_token", json!("canary-of-somebody-else")),
        wrong("access_token_secret", json!("canary secret")),
        wrong("access_token_secret", json!("")),
        wrong("canary", json!("canary")),
        "canary".to_owned(),
        "{\"user_id\": \"canary".to_owned(),
        "[\"canary\"]".to_owned(),
        good.clone(),
    ];
    for (place, bad) in bad.iter().enumerate() {
        let answer = import(&gateway, &key, &format!("{good}\n\n{bad}\n")).await;
        answer.is_own(400, "invalid_request");
        let problems = answer.json()["problems"].clone();
        assert_eq!(problems[0]["line"], 3, "{place}: {problems}");
        assert!(
            problems[0]["detail"].as_str().is_some_and(|problem| problem.len() > 10),
            "{problems}"
        );
        let user = gateway.sandbox.user("protected_pat");
        for text in ["canary", &user.access_token, &user.access_token_secret] {
            assert!(!answer.text().contains(text), "{}", answer.text());
        }
    }
    let every = bad.join("\n");
    let answer = import(&gateway, &key, &every).await;
    answer.is_own(400, "invalid_request");
    assert!(answer.json()["problems"].as_array().unwrap().len() >= 5, "{}", answer.text());
    import(&gateway, &key, "").await.is_own(400, "invalid_request");
    assert_eq!(names(&gateway.admin(&key, "GET", ACCOUNTS).send().await).len(), 2);
}

async fn mistakes_of_every_stage_are_told_in_the_order_of_the_lines(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let mut foreign = line(&gateway, "suspended_sam");
    foreign["access_token"] = json!("1-of-somebody-else");
    let lines = format!("{{\n{foreign}\nno json\n{foreign}\n");
    let answer = import(&gateway, &key, &lines).await;
    answer.is_own(400, "invalid_request");
    let body = answer.json();
    let told: Vec<u64> = body["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["line"].as_u64().unwrap())
        .collect();
    assert_eq!(told, [1, 2, 3, 4, 4], "{body}");

    let nothing = import(&gateway, &key, "\n").await;
    nothing.is_own(400, "invalid_request");
    let said = "the body: no accounts to import; give one JSON object per line";
    assert_eq!(nothing.json()["detail"], said);
}

async fn what_cannot_be_read_is_refused_in_one_shape(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    for (method, path) in [
        ("GET", "/admin/v1/accounts?limit=many"),
        ("GET", "/admin/v1/accounts?limit=-1"),
        ("GET", "/admin/v1/accounts?limit=0"),
        ("GET", "/admin/v1/keys?limit=1001"),
        ("GET", "/admin/v1/audit?limit="),
        ("GET", "/admin/v1/accounts?limit=99999999999"),
        ("GET", "/admin/v1/accounts?limit=1&limit=2"),
        ("GET", "/admin/v1/accounts?state=asleep"),
        ("GET", "/admin/v1/accounts?stat=active"),
        ("DELETE", "/admin/v1/accounts/1?application=demo"),
        ("GET", "/admin/v1/accounts?after=somewhere"),
        ("GET", "/admin/v1/keys?limit=1.5"),
        ("GET", "/admin/v1/keys?account=1"),
        ("GET", "/admin/v1/audit?after=1"),
        ("GET", "/admin/v1/audit?before=yesterday"),
        ("GET", "/admin/v1/audit?before=99999999999999999999"),
        ("GET", "/admin/v1/accounts/a%20b"),
        ("GET", "/admin/v1/accounts/%ff"),
        ("DELETE", "/admin/v1/accounts/0x1"),
        ("DELETE", "/admin/v1/keys/%ff%fe"),
        ("POST", "/admin/v1/accounts/@/verify"),
    ] {
        let answer = gateway.admin(&key, method, path).send().await;
        answer.is_own(400, "invalid_request");
        assert!(!answer.text().contains("the body"), "{method} {path}: {}", answer.text());
    }
    for (query, told) in [
        ("limit=many", "the query: limit: must be a whole number from 1 to 1000"),
        ("before=yesterday", "the query: before: must be the next of the page before"),
    ] {
        let answer = gateway.admin(&key, "GET", &format!("/admin/v1/audit?{query}")).send().await;
        assert_eq!(answer.json()["detail"], told);
    }
    gateway
        .admin(&key, "GET", "/admin/v1/accounts/1?app=nowhere")
        .send()
        .await
        .is_own(404, "not_found");
    let typed =
        |kind: &str| gateway.admin(&key, "POST", ACCOUNTS).header("content-type", kind).body("{}");
    typed("text/csv").send().await.is_own(415, "not_json");
    typed("").header("content-encoding", "gzip").send().await.is_own(415, "not_json");
    let large = gateway.admin(&key, "POST", ACCOUNTS).body(vec![b' '; 5 << 20]).try_send().await;
    if let Ok(answer) = large {
        answer.is_own(413, "body_too_large");
    }
    gateway.admin(&key, "PUT", ACCOUNTS).send().await.is_own(405, "method_not_allowed");
}

async fn a_wrong_app_is_told_the_same_wherever_it_stands(database: Database) {
    let one = TestGateway::start(&database).await;
    let two = TestGateway::build(one.sandbox.again(), &database.settings(), |config| {
        let other = App { name: "other".to_owned(), ..config.apps["demo"].clone() };
        config.apps.insert(other.name.clone(), other);
    })
    .await;
    let key = one.new_admin_key().await;
    let told = async |ask: Ask| {
        let answer = ask.header("content-type", "application/json").send().await;
        answer.is_own(400, "invalid_request");
        answer.json()["problems"].clone()
    };
    let bodies = [
        ("/admin/v1/keys", json!({ "name": "x" })),
        ("/admin/v1/links", json!({ "label": "x" })),
        ("/admin/v1/webhooks", json!({ "url": "https://hooks.example.com/" })),
    ];
    for (path, body) in bodies {
        let unknown = with(body.clone(), &json!({ "app": "nope" }));
        let detail = "must be one of the configured apps: demo";
        let problems = told(one.admin(&key, "POST", path).body(unknown.to_string())).await;
        assert_eq!(problems, json!([{ "pointer": "/app", "detail": detail }]), "{path}");
        if path != "/admin/v1/webhooks" {
            let detail = "several apps are configured; name one of demo, other";
            let problems = told(two.admin(&key, "POST", path).body(body.to_string())).await;
            assert_eq!(problems, json!([{ "pointer": "/app", "detail": detail }]), "{path}");
        }
    }
    let in_query = |detail: &str| json!([{ "part": "query", "detail": detail }]);
    let unknown = in_query("app: must be one of the configured apps: demo");
    for method in ["GET", "POST"] {
        let ask = one.admin(&key, method, &format!("{ACCOUNTS}?app=nope"));
        assert_eq!(told(ask).await, unknown, "{method}");
    }
    let several = in_query("app: several apps are configured; name one of demo, other");
    for (method, path) in
        [("POST", ""), ("GET", "/@alice"), ("DELETE", "/@alice"), ("POST", "/@alice/verify")]
    {
        let ask = two.admin(&key, method, &format!("{ACCOUNTS}{path}"));
        assert_eq!(told(ask).await, several, "{method} {path}");
    }
}

async fn accounts_tell_what_was_asked_last_as_them(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let body = json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    let call = async |name: &str| gateway.call_as(name, Endpoint::Totals, &body).send().await;
    call("bob").await.is_relayed(403);
    gateway.sandbox.clock.forward(Duration::minutes(5));
    for name in ["alice", "bob"] {
        call(name).await;
    }
    let last = |account: &Value| {
        [&account["last_call_at"], &account["last_error"], &account["last_error_at"]]
            .map(Clone::clone)
    };
    let now = "2026-03-10T21:20:30Z";
    let of = |name: &str| match name {
        "alice" => [json!(now), Value::Null, Value::Null],
        _ => [json!(now), json!("X rejected the call (403)"), json!(now)],
    };
    let listed = gateway.admin(&key, "GET", ACCOUNTS).send().await;
    assert_eq!(names(&listed).len(), 2);
    for account in listed.json()["accounts"].as_array().unwrap() {
        let name = account["screen_name"].as_str().unwrap();
        assert_eq!(last(account), of(name), "{name}");
        let shown = gateway.admin(&key, "GET", &format!("{ACCOUNTS}/@{name}")).send().await;
        assert_eq!(&shown.json(), account);
    }
}

async fn apps_are_listed_without_their_secrets(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let answer = gateway.admin(&key, "GET", "/admin/v1/apps").send().await;
    assert_eq!(
        answer.json(),
        json!({
            "apps": [
                {
                    "name": "demo",
                    "app_only": "bearer",
                    "bearer_source": "minted",
                    "accounts_used": 0,
                    "account_limit": null,
                    "over_limit": null,
                },
            ],
        })
    );
}

on_both!(
    an_import_may_begin_with_a_byte_order_mark,
    an_import_of_broken_lines_is_answered_in_bounded_words,
    accounts_are_imported_listed_shown_verified_and_removed,
    verifying_marks_what_x_refuses,
    a_listing_comes_in_pages,
    an_import_stores_all_or_nothing_and_repeats_nothing,
    mistakes_of_every_stage_are_told_in_the_order_of_the_lines,
    what_cannot_be_read_is_refused_in_one_shape,
    a_wrong_app_is_told_the_same_wherever_it_stands,
    accounts_tell_what_was_asked_last_as_them,
    apps_are_listed_without_their_secrets
);
