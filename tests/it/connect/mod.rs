//! Connecting accounts: one-time links in a browser, every way in which an attempt ends, and what must never happen.

mod again;
pub mod browser;
mod ends;
mod forged;
mod history;
mod hostile;
mod links;
mod odd;
mod races;
pub mod replica;
mod returns;
mod rights;
mod rules;
pub mod strings;
mod whole;

use countersign::config::Config;
use countersign::gateway::NewLink;
use countersign::sandbox::Settings;
use serde_json::{Value, json};

use crate::connect::browser::Browser;
use crate::database::{Database, newest};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::sandbox::handshake::{ACCESS_TOKEN, REQUEST_TOKEN, decide, fields};
use crate::upstream::{TestSandbox, small};

/// A gateway with alice and bob connected, and carol and dave not.
pub async fn start_gateway(database: &Database) -> TestGateway {
    start_gateway_with(database, |_| ()).await
}

pub async fn start_gateway_with(
    database: &Database,
    change: impl FnOnce(&mut Config),
) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    TestGateway::build(sandbox, &database.settings(), change).await
}

impl TestGateway {
    /// Creates a link to send to a user; gives its URL.
    pub async fn link(&self) -> String {
        self.link_with(|_| ()).await
    }

    pub async fn link_with(&self, change: impl FnOnce(&mut NewLink)) -> String {
        let mut new = NewLink { label: "for the report".to_owned(), ..NewLink::default() };
        change(&mut new);
        let created = self.inner.create_link(new, "test").await.unwrap();
        created.url.expose().to_owned()
    }

    /// Begins in that browser; gives the request token.
    pub async fn begin(&self, browser: &mut Browser, link: &str) -> String {
        token_in(&browser.press(link).await)
    }

    /// Begins, and allows the app; gives the callback that X redirects to.
    pub async fn allow(&self, browser: &mut Browser, link: &str, name: &str) -> String {
        let token = self.begin(browser, link).await;
        self.allowed(&token, name).await
    }

    pub async fn allowed(&self, token: &str, name: &str) -> String {
        let answer = decide(&self.sandbox, token, "allow", name).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        answer.header("location").to_owned()
    }

    pub async fn switch(&self, switches: Value) {
        let answer = self.sandbox.put("/sandbox/switches", switches).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// How many calls of a handshake reached the sandbox: for request tokens, and exchanges.
    pub async fn steps(&self) -> (usize, usize) {
        (self.arrived(REQUEST_TOKEN).await.len(), self.arrived(ACCESS_TOKEN).await.len())
    }

    pub async fn is_connected(&self, name: &str) -> bool {
        self.store.find_account("demo", self.id(name)).await.unwrap().is_some()
    }

    pub async fn audited(&self, action: &str) -> Vec<(String, String, String)> {
        let entries = self.store.list_audit(&newest(1000)).await.unwrap();
        let entries = entries.into_iter().filter(|entry| entry.action == action);
        entries.map(|entry| (entry.actor, entry.subject, entry.detail)).collect()
    }

    /// Only alice and bob are connected, as at the start.
    async fn nothing_stored(&self) {
        assert_eq!(self.audited("account.connected").await, []);
        for name in ["carol", "dave"] {
            assert!(!self.is_connected(name).await, "{name}");
        }
    }
}

impl Answer {
    /// A page of ours, with its status and texts that it contains.
    #[track_caller]
    pub fn is_page(&self, status: u16, texts: &[&str]) {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        self.is_guarded();
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{text}");
        for has in ["<meta name=\"viewport\"", "<main>", "<h1>", "<title>"] {
            assert!(text.contains(has), "{has} is not in {text}");
        }
        for part in texts {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let lower = text.to_lowercase();
        for never in ["<script", "javascript:", " onerror", " onload", " src=", "style=", "oauth_"]
        {
            assert!(!lower.contains(never), "{never} is in {text}");
        }
    }

    /// The headers of every answer under `/connect`.
    #[track_caller]
    fn is_guarded(&self) {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
        ] {
            assert_eq!(self.header(name), value, "{name} of {:?}", self.headers);
        }
        assert_eq!(self.header("access-control-allow-origin"), "");
    }

    /// Redirects to `url`, without a page of its own.
    #[track_caller]
    pub fn goes_to(&self, url: &str) {
        assert_eq!((self.status.as_u16(), self.header("location")), (303, url), "{}", self.text());
        assert_eq!(self.raw.len(), 0);
        self.is_guarded();
    }
}

/// The request token in a redirect to X.
#[track_caller]
fn token_in(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(answer.header("location").contains("/oauth/authorize?"), "{:?}", answer.headers);
    fields(answer.header("location"))["oauth_token"].clone()
}

/// The link without scheme and host.
pub fn path_of(link: &str) -> &str {
    &link[link.find("/connect/").unwrap()..]
}

/// A body that only that author may send.
fn private(gateway: &TestGateway, author: &str) -> Value {
    crate::upstream::body(&gateway.sandbox.ids(author, 2), &["impressions"], &["tweet.id"])
}

/// A fault of the sandbox at one step of the handshake.
pub fn fault(path: &str, fault: &Value) -> Value {
    crate::upstream::with(json!({ "path": path }), fault)
}

/// Printed with a test that fails, or with `--nocapture`.
#[expect(clippy::print_stdout, reason = "what a test has counted, and from which seed")]
fn say(text: &str) {
    println!("{text}");
}
