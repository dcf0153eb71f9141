//! A gateway for a test: ports of its own, a database, the sandbox as upstream, and one frozen clock for all of it.

use std::time::Duration;

use countersign::config::{self, Config, Proxies};
use countersign::gateway::{Gateway, Import, ImportEvents, NewKey};
use countersign::model::key::{Right, Role};
use countersign::model::{Endpoint, Origin, Secret, UserId};
use countersign::server::{self, Life, Listener, Listeners};
use countersign::store::Store;
use countersign::telemetry;
use countersign::vault::Vault;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::http::{Answer, Ask};
use crate::upstream::TestSandbox;

/// The vault's ring in tests.
pub const RING: &str = "testkey1=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The origin of pages that may ask, in tests and in the API's examples.
pub const ORIGIN: &str = "https://app.example.com";

/// The sandbox and a gateway in front of it; drop it to stop both.
pub struct TestGateway {
    pub sandbox: TestSandbox,
    pub inner: Gateway,
    pub store: Store,
    /// Where callers are served, as `http://…`.
    pub url: String,
    /// Where operators are served.
    pub admin_url: String,
    /// A key for everything that the app `demo` may do.
    pub key: String,
    pub life: Life,
    pub http: reqwest::Client,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl TestGateway {
    /// With alice's and bob's accounts connected.
    pub async fn start(database: &Database) -> TestGateway {
        TestGateway::start_with(database, |_| ()).await
    }

    /// The same, with the settings changed first.
    pub async fn start_with(database: &Database, change: impl FnOnce(&mut Config)) -> TestGateway {
        TestGateway::build(TestSandbox::start().await, &database.settings(), change).await
    }

    /// In front of a sandbox that is already running, on a database that other gateways may share.
    pub async fn build(
        sandbox: TestSandbox,
        database: &config::Database,
        change: impl FnOnce(&mut Config),
    ) -> TestGateway {
        let (callers, url) = listen().await;
        let (operators, admin_url) = listen().await;
        let mut config = settings(&sandbox, database);
        config.connect.public_url = Some(url.clone());
        change(&mut config);
        let store = Store::connect(&config.database).await.unwrap();
        store.migrate(countersign::model::Clock::now(&*sandbox.clock)).await.unwrap();
        let vault = Vault::new(&config.vault).unwrap();
        let inner = Gateway::new(&config, store.clone(), vault, sandbox.clock.clone()).unwrap();
        inner.catch_up_once().await.unwrap();
        let life = Life::default();
        let callers = Listener::new(callers, &config.server.trusted_proxies);
        let operators = Listener::new(operators, &config.admin.trusted_proxies);
        let (served, limits, clock, told) =
            (inner.clone(), config.limits.clone(), sandbox.clock.clone(), life.clone());
        let serving = tokio::spawn(async move {
            let metrics = telemetry::start_metrics();
            let listeners = Listeners { callers, operators, front: None };
            server::serve(listeners, served, metrics, &limits, clock, told).await;
        });
        let tasks = vec![serving, tokio::spawn(inner.follow())];
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut gateway = TestGateway {
            sandbox,
            inner,
            store,
            url,
            admin_url,
            key: String::new(),
            life,
            http,
            tasks,
        };
        gateway.connect(&["alice", "bob"]).await;
        gateway.key = gateway.new_key(|_| ()).await;
        gateway
    }

    /// Returns once both listeners are closed and nothing is in flight.
    pub async fn stopped(&mut self) {
        self.tasks.remove(0).await.unwrap();
    }

    /// Connects users of the sandbox, with their tokens for the app `demo`.
    pub async fn connect(&self, names: &[&str]) {
        let imports: Vec<Import> = names.iter().map(|name| self.import_of(name)).collect();
        self.inner
            .import_accounts(Some("demo"), &imports, ImportEvents::Each, "test", |_| ())
            .await
            .unwrap();
    }

    pub fn import_of(&self, name: &str) -> Import {
        let user = self.sandbox.user(name);
        Import {
            line: 1,
            user_id: user.user_id.clone(),
            screen_name: user.screen_name.clone(),
            access_token: Secret::from(&*user.access_token),
            access_token_secret: Secret::from(&*user.access_token_secret),
        }
    }

    /// Creates a key for callers; `change` narrows it. Names need not be unique.
    pub async fn new_key(&self, change: impl FnOnce(&mut NewKey)) -> String {
        self.make_key(Role::Caller, change).await
    }

    /// A key for callers that may do everything besides querying, for pages of [`ORIGIN`].
    pub async fn mighty_key(&self) -> String {
        self.new_key(|key| {
            key.scopes.rights = Right::of(Role::Caller).iter().copied().collect();
            key.scopes.origins = vec![Origin::parse(ORIGIN).unwrap()];
        })
        .await
    }

    pub async fn new_admin_key(&self) -> String {
        self.make_key(Role::Owner, |_| ()).await
    }

    /// A read-only admin key.
    pub async fn auditor_key(&self) -> String {
        self.make_key(Role::Auditor, |_| ()).await
    }

    /// An admin key that explores and sees usage, and nothing else.
    pub async fn analyst_key(&self) -> String {
        self.make_key(Role::Analyst, |_| ()).await
    }

    /// A read-only admin key that may explore, too.
    pub async fn exploring_auditor_key(&self) -> String {
        self.make_key(Role::Auditor, |key| key.scopes.rights = [Right::Explore].into()).await
    }

    async fn make_key(&self, role: Role, change: impl FnOnce(&mut NewKey)) -> String {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut new = NewKey { role, name: format!("key {number}"), ..NewKey::default() };
        new.scopes.app = (role == Role::Caller).then(|| "demo".to_owned());
        change(&mut new);
        self.inner.create_key(new, "test").await.unwrap().1.expose().to_owned()
    }

    pub fn id(&self, name: &str) -> UserId {
        UserId::parse(&self.sandbox.user(name).user_id).unwrap()
    }

    /// A request to the callers' listener with the gateway's own key and no other header.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        let bearer = format!("Bearer {}", self.key);
        Ask::new(&self.http, &self.url, method, path).header("authorization", &bearer)
    }

