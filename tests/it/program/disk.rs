//! A full disk under SQLite: callers that are known are still served, and what was stored stays.

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::database::{Database, Kind, fresh};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::upstream::{TOTALS, body};

/// Ignores the signal for a write beyond the limit, so that the write fails as on a full disk.
const NO_SIGNAL: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// A gateway whose disk can be filled.
struct Gateway<'a> {
    deployment: &'a Deployment,
    running: Running,
    http: reqwest::Client,
    admin: String,
}

impl Gateway<'_> {
    async fn serve<'a>(deployment: &'a Deployment, admin: &str) -> Gateway<'a> {
        let running = deployment.start_by(NO_SIGNAL, &["serve"]).serving().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Gateway { deployment, running, http, admin: admin.to_owned() }
    }

    /// From now on the write-ahead log, to which everything is written first, cannot grow.
    fn fill_disk(&self, database: &Database) {
        let log = std::fs::metadata(database.folder().join("test.db-wal")).unwrap();
        self.limit(Some(log.len()));
    }

    fn free_disk(&self) {
        self.limit(None);
    }

    fn limit(&self, current: Option<u64>) {
        let limit = Rlimit { current, maximum: None };
        prlimit(Some(self.running.id()), Resource::Fsize, limit).unwrap();
    }

    async fn call(&self, key: &str, metric: &str) {
        let body = body(&self.deployment.sandbox.ids("alice", 1), &[metric], &["tweet.id"]);
        let call = Ask::new(&self.http, &self.running.url, "POST", TOTALS).header("x-api-key", key);
        let account = if metric == "impressions" { "@alice" } else { "" };
        let call = call.header("countersign-account", account).body(body.to_string());
        call.send().await.is_relayed(200);
    }

    fn admin(&self, method: &str, path: &str) -> Ask {
        let ask = Ask::new(&self.http, &self.running.admin_url, method, path);
        ask.header("x-api-key", &self.admin)
    }

    /// The causes of what needs attention.
    async fn causes(&self) -> Vec<String> {
        let overview = self.admin("GET", "/admin/v1/overview").send().await.json();
        let items = overview["attention"].as_array().unwrap();
        items.iter().map(|item| item["cause"].as_str().unwrap().to_owned()).collect()
    }

    fn new_key(&self, name: &str) -> Ask {
        let new = json!({ "name": name }).to_string();
        self.admin("POST", "/admin/v1/keys").header("content-type", "application/json").body(new)
    }

    fn new_account(&self, name: &str) -> Ask {
        let import = self.admin("POST", "/admin/v1/accounts");
        import.header("content-type", "application/x-ndjson").body(self.deployment.lines(&[name]))
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_must_be_stored_and_nothing_else() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let (known, unknown) =
        (deployment.key("known", &[]).await, deployment.key("unknown", &[]).await);
    let gateway = Gateway::serve(&deployment, &deployment.key("boss", &["--admin"]).await).await;
    gateway.call(&known, "impressions").await;
    gateway.fill_disk(&database);
    for _ in 0..3 {
        for refused in [
            gateway.new_key("refused"),
            gateway.new_account("alice"),
            gateway.admin("DELETE", "/admin/v1/keys/known"),
            gateway.admin("DELETE", "/admin/v1/accounts/@bob"),
        ] {
            let answer = refused.send().await;
            answer.is_own(503, "store_unavailable");
            assert_eq!(answer.header("retry-after"), "1");
            let line = gateway.running.err.wait_for("answered with an error").await;
            assert!(line.contains("disk I/O error"), "{line}");
        }
        // The last call mints a bearer token that cannot be stored.
        for (key, metric) in
            [(&known, "impressions"), (&unknown, "impressions"), (&known, "favorites")]
        {
            gateway.call(key, metric).await;
        }
        // Calls are answered, also those of callers that were not known before.
        let ready = Ask::new(&gateway.http, &gateway.running.url, "GET", "/readyz").send().await;
        assert_eq!(ready.status, 200, "{}", ready.text());
        assert!(gateway.causes().await.contains(&"database_full".to_owned()));
    }
    assert!(gateway.running.err.text().contains("could not store a bearer token"));
    gateway.free_disk();
    assert_eq!(gateway.causes().await, [""; 0]);
}

#[tokio::test]
async fn a_disk_with_room_again_takes_writes_and_has_lost_none() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let admin = deployment.key("boss", &["--admin"]).await;
    let gateway = Gateway::serve(&deployment, &admin).await;
    let before = gateway.new_key("before").send().await.json();
    gateway.fill_disk(&database);
    gateway.new_key("refused").send().await.is_own(503, "store_unavailable");
    gateway.free_disk();
    assert_eq!(gateway.new_account("bob").send().await.status, 201);
    let between = gateway.new_key("between").send().await.json();
    gateway.fill_disk(&database);
    gateway.new_key("refused").send().await.is_own(503, "store_unavailable");
    gateway.running.signal(Signal::TERM);
    let done = gateway.running.end().await;
    assert_eq!(done.code, 0, "{done:?}");

    deployment.must(&["check"]).await;
    let gateway = Gateway::serve(&deployment, &admin).await;
    for made in [before, between, gateway.new_key("refused").send().await.json()] {
        gateway.call(made["secret"].as_str().unwrap(), "impressions").await;
    }
}

#[tokio::test]
async fn a_command_on_a_full_disk_says_so_in_one_line() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    for command in [&["key", "create", "reports"][..], &["account", "remove", "@bob"], &["serve"]] {
        let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
        let done = deployment.start_by(full, command).end().await;
        assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
        assert_eq!(done.err.lines().count(), 1, "{done:?}");
        assert!(done.err.contains("the database is unavailable: disk I/O error"), "{done:?}");
    }
    deployment.must(&["account", "verify", "@bob"]).await;
    deployment.key("reports", &[]).await;
}
