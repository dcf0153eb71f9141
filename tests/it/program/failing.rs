//! How `serve` fails: in the form of its log, whatever is wrong.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;

use crate::database::{Database, Kind, fresh, on_both};
use crate::program::deployment::{Deployment, Output};

/// The only line, as JSON: a log line with the error and the exit code.
#[track_caller]
fn logged(done: &Output, code: i32) -> String {
    assert_eq!((done.code, &*done.out), (code, ""), "{done:?}");
    let line: Value = serde_json::from_str(done.err.trim_end()).expect(&done.err);
    let mut names: Vec<&String> = line.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["error", "exit_code", "level", "message", "target", "timestamp"]);
    assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"serve failed".into()));
    assert_eq!(line["exit_code"], code);
    let at = OffsetDateTime::parse(line["timestamp"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(at.offset().is_utc());
    line["error"].as_str().unwrap().to_owned()
}

/// Words for people, on standard error.
#[track_caller]
fn said(done: &Output, code: i32) -> String {
    assert_eq!((done.code, &*done.out), (code, ""), "{done:?}");
    done.err.strip_prefix("countersign: ").expect(&done.err).trim_end().to_owned()
}

/// Asserts that `serve` fails for this reason, in either form.
async fn fails(deployment: &mut Deployment, code: i32, part: &str) {
    deployment.set("LOG__FORMAT", "json");
    let logged = logged(&deployment.run(&["serve"]).await, code);
    assert!(logged.contains(part), "{part}: {logged}");
    deployment.set("LOG__FORMAT", "human");
    assert_eq!(said(&deployment.run(&["serve"]).await, code), logged);
}

async fn fatal_errors_have_the_form_of_the_log(database: Database) {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (key, value, code, part) in [
        ("LOG__LEVEL", "loud", 78, "1 setting is invalid:\nlog.level (COUNTERSIGN__LOG__LEVEL): "),
        ("VAULT__KEYS", "", 78, "vault.keys (default): expected an entry"),
        ("SERVER__LISTEN", &*taken, 69, "(server.listen): "),
        (
            "DATABASE__URL",
            "postgres://canary:canary@127.0.0.1:1/x",
            69,
            "the database is unavailable",
        ),
        ("DATABASE__MIGRATE", "false", 1, "run `countersign migrate`"),
    ] {
        let mut deployment = Deployment::new(&database).await;
        deployment.set("DATABASE__WAIT", "500ms");
        deployment.set(key, value);
        fails(&mut deployment, code, part).await;
    }
}

on_both!(fatal_errors_have_the_form_of_the_log);

#[tokio::test]
async fn the_form_is_known_even_if_the_settings_cannot_all_be_read() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let file = deployment.folder.path().join("countersign.toml");
    deployment.environment.insert("COUNTERSIGN_CONFIG".to_owned(), "countersign.toml\n".to_owned());
    fails(&mut deployment, 78, "config file (countersign.toml): cannot be read").await;
    std::fs::write(&file, "[broken").unwrap();
    fails(&mut deployment, 78, "config file (countersign.toml): is not valid TOML").await;
    deployment.set("LOG__FORMAT", "");
    std::fs::write(&file, "nonsense = 1\nlog.format = 'json'").unwrap();
    let told = logged(&deployment.run(&["serve"]).await, 78);
    assert!(told.contains("nonsense (countersign.toml): unknown setting"), "{told}");
    let told = logged(&deployment.run(&["--config", "countersign.toml", "serve"]).await, 78);
    assert!(told.contains("unknown setting"), "{told}");
    std::fs::write(&file, "log.format = 'xml'").unwrap();
    let told = said(&deployment.run(&["serve"]).await, 78);
    assert!(told.contains("log.format (countersign.toml): expected"), "{told}");
    // A variable that is set to nothing names no file.
    deployment.environment.insert("COUNTERSIGN_CONFIG".to_owned(), "\n".to_owned());
    deployment.must(&["migrate"]).await;
}
