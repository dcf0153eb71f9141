//! Every route of the console, read from the source: who may use it, what every page is like, and what does not exist.

use std::collections::BTreeSet;

use crate::console::explore::EXPLORE;
use crate::console::{SIGN_IN, Visitor, is_page};
use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::openapi::routes::{Route, written};
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

const LARGEST: usize = 100_000;
/// The routes that do not require a session, with their status.
const OPEN: [(&str, u16); 4] =
    [("/console", 303), ("/console/icon.svg", 200), ("/console/style.css", 200), (SIGN_IN, 200)];
/// An id that nothing has.
const UNKNOWN: &str = "999";

/// Paths as they are written in the source, with their methods.
pub fn routes() -> BTreeSet<Route> {
    let mut routes = written();
    routes.retain(|route| route.0.starts_with("/console"));
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

/// A gateway with something on every page, and the values for the parameters in its paths.
pub struct Furnished<'a> {
    pub gateway: &'a TestGateway,
    names: Vec<(&'static str, String)>,
    _receiver: Receiver,
}

impl Furnished<'_> {
    pub async fn new(gateway: &TestGateway) -> Furnished<'_> {
        let receiver = Receiver::start().await;
        let (webhook, _) = gateway.hook(&receiver).await;
        receiver.next(&[500]);
        gateway.connect(&["alice", "bob"]).await;
        gateway.deliver().await;
        let calls = gateway.admin(&gateway.new_admin_key().await, "GET", "/admin/v1/calls");
        gateway.ask("POST", "/insights/engagement/totals").body("{}").send().await;
        let call = calls.send().await.json()["calls"][0]["id"].to_string();
        gateway.link().await;
        let links = gateway.inner.list_links(None, None, 1).await.unwrap();
        let names = vec![
            ("call", call),
            ("app", "demo".to_owned()),
            ("account", gateway.id("alice").to_string()),
            ("webhook", webhook),
            ("delivery", "1".to_owned()),
            ("key", gateway.mighty_key().await[4..16].to_owned()),
            ("link", links[0].id.to_string()),
        ];
        Furnished { gateway, names, _receiver: receiver }
    }

    /// The path with its parameters filled in; unknown parameters stay as they are.
    pub fn path(&self, route: &str) -> String {
        let known = |path: String, parameter: &(&str, String)| {
            path.replace(&format!("{{{}}}", parameter.0), &parameter.1)
        };
        filled(&self.names.iter().fold(route.to_owned(), known), UNKNOWN)
    }

    /// The path of every page that a signed-in admin can open.
    pub fn pages(&self) -> Vec<String> {
        let gets = routes().into_iter().filter(|route| route.1 == "GET" && route.0 != "/console");
        gets.map(|route| self.path(&route.0))
            .filter(|path| !path.contains("style.css") && !path.contains("icon.svg"))
            .collect()
    }

    /// Everything that a change would alter.
    async fn traces(&self) -> (usize, String) {
        let entries = self.gateway.store.list_audit(&newest(1000)).await.unwrap();
        let webhooks = self.gateway.inner.list_webhooks().await.unwrap();
        (entries.len(), format!("{webhooks:?}"))
    }
}

/// The route with this value for every parameter.
fn filled(route: &str, by: &str) -> String {
    let mut path = route.to_owned();
    while let Some((before, rest)) = path.split_once('{') {
        path = format!("{before}{by}{}", rest.split_once('}').unwrap().1);
    }
    path
}

/// The tags with these names, as they are written.
fn tags<'a>(page: &'a str, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let opened = page.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    opened.filter(|tag| names.contains(&tag.split([' ', '\n']).next().unwrap()))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    Some(tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0)
}

/// What holds for every page.
#[track_caller]
fn is_sound(answer: &Answer, path: &str) {
    is_page(answer, answer.status.as_u16());
    let page = answer.text();
    assert!(page.len() < LARGEST, "{path}: {} bytes", page.len());
    assert_eq!(tags(&page, &["h1"]).count(), 1, "{path}: {page}");
    assert!(page.contains("<html lang=\"en\">"), "{path}: {page}");
    let title = page.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
    assert!(!title.trim().is_empty(), "{path}");
    let every = page.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    for tag in every {
        let outside: String = tag.split('"').step_by(2).collect();
        let is_plain = !outside.starts_with("script")
            && !outside.starts_with("iframe")
            && !outside.contains(" style=")
            && !outside.contains(" on");
        assert!(is_plain, "{path}: {tag}");
        assert!(!tag.to_lowercase().contains("=\"javascript:"), "{path}: {tag}");
    }
    for tag in tags(&page, &["input", "select", "textarea"]) {
        if attribute(tag, "type") == Some("hidden") {
            continue;
        }
        let id = attribute(tag, "id").unwrap_or_default();
        let is_wrapped =
            attribute(tag, "type").is_some_and(|kind| ["checkbox", "radio"].contains(&kind));
        let is_named = page.contains(&format!("<label for=\"{id}\""))
            || attribute(tag, "aria-label").is_some();
        assert!(is_named || is_wrapped, "{path}: no label for {tag}");
    }
    let mut ids = BTreeSet::new();
    for id in every_id(&page) {
        assert!(ids.insert(id), "{path}: {id} twice");
    }
    for name in ["aria-describedby", "for"] {
        for tag in page.split('<').filter_map(|rest| attribute(rest, name)) {
            assert!(tag.split(' ').all(|id| ids.contains(id)), "{path}: nothing is called {tag}");
        }
    }
    for form in tags(&page, &["form"]) {
        assert!(
            attribute(form, "action").is_some_and(|action| action.starts_with("/console/")),
            "{path}: {form}"
        );
    }
}

