//! A running sandbox with a frozen clock, and a client with its own implementation of signatures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign::model::{Clock, SystemClock};
use countersign::sandbox::{Sandbox, Settings, World, WorldApp, WorldPost, WorldUser, serve};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::http::{Answer, Ask};

pub const NOW: OffsetDateTime = datetime!(2026-03-10 21:15:30 UTC);
pub const TOTALS: &str = "/insights/engagement/totals";
pub const LAST_28H: &str = "/insights/engagement/28hr";
pub const HISTORICAL: &str = "/insights/engagement/historical";
pub const VERIFY: &str = "/1.1/account/verify_credentials.json";

/// A clock that moves only when a test moves it.
pub struct HandClock {
    begun: (OffsetDateTime, Instant),
    now: Mutex<OffsetDateTime>,
}

impl HandClock {
    pub fn at(now: OffsetDateTime) -> Arc<HandClock> {
        Arc::new(HandClock { begun: (now, SystemClock.instant()), now: Mutex::new(now) })
    }

    /// Seconds since 1970.
    pub fn now_s(&self) -> i64 {
        self.now().unix_timestamp()
    }

    pub fn forward(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        *self.now.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        let (now, instant) = self.begun;
        instant + (self.now() - now).unsigned_abs()
    }
}

/// A small world, so that listing it is quick.
pub fn small() -> Settings {
    Settings { users: 2, posts_per_user: 16, ..Settings::default() }
}

pub struct TestSandbox {
    pub inner: Sandbox,
    pub world: World,
    pub clock: Arc<HandClock>,
    pub address: String,
    http: reqwest::Client,
    nonces: AtomicU64,
}

impl TestSandbox {
    pub async fn start() -> TestSandbox {
        TestSandbox::start_with(small()).await
    }

    pub async fn start_with(settings: Settings) -> TestSandbox {
        TestSandbox::start_at(settings, NOW).await
    }

    /// At another time, for programs that use the machine's clock.
    pub async fn start_at(settings: Settings, now: OffsetDateTime) -> TestSandbox {
        let clock = HandClock::at(now);
        let inner = Sandbox::new(settings, clock.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(serve(listener, inner.clone(), pending()));
        TestSandbox {
            world: inner.world(),
            inner,
            clock,
            address,
            http: client(),
            nonces: AtomicU64::new(0),
        }
    }

    /// The same sandbox and clock once more, for a second gateway in front of it.
    pub fn again(&self) -> TestSandbox {
        TestSandbox {
            inner: self.inner.clone(),
            world: self.world.clone(),
            clock: Arc::clone(&self.clock),
            address: self.address.clone(),
            http: self.http.clone(),
            nonces: AtomicU64::new(1 << 32),
        }
    }

    pub fn app(&self, name: &str) -> &WorldApp {
        self.world.apps.iter().find(|app| app.name == name).unwrap()
    }

    pub fn user(&self, name: &str) -> &WorldUser {
        self.world.users.iter().find(|user| user.screen_name == name).unwrap()
    }

    /// The existing posts of a user, newest first.
    pub fn posts(&self, name: &str) -> Vec<&WorldPost> {
        self.user(name).posts.iter().filter(|post| post.state == "active").collect()
    }

    pub fn ids(&self, name: &str, count: usize) -> Vec<String> {
        self.posts(name).into_iter().take(count).map(|post| post.id.clone()).collect()
    }

    /// Ids of a user's oldest posts, which existed in every range that tests ask about.
    pub fn old_ids(&self, name: &str, count: usize) -> Vec<String> {
        self.posts(name).into_iter().rev().take(count).map(|post| post.id.clone()).collect()
    }

    /// A signer with the app `demo` and the user's token.
    pub fn signer(&self, name: &str) -> Signer {
        let user = self.user(name);
        let token = (user.access_token.clone(), user.access_token_secret.clone());
        Signer { token: Some(token), ..self.two_legged() }
    }

    /// A signer with the app `demo` alone.
    pub fn two_legged(&self) -> Signer {
        let app = self.app("demo");
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        Signer {
            consumer: (app.consumer_key.clone(), app.consumer_secret.clone()),
            token: None,
            nonce: format!("nonce{nonce}"),
            timestamp: self.clock.now().unix_timestamp().to_string(),
            method: "HMAC-SHA1".to_owned(),
            origin: format!("http://{}", self.address),
            more: vec![("oauth_version".to_owned(), "1.0".to_owned())],
        }
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.app("demo").bearer_token)
    }