    /// A call by a client that was written for the gateway.
    pub fn call(&self, endpoint: Endpoint, body: &Value) -> Ask {
        let ask = self.ask("POST", endpoint.path()).header("content-type", "application/json");
        let ask = ask.header("accept", "application/json, application/problem+json");
        ask.header("accept-encoding", "gzip").body(body.to_string())
    }

    /// A call as that user.
    pub fn call_as(&self, name: &str, endpoint: Endpoint, body: &Value) -> Ask {
        self.call(endpoint, body).header("countersign-account", &self.sandbox.user(name).user_id)
    }

    /// A request to the operators' listener with an admin key.
    pub fn admin(&self, key: &str, method: &str, path: &str) -> Ask {
        Ask::new(&self.http, &self.admin_url, method, path)
            .header("authorization", &format!("Bearer {key}"))
    }

    /// The calls that reached the upstream at a path or below it, in order of arrival.
    pub async fn arrived(&self, path: &str) -> Vec<Value> {
        let calls = self.sandbox.get(&format!("/sandbox/calls?path={path}")).await;
        calls.as_array().unwrap().clone()
    }

    /// Makes the sandbox produce these faults.
    pub async fn order(&self, faults: Value) {
        let answer = self.sandbox.put("/sandbox/faults", faults).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// How often each ordered fault occurred.
    pub async fn fired(&self) -> Vec<u64> {
        let list = self.sandbox.get("/sandbox/faults").await;
        list.as_array().unwrap().iter().map(|fault| fault["fired"].as_u64().unwrap()).collect()
    }
}

impl Answer {
    /// The answer is the gateway's own, with this status and code, in one of the documented forms.
    #[track_caller]
    pub fn is_own(&self, status: u16, code: &str) {
        let body = self.json();
        if self.header("content-type") == "application/json" {
            let told = (self.status.as_u16(), self.header("countersign-error"));
            assert_eq!(told, (status, code), "{body}");
            assert!(body["errors"][0].is_string(), "{body}");
            return;
        }
        assert_eq!((self.status.as_u16(), body["code"].as_str()), (status, Some(code)), "{body}");
        assert_eq!(self.header("countersign-error"), code);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        assert_eq!(body["errors"][0], body["detail"]);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(body["type"].is_string() && body["title"].is_string(), "{body}");
    }

    /// The answer is the upstream's, with this status.
    #[track_caller]
    pub fn is_relayed(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("countersign-error"), "", "{}", self.text());
    }
}

/// The settings of a gateway in front of the sandbox, except for its public URL.
pub fn settings(sandbox: &TestSandbox, database: &config::Database) -> Config {
    let app = sandbox.app("demo");
    let upstream = format!("http://{}", sandbox.address);
    let set = [
        ("UPSTREAM__DATA_URL", &*upstream),
        ("UPSTREAM__API_URL", &upstream),
        ("UPSTREAM__ALLOW_HTTP", "true"),
        ("APPS__DEMO__CONSUMER_KEY", &app.consumer_key),
        ("APPS__DEMO__CONSUMER_SECRET", &app.consumer_secret),
        ("VAULT__KEYS", RING),
    ];
    let environment = set.map(|(key, value)| (format!("COUNTERSIGN__{key}"), value.to_owned()));
    let parsed =
        config::parse(None, &environment.into(), &|_| Err("tests read no files".to_owned()));
    let mut config = parsed.map_err(|error| error.to_string()).unwrap();
    config.database = config::Database { poll: Duration::from_millis(50), ..database.clone() };
    config
}

/// Proxies as the settings parse them.
pub fn trusting(list: &str) -> Proxies {
    let set = [("COUNTERSIGN__ADMIN__TRUSTED_PROXIES".to_owned(), list.to_owned())];
    let parsed = config::parse(None, &set.into(), &|_| Err("tests read no files".to_owned()));
    parsed.map_err(|error| error.to_string()).unwrap().admin.trusted_proxies
}

pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}
