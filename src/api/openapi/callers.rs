//! The callers' API: X's own endpoints, questions of any size, and links.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::ParameterIn;

use crate::api::callers::engagement::SPREADSHEET;
use crate::api::openapi::audience::Audience;
use crate::api::openapi::examples::{ORIGIN, POST_ID, USER_ID};
use crate::api::openapi::for_operators::creates_link;
use crate::api::openapi::operation::{Content, Operation, Parameter};
use crate::api::openapi::page_problems;
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::request_name;
use crate::api::openapi::shape::shape;
use crate::model::Endpoint;
use crate::model::key::Kind;
use crate::wire::browser::{CreatedToken, NewToken};
use crate::wire::schema::{one_of, text};

const RELAYED: &[&str] =
    &["RequestId", "CountersignAuth", "ServerTiming", "RateLimitPolicy", "RateLimit"];

pub(super) fn operations() -> Vec<Operation> {
    vec![totals(), last_hours(), historical(), question(), plan(), browser_token(), link()]
}

fn totals() -> Operation {
    let example = json!({
        "tweet_ids": [POST_ID],
        "engagement_types": ["favorites", "retweets"],
        "groupings": { "by_tweet": { "group_by": ["tweet.id", "engagement.type"] } },
    });
    let answer = json!({ "by_tweet": { POST_ID: { "favorites": "52", "retweets": "7" } } });
    relay(Endpoint::Totals, "totals", "Get all-time totals of up to 250 posts", example, answer)
        .about("X's own endpoint. Public engagement types (`favorites`, `retweets`, `replies`, `quote_tweets`, `video_views`) are available for anybody's posts, with the app's credentials. With `impressions` or `engagements` among the types, the call is signed as the posts' author, named by `Countersign-Account`; these two are available for posts of the last 90 days, and `video_views` for those of the last 1800 days.\n\nAt most 250 posts and 3 groupings; each grouping may nest `tweet.id` and `engagement.type`.")
}

fn last_hours() -> Operation {
    let levels = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let example = json!({
        "tweet_ids": [POST_ID],
        "engagement_types": ["impressions", "url_clicks"],
        "groupings": { "hours": { "group_by": levels } },
    });
    let hours = json!({ "impressions": { "2026-03-10": { "20": "118", "21": "64" } } });
    let answer = json!({
        "start": "2026-03-09T17:00:00Z",
        "end": "2026-03-10T22:00:00Z",
        "hours": { POST_ID: hours },
    });
    relay(
        Endpoint::TwentyEightHours,
        "last_28_hours",
        "Get the last 28 hours of up to 25 posts",
        example,
        answer,
    )
    .about("X's own endpoint, always signed as the posts' author, named by `Countersign-Account`: every post has to be that account's.\n\nAt most 25 posts and 3 groupings, of which one may nest all four levels: by post and engagement type in either order, then by day and hour.")
}

fn historical() -> Operation {
    let example = json!({
        "tweet_ids": [POST_ID],
        "engagement_types": ["impressions"],
        "start": "2026-02-01",
        "end": "2026-03-01",
        "groupings": { "days": { "group_by": ["tweet.id", "engagement.day"] } },
    });
    let answer = json!({
        "start": "2026-02-01T00:00:00Z",
        "end": "2026-03-01T00:00:00Z",
        "days": { POST_ID: { "2026-02-01": "1204", "2026-02-02": "311" } },
    });
    relay(
        Endpoint::Historical,
        "historical",
        "Get up to 28 days of the past of up to 25 posts",
        example,
        answer,
    )
    .about("X's own endpoint, always signed as the posts' author, named by `Countersign-Account`: every post has to be that account's.\n\nAt most 25 posts, 28 days and 3 groupings, of which one may nest all four levels: by post and engagement type in either order, then by day and hour. X has numbers of about the last year.")
}