    pub fn basic(&self) -> String {
        let app = self.app("demo");
        basic(&app.consumer_key, &app.consumer_secret)
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let origin = format!("http://{}", self.address);
        Ask::new(&self.http, &origin, method, path).header("accept-encoding", "gzip")
    }

    /// A `POST` of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Ask {
        let ask = self.ask("POST", path).header("content-type", "application/json");
        ask.body(body.to_string())
    }

    /// A `POST` of a form.
    pub fn form(&self, path: &str, body: &str) -> Ask {
        let form = "application/x-www-form-urlencoded;charset=UTF-8";
        self.ask("POST", path).header("content-type", form).body(body)
    }

    /// The answer to that body with the user's own token.
    pub async fn own(&self, name: &str, path: &str, body: &Value) -> Answer {
        self.post(path, body).signed(&self.signer(name)).send().await
    }

    /// The answer to that body with the bearer token.
    pub async fn public(&self, body: &Value) -> Answer {
        self.post(TOTALS, body).header("authorization", &self.bearer()).send().await
    }

    /// A `PUT` of JSON to the sandbox's own interface.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        let ask = self.ask("PUT", path).header("content-type", "application/json");
        ask.body(body.to_string()).send().await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path).send().await.json()
    }
}

/// A client that follows no redirects and uses no proxy.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub fn basic(key: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{key}:{secret}")))
}

/// A request body with one grouping called `g`.
pub fn body(ids: &[String], types: &[&str], levels: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": types, "groupings": { "g": { "group_by": levels } } })
}

/// Adds fields to a request body.
pub fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The inputs of a signature; tests change single fields.
#[derive(Clone)]
pub struct Signer {
    pub consumer: (String, String),
    pub token: Option<(String, String)>,
    pub nonce: String,
    pub timestamp: String,
    pub method: String,
    pub origin: String,
    pub more: Vec<(String, String)>,
}

impl Signer {
    /// The header for a request; `parameters` are those of query and form.
    pub fn header(&self, method: &str, path: &str, parameters: &[(&str, &str)]) -> String {
        let mut own: BTreeMap<&str, &str> = BTreeMap::from([
            ("oauth_consumer_key", &*self.consumer.0),
            ("oauth_nonce", &self.nonce),
            ("oauth_signature_method", &self.method),
            ("oauth_timestamp", &self.timestamp),
        ]);
        own.extend(self.token.iter().map(|(token, _)| ("oauth_token", &**token)));
        own.extend(self.more.iter().map(|(name, value)| (&**name, &**value)));

        let all = own.iter().map(|(name, value)| (*name, *value)).chain(parameters.iter().copied());
        let mut all: Vec<String> =
            all.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        all.sort();
        let url = escape(&format!("{}{path}", self.origin));
        let base = format!("{method}&{url}&{}", escape(&all.join("&")));
        let secret = self.token.as_ref().map_or("", |token| &token.1);
        let key = format!("{}&{}", escape(&self.consumer.1), escape(secret));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        let signature = BASE64.encode(hmac::sign(&key, base.as_bytes()));

        own.insert("oauth_signature", &signature);
        let written: Vec<String> =
            own.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        format!("OAuth {}", written.join(", "))
    }
}

pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            write!(escaped, "%{byte:02X}").unwrap();
        }
    }
    escaped
}

/// The sum of all leaves, each of which is a decimal string.
pub fn leaves(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => fields.values().map(leaves).sum(),
        Value::String(text) => text.parse().unwrap(),
        other => panic!("a leaf is a string, not {other}"),
    }
}

/// A map's keys, sorted.
pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}
