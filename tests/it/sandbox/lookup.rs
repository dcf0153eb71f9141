//! The look-up of posts by id, as X's API of version 2 answers it.

use serde_json::{Value, json};
use time::Duration;

use crate::http::{Answer, Ask};
use crate::upstream::{NOW, TestSandbox, small};

const LOOKUP: &str = "/2/tweets";

fn asking(sandbox: &TestSandbox, query: &str) -> Ask {
    sandbox.ask("GET", &format!("{LOOKUP}?{query}")).header("authorization", &sandbox.bearer())
}

async fn look_up(sandbox: &TestSandbox, ids: &[String]) -> Answer {
    let query = format!("ids={}&tweet.fields=author_id", ids.join(","));
    asking(sandbox, &query).send().await
}

fn first(sandbox: &TestSandbox, name: &str, state: &str) -> String {
    let posts = &sandbox.user(name).posts;
    posts.iter().find(|post| post.state == state).unwrap().id.clone()
}

fn found(sandbox: &TestSandbox, name: &str, id: &str) -> Value {
    json!({ "id": id, "author_id": sandbox.user(name).user_id, "text": format!("A post by {name}") })
}

fn not_found(id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Could not find tweet with ids: [{id}]."),
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": "ids",
        "resource_id": id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    })
}

fn not_authorized(id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Sorry, you are not authorized to see the Tweet with ids: [{id}]."),
        "title": "Authorization Error",
        "resource_type": "tweet",
        "parameter": "ids",
        "resource_id": id,
        "section": "data",
        "type": "https://api.twitter.com/2/problems/not-authorized-for-resource",
    })
}

/// The answer is a refusal of single parameters, with these messages.
#[track_caller]
fn is_invalid(answer: &Answer, messages: &[&str]) {
    let body = answer.json();
    assert_eq!(answer.status, 400, "{body}");
    assert_eq!(body["title"], "Invalid Request");
    assert_eq!(body["detail"], "One or more parameters to your request was invalid.");
    assert_eq!(body["type"], "https://api.twitter.com/2/problems/invalid-request");
    let errors = body["errors"].as_array().unwrap();
    let got: Vec<&str> = errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(got, messages);
    assert!(errors.iter().all(|error| error["parameters"].is_object()), "{body}");
}

