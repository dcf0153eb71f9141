//! `countersign check` on sound and on broken deployments.

use std::path::Path;

use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::program::deployment::Deployment;

/// Runs `check`; gives the lines about failures.
async fn failing(deployment: &Deployment) -> Vec<String> {
    let done = deployment.run(&["check"]).await;
    let failing: Vec<String> =
        done.out.lines().filter(|line| line.starts_with("FAIL")).map(str::to_owned).collect();
    let code = match &*failing {
        [] => 0,
        [line] if line.starts_with("FAIL  config") => 78,
        _ => 1,
    };
    assert_eq!(done.code, code, "{done:?}");
    assert!(done.out.lines().count() >= failing.len(), "{done:?}");
    let app = deployment.sandbox.app("demo");
    for secret in [&app.consumer_secret, &app.bearer_token] {
        assert!(!format!("{done:?}").contains(secret.as_str()), "{done:?}");
    }
    failing
}

/// Asserts that one line says what fails, and contains this.
async fn only_fails(deployment: &Deployment, part: &str) {
    let lines = failing(deployment).await;
    assert!(lines.len() == 1 && lines[0].contains(part), "{lines:?}");
}

async fn a_sound_deployment_passes_line_by_line(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let done = deployment.run(&["check"]).await;
    assert_eq!((done.code, &*done.err), (0, ""), "{done:?}");
    let whats: Vec<&str> = done.out.lines().map(|line| line.split(':').next().unwrap()).collect();
    let expected = [
        "ok    config",
        "ok    vault ring",
        "ok    database",
        "ok    schema",
        "ok    vault",
        "ok    app demo",
        "-     callback demo",
        "ok    quota demo",
        "ok    clock",
        "all 8 checks passed",
    ];
    assert_eq!(whats, expected, "{}", done.out);
    assert!(done.out.contains("config: 1 app\n"), "{}", done.out);
    let json = deployment.run(&["check", "--json"]).await;
    let lines: Vec<serde_json::Value> = serde_json::from_str(&json.out).unwrap();
    let checks: Vec<&str> = lines.iter().map(|line| line["check"].as_str().unwrap()).collect();
    let same: Vec<&str> = whats[..whats.len() - 1].iter().map(|what| what[6..].trim()).collect();
    assert_eq!((json.code, checks), (0, same));
    assert_eq!(lines[0], json!({ "check": "config", "result": "ok", "detail": "1 app" }));

    deployment.set("VAULT__KEYS", "otherkey=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
    only_fails(&deployment, "vault: cannot open").await;
    let json = deployment.run(&["check", "--json"]).await;
    let lines: Vec<serde_json::Value> = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, lines.iter().filter(|line| line["result"] == "fail").count()), (1, 1));
}

async fn a_callback_that_x_does_not_know_is_told(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    deployment.set("SERVER__PUBLIC_URL", "https://gateway.example.com");
    let callback = "https://gateway.example.com/connect/callback";
    let done = deployment.run(&["check"]).await;
    let taken = format!("ok    callback demo: X takes {callback}\n");
    assert!(done.code == 0 && done.out.contains(&taken), "{done:?}");
    deployment.sandbox.put("/sandbox/switches", json!({ "callbacks": ["oob"] })).await;
    let done = deployment.run(&["check"]).await;
    assert!(done.code == 0 && done.out.contains("warn  callback demo: "), "{done:?}");
    deployment.sandbox.put("/sandbox/switches", json!({ "callbacks": [callback] })).await;
    assert!(deployment.run(&["check"]).await.out.contains(&taken));
}

async fn each_thing_that_is_broken_has_its_line(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    only_fails(&deployment, "`countersign migrate`").await;
    deployment.prepare().await;

    deployment.sandbox.clock.forward(time::Duration::minutes(2));
    only_fails(&deployment, "clock").await;
    deployment.sandbox.clock.forward(time::Duration::minutes(-2));

    deployment
        .sandbox
        .put("/sandbox/faults", json!([{ "kind": "status", "status": 503, "path": "/oauth2/" }]))
        .await;
    only_fails(&deployment, "app demo").await;
    deployment.sandbox.put("/sandbox/faults", json!([])).await;

    deployment.sandbox.put("/sandbox/switches", json!({ "unlisted_apps": ["demo"] })).await;
    only_fails(&deployment, "ask your account manager at X to authorize its application id").await;
    deployment.sandbox.put("/sandbox/switches", json!({ "unlisted_apps": [] })).await;

    deployment.set("APPS__DEMO__CONSUMER_SECRET", "wrongwrongwrong");
    only_fails(&deployment, "app demo").await;

    // Neither is minted, so each is tried as it is.
    deployment.set("APPS__DEMO__APP_ONLY", "two_legged");
    only_fails(&deployment, "app demo: X rejects its consumer key").await;
    deployment.set("APPS__DEMO__APP_ONLY", "bearer");
    deployment.set("APPS__DEMO__BEARER_TOKEN", "bogus");
    only_fails(&deployment, "app demo: X rejects its bearer token").await;
    deployment
        .set("APPS__DEMO__BEARER_TOKEN", &deployment.sandbox.app("demo").bearer_token.clone());
    assert!(failing(&deployment).await.is_empty());

    for part in ["DATA_URL", "API_URL"] {
        // Nothing listens on port 1.
        deployment.set(&format!("UPSTREAM__{part}"), "http://127.0.0.1:1");
    }
    let done = deployment.run(&["check"]).await;
    assert_eq!(done.out.matches("could not be reached").count(), 1, "{}", done.out);
    assert!(done.out.contains("clock: not compared"), "{}", done.out);

    deployment.set("DATABASE__WAIT", "500ms");
    deployment.set("DATABASE__URL", "postgres://canary:canary@127.0.0.1:1/canary");
    let lines = failing(&deployment).await;
    assert!(
        lines.len() == 1 && lines[0].contains("database") && !lines[0].contains("canary"),
        "{lines:?}"
    );

    deployment.set("LOG__LEVEL", "loud");
    only_fails(&deployment, "config").await;
}

