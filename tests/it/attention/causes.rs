//! Each failed call is listed with its cause, what X said of it, and its requests.

use std::time::Duration;

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::attention::one_post;
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

/// A fault of X's, and how the call that it strikes is listed.
struct Case {
    fault: Value,
    cause: &'static str,
    said: Value,
    /// The statuses of its requests.
    tries: Value,
}

fn said(code: &Value, text: &str, form: &str) -> Value {
    json!({ "code": code, "text": text, "form": form })
}

fn coded(status: u16, code: u32, message: &str) -> Value {
    json!({ "kind": "status", "path": "/insights/", "status": status, "code": code, "message": message })
}

fn text(status: u16, text: &str) -> Value {
    json!({ "kind": "status", "path": "/insights/", "status": status, "body": { "errors": [text] } })
}

fn cases() -> Vec<Case> {
    let json = "errors in JSON";
    let (none, secret) = (Value::Null, "token=abc-secret");
    vec![
        Case {
            fault: coded(401, 89, "Invalid or expired token."),
            cause: "account_revoked",
            said: said(&json!(89), "Invalid or expired token", json),
            tries: json!([401]),
        },
        Case {
            fault: coded(403, 326, secret),
            cause: "account_blocked",
            said: said(&json!(326), "unknown text, 16 bytes", json),
            tries: json!([403]),
        },
        Case {
            fault: coded(401, 32, "Could not authenticate you"),
            cause: "app_rejected",
            said: said(&json!(32), "Could not authenticate you", json),
            tries: json!([401]),
        },
        Case {
            fault: text(403, "Sorry: your application id is not authorized."),
            cause: "app_not_enabled",
            said: said(&none, "… your application id is not authorized…", json),
            tries: json!([403]),
        },
        Case {
            fault: text(403, "Forbidden to access metrics: impressions"),
            cause: "metrics_forbidden",
            said: said(&none, "Forbidden to access metrics: …", json),
            tries: json!([403]),
        },
        Case {
            fault: text(400, secret),
            cause: "rejected",
            said: said(&none, "unknown text, 16 bytes", json),
            tries: json!([400]),
        },
        Case {
            fault: coded(429, 88, "Rate limit exceeded"),
            cause: "rate_limited",
            said: said(&json!(88), "Rate limit exceeded", json),
            tries: json!([429]),
        },
        Case {
            fault: json!({ "kind": "html", "path": "/insights/", "status": 502 }),
            cause: "x_failing",
            said: json!({ "code": null, "form": "HTML or XML" }),
            tries: json!([502, 502]),
        },
        Case {
            fault: json!({ "kind": "html", "path": "/insights/", "status": 200 }),
            cause: "x_odd",
            said: json!({ "code": null, "form": "HTML or XML" }),
            tries: json!([200]),
        },
        Case {
            fault: json!({ "kind": "reset", "path": "/insights/" }),
            cause: "x_unreachable",
            said: Value::Null,
            tries: json!([null, null]),
        },
    ]
}

async fn a_failed_call_is_listed_with_its_cause_and_what_x_said(database: Database) {
    for Case { fault, cause, said, tries } in cases() {
        // A gateway for each, since some faults outlast the call.
        let gateway = TestGateway::start_with(&database, |config| {
            config.limits.quota_wait = Duration::ZERO;
        })
        .await;
        let admin = gateway.new_admin_key().await;
        gateway.order(json!([fault])).await;
        let answer = gateway.ask_privately().await;
        assert!(answer.status.as_u16() >= 400, "{cause}");
        let listed = gateway.list_calls(&admin, &format!("?cause={cause}&limit=1")).await;
        let call = listed.first().unwrap_or_else(|| panic!("nothing listed for {cause}"));
        assert_eq!(call["cause"]["cause"], cause, "{call}");
        for words in ["text", "remedy"] {
            assert!(call["cause"][words].as_str().is_some_and(|text| text.len() > 10), "{call}");
        }
        let told = &call["x_said"];
        for member in ["code", "text", "form"] {
            if !said[member].is_null() {
                assert_eq!(told[member], said[member], "{cause}: {told}");
            }
        }
        assert_eq!(told.is_null(), said.is_null(), "{cause}: {told}");
        let statuses: Vec<&Value> =
            call["tries"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
        assert_eq!(json!(statuses), tries, "{cause}");
        assert!(!call.to_string().contains("abc-secret"), "{call}");
        let (id, remedy) =
            (call["id"].as_i64().unwrap(), call["cause"]["remedy"].as_str().unwrap());
        let page = crate::console::Visitor::admin(&gateway).await;
        let page = page.open(&format!("/console/calls/{id}")).await.text();
        for words in ["Why it failed:", "What to do:", remedy.split('\'').next().unwrap()] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("abc-secret"), "{page}");
    }
}

