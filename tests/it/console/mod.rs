//! The console over plain HTTP: who may sign in, from where, and what the pages say.

mod accounts;
mod audit;
mod calls;
pub mod explore;
mod explore_charts;
mod explore_form;
mod forwarded;
mod key_limits;
pub mod keys;
mod links;
mod overview;
pub mod rules;
mod sessions;
mod start;
mod usage;
mod webhooks;

use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};

pub const SIGN_IN: &str = "/console/sign-in";
const COOKIE: &str = "countersign-console";

/// A browser as far as tests need one: it sends its cookie, and says where its forms come from.
pub struct Visitor<'a> {
    gateway: &'a TestGateway,
    http: reqwest::Client,
    cookie: String,
}

impl Visitor<'_> {
    fn with_cookie<'a>(gateway: &'a TestGateway, cookie: &str) -> Visitor<'a> {
        let stay = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().no_proxy().redirect(stay).build().unwrap();
        Visitor { gateway, http, cookie: cookie.to_owned() }
    }

    pub fn stranger(gateway: &TestGateway) -> Visitor<'_> {
        Visitor::with_cookie(gateway, "")
    }

    pub async fn with_key<'a>(gateway: &'a TestGateway, key: &str) -> Visitor<'a> {
        let stranger = Visitor::stranger(gateway);
        let answer = stranger.send(SIGN_IN, &[("key", key)]).await;
        assert_eq!(answer.status, 303);
        let starts = ["/console/", "/console/start", "/console/explore"];
        assert!(starts.contains(&answer.header("location")));
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Visitor::with_cookie(gateway, &cookie)
    }

    /// Signed in with full rights.
    pub async fn admin(gateway: &TestGateway) -> Visitor<'_> {
        Visitor::with_key(gateway, &gateway.new_admin_key().await).await
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        let ask = Ask::new(&self.http, &self.gateway.admin_url, method, path);
        let ask = if self.cookie.is_empty() { ask } else { ask.header("cookie", &self.cookie) };
        ask.header("sec-fetch-site", "same-origin")
    }

    pub async fn open(&self, path: &str) -> Answer {
        self.ask("GET", path).send().await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Ask {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = self.ask("POST", path).header("origin", &self.gateway.admin_url);
        ask.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.form(path, fields).send().await
    }
}

/// A page's text as a browser reads it.
fn plain(page: &Answer) -> String {
    let text = page.text();
    let escapes = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    escapes.iter().fold(text, |text, (escape, plain)| text.replace(escape, plain))
}

/// The text of the element with that id.
#[track_caller]
fn text_of(page: &Answer, id: &str) -> String {
    let text = page.text();
    let found = text.split(&format!(" id=\"{id}\"")).nth(1).expect("something has that id");
    found.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
}

/// A page with this status and all the headers that protect it.
#[track_caller]
pub fn is_page(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"),
        "{policy}"
    );
    assert!(
        policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(!answer.text().contains("<script>") && !answer.text().contains("style=\""));
}
