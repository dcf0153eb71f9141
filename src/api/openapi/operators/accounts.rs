//! `/admin/v1/accounts`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::api::openapi::examples::USER_ID;
use crate::api::openapi::operation::{Content, Operation};
use crate::api::openapi::operators::parameters::{
    after, in_path, limit, of_app, operation, query, with,
};
use crate::api::openapi::problems;
use crate::api::openapi::schemas::named;
use crate::api::openapi::schemas::{closed, page};
use crate::model::AccountState;
use crate::wire::schema::{one_of, text};

pub(super) fn operations() -> Vec<Operation> {
    vec![list(), import(), show(), remove(), verify()]
}

fn list() -> Operation {
    let states = one_of("", AccountState::ALL.map(AccountState::name));
    let listed = json!({ "accounts": [with_last_calls()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/accounts", "list_accounts", "List connected accounts")
        .takes(query("app", "Only accounts of this app.", text("").into(), "demo".into()))
        .takes(query("state", "Only accounts in this state.", states.into(), "active".into()))
        .takes(after(&format!("demo/{USER_ID}")))
        .takes(limit())
        .gives(
            "200",
            "The accounts, by app and user id.",
            page("accounts", "SeenAccount", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
        .refuses(problems::of_app_parameters())
}

fn import() -> Operation {
    let line = json!({
        "user_id": USER_ID, "screen_name": "alice",
        "access_token": format!("{USER_ID}-token"), "access_token_secret": "secret",
    });
    let lines = text("One JSON object per line, each an `ImportLine`.");
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let imported = ObjectBuilder::new().property("imported", count).required("imported");
    operation(HttpMethod::Post, "/admin/v1/accounts", "import_accounts", "Import access tokens")
        .about("One JSON object per line with the strings `user_id`, `screen_name`, `access_token` and `access_token_secret`. Either all accounts are stored or none. The token of an account that is already stored is replaced.")
        .takes(of_app())
        .reads(Content::text("application/x-ndjson", lines, &format!("{line}\n")).of_lines("ImportLine"))
        .gives("201", "All accounts are stored.", closed(imported), json!({ "imported": 1 }))
        .refuses(problems::of_bodies())
        .refuses(problems::of_lines())
        .refuses(problems::of_app_parameters())
}

fn show() -> Operation {
    one(HttpMethod::Get, "/admin/v1/accounts/{account}", "show_account", "Get an account").gives(
        "200",
        "The account, without its token, and how its last calls ended.",
        named("SeenAccount"),
        with_last_calls(),
    )
}

fn remove() -> Operation {
    one(HttpMethod::Delete, "/admin/v1/accounts/{account}", "remove_account", "Remove an account")
        .about("Deletes the account's token from the gateway. At X the token stays valid until the user revokes the app's access.")
        .gives("200", "The account, as it was.", named("Account"), account())
}

fn verify() -> Operation {
    let verified =
        json!({ "works": true, "state": "active", "screen_name": "alice", "protected": false });
    let (path, summary) =
        ("/admin/v1/accounts/{account}/verify", "Check with X that an account's token works");
    one(HttpMethod::Post, path, "verify_account", summary)
        .about("Updates the account's state accordingly.")
        .gives("200", "The result.", named("Verified"), verified)
        .refuses(problems::of_upstream())
        .refuses(problems::not_found("app in the configuration"))
}

fn one(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    operation(method, path, id, summary)
        .takes(in_path("account", "A user id or `@screen_name`.", "@alice"))
        .takes(of_app())
        .refuses(problems::of_account_paths())
        .refuses(problems::of_app_parameters())
}

fn with_last_calls() -> Value {
    let account = with(account(), "last_call_at", "2026-03-10T21:15:30Z");
    let account = with(account, "last_error", "X refused the call (403)");
    with(account, "last_error_at", "2026-03-09T08:00:00Z")
}

fn account() -> Value {
    json!({
        "app": "demo", "user_id": USER_ID, "screen_name": "alice", "state": "active",
        "state_since": "2026-03-01T09:00:00Z", "connected_at": "2026-03-01T09:00:00Z",
    })
}
