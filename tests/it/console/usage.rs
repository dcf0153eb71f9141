//! Usage in the console, and as a table to download.

use countersign::model::Endpoint;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::replica::Replica;
use crate::console::{Visitor, is_page};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::seed::Seed;
use crate::upstream::TOTALS;

const USAGE: &str = "/console/usage";

fn body(ids: &[String], metrics: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": metrics, "groupings": { "g": { "group_by": ["tweet.id"] } } })
}

#[track_caller]
fn says(page: &crate::http::Answer, texts: &[&str]) {
    is_page(page, 200);
    for text in texts {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
}

/// Some calls of two keys and one account.
async fn used(gateway: &TestGateway) -> String {
    let ids = gateway.sandbox.ids("alice", 3);
    let other = gateway.new_key(|key| "<b>the dashboard".clone_into(&mut key.name)).await;
    gateway.call(Endpoint::Totals, &body(&ids, &["favorites"])).send().await.is_relayed(200);
    for _ in 0..2 {
        let ask = gateway.call_as("alice", Endpoint::Totals, &body(&ids, &["impressions"]));
        ask.header("authorization", &format!("Bearer {other}")).send().await.is_relayed(200);
    }
    gateway
        .call_as("bob", Endpoint::Totals, &body(&ids, &["impressions"]))
        .send()
        .await
        .is_relayed(403);
    other
}

async fn usage_says_what_to_do_while_there_is_none(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    says(
        &visitor.open(USAGE).await,
        &["No calls to X in this period", "No account's token was used"],
    );
}

async fn each_breakdown_has_its_rows(visitor: &Visitor<'_>) {
    for (by, expected) in [
        ("outcome", "2xx</td><td data-label=\"Calls\" class=\"number\">3<"),
        ("outcome", "4xx</td><td data-label=\"Calls\" class=\"number\">1<"),
        ("auth", "user-context</td><td data-label=\"Calls\" class=\"number\">3<"),
        ("account", "no account (app-only)"),
        ("app", "demo</td><td data-label=\"Calls\" class=\"number\">4<"),
        ("endpoint", "totals</a></td><td data-label=\"Calls\" class=\"number\">4<"),
        ("nonsense", "<dd>4</dd>"),
    ] {
        says(&visitor.open(&format!("{USAGE}?by={by}")).await, &[expected]);
    }
}

async fn refuse_invalid_filters(visitor: &Visitor<'_>) {
    for (query, expected) in [
        ("from=yesterday", "id=\"from-wrong\">From must be a date"),
        ("from=2026-03-02&until=2026-03-01", "From must be before until.</p>"),
        (
            "until=9999-12-31T23:30:00Z",
            "id=\"until-wrong\">Until must be at most 9999-12-31T23:00:00Z",
        ),
        (
            "account=%3Cb%3E",
            "id=\"account-wrong\">Account must be a user id of 1 to 19 digits. See <a \
             href=\"/console/accounts\">Accounts</a>",
        ),
    ] {
        let page = visitor.open(&format!("{USAGE}?{query}")).await;
        is_page(&page, 400);
        assert!(page.text().contains(expected) && !page.text().contains("<b>"), "{}", page.text());
        assert_eq!(
            page.text().matches("aria-invalid=\"true\" aria-describedby=").count(),
            1,
            "{}",
            page.text()
        );
    }
}

async fn usage_is_drawn_told_apart_and_counted(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let other = used(&gateway).await;
    assert_eq!(gateway.arrived(TOTALS).await.len(), 4);
    let page = visitor.open(USAGE).await;
    says(
        &page,
        &[
            "<dd>4</dd>",
            "<dd>12</dd>",
            "<svg",
            "calls per day",
            "<th scope=\"row\">2026-03-10</th><td class=\"number\">4</td>",
            "<td data-label=\"Month\">2026-03</td><td data-label=\"App\">demo</td><td data-label=\"Accounts \
             used\" class=\"number\">2</td>",
        ],
    );
    assert_eq!(page.text().matches("<th scope=\"row\">").count(), 30, "{}", page.text());
    let page = visitor.open("/console/usage?from=2026-03-10&by=key").await;
    says(
        &page,
        &[
            "calls per hour",
            "hour of 2026-03-10 (UTC)",
            "<th scope=\"col\">Key</th>",
            "<th scope=\"row\">21:00</th><td class=\"number\">2</td><td class=\"number\">2</td>",
            "&#60;b&#62;the dashboard",
            &format!("/console/calls?key={}", &other[4..16]),
        ],
    );
    assert!(!page.text().contains("<b>"));
    let year = visitor.open("/console/usage?from=2025-05-17").await;
    says(
        &year,
        &[
            "calls per month",
            "<th scope=\"row\">2025-05</th><td class=\"number\">0</td>",
            "<th scope=\"row\">2026-03</th><td class=\"number\">4</td>",
            "<dd>12</dd>",
        ],
    );
    assert_eq!(year.text().matches("<th scope=\"row\">").count(), 11);
    each_breakdown_has_its_rows(&visitor).await;
    let narrowed = visitor.open("/console/usage?key=%3Cb%3Ethe+dashboard").await;
    says(&narrowed, &["<dd>2</dd>", "value=\"&#60;b&#62;the dashboard\""]);
    says(&visitor.open(&format!("{USAGE}?account={}", gateway.id("bob"))).await, &["<dd>1</dd>"]);
    says(
        &visitor.open("/console/usage?from=2026-03-01&until=2026-03-10").await,
        &["No calls to X"],
    );
    refuse_invalid_filters(&visitor).await;
}

async fn what_there_are_few_of_has_its_own_colour_whatever_is_most(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    used(&gateway).await;
    let legend = |page: crate::http::Answer| -> Vec<String> {
        let text = page.text();
        let samples = text.split("class=\"sample ").skip(1);
        samples
            .map(|sample| {
                format!(
                    "{} {}",
                    sample.split('"').next().unwrap(),
                    sample.split("</svg> ").nth(1).unwrap().split('<').next().unwrap()
                )
            })
            .collect()
    };
    let by =
        async |by: &str| legend(visitor.open(&format!("{USAGE}?from=2026-03-10&by={by}")).await);
    // There are more user-context calls, and app-only keeps its colour where the whole day is shown.
    assert_eq!(by("auth").await, ["s1 app-only", "s2 user-context"]);
    assert_eq!(by("outcome").await, ["s0 2xx", "s8 4xx"]);
    let ids = gateway.sandbox.ids("alice", 1);
    for _ in 0..5 {
        gateway
            .call_as("bob", Endpoint::Totals, &body(&ids, &["impressions"]))
            .send()
            .await
            .is_relayed(403);
    }
    assert_eq!(by("outcome").await, ["s0 2xx", "s8 4xx"], "though there are more of these now");
    let overview = legend(visitor.open("/console/").await);
    assert_eq!(overview[..2], ["s1 app-only, succeeded", "s2 user-context, succeeded"]);
}

async fn usage_can_be_taken_away_as_a_table(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let other = used(&gateway).await;
    let page = visitor
        .open("/console/usage?from=2026-03-10&by=outcome&key=%3Cb%3Ethe+dashboard")
        .await
        .text();
    let link = page.split("href=\"").find(|link| link.starts_with("/console/usage.csv")).unwrap();
    let answer = visitor.open(&link.split('"').next().unwrap().replace("&#38;", "&")).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("content-type"),
            answer.header("countersign-complete")
        ),
        (200, "text/csv", "true")
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"countersign-usage.csv\""
    );
    let text = answer.text();
    assert!(
        text.starts_with("at,outcome,calls,posts,bytes,saved\n2026-03-10T21:00:00Z,2xx,2,6,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");

    let admin = gateway.new_admin_key().await;
    let ask = |query: &str| gateway.admin(&admin, "GET", &format!("/admin/v1/usage{query}"));
    let table = ask("?by=key,account,auth,app,endpoint").header("accept", "text/csv").send().await;
    assert_eq!((table.header("content-type"), table.header("vary")), ("text/csv", "accept"));
    let text = table.text();
    assert!(text.starts_with("app,key,account,endpoint,auth,calls,posts,bytes,saved\n"), "{text}");
    assert!(
        text.contains(&format!(
            "demo,{},{},totals,user-context,2,6,",
            &other[4..16],
            gateway.id("alice")
        )),
        "{text}"
    );
    assert!(text.contains(",,totals,app-only,1,3,"), "{text}");
    assert_eq!(
        ask("").header("accept", "application/json, text/csv;q=0.5").send().await.json()["sums"][0]
            ["calls"],
        4
    );
    assert_eq!(
        ask("?key=%3Cb%3Ethe+dashboard").send().await.json()["sums"][0]["calls"],
        2,
        "by its name"
    );
    database.seed(Seed { hours: 200, lines: 60, ..Seed::default() }).await;
    let most = ask("?by=hour,key,outcome").header("accept", "text/csv").send().await;
    assert_eq!(
        (most.header("countersign-complete"), most.text().lines().count()),
        ("false", 10_001)
    );
    assert_eq!(Visitor::stranger(&gateway).open("/console/usage.csv").await.status, 303);
}

