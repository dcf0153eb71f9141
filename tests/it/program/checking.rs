//! `countersign check` on deployments that are sound and on broken ones.

use serde_json::json;

use crate::database::on_both;
use crate::program::deployment::Deployment;

/// Runs it; gives the lines that say what fails.
async fn failing(it: &Deployment) -> Vec<String> {
    let done = it.run(&["check"]).await;
    let failing: Vec<String> =
        done.out.lines().filter(|it| it.starts_with("FAIL")).map(str::to_owned).collect();
    assert_eq!(done.code, i32::from(!failing.is_empty()), "{done:?}");
    assert!(done.out.lines().count() >= failing.len(), "{done:?}");
    let app = it.bench.app("demo");
    for secret in [&app.consumer_secret, &app.bearer_token] {
        assert!(!format!("{done:?}").contains(secret.as_str()), "{done:?}");
    }
    failing
}

on_both! {
    async fn a_sound_deployment_passes_line_by_line(database: Database) {
        let mut it = Deployment::new(&database).await;
        it.prepare().await;
        let done = it.run(&["check"]).await;
        assert_eq!((done.code, &*done.err), (0, ""), "{done:?}");
        let whats: Vec<&str> = done.out.lines().map(|it| it.split(':').next().unwrap()).collect();
        let expected = ["ok    config", "ok    vault ring", "ok    database", "ok    schema", "ok    vault", "ok    app demo", "ok    clock", "all 7 checks passed"];
        assert_eq!(whats, expected, "{}", done.out);
        assert!(done.out.contains("config: 1 app\n"), "{}", done.out);

        it.set("VAULT__KEYS", "otherkey=ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("vault: does not open"), "{lines:?}");
    }

    async fn each_thing_that_is_broken_has_its_line(database: Database) {
        let mut it = Deployment::new(&database).await;
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("schema") && lines[0].contains("countersign migrate"), "{lines:?}");
        it.prepare().await;

        it.bench.clock.forward(time::Duration::minutes(2));
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("clock"), "{lines:?}");
        it.bench.clock.forward(time::Duration::minutes(-2));

        it.bench.put("/sandbox/faults", json!([{ "kind": "status", "status": 503, "path": "/oauth2/" }])).await;
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("app demo"), "{lines:?}");
        it.bench.put("/sandbox/faults", json!([])).await;

        it.set("APPS__DEMO__CONSUMER_SECRET", "wrongwrongwrong");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("app demo"), "{lines:?}");

        // Neither is minted, so each is tried as it is.
        it.set("APPS__DEMO__APP_ONLY", "two_legged");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("app demo: X rejects its consumer key"), "{lines:?}");
        it.set("APPS__DEMO__APP_ONLY", "bearer");
        it.set("APPS__DEMO__BEARER_TOKEN", "bogus");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("app demo: X rejects its bearer token"), "{lines:?}");
        it.set("APPS__DEMO__BEARER_TOKEN", &it.bench.app("demo").bearer_token.clone());
        assert!(failing(&it).await.is_empty());

        for part in ["DATA_URL", "API_URL"] {
            // Port 1 is nobody's.
            it.set(&format!("UPSTREAM__{part}"), "http://127.0.0.1:1");
        }
        let done = it.run(&["check"]).await;
        assert_eq!(done.out.matches("could not be reached").count(), 1, "{}", done.out);
        assert!(done.out.contains("clock: not compared"), "{}", done.out);

        it.set("DATABASE__WAIT", "500ms");
        it.set("DATABASE__URL", "postgres://canary:canary@127.0.0.1:1/canary");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("database") && !lines[0].contains("canary"), "{lines:?}");

        it.set("LOG__LEVEL", "loud");
        let lines = failing(&it).await;
        assert!(lines.len() == 1 && lines[0].contains("config"), "{lines:?}");
    }
}
