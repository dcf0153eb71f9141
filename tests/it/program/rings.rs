//! The vault's ring and other settings, read anew by replicas that go on serving.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{Ask, TOTALS, body};
use crate::database::{Kind, fresh, on_both};
use crate::house::RING;
use crate::program::deployment::{Deployment, Output, Running};

/// Only so that a test that fails ends.
const PATIENCE: Duration = Duration::from_mins(1);
const NEWER: &str = "newerkey=IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";

/// What the manual has an operator type to change the vault's key, step by step.
fn steps() -> Vec<String> {
    let manual = include_str!("../../../docs/operating.md");
    let section = manual.split_once("\n## Changing the vault's key").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let blocks = section.split("```sh\n").skip(1).map(|it| it.split_once("```").unwrap().0);
    blocks.map(|it| it.trim().to_owned()).collect()
}

/// A deployment whose ring is in a file, and whose shell knows the program by its name.
fn with_ring_file(it: &mut Deployment) {
    let folder = it.folder.path();
    fs::write(folder.join("vault_keys"), format!("{RING}\n")).unwrap();
    fs::set_permissions(folder.join("vault_keys"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink(env!("CARGO_BIN_EXE_countersign"), folder.join("countersign")).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    it.environment.insert("PATH".to_owned(), path);
    it.set("VAULT__KEYS", "");
    it.set("VAULT__KEYS_FILE", "vault_keys");
}

async fn shell(it: &Deployment, script: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(it.folder.path());
    command.env_clear().envs(&it.environment);
    let done = Running::of(command).end().await;
    assert_eq!(done.code, 0, "{script}: {done:?}");
    done
}

/// Looks at the replicas until each is as wanted.
async fn each_replica(it: &Deployment, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let looking = async {
        loop {
            let status = it.must(&["vault", "status", "--json"]).await;
            let status: Value = serde_json::from_str(&status).unwrap();
            let replicas = status["replicas"].as_array().unwrap().clone();
            if replicas.iter().all(&wanted) {
                return replicas;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("a replica never has the ring")
}

fn call(it: &Deployment, running: &Running, key: &str, metric: &str) -> Ask {
    let body = body(&it.bench.ids("alice", 1), &[metric], &["tweet.id"]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", key)
        .header("countersign-account", "@alice")
        .header("countersign-auth", if metric == "favorites" { "app" } else { "user" })
        .body(body.to_string())
}

/// Calls of each kind on each replica, and keys made by one and used at another, until stopped; each must work.
struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

impl Load {
    async fn begin(it: &Deployment, replicas: &[Running]) -> Load {
        let (key, admin) = (it.key("reports", &[]).await, it.key("boss", &["--admin"]).await);
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for (index, replica) in replicas.iter().enumerate() {
            let other = &replicas[(index + 1) % replicas.len()];
            let (private, public) =
                (call(it, replica, &key, "impressions"), call(it, replica, &key, "favorites"));
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let admin = format!("Bearer {admin}");
            let create = Ask::new(&http, &replica.admin_url, "POST", "/admin/v1/keys")
                .header("authorization", &admin)
                .header("content-type", "application/json");
            let with_new = call(it, other, &key, "impressions");
            let (is_over, answered) = (Arc::clone(&is_over), Arc::clone(&answered));
            callers.spawn(async move {
                for number in 0.. {
                    if is_over.load(Ordering::Acquire) {
                        return;
                    }
                    private.clone().send().await.is_relayed(200);
                    public.clone().send().await.is_relayed(200);
                    let name = json!({ "name": format!("replica {index}, key {number}") });
                    let created = create.clone().body(name.to_string()).send().await;
                    assert!(created.status.is_success(), "{}", created.text());
                    let secret = created.json()["secret"].as_str().unwrap().to_owned();
                    with_new.clone().header("x-api-key", &secret).send().await.is_relayed(200);
                    answered.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        Load { is_over, answered, callers }
    }

    /// Returns once so many more rounds were answered by then, so that something was asked under what is now in force.
    async fn goes_on(&mut self) {
        let before = self.answered.load(Ordering::Acquire);
        while self.answered.load(Ordering::Acquire) < before + 4 {
            if let Some(ended) = self.callers.try_join_next() {
                ended.unwrap();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn end(mut self) {
        self.is_over.store(true, Ordering::Release);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
    }
}

fn keys_of(replica: &Value) -> Vec<&str> {
    replica["vault_keys"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

on_both! {
    async fn the_manuals_steps_change_the_vaults_key_under_load_and_no_call_fails(database: Database) {
        let mut it = Deployment::new(&database).await;
        with_ring_file(&mut it);
        it.prepare().await;
        let replicas = [it.serve().await, it.serve().await];
        let mut load = Load::begin(&it, &replicas).await;
        load.goes_on().await;
        let [add, look, activate, rotate, remove] = &steps()[..] else { panic!("{:?}", steps()) };

        shell(&it, add).await;
        let listed = each_replica(&it, |it| keys_of(it).len() == 2).await;
        assert_eq!(listed.len(), 2);
        let new = keys_of(&listed[0])[1].to_owned();
        assert!(shell(&it, look).await.out.contains(&format!("testkey1 {new}")));
        load.goes_on().await;

        shell(&it, activate).await;
        each_replica(&it, |it| it["vault_active"] == *new).await;
        load.goes_on().await;

        let rotated = shell(&it, rotate).await;
        assert!(rotated.out.contains("records sealed anew") && rotated.err.contains("may leave"), "{rotated:?}");
        load.goes_on().await;

        shell(&it, remove).await;
        each_replica(&it, |it| keys_of(it) == [&*new]).await;
        load.goes_on().await;
        load.end().await;

        let status: Value = serde_json::from_str(&it.must(&["vault", "status", "--json"]).await).unwrap();
        assert_eq!(status["records"].as_object().unwrap().keys().collect::<Vec<_>>(), [&new]);
        let active = it.must(&["account", "list", "--state", "active", "--json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&active).unwrap().as_array().unwrap().len(), 2);
        let after = it.serve().await;
        let key = it.key("afterwards", &[]).await;
        call(&it, &after, &key, "impressions").send().await.is_relayed(200);
    }

    async fn sealing_waits_for_replicas_that_lack_the_key(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.prepare().await;
        let running = it.serve().await;
        let replicas = each_replica(&it, |_| true).await;
        assert_eq!((replicas.len(), keys_of(&replicas[0])), (1, vec!["testkey1"]));
        it.set("VAULT__KEYS", &format!("{NEWER},{RING}"));
        for command in [&["vault", "rotate"][..], &["key", "create", "early"], &["account", "connect"]] {
            let refused = it.run(command).await;
            assert_eq!(refused.code, 78, "{refused:?}");
            for part in ["newerkey", replicas[0]["id"].as_str().unwrap(), replicas[0]["host"].as_str().unwrap()] {
                assert!(refused.err.contains(part), "{refused:?}");
            }
        }
        running.signal(Signal::TERM);
        running.end().await;
        assert_eq!(each_replica(&it, |_| true).await, [] as [Value; 0], "it took itself off the list");
        assert!(it.must(&["vault", "rotate"]).await.contains("sealed anew with newerkey"));
    }

    async fn a_replica_that_was_killed_is_forgotten(database: Database) {
        let it = Deployment::new(&database).await;
        it.prepare().await;
        let (mut killed, left) = (it.serve().await, it.serve().await);
        let before = each_replica(&it, |_| true).await;
        assert_eq!(before.len(), 2);
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        database.run("update replica set heard_at = heard_at - 1000").await;
        let looking = async {
            while each_replica(&it, |_| true).await.len() != 1 {}
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("the one that is left says that it lives");
        drop(left);
    }
}

#[tokio::test]
async fn settings_are_read_anew_when_their_files_change_and_at_sighup() {
    let database = fresh(Kind::Sqlite).await;
    let mut it = Deployment::new(&database).await;
    it.prepare().await;
    let key = it.key("reports", &[]).await;
    let (settings, secret) =
        (it.folder.path().join("countersign.toml"), it.folder.path().join("secret"));
    let write = |level: &str, more: &str| {
        fs::write(&settings, format!("log.level = {level:?}\n{more}\n")).unwrap();
    };
    write("info", "");
    fs::write(&secret, "wrongwrongwrong").unwrap();
    it.environment.insert("COUNTERSIGN_CONFIG".to_owned(), settings.display().to_string());
    it.set("APPS__DEMO__CONSUMER_SECRET", "");
    it.set("APPS__DEMO__CONSUMER_SECRET_FILE", "secret");
    let running = it.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| Ask::new(&http, &running.admin_url, "GET", path);
    let named = |name: &str| call(&it, &running, &key, "impressions").header("x-request-id", name);
    named("before").send().await.is_relayed(401);

    // Nobody is told: the file changed.
    fs::write(&secret, &it.bench.app("demo").consumer_secret).unwrap();
    running.err.wait_for("the app's credentials were read anew").await;
    named("after").send().await.is_relayed(200);

    write("nonsense", "");
    let refused = running.err.wait_for("not taken as they are").await;
    assert!(refused.contains("log.level"), "{refused}");
    assert!(get("/readyz").send().await.text().contains("were not taken"));
    named("still").send().await.is_relayed(200);

    write("info", "apps.other.consumer_key = 'k'\napps.other.consumer_secret = 's'");
    running.signal(Signal::HUP);
    running.err.wait_for("restart to use it").await;
    running.err.wait_for("the settings were read anew").await;
    assert_eq!(get("/readyz").send().await.json()["status"], "ready");

    let taken = async || {
        let metrics = get("/metrics").send().await.text();
        let line = metrics.lines().find(|it| it.contains("reloads_total{outcome=\"taken\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = taken().await;
    write("error", "");
    running.signal(Signal::HUP);
    while taken().await == before {}
    named("quiet").send().await.is_relayed(200);
    write("info", "");
    running.signal(Signal::HUP);
    running.err.wait_for("the settings were read anew").await;
    named("loud").send().await.is_relayed(200);
    running.err.wait_for("\"loud\"").await;
    assert!(!running.err.text().contains("\"quiet\""), "{}", running.err.text());
}

#[tokio::test]
async fn a_mounted_ring_that_is_replaced_is_taken() {
    let database = fresh(Kind::Sqlite).await;
    let mut it = Deployment::new(&database).await;
    let folder = it.folder.path().to_owned();
    let mount = |version: &str, ring: &str| {
        let into = folder.join(version);
        fs::create_dir(&into).unwrap();
        fs::write(into.join("ring"), ring).unwrap();
        fs::set_permissions(into.join("ring"), fs::Permissions::from_mode(0o440)).unwrap();
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    mount("..1", RING);
    symlink("..data/ring", folder.join("ring")).unwrap();
    it.set("VAULT__KEYS", "");
    it.set("VAULT__KEYS_FILE", "ring");
    it.prepare().await;
    let running = it.serve().await;
    mount("..2", &format!("{RING}\n{NEWER}\n"));
    let line = running.err.wait_for("the vault's ring was read anew").await;
    assert!(line.contains("testkey1 newerkey"), "{line}");
    // Everything is sealed with what this one lacks.
    mount("..3", NEWER);
    let line = running.err.wait_for("not taken as they are").await;
    assert!(line.contains("testkey1 (account demo/"), "{line}");
}

on_both! {
    async fn commands_that_seal_refuse_a_ring_that_does_not_fit(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.set("SERVER__PUBLIC_URL", "https://countersign.example.com");
        it.prepare().await;
        let key = it.key("reports", &[]).await;
        it.must(&["account", "connect"]).await;
        let links: Value = serde_json::from_str(&it.must(&["account", "links", "--json"]).await).unwrap();
        let link = links[0]["id"].as_str().unwrap().to_owned();
        let made = it.must(&["webhook", "add", "https://hooks.example.com/", "--json"]).await;
        let hook = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
        assert!(it.must(&["check"]).await.contains("opens all 7 stored secrets: 7 sealed with testkey1"));

        let sealing = [
            &["key", "create", "wrong"][..],
            &["account", "import", "--app", "demo"],
            &["account", "connect"],
            &["account", "verify", "@alice"],
            &["webhook", "add", "https://other.example.com/"],
            &["webhook", "rotate", &hook],
            &["vault", "rotate"],
            &["serve"],
        ];
        let (id, hooked) = (format!("key {}", &key[4..16]), format!("webhook {hook}"));
        it.set("VAULT__KEYS", NEWER);
        for command in sealing {
            let refused = it.run_with(command, &it.lines(&["alice"])).await;
            assert_eq!(refused.code, 78, "{command:?}: {refused:?}");
            for part in ["testkey1", &id, &hooked, "account demo/", "link demo"] {
                assert!(refused.err.contains(part), "{command:?}: {refused:?}");
            }
        }
        // The same id with other bytes.
        it.set("VAULT__KEYS", &NEWER.replace("newerkey", "testkey1"));
        for command in sealing {
            let refused = it.run_with(command, &it.lines(&["alice"])).await;
            assert_eq!(refused.code, 78, "{command:?}: {refused:?}");
            let told = format!("{id} does not open");
            assert!(refused.err.contains(&told) && refused.err.contains("testkey1"), "{refused:?}");
        }

        it.set("VAULT__KEYS", NEWER);
        it.must(&["key", "revoke", &key[4..16]]).await;
        it.must(&["account", "withdraw", &link]).await;
        it.must(&["webhook", "remove", &hook]).await;
        it.must(&["account", "remove", "@bob"]).await;
        it.set("VAULT__KEYS", RING);
        let status: Value = serde_json::from_str(&it.must(&["vault", "status", "--json"]).await).unwrap();
        assert_eq!(status["records"], json!({ "testkey1": 2 }), "alice's token alone is left");
        let running = it.serve().await;
        call(&it, &running, &key, "favorites").send().await.is_own(401, "unknown_key");
    }
}
