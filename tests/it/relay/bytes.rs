//! The body is sent upstream byte for byte, and clients of the upstream get the same answers here.

use countersign::model::Endpoint;
use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::question::observing;

async fn sent(gateway: &TestGateway, endpoint: Endpoint, body: &str) {
    gateway.call_as("alice", endpoint, &json!({})).body(body).send().await;
    let arrived = gateway.arrived(endpoint.path()).await;
    assert_eq!(arrived.last().map(|call| &call["body"]), Some(&json!(body)));
}

async fn the_body_reaches_the_upstream_byte_for_byte(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let id = &gateway.sandbox.ids("alice", 1)[0];
    let rest = r#""engagement_types":["impressions"],"groupings":{"g":{"group_by":["tweet.id"]}}"#;
    let odd = [
        format!("{{\"tweet_ids\":[{id}],{rest}}}"),
        format!("\r\n\t {{ \"tweet_ids\" :\n[ {id} , \" {id}\\n\" ]  ,{rest} }} \n\n"),
        format!(
            r#"{{"tw\u0065et_ids":["{id}"],{rest},"unknown":{{"a":[1.50,1E3,null,true]}},"é":"\ud83d\ude00 😀"}}"#
        ),
        format!(r#"{{{rest},"tweet_ids":["{id}","{id}"]}}"#),
        format!(
            r#"{{"tweet_ids":["{id}"],"engagement_types":["impressions"],"groupings":{{"with space/~\"\\ü":{{"group_by":["tweet.id"],"more":0}}}}}}"#
        ),
    ];
    for body in &odd {
        for endpoint in Endpoint::ALL {
            sent(&gateway, endpoint, body).await;
        }
    }
    let statuses = gateway.arrived("/insights/").await;
    assert!(
        statuses.iter().all(|status| status["status"] == 200),
        "each was signed for what was sent: {statuses:?}"
    );
}

async fn ids_around_the_limits_of_floating_point_stay_exact(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for id in [
        "1",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9999999999999999999",
        "1999999999999999999",
    ] {
        for written in [id.to_owned(), format!("\"{id}\"")] {
            sent(&gateway, Endpoint::Totals, &format!(
                r#"{{"tweet_ids":[{written}],"engagement_types":["favorites"],"groupings":{{"g":{{"group_by":["tweet.id"]}}}}}}"#
            )).await;
        }
    }
}

async fn a_byte_order_mark_is_relayed_and_does_not_hide_what_the_body_needs(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let id = &gateway.sandbox.ids("alice", 1)[0];
    for (metric, kind) in [("favorites", "bearer"), ("impressions", "user")] {
        sent(&gateway, Endpoint::Totals, &format!(
            "\u{feff}{{\"tweet_ids\":[{id}],\"engagement_types\":[\"{metric}\"],\"groupings\":{{\"g\":{{\"group_by\":[\"tweet.id\"]}}}}}}"
        )).await;
        let arrived = gateway.arrived("/insights/").await;
        assert_eq!(arrived.last().unwrap()["auth_kind"], kind);
    }
}

on_both!(
    the_body_reaches_the_upstream_byte_for_byte,
    a_byte_order_mark_is_relayed_and_does_not_hide_what_the_body_needs,
    ids_around_the_limits_of_floating_point_stay_exact
);

/// How a public client calls (reference 7.1 to 7.3).
struct Client {
    endpoint: Endpoint,
    /// With `ID` in place of a post's id.
    body: &'static str,
    accept: &'static str,
    encoding: &'static str,
    agent: &'static str,
}

const PYTHON: &str = "python-requests/2.34.2";
const CLIENTS: [Client; 6] = {
    use Endpoint::{Historical, Totals, TwentyEightHours};
    [
        Client {
            endpoint: Totals,
            body: r#"{"tweet_ids": ["ID"], "engagement_types": ["favorites", "replies", "retweets", "quote_tweets", "video_views"], "groupings": {"per-tweet-metrics": {"group_by": ["tweet.id", "engagement.type"]}}}"#,
            accept: "*/*",
            encoding: "gzip",
            agent: PYTHON,
        },
        Client {
            endpoint: TwentyEightHours,
            body: r#"{"tweet_ids": ["ID"], "engagement_types": ["impressions", "engagements", "favorites", "retweets", "replies", "video_views", "media_views", "media_engagements", "url_clicks", "hashtag_clicks", "detail_expands", "permalink_clicks", "app_install_attempts", "app_opens", "email_tweet", "user_follows", "user_profile_clicks"], "groupings": {"my_grouping": {"group_by": ["tweet.id", "engagement.type"]}}}"#,
            accept: "*/*",
            encoding: "gzip, deflate",
            agent: PYTHON,
        },
        Client {
            endpoint: Historical,
            body: r#"{"tweet_ids": ["ID"], "engagement_types": ["impressions"], "groupings": {"my_grouping": {"group_by": ["tweet.id", "engagement.type"]}}, "start": "2026-02-20", "end": "2026-03-01T13:00:00Z"}"#,
            accept: "*/*",
            encoding: "gzip, deflate",
            agent: PYTHON,
        },
        Client {
            endpoint: Totals,
            body: r#"{"tweet_ids":[ID],"engagement_types":["impressions","engagements","retweets","favorites","replies"],"groupings":{"by_tweet_type":{"group_by":["tweet.id","engagement.type"]},"grand totals":{"group_by":["engagement.type"]}}}"#,
            accept: "*/*",
            encoding: "gzip",
            agent: "Ruby",
        },
        Client {
            endpoint: Totals,
            body: r#"{"engagement_types": ["impressions"], "groupings": {"totals": {"group_by": ["tweet.id", "engagement.type"]}}, "tweet_ids": ["ID\n"]}"#,
            accept: "*/*",
            encoding: "gzip, deflate",
            agent: PYTHON,
        },
        Client {
            endpoint: Historical,
            body: r#"{"engagement_types": ["impressions"], "groupings": {"totals": {"group_by": ["tweet.id", "engagement.type"]}}, "tweet_ids": ["ID\n"], "start": "2026-02-01", "end": "2026-02-28"}"#,
            accept: "*/*",
            encoding: "gzip, deflate",
            agent: PYTHON,
        },
    ]
};

#[tokio::test]
async fn public_clients_get_what_the_upstream_gives_them() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let id = &gateway.sandbox.ids("alice", 1)[0];
    for client in &CLIENTS {
        let body = client.body.replace("ID", id);
        let path = client.endpoint.path();
        let dressed = |ask: Ask| {
            let ask =
                ask.header("accept", client.accept).header("accept-encoding", client.encoding);
            ask.header("user-agent", client.agent)
                .header("content-type", "application/json")
                .body(&*body)
        };
        let direct = dressed(gateway.sandbox.ask("POST", path));
        let is_private = client.endpoint != Endpoint::Totals || body.contains("impressions");
        let direct = if is_private {
            direct.signed(&gateway.sandbox.signer("alice")).send().await
        } else {
            direct.header("authorization", &gateway.sandbox.bearer()).send().await
        };
        assert_eq!(direct.status, 200, "{}", direct.text());
        let ask = dressed(gateway.ask("POST", path)).header("countersign-account", "@alice");
        let relayed = ask.send().await;
        relayed.is_relayed(200);
        assert_eq!(relayed.raw, direct.raw, "the very bytes, still compressed");
        for name in
            ["content-type", "content-encoding", "x-per-minute-limit", "x-per-minute-reset", "date"]
        {
            assert_eq!(relayed.header(name), direct.header(name), "{name}");
            assert_ne!(direct.header(name), "", "{name}");
        }
    }
}

#[tokio::test]
async fn the_upstreams_errors_come_through_unchanged() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start_with(&database, observing).await;
    let body = json!({
        "tweet_ids": ["20"], "engagement_types": ["impressions"], "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    let direct = gateway.sandbox.own("alice", Endpoint::Totals.path(), &body).await;
    assert_eq!(direct.status, 400);
    let relayed = gateway.call_as("alice", Endpoint::Totals, &body).send().await;
    relayed.is_relayed(400);
    assert_eq!(relayed.raw, direct.raw);
    for status in [302, 400, 404, 418, 429, 500] {
        let errors = json!({ "errors": [{ "code": 7, "message": "ä" }] });
        gateway.order(json!([{ "kind": "status", "status": status, "body": errors }])).await;
        let relayed = gateway.call_as("alice", Endpoint::Totals, &body).send().await;
        relayed.is_relayed(status);
        assert_eq!(relayed.json(), errors);
    }
}
