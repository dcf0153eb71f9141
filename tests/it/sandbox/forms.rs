//! The form of requests, their limits, ownership, and which refusal takes precedence.

use serde_json::{Map, Value, json};

use crate::upstream::{HISTORICAL, LAST_28H, TOTALS, TestSandbox, VERIFY, body, with};

const GZIP: &str = "This request requires gzip compression. Retry the request after setting \
                    'Accept-Encoding' header in the request to 'gzip'.";
const UNRECOGNIZED: &str =
    "was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

fn group_bys(names: &str) -> String {
    format!(
        "One or more of the groupBys you have specified are not supported: ({names}). Please adjust your \
         request and try again."
    )
}

#[tokio::test]
async fn gzip_must_be_offered_and_compresses_errors_too() {
    let sandbox = TestSandbox::start().await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    for offer in ["", "identity", "deflate, br", "gzip;q=0", "gzip; q=0.0", "x-gzip"] {
        let ask = sandbox.post(TOTALS, &body).header("accept-encoding", offer);
        let answer = ask.signed(&sandbox.signer("alice")).send().await;
        assert_eq!(answer.header("content-encoding"), "", "{offer}");
        answer.refuses(406, &[GZIP]);
    }
    for offer in ["gzip", "gzip, deflate", "deflate, GZIP;q=0.5", "br;q=1.0, gzip;q=0.8, *;q=0.1"] {
        let ask = sandbox.post(TOTALS, &body).header("accept-encoding", offer);
        let answer = ask.signed(&sandbox.signer("alice")).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, "gzip"));
        assert_eq!(answer.header("content-type"), "application/json;charset=utf-8");
    }
    let refused = sandbox.post(TOTALS, &body).send().await;
    assert_eq!((refused.status.as_u16(), refused.header("content-encoding")), (401, "gzip"));
    assert_eq!(refused.raw[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_empty_404s() {
    let sandbox = TestSandbox::start().await;
    for (method, path) in [
        ("GET", TOTALS),
        ("PUT", HISTORICAL),
        ("POST", "/insights/engagement"),
        ("GET", "/home"),
        ("POST", "/"),
    ] {
        let answer = sandbox.ask(method, path).send().await;
        assert_eq!((answer.status.as_u16(), answer.raw.len()), (404, 0), "{method} {path}");
    }
    let elsewhere = sandbox.ask("POST", "/1.1/insights").send().await;
    elsewhere.has_code(404, 34, "Sorry, that page does not exist.");
}

#[tokio::test]
async fn each_of_xs_hosts_has_its_own_routes_alone() {
    let sandbox = TestSandbox::start().await;
    let body = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let to = async |host: &str, method: &str, path: &str| {
        let ask = sandbox.post(path, &body).method(method).header("host", host);
        ask.header("authorization", &sandbox.bearer()).send().await
    };
    for host in ["api.x.com", "API.twitter.com:443", "api.sandbox.test:8443"] {
        for (method, path) in [
            ("POST", TOTALS),
            ("POST", LAST_28H),
            ("GET", HISTORICAL),
            ("POST", "/insights"),
            ("GET", "/"),
        ] {
            let answer = to(host, method, path).await;
            answer.has_code(404, 34, "Sorry, that page does not exist.");
        }
        assert_eq!(to(host, "GET", "/2/tweets?ids=20").await.status, 200, "{host}");
        let unknown = to(host, "GET", "/2/insights/28hr").await;
        assert_eq!((unknown.status.as_u16(), unknown.raw.len()), (404, 0), "{host}");
    }
    for host in ["data-api.x.com", "data-api.twitter.com", "data-api.sandbox.test"] {
        assert_eq!(to(host, "POST", TOTALS).await.status, 200, "{host}");
        for (method, path) in [
            ("POST", "/oauth2/token"),
            ("GET", "/2/tweets?ids=20"),
            ("GET", VERIFY),
            ("GET", "/1.1/x"),
        ] {
            let answer = to(host, method, path).await;
            assert_eq!((answer.status.as_u16(), answer.raw.len()), (404, 0), "{host}{path}");
        }
    }
    for host in ["api.x.com", "data-api.x.com"] {
        assert_eq!(to(host, "GET", "/sandbox/switches").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn malformed_json_names_the_word() {
    let sandbox = TestSandbox::start().await;
    let ask = async |text: &str| {
        let ask = sandbox.post(TOTALS, &Value::Null).body(text);
        ask.signed(&sandbox.signer("alice")).send().await
    };
    for text in ["foo", "{\"tweet_ids\": foo}", "[1,\n foo]"] {
        ask(text).await.refuses(400, &[&format!("Unrecognized token 'foo': {UNRECOGNIZED}")]);
    }
    for text in ["{\"tweet_ids\": [", "[]", "\"text\"", "{\"a\": 1,}", "{é"] {
        let answer = ask(text).await;
        let texts = answer.json();
        assert_eq!(answer.status, 400, "{text}");
        assert!(texts["errors"][0].as_str().unwrap().contains("JSON"), "{text}: {texts}");
    }
}

#[tokio::test]
async fn missing_fields_are_told_together() {
    let sandbox = TestSandbox::start().await;
    let all = [
        "engagement_types: field is required",
        "groupings: field is required",
        "tweet_ids: field is required",
    ];
    let empty = sandbox.own("alice", TOTALS, &json!({})).await;
    empty.refuses(400, &all);
    let nothing = sandbox.post(TOTALS, &Value::Null).body("").signed(&sandbox.signer("alice"));
    nothing.send().await.refuses(400, &all);
    let good = body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let undeclared = sandbox.post(TOTALS, &good).header("content-type", "text/plain");
    undeclared.signed(&sandbox.signer("alice")).send().await.refuses(400, &all);
    let none = with(good, &json!({ "tweet_ids": null }));
    sandbox.own("alice", TOTALS, &none).await.refuses(400, &["tweet_ids: field is required"]);
}

#[tokio::test]
async fn engagement_types_are_one_to_eighteen_strings() {
    let sandbox = TestSandbox::start().await;
    let ask = async |types: Value| {
        let body = body(&sandbox.ids("alice", 1), &[], &["tweet.id"]);
        sandbox.own("alice", TOTALS, &with(body, &json!({ "engagement_types": types }))).await
    };
    let size = |size| format!("engagement_types: size [{size}] is not between 1 and 18");
    ask(json!([])).await.refuses(400, &[&size(0)]);
    ask(json!(vec!["replies"; 19])).await.refuses(400, &[&size(19)]);
    ask(json!("replies")).await.refuses(400, &["SIM: engagement_types is not an array"]);
    ask(json!([5])).await.refuses(400, &["SIM: engagement_types: '5' is not a string"]);
}

#[tokio::test]
async fn posts_are_limited_by_endpoint() {
    let sandbox = TestSandbox::start().await;
    for (path, most) in [(TOTALS, 250), (LAST_28H, 25), (HISTORICAL, 25)] {
        let ids: Vec<String> = (1..=most + 1).map(|number| number.to_string()).collect();
        let ask = async |ids: &[String]| {
            sandbox.own("alice", path, &body(ids, &["favorites"], &["tweet.id"])).await
        };
        let text = format!("tweet_ids: size [{}] is not between 1 and {most}", most + 1);
        ask(&ids).await.refuses(400, &[&text]);
        let text = format!("tweet_ids: size [0] is not between 1 and {most}");
        ask(&[]).await.refuses(400, &[&text]);
        let fits = ask(&ids[1..]).await;
        assert_eq!(fits.json()["errors"][0], format!("{most} Tweet ID(s) are unavailable"));
    }
}

#[tokio::test]
async fn ids_may_be_numbers_padded_or_repeated() {
    let sandbox = TestSandbox::start().await;
    let id = sandbox.ids("alice", 1).remove(0);
    let number: u64 = id.parse().unwrap();
    let body = json!({
        "tweet_ids": [number, format!("{id}\n"), format!(" {id}"), id],
        "engagement_types": ["favorites", "favorites"],
        "groupings": { "g": { "group_by": ["tweet.id", "engagement.type"] } },
    });
    let total = sandbox.posts("alice")[0].totals["favorites"].to_string();
    assert_eq!(sandbox.public(&body).await.g(), json!({ id: { "favorites": total } }));

    let wrong = with(body, &json!({ "tweet_ids": ["abc", 1.5, true, "1"] }));
    sandbox.public(&wrong).await.refuses(
        400,
        &[
            "tweet_ids: '1.5' is not a valid Long",
            "tweet_ids: 'abc' is not a valid Long",
            "tweet_ids: 'true' is not a valid Long",
        ],
    );
}

#[tokio::test]
async fn groupings_are_limited() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 1);
    let ask = async |path: &str, groupings: Value| {
        let body = body(&ids, &["favorites"], &["tweet.id"]);
        sandbox.own("alice", path, &with(body, &json!({ "groupings": groupings }))).await
    };
    let named = |count: usize, levels: &[&str]| -> Value {
        let one = |number: usize| (format!("g {number}"), json!({ "group_by": levels }));
        (0..count).map(one).collect::<Map<_, _>>().into()
    };
    ask(TOTALS, named(0, &[])).await.refuses(400, &["groupings: size [0] is not between 1 and 3"]);
    let four = ask(TOTALS, named(4, &["tweet.id"])).await;
    four.refuses(400, &["groupings: size [4] is not between 1 and 3"]);
    assert_eq!(ask(TOTALS, named(3, &["tweet.id"])).await.status, 200);
    let none = ask(TOTALS, named(1, &[])).await;
    none.refuses(400, &["groupings.group_by: size [0] is not between 1 and 4"]);
    let missing = ask(TOTALS, json!({ "g": {} })).await;
    missing.refuses(400, &["groupings.group_by: field is required"]);
    let twice = ask(TOTALS, named(1, &["tweet.id", "tweet.id"])).await;
    twice.refuses(400, &["SIM: group_by names tweet.id twice"]);
    let reserved = ask(TOTALS, json!({ "errors": { "group_by": ["tweet.id"] } })).await;
    reserved.refuses(400, &["SIM: groupings: 'errors' is a name that answers use"]);

    let all = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let two = ask(LAST_28H, named(2, &all)).await;
    two.refuses(400, &["SIM: only one grouping may have four group_by values"]);
}

#[tokio::test]
async fn group_bys_are_checked() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 1);
    let ask = async |path: &str, levels: &[&str]| {
        sandbox.own("alice", path, &body(&ids, &["favorites"], levels)).await
    };
    for (path, levels, named) in [
        (TOTALS, &["tweet.id", "engagement.hour"][..], "engagement.hour"),
        (TOTALS, &["engagement.day"], "engagement.day"),
        (LAST_28H, &["tweet.id", "engagement.week"], "engagement.week"),
        (LAST_28H, &["Tweet.id"], "Tweet.id"),
        (
            HISTORICAL,
            &["tweet.id", "engagement.day", "engagement.hour", "engagement.type"],
            "tweet.id, engagement.day, engagement.hour, engagement.type",
        ),
    ] {
        ask(path, levels).await.refuses(400, &[&group_bys(named)]);
    }
    sandbox.put("/sandbox/switches", json!({ "case_lenient": true })).await;
    assert_eq!(ask(LAST_28H, &["Tweet.id"]).await.status, 200);
}

#[tokio::test]
async fn metrics_are_those_of_the_endpoint_and_the_credentials() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 1);
    let ask = |types: &[&str]| body(&ids, types, &["tweet.id", "engagement.type"]);
    let own = async |path, types: &[&str]| sandbox.own("alice", path, &ask(types)).await;

    let totals = [
        "impressions",
        "engagements",
        "favorites",
        "retweets",
        "replies",
        "quote_tweets",
        "video_views",
    ];
    assert_eq!(own(TOTALS, &totals).await.status, 200);
    let wrong = own(TOTALS, &["favorites", "url_clicks", "likes"]).await;
    wrong.refuses(403, &["Forbidden to access metrics: url_clicks, likes"]);

    let series = [
        "impressions",
        "engagements",
        "favorites",
        "retweets",
        "replies",
        "video_views",
        "media_views",
        "media_engagements",
        "url_clicks",
        "hashtag_clicks",
        "detail_expands",
        "permalink_clicks",
        "app_install_attempts",
        "app_opens",
        "email_tweet",
        "user_follows",
        "user_profile_clicks",
    ];
    for path in [LAST_28H, HISTORICAL] {
        assert_eq!(own(path, &series).await.status, 200);
        let quotes = own(path, &["quote_tweets"]).await;
        quotes.refuses(403, &["Forbidden to access metrics: quote_tweets"]);
        let bearer =
            sandbox.post(path, &ask(&["favorites"])).header("authorization", &sandbox.bearer());
        bearer.send().await.refuses(403, &["Forbidden to access metrics: favorites"]);
    }
    assert_eq!(sandbox.public(&ask(&totals[2..])).await.status, 200);
    let private = sandbox.public(&ask(&totals)).await;
    private.refuses(403, &["Forbidden to access metrics: impressions, engagements"]);
}

