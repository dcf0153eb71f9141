//! The callers' API: what services may see of their own keys.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::Type;

use crate::api::openapi::callers::operation;
use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::for_operators::{after, limit, of_account, of_state};
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::problems;
use crate::api::openapi::shape::{page_of, shape};
use crate::api::operators::accounts::account_example;
use crate::api::operators::keys::key_terms_example;
use crate::api::operators::usage::{grouped_by, of_period};
use crate::wire::schema::text;
use crate::wire::usage::{OWN_BY, OwnUsage};
use crate::wire::{Account, KeyTerms};

/// An example of a table.
const TABLE: &str =
    "at,endpoint,calls,posts,bytes,saved\n2026-03-10T00:00:00Z,totals,1204,88410,9120400,311\n";

pub(super) fn operations() -> Vec<Operation> {
    vec![key(), accounts(), usage()]
}

fn key() -> Operation {
    operation(HttpMethod::Get, "/v1/key", "show_own_key", "Get your key's scope and limits")
        .about("What the key may do, how much, and until when. Changes of its limits are shown within a second.")
        .gives("200", "The key, without its secret.", shape::<KeyTerms>(), json!(key_terms_example()))
}

fn accounts() -> Operation {
    let listed = json!({ "accounts": [account_example()], "next": null });
    let path = "/v1/accounts";
    operation(HttpMethod::Get, path, "list_own_accounts", "List the accounts that your key may name")
        .about("All connected accounts of the key's app or, if the key is limited to certain accounts, those of them that are connected. Calls can be made as those that are `active`.")
        .takes(of_state())
        .takes(after(USER_ID))
        .takes(limit())
        .gives(
            "200",
            "The accounts, by user id.",
            page_of::<Account>("accounts", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
        .refuses(vec![problems::not_allowed("app", "its app demo is no longer configured")])
}

fn usage() -> Operation {
    let [from, until] = of_period();
    operation(HttpMethod::Get, "/v1/usage", "show_own_usage", "Get your key's usage totals")
        .about("Sums over the calls made to X with this key, also by its tokens in browsers, kept by the hour for 400 days. The latest calls are added within seconds.")
        .takes(from)
        .takes(until)
        .takes(grouped_by(&OWN_BY, "day,endpoint"))
        .takes(of_account())
        .answers_with(
            "200",
            "The sums, in the order of their groups.",
            vec![
                Content::json(shape::<OwnUsage>(), usage_example()),
                Content::text("text/csv", text("A header, then one row per sum, with a column for each group."), TABLE),
            ],
            &["RequestId", "Complete"],
        )
        .refuses(problems::of_queries())
}

fn usage_example() -> Value {
    let line = json!({
        "at": "2026-03-10T00:00:00Z", "endpoint": "totals", "calls": 1204, "posts": 88_410,
        "bytes": 9_120_400, "saved": 311,
    });
    json!({
        "from": "2026-03-01T00:00:00Z", "until": "2026-03-11T00:00:00Z", "sums": [line],
        "truncated": false, "gaps": [{ "since": "2026-03-09T02:10:05Z" }],
    })
}
