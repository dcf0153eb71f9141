//! Recent calls in the console.

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::console::{Visitor, is_page};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

const CALLS: &str = "/console/calls";
const HOSTILE: &str = "</td><script>alert(1)</script>\"'&";

fn body(ids: &[String], metrics: &[&str]) -> Value {
    json!({ "tweet_ids": ids, "engagement_types": metrics, "groupings": { "g": { "group_by": ["tweet.id"] } } })
}

/// The ids of the calls that a page links to, in its order.
fn listed(page: &str) -> Vec<i64> {
    let links = page.split("href=\"/console/calls/").skip(1);
    links.map(|link| link.split('"').next().unwrap().parse().unwrap()).collect()
}

async fn the_list_of_calls_says_what_to_do_while_it_is_empty(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let page = visitor.open(CALLS).await;
    is_page(&page, 200);
    assert!(
        page.text().contains("No calls yet") && page.text().contains("href=\"/docs\""),
        "{}",
        page.text()
    );
    let page = visitor.open("/console/calls?key=nobody").await;
    assert!(page.text().contains("No recent calls match."), "{}", page.text());
}

/// A public call, a private one, one that X refuses, and one that the gateway refuses; gives the last one's key.
async fn make_four(gateway: &TestGateway) -> String {
    let (alice, bob) = (gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 1));
    gateway.call(Endpoint::Totals, &body(&alice, &["favorites"])).send().await.is_relayed(200);
    gateway
        .call_as("alice", Endpoint::TwentyEightHours, &body(&alice, &["impressions"]))
        .send()
        .await
        .is_relayed(200);
    gateway
        .call_as("bob", Endpoint::Totals, &body(&alice, &["impressions"]))
        .send()
        .await
        .is_relayed(403);
    let named = gateway.new_key(|key| "the dashboard".clone_into(&mut key.name)).await;
    let ask = gateway
        .call(Endpoint::Totals, &body(&bob, &["impressions"]))
        .header("authorization", &format!("Bearer {named}"));
    ask.header("x-request-id", "from-the-dashboard").send().await.is_own(400, "invalid_request");
    named
}

/// Each filter lists the calls that it should; `all` is newest first.
async fn narrow(visitor: &Visitor<'_>, alice: &str, dashboard: &str, all: &[i64]) {
    for (query, expected) in [
        ("?key=the+dashboard".to_owned(), &[0][..]),
        ("?key=THE+DASHBOARD".to_owned(), &[0]),
        (format!("?key={dashboard}"), &[0]),
        (format!("?account={alice}"), &[2]),
        ("?account=@ALICE".to_owned(), &[2]),
        ("?account=@nobody".to_owned(), &[]),
        ("?endpoint=totals".to_owned(), &[0, 1, 3]),
        ("?outcome=failed".to_owned(), &[0, 1]),
        ("?outcome=ok&endpoint=totals".to_owned(), &[3]),
        ("?status=403".to_owned(), &[1]),
        ("?status=+4xx&endpoint=totals".to_owned(), &[0, 1]),
        ("?status=500".to_owned(), &[]),
        ("?request_id=from-the-dashboard".to_owned(), &[0]),
        (format!("?before={}", all[1]), &[2, 3]),
    ] {
        let page = visitor.open(&format!("{CALLS}{query}")).await;
        let expected: Vec<i64> = expected.iter().map(|index| all[*index]).collect();
        assert_eq!(listed(&page.text()), expected, "{query}: {}", page.text());
    }
}

async fn refuse_invalid_filters(visitor: &Visitor<'_>) {
    let wrong = visitor.open("/console/calls?account=alice").await;
    is_page(&wrong, 400);
    assert!(
        wrong.text().contains("Enter a user id (1 to 19 digits) or a name that starts with @"),
        "{}",
        wrong.text()
    );

    let wrong = visitor.open("/console/calls?status=bad&account=alice").await;
    is_page(&wrong, 400);
    for text in [
        "Enter a status such as 429, or a class such as 5xx.",
        "Enter a user id (1 to 19 digits)",
        "value=\"bad\"",
    ] {
        assert!(wrong.text().contains(text), "{text}: {}", wrong.text());
    }
}

/// The page of each call says what became of it.
async fn show_each(visitor: &Visitor<'_>, alice: &str, all: &[i64]) {
    for (index, expected) in [
        (
            0,
            &[
                "the dashboard",
                "400 invalid_request",
                "href=\"/docs#problem-invalid_request\"",
                "Countersign answered this call itself",
                "from-the-dashboard",
                "nothing was sent to X",
                "not chosen",
            ][..],
        ),
        (1, &["X rejected this call.", "user-context", "403"]),
        (2, &["28hr", "user-context", "impressions", "bytes", &format!("/{alice}\">@alice</a>")]),
        (3, &["app-only", "no account", "favorites", "X answered"]),
    ] {
        let page = visitor.open(&format!("{CALLS}/{}", all[index])).await;
        is_page(&page, 200);
        for text in expected {
            assert!(page.text().contains(text), "{text}: {}", page.text());
        }
    }
}

