//! Backup and restore as `docs/operating.md` has it: a call works on a restored database with its ring, and without it
//! nothing starts.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::database::{Database, Kind, fresh, setting};
use crate::http::Ask;
use crate::manual::blocks::commands_of;
use crate::program::deployment::{Deployment, Running};
use crate::upstream::{TOTALS, body};

/// A ring that sealed nothing.
const OTHER_RING: &str = "otherkey=IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";

/// The commands under a heading of the operators' manual.
fn steps(heading: &str) -> Vec<String> {
    let blocks = commands_of("docs/operating.md").into_iter();
    blocks.filter(|block| block.heading == heading).map(|block| block.text).collect()
}

/// Runs a step in a folder; it must work.
async fn shell(
    deployment: &Deployment,
    folder: &Path,
    variables: &[(&str, &str)],
    step: &str,
) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let path =
        format!("{}:{}:/usr/bin:/bin", setting("COUNTERSIGN_TEST_PG_BIN"), program.display());
    let mut command = Command::new("/bin/sh");
    command.args(["-euc", step]).current_dir(folder).env_clear();
    command.envs(&deployment.environment).envs(variables.iter().copied()).env("PATH", path);
    let done = Running::of(command).end().await;
    assert_eq!(done.code, 0, "{step}: {done:?}");
    done.out
}

/// A call that only alice's own stored token can sign.
async fn call(deployment: &Deployment, gateway: &Running, key: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let call = Ask::new(&http, &gateway.url, "POST", TOTALS)
        .header("x-api-key", key)
        .header("countersign-account", "@alice")
        .body(body.to_string());
    call.send().await.is_relayed(200);
}

/// A restored database, which the settings name, works with the ring that belongs to it and with no other.
async fn works_with_its_ring_alone(deployment: &mut Deployment, key: &str) {
    let folder = deployment.folder.path().to_owned();
    let checked = shell(deployment, &folder, &[], "countersign check").await;
    let opens_all =
        checked.contains("can be opened: ") && checked.contains(" sealed with testkey1");
    assert!(opens_all, "{checked}");
    let gateway = deployment.serve().await;
    call(deployment, &gateway, key).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.end().await.code, 0);

    let ring = deployment.environment["COUNTERSIGN__VAULT__KEYS"].clone();
    deployment.set("VAULT__KEYS", OTHER_RING);
    let refused = deployment.run(&["serve"]).await;
    assert_eq!(refused.code, 78, "{refused:?}");
    for part in ["testkey1", "account demo/", &format!("key {}", &key[4..16])] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    deployment.set("VAULT__KEYS", "");
    let refused = deployment.run(&["serve"]).await;
    assert!(refused.code == 78 && refused.err.contains("vault.keys"), "{refused:?}");
    deployment.set("VAULT__KEYS", &ring);
}

/// Migrates, connects accounts, makes a key and serves.
async fn begin(deployment: &Deployment) -> (String, Running) {
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let gateway = deployment.serve().await;
    call(deployment, &gateway, &key).await;
    (key, gateway)
}

/// The address of a database on the tests' server, as PostgreSQL's own programs take deployment.
fn address(database: &Database) -> String {
    let server = setting("COUNTERSIGN_TEST_POSTGRES");
    server.replace("/postgres?", &format!("/{}?", database.name()))
}

#[tokio::test]
async fn a_postgresql_dump_restored_elsewhere_works_with_its_ring_alone() {
    let [dump, restore, check] = &steps("Dumping PostgreSQL")[..] else {
        panic!("{:?}", steps("Dumping PostgreSQL"))
    };
    assert_eq!(check, "countersign check");
    let (before, after) = (fresh(Kind::Postgres).await, fresh(Kind::Postgres).await);
    let mut deployment = Deployment::new(&before).await;
    let (key, _running) = begin(&deployment).await;
    let folder = deployment.folder.path().to_owned();
    shell(&deployment, &folder, &[("DATABASE_URL", &address(&before))], dump).await;
    shell(&deployment, &folder, &[("NEW_DATABASE_URL", &address(&after))], restore).await;
    deployment.set("DATABASE__URL", after.settings().url.expose());
    works_with_its_ring_alone(&mut deployment, &key).await;
}

#[tokio::test]
async fn an_sqlite_copy_put_elsewhere_works_with_its_ring_alone() {
    let [backup, compact, restore] = &steps("Dumping SQLite")[..] else {
        panic!("{:?}", steps("Dumping SQLite"))
    };
    let mut deployment = Deployment::new(&fresh(Kind::Sqlite).await).await;
    let folder = |name: &str| {
        let folder = deployment.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let (before, after, small) = (folder("before"), folder("after"), folder("small"));
    let url = |folder: &Path| format!("sqlite://{}/countersign.db", folder.display());
    deployment.set("DATABASE__URL", &url(&before));
    let (key, _running) = begin(&deployment).await;
    shell(&deployment, &before, &[], backup).await;
    shell(&deployment, &before, &[], compact).await;

    // An older database was there, with what a killed gateway leaves beside deployment.
    for name in ["countersign.db", "countersign.db-wal", "countersign.db-shm"] {
        fs::write(after.join(name), "of an older database").unwrap();
    }
    fs::copy(before.join("countersign-backup.db"), after.join("countersign-backup.db")).unwrap();
    shell(&deployment, &after, &[], restore).await;
    deployment.set("DATABASE__URL", &url(&after));
    works_with_its_ring_alone(&mut deployment, &key).await;

    fs::copy(before.join("countersign-compact.db"), small.join("countersign.db")).unwrap();
    deployment.set("DATABASE__URL", &url(&small));
    works_with_its_ring_alone(&mut deployment, &key).await;
}