fn every_id(page: &str) -> impl Iterator<Item = &str> {
    page.split('<').filter_map(|rest| attribute(rest.split('>').next().unwrap(), "id"))
}

/// The request as another site would have a browser send it.
fn from_elsewhere(visitor: &Visitor<'_>, method: &str, path: &str) -> Ask {
    Ask::new(&visitor.http, &visitor.gateway.admin_url, method, path)
        .header("cookie", &visitor.cookie)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded")
}

async fn without_a_session_every_page_leads_to_sign_in_and_nothing_is_done(database: Database) {
    let gateway = start_gateway(&database).await;
    let furnished = Furnished::new(&gateway).await;
    let (stranger, forged) = (
        Visitor::stranger(&gateway),
        Visitor::with_cookie(&gateway, &format!("countersign-console={}", "A".repeat(43))),
    );
    let before = furnished.traces().await;
    for (route, method) in routes() {
        for visitor in [&stranger, &forged] {
            let path = furnished.path(&route);
            if method == "GET" {
                let answer = visitor.open(&path).await;
                if let Some((_, status)) = OPEN.iter().find(|entry| entry.0 == path) {
                    assert_eq!(answer.status, *status, "{path}");
                } else {
                    assert_eq!(answer.status, 303, "{path}: {}", answer.text());
                    assert!(
                        answer.header("location").starts_with(SIGN_IN) && answer.text().is_empty(),
                        "{path}"
                    );
                }
            } else if path == SIGN_IN {
                is_page(&visitor.send(&path, &[("key", "nobody's")]).await, 403);
            } else {
                let fields = [("url", "https://a/"), ("name", "x"), ("label", "x")];
                is_page(&visitor.send(&path, &fields).await, 401);
            }
        }
    }
    assert_eq!(furnished.traces().await, before);
}

async fn a_key_that_looks_opens_every_page_and_no_form(database: Database) {
    let gateway = start_gateway(&database).await;
    let furnished = Furnished::new(&gateway).await;
    let visitor = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    let before = furnished.traces().await;
    for (route, method) in routes() {
        let path = furnished.path(&route);
        if path == SIGN_IN || path == "/console" || path == "/console/sign-out" {
            continue;
        }
        if method == "GET" {
            let status = visitor.open(&path).await.status.as_u16();
            let expected: &[u16] = if path == EXPLORE { &[403] } else { &[200, 404] };
            assert!(expected.contains(&status), "{path}: {status}");
        } else {
            is_page(&visitor.send(&path, &[]).await, 403);
        }
    }
    assert_eq!(furnished.traces().await, before);
}

async fn no_form_of_another_site_is_taken(database: Database) {
    let gateway = start_gateway(&database).await;
    let furnished = Furnished::new(&gateway).await;
    let visitor = Visitor::admin(&gateway).await;
    let before = furnished.traces().await;
    for (route, method) in routes().into_iter().filter(|route| route.1 != "GET") {
        let path = furnished.path(&route);
        is_page(&from_elsewhere(&visitor, &method, &path).send().await, 403);
    }
    assert_eq!(furnished.traces().await, before);
}

async fn every_page_is_sound(database: Database) {
    let gateway = start_gateway(&database).await;
    let furnished = Furnished::new(&gateway).await;
    for key in [gateway.new_admin_key().await, gateway.auditor_key().await] {
        let visitor = Visitor::with_key(&gateway, &key).await;
        for path in furnished.pages() {
            let answer = visitor.open(&path).await;
            if answer.header("content-type").starts_with("text/html") {
                is_sound(&answer, &path);
            } else {
                assert!(answer.header("content-disposition").starts_with("attachment;"), "{path}");
            }
        }
    }
}

async fn what_is_not_there_is_a_page_that_says_so(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let with_names = routes().into_iter().filter(|route| route.0.contains('{'));
    for (route, method) in with_names {
        let path = filled(&route, UNKNOWN);
        let answer = if method == "GET" {
            visitor.open(&path).await
        } else {
            visitor.send(&path, &[]).await
        };
        is_sound(&answer, &path);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
        for odd in ["%00", "%ff", "..%2f..", "%3Cscript%3E", "nobody", "%20", &"9".repeat(3000)] {
            let path = filled(&route, odd);
            let answer = if method == "GET" {
                visitor.open(&path).await
            } else {
                visitor.send(&path, &[]).await
            };
            is_sound(&answer, &path);
            assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.status);
        }
    }
    let nothing = visitor.open("/console/nothing").await;
    is_sound(&nothing, "/console/nothing");
    let text = nothing.text();
    assert!(
        text.contains("This page does not exist.") && text.contains("href=\"/console/\""),
        "{text}"
    );
    assert!(!text.contains("/metrics"), "that is for programs: {text}");
    let wrong = visitor.ask("PUT", "/console/webhooks").send().await;
    is_sound(&wrong, "PUT");
    assert_eq!(wrong.status, 405);
}

on_both!(
    without_a_session_every_page_leads_to_sign_in_and_nothing_is_done,
    a_key_that_looks_opens_every_page_and_no_form,
    no_form_of_another_site_is_taken,
    every_page_is_sound,
    what_is_not_there_is_a_page_that_says_so
);
