//! `/admin/v1/keys` and `/admin/v1/audit`.

use countersign::model::Endpoint;
use countersign::model::key::Right;
use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::upstream::body;

const KEYS: &str = "/admin/v1/keys";

async fn create(gateway: &TestGateway, admin: &str, new: &Value) -> Answer {
    let ask = gateway.admin(admin, "POST", KEYS).header("content-type", "application/json");
    ask.body(new.to_string()).send().await
}

async fn a_key_is_made_with_every_scope_and_keeps_to_it(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let alice = &gateway.sandbox.user("alice").user_id;
    let answer = create(&gateway, &admin, &json!({
        "name": "reports", "app": "demo", "accounts": [alice], "endpoints": ["totals"], "expires": "90d",
        "weight": 3, "per_minute": 1000,
    })).await;
    assert_eq!(answer.status, 201);
    let mut made = answer.json();
    let secret = made["secret"].take().as_str().unwrap().to_owned();
    assert!(secret.starts_with("csk_") && secret.len() == 66, "{secret}");
    let mut expected = json!({
        "secret": null,
        "id": &secret[4..16],
        "role": "caller",
        "name": "reports",
        "app": "demo",
        "accounts": [alice],
        "endpoints": ["totals"],
        "weight": 3,
        "per_minute": 1000,
        "at_once": null,
        "created_at": "2026-03-10T21:15:30Z",
        "expires_at": "2026-06-08T21:15:30Z",
        "revoked_at": null,
        "last_used_at": null,
        "origins": [],
    });
    for right in Right::ALL {
        expected[right.name()] = json!(false);
    }
    assert_eq!(made, expected);

    let body = body(&gateway.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let call = |name: &str, endpoint: Endpoint| {
        gateway
            .call_as(name, endpoint, &body)
            .header("authorization", "")
            .header("x-api-key", &secret)
    };
    call("alice", Endpoint::Totals).send().await.is_relayed(200);
    call("bob", Endpoint::Totals).send().await.is_own(404, "account_not_found");
    call("alice", Endpoint::TwentyEightHours).send().await.is_own(403, "not_allowed");
    gateway.sandbox.clock.forward(time::Duration::days(90));
    call("alice", Endpoint::Totals).send().await.is_own(401, "unknown_key");
}

async fn names_are_unique_until_revoked(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let new = json!({ "name": "Reports" });
    let first = create(&gateway, &admin, &new).await.json();
    create(&gateway, &admin, &json!({ "name": "reports" })).await.is_own(409, "already_exists");
    let by_name = gateway.admin(&admin, "DELETE", &format!("{KEYS}/Reports")).send().await.json();
    assert_eq!(
        (&by_name["id"], &by_name["revoked_at"]),
        (&first["id"], &json!("2026-03-10T21:15:30Z"))
    );
    let second = create(&gateway, &admin, &new).await.json();
    for _ in 0..2 {
        let path = format!("{KEYS}/{}", second["id"].as_str().unwrap());
        let by_id = gateway.admin(&admin, "DELETE", &path).send().await;
        assert_eq!(
            (by_id.status.as_u16(), by_id.json()["id"].clone()),
            (200, second["id"].clone())
        );
    }
    gateway
        .admin(&admin, "DELETE", &format!("{KEYS}/nobody"))
        .send()
        .await
        .is_own(404, "not_found");
    for made in [first, second] {
        let call = gateway.ask("POST", crate::upstream::TOTALS).body("{}");
        let secret = made["secret"].as_str().unwrap();
        call.header("authorization", &format!("Bearer {secret}"))
            .send()
            .await
            .is_own(401, "unknown_key");
    }
    let listed = gateway.admin(&admin, "GET", KEYS).send().await.text();
    assert!(!listed.contains("csk_") && !listed.contains("csa_"), "{listed}");
}

async fn no_name_is_the_id_of_another_key(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let id = &gateway.key[4..16];
    let answer = create(&gateway, &admin, &json!({ "name": id })).await;
    answer.is_own(409, "already_exists");
    assert_eq!(answer.json()["detail"], format!("there is already a key whose id is {id}"));
    assert_eq!(create(&gateway, &admin, &json!({ "name": "dashboard123" })).await.status, 201);
}

async fn a_body_that_does_not_read_is_told_in_plain_words(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for (text, told) in [
        ("{\"name\": a}", "the body: not JSON: a value is expected: an object, an array"),
        ("{\n\"name\":\"a\"", "(line 2, column 10)"),
        ("{}", "the body: missing field `name` (line 1, column 2)"),
    ] {
        let answer = gateway.admin(&admin, "POST", KEYS).body(text).send().await;
        answer.is_own(400, "invalid_request");
        assert!(answer.json()["detail"].as_str().unwrap().contains(told), "{}", answer.text());
    }
}

async fn a_body_may_begin_with_a_byte_order_mark(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for (path, body) in
        [(KEYS, json!({ "name": "marked" })), ("/admin/v1/links", json!({ "label": "marked" }))]
    {
        let ask = gateway.admin(&admin, "POST", path).header("content-type", "application/json");
        let made = ask.body(format!("\u{feff}{body}")).send().await;
        assert_eq!(made.status, 201, "{path}: {}", made.text());
    }
}

async fn an_admin_key_makes_an_admin_key(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let made = create(&gateway, &admin, &json!({ "name": "deputy", "role": "owner" })).await.json();
    let deputy = made["secret"].as_str().unwrap();
    assert!(deputy.starts_with("csa_"));
    assert_eq!((&made["role"], &made["app"]), (&json!("owner"), &Value::Null));
    assert_eq!(gateway.admin(deputy, "GET", KEYS).send().await.status, 200);
}

async fn what_a_key_cannot_be_is_told_all_at_once(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let answer = create(&gateway, &admin, &json!({
        "name": "", "app": "nowhere", "accounts": ["x", "1"], "endpoints": ["totals", "weekly"], "expires": "soon",
    })).await;
    answer.is_own(400, "invalid_request");
    let body = answer.json();
    let pointers: Vec<&str> = body["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/accounts/0", "/endpoints/1", "/expires"]);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\u{1b}[31mb")),
        ("name", json!("x".repeat(101))),
        ("app", json!("nowhere")),
        ("expires", json!("0s")),
        ("expires", json!("101y")),
        ("expires", json!("9999y")),
        ("expires", json!("500000000000y")),
        ("expires", json!("")),
        ("accounts", json!(["@alice"])),
        ("accounts", json!([1])),
        ("endpoints", json!("totals")),
        ("scopes", json!(["*"])),
        ("name", json!(null)),
    ] {
        let mut new = json!({ "name": "odd" });
        new[field] = value.clone();
        let answer = create(&gateway, &admin, &new).await;
        assert_eq!(answer.status, 400, "{field} {value}: {}", answer.text());
        answer.is_own(400, "invalid_request");
    }
    let wide = json!({ "name": "wide", "role": "auditor", "app": "demo" });
    create(&gateway, &admin, &wide).await.is_own(400, "invalid_request");
    for text in ["", "{", "[]", "null", "{\"name\":\"a\",\"name\":\"b\"}"] {
        let ask = gateway.admin(&admin, "POST", KEYS).body(text);
        ask.send().await.is_own(400, "invalid_request");
    }
    let ask = gateway.admin(&admin, "POST", KEYS).header("content-type", "text/plain").body("{}");
    ask.send().await.is_own(415, "not_json");
    let listed = gateway.admin(&admin, "GET", KEYS).send().await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "none was made");
}