#[tokio::test]
async fn the_old_name_of_media_engagements_is_a_switch() {
    let sandbox = TestSandbox::start().await;
    let ids = sandbox.ids("alice", 8);
    let ask = async |metric| {
        sandbox.own("alice", HISTORICAL, &body(&ids, &[metric], &["tweet.id"])).await
    };
    assert_eq!(ask("media_clicks").await.g(), ask("media_engagements").await.g());
    sandbox.put("/sandbox/switches", json!({ "accept_media_clicks_alias": false })).await;
    ask("media_clicks").await.refuses(403, &["Forbidden to access metrics: media_clicks"]);
}

#[tokio::test]
async fn one_foreign_post_spoils_the_request() {
    let sandbox = TestSandbox::start().await;
    let (own, foreign) = (sandbox.ids("alice", 1), sandbox.ids("bob", 2));
    let all = [own, foreign.clone()].concat();
    let text = format!("Forbidden to access tweets: {}, {}", foreign[0], foreign[1]);
    for path in [TOTALS, LAST_28H, HISTORICAL] {
        let answer = sandbox.own("alice", path, &body(&all, &["favorites"], &["tweet.id"])).await;
        answer.refuses(403, &[&text]);
    }
    let public = sandbox.public(&body(&all, &["favorites"], &["tweet.id"])).await;
    assert_eq!(public.status, 200, "app-only calls may ask for anybody's");

    sandbox.put("/sandbox/switches", json!({ "forbidden_wording": "per_author" })).await;
    let bob = &sandbox.user("bob").user_id;
    let text =
        format!("Forbidden to access tweets for author id {bob}: {}, {}", foreign[0], foreign[1]);
    let answer = sandbox.own("alice", TOTALS, &body(&all, &["favorites"], &["tweet.id"])).await;
    answer.refuses(403, &[&text]);
}