/// One of X's own endpoints.
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
            about: "The account that signs calls that need the author's token: a user id or `@screen_name`. Not required with a key that is limited to one account.",
            schema: named("AccountRef").into(),
            example: "@alice".into(),
        })
        .takes(Parameter {
            name: "Countersign-Auth",
            place: ParameterIn::Header,
            about: "Overrides the choice of credentials: `app` (or `app-only`) for the app's, `user` (or `user-context`) for the account's. Combinations that X would refuse are refused with 400.",
            schema: one_of("", ["app", "user", "app-only", "user-context"]).into(),
            example: if endpoint == Endpoint::Totals { "app" } else { "user" }.into(),
        })
        .takes(Parameter {
            name: "Cache-Control",
            place: ParameterIn::Header,
            about: "`no-cache` for a call of your own: without it, callers who ask exactly the same at the same time share one.",
            schema: text("As in RFC 9111.").into(),
            example: "no-cache".into(),
        })
        .reads(Content::json(named(request_name(endpoint)), example))
        .answers_with(
            "200",
            "X's response, unchanged, with its quota headers (`x-per-minute-*`, `x-per-second-*`, `x-rate-limit-*`) and `Retry-After`.",
            vec![Content::json(named("EngagementAnswer"), answer)],
            RELAYED,
        )
        .answers_with(
            "default",
            "Any other response without `Countersign-Error` is X's, with its status and body unchanged. The gateway's own errors have the same form unless `Accept` names `application/problem+json`.",
            vec![Content::json(named("UpstreamError"), error)],
            RELAYED,
        )
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_relay())
}

fn question() -> Operation {
    let answer = json!({
        "by_day": { POST_ID: { "2026-02-01": { "impressions": "1204" } } },
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-03-01T00:00:00Z",
        "countersign": {
            "complete": true,
            "calls": [{
                "endpoint": "historical", "auth": "user-context", "account": USER_ID, "tweet_count": 1,
                "start": "2026-01-01T00:00:00Z", "end": "2026-01-29T00:00:00Z",
                "status": 200, "attempts": 1, "ms": 214, "saved": null, "age": null,
            }],
            "missing": [],
            "posts_of": [],
            "top": [],
            "notes": [],
        },
    });
    let rows = "For programs: a header, then one row per value: `tweet_id`, `engagement_type`, `day` and `hour`, as far as the groupings have them, and `value`; with several groupings, `grouping` comes first. Opened in a spreadsheet program, ids lose their last digits; use `format=spreadsheet` there.";
    let lines = "One JSON object per value, sent as results arrive: `grouping`, its keys, and `value`. The last line has `countersign`; if it is missing, the response was cut short.";
    let csv =
        format!("tweet_id,engagement_type,day,value\n{POST_ID},impressions,2026-02-01,1204\n");
    let ndjson = format!(
        r#"{{"grouping":"by_day","tweet_id":"{POST_ID}","engagement_type":"impressions","day":"2026-02-01","value":1204}}
{{"countersign":{{"complete":true,"calls":[],"missing":[],"posts_of":[],"top":[],"notes":[]}}}}
"#
    );
    operation(HttpMethod::Post, "/v1/engagement", "engagement", "Ask one question of any size")
        .about("Any number of posts by any authors, any period, public and private engagement types. The gateway makes as few calls to X as possible, in parallel, and merges the results into one response. Its member `countersign` lists the calls that were made, what is missing, and why (see `MissingReason`). If there are no results at all, the response is the problem `nothing_answered`.\n\nInstead of posts, a question can name connected accounts (`posts_of`), and select among their posts with `last` and `written`; `top` keeps the posts with the highest numbers.\n\nLimits, each a setting of the gateway with this default: 10,000 posts (`limits.question_posts`), 365 days (`limits.question_days`), 2,000,000 values (`limits.question_numbers`), 8 questions of one key at the same time (`limits.key_questions`; more wait), and 30 seconds (`limits.request_deadline`). 3 groupings, as at X.\n\nThe response is JSON unless `Accept` asks for `text/csv` or `application/x-ndjson`, or `format` for a spreadsheet.\n\nPages in browsers send a token of `POST /v1/browser-tokens` instead of a key, and no `accounts`, `owners`, `posts_of` or `top`; for them, `countersign.calls` is `{\"made\": 1, \"saved\": 0}`, and answers name no accounts.")
        .takes(Parameter {
            name: "format",
            place: ParameterIn::Query,
            about: "`spreadsheet`, whatever `Accept` says: CSV for Excel, LibreOffice and Google Sheets, as a file. It begins with a byte order mark. A row per post, day and hour, as far as the groupings have them, and a column per engagement type. Posts are URLs, so that their ids stay text. An apostrophe precedes what would run as a formula. With several groupings, `grouping` comes first.",
            schema: one_of("The form of the response.", [SPREADSHEET]).into(),
            example: SPREADSHEET.into(),
        })
        .takes(Parameter {
            name: "Countersign-Deadline",
            place: ParameterIn::Header,
            about: "How long you are willing to wait, at most `limits.request_deadline`. Results that have not arrived by then are missing from the response. While the gateway's database is slow, a key or an account that is not cached is looked up until then, if the gateway's share for that allows it.",
            schema: named("Duration").into(),
            example: "20s".into(),
        })
        .takes(Parameter {
            name: "Cache-Control",
            place: ParameterIn::Header,
            about: "`max-age` allows numbers that were kept for so many seconds, if the gateway keeps any (`cache.fresh`). `no-cache` shares no call with others who ask the same.",
            schema: text("As in RFC 9111.").into(),
            example: "max-age=60".into(),
        })
        .reads(Content::json(named("Question"), question_example()))
        .answers_with(
            "200",
            "The results. `Countersign-Complete` says whether all of them are there.",
            vec![
                Content::json(named("QuestionAnswer"), answer),
                Content::text("text/csv", text(rows), &csv),
                Content::text("application/x-ndjson", text(lines), &ndjson),
            ],
            &["RequestId", "Complete", "Missing", "Note", "Age"],
        )
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_questions())
        .refuses(problems::of_nothing())
        .refuses(page_problems::of_tokens())
}