async fn keys_and_entries_come_in_pages(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    for number in 0..3 {
        create(&gateway, &admin, &json!({ "name": format!("key of page {number}") })).await;
    }
    for (path, list, next_name) in
        [(KEYS, "keys", "after"), ("/admin/v1/audit", "entries", "before")]
    {
        let mut whole = gateway.admin(&admin, "GET", path).send().await.json();
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page =
                gateway.admin(&admin, "GET", &format!("{path}?limit=2{after}")).send().await.json();
            seen.extend(page[list].as_array().unwrap().clone());
            after = match &page["next"] {
                Value::String(next) => format!("&{next_name}={next}"),
                Value::Number(next) => format!("&{next_name}={next}"),
                _ => break,
            };
        }
        // The hour of the admin key's use is written meanwhile.
        for one in whole[list].as_array_mut().unwrap().iter_mut().chain(&mut seen) {
            one.as_object_mut().unwrap().remove("last_used_at");
        }
        assert_eq!(whole[list], json!(seen), "{path}");
        assert!(seen.len() >= 5, "{path}");
    }
}

async fn every_change_leaves_an_entry_with_its_actor(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let made = create(&gateway, &admin, &json!({ "name": "odd \"name\"" })).await.json();
    let id = made["id"].as_str().unwrap();
    gateway.admin(&admin, "DELETE", &format!("{KEYS}/{id}")).send().await;
    let audit = gateway.admin(&admin, "GET", "/admin/v1/audit?limit=2").send().await.json();
    let (actor, subject) = (format!("key:{}", &admin[4..16]), format!("key:{id}"));
    for (entry, action) in
        audit["entries"].as_array().unwrap().iter().zip(["key.revoked", "key.created"])
    {
        assert_eq!(entry["action"], action);
        assert_eq!((&entry["actor"], &entry["subject"]), (&json!(actor), &json!(subject)));
        assert_eq!(entry["at"], "2026-03-10T21:15:30Z");
    }
}

async fn a_key_pasted_where_its_id_belongs_is_not_repeated(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let paths =
        [format!("{KEYS}/{}", gateway.key), format!("{KEYS}/{admin}/x"), format!("/{admin}")];
    for path in paths {
        for method in ["DELETE", "GET"] {
            let answer = gateway.admin(&admin, method, &path).send().await;
            let text = answer.text();
            assert!(!text.contains(&admin[..40]) && !text.contains(&gateway.key[..40]), "{text}");
        }
    }
}

on_both!(
    a_body_may_begin_with_a_byte_order_mark,
    a_key_is_made_with_every_scope_and_keeps_to_it,
    names_are_unique_until_revoked,
    no_name_is_the_id_of_another_key,
    a_body_that_does_not_read_is_told_in_plain_words,
    an_admin_key_makes_an_admin_key,
    what_a_key_cannot_be_is_told_all_at_once,
    keys_and_entries_come_in_pages,
    every_change_leaves_an_entry_with_its_actor,
    a_key_pasted_where_its_id_belongs_is_not_repeated
);