async fn the_quota_has_a_line_that_says_from_where_it_is_known(database: Database) {
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let line = async |deployment: &Deployment| {
        let done = deployment.run(&["check"]).await;
        let line = done.out.lines().find(|line| line.contains(" quota demo: "));
        line.unwrap_or_else(|| panic!("{done:?}")).to_owned()
    };
    // Its answer to the test call says nothing of limits.
    let silent = json!([{ "kind": "status", "status": 400, "path": "/insights/" }]);
    deployment.sandbox.put("/sandbox/faults", silent).await;
    assert_eq!(
        line(&deployment).await,
        "-     quota demo: unknown until X's answers report it; scope app+kind+endpoint, mode enforce"
    );
    for (name, value) in
        [("PER_MINUTE", "600"), ("PER_SECOND", "1"), ("SCOPE", "app"), ("MODE", "observe")]
    {
        deployment.set(&format!("APPS__DEMO__QUOTA__{name}"), value);
    }
    assert_eq!(
        line(&deployment).await,
        "-     quota demo: 600 calls per minute (quota.per_minute), 1 call per second \
         (quota.per_second), unless X's answers report another; scope app, mode observe"
    );
    deployment.sandbox.put("/sandbox/faults", json!([])).await;
    deployment
        .sandbox
        .put("/sandbox/switches", json!({ "per_minute": 300, "per_second": 20 }))
        .await;
    assert_eq!(
        line(&deployment).await,
        "ok    quota demo: 300 calls per minute, 20 calls per second, as X reports; scope app, mode observe"
    );
}

on_both!(
    a_callback_that_x_does_not_know_is_told,
    a_sound_deployment_passes_line_by_line,
    the_quota_has_a_line_that_says_from_where_it_is_known,
    each_thing_that_is_broken_has_its_line
);

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn wrong_settings_exit_like_those_of_serve() {
    let database = fresh(Kind::Sqlite).await;
    for (key, value, what) in [
        ("LOG__LEVEL", "loud", "FAIL  config: 1 setting is invalid:\n"),
        ("VAULT__KEYS", "", "FAIL  vault ring: no vault key is configured"),
        (
            "DATABASE__URL",
            "sqlite://x.db?mode=memory",
            "FAIL  database: the database settings are invalid",
        ),
    ] {
        let mut deployment = Deployment::new(&database).await;
        deployment.set(key, value);
        let done = deployment.run(&["check"]).await;
        assert!(done.code == 78 && done.out.contains(what), "{key}: {done:?}");
        assert_eq!(deployment.run(&["serve"]).await.code, 78, "{key}");
    }
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    let done = deployment.run(&["check"]).await;
    let missing = "FAIL  database: the database is unavailable: ";
    assert!(done.out.contains(missing) && done.out.contains("test.db does not exist"), "{done:?}");
    assert_eq!(done.code, 1, "{done:?}");
    deployment.set("DATABASE__URL", "");
    let done = deployment.run(&["check"]).await;
    assert!(done.out.contains("countersign.db does not exist; `countersign migrate`"), "{done:?}");
    for folder in [database.folder(), deployment.folder.path()] {
        assert!(names(folder).is_empty(), "{:?}", names(folder));
    }
    deployment.must(&["migrate"]).await;
    deployment.must(&["check"]).await;
    assert_eq!(names(deployment.folder.path()), ["countersign.db"]);
    deployment.set("LOG__LEVEL", "loud");
    assert_eq!(deployment.run(&["check"]).await.code, 78);
    assert_eq!(names(deployment.folder.path()), ["countersign.db"]);
}