#[track_caller]
fn is_unauthorized(answer: &Answer) {
    let expected = json!({
        "title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (401, expected));
}

#[tokio::test]
async fn what_there_is_comes_beside_what_there_is_not() {
    let sandbox = TestSandbox::start().await;
    let (alice, bob) = (first(&sandbox, "alice", "active"), first(&sandbox, "bob", "active"));
    let deleted = first(&sandbox, "alice", "deleted");
    let protected = first(&sandbox, "protected_pat", "active");
    let suspended = first(&sandbox, "suspended_sam", "active");
    let unknown = "9223372036854775808".to_owned();
    let ids = [bob, deleted, protected, alice, suspended, unknown];
    let answer = look_up(&sandbox, &ids).await;
    assert_eq!(answer.header("content-type"), "application/json;charset=utf-8");
    let expected = json!({
        "data": [found(&sandbox, "bob", &ids[0]), found(&sandbox, "alice", &ids[3])],
        "errors": [
            not_found(&ids[1]),
            not_authorized(&ids[2]),
            not_authorized(&ids[4]),
            not_found(&ids[5]),
        ],
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
}

#[tokio::test]
async fn a_part_that_would_be_empty_is_not_there() {
    let sandbox = TestSandbox::start().await;
    let (there, deleted) =
        (first(&sandbox, "alice", "active"), first(&sandbox, "alice", "deleted"));
    let all = look_up(&sandbox, std::slice::from_ref(&there)).await.json();
    assert_eq!(all, json!({ "data": [found(&sandbox, "alice", &there)] }));
    let none = look_up(&sandbox, std::slice::from_ref(&deleted)).await;
    assert_eq!(
        (none.status.as_u16(), none.json()),
        (200, json!({ "errors": [not_found(&deleted)] }))
    );
}

#[tokio::test]
async fn the_author_comes_when_asked_for() {
    let sandbox = TestSandbox::start().await;
    let id = first(&sandbox, "alice", "active");
    for query in [format!("ids={id}"), format!("ids={id}&tweet.fields=created_at,lang")] {
        let body = asking(&sandbox, &query).send().await.json();
        assert_eq!(body, json!({ "data": [{ "id": id, "text": "A post by alice" }] }));
    }
    let query = format!("ids={id}&tweet.fields=created_at%2Cauthor_id");
    let plain = asking(&sandbox, &query).header("accept-encoding", "").send().await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.json()["data"][0]["author_id"], *sandbox.user("alice").user_id);
}

#[tokio::test]
async fn the_author_is_expanded_in_either_vocabulary() {
    let sandbox = TestSandbox::start().await;
    let [alice, bob] = ["alice", "bob"].map(|name| first(&sandbox, name, "active"));
    let text = |name: &str| format!("A post by {name}");
    let id = |name: &str| sandbox.user(name).user_id.clone();
    let posts = |own: &dyn Fn(&str) -> Value| {
        let post = |id: &String, name: &str| {
            let mut post = json!({ "id": id, "text": text(name) });
            post.as_object_mut().unwrap().extend(own(name).as_object().unwrap().clone());
            post
        };
        json!([post(&alice, "alice"), post(&bob, "bob"), post(&alice, "alice")])
    };
    let user = |name: &str| json!({ "id": id(name), "name": name, "username": name });
    let users = json!({ "users": [user("alice"), user("bob")] });
    let (bare, by_id) = (posts(&|_| json!({})), posts(&|name| json!({ "author_id": id(name) })));
    let by_name = posts(&|name| json!({ "username": name }));
    let expanded = |data: &Value| json!({ "data": data, "includes": users });
    for (form, query, expected) in [
        ("tweet", "", json!({ "data": bare })),
        ("tweet", "&tweet.fields=author_id", json!({ "data": by_id })),
        ("tweet", "&post.fields=author_id", json!({ "data": bare })),
        ("tweet", "&expansions=author_id", expanded(&by_id)),
        ("post", "&tweet.fields=author_id", json!({ "data": bare })),
        ("post", "&post.fields=author_id", json!({ "data": bare })),
        ("post", "&expansions=author_id,geo.place_id", expanded(&by_id)),
        ("includes", "&tweet.fields=author_id", json!({ "data": bare })),
        ("includes", "&tweet.fields=author_id&expansions=author_id", expanded(&by_name)),
    ] {
        sandbox.put("/sandbox/switches", json!({ "lookup_form": form })).await;
        let query = format!("ids={alice},{bob},{alice}{query}");
        let answer = asking(&sandbox, &query).send().await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected), "{form}: {query}");
    }
}

#[tokio::test]
async fn an_author_who_protects_their_posts_hides_them() {
    let sandbox = TestSandbox::start().await;
    let id = first(&sandbox, "bob", "active");
    let bob = format!("/sandbox/users/{}", sandbox.user("bob").user_id);
    for (state, is_there) in [("protected", false), ("active", true), ("revoked", true)] {
        sandbox.put(&bob, json!({ "state": state })).await;
        let body = look_up(&sandbox, std::slice::from_ref(&id)).await.json();
        assert_eq!(body.get("data").is_some(), is_there, "{state}: {body}");
    }
}

#[tokio::test]
async fn a_hundred_ids_are_the_most() {
    let sandbox = TestSandbox::start().await;
    let ids: Vec<String> = (1..=101).map(|number: u32| number.to_string()).collect();
    let answer = look_up(&sandbox, &ids[..100]).await;
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 100);
    let text =
        "The number of values in the `ids` query parameter list [101] is not between 1 and 100";
    is_invalid(&look_up(&sandbox, &ids).await, &[text]);
}