#[tokio::test]
async fn deleted_protected_suspended_and_unknown_posts_are_unavailable() {
    let sandbox = TestSandbox::start().await;
    let deleted = sandbox.user("alice").posts.iter().find(|post| post.state == "deleted").unwrap();
    let gone = vec![
        deleted.id.clone(),
        sandbox.ids("protected_pat", 1).remove(0),
        sandbox.ids("suspended_sam", 1).remove(0),
        "20".to_owned(),
        "-1".to_owned(),
    ];
    let nothing = sandbox.public(&body(&gone, &["favorites"], &["tweet.id"])).await;
    let expected =
        json!({ "errors": ["5 Tweet ID(s) are unavailable"], "unavailable_tweet_ids": gone });
    assert_eq!((nothing.status.as_u16(), nothing.json()), (400, expected));

    let some =
        body(&[sandbox.ids("alice", 1), gone.clone()].concat(), &["favorites"], &["tweet.id"]);
    let partial = sandbox.public(&some).await;
    assert_eq!(crate::upstream::keys(&partial.g()), sandbox.ids("alice", 1));
    assert_eq!(partial.json()["unavailable_tweet_ids"], json!(gone));
    assert!(partial.json().get("errors").is_none());
    sandbox.put("/sandbox/switches", json!({ "partial_unavailable_errors_key": true })).await;
    let partial = sandbox.public(&some).await.json();
    assert_eq!(partial["errors"], json!(["5 Tweet ID(s) are unavailable"]));

    let own = body(&sandbox.ids("protected_pat", 1), &["favorites"], &["tweet.id"]);
    let owner = sandbox.own("protected_pat", LAST_28H, &own).await;
    assert_eq!(owner.status, 400, "even with the author's token");
}

