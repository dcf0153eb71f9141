//! Who may do what on the operators' listener: every route of the source, for every kind of key.

use std::collections::BTreeSet;

use crate::console::{SIGN_IN, Visitor, is_page};
use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::openapi::routes::{Route, written};

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum May {
    Nothing,
    View,
    Everything,
}
use May::{Everything, Nothing, View};

/// Paths, and what an owner, an auditor, an auditor who may explore, and an analyst may do there.
type Area = (&'static [&'static str], [May; 4]);

const AREAS: [Area; 4] = [
    (
        &[
            "/admin/v1/accounts",
            "/admin/v1/accounts/{account}",
            "/admin/v1/accounts/{account}/verify",
            "/admin/v1/apps",
            "/admin/v1/audit",
            "/admin/v1/calls",
            "/admin/v1/calls/{call}",
            "/admin/v1/keys",
            "/admin/v1/keys/{key}",
            "/admin/v1/keys/{key}/subjects",
            "/admin/v1/keys/{key}/withdraw-tokens",
            "/admin/v1/links",
            "/admin/v1/links/{link}",
            "/admin/v1/overview",
            "/admin/v1/webhooks",
            "/admin/v1/webhooks/{webhook}",
            "/admin/v1/webhooks/{webhook}/deliveries",
            "/admin/v1/webhooks/{webhook}/deliveries/{delivery}/resend",
            "/admin/v1/webhooks/{webhook}/rotate",
            "/admin/v1/webhooks/{webhook}/test",
            "/console/",
            "/console/accounts",
            "/console/accounts/{app}/{account}",
            "/console/accounts/{app}/{account}/reconnect",
            "/console/accounts/{app}/{account}/remove",
            "/console/accounts/{app}/{account}/verify",
            "/console/audit",
            "/console/audit.jsonl",
            "/console/calls",
            "/console/calls/{call}",
            "/console/keys",
            "/console/keys/new",
            "/console/keys/{key}/limits",
            "/console/keys/{key}/revoke",
            "/console/keys/{key}/tokens",
            "/console/links",
            "/console/links/new",
            "/console/links/{link}/withdraw",
            "/console/start",
            "/console/webhooks",
            "/console/webhooks/{webhook}",
            "/console/webhooks/{webhook}/deliveries/{delivery}/resend",
            "/console/webhooks/{webhook}/remove",
            "/console/webhooks/{webhook}/rotate",
            "/console/webhooks/{webhook}/test",
        ],
        [Everything, View, View, Nothing],
    ),
    (&["/admin/v1/usage", "/console/usage", "/console/usage.csv"], [Everything, View, View, View]),
    (&["/console/explore"], [Everything, Nothing, Everything, Everything]),
    (&["/console/sign-out"], [Everything; 4]),
];

/// What is open to everybody.
const OPEN: [&str; 11] = [
    "/",
    "/console",
    "/console/icon.svg",
    "/console/sign-in",
    "/console/style.css",
    "/docs",
    "/docs/style.css",
    "/livez",
    "/metrics",
    "/openapi.json",
    "/readyz",
];

/// The routes of the operators' listener that the source has: all but the callers' own.
fn operators_routes() -> Vec<Route> {
    let callers = ["/v1/", "/insights/", "/connect/"];
    let mut routes: Vec<Route> = written().into_iter().collect();
    routes.retain(|route| !callers.iter().any(|prefix| route.0.starts_with(prefix)));
    routes
}

/// The path with an id that nothing has for every parameter.
fn filled(route: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "999".to_owned() } else { part.to_owned() };
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_in_the_table_once() {
    let known = AREAS.iter().flat_map(|area| area.0).chain(&OPEN);
    let mut known: Vec<&str> = known.copied().collect();
    known.sort_unstable();
    let routes = operators_routes();
    let written: BTreeSet<&str> = routes.iter().map(|route| &*route.0).collect();
    assert_eq!(known, written.into_iter().collect::<Vec<_>>());
}

/// Somebody who tries a route.
struct Holder<'a> {
    name: &'static str,
    /// Empty for nobody.
    key: String,
    /// A browser that is signed in, if the key can sign in.
    visitor: Visitor<'a>,
    is_signed_in: bool,
}

