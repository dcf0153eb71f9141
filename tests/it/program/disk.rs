//! A disk that fills up under SQLite: whoever is known goes on being served, and what was stored stays.

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::json;

use crate::bench::{Ask, TOTALS, body};
use crate::database::{Database, Kind, fresh};
use crate::program::deployment::{Deployment, Running};

/// No signal for a write beyond the limit: it fails, as on a full disk.
const NO_SIGNAL: &str = "trap '' XFSZ; exec \"$0\" \"$@\"";

/// One whose disk can be filled.
struct Gateway<'a> {
    it: &'a Deployment,
    running: Running,
    http: reqwest::Client,
    admin: String,
}

impl Gateway<'_> {
    async fn serve<'a>(it: &'a Deployment, admin: &str) -> Gateway<'a> {
        let running = it.start_by(NO_SIGNAL, &["serve"]).serving().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Gateway { it, running, http, admin: admin.to_owned() }
    }

    /// From now on the write-ahead log, to which all is written first, grows no more.
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
        let body = body(&self.it.bench.ids("alice", 1), &[metric], &["tweet.id"]);
        let call = Ask::new(&self.http, &self.running.url, "POST", TOTALS).header("x-api-key", key);
        let account = if metric == "impressions" { "@alice" } else { "" };
        let call = call.header("countersign-account", account).body(body.to_string());
        call.send().await.is_relayed(200);
    }

    fn admin(&self, method: &str, path: &str) -> Ask {
        let ask = Ask::new(&self.http, &self.running.admin_url, method, path);
        ask.header("x-api-key", &self.admin)
    }

    fn new_key(&self, name: &str) -> Ask {
        let new = json!({ "name": name }).to_string();
        self.admin("POST", "/admin/v1/keys").header("content-type", "application/json").body(new)
    }

    fn new_account(&self, name: &str) -> Ask {
        let import = self.admin("POST", "/admin/v1/accounts");
        import.header("content-type", "application/x-ndjson").body(self.it.lines(&[name]))
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_must_be_stored_and_nothing_else() {
    let database = fresh(Kind::Sqlite).await;
    let it = Deployment::new(&database).await;
    it.prepare().await;
    let (known, unknown) = (it.key("known", &[]).await, it.key("unknown", &[]).await);
    let gateway = Gateway::serve(&it, &it.key("boss", &["--admin"]).await).await;
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
        // The last brings a bearer token that cannot be stored.
        for (key, metric) in
            [(&known, "impressions"), (&unknown, "impressions"), (&known, "favorites")]
        {
            gateway.call(key, metric).await;
        }
        // Calls are answered, those of callers not yet known too.
        let ready = Ask::new(&gateway.http, &gateway.running.url, "GET", "/readyz").send().await;
        assert_eq!(
            (ready.status.as_u16(), ready.json()),
            (200, json!({ "reasons": [], "status": "ready" }))
        );
    }
    assert!(gateway.running.err.text().contains("could not store a bearer token"));
}

#[tokio::test]
async fn a_disk_with_room_again_takes_writes_and_has_lost_none() {
    let database = fresh(Kind::Sqlite).await;
    let it = Deployment::new(&database).await;
    it.prepare().await;
    let admin = it.key("boss", &["--admin"]).await;
    let gateway = Gateway::serve(&it, &admin).await;
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

    it.must(&["check"]).await;
    let gateway = Gateway::serve(&it, &admin).await;
    for made in [before, between, gateway.new_key("refused").send().await.json()] {
        gateway.call(made["secret"].as_str().unwrap(), "impressions").await;
    }
}

#[tokio::test]
async fn a_command_on_a_full_disk_says_so_in_one_line() {
    let database = fresh(Kind::Sqlite).await;
    let it = Deployment::new(&database).await;
    it.prepare().await;
    for command in [&["key", "create", "reports"][..], &["account", "remove", "@bob"], &["serve"]] {
        let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
        let done = it.start_by(full, command).end().await;
        assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
        assert_eq!(done.err.lines().count(), 1, "{done:?}");
        assert!(done.err.contains("the database is unavailable: disk I/O error"), "{done:?}");
    }
    it.must(&["account", "verify", "@bob"]).await;
    it.key("reports", &[]).await;
}
