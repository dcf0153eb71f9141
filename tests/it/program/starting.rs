//! How the program refuses to start: with all problems at once, or in one clear line, and a telling exit code.

use countersign::store::Store;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::RING;
use crate::http::Ask;
use crate::program::deployment::{Deployment, Output};

/// The one line that reports a failure.
#[track_caller]
fn one_line(done: &Output, code: i32) -> String {
    assert_eq!(done.code, code, "{done:?}");
    let reports =
        |line: &&str| line.starts_with("countersign: ") || line.contains("\"serve failed\"");
    let told: Vec<&str> = done.err.lines().filter(reports).collect();
    let [line] = told[..] else { panic!("{done:?}") };
    assert_eq!(done.err.lines().last(), Some(line), "{done:?}");
    line.to_owned()
}

/// What a command says that refuses its settings; `serve` logs it as JSON.
#[track_caller]
fn refusal(done: &Output) -> String {
    assert_eq!((done.code, &*done.out), (78, ""), "{done:?}");
    match serde_json::from_str::<Value>(&done.err) {
        Ok(line) => line["error"].as_str().unwrap().to_owned(),
        Err(_) => done.err.strip_prefix("countersign: ").unwrap().trim_end().to_owned(),
    }
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once_and_none_is_shown() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("SERVER__LISTEN", "canary1");
    deployment.set("SERVER__LISTENN", "canary2");
    deployment.set("LIMITS__HEADER_BYTES", "-5");
    deployment.set("UPSTREAM__DATA_URL", "https://user:canary3@x.com/path");
    deployment.set("APPS__DEMO__CONSUMER_SECRET", "canary4 canary5");
    deployment.set("VAULT__KEYS", "canary6=canary7");
    deployment.set("DATABASE__URL", "mysql://root:canary8@db/x");
    for command in [
        &["serve"][..],
        &["migrate"],
        &["key", "list"],
        &["account", "list"],
        &["vault", "rotate"],
        &["healthcheck"],
    ] {
        let told = refusal(&deployment.run(command).await);
        assert!(told.starts_with("7 settings are invalid:\n"), "{command:?}: {told}");
        for key in [
            "server.listen",
            "SERVER__LISTENN",
            "limits.header_bytes",
            "upstream.data_url",
            "apps.demo.consumer_secret",
            "vault.keys",
            "database.url",
        ] {
            let key = key.to_lowercase().replace("__", ".");
            assert!(told.to_lowercase().replace("__", ".").contains(&key), "{key}: {told}");
        }
        assert!(!told.contains("canary"), "{told}");
        assert_eq!(told.lines().count(), 8, "{told}");
    }
}

#[tokio::test]
async fn a_missing_ring_is_told_with_the_other_wrong_settings() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("VAULT__KEYS", "");
    for command in [&["migrate"][..], &["config"], &["vault", "generate-key"]] {
        deployment.must(command).await;
    }
    deployment.set("LOG__FORMAT", "xml");
    for command in [&["serve"][..], &["key", "list"], &["account", "list"], &["vault", "status"]] {
        let told = refusal(&deployment.run(command).await);
        assert!(told.starts_with("2 settings are invalid:\n"), "{told}");
        assert!(told.contains("vault.keys (default): expected an entry"), "{told}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_or_no_toml_is_a_wrong_setting() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let done = deployment.run(&["serve", "--config", "nowhere.toml"]).await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(done.err.contains("nowhere.toml"), "{done:?}");
    std::fs::write(deployment.folder.path().join("odd.toml"), "[vault]\nkeys = [\"canary\n")
        .unwrap();
    let done = deployment.run(&["--config", "odd.toml", "serve"]).await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(done.err.contains("odd.toml") && !done.err.contains("canary"), "{done:?}");
}

#[tokio::test]
async fn commands_that_read_no_settings_refuse_a_file_of_them() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let commands =
        [&["sandbox"][..], &["demo"], &["config"], &["vault", "generate-key"], &["sandbox", "-h"]];
    for command in commands {
        for arguments in [
            [command, &["--config", "x.toml"]].concat(),
            [&["--config", "x.toml"], command].concat(),
        ] {
            let done = deployment.run(&arguments).await;
            if command.contains(&"-h") {
                assert!(done.code == 0 && !done.out.contains("--config"), "{done:?}");
                continue;
            }
            assert_eq!((done.code, &*done.out), (2, ""), "{done:?}");
            assert!(
                done.err.contains("does not read settings") && done.err.contains("--config"),
                "{done:?}"
            );
        }
    }
    assert!(deployment.must(&["serve", "--help"]).await.contains("--config"));
}