/// Everything is wrong at first; each step fixes what was refused.
#[tokio::test]
async fn refusals_come_in_the_documented_order() {
    let mut settings = crate::upstream::small();
    settings.switches.unlisted_apps = vec!["demo".to_owned()];
    settings.switches.per_minute = 0;
    let sandbox = TestSandbox::start_with(settings).await;
    let send = async |path: &str, gzip: &str, text: &str, name: Option<&str>| {
        let ask = sandbox.post(path, &Value::Null).header("accept-encoding", gzip).body(text);
        let ask = match name {
            Some(name) => ask.signed(&sandbox.signer(name)),
            None => ask,
        };
        ask.send().await.status.as_u16()
    };
    let alice = Some("alice");
    assert_eq!(send("/insights/engagement/hourly", "", "foo", None).await, 404);
    assert_eq!(send(HISTORICAL, "", "foo", None).await, 406);
    assert_eq!(send(HISTORICAL, "gzip", "foo", None).await, 401);
    assert_eq!(send(HISTORICAL, "gzip", "foo", alice).await, 403);
    sandbox.put("/sandbox/switches", json!({ "unlisted_apps": [] })).await;
    assert_eq!(send(HISTORICAL, "gzip", "foo", alice).await, 429);
    sandbox.put("/sandbox/switches", json!({ "per_minute": 100 })).await;
    assert_eq!(send(HISTORICAL, "gzip", "foo", alice).await, 400);

    let gone = vec!["20".to_owned()];
    let wrong = with(body(&gone, &["quote_tweets"], &["x"]), &json!({ "end": "2999-01-01" }));
    assert_eq!(send(HISTORICAL, "gzip", &wrong.to_string(), alice).await, 400);
    let metric =
        with(body(&gone, &["quote_tweets"], &["tweet.id"]), &json!({ "end": "2999-01-01" }));
    assert_eq!(send(HISTORICAL, "gzip", &metric.to_string(), alice).await, 403);
    let window = with(metric, &json!({ "engagement_types": ["replies"] }));
    let answer = sandbox.own("alice", HISTORICAL, &window).await;
    answer.refuses(400, &["SIM: end must not be in the future"]);
    let ids = with(window, &json!({ "end": null }));
    let answer = sandbox.own("alice", HISTORICAL, &ids).await;
    assert_eq!(answer.json()["errors"], json!(["1 Tweet ID(s) are unavailable"]));
    let foreign = [gone, sandbox.ids("bob", 1)].concat();
    let answer =
        sandbox.own("alice", HISTORICAL, &with(ids, &json!({ "tweet_ids": foreign }))).await;
    answer.refuses(403, &[&format!("Forbidden to access tweets: {}", foreign[1])]);
}
