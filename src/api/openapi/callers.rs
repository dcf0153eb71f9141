//! What callers can ask.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::ParameterIn;

use crate::api::openapi::operation::{Audience, Content, Operation, Parameter};
use crate::api::openapi::operators;
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::request_name;
use crate::model::Endpoint;
use crate::model::key::Kind;
use crate::wire::schema::{one_of, text};

const RELAYED: &[&str] = &["RequestId", "CountersignAuth", "ServerTiming"];
const POST: &str = "1560000000000000000";

pub(super) fn operations() -> Vec<Operation> {
    vec![totals(), last_hours(), historical(), question(), plan(), link()]
}

fn totals() -> Operation {
    let example = json!({
        "tweet_ids": [POST],
        "engagement_types": ["favorites", "retweets"],
        "groupings": { "by_tweet": { "group_by": ["tweet.id", "engagement.type"] } },
    });
    let answer = json!({ "by_tweet": { POST: { "favorites": "52", "retweets": "7" } } });
    relay(Endpoint::Totals, "totals", "Numbers of all time, of up to 250 posts", example, answer)
        .about("Public engagement types (`favorites`, `retweets`, `replies`, `quote_tweets`, `video_views`) of anybody's posts are asked with the app's credentials; with `impressions` or `engagements` among them the call is signed as the posts' author, whom `Countersign-Account` names.")
}

fn last_hours() -> Operation {
    let levels = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let example = json!({
        "tweet_ids": [POST],
        "engagement_types": ["impressions", "url_clicks"],
        "groupings": { "hours": { "group_by": levels } },
    });
    let hours = json!({ "impressions": { "2026-03-10": { "20": "118", "21": "64" } } });
    let answer = json!({
        "start": "2026-03-09T17:00:00Z",
        "end": "2026-03-10T22:00:00Z",
        "hours": { POST: hours },
    });
    relay(
        Endpoint::TwentyEightHours,
        "last_28_hours",
        "Numbers of the last 28 hours, of up to 25 posts",
        example,
        answer,
    )
    .about("Always signed as the posts' author, whom `Countersign-Account` names.")
}

fn historical() -> Operation {
    let example = json!({
        "tweet_ids": [POST],
        "engagement_types": ["impressions"],
        "start": "2026-02-01",
        "end": "2026-03-01",
        "groupings": { "days": { "group_by": ["tweet.id", "engagement.day"] } },
    });
    let answer = json!({
        "start": "2026-02-01T00:00:00Z",
        "end": "2026-03-01T00:00:00Z",
        "days": { POST: { "2026-02-01": "1204", "2026-02-02": "311" } },
    });
    relay(
        Endpoint::Historical,
        "historical",
        "Numbers of up to 28 days of the past, of up to 25 posts",
        example,
        answer,
    )
    .about("Always signed as the posts' author, whom `Countersign-Account` names.")
}

/// An endpoint of the upstream's own.
fn relay(
    endpoint: Endpoint,
    id: &'static str,
    summary: &'static str,
    example: Value,
    answer: Value,
) -> Operation {
    let error = json!({ "errors": ["Per minute request limit exceeded"] });
    operation(HttpMethod::Post, endpoint.path(), id, summary)
        .takes(Parameter {
            name: "Countersign-Account",
            place: ParameterIn::Header,
            about: "Whose token signs, where the author's is needed: a user id or `@screen_name`. A key that is limited to one account needs no header.",
            schema: text("").pattern(Some("^([1-9][0-9]{0,18}|@[A-Za-z0-9_]{1,20})$")).into(),
            example: "@alice".into(),
        })
        .takes(Parameter {
            name: "Countersign-Auth",
            place: ParameterIn::Header,
            about: "Overrides the choice of credentials. What cannot work is refused.",
            schema: one_of("", ["app", "user", "app-only", "user-context"]).into(),
            example: if endpoint == Endpoint::Totals { "app" } else { "user" }.into(),
        })
        .reads(Content::json(named(request_name(endpoint)), example))
        .answers_with(
            "200",
            "X's answer, unchanged, with its quota headers (`x-per-minute-*`, `x-per-second-*`, `x-rate-limit-*`) and `Retry-After`.",
            vec![Content::json(named("EngagementAnswer"), answer)],
            RELAYED,
        )
        .answers_with(
            "default",
            "Any other answer without `Countersign-Error` is X's, unchanged: its status, its body. The gateway's own have the same form, unless `Accept` names `application/problem+json`.",
            vec![Content::json(named("UpstreamError"), error)],
            RELAYED,
        )
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_relay())
}

