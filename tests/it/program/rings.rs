//! The vault's ring and other settings, reloaded by replicas while they serve.

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

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::RING;
use crate::http::Ask;
use crate::program::deployment::{Deployment, Output, Running};
use crate::upstream::{TOTALS, body};

/// A deadline for tests that fail.
const PATIENCE: Duration = Duration::from_mins(1);
const NEWER: &str = "newerkey=IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";

/// The commands by which the manual has an operator change the vault's key, step by step.
fn steps() -> Vec<String> {
    let manual = include_str!("../../../docs/operating.md");
    let section = manual.split_once("\n## Changing the vault's key").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let blocks = section.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    blocks.map(|block| block.trim().to_owned()).collect()
}

/// A deployment whose ring is in a file, and whose shell finds the program by its name.
fn with_ring_file(deployment: &mut Deployment) {
    let folder = deployment.folder.path();
    fs::write(folder.join("vault_keys"), format!("{RING}\n")).unwrap();
    fs::set_permissions(folder.join("vault_keys"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink(env!("CARGO_BIN_EXE_countersign"), folder.join("countersign")).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    deployment.environment.insert("PATH".to_owned(), path);
    deployment.set("VAULT__KEYS", "");
    deployment.set("VAULT__KEYS_FILE", "vault_keys");
}

async fn shell(deployment: &Deployment, script: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(deployment.folder.path());
    command.env_clear().envs(&deployment.environment);
    let done = Running::of(command).end().await;
    assert_eq!(done.code, 0, "{script}: {done:?}");
    done
}

/// Polls the replicas until each is as wanted.
async fn each_replica(deployment: &Deployment, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let looking = async {
        loop {
            let status = deployment.must(&["vault", "status", "--json"]).await;
            let status: Value = serde_json::from_str(&status).unwrap();
            let replicas = status["replicas"].as_array().unwrap().clone();
            if replicas.iter().all(&wanted) {
                return replicas;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("a replica never has the ring")
}

fn call(deployment: &Deployment, running: &Running, key: &str, metric: &str) -> Ask {
    let body = body(&deployment.sandbox.ids("alice", 1), &[metric], &["tweet.id"]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Ask::new(&http, &running.url, "POST", TOTALS)
        .header("x-api-key", key)
        .header("countersign-account", "@alice")
        .header("countersign-auth", if metric == "favorites" { "app" } else { "user" })
        .body(body.to_string())
}

/// Makes calls of each kind on each replica, and uses keys of one on another, until stopped; each call must succeed.
struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

impl Load {
    async fn begin(deployment: &Deployment, replicas: &[Running]) -> Load {
        let (key, admin) =
            (deployment.key("reports", &[]).await, deployment.key("boss", &["--admin"]).await);
        let (is_over, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for (index, replica) in replicas.iter().enumerate() {
            let other = &replicas[(index + 1) % replicas.len()];
            let (private, public) = (
                call(deployment, replica, &key, "impressions"),
                call(deployment, replica, &key, "favorites"),
            );
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let admin = format!("Bearer {admin}");
            let create = Ask::new(&http, &replica.admin_url, "POST", "/admin/v1/keys")
                .header("authorization", &admin)
                .header("content-type", "application/json");
            let with_new = call(deployment, other, &key, "impressions");
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

    /// Returns after that many more rounds, so that some requests were made under the settings now in force.
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
    replica["vault_keys"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

async fn the_manuals_steps_change_the_vaults_key_under_load_and_no_call_fails(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    with_ring_file(&mut deployment);
    deployment.prepare().await;
    let replicas = [deployment.serve().await, deployment.serve().await];
    let mut load = Load::begin(&deployment, &replicas).await;
    load.goes_on().await;
    let [add, look, activate, rotate, remove] = &steps()[..] else { panic!("{:?}", steps()) };

    shell(&deployment, add).await;
    let listed = each_replica(&deployment, |replica| keys_of(replica).len() == 2).await;
    assert_eq!(listed.len(), 2);
    let new = keys_of(&listed[0])[1].to_owned();
    assert!(shell(&deployment, look).await.out.contains(&format!("testkey1 {new}")));
    load.goes_on().await;

    shell(&deployment, activate).await;
    each_replica(&deployment, |replica| replica["vault_active"] == *new).await;
    load.goes_on().await;

    let rotated = shell(&deployment, rotate).await;
    assert!(
        rotated.out.contains("resealed ") && rotated.err.contains("can be removed from vault.keys"),
        "{rotated:?}"
    );
    load.goes_on().await;

    shell(&deployment, remove).await;
    each_replica(&deployment, |replica| keys_of(replica) == [&*new]).await;
    load.goes_on().await;
    load.end().await;

    let status: Value =
        serde_json::from_str(&deployment.must(&["vault", "status", "--json"]).await).unwrap();
    assert_eq!(status["records"].as_object().unwrap().keys().collect::<Vec<_>>(), [&new]);
    let active = deployment.must(&["account", "list", "--state", "active", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&active).unwrap().as_array().unwrap().len(), 2);
    let after = deployment.serve().await;
    let key = deployment.key("afterwards", &[]).await;
    call(&deployment, &after, &key, "impressions").send().await.is_relayed(200);
}

async fn sealing_waits_for_replicas_that_lack_the_key(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let running = deployment.serve().await;
    let replicas = each_replica(&deployment, |_| true).await;
    assert_eq!((replicas.len(), keys_of(&replicas[0])), (1, vec!["testkey1"]));
    deployment.set("VAULT__KEYS", &format!("{NEWER},{RING}"));
    for command in [&["vault", "rotate"][..], &["key", "create", "early"], &["account", "connect"]]
    {
        let refused = deployment.run(command).await;
        assert_eq!(refused.code, 78, "{refused:?}");
        for part in
            ["newerkey", replicas[0]["id"].as_str().unwrap(), replicas[0]["host"].as_str().unwrap()]
        {
            assert!(refused.err.contains(part), "{refused:?}");
        }
    }
    running.signal(Signal::TERM);
    running.end().await;
    assert_eq!(
        each_replica(&deployment, |_| true).await,
        [] as [Value; 0],
        "it took itself off the list"
    );
    assert!(deployment.must(&["vault", "rotate"]).await.contains(" records with newerkey"));
}

async fn a_replica_that_was_killed_is_forgotten(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let (mut killed, left) = (deployment.serve().await, deployment.serve().await);
    let before = each_replica(&deployment, |_| true).await;
    assert_eq!(before.len(), 2);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    database.run("update replica set heard_at = heard_at - 1000").await;
    let looking = async { while each_replica(&deployment, |_| true).await.len() != 1 {} };
    tokio::time::timeout(PATIENCE, looking).await.expect("the one that is left says that it lives");
    drop(left);
}

on_both!(
    the_manuals_steps_change_the_vaults_key_under_load_and_no_call_fails,
    sealing_waits_for_replicas_that_lack_the_key,
    a_replica_that_was_killed_is_forgotten
);

#[tokio::test]
async fn settings_are_read_anew_when_their_files_change_and_at_sighup() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let (settings, secret) = (
        deployment.folder.path().join("countersign.toml"),
        deployment.folder.path().join("secret"),
    );
    let write = |level: &str, more: &str| {
        fs::write(&settings, format!("log.level = {level:?}\n{more}\n")).unwrap();
    };
    write("info", "");
    fs::write(&secret, "wrongwrongwrong").unwrap();
    deployment.environment.insert("COUNTERSIGN_CONFIG".to_owned(), settings.display().to_string());
    deployment.set("APPS__DEMO__CONSUMER_SECRET", "");
    deployment.set("APPS__DEMO__CONSUMER_SECRET_FILE", "secret");
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| Ask::new(&http, &running.admin_url, "GET", path);
    let named =
        |name: &str| call(&deployment, &running, &key, "impressions").header("x-request-id", name);
    named("before").send().await.is_relayed(401);

    // No signal: the changed file is noticed.
    fs::write(&secret, &deployment.sandbox.app("demo").consumer_secret).unwrap();
    running.err.wait_for("the app's credentials were reloaded").await;
    named("after").send().await.is_relayed(200);

    write("nonsense", "");
    let refused = running.err.wait_for("could not be applied in full").await;
    assert!(refused.contains("log.level"), "{refused}");
    assert!(get("/readyz").send().await.text().contains("could not be applied in full"));
    named("still").send().await.is_relayed(200);

    write("info", "apps.other.consumer_key = 'k'\napps.other.consumer_secret = 's'");
    running.signal(Signal::HUP);
    running.err.wait_for("restart to use it").await;
    running.err.wait_for("the settings were reloaded\"").await;
    assert_eq!(get("/readyz").send().await.json()["status"], "ready");

    let taken = async || {
        let metrics = get("/metrics").send().await.text();
        let line = metrics.lines().find(|line| line.contains("reloads_total{outcome=\"taken\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = taken().await;
    write("error", "");
    running.signal(Signal::HUP);
    while taken().await == before {}
    named("quiet").send().await.is_relayed(200);
    write("info", "");
    running.signal(Signal::HUP);
    running.err.wait_for("the settings were reloaded\"").await;
    named("loud").send().await.is_relayed(200);
    running.err.wait_for("\"loud\"").await;
    assert!(!running.err.text().contains("\"quiet\""), "{}", running.err.text());
}

#[tokio::test]
async fn a_mounted_ring_that_is_replaced_is_taken() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let folder = deployment.folder.path().to_owned();
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
    deployment.set("VAULT__KEYS", "");
    deployment.set("VAULT__KEYS_FILE", "ring");
    deployment.prepare().await;
    let running = deployment.serve().await;
    mount("..2", &format!("{RING}\n{NEWER}\n"));
    let line = running.err.wait_for("the vault keys were reloaded").await;
    assert!(line.contains("testkey1 newerkey"), "{line}");
    // Everything is sealed with a key that this ring lacks.
    mount("..3", NEWER);
    let line = running.err.wait_for("could not be applied in full").await;
    assert!(line.contains("testkey1 (account demo/"), "{line}");
}

async fn commands_that_seal_refuse_a_ring_that_does_not_fit(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.set("SERVER__PUBLIC_URL", "https://countersign.example.com");
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    deployment.must(&["account", "connect"]).await;
    let links: Value =
        serde_json::from_str(&deployment.must(&["account", "links", "--json"]).await).unwrap();
    let link = links[0]["id"].as_str().unwrap().to_owned();
    let made = deployment.must(&["webhook", "add", "https://hooks.example.com/", "--json"]).await;
    let hook = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(
        deployment
            .must(&["check"])
            .await
            .contains("all 7 stored secrets can be opened: 7 sealed with testkey1")
    );

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
    deployment.set("VAULT__KEYS", NEWER);
    for command in sealing {
        let refused = deployment.run_with(command, &deployment.lines(&["alice"])).await;
        assert_eq!(refused.code, 78, "{command:?}: {refused:?}");
        for part in ["testkey1", &id, &hooked, "account demo/", "link demo"] {
            assert!(refused.err.contains(part), "{command:?}: {refused:?}");
        }
    }
    // The same id with another key.
    deployment.set("VAULT__KEYS", &NEWER.replace("newerkey", "testkey1"));
    for command in sealing {
        let refused = deployment.run_with(command, &deployment.lines(&["alice"])).await;
        assert_eq!(refused.code, 78, "{command:?}: {refused:?}");
        let told = format!("{id} cannot be opened");
        assert!(refused.err.contains(&told) && refused.err.contains("testkey1"), "{refused:?}");
    }

    deployment.set("VAULT__KEYS", NEWER);
    deployment.must(&["key", "revoke", &key[4..16]]).await;
    deployment.must(&["account", "withdraw", &link]).await;
    deployment.must(&["webhook", "remove", &hook]).await;
    deployment.must(&["account", "remove", "@bob"]).await;
    deployment.set("VAULT__KEYS", RING);
    let status: Value =
        serde_json::from_str(&deployment.must(&["vault", "status", "--json"]).await).unwrap();
    assert_eq!(status["records"], json!({ "testkey1": 2 }), "alice's token alone is left");
    let running = deployment.serve().await;
    call(&deployment, &running, &key, "favorites").send().await.is_own(401, "unknown_key");
}

on_both!(commands_that_seal_refuse_a_ring_that_does_not_fit);
