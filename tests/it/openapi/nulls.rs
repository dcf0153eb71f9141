//! Optional members of requests may be `null`, as they are in what the API returns.

use countersign::model::key::{Right, Role};
use serde_json::{Value, json};

use crate::gateway::ORIGIN;
use crate::openapi::shape::faults;
use crate::openapi::{Doors, Operation, document, list, object, operations, resolved};

/// The members that a body may leave out.
fn optional<'a>(document: &'a Value, it: &'a Operation) -> Vec<&'a String> {
    let schema = resolved(document, &it.body().unwrap().1["schema"]);
    let required: Vec<&str> =
        list(&schema["required"]).map(|name| name.as_str().unwrap()).collect();
    let members = object(&schema["properties"]).keys();
    members.filter(|name| !required.contains(&name.as_str())).collect()
}

#[tokio::test]
async fn null_is_the_same_as_nothing_on_the_gateways_own_paths() {
    let mut doors = Doors::fresh().await;
    doors.gateway.key = doors.gateway.mighty_key().await;
    // Whose tokens are withdrawn.
    let new = json!({ "name": "dashboard", "browser": true, "origins": [ORIGIN] }).to_string();
    doors.gateway.admin(&doors.admin, "POST", "/admin/v1/keys").body(new).send().await;
    let document = document();
    let mut seen = 0;
    for it in operations(&document) {
        let is_json = it.body().is_some_and(|(media, _)| media == "application/json");
        if !is_json || it.path.starts_with("/insights/") {
            continue;
        }
        let (_, content) = it.body().unwrap();
        let mut nulls = content["example"].clone();
        // A question has one of two members that say which posts it is about.
        let posts = nulls["tweet_ids"].clone();
        for name in optional(&document, &it) {
            nulls[name] = Value::Null;
            seen += 1;
        }
        if !posts.is_null() {
            nulls["tweet_ids"] = posts;
        }
        let mut absent = nulls.clone();
        absent.as_object_mut().unwrap().retain(|_, member| !member.is_null());
        assert_eq!(faults(&document, &content["schema"], &nulls), [""; 0], "{nulls}");
        let refused = |body: &Value| {
            let body = body.to_string();
            let ask = it.ask(&doors, &it.example_path()).body(body);
            async move { ask.send().await.header("countersign-error").to_owned() }
        };
        assert_ne!(refused(&nulls).await, "invalid_request", "{}: {nulls}", it.id());
        assert_ne!(refused(&absent).await, "invalid_request", "{}: {absent}", it.id());
    }
    assert!(seen >= 18, "{seen}");
}

#[tokio::test]
async fn a_key_is_made_again_from_what_is_listed() {
    let doors = Doors::fresh().await;
    let path = "/admin/v1/keys";
    let make = |body: Value| doors.gateway.admin(&doors.admin, "POST", path).body(body.to_string());
    let first = make(json!({ "name": "first", "app": null, "accounts": null })).send().await;
    assert_eq!(first.status, 201, "{}", first.text());
    let listed = doors.gateway.admin(&doors.admin, "GET", path).send().await.json();
    let listed = list(&listed["keys"]).find(|key| key["name"] == "first").unwrap().clone();
    assert_eq!((&listed["accounts"], &listed["endpoints"]), (&Value::Null, &Value::Null));
    let mut again = json!({ "name": "again" });
    let schema = &document()["components"]["schemas"]["NewKey"]["properties"];
    for name in object(schema).keys().filter(|name| *name != "name") {
        again[name] = listed.get(name).cloned().unwrap_or_default();
    }
    let second = make(again).send().await;
    assert_eq!(second.status, 201, "{}", second.text());
    for name in ["role", "app", "accounts", "endpoints", "expires_at"] {
        assert_eq!(second.json()[name], listed[name], "{name}");
    }
}

#[tokio::test]
async fn every_right_is_a_member_of_keys_and_of_new_keys() {
    let doors = Doors::fresh().await;
    let path = "/admin/v1/keys";
    for right in Right::ALL {
        let role = Role::ALL.into_iter().find(|role| Right::of(*role).contains(&right)).unwrap();
        let origins = if right == Right::Browser { vec![ORIGIN] } else { Vec::new() };
        let name = right.name();
        let new = json!({ "name": name, "role": role.name(), name: true, "origins": origins });
        let new = new.to_string();
        let created = doors.gateway.admin(&doors.admin, "POST", path).body(new).send().await.json();
        for other in Right::ALL {
            assert_eq!(created[other.name()], other == right, "{right}: {created}");
        }
    }
}
