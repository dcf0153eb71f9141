//! Invalid JSON never reaches the upstream: broken, ambiguous, or too deep.

use countersign::model::Endpoint;
use serde_json::json;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::relay::checks::{answer, plain};
use crate::upstream::with;

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let deep = "[".repeat(60_000);
    for (body, words) in [
        (
            "",
            "the body: is empty; send a JSON object with tweet_ids, engagement_types and groupings",
        ),
        (" \n", "is empty; send a JSON object"),
        ("{", "not JSON: it ends within an object; close it with } (line 1, column 1)"),
        ("\n tweet_ids=1", "not JSON: a value is expected: an object, an array, a string"),
        ("\n tweet_ids=1", "(line 2, column 3)"),
        ("{'tweet_ids':[]}", "not JSON: a key must be a string in \\\"\\\" (line 1, column 2)"),
        ("{} {}", "not JSON: nothing may follow the end of the value (line 1, column 4)"),
        ("{\"a\":[1,]}", "not JSON: no comma may follow the last item or value (line 1, column 9)"),
        ("{\"a\":\"\t\"}", "not JSON: a control character in a string must be escaped"),
        ("\u{feff}", "is empty; send a JSON object"),
        ("\u{feff}\u{feff}{}", "not JSON"),
        ("[]", "must be an object, not an array"),
        ("null", "must be an object, not null"),
        (&deep, "the body: nested deeper than 16 levels (line 1, column 128)"),
        (&"{\"a\":".repeat(10_000), "the body: nested deeper than 16 levels"),
    ] {
        let answer = answer(&gateway, Endpoint::Totals, body).await;
        answer.is_own(400, "invalid_request");
        assert_eq!(answer.json()["problems"][0]["pointer"], "");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(words), "{detail}");
    }
    for body in [&b"\xff\xfe{}"[..], b"{\"a\":\"\xff\"}", b"{\"a\":\"\0\"}", b"\x1f\x8b\x08\0"] {
        answer(&gateway, Endpoint::Totals, body).await.is_own(400, "invalid_request");
    }
    let odd = answer(&gateway, Endpoint::Totals, &b"{\n\"a\": \"\xff\"}"[..]).await;
    let detail = odd.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("not UTF-8") && detail.ends_with("(line 2, column 7)"), "{detail}");
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn keys_given_twice_are_refused_at_any_depth_and_however_they_are_spelt() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let good = plain().to_string();
    for (from, to, pointer) in [
        (r#"{"engagement_types""#, r#"{"tweet_ids":["2"],"engagement_types""#, "/tweet_ids"),
        (r#"{"engagement_types""#, r#"{"tweet\u005fids":["2"],"engagement_types""#, "/tweet_ids"),
        (
            r#"{"group_by""#,
            r#"{"group_by":["tweet.id"],"group_by":["tweet.id"],"group_by""#,
            "/groupings/g/group_by",
        ),
        (r#"{"engagement_types""#, r#"{"x":[{"y":1,"y":2}],"engagement_types""#, "/x/0/y"),
    ] {
        assert!(good.contains(from), "{good}");
        let answer = answer(&gateway, Endpoint::Totals, good.replacen(from, to, 1)).await;
        answer.is_own(400, "invalid_request");
        let detail = "this key occurs more than once; give it only once";
        assert_eq!(answer.json()["problems"], json!([{ "pointer": pointer, "detail": detail }]));
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn what_is_nested_deeper_than_sixteen_levels_is_refused_and_sixteen_are_relayed() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let nested = |levels: usize| {
        let inner = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        plain().to_string().replacen('{', &format!(r#"{{"x":{inner},"#), 1)
    };
    let refused = answer(&gateway, Endpoint::Totals, nested(16)).await;
    refused.is_own(400, "invalid_request");
    assert_eq!(refused.json()["problems"][0]["detail"], "nested deeper than 16 levels");
    assert!(gateway.arrived("/insights/").await.is_empty());
    answer(&gateway, Endpoint::Totals, nested(15)).await;
    assert_eq!(gateway.arrived("/insights/").await[0]["body"], nested(15));
}

#[tokio::test]
async fn an_answer_does_not_grow_far_beyond_the_request_that_it_refuses() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let name = "n".repeat(30_000);
    let body = with(plain(), &json!({ "groupings": { name: { "group_by": vec!["x"; 4_000] } } }))
        .to_string();
    let ask = gateway.call_as("alice", Endpoint::Totals, &json!({})).header("accept-encoding", "");
    let answer = ask.body(&*body).send().await;
    answer.is_own(400, "invalid_request");
    assert!(answer.raw.len() < 3 * body.len(), "{} for {}", answer.raw.len(), body.len());
}

#[tokio::test]
async fn a_body_of_countless_small_values_is_refused_before_it_takes_memory() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for item in ["[]", "{}", "0", "\"\"", "{\"\":0}"] {
        let more = format!(",{item}").repeat(60_000 / (item.len() + 1));
        let refused = answer(&gateway, Endpoint::Totals, format!("{{\"x\":[{item}{more}]}}")).await;
        refused.is_own(400, "invalid_request");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("the body: holds more values than any request"), "{detail}");
    }
    assert!(gateway.arrived("/").await.is_empty());
}