async fn a_refused_account_is_named(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    database.run("update account set state = 'quarantined' where screen_name = 'alice'").await;
    let id = gateway.id("alice").to_string();
    let body = one_post(&gateway, "alice", "impressions");
    let told = gateway.call_as("alice", Endpoint::Totals, &body).send().await;
    told.is_own(409, "account_not_active");
    assert_eq!(told.json()["account"], json!({ "id": id, "screen_name": "alice" }));
    let detail = told.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with(&format!("the account @alice ({id}) has been quarantined")),
        "{detail}"
    );
    let call = gateway.list_calls(&admin, "?limit=1").await.remove(0);
    assert_eq!(
        (&call["account"], &call["screen_name"], &call["cause"]["cause"], &call["attempts"]),
        (&json!(id), &json!("alice"), &json!("account_not_active"), &json!(0))
    );
    // A key that may not use the account is told of none.
    let bob = gateway.id("bob");
    let other = gateway.new_key(|key| key.scopes.accounts = Some(vec![bob])).await;
    let told = gateway
        .call_as("alice", Endpoint::Totals, &body)
        .header("authorization", &format!("Bearer {other}"))
        .send()
        .await;
    told.is_own(404, "account_not_found");
    assert!(
        !told.text().contains("alice") && told.json().get("account").is_none(),
        "{}",
        told.text()
    );
}

async fn a_question_that_is_refused_is_listed(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.values_mut().next().unwrap().lookup = true;
    })
    .await;
    let admin = gateway.new_admin_key().await;
    let ask = |body: Value| {
        let ask = gateway.ask("POST", "/v1/engagement").header("x-request-id", "mine-1");
        ask.header("content-type", "application/json").body(body.to_string())
    };
    ask(json!({ "tweet_ids": ["x"] })).send().await.is_own(400, "invalid_request");
    let call = gateway.list_calls(&admin, "").await.remove(0);
    assert_eq!(
        (&call["endpoint"], &call["status"], &call["code"], &call["request_id"]),
        (&Value::Null, &json!(400), &json!("invalid_request"), &json!("mine-1"))
    );
    assert_eq!(call["cause"]["cause"], "invalid_request", "{call}");
    // A look-up finds an author who has revoked the app's access, and no call follows.
    database.run("update account set state = 'revoked' where screen_name = 'bob'").await;
    let ids = gateway.sandbox.ids("bob", 1);
    let bob = gateway.id("bob").to_string();
    let question = json!({
        "tweet_ids": ids, "engagement_types": ["impressions"], "window": "totals",
    });
    ask(question).send().await.is_own(409, "nothing_answered");
    let call = gateway.list_calls(&admin, "").await.remove(0);
    assert_eq!(
        (&call["cause"]["cause"], &call["account"], &call["screen_name"]),
        (&json!("account_not_active"), &json!(bob), &json!("bob"))
    );
    // One whose calls fail is listed by its calls alone.
    gateway.order(json!([text(400, "no")])).await;
    let question = json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": ["favorites"],
        "window": "totals",
    });
    let answer = ask(question).send().await;
    assert!(answer.status.as_u16() >= 400, "{}", answer.text());
    let listed = gateway.list_calls(&admin, "").await;
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!(
        (&listed[0]["endpoint"], &listed[0]["cause"]["cause"]),
        (&json!("totals"), &json!("rejected"))
    );
}

on_both!(
    a_failed_call_is_listed_with_its_cause_and_what_x_said,
    a_refused_account_is_named,
    a_question_that_is_refused_is_listed
);
