//! `/admin/v1/calls` and `/admin/v1/usage`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::operation::{Content, Operation, Parameter};
use crate::api::openapi::operators::parameters::{KEY, before, in_path, limit, operation, query};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::page;
use crate::model::Endpoint;
use crate::wire::schema::{one_of, text};
use crate::wire::usage::BY;

const TABLE: &str =
    "at,key,calls,posts,bytes\n2026-03-10T00:00:00Z,4vJ0aBcDeFgH,1204,88410,9120400\n";

pub(super) fn operations() -> Vec<Operation> {
    vec![calls(), one_call(), usage()]
}

fn calls() -> Operation {
    let endpoints = one_of("", Endpoint::ALL.map(Endpoint::name));
    let ends = one_of("", ["ok", "failed"]);
    let statuses = text("").pattern(Some("^[1-5]([0-9]{2}|[xX]{2})$"));
    operation(HttpMethod::Get, "/admin/v1/calls", "list_calls", "Recent calls")
        .about("Who asked what, with which credentials, and what came back: never bodies or secrets. Of many calls a second not all are kept, of those that failed the most.")
        .takes(of_key())
        .takes(of_account())
        .takes(query("endpoint", "Only of this endpoint.", endpoints.into(), "totals".into()))
        .takes(query("outcome", "`ok` with a status below 400, `failed` with any other or none.", ends.into(), "failed".into()))
        .takes(query("status", "Only with this status, such as `429`, or one of its class, such as `5xx`.", statuses.into(), "5xx".into()))
        .takes(query("request_id", "Only of this request: a question takes several calls.", text("").into(), "dashboard-17".into()))
        .takes(before(42))
        .takes(limit())
        .gives("200", "Newest first.", page("calls", "RecentCall", "before", Type::Integer), json!({ "calls": [call()], "next": null }))
        .refuses(problems::of_queries())
}

fn one_call() -> Operation {
    operation(HttpMethod::Get, "/admin/v1/calls/{call}", "show_call", "One recent call")
        .takes(in_path("call", "The call's `id`.", "42"))
        .gives("200", "The call.", named("RecentCall"), call())
        .refuses(problems::not_found("call among the recent ones"))
}

/// An example.
fn call() -> Value {
    json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "request_id": "dashboard-17", "app": "demo", "key": KEY,
        "account": "7588892", "endpoint": "totals", "auth": "user-context", "posts": 2,
        "engagement_types": ["impressions"], "status": 200, "code": null, "attempts": 1,
        "ms": 214.5, "upstream_ms": 213.9, "bytes": 312,
    })
}

fn usage() -> Operation {
    let line = json!({
        "at": "2026-03-10T00:00:00Z", "key": KEY, "calls": 1204, "posts": 88_410, "bytes": 9_120_400,
    });
    let answer = json!({
        "from": "2026-03-01T00:00:00Z", "until": "2026-03-11T00:00:00Z", "sums": [line], "truncated": false,
        "accounts": [{ "month": "2026-03", "app": "demo", "accounts": 2 }],
        "gaps": [{ "since": "2026-03-09T02:10:05Z", "lost_calls": 0, "killed": true }],
    });
    let about = format!("What to tell apart, with commas between: {}.", BY.join(", "));
    let time = || text("A day or a time.").into();
    operation(HttpMethod::Get, "/admin/v1/usage", "show_usage", "What calls add up to")
        .about("Sums over the calls that went to X, by the hour. `accounts` are those whose tokens were used in a month, which X bills.")
        .takes(query("from", "From when; thirty days ago where nothing is said.", time(), "2026-03-01".into()))
        .takes(query("until", "Until when, not included; now where nothing is said.", time(), "2026-03-11".into()))
        .takes(query("by", "What to tell apart; `day` where nothing is said.", text(&about).into(), "day,key".into()))
        .takes(query("app", "Only calls of this app.", text("").into(), "demo".into()))
        .takes(of_key())
        .takes(of_account())
        .answers_with(
            "200",
            "In the order of what is told apart; as a table where `Accept` asks for `text/csv`, with a column for each of it.",
            vec![
                Content::json(named("Usage"), answer),
                Content::text("text/csv", text("A header, and a row for each sum."), TABLE),
            ],
            &["RequestId", "Complete"],
        )
        .refuses(problems::of_queries())
}

fn of_key() -> Parameter {
    query("key", "Only calls with this key, by its id or its name.", text("").into(), KEY.into())
}

fn of_account() -> Parameter {
    let about = "Only calls with this account's token, by its user id.";
    query("account", about, named("UserId").into(), "7588892".into())
}