fn plan() -> Operation {
    let answer = json!({
        "calls": [{
            "endpoint": "historical", "auth": "user-context", "account": USER_ID, "tweet_count": 1,
            "start": "2026-01-01T00:00:00Z", "end": "2026-01-29T00:00:00Z",
            "tweet_ids": [POST_ID], "engagement_types": ["impressions"], "probe": false,
        }],
        "missing": [],
        "cost": { "calls": { "app-only": 0, "user-context": 1 }, "accounts": 1, "new_accounts": 0 },
        "saved": { "combined": 0, "too_old": 0, "before_posts": 2 },
        "posts_of": [],
        "notes": [],
    });
    operation(HttpMethod::Post, "/v1/engagement/plan", "plan", "Plan a question without asking it")
        .about("Takes the body of a question, makes no calls, and answers with those that the question would make and what they would cost: first X's lists of posts where the question names accounts, and look-ups of the posts' authors, then calls for results. `saved` counts the calls that it avoids, and why they are not needed.")
        .reads(Content::json(named("Question"), question_example()))
        .gives("200", "The calls, what will be missing, and the cost.", named("Plan"), answer)
        .refuses(problems::of_bodies())
        .refuses(problems::of_requests())
        .refuses(problems::of_plans())
}

fn question_example() -> Value {
    json!({
        "tweet_ids": [POST_ID],
        "engagement_types": ["impressions"],
        "window": { "start": "2026-01-01", "end": "2026-03-01" },
        "groupings": { "by_day": { "group_by": ["tweet.id", "engagement.day", "engagement.type"] } },
        "accounts": ["@alice"],
    })
}

fn browser_token() -> Operation {
    let new = json!({
        "subject": "viewer-42",
        "origins": [ORIGIN],
        "expires_in": "10m",
        "max_age": "60s",
        "question": {
            "tweet_ids": [POST_ID],
            "engagement_types": ["impressions", "favorites"],
            "windows": ["totals", { "last": "28d" }],
            "groupings": { "by_post": { "group_by": ["tweet.id", "engagement.type"] } },
        },
    });
    let created = json!({
        "token": format!("csb_{}", "x".repeat(400)),
        "id": "bt_4vJ0aBcDeF",
        "expires_in": 600,
        "renew_in": 540,
        "expires_at": "2026-03-10T21:25:30Z",
    });
    let path = "/v1/browser-tokens";
    operation(HttpMethod::Post, path, "create_browser_token", "Make a token for a web page")
        .about("With the token, a page of one of the origins asks `POST /v1/engagement` itself, for what `question` allows and nothing else, until the token ends. The key must be allowed to make tokens. A token ends with its key, and when it is withdrawn.")
        .reads(Content::json(shape::<NewToken>(), new))
        .gives("201", "The token, which is stored nowhere.", shape::<CreatedToken>(), created)
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/expires_in", "must be from 1s to 1h"))
        .refuses(page_problems::of_new_tokens())
}

fn link() -> Operation {
    creates_link(operation(
        HttpMethod::Post,
        "/v1/links",
        "create_link",
        "Create a link for connecting an account",
    ))
    .about("Creates a one-time link with which a user connects an account in a browser. Its URL is shown only once. The key must be allowed to create links; the app is the key's own, and a key that is limited to some accounts must name one of them as `user_id`.")
    .refuses(problems::of_links())
    .refuses(problems::of_changes())
}

pub(super) fn operation(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Audience::Callers, method, path, id, summary)
        .refuses(problems::of_keys(Kind::Caller))
        .refuses(page_problems::of_leaks())
}