#[tokio::test]
async fn the_sandbox_starts_with_its_switches_set() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    let set =
        ["per_minute=7", "echo_end=now", "history_floor=2014-09-01", "unlisted_apps=[\"demo\"]"];
    let switches = set.iter().flat_map(|switch| ["--switch", switch]);
    let arguments: Vec<_> =
        ["sandbox", "--listen", "127.0.0.1:0"].into_iter().chain(switches).collect();
    let running = deployment.start(&arguments);
    let line = running.out.wait_for("listening on").await;
    let (url, _) = line.split_once("listening on ").unwrap().1.split_once(';').unwrap();
    let ask = async |method: &str, path: &str| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Ask::new(&http, url, method, path).send().await
    };
    let first = ask("GET", "/sandbox/switches").await.json();
    for (name, value) in [
        ("per_minute", json!(7)),
        ("echo_end", json!("now")),
        ("history_floor", json!("2014-09-01")),
        ("unlisted_apps", json!(["demo"])),
        ("per_second", json!(10_000)),
    ] {
        assert_eq!(first[name], value);
    }
    assert_eq!(ask("POST", "/sandbox/reset").await.status, 204);
    assert_eq!(ask("GET", "/sandbox/switches").await.json(), first);
}

#[tokio::test]
async fn switches_that_cannot_be_set_are_told_with_what_would_be_right() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    for (switches, told) in [
        (&["speed=1"][..], &["speed: no such switch", "per_minute", "unlisted_apps"][..]),
        (&["echo_end=later"], &["echo_end: ", "`ceil` or `now`"]),
        (&["per_minute=many", "two_legged_ok=1"], &["per_minute: ", "two_legged_ok: ", "boolean"]),
        (&["per_minute"], &["per_minute: expected NAME=VALUE"]),
    ] {
        let switches = switches.iter().flat_map(|switch| ["--switch", switch]);
        let line = one_line(
            &deployment.run(&["sandbox"].into_iter().chain(switches).collect::<Vec<_>>()).await,
            78,
        );
        assert!(told.iter().all(|text| line.contains(text)), "{line}");
    }
}

#[tokio::test]
async fn a_taken_port_is_one_line() {
    let database = fresh(Kind::Sqlite).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = taken.local_addr().unwrap().to_string();
    for (setting, name) in [("SERVER__LISTEN", "server.listen"), ("ADMIN__LISTEN", "admin.listen")]
    {
        let mut deployment = Deployment::new(&database).await;
        deployment.set(setting, &at);
        let line = one_line(&deployment.run(&["serve"]).await, 69);
        assert!(line.contains(name) && line.contains(&at), "{line}");
    }
    let deployment = Deployment::new(&database).await;
    let line = one_line(&deployment.run(&["sandbox", "--listen", &at]).await, 69);
    assert!(line.contains(&at), "{line}");
    let ports = ["--listen", "--admin-listen", "--front-listen", "--sandbox-listen"];
    for name in ports {
        let mut arguments = vec!["demo"];
        arguments.extend(
            ports
                .iter()
                .flat_map(|option| [*option, if *option == name { &*at } else { "127.0.0.1:0" }]),
        );
        let line = one_line(&deployment.run(&arguments).await, 69);
        assert!(line.contains(name) && line.contains(&at), "{line}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_one_line_without_its_password() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("DATABASE__WAIT", "500ms");
    // Nothing listens on port 1.
    for url in ["postgres://canary:canary@127.0.0.1:1/canary", "sqlite:///nowhere/at/all/x.db"] {
        deployment.set("DATABASE__URL", url);
        for command in [
            &["serve"][..],
            &["migrate"],
            &["key", "list"],
            &["account", "list", "--json"],
            &["vault", "status"],
        ] {
            let done = deployment.run(command).await;
            let line = one_line(&done, 69);
            assert!(line.contains("database"), "{line}");
            assert!(!done.err.contains("canary"), "{done:?}");
        }
    }
}

async fn a_schema_newer_than_the_program_is_refused(database: Database) {
    let store = database.store().await;
    database
        .run(
            "insert into schema_version select 99, 'future', 99, applied_at from schema_version \
                  where version = 1",
        )
        .await;
    drop::<Store>(store);
    let deployment = Deployment::new(&database).await;
    for command in [&["serve"][..], &["migrate"], &["migrate", "--plan"], &["key", "list"]] {
        let done = deployment.run(command).await;
        assert_ne!(done.code, 0, "{done:?}");
        let code = done.code;
        let line = one_line(&done, code);
        assert!(line.contains("version 99, newer than"), "{line}");
    }
}

async fn a_later_schema_that_admits_this_program_is_served(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let later = "insert into schema_version select 99, 'future', 1, applied_at from schema_version \
                 where version = 1";
    database.run(later).await;
    let running = deployment.serve().await;
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);
    deployment.key("beside", &[]).await;
}

async fn migrating_may_be_left_to_an_operator(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.set("DATABASE__MIGRATE", "false");
    let line = one_line(&deployment.run(&["serve"]).await, 1);
    assert!(line.contains("run `countersign migrate`"), "{line}");
    let planned = deployment.run(&["migrate", "--plan"]).await;
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("create table account ("), "{planned:?}");
    let known = database.connect().await.schema().await.unwrap().known;
    let plural = if known == 1 { "" } else { "s" };
    let told = format!("{known} migration{plural} would be applied");
    assert!(planned.err.contains(&told), "{planned:?}");
    one_line(&deployment.run(&["serve"]).await, 1);
    deployment.must(&["migrate"]).await;
    let planned = deployment.run(&["migrate", "--plan"]).await;
    assert!(planned.out.is_empty() && planned.err.contains("up to date"), "{planned:?}");
    let running = deployment.serve().await;
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);
}

