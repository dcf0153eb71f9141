//! What operators can ask.

use serde_json::{Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{HttpMethod, RefOr, Schema};

use crate::model::AccountState;
use crate::model::key::Kind;
use crate::server::admin::{ITEMS, MOST_ITEMS};
use crate::server::openapi::operation::{Audience, Content, Operation, Parameter, named};
use crate::server::openapi::problems;
use crate::server::openapi::schemas::{closed, listing, page};
use crate::server::wire::schema::{one_of, text};

const WEBHOOK: &str = "kP3vN8sT2xQa";
const KEY: &str = "4vJ0aBcDeFgH";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = vec![apps()];
    all.extend(accounts());
    all.extend(keys());
    all.push(link());
    all.extend(webhooks());
    all.push(audit());
    all
}

fn apps() -> Operation {
    let example =
        json!({ "apps": [{ "name": "demo", "app_only": "bearer", "bearer_source": "minted" }] });
    operation(HttpMethod::Get, "/admin/v1/apps", "list_apps", "The configured apps").answers(
        "200",
        "All of them.",
        vec![Content::json(listing("apps", "App"), example)],
    )
}

fn accounts() -> Vec<Operation> {
    let listed = json!({ "accounts": [account()], "next": null });
    let line = json!({
        "user_id": "7588892", "screen_name": "alice",
        "access_token": "7588892-token", "access_token_secret": "secret",
    });
    let imported = ObjectBuilder::new()
        .property("imported", ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
        .required("imported");
    let verified =
        json!({ "works": true, "state": "active", "screen_name": "alice", "protected": false });
    let states = one_of("", AccountState::ALL.map(AccountState::name));
    let one = |method, path, id, summary| {
        operation(method, path, id, summary)
            .takes(account_in_path())
            .takes(of_app())
            .refuses(problems::of_account_paths())
            .refuses(problems::of_apps())
    };
    vec![
        operation(HttpMethod::Get, "/admin/v1/accounts", "list_accounts", "Connected accounts")
            .takes(query("app", "Only those of this app.", text("").into(), "demo".into()))
            .takes(query("state", "Only those in this state.", states.into(), "active".into()))
            .takes(query(
                "after",
                "The `next` of the page before.",
                text("").into(),
                "demo/7588892".into(),
            ))
            .takes(limit())
            .answers(
                "200",
                "By app and user id.",
                vec![Content::json(page("accounts", "Account", "after", Type::String), listed)],
            )
            .refuses(problems::of_queries())
            .refuses(problems::not_found("app in the configuration")),
        operation(HttpMethod::Post, "/admin/v1/accounts", "import_accounts", "Bring access tokens")
            .about("A JSON object a line, all or none. A token that is there already is replaced.")
            .takes(of_app())
            .reads(Content::text(
                "application/x-ndjson",
                text("Each line an `ImportLine`."),
                &format!("{line}\n"),
            ))
            .answers(
                "201",
                "All are stored.",
                vec![Content::json(closed(imported), json!({ "imported": 1 }))],
            )
            .refuses(problems::of_bodies())
            .refuses(problems::of_lines())
            .refuses(problems::of_apps()),
        one(HttpMethod::Get, "/admin/v1/accounts/{account}", "show_account", "One account")
            .answers(
                "200",
                "The account, without its token.",
                vec![Content::json(named("Account"), account())],
            ),
        one(
            HttpMethod::Delete,
            "/admin/v1/accounts/{account}",
            "remove_account",
            "Forget an account",
        )
        .about("Its token is gone from here; at X it stays valid until the user revokes the app.")
        .answers(
            "200",
            "The account as it was.",
            vec![Content::json(named("Account"), account())],
        ),
        one(
            HttpMethod::Post,
            "/admin/v1/accounts/{account}/verify",
            "verify_account",
            "Ask X whether an account's token works",
        )
        .about("And bring its state in line with the answer.")
        .answers("200", "What X said.", vec![Content::json(named("Verified"), verified)])
        .refuses(problems::of_upstream()),
    ]
}

fn keys() -> Vec<Operation> {
    let mut created = key();
    let secret = format!("csk_{KEY}_{}", "x".repeat(49));
    if let Some(members) = created.as_object_mut() {
        members.insert("secret".to_owned(), secret.into());
    }
    let new = json!({
        "name": "dashboard", "app": "demo", "accounts": ["7588892"],
        "endpoints": ["totals", "28hr"], "expires": "90d",
    });
    let listed = json!({ "keys": [key()], "next": null });
    let name = "must be 1 to 100 printable characters";
    vec![
        operation(HttpMethod::Get, "/admin/v1/keys", "list_keys", "Keys")
            .takes(query("after", "The `next` of the page before.", text("").into(), KEY.into()))
            .takes(limit())
            .answers("200", "By id, without what proves them.", vec![Content::json(page("keys", "Key", "after", Type::String), listed)])
            .refuses(problems::of_queries()),
        operation(HttpMethod::Post, "/admin/v1/keys", "create_key", "Make a key")
            .about("Its text, `secret`, is shown this once. Where nothing is said it is a caller's key for every account and endpoint of the only app, for ever; `admin` makes one for this API.")
            .reads(Content::json(named("NewKey"), new))
            .answers("201", "The key.", vec![Content::json(named("CreatedKey"), created)])
            .refuses(problems::of_bodies())
            .refuses(problems::of_field("/name", name))
            .refuses(vec![problems::already_exists("key", "a key named dashboard")]),
        operation(HttpMethod::Delete, "/admin/v1/keys/{key}", "revoke_key", "End a key")
            .about("Every replica knows within a second.")
            .takes(in_path("key", "Its id, its name, or its whole text.", "dashboard"))
            .answers("200", "The key, revoked.", vec![Content::json(named("Key"), {
                let mut it = key();
                it["revoked_at"] = "2026-03-10T21:15:30Z".into();
                it
            })])
            .refuses(problems::not_found("key")),
    ]
}

fn link() -> Operation {
    let link = operation(
        HttpMethod::Post,
        "/admin/v1/links",
        "create_link_as_admin",
        "Invite a user to connect an account",
    );
    link_to_make(link)
        .about("A one-time link, shown this once, by which a user connects an account in a browser. It ends after 24 hours at most.")
}

/// What both doors to links have in common.
pub(super) fn link_to_make(operation: Operation) -> Operation {
    let new = json!({ "app": "demo", "label": "for Alice", "expires": "2h" });
    let created = json!({
        "url": "https://countersign.example.com/connect/…", "app": "demo", "label": "for Alice",
        "user_id": null, "return_to": null, "expires_at": "2026-03-10T23:15:30Z",
    });
    operation
        .reads(Content::json(named("NewLink"), new))
        .answers("201", "The link.", vec![Content::json(named("CreatedLink"), created)])
        .refuses(problems::of_bodies())
        .refuses(problems::of_field("/label", "must be 1 to 100 printable characters"))
}

fn webhooks() -> Vec<Operation> {
    let mut secret = webhook();
    secret["secret"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
    let mut rotated = secret.clone();
    rotated["old_secret_until"] = "2026-03-11T21:15:30Z".into();
    let mut listed = webhook();
    listed["waiting"] = 0.into();
    listed["waiting_since"] = Value::Null;
    listed["failure"] = Value::Null;
    let listed = json!({ "webhooks": [listed] });
    let new = json!({ "url": "https://hooks.example.com/countersign", "app": "demo" });
    let tested = json!({ "received": true, "status": 204, "failure": null });
    let deliveries = json!({ "deliveries": [delivery()], "next": null });
    let one = |method, path, id, summary| {
        operation(method, path, id, summary)
            .takes(in_path("webhook", "The webhook's id.", WEBHOOK))
            .refuses(problems::not_found("webhook"))
    };
    let before = ObjectBuilder::new().schema_type(Type::Integer).into();
    vec![
        operation(HttpMethod::Get, "/admin/v1/webhooks", "list_webhooks", "Webhooks, and what waits for each")
            .answers("200", "All of them.", vec![Content::json(listing("webhooks", "ListedWebhook"), listed)]),
        operation(HttpMethod::Post, "/admin/v1/webhooks", "add_webhook", "Add a webhook")
            .about("It is told what becomes of accounts. The secret that signs for it is shown this once.")
            .reads(Content::json(named("NewWebhook"), new))
            .answers("201", "The webhook.", vec![Content::json(named("WebhookSecret"), secret)])
            .refuses(problems::of_bodies())
            .refuses(problems::of_field("/url", "must be an https URL"))
            .refuses(vec![problems::already_exists("webhook", "a webhook with this URL")]),
        one(HttpMethod::Delete, "/admin/v1/webhooks/{webhook}", "remove_webhook", "Forget a webhook")
            .about("And what waits for it.")
            .answers("200", "The webhook as it was.", vec![Content::json(named("Webhook"), webhook())]),
        one(HttpMethod::Post, "/admin/v1/webhooks/{webhook}/test", "test_webhook", "Send a test, now")
            .about("Once it arrives, what waits is sent at once.")
            .answers("200", "What the receiver did with it.", vec![Content::json(named("Tested"), tested)]),
        one(HttpMethod::Post, "/admin/v1/webhooks/{webhook}/rotate", "rotate_webhook", "Give a webhook a new secret")
            .about("Shown this once. The old one signs beside it for a day, or for `overlap`; `0s` ends it at once.")
            .may_read(Content::json(named("Rotation"), json!({ "overlap": "24h" })))
            .answers("200", "The webhook.", vec![Content::json(named("WebhookSecret"), rotated)])
            .refuses(problems::of_bodies())
            .refuses(problems::of_field("/overlap", "must be at most 30 days"))
            .refuses(vec![problems::already_exists("old_secret", "an old secret that still signs")]),
        one(HttpMethod::Get, "/admin/v1/webhooks/{webhook}/deliveries", "list_deliveries", "What was sent to a webhook, or waits")
            .takes(query("before", "The `next` of the page before.", before, 17.into()))
            .takes(limit())
            .answers("200", "Newest first; kept for 30 days.", vec![Content::json(page("deliveries", "Delivery", "before", Type::Integer), deliveries)])
            .refuses(problems::of_queries()),
    ]
}

fn audit() -> Operation {
    let entry = json!({
        "id": 42, "at": "2026-03-10T21:15:30Z", "actor": format!("key:{KEY}"),
        "action": "key.created", "subject": "key:9sJ2kLmNoPqR", "detail": "dashboard",
    });
    let before = ObjectBuilder::new().schema_type(Type::Integer).into();
    operation(HttpMethod::Get, "/admin/v1/audit", "list_audit", "Who changed what")
        .takes(query("before", "The `next` of the page before.", before, 42.into()))
        .takes(limit())
        .answers(
            "200",
            "Newest first.",
            vec![Content::json(
                page("entries", "Entry", "before", Type::Integer),
                json!({ "entries": [entry], "next": null }),
            )],
        )
        .refuses(problems::of_queries())
}

fn account() -> Value {
    json!({
        "app": "demo", "user_id": "7588892", "screen_name": "alice", "state": "active",
        "state_since": "2026-03-01T09:00:00Z", "connected_at": "2026-03-01T09:00:00Z",
    })
}

fn key() -> Value {
    json!({
        "id": KEY, "kind": "caller", "name": "dashboard", "app": "demo", "accounts": ["7588892"],
        "endpoints": ["totals", "28hr"], "links": false, "created_at": "2026-03-10T21:15:30Z",
        "expires_at": "2026-06-08T21:15:30Z", "revoked_at": null, "last_used_at": null,
    })
}

fn webhook() -> Value {
    json!({
        "id": WEBHOOK, "url": "https://hooks.example.com/countersign", "app": "demo",
        "created_at": "2026-03-10T21:15:30Z", "old_secret_until": null,
    })
}

fn delivery() -> Value {
    json!({
        "id": format!("evt_{WEBHOOK}_1773177330_17"), "number": 17, "event": "account.revoked",
        "app": "demo", "user_id": "7588892", "screen_name": "alice",
        "reason": "X answered twice that the access token is not valid any more",
        "occurred_at": "2026-03-10T21:15:30Z", "state": "delivered", "attempts": 1,
        "attempt_at": null, "delivered_at": "2026-03-10T21:15:31Z", "status": 204, "failure": null,
    })
}

fn account_in_path() -> Parameter {
    in_path("account", "A user id, or `@screen_name`.", "@alice")
}

fn of_app() -> Parameter {
    let about = "The app's name; may be left out where only one is configured.";
    query("app", about, text("").into(), "demo".into())
}

fn limit() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MOST_ITEMS))
        .default(Some(ITEMS.into()));
    query("limit", "How many at most.", schema.into(), ITEMS.into())
}

fn in_path(name: &'static str, about: &'static str, example: &str) -> Parameter {
    let (place, example) = (ParameterIn::Path, example.into());
    Parameter { name, place, about, schema: text("").into(), example }
}

fn query(
    name: &'static str,
    about: &'static str,
    schema: RefOr<Schema>,
    example: Value,
) -> Parameter {
    Parameter { name, place: ParameterIn::Query, about, schema, example }
}

fn operation(
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Audience::Operators, method, path, id, summary)
        .refuses(problems::of_keys(Kind::Admin))
}
