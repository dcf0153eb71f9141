//! Monitoring from a shell: recent calls, the audit log, and metrics for alerts.

use countersign::model::{Clock, SystemClock};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::http::Ask;
use crate::program::deployment::{Deployment, Running};
use crate::trouble::eventually;
use crate::upstream::{TOTALS, body};

const CALLS: &[&str] = &["calls", "--json"];
const AUDIT: &[&str] = &["audit", "--json"];

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn column<'a>(lines: &'a [Value], name: &str) -> Vec<&'a str> {
    lines.iter().map(|line| line[name].as_str().unwrap()).collect()
}

async fn ask(deployment: &Deployment, running: &Running, key: &str, name: &str, id: &str) -> u16 {
    let body = json!({
        "tweet_ids": deployment.sandbox.ids("alice", 1),
        "engagement_types": ["impressions"],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = Ask::new(&http, &running.url, "POST", TOTALS)
        .header("authorization", &format!("Bearer {key}"))
        .header("content-type", "application/json")
        .header("countersign-account", name)
        .header("x-request-id", id);
    ask.body(body.to_string()).send().await.status.as_u16()
}

async fn recent_calls_are_listed_and_narrowed(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let none = deployment.run(CALLS).await;
    assert_eq!((none.code, &*none.out, &*none.err), (0, "", "no matching calls\n"));
    let (mine, other) = (deployment.key("mine", &[]).await, deployment.key("other", &[]).await);
    let running = deployment.serve().await;
    assert_eq!(ask(&deployment, &running, &mine, "@alice", "one").await, 200);
    assert_eq!(ask(&deployment, &running, &other, "@bob", "two").await, 403);
    assert_eq!(ask(&deployment, &running, &mine, "@alice", "three").await, 200);
    running.signal(Signal::TERM);
    assert_eq!(running.end().await.code, 0);

    let all = lines(&deployment.must(CALLS).await);
    assert_eq!(column(&all, "request_id"), ["three", "two", "one"]);
    assert_eq!(
        (&all[1]["status"], &all[1]["auth"], &all[1]["key"]),
        (&json!(403), &json!("user-context"), &json!(other[4..16]))
    );
    let alice = &deployment.sandbox.user("alice").user_id;
    for (words, expected) in [
        (&["--key", "other"][..], &["two"][..]),
        (&["--key", &mine[4..16]], &["three", "one"]),
        (&["--account", "@alice"], &["three", "one"]),
        (&["--account", alice, "--limit", "1"], &["three"]),
        (&["--endpoint", "28hr"], &[]),
        (&["--outcome", "failed"], &["two"]),
        (&["--outcome", "ok", "--endpoint", "totals"], &["three", "one"]),
        (&["--request-id", "one"], &["one"]),
        (&["--cause", "foreign_posts"], &["two"]),
        (&["--cause", "x_slow"], &[]),
        (&["--from", "2026-01-01", "--until", "9999-01-01"], &["three", "two", "one"]),
        (&["--until", "2026-01-01"], &[]),
        (&["--from", "9999-01-01"], &[]),
    ] {
        let done = deployment.must(&[CALLS, words].concat()).await;
        assert_eq!(column(&lines(&done), "request_id"), expected, "{words:?}");
    }
    let table = deployment.must(&["calls"]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0].split_whitespace().collect::<Vec<_>>(),
        ["ID", "TIME", "KEY", "ACCOUNT", "ENDPOINT", "POSTS", "OUTCOME", "MS", "REQUEST"]
    );
    for part in [" other ", " @bob ", " totals ", " foreign posts (403) ", " two"] {
        assert!(rows[2].contains(part), "{part}: {table}");
    }
    let told = "foreign posts: some posts are not the account's own, and X then refuses all of the call. \
                The caller has to name the author of these posts";
    assert!(rows.last().unwrap().starts_with(told), "{table}");
    assert_eq!(
        deployment.run(&["calls", "--limit", "2"]).await.err,
        "there are older calls; raise --limit to see them\n"
    );
    assert_eq!(deployment.run(&["calls", "--limit", "3"]).await.err, "");
    for (words, told) in [
        (
            &["--account", "alice"][..],
            "the account must be a user id of 1 to 19 digits or @screen_name",
        ),
        (&["--endpoint", "weekly"], "--endpoint must be totals, 28hr or historical"),
        (&["--outcome", "so"], "--outcome must be ok or failed"),
    ] {
        let done = deployment.run(&[&["calls"], words].concat()).await;
        assert_eq!((done.code, done.err), (1, format!("countersign: {told}\n")));
    }
    assert_eq!(deployment.run(&["calls", "--limit", "0"]).await.code, 2);
}

async fn the_audit_log_is_listed_and_narrowed(database: Database) {
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("odd \u{202e}", &[]).await;
    deployment.must(&["account", "remove", "@alice"]).await;
    let all = lines(&deployment.must(AUDIT).await);
    let actions = column(&all, "action");
    assert_eq!(actions[..2], ["account.removed", "key.created"]);
    assert!(
        column(&all, "actor").iter().all(|actor| actor.starts_with("cli:") && actor.len() > 4),
        "{all:?}"
    );
    let subject = format!("account:demo/{}", deployment.sandbox.user("alice").user_id);
    for (words, expected) in [
        (&["--action", "account.removed"][..], 1),
        (&["--action", "key."], 1),
        (&["--actor", "cli"], all.len()),
        (&["--actor", "key:"], 0),
        (&["--subject", &subject], 2),
        (&["--from", "2020-01-01", "--until", "9999-01-01"], all.len()),
        (&["--until", "2020-01-01"], 0),
        (&["--limit", "1"], 1),
    ] {
        let found = lines(&deployment.must(&[AUDIT, words].concat()).await);
        assert_eq!(found.len(), expected, "{words:?}: {found:?}");
    }
    let mut oldest = lines(&deployment.must(&[AUDIT, &["--order", "oldest"]].concat()).await);
    oldest.reverse();
    assert_eq!(oldest, all);
    let table = deployment.must(&["audit", "--action", "key."]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0].split_whitespace().collect::<Vec<_>>(),
        ["TIME", "ACTOR", "FROM", "ACTION", "SUBJECT", "DETAIL"]
    );
    assert!(rows[1].contains(&format!("key.created  key:{}  ", &key[4..16])), "{table}");
    assert!(!table.contains('\u{202e}'), "{table:?}");
    assert_eq!(
        deployment.run(&["audit", "--limit", "1"]).await.err,
        "there are more entries; raise --limit to see them\n"
    );
    assert_eq!(deployment.run(&["audit", "--actor", "nobody"]).await.err, "no matching entries\n");
    for (words, told) in [
        (&["--from", "soon"][..], "--from must be a date or a time such as 2026-03-01"),
        (&["--order", "up"], "--order must be newest or oldest"),
    ] {
        let done = deployment.run(&[&["audit"], words].concat()).await;
        assert_eq!((done.code, done.err), (1, format!("countersign: {told}\n")));
    }
}