async fn a_schema_that_is_missing_is_said_to_be(database: Database) {
    let deployment = Deployment::new(&database).await;
    let line = one_line(&deployment.run(&["key", "list"]).await, 1);
    assert!(line.contains("countersign migrate"), "{line}");
}

async fn eight_that_start_at_once_agree_on_one_schema(database: Database) {
    let deployment = Deployment::new(&database).await;
    let migrating: Vec<_> = (0..5).map(|_| deployment.start(&["migrate"])).collect();
    let serving: Vec<_> = (0..3).map(|_| deployment.start(&["serve"])).collect();
    let mut applied = 0;
    for one in migrating {
        let done = one.end().await;
        assert_eq!(done.code, 0, "{done:?}");
        applied += usize::from(done.out.contains("applied"));
    }
    for one in serving {
        one.err.wait_for("\"serving\"").await;
        applied += usize::from(one.err.text().contains("the schema was brought up to date"));
    }
    assert_eq!(applied, 1);
}

on_both!(
    a_schema_newer_than_the_program_is_refused,
    a_later_schema_that_admits_this_program_is_served,
    migrating_may_be_left_to_an_operator,
    a_schema_that_is_missing_is_said_to_be,
    eight_that_start_at_once_agree_on_one_schema
);

#[tokio::test]
async fn key_files_are_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.set("VAULT__KEYS", "");
    deployment.set("VAULT__KEYS_FILE", "ring");
    let path = deployment.folder.path().join("ring");
    std::fs::write(&path, format!("{RING}\n")).unwrap();
    for mode in [0o644, 0o660, 0o604] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let done = deployment.run(&["migrate"]).await;
        assert_eq!(done.code, 78, "{done:?}");
        assert!(done.err.contains("expected mode 0400 or 0600"), "{done:?}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    deployment.must(&["migrate"]).await;
}

#[tokio::test]
async fn systemds_credentials_are_secrets_by_their_names() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let folder = deployment.folder.path().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    let app = deployment.sandbox.app("demo").clone();
    let names = [
        ("vault.keys", RING),
        ("apps.demo.consumer_secret", &app.consumer_secret),
        ("other", "canary"),
    ];
    for (name, text) in names {
        std::fs::write(folder.join(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o440);
        std::fs::set_permissions(folder.join(name), mode).unwrap();
    }
    deployment.set("VAULT__KEYS", "");
    deployment.set("APPS__DEMO__CONSUMER_SECRET", "");
    let file = deployment.folder.path().join("countersign.toml");
    std::fs::write(&file, "apps.demo.consumer_secret = 'of-the-file'").unwrap();
    deployment.environment.insert("COUNTERSIGN_CONFIG".to_owned(), file.display().to_string());
    deployment.environment.insert("CREDENTIALS_DIRECTORY".to_owned(), folder.display().to_string());
    deployment.prepare().await;
    let checked = deployment.must(&["check"]).await;
    assert!(checked.contains("all 8 checks passed"), "{checked}");
    let everybody =
        format!("warn  files: {} can be read by everybody on this machine", file.display());
    assert!(checked.contains(&everybody), "{checked}");
    let running = deployment.serve().await;
    assert!(
        running.err.text().contains("can be read by everybody on this machine"),
        "{}",
        running.err.text()
    );
    // The environment overrides them.
    deployment.set("APPS__DEMO__CONSUMER_SECRET", "of-the-environment");
    let checked = deployment.run(&["check"]).await;
    assert!(checked.out.contains("FAIL  app demo"), "{checked:?}");
}

#[tokio::test]
async fn a_working_directory_needs_no_writing_with_postgresql() {
    use std::os::unix::fs::PermissionsExt;
    let database = fresh(Kind::Postgres).await;
    let deployment = Deployment::new(&database).await;
    let before = std::fs::metadata(deployment.folder.path()).unwrap().permissions();
    std::fs::set_permissions(deployment.folder.path(), std::fs::Permissions::from_mode(0o555))
        .unwrap();
    let running = deployment.serve().await;
    // Root ignores the mode, so look at whether anything was written.
    assert_eq!(std::fs::read_dir(deployment.folder.path()).unwrap().count(), 0);
    drop(running);
    std::fs::set_permissions(deployment.folder.path(), before).unwrap();
}

#[tokio::test]
async fn mistakes_on_the_command_line_are_told_with_the_usage() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    for arguments in
        [&["sirve"][..], &[], &["key"], &["serve", "--listen", "nowhere"], &["key", "create"]]
    {
        let done = deployment.run(arguments).await;
        assert_eq!(done.code, 2, "{done:?}");
        assert!(done.err.contains("Usage:") || done.err.contains("--help"), "{done:?}");
    }
}