impl<'a> Holder<'a> {
    async fn new(gateway: &'a TestGateway, name: &'static str, key: String) -> Holder<'a> {
        let is_signed_in = key.starts_with("csa_");
        let visitor = if is_signed_in {
            Visitor::with_key(gateway, &key).await
        } else {
            let stranger = Visitor::stranger(gateway);
            is_page(&stranger.send(SIGN_IN, &[("key", &key)]).await, 403);
            stranger
        };
        Holder { name, key, visitor, is_signed_in }
    }

    async fn tries(&self, gateway: &TestGateway, method: &str, path: &str) -> Answer {
        if path.starts_with("/console") {
            return match method {
                "GET" => self.visitor.open(path).await,
                _ => self.visitor.send(path, &[]).await,
            };
        }
        let ask = gateway.admin(&self.key, method, path);
        if method == "GET" { ask.send().await } else { ask.body("{}").send().await }
    }

    /// Asserts that the answer is that of a route which admits this holder, or not.
    #[track_caller]
    fn is_answered(&self, answer: &Answer, may: bool, (path, method): (&str, &str)) {
        let (status, text) = (answer.status.as_u16(), answer.text());
        let what = format!("{}: {method} {path}: {status} {text}", self.name);
        if may {
            let is_nowhere = text.contains("This page does not exist")
                || answer.header("countersign-error") == "not_found" && text.contains("nothing at");
            assert!(!is_nowhere, "{what}");
            assert!(![401, 403, 405].contains(&status) && status < 500, "{what}");
            return;
        }
        match (path.starts_with("/console"), self.is_signed_in) {
            (false, false) => assert_eq!(status, 401, "{what}"),
            (false, true) => answer.is_own(403, "not_allowed"),
            (true, false) if method == "GET" => {
                assert!(status == 303 && answer.header("location").starts_with(SIGN_IN), "{what}");
            }
            (true, false) => is_page(answer, 401),
            (true, true) if path == "/console/" => {
                // Home leads to what is open instead.
                assert_eq!(
                    (status, answer.header("location")),
                    (303, "/console/explore"),
                    "{what}"
                );
            }
            (true, true) => {
                is_page(answer, 403);
                assert!(text.contains("Your key may not do this: it "), "{what}");
                assert!(text.contains("Ask an admin with full access."), "{what}");
            }
        }
    }
}

async fn each_role_may_what_the_table_says(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let kinds = [
        ("nobody", String::new()),
        ("a service", gateway.mighty_key().await),
        ("an owner", gateway.new_admin_key().await),
        ("an auditor", gateway.auditor_key().await),
        ("an auditor who may explore", gateway.exploring_auditor_key().await),
        ("an analyst", gateway.analyst_key().await),
    ];
    let audited = async || {
        let mut entries = gateway.store.list_audit(&newest(1000)).await.unwrap();
        // Refusals are written when there is time.
        entries.retain(|entry| !entry.action.ends_with(".refused"));
        entries.len()
    };
    for (index, (name, key)) in kinds.into_iter().enumerate() {
        let holder = Holder::new(&gateway, name, key).await;
        let before = audited().await;
        let (mut routes, mut last) = (operators_routes(), Vec::new());
        // Whoever has signed out can try nothing more.
        last.extend(routes.extract_if(.., |route| route.0 == "/console/sign-out"));
        for (path, method) in routes.iter().filter(|route| route.0 != SIGN_IN) {
            let area = AREAS.iter().find(|area| area.0.contains(&&**path));
            let needed = if method == "GET" { View } else { Everything };
            let may = match (area, index.checked_sub(2)) {
                (None, _) => true,
                (Some(area), Some(role)) => area.1[role] >= needed,
                (Some(_), None) => false,
            };
            let answer = holder.tries(&gateway, method, &filled(path)).await;
            holder.is_answered(&answer, may, (path, method));
        }
        assert_eq!(audited().await, before, "{name} has changed something");
        for (path, method) in &last {
            let answer = holder.tries(&gateway, method, path).await;
            holder.is_answered(&answer, holder.is_signed_in, (path, method));
        }
    }
}

on_both!(each_role_may_what_the_table_says);
