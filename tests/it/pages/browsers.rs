//! Pages in Chromium, on origins of their own: what works, what a page may know of a refusal, and what is kept from it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use countersign::model::Origin;
use countersign::model::key::Right;
use countersign::server::{self, Front, Life, Listener, Listeners, SignInLink};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::browser::chromium::{Browser, Chromium};
use crate::database::{Database, Kind, fresh};
use crate::gateway::{TestGateway, listen, settings, trusting};
use crate::pages::{Pages, ask_at};
use crate::program::front::{Authority, Front as Tls};

/// An empty page at an address of its own.
const EMPTY: &str = "<!doctype html><title>A page</title><h1>A page</h1>";

/// Serves one page to everybody.
async fn page(text: &'static str) -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = client.read(&mut request).await;
                let mut answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_owned();
                let _ = write!(
                    answer,
                    "Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                    text.len()
                );
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

/// A way to a gateway, which can be led to another one.
#[derive(Clone)]
struct Way {
    url: String,
    to: Arc<Mutex<Option<String>>>,
    open: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Way {
    async fn to(gateway: &TestGateway) -> Way {
        let (listener, url) = listen().await;
        let way = Way { url, to: Arc::default(), open: Arc::default() };
        way.leads_to(Some(gateway));
        let (to, open) = (Arc::clone(&way.to), Arc::clone(&way.open));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                // Nobody there: the connection ends.
                let Some(server) = to.lock().unwrap().clone() else { continue };
                let passing = tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
                open.lock().unwrap().push(passing.abort_handle());
            }
        });
        way
    }

    /// Cuts all connections, and leads new ones there.
    fn leads_to(&self, gateway: Option<&TestGateway>) {
        let address = gateway.map(|gateway| gateway.url.replace("http://", ""));
        *self.to.lock().unwrap() = address;
        self.open.lock().unwrap().drain(..).for_each(|passing| passing.abort());
    }
}

/// The demo's page in front of a gateway, at an address of its own and behind TLS.
struct Shown {
    gateway: TestGateway,
    key: String,
    url: String,
    tls: String,
}

impl Shown {
    async fn before(gateway: TestGateway, address: &str, database: &Database) -> Shown {
        let (socket, url) = listen().await;
        let of_page = url.replace("http://", "");
        let tls = Tls::before(&of_page, &Authority::new("ours"), "localhost", |_| ()).await.url;
        let origins = [&url, &tls].map(|origin| Origin::parse(origin).unwrap());
        let key = gateway
            .new_key(|key| {
                key.scopes.rights = [Right::Browser].into();
                key.scopes.origins = origins.to_vec();
            })
            .await;
        gateway.inner.catch_up_once().await.unwrap();
        let front = Front {
            sign_in: SignInLink::new("x".into(), "".into(), String::new()),
            key: key.as_str().into(),
            origins: origins.to_vec(),
            gateway: address.to_owned(),
            posts: gateway.sandbox.ids("alice", 3),
        };
        serve(&gateway, socket, front, database).await;
        Shown { gateway, key, url, tls }
    }
}

async fn serve(gateway: &TestGateway, socket: TcpListener, front: Front, database: &Database) {
    let proxies = trusting("");
    let listener = |socket| Listener::new(socket, &proxies);
    let listeners = Listeners {
        callers: listener(listen().await.0),
        operators: listener(listen().await.0),
        front: Some((listener(socket), front)),
    };
    let (inner, clock) = (gateway.inner.clone(), gateway.sandbox.clock.clone());
    let limits = settings(&gateway.sandbox, &database.settings()).limits;
    tokio::spawn(async move {
        let metrics = countersign::telemetry::start_metrics();
        server::serve(listeners, inner, metrics, &limits, clock, Life::default()).await;
    });
}

impl Browser {
    /// Waits until the page has asked and said so.
    async fn reports(&self, words: &str) {
        self.find(&format!("//*[@id='state'][normalize-space()='{words}']")).await;
    }

    async fn count(&self, selector: &str) -> Value {
        self.run(&format!("return document.querySelectorAll({selector:?}).length")).await
    }

    /// What a page learns that asks with this token: status and code, or the kind of error.
    async fn learns(&self, gateway: &str, token: &str) -> String {
        let script = format!(
            "return fetch('{gateway}/v1/engagement', {{
                method: 'POST', body: '{{}}',
                headers: {{ Authorization: 'Bearer {token}', 'Content-Type': 'application/json' }},
            }}).then(async it => `${{it.status}} ${{(await it.json()).code ?? 'numbers'}}`, it => it.name)"
        );
        self.run(&script).await.as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_page_shows_charts_over_tls_and_without() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let address = gateway.url.clone();
    let shown = Shown::before(gateway, &address, &database).await;
    let chromium = Chromium::start().await;
    for url in [&shown.url, &shown.tls] {
        let browser = chromium.browser().await;
        browser.open(url).await;
        browser.reports("Up to date.").await;
        assert_eq!(browser.count("figure svg[role=img]").await, 3, "{url}");
        assert_eq!(browser.count("figure table").await, 3, "{url}");
        let kept = "return Object.keys(localStorage).length + Object.keys(sessionStorage).length + document.cookie.length";
        assert_eq!(browser.run(kept).await, 0);
        assert_eq!(browser.complaints().await, [""; 0], "{url}");
    }
}

