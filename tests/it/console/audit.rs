//! The audit log: its page, the operators' API, and the export as lines.

use serde_json::Value;

use crate::console::{Visitor, is_page};
use crate::database::{Database, NOW, newest, on_both};
use crate::gateway::TestGateway;

const PATH: &str = "/console/audit";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn the_page_says_who_did_what_from_where(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::with_key(&gateway, &key).await;
    let path = format!("/console/accounts/demo/{}/verify", gateway.id("alice"));
    visitor.send(&path, &[]).await;
    let path = format!("/admin/v1/accounts/{}", gateway.id("bob"));
    assert_eq!(gateway.admin(&key, "DELETE", &path).send().await.status, 200);
    gateway
        .store
        .insert_audit("cli", "vault.rotated", "vault", "</td><script>alert(1)</script>", NOW)
        .await
        .unwrap();

    let entries = gateway.store.list_audit(&newest(99)).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.address.is_some())
        .map(|entry| (&*entry.action, &*entry.actor, entry.address.as_deref()))
        .collect();
    let actor = format!("key:{}", &key[4..16]);
    assert_eq!(
        told,
        [
            ("account.removed", &*actor, Some("127.0.0.1")),
            ("console.signed_in", &actor, Some("127.0.0.1"))
        ]
    );
    let removed = &entries[1];
    assert!(removed.key_name.as_ref().is_some_and(|name| name.starts_with("key ")), "{removed:?}");

    let page = visitor.open(PATH).await;
    is_page(&page, 200);
    let text = page.text();
    assert!(
        text.contains("127.0.0.1") && text.contains(&actor) && text.contains("account.removed"),
        "{text}"
    );
    assert!(text.contains(">2026-03-10 21:15:30 UTC<"), "{text}");
    assert!(
        text.contains(removed.key_name.as_ref().unwrap()) && !text.contains("<script"),
        "{text}"
    );
    let found =
        visitor.open(&format!("{PATH}?action=account.removed&from=2026-03-10")).await.text();
    assert!(found.contains("account.removed") && !found.contains("vault.rotated"), "{found}");
    assert!(
        found.contains("href=\"/console/audit.jsonl?action=account.removed&#38;from=2026-03-10\""),
        "{found}"
    );
    let nothing = visitor.open(&format!("{PATH}?actor=nobody")).await;
    assert!(nothing.text().contains("No entries match."), "{}", nothing.text());
    for wrong in ["from=soon", "order=random", "actor=%00"] {
        is_page(&visitor.open(&format!("{PATH}?{wrong}")).await, 400);
    }
    let looking = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    is_page(&looking.open(PATH).await, 200);
}

async fn all_that_fits_is_downloaded_however_much_it_is(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::with_key(&gateway, &key).await;
    let many = "insert into audit (recorded_at, actor, action, subject, detail)
             with recursive number (it) as (select 1 union all select it + 1 from number where it < 2500)
             select '2026-03-10 21:15:30+00:00', 'cli', 'thing.done', 'thing:' || it, 'x' from number";
    database.run(many).await;
    let answer = visitor.open("/console/audit.jsonl?action=thing.&order=oldest").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/x-ndjson")
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"countersign-audit.jsonl\""
    );
    let all = lines(&answer.text());
    let subjects: Vec<_> =
        all.iter().map(|entry| entry["subject"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (1..=2500).map(|number| format!("thing:{number}")).collect();
    assert_eq!(subjects, expected);

    let ask = |query: &str| gateway.admin(&key, "GET", &format!("/admin/v1/audit?{query}"));
    let newest = ask("action=thing.&limit=1").header("accept", "application/x-ndjson").send().await;
    let newest = lines(&newest.text());
    assert_eq!((newest.len(), newest[0]["subject"].as_str()), (2500, Some("thing:2500")));
    assert_eq!((&newest[0]["address"], &newest[0]["key_name"]), (&Value::Null, &Value::Null));
    let page = ask("subject=thing:7&order=oldest&limit=2").send().await.json();
    assert_eq!(
        (page["entries"][0]["subject"].as_str(), page["entries"][1]["subject"].as_str()),
        (Some("thing:7"), Some("thing:70"))
    );
    let after = ask(&format!("subject=thing:7&order=oldest&limit=2&before={}", page["next"]))
        .send()
        .await
        .json();
    assert_eq!(after["entries"][0]["subject"], "thing:71");
    let none = ask("from=2027-01-01").header("accept", "application/x-ndjson").send().await;
    assert_eq!((none.status.as_u16(), &*none.text()), (200, ""));
    ask("").header("accept", "text/csv").send().await.is_own(406, "not_acceptable");
    ask("order=random").send().await.is_own(400, "invalid_request");
    ask("actor=a%00b").send().await.is_own(400, "invalid_request");
    gateway
        .admin(&key, "POST", "/admin/v1/webhooks/%00/test")
        .send()
        .await
        .is_own(400, "invalid_request");
    ask("colour=red").send().await.is_own(400, "invalid_request");

    let (mut rows, mut next, mut pages) = (0, format!("{PATH}?subject=thing:1"), 0);
    loop {
        let text = visitor.open(&next).await.text();
        assert!(text.len() < 100_000);
        (rows, pages) = (rows + text.matches("thing.done").count(), pages + 1);
        let Some((_, rest)) = text.split_once("rel=\"next\" href=\"") else { break };
        next = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    }
    assert_eq!((rows, pages), (1111, 23));
}

on_both!(the_page_says_who_did_what_from_where, all_that_fits_is_downloaded_however_much_it_is);