async fn calls_are_listed_narrowed_and_shown(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let dashboard = make_four(&gateway).await;
    let page = visitor.open(CALLS).await;
    is_page(&page, 200);
    let all = listed(&page.text());
    assert_eq!(all.len(), 4, "{}", page.text());
    narrow(&visitor, &gateway.id("alice").to_string(), &dashboard[4..16], &all).await;
    assert!(
        page.text().contains(">@alice</a>") && page.text().contains(">@bob</a>"),
        "{}",
        page.text()
    );
    refuse_invalid_filters(&visitor).await;
    show_each(&visitor, &gateway.id("alice").to_string(), &all).await;
    let bob = countersign::model::AccountRef::Id(gateway.id("bob"));
    gateway.inner.remove_account(None, &bob, "test").await.unwrap();
    let page = visitor.open(CALLS).await.text();
    assert!(
        page.contains(&format!(">{}</a>", gateway.id("bob"))) && !page.contains("@bob"),
        "{page}"
    );
    for nothing in ["0", "x", "99999999999999999999"] {
        let page = visitor.open(&format!("{CALLS}/{nothing}")).await;
        is_page(&page, 404);
        assert!(page.text().contains("There is no such recent call."), "{}", page.text());
    }
}

async fn the_calls_of_a_question_are_shown_together(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let (alice, bob) = (gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("bob", 1));
    let owner = |name: &str| gateway.id(name).to_string();
    let owners = json!({ &alice[0]: owner("alice"), &bob[0]: owner("bob") });
    let ids = [alice.clone(), bob].concat();
    let question =
        json!({ "tweet_ids": ids, "engagement_types": ["impressions"], "owners": owners });
    let ask = gateway
        .ask("POST", "/v1/engagement")
        .header("content-type", "application/json")
        .header("x-request-id", "the-question");
    assert_eq!(ask.body(question.to_string()).send().await.status, 200);
    gateway.call(Endpoint::Totals, &body(&alice, &["favorites"])).send().await.is_relayed(200);
    let all = listed(&visitor.open(CALLS).await.text());
    assert_eq!(all.len(), 3);
    let page = visitor.open(&format!("{CALLS}/{}", all[1])).await;
    assert_eq!(listed(&page.text()), [all[2]]);
    assert!(
        page.text().contains("href=\"/console/calls?request_id=the-question\""),
        "{}",
        page.text()
    );
    assert!(!visitor.open(&format!("{CALLS}/{}", all[0])).await.text().contains("Other calls"));
}

async fn names_are_told_without_opening_what_is_sealed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    // The sealed values in these rows cannot be opened.
    database
        .seed(crate::seed::Seed { accounts: 40, keys: 40, calls: 40, ..Default::default() })
        .await;
    let text = visitor.open(CALLS).await.text();
    for number in [1, 17, 39] {
        assert!(
            text.contains(&format!("service {number}<"))
                && text.contains(&format!("@user{number}<")),
            "{number}: {text}"
        );
    }
    let overview = visitor.open("/console/").await.text();
    assert!(!overview.contains("quarantined"), "{overview}");
}

async fn calls_come_in_pages(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    database.seed(crate::seed::Seed { calls: 120, ..Default::default() }).await;
    let mut path = "/console/calls?endpoint=totals&status=2xx".to_owned();
    let mut seen = Vec::new();
    for expected in [50, 50, 14] {
        let page = visitor.open(&path).await;
        let text = page.text();
        assert_eq!(listed(&text).len(), expected, "{path}");
        assert_eq!(text.contains(">Newest</a>"), !seen.is_empty());
        seen.extend(listed(&text));
        path = match text.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => rest.split('"').next().unwrap().replace("&#38;", "&"),
            None => String::new(),
        };
        assert_eq!(path.is_empty(), seen.len() == 114, "{path}");
        assert!(
            path.is_empty() || path.contains("endpoint=totals") && path.contains("status=2xx"),
            "{path}"
        );
    }
    assert!(seen.is_sorted_by(|a, b| a > b));
}

async fn names_and_request_ids_are_escaped(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let alice = gateway.sandbox.ids("alice", 1);
    gateway.call(Endpoint::Totals, &body(&alice, &["favorites"])).send().await.is_relayed(200);
    let id = listed(&visitor.open(CALLS).await.text())[0];
    let sql = HOSTILE.replace('\'', "''");
    // The gateway accepts no such text; if it gets into the database anyhow, it must not run as a script.
    for column in ["request_id", "key_id", "code"] {
        database.run(&format!("update call set {column} = '{sql}'")).await;
    }
    let typed = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    for path in [
        CALLS.to_owned(),
        format!("{CALLS}/{id}"),
        format!("{CALLS}?key={typed}&request_id={typed}"),
        format!("{CALLS}?account={typed}"),
    ] {
        let page = visitor.open(&path).await;
        is_page(&page, if path.contains("account") { 400 } else { 200 });
        assert!(page.text().contains("&#60;script&#62;"), "{path}: {}", page.text());
        assert!(!page.text().contains("<script"), "{path}: {}", page.text());
    }
}

on_both!(
    the_list_of_calls_says_what_to_do_while_it_is_empty,
    calls_are_listed_narrowed_and_shown,
    the_calls_of_a_question_are_shown_together,
    names_are_told_without_opening_what_is_sealed,
    calls_come_in_pages,
    names_and_request_ids_are_escaped
);
