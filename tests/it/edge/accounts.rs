//! `/admin/v1/accounts`, `/admin/v1/apps` and the audit entries that changes leave.

use countersign::model::{App, Endpoint};
use serde_json::{Value, json};
use time::Duration;

use crate::bench::{Answer, Ask, with};
use crate::database::on_both;
use crate::house::House;

const ACCOUNTS: &str = "/admin/v1/accounts";

/// A line of an import, as somebody would write it.
fn line(house: &House, name: &str) -> Value {
    let user = house.bench.user(name);
    json!({
        "user_id": user.user_id,
        "screen_name": user.screen_name,
        "access_token": user.access_token,
        "access_token_secret": user.access_token_secret,
    })
}

async fn import(house: &House, key: &str, lines: &str) -> Answer {
    let ask = house.admin(key, "POST", &format!("{ACCOUNTS}?app=demo"));
    ask.header("content-type", "application/x-ndjson").body(lines).send().await
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let accounts = body["accounts"].as_array().unwrap();
    accounts.iter().map(|it| it["screen_name"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn an_import_of_broken_lines_is_answered_in_bounded_words(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let broken = "x\n".repeat(100_000);
        let lines = format!("{}\n{broken}", line(&house, "protected_pat"));
        let refused = import(&house, &key, &lines).await;
        assert_eq!(refused.status, 400);
        let problems = refused.json()["problems"].as_array().unwrap().clone();
        assert_eq!(problems.len(), 101);
        assert_eq!(problems[0]["line"], 2);
        assert_eq!(problems[100]["detail"], "has 99900 more problems, which are not listed");
    }

    async fn accounts_are_imported_listed_shown_verified_and_removed(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let user = house.bench.user("protected_pat");
        let imported = import(&house, &key, &format!("\n{}\r\n\n", line(&house, "protected_pat"))).await;
        assert_eq!((imported.status.as_u16(), imported.json()), (201, json!({ "imported": 1 })));

        let listed = house.admin(&key, "GET", ACCOUNTS).send().await;
        assert_eq!(listed.status, 200);
        assert_eq!(listed.header("content-type"), "application/json");
        let mut expected = vec!["alice", "bob", "protected_pat"];
        expected.sort_by_key(|it| house.bench.user(it).user_id.clone());
        assert_eq!(names(&listed), expected);
        assert_eq!(listed.json()["next"], Value::Null);
        for secret in [&user.access_token, &user.access_token_secret] {
            assert!(!listed.text().contains(secret.as_str()));
        }

        let paths = [&user.user_id, "@protected_pat", "@PROTECTED_PAT", "%40protected_pat"];
        for path in paths {
            let shown = house.admin(&key, "GET", &format!("{ACCOUNTS}/{path}")).send().await.json();
            assert_eq!(shown, json!({
                "app": "demo",
                "user_id": user.user_id,
                "screen_name": "protected_pat",
                "state": "active",
                "state_since": "2026-03-10T21:15:30Z",
                "connected_at": "2026-03-10T21:15:30Z",
                "last_call_at": null,
                "last_error": null,
                "last_error_at": null,
            }));
        }

        let verified = house.admin(&key, "POST", &format!("{ACCOUNTS}/@protected_pat/verify")).send().await;
        assert_eq!(verified.json(), json!({
            "works": true, "state": "active", "screen_name": "protected_pat", "protected": true,
        }));
        let removed = house.admin(&key, "DELETE", &format!("{ACCOUNTS}/@protected_pat")).send().await;
        assert_eq!(removed.json()["user_id"], user.user_id);
        let path = format!("{ACCOUNTS}/@protected_pat");
        house.admin(&key, "GET", &path).send().await.is_own(404, "not_found");
        house.admin(&key, "DELETE", &path).send().await.is_own(404, "not_found");
        house.admin(&key, "POST", &format!("{path}/verify")).send().await.is_own(404, "not_found");

        let actor = format!("key:{}", &key[4..16]);
        let audit = house.admin(&key, "GET", "/admin/v1/audit").send().await.json();
        let entries: Vec<(&str, &str)> = audit["entries"].as_array().unwrap().iter()
            .filter(|it| it["actor"] == actor.as_str())
            .map(|it| (it["action"].as_str().unwrap(), it["subject"].as_str().unwrap()))
            .collect();
        let subject = entries[0].1;
        assert!(subject.ends_with(&user.user_id), "{audit}");
        assert_eq!(entries.first(), Some(&("account.removed", subject)));
        assert_eq!(entries.last(), Some(&("account.imported", subject)));
    }

    async fn verifying_marks_what_x_refuses(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let id = &house.bench.user("alice").user_id;
        for (state, marked) in [("revoked", "revoked"), ("suspended", "blocked"), ("locked", "blocked")] {
            let changed = house.bench.put(&format!("/sandbox/users/{id}"), json!({ "state": state })).await;
            assert_eq!(changed.status, 200);
            let verified = house.admin(&key, "POST", &format!("{ACCOUNTS}/{id}/verify")).send().await;
            assert_eq!(verified.json(), json!({ "works": false, "state": marked }), "{state}");
            let found = house.admin(&key, "GET", &format!("{ACCOUNTS}?state={marked}")).send().await;
            assert_eq!(names(&found), ["alice"]);
        }
        house.bench.put(&format!("/sandbox/users/{id}"), json!({ "state": "active" })).await;
        let verified = house.admin(&key, "POST", &format!("{ACCOUNTS}/{id}/verify")).send().await;
        assert_eq!(verified.json()["works"], true);
        let found = house.admin(&key, "GET", &format!("{ACCOUNTS}?state=active&app=demo")).send().await;
        assert_eq!(names(&found).len(), 2);
    }

    async fn a_listing_comes_in_pages(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        house.connect(&["protected_pat", "suspended_sam"]).await;
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("{ACCOUNTS}?limit=3{after}");
            let page = house.admin(&key, "GET", &path).send().await;
            seen.extend(names(&page));
            let body = page.json();
            let Some(next) = body["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, names(&house.admin(&key, "GET", ACCOUNTS).send().await));
        assert_eq!(seen.len(), 4);
    }

    async fn an_import_stores_all_or_nothing_and_repeats_nothing(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let good = line(&house, "protected_pat").to_string();
        let wrong = |field: &str, value: Value| {
            let mut it = line(&house, "suspended_sam");
            it[field] = value;
            it.to_string()
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
            let answer = import(&house, &key, &format!("{good}\n\n{bad}\n")).await;
            answer.is_own(400, "invalid_request");
            let problems = answer.json()["problems"].clone();
            assert_eq!(problems[0]["line"], 3, "{place}: {problems}");
            assert!(problems[0]["detail"].as_str().is_some_and(|it| it.len() > 10), "{problems}");
            let user = house.bench.user("protected_pat");
            for text in ["canary", &user.access_token, &user.access_token_secret] {
                assert!(!answer.text().contains(text), "{}", answer.text());
            }
        }
        let every = bad.join("\n");
        let answer = import(&house, &key, &every).await;
        answer.is_own(400, "invalid_request");
        assert!(answer.json()["problems"].as_array().unwrap().len() >= 5, "{}", answer.text());
        import(&house, &key, "").await.is_own(400, "invalid_request");
        assert_eq!(names(&house.admin(&key, "GET", ACCOUNTS).send().await).len(), 2);
    }

    async fn mistakes_of_every_stage_are_told_in_the_order_of_the_lines(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let mut foreign = line(&house, "suspended_sam");
        foreign["access_token"] = json!("1-of-somebody-else");
        let lines = format!("{{\n{foreign}\nno json\n{foreign}\n");
        let answer = import(&house, &key, &lines).await;
        answer.is_own(400, "invalid_request");
        let body = answer.json();
        let told: Vec<u64> =
            body["problems"].as_array().unwrap().iter().map(|it| it["line"].as_u64().unwrap()).collect();
        assert_eq!(told, [1, 2, 3, 4, 4], "{body}");

        let nothing = import(&house, &key, "\n").await;
        nothing.is_own(400, "invalid_request");
        let said = "the body: no accounts to import; give one JSON object per line";
        assert_eq!(nothing.json()["detail"], said);
    }

    async fn what_cannot_be_read_is_refused_in_one_shape(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
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
            let answer = house.admin(&key, method, path).send().await;
            answer.is_own(400, "invalid_request");
            assert!(!answer.text().contains("the body"), "{method} {path}: {}", answer.text());
        }
        for (query, told) in [
            ("limit=many", "the query: limit: must be a whole number from 1 to 1000"),
            ("before=yesterday", "the query: before: must be the next of the page before"),
        ] {
            let answer = house.admin(&key, "GET", &format!("/admin/v1/audit?{query}")).send().await;
            assert_eq!(answer.json()["detail"], told);
        }
        house.admin(&key, "GET", "/admin/v1/accounts/1?app=nowhere").send().await.is_own(404, "not_found");
        let typed = |kind: &str| {
            house.admin(&key, "POST", ACCOUNTS).header("content-type", kind).body("{}")
        };
        typed("text/csv").send().await.is_own(415, "not_json");
        typed("").header("content-encoding", "gzip").send().await.is_own(415, "not_json");
        let large = house.admin(&key, "POST", ACCOUNTS).body(vec![b' '; 5 << 20]).try_send().await;
        if let Ok(answer) = large {
            answer.is_own(413, "body_too_large");
        }
        house.admin(&key, "PUT", ACCOUNTS).send().await.is_own(405, "method_not_allowed");
    }

    async fn a_wrong_app_is_told_the_same_wherever_it_stands(database: Database) {
        let one = House::start(&database).await;
        let two = House::build(one.bench.again(), &database.settings(), |it| {
            let other = App { name: "other".to_owned(), ..it.apps["demo"].clone() };
            it.apps.insert(other.name.clone(), other);
        }).await;
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
        for (method, path) in [("POST", ""), ("GET", "/@alice"), ("DELETE", "/@alice"), ("POST", "/@alice/verify")] {
            let ask = two.admin(&key, method, &format!("{ACCOUNTS}{path}"));
            assert_eq!(told(ask).await, several, "{method} {path}");
        }
    }

    async fn accounts_tell_what_was_asked_last_as_them(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let body = json!({ "tweet_ids": house.bench.ids("alice", 1), "engagement_types": ["impressions"], "groupings": { "g": { "group_by": ["tweet.id"] } } });
        let call = async |name: &str| house.call_as(name, Endpoint::Totals, &body).send().await;
        call("bob").await.is_relayed(403);
        house.bench.clock.forward(Duration::minutes(5));
        for name in ["alice", "bob"] {
            call(name).await;
        }
        let last = |it: &Value| [&it["last_call_at"], &it["last_error"], &it["last_error_at"]].map(Clone::clone);
        let now = "2026-03-10T21:20:30Z";
        let of = |name: &str| match name {
            "alice" => [json!(now), Value::Null, Value::Null],
            _ => [json!(now), json!("X rejected the call (403)"), json!(now)],
        };
        let listed = house.admin(&key, "GET", ACCOUNTS).send().await;
        assert_eq!(names(&listed).len(), 2);
        for it in listed.json()["accounts"].as_array().unwrap() {
            let name = it["screen_name"].as_str().unwrap();
            assert_eq!(last(it), of(name), "{name}");
            let shown = house.admin(&key, "GET", &format!("{ACCOUNTS}/@{name}")).send().await;
            assert_eq!(&shown.json(), it);
        }
    }

    async fn apps_are_listed_without_their_secrets(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_admin_key().await;
        let answer = house.admin(&key, "GET", "/admin/v1/apps").send().await;
        assert_eq!(answer.json(), json!({ "apps": [{ "name": "demo", "app_only": "bearer", "bearer_source": "minted", "accounts_used": 0, "account_limit": null, "over_limit": null }] }));
    }
}
