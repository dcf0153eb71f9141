//! Every route of the console, as it stands in the source: who gets in, what every page is, and what is not there.

use std::collections::BTreeSet;

use crate::bench::{Answer, Ask};
use crate::console::{SIGN_IN, Visitor, is_page};
use crate::database::{newest, on_both};
use crate::house::House;
use crate::openapi::routes::{Route, written};
use crate::webhooks::open_house;
use crate::webhooks::receiver::Receiver;

const LARGEST: usize = 100_000;
/// Whoever is not signed in gets these.
const OPEN: [(&str, u16); 4] =
    [("/console", 303), ("/console/icon.svg", 200), ("/console/style.css", 200), (SIGN_IN, 200)];
/// An id of nothing.
const UNKNOWN: &str = "999";

/// Paths as they are written in the source, with methods.
pub fn routes() -> BTreeSet<Route> {
    let mut routes = written();
    routes.retain(|it| it.0.starts_with("/console"));
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

/// A house with something on every page, and what stands for the names in its paths.
pub struct Furnished<'a> {
    pub house: &'a House,
    names: Vec<(&'static str, String)>,
    _receiver: Receiver,
}

impl Furnished<'_> {
    pub async fn new(house: &House) -> Furnished<'_> {
        let receiver = Receiver::start().await;
        let (webhook, _) = house.hook(&receiver).await;
        receiver.next(&[500]);
        house.connect(&["alice", "bob"]).await;
        house.deliver().await;
        let calls = house.admin(&house.new_admin_key().await, "GET", "/admin/v1/calls");
        house.ask("POST", "/insights/engagement/totals").body("{}").send().await;
        let call = calls.send().await.json()["calls"][0]["id"].to_string();
        house.link().await;
        let links = house.gateway.list_links(None, None, 1).await.unwrap();
        let names = vec![
            ("call", call),
            ("app", "demo".to_owned()),
            ("account", house.id("alice").to_string()),
            ("webhook", webhook),
            ("delivery", "1".to_owned()),
            ("key", house.key[4..16].to_owned()),
            ("link", links[0].id.to_string()),
        ];
        Furnished { house, names, _receiver: receiver }
    }

    /// The path with what there is; what this does not know of stays unknown.
    pub fn path(&self, route: &str) -> String {
        let known =
            |path: String, it: &(&str, String)| path.replace(&format!("{{{}}}", it.0), &it.1);
        filled(&self.names.iter().fold(route.to_owned(), known), UNKNOWN)
    }

    /// Every page that whoever is signed in can open, as a path.
    pub fn pages(&self) -> Vec<String> {
        let gets = routes().into_iter().filter(|it| it.1 == "GET" && it.0 != "/console");
        gets.map(|it| self.path(&it.0))
            .filter(|it| !it.contains("style.css") && !it.contains("icon.svg"))
            .collect()
    }

    /// What a change would leave behind.
    async fn traces(&self) -> (usize, String) {
        let entries = self.house.store.list_audit(&newest(1000)).await.unwrap();
        let webhooks = self.house.gateway.list_webhooks().await.unwrap();
        (entries.len(), format!("{webhooks:?}"))
    }
}

/// The route with this in place of every name.
fn filled(route: &str, by: &str) -> String {
    let mut path = route.to_owned();
    while let Some((before, rest)) = path.split_once('{') {
        path = format!("{before}{by}{}", rest.split_once('}').unwrap().1);
    }
    path
}

/// The tags of these names, as they are written.
fn tags<'a>(page: &'a str, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let opened = page.split('<').skip(1).filter_map(|it| Some(it.split_once('>')?.0));
    opened.filter(|it| names.contains(&it.split([' ', '\n']).next().unwrap()))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    Some(tag.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0)
}

/// What every page is.
#[track_caller]
fn is_sound(answer: &Answer, path: &str) {
    is_page(answer, answer.status.as_u16());
    let page = answer.text();
    assert!(page.len() < LARGEST, "{path}: {} bytes", page.len());
    assert_eq!(tags(&page, &["h1"]).count(), 1, "{path}: {page}");
    assert!(page.contains("<html lang=\"en\">"), "{path}: {page}");
    let title = page.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
    assert!(!title.trim().is_empty(), "{path}");
    let every = page.split('<').skip(1).filter_map(|it| Some(it.split_once('>')?.0));
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
            attribute(tag, "type").is_some_and(|it| ["checkbox", "radio"].contains(&it));
        let is_named = page.contains(&format!("<label for=\"{id}\""))
            || attribute(tag, "aria-label").is_some();
        assert!(is_named || is_wrapped, "{path}: no label for {tag}");
    }
    let mut ids = BTreeSet::new();
    for id in every_id(&page) {
        assert!(ids.insert(id), "{path}: {id} twice");
    }
    for name in ["aria-describedby", "for"] {
        for tag in page.split('<').filter_map(|it| attribute(it, name)) {
            assert!(tag.split(' ').all(|it| ids.contains(it)), "{path}: nothing is called {tag}");
        }
    }
    for form in tags(&page, &["form"]) {
        assert!(
            attribute(form, "action").is_some_and(|it| it.starts_with("/console/")),
            "{path}: {form}"
        );
    }
}