#[tokio::test]
async fn each_mistake_in_the_query_is_told() {
    let sandbox = TestSandbox::start().await;
    let empty = "The `ids` query parameter can not be empty";
    let not_valid = |text: &str| format!("The `ids` query parameter value [{text}] is not valid");
    for (query, messages) in [
        ("", vec![empty.to_owned()]),
        ("ids=", vec![empty.to_owned()]),
        ("ids=20,,x1", vec![not_valid(""), not_valid("x1")]),
        ("ids=-1,+2", vec![not_valid("-1"), not_valid(" 2")]),
        ("ids=12345678901234567890", vec![not_valid("12345678901234567890")]),
        (
            "ids=20&ids=21",
            vec!["Duplicate parameters are not allowed: the `ids` query parameter".to_owned()],
        ),
    ] {
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        is_invalid(&asking(&sandbox, query).send().await, &messages);
    }
    let body = asking(&sandbox, "ids=20&id=21&tweet.fields=author").send().await.json();
    let message = |at: usize| body["errors"][at]["message"].as_str().unwrap();
    assert!(message(0).starts_with("The query parameter [id] is not one of [ids,"), "{body}");
    let text =
        "The `tweet.fields` query parameter value [author] is not one of [attachments,author_id,";
    assert!(message(1).starts_with(text), "{body}");
    assert_eq!(body["errors"][1]["parameters"], json!({ "tweet.fields": ["author"] }));
}

#[tokio::test]
async fn it_takes_the_apps_bearer_token_alone() {
    let sandbox = TestSandbox::start().await;
    let bare = sandbox.ask("GET", &format!("{LOOKUP}?ids=20"));
    is_unauthorized(&bare.clone().send().await);
    for header in ["Bearer x", &sandbox.basic()] {
        is_unauthorized(&bare.clone().header("authorization", header).send().await);
    }
    for signer in [sandbox.two_legged(), sandbox.signer("alice")] {
        let header = signer.header("GET", LOOKUP, &[("ids", "20")]);
        is_unauthorized(&bare.clone().header("authorization", &header).send().await);
    }
    sandbox.ask("POST", "/sandbox/apps/demo/rotate_bearer").send().await;
    is_unauthorized(&asking(&sandbox, "ids=20").send().await);
}

#[tokio::test]
async fn an_app_that_may_not_look_posts_up_is_told_so() {
    let sandbox = TestSandbox::start().await;
    sandbox.put("/sandbox/switches", json!({ "unlisted_lookup_apps": ["demo"] })).await;
    let answer = asking(&sandbox, "ids=20").send().await;
    let body = answer.json();
    assert_eq!(answer.status, 403, "{body}");
    assert_eq!(body["title"], "Client Forbidden");
    assert_eq!(body["reason"], "client-not-enrolled");
    assert_eq!(body["type"], "https://api.twitter.com/2/problems/client-forbidden");
    assert!(!answer.headers.contains_key("x-rate-limit-limit"));
    let other = format!("Bearer {}", sandbox.app("other").bearer_token);
    let answer = asking(&sandbox, "ids=20").header("authorization", &other).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn the_quarter_of_an_hour_runs_out_and_comes_back() {
    let mut settings = small();
    settings.switches.lookups_per_15_minutes = 2;
    let sandbox = TestSandbox::start_with(settings).await;
    let answer = asking(&sandbox, "ids=20").send().await;
    for (name, value) in [
        ("x-rate-limit-limit", 2),
        ("x-rate-limit-remaining", 1),
        ("x-rate-limit-reset", (NOW + Duration::seconds(14 * 60 + 30)).unix_timestamp()),
    ] {
        assert_eq!(answer.number(name), value, "{name}");
    }
    assert_eq!(asking(&sandbox, "").send().await.number("x-rate-limit-remaining"), 0);
    let answer = asking(&sandbox, "ids=20").send().await;
    let expected = json!({
        "title": "Too Many Requests", "type": "about:blank", "status": 429, "detail": "Too Many Requests"
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (429, expected));
    sandbox.clock.forward(Duration::seconds(14 * 60 + 29));
    assert_eq!(asking(&sandbox, "ids=20").send().await.status, 429);
    sandbox.clock.forward(Duration::SECOND);
    assert_eq!(asking(&sandbox, "ids=20").send().await.status, 200);
}