fn question() -> Operation {
    let answer = json!({
        "by_day": { POST: { "2026-02-01": { "impressions": "1204" } } },
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-03-01T00:00:00Z",
        "countersign": {
            "complete": true,
            "calls": [{
                "endpoint": "historical", "auth": "user-context", "account": "7588892", "tweet_count": 1,
                "start": "2026-01-01T00:00:00Z", "end": "2026-01-29T00:00:00Z",
                "status": 200, "attempts": 1, "ms": 214,
            }],
            "missing": [],
        },
    });
    let lines = "A number a line, beside what it counts. A line of JSON names the grouping, too; the last one has `countersign`, and whoever misses it knows that the answer was cut short.";
    let csv =
        "tweet_id,engagement_type,day,value\n1560000000000000000,impressions,2026-02-01,1204\n";
    let ndjson = "{\"grouping\":\"by_day\",\"tweet_id\":\"1560000000000000000\",\"engagement_type\":\"impressions\",\"day\":\"2026-02-01\",\"value\":1204}\n{\"countersign\":{\"complete\":true,\"calls\":[],\"missing\":[]}}\n";
    operation(HttpMethod::Post, "/v1/engagement", "engagement", "One question of any size")
        .about("Any number of posts of any authors, any time, public and private numbers: as few calls to X as that takes, side by side, put together in one answer. `countersign` says which calls were made and what is missing, and why. `Accept` decides between JSON, CSV and a line of JSON for each number.")
        .takes(Parameter {
            name: "Countersign-Deadline",
            place: ParameterIn::Header,
            about: "How long you wait. What has not come by then is missing from the answer.",
            schema: named("Duration").into(),
            example: "20s".into(),
        })
        .reads(Content::json(named("Question"), question_example()))
        .answers_with(
            "200",
            "What could be had.",
            vec![
                Content::json(named("QuestionAnswer"), answer),
                Content::text("text/csv", text(lines), csv),
                Content::text("application/x-ndjson", text(lines), ndjson),
            ],
            &["RequestId", "Complete", "Missing"],
        )
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_questions())
        .refuses(problems::of_nothing())
}

fn plan() -> Operation {
    let answer = json!({
        "calls": [{
            "endpoint": "historical", "auth": "user-context", "account": "7588892", "tweet_count": 1,
            "start": "2026-01-01T00:00:00Z", "end": "2026-01-29T00:00:00Z",
            "tweet_ids": [POST], "engagement_types": ["impressions"], "probe": false,
        }],
        "missing": [],
        "cost": { "calls": { "app-only": 0, "user-context": 1 }, "accounts": 1, "new_accounts": 0 },
    });
    operation(HttpMethod::Post, "/v1/engagement/plan", "plan", "What a question would cost")
        .about("Takes the same body, makes no call, and answers with those that would be made.")
        .reads(Content::json(named("Question"), question_example()))
        .gives("200", "The calls.", named("Plan"), answer)
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_plans())
}

fn question_example() -> Value {
    json!({
        "tweet_ids": [POST],
        "engagement_types": ["impressions"],
        "window": { "start": "2026-01-01", "end": "2026-03-01" },
        "groupings": { "by_day": { "group_by": ["tweet.id", "engagement.day", "engagement.type"] } },
        "accounts": ["@alice"],
    })
}

fn link() -> Operation {
    operators::link_to_make(operation(
        HttpMethod::Post,
        "/v1/links",
        "create_link",
        "Invite a user to connect an account",
    ))
    .about("For keys that were made with the right to: a one-time link, shown this once, by which a user connects an account in a browser. The app is the key's, and a key that is limited to accounts names one of them as `user_id`.")
    .refuses(problems::of_links())
}

fn operation(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Audience::Callers, method, path, id, summary)
        .refuses(problems::of_keys(Kind::Caller))
}