fn every_id(page: &str) -> impl Iterator<Item = &str> {
    page.split('<').filter_map(|it| attribute(it.split('>').next().unwrap(), "id"))
}

/// As another site would have it sent.
fn from_elsewhere(visitor: &Visitor<'_>, method: &str, path: &str) -> Ask {
    Ask::new(&visitor.http, &visitor.house.admin_url, method, path)
        .header("cookie", &visitor.cookie)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded")
}

on_both! {
    async fn without_a_session_every_page_leads_to_sign_in_and_nothing_is_done(database: Database) {
        let house = open_house(&database).await;
        let furnished = Furnished::new(&house).await;
        let (stranger, forged) = (Visitor::stranger(&house), Visitor::with_cookie(&house, &format!("countersign-console={}", "A".repeat(43))));
        let before = furnished.traces().await;
        for (route, method) in routes() {
            for visitor in [&stranger, &forged] {
                let path = furnished.path(&route);
                if method == "GET" {
                    let answer = visitor.open(&path).await;
                    if let Some((_, status)) = OPEN.iter().find(|it| it.0 == path) {
                        assert_eq!(answer.status, *status, "{path}");
                    } else {
                        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
                        assert!(answer.header("location").starts_with(SIGN_IN) && answer.text().is_empty(), "{path}");
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
        let house = open_house(&database).await;
        let furnished = Furnished::new(&house).await;
        let visitor = Visitor::with_key(&house, &house.looking_key().await).await;
        let before = furnished.traces().await;
        for (route, method) in routes() {
            let path = furnished.path(&route);
            if path == SIGN_IN || path == "/console" || path == "/console/sign-out" {
                continue;
            }
            if method == "GET" {
                let status = visitor.open(&path).await.status.as_u16();
                assert!(status == 200 || status == 404, "{path}: {status}");
            } else {
                is_page(&visitor.send(&path, &[]).await, 403);
            }
        }
        assert_eq!(furnished.traces().await, before);
    }

    async fn no_form_of_another_site_is_taken(database: Database) {
        let house = open_house(&database).await;
        let furnished = Furnished::new(&house).await;
        let visitor = Visitor::admin(&house).await;
        let before = furnished.traces().await;
        for (route, method) in routes().into_iter().filter(|it| it.1 != "GET") {
            let path = furnished.path(&route);
            is_page(&from_elsewhere(&visitor, &method, &path).send().await, 403);
        }
        assert_eq!(furnished.traces().await, before);
    }

    async fn every_page_is_sound(database: Database) {
        let house = open_house(&database).await;
        let furnished = Furnished::new(&house).await;
        for key in [house.new_admin_key().await, house.looking_key().await] {
            let visitor = Visitor::with_key(&house, &key).await;
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
        let house = open_house(&database).await;
        let visitor = Visitor::admin(&house).await;
        let with_names = routes().into_iter().filter(|it| it.0.contains('{'));
        for (route, method) in with_names {
            let path = filled(&route, UNKNOWN);
            let answer = if method == "GET" { visitor.open(&path).await } else { visitor.send(&path, &[]).await };
            is_sound(&answer, &path);
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
            for odd in ["%00", "%ff", "..%2f..", "%3Cscript%3E", "nobody", "%20", &"9".repeat(3000)] {
                let path = filled(&route, odd);
                let answer = if method == "GET" { visitor.open(&path).await } else { visitor.send(&path, &[]).await };
                is_sound(&answer, &path);
                assert!(answer.status.is_client_error(), "{method} {path}: {}", answer.status);
            }
        }
        let nothing = visitor.open("/console/nothing").await;
        is_sound(&nothing, "/console/nothing");
        let text = nothing.text();
        assert!(text.contains("This page does not exist.") && text.contains("href=\"/console/\""), "{text}");
        assert!(!text.contains("/metrics"), "that is for programs: {text}");
        let wrong = visitor.ask("PUT", "/console/webhooks").send().await;
        is_sound(&wrong, "PUT");
        assert_eq!(wrong.status, 405);
    }
}