async fn what_a_killed_process_took_with_it_is_told(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let replica = Replica::open(&gateway.sandbox, &database.settings()).await;
    let ask = crate::http::Ask::new(
        &gateway.http,
        &replica.at(crate::connect::replica::PUBLIC_URL),
        "POST",
        TOTALS,
    )
    .header("authorization", &format!("Bearer {}", gateway.key));
    ask.header("content-type", "application/json")
        .body(body(&gateway.sandbox.ids("alice", 1), &["favorites"]).to_string())
        .send()
        .await
        .is_relayed(200);
    replica.write_usage().await;
    replica.crash().await;
    assert!(!visitor.open(USAGE).await.text().contains("Missing usage"));
    gateway.sandbox.clock.forward(Duration::minutes(2));
    says(
        &visitor.open(USAGE).await,
        &[
            "Missing usage",
            "After 2026-03-10 21:15 UTC: the last calls of a process that was killed",
        ],
    );
    database.run("update usage_writer set counted_calls = written_calls + 12").await;
    says(
        &visitor.open(USAGE).await,
        &["at least 12 calls, and the last calls of a process that was killed"],
    );
    assert_eq!(visitor.open("/console/usage.csv").await.header("countersign-complete"), "false");
}

on_both!(
    usage_says_what_to_do_while_there_is_none,
    usage_is_drawn_told_apart_and_counted,
    what_there_are_few_of_has_its_own_colour_whatever_is_most,
    usage_can_be_taken_away_as_a_table,
    what_a_killed_process_took_with_it_is_told
);
