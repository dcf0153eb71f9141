//! `/admin/v1/calls` and `/admin/v1/usage`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::examples::USER_ID;
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
    let ends = one_of("", ["well", "badly"]);
    let statuses = text("").pattern(Some("^[1-5]([0-9]{2}|[xX]{2})$"));
    operation(HttpMethod::Get, "/admin/v1/calls", "list_calls", "List recent calls")
        .about("Each call with its key, credentials and outcome, but never bodies or secrets. Under high load only a sample is kept, which favours failed calls.")
        .takes(of_key())
        .takes(of_account())
        .takes(query("endpoint", "Only calls of this endpoint.", endpoints.into(), "totals".into()))
        .takes(query("ended", "Only calls that succeeded (`well`: a status below 400) or failed (`badly`: any other status, or none).", ends.into(), "badly".into()))
        .takes(query("status", "Only calls with this status, such as `429`, or of this class, such as `5xx`.", statuses.into(), "5xx".into()))
        .takes(query("request_id", "Only calls of this request. A question may take several.", text("").into(), "dashboard-17".into()))
        .takes(before(42))
        .takes(limit())
        .gives("200", "The calls, newest first.", page("calls", "RecentCall", "before", Type::Integer), json!({ "calls": [call()], "next": null }))
        .refuses(problems::of_queries())
}

fn one_call() -> Operation {
    operation(HttpMethod::Get, "/admin/v1/calls/{call}", "show_call", "Get a recent call")
        .takes(in_path("call", "The call's `id`.", "42"))
        .gives("200", "The call.", named("RecentCall"), call())
        .refuses(problems::not_found("call among the recent ones"))
}

fn call() -> Value {
    json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "request_id": "dashboard-17", "app": "demo", "key": KEY,
        "account": USER_ID, "endpoint": "totals", "auth": "user-context", "posts": 2,
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
    let about = format!(
        "How to group the sums, separated by commas: {}. Defaults to `day`.",
        BY.map(|name| format!("`{name}`")).join(", ")
    );
    let time = || text("A day or time.").into();
    operation(HttpMethod::Get, "/admin/v1/usage", "show_usage", "Get usage totals")
        .about("Sums over the calls made to X, kept by the hour. `accounts` counts the accounts whose tokens were used in each month, which X bills.")
        .takes(query("from", "The first day or time; defaults to thirty days ago.", time(), "2026-03-01".into()))
        .takes(query("until", "The end, not included; defaults to now.", time(), "2026-03-11".into()))
        .takes(query("by", "How to group the sums; defaults to `day`.", text(&about).into(), "day,key".into()))
        .takes(query("app", "Only calls of this app.", text("").into(), "demo".into()))
        .takes(of_key())
        .takes(of_account())
        .answers_with(
            "200",
            "The sums, in the order of their groups.",
            vec![
                Content::json(named("Usage"), answer),
                Content::text("text/csv", text("A header, then one row per sum, with a column for each group."), TABLE),
            ],
            &["RequestId", "Complete"],
        )
        .refuses(problems::of_queries())
}

fn of_key() -> Parameter {
    query("key", "Only calls with this key, by id or name.", text("").into(), KEY.into())
}

fn of_account() -> Parameter {
    let about = "Only calls with the token of this account, by user id.";
    query("account", about, named("UserId").into(), USER_ID.into())
}
