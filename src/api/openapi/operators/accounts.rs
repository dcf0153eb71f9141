//! `/admin/v1/accounts`.

use serde_json::{Value, json};
use utoipa::openapi::HttpMethod;
use utoipa::openapi::schema::{ObjectBuilder, Type};

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
    let listed = json!({ "accounts": [seen()], "next": null });
    operation(HttpMethod::Get, "/admin/v1/accounts", "list_accounts", "Connected accounts")
        .takes(query("app", "Only those of this app.", text("").into(), "demo".into()))
        .takes(query("state", "Only those in this state.", states.into(), "active".into()))
        .takes(after("demo/7588892"))
        .takes(limit())
        .gives(
            "200",
            "By app and user id.",
            page("accounts", "SeenAccount", "after", Type::String),
            listed,
        )
        .refuses(problems::of_queries())
        .refuses(problems::of_app_parameters())
}

fn import() -> Operation {
    let line = json!({
        "user_id": "7588892", "screen_name": "alice",
        "access_token": "7588892-token", "access_token_secret": "secret",
    });
    let lines = text("Each line a JSON object, an `ImportLine`.");
    let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let imported = ObjectBuilder::new().property("imported", count).required("imported");
    operation(HttpMethod::Post, "/admin/v1/accounts", "import_accounts", "Bring access tokens")
        .about("A JSON object a line, each of the texts `user_id`, `screen_name`, `access_token` and `access_token_secret`; all are stored, or none. A token that is there already is replaced.")
        .takes(of_app())
        .reads(Content::text("application/x-ndjson", lines, &format!("{line}\n")))
        .gives("201", "All are stored.", closed(imported), json!({ "imported": 1 }))
        .refuses(problems::of_bodies())
        .refuses(problems::of_lines())
        .refuses(problems::of_app_parameters())
}

fn show() -> Operation {
    one(HttpMethod::Get, "/admin/v1/accounts/{account}", "show_account", "One account").gives(
        "200",
        "The account, without its token, and what was asked last as it.",
        named("SeenAccount"),
        seen(),
    )
}

fn remove() -> Operation {
    one(HttpMethod::Delete, "/admin/v1/accounts/{account}", "remove_account", "Forget an account")
        .about("Its token is gone from here; at X it stays valid until the user revokes the app.")
        .gives("200", "The account as it was.", named("Account"), account())
}

fn verify() -> Operation {
    let verified =
        json!({ "works": true, "state": "active", "screen_name": "alice", "protected": false });
    let (path, summary) =
        ("/admin/v1/accounts/{account}/verify", "Ask X whether an account's token works");
    one(HttpMethod::Post, path, "verify_account", summary)
        .about("The account's state is brought in line with the answer.")
        .gives("200", "What X said.", named("Verified"), verified)
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
        .takes(in_path("account", "A user id, or `@screen_name`.", "@alice"))
        .takes(of_app())
        .refuses(problems::of_account_paths())
        .refuses(problems::of_app_parameters())
}

fn seen() -> Value {
    let seen = with(account(), "last_call_at", "2026-03-10T21:15:30Z");
    let seen = with(seen, "last_error", "X refused the call (403)");
    with(seen, "last_error_at", "2026-03-09T08:00:00Z")
}

fn account() -> Value {
    json!({
        "app": "demo", "user_id": "7588892", "screen_name": "alice", "state": "active",
        "state_since": "2026-03-01T09:00:00Z", "connected_at": "2026-03-01T09:00:00Z",
    })
}