on_both!(recent_calls_are_listed_and_narrowed, the_audit_log_is_listed_and_narrowed);

#[tokio::test]
async fn the_limit_of_accounts_is_a_metric_where_there_is_one() {
    let database = fresh(Kind::Sqlite).await;
    let mut deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    for (limit, is_told) in [("7", true), ("", false)] {
        deployment.set("APPS__DEMO__ACCOUNT_LIMIT", limit);
        let running = deployment.serve().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let metrics = Ask::new(&http, &running.admin_url, "GET", "/metrics").send().await.text();
        let told = |line: &str| metrics.lines().any(|shown| shown == line);
        assert!(told("countersign_accounts_used{app=\"demo\"} 0"), "{metrics}");
        assert_eq!(told("countersign_account_limit{app=\"demo\"} 7"), is_told, "{metrics}");
        assert_eq!(metrics.contains("countersign_account_limit{"), is_told, "{metrics}");
    }
}

#[tokio::test]
async fn what_needs_attention_is_a_metric_and_0_after_that() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let state = async |state: &str| {
        let set = format!("update account set state = '{state}' where screen_name = 'bob'");
        database.run(&set).await;
    };
    state("blocked").await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = Ask::new(&http, &running.admin_url, "GET", "/metrics");
    let shows = async |value: &str| {
        let line =
            format!("countersign_attention{{cause=\"account_blocked\",app=\"demo\"}} {value}");
        eventually(&metrics, |answer| answer.text().lines().any(|shown| shown == line)).await;
    };
    shows("1").await;
    state("active").await;
    shows("0").await;
}

#[tokio::test]
async fn a_page_of_something_on_the_way_is_logged_by_type_length_and_title_alone() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let running = deployment.serve().await;
    deployment.sandbox.put("/sandbox/faults", json!([{ "kind": "html", "path": TOTALS }])).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = body(&deployment.sandbox.ids("alice", 1), &["favorites"], &["tweet.id"]);
    let call = Ask::new(&http, &running.url, "POST", TOTALS).header("x-api-key", &key);
    call.body(body.to_string()).send().await.is_own(502, "upstream_odd");
    let line = running.err.wait_for("answered with an error").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let told = "not a response that X documents: text/html, 90 bytes, titled \"502 Proxy Error\"";
    assert_eq!(line["cause"], told);
    assert!(!running.err.text().contains("<h1>"), "{}", running.err.text());
}

#[tokio::test]
async fn a_question_that_reserves_much_memory_is_logged_when_it_begins() {
    let database = fresh(Kind::Sqlite).await;
    let deployment = Deployment::new(&database).await;
    deployment.prepare().await;
    let key = deployment.key("reports", &[]).await;
    let running = deployment.serve().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let all = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
    let day = |ago| (SystemClock.now() - time::Duration::days(ago)).date().to_string();
    for (id, levels) in [("small", &all[..2]), ("large", &all)] {
        let question = json!({
            "tweet_ids": deployment.sandbox.ids("alice", 16),
            "engagement_types": ["impressions", "url_clicks", "app_opens"],
            "window": {"start": day(150), "end": day(1)},
            "groupings": {"all": {"group_by": levels}},
        });
        let ask = Ask::new(&http, &running.url, "POST", "/v1/engagement");
        let ask = ask.header("x-api-key", &key).header("x-request-id", id);
        assert_eq!(ask.body(question.to_string()).send().await.status, 200);
    }
    let line = running.err.wait_for("answering a large question").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["request_id"], &line["key"]), (&json!("large"), &json!("reports")));
    assert!(line["bytes"].as_u64().unwrap() > 16 << 20, "{line}");
}