/// The page's clock may say anything: only the time that passes counts.
#[tokio::test]
async fn a_token_is_renewed_across_its_end_with_a_clock_that_is_an_hour_off() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let address = gateway.url.clone();
    let shown = Shown::before(gateway, &address, &database).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&shown.url).await;
    browser.reports("Up to date.").await;
    for off in ["+ 3600e3", "- 7200e3"] {
        browser.run(&format!("const now = Date.now; Date.now = () => now() {off}")).await;
        shown.gateway.sandbox.clock.forward(time::Duration::minutes(11));
        shown.gateway.inner.catch_up_once().await.unwrap();
        let before = shown.gateway.arrived("/insights").await.len();
        browser.press("Ask again").await;
        browser.reports("Up to date.").await;
        assert!(shown.gateway.arrived("/insights").await.len() > before);
    }
}

#[tokio::test]
async fn a_page_recovers_when_the_gateway_is_started_again_under_it() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let way = Way::to(&gateway).await;
    let again = TestGateway::build(gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let shown = Shown::before(gateway, &way.url, &database).await;
    again.inner.catch_up_once().await.unwrap();
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&shown.url).await;
    browser.reports("Up to date.").await;
    way.leads_to(None);
    browser.press("Ask again").await;
    browser.reports("Asking…").await;
    way.leads_to(Some(&again));
    browser.reports("Up to date.").await;
}

#[tokio::test]
async fn a_page_whose_token_was_withdrawn_says_so_and_goes_on_with_a_new_one() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let address = gateway.url.clone();
    let shown = Shown::before(gateway, &address, &database).await;
    let other =
        TestGateway::build(shown.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    browser.open(&shown.url).await;
    browser.reports("Up to date.").await;
    let pages = Pages { gateway: shown.gateway, key: shown.key };
    let token = pages.plain_token().await;
    // The page's policy lets it ask the one replica alone.
    let at_other = async || {
        let ask = ask_at(&other, &token, &json!({})).header("origin", &shown.url);
        ask.send().await
    };
    assert_eq!(browser.learns(&pages.gateway.url, &token).await, "200 numbers");
    assert_eq!(at_other().await.status, 200);
    pages.gateway.inner.withdraw_tokens(&pages.key, None, "test").await.unwrap();
    other.inner.catch_up_once().await.unwrap();
    assert_eq!(browser.learns(&pages.gateway.url, &token).await, "401 token_withdrawn");
    at_other().await.is_own(401, "token_withdrawn");
    browser.press("Ask again").await;
    browser.reports("3 of 3 charts have no numbers.").await;
    browser.reads("the token was withdrawn, or the key that made it has ended").await;
    pages.gateway.sandbox.clock.forward(time::Duration::SECOND);
    browser.press("Ask again").await;
    browser.reports("Up to date.").await;
}

/// Nothing can be read but by pages of the token's origins; the operator learns who tried.
#[tokio::test]
async fn other_origins_can_read_nothing_but_why_if_the_key_has_them() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let address = gateway.url.clone();
    let [own, second, foreign] = [page(EMPTY).await, page(EMPTY).await, page(EMPTY).await];
    let tls_of = async |page: &str| {
        Tls::before(&page.replace("http://", ""), &Authority::new("ours"), "localhost", |_| ())
            .await
            .url
    };
    let (own_tls, foreign_tls) = (tls_of(&own).await, tls_of(&own).await);
    let key = gateway
        .new_key(|key| {
            key.scopes.rights = [Right::Browser].into();
            let origins = [&own, &second, &own_tls];
            key.scopes.origins = origins.map(|origin| Origin::parse(origin).unwrap()).to_vec();
        })
        .await;
    gateway.inner.catch_up_once().await.unwrap();
    let pages = Pages { gateway, key };
    let body = json!({ "origins": [own, own_tls], "question": pages.question() });
    let token = pages.token(&body).await;
    let chromium = Chromium::start().await;
    let browser = chromium.browser().await;
    let localhost = own.replace("127.0.0.1", "localhost");
    for (url, learns) in [
        (&own, "200 numbers"),
        (&own_tls, "200 numbers"),
        (&second, "403 origin_not_allowed"),
        (&foreign, "TypeError"),
        // Another name, another scheme and port.
        (&localhost, "TypeError"),
        (&foreign_tls, "TypeError"),
    ] {
        browser.open(url).await;
        assert_eq!(browser.learns(&address, &token).await, learns, "{url}");
    }
    // Documents without an origin of their own: a sandboxed frame and a file.
    browser.open(&own).await;
    let framed = format!(
        "return new Promise(told => {{
            onmessage = it => told(it.data);
            const frame = document.createElement('iframe');
            frame.sandbox = 'allow-scripts';
            frame.srcdoc = `<script>fetch('{address}/v1/engagement', {{
                method: 'POST', body: '{{}}',
                headers: {{ Authorization: 'Bearer {token}', 'Content-Type': 'application/json' }},
            }}).then(it => it.status, it => it.name).then(it => parent.postMessage(origin + ' ' + it, '*'))</` + `script>`;
            document.body.append(frame);
        }})"
    );
    assert_eq!(browser.run(&framed).await, "null TypeError");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, EMPTY).unwrap();
    browser.open(&format!("file://{}", file.display())).await;
    assert_eq!(browser.learns(&address, &token).await, "TypeError");
    // A page that holds a key instead of a token.
    browser.open(&own).await;
    assert_eq!(browser.learns(&address, &pages.key).await, "403 key_leaked");

    pages.gateway.inner.settle_refusals().await.unwrap();
    let audited = pages.gateway.audited("page.refused").await;
    for origin in [&second, &foreign, &localhost, &foreign_tls, "null"] {
        let is_told =
            |entry: &(String, String, String)| entry.2.contains(&format!(", from {origin}: "));
        assert!(audited.iter().any(is_told), "{origin}: {audited:?}");
    }
}
