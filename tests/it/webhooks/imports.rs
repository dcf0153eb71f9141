//! Imports: told as one event, stored in parts that nobody has to wait for.

use std::sync::Mutex;

use countersign::gateway::{DeliveryFilter, Error, Import, ImportEvents};
use countersign::model::Secret;
use countersign::model::webhook::{Event, Subject};
use countersign::store::{NewAccount, PartEvents};
use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::upstream::NOW;
use crate::webhooks::receiver::{Arrived, Receiver};
use crate::webhooks::{names, read, start_gateway};

/// As many accounts of users whom X need not know.
fn strangers(count: usize) -> Vec<Import> {
    (1..=count).map(stranger).collect()
}

pub fn stranger(line: usize) -> Import {
    Import {
        line,
        user_id: line.to_string(),
        screen_name: format!("user_{line}"),
        access_token: Secret::new(format!("{line}-token")),
        access_token_secret: Secret::from("secret"),
    }
}

async fn import(gateway: &TestGateway, imports: &[Import]) -> Result<usize, Error> {
    let app = Some("demo");
    gateway.inner.import_accounts(app, imports, ImportEvents::Summary, "test", |_| ()).await
}

/// The imports as JSON lines.
fn lines(imports: &[Import]) -> String {
    let line = |import: &Import| {
        let token = import.access_token.expose();
        json!({
            "user_id": import.user_id, "screen_name": import.screen_name,
            "access_token": token, "access_token_secret": "secret",
        })
        .to_string()
    };
    imports.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn data(arrived: &Arrived) -> Value {
    arrived.json()["data"].clone()
}

async fn an_import_of_many_is_one_event_with_how_many(database: Database) {
    let gateway = start_gateway(&database).await;
    let receivers = [Receiver::start().await, Receiver::start().await];
    for receiver in &receivers {
        gateway.hook(receiver).await;
    }
    // Alice and Bob are connected already.
    let mut imports = strangers(3);
    imports.extend([gateway.import_of("alice"), gateway.import_of("bob")]);
    assert_eq!(import(&gateway, &imports).await.unwrap(), 5);
    assert_eq!(gateway.deliver().await, 2);
    for receiver in &receivers {
        let arrived = receiver.arrived();
        assert_eq!(
            arrived[0].json(),
            json!({
                "type": "accounts.imported",
                "timestamp": "2026-03-10T21:15:30Z",
                "data": {
                    "app": "demo",
                    "added": 3,
                    "replaced": 2,
                    "reason": "the tokens were imported",
                },
            })
        );
    }
    assert_eq!(gateway.deliver().await, 0);
}

async fn whoever_asks_is_told_of_each_account(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    import(&gateway, &[gateway.import_of("alice")]).await.unwrap();
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.told(), names(&[("connected", "alice")]), "one alone is named");

    let lines = lines(&strangers(2));
    for (query, status) in [("?events=each", 201), ("?events=summary", 201), ("?events=all", 400)] {
        let ask = gateway.admin(&key, "POST", &format!("/admin/v1/accounts{query}"));
        let ask = ask.header("content-type", "application/x-ndjson").body(lines.clone());
        let answer = ask.send().await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        if status == 400 {
            assert!(answer.text().contains("events must be summary or each"), "{}", answer.text());
        }
    }
    assert_eq!(gateway.deliver().await, 3);
    let kinds: Vec<Value> =
        receiver.arrived().iter().map(|arrived| arrived.json()["type"].clone()).collect();
    let each = "account.connected";
    assert_eq!(kinds, [each, each, each, "accounts.imported"]);

    let path = format!("/admin/v1/webhooks/{id}/deliveries?limit=1");
    let listed = gateway.admin(&key, "GET", &path).send().await.json();
    let listed = &listed["deliveries"][0];
    assert_eq!(
        [&listed["event"], &listed["user_id"], &listed["added"], &listed["replaced"]],
        [&json!("accounts.imported"), &Value::Null, &json!(0), &json!(2)]
    );
}

async fn a_large_import_goes_in_parts_and_is_one_event(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    let before = gateway.store.latest_change().await.unwrap();
    let parts = Mutex::new(Vec::new());
    let on_part = |stored| parts.lock().unwrap().push(stored);
    let imports = strangers(1100);
    let done =
        gateway.inner.import_accounts(None, &imports, ImportEvents::Summary, "test", on_part).await;
    assert_eq!(done.unwrap(), 1100);
    assert_eq!(*parts.lock().unwrap(), [1000, 1100]);
    assert_eq!(gateway.store.latest_change().await.unwrap(), before + 2, "a change for each part");
    let entries = gateway.store.list_audit(&newest(2000)).await.unwrap();
    let imported = entries.iter().filter(|entry| entry.action == "account.imported");
    assert_eq!(imported.count(), 1102, "each account is audited");
    assert_eq!(gateway.deliver().await, 1);
    let arrived = data(&receiver.arrived()[0]);
    assert_eq!((&arrived["added"], &arrived["replaced"]), (&json!(1100), &json!(0)));
}

async fn an_import_that_fails_says_how_far_it_came(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    gateway.hook(&receiver).await;
    database.refuse_account("user_1050").await;
    let ask = gateway.admin(&key, "POST", "/admin/v1/accounts");
    // An empty line counts as a line.
    let body = format!("\n{}", lines(&strangers(1100)));
    let refused = ask.header("content-type", "application/x-ndjson").body(body).send().await;
    refused.is_own(500, "import_stopped");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    let told = "the import stopped after 1000 of 1100 accounts; import the rest again, from line 1002 on: ";
    assert!(detail.starts_with(told), "{detail}");

    assert_eq!(gateway.deliver().await, 0, "its event waits for more");
    gateway.later(Duration::minutes(1)).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(data(&receiver.arrived()[0])["added"], 1000);
}

/// What the gateway stores for an account, with seals that nobody opens here.
fn part(numbers: std::ops::Range<u32>) -> Vec<NewAccount> {
    let stored = |number: u32| NewAccount {
        app: "demo".to_owned(),
        user_id: countersign::model::UserId::parse(&number.to_string()).unwrap(),
        screen_name: format!("user_{number}"),
        sealed_token: b"token".to_vec(),
        sealed_token_secret: b"secret".to_vec(),
    };
    numbers.map(stored).collect()
}

async fn what_is_added_after_its_event_was_sent_has_another(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    let (id, _) = gateway.hook(&receiver).await;
    let put = async |numbers, held: &[i64], is_last| {
        let events = PartEvents::Summary { held, is_last };
        gateway.store.put_accounts(&part(numbers), events, "test", NOW).await.unwrap()
    };
    let first = put(1..3, &[], false).await;
    assert_eq!(put(3..6, &first, false).await, first, "the same event, with more");
    // A test that arrives sends what waits.
    gateway.inner.test_webhook(&id, "test").await.unwrap().unwrap();
    assert_eq!(gateway.deliver().await, 1);
    let second = put(6..7, &first, true).await;
    assert_ne!(second, first);
    assert_eq!(gateway.deliver().await, 1);
    let arrived = receiver.arrived();
    assert_eq!(
        (data(&arrived[1])["added"].clone(), data(&arrived[2])["added"].clone()),
        (json!(5), json!(1))
    );
    assert_ne!(arrived[1].id(), arrived[2].id());
    let filter = DeliveryFilter { webhook_id: id, limit: 9, ..DeliveryFilter::default() };
    let listed = read(gateway.inner.list_deliveries(&filter).await.unwrap());
    assert!(listed.iter().all(|delivery| delivery.event == Event::Imported
        && matches!(delivery.subject, Subject::Import { replaced: 0, .. })));
}

async fn counts_that_were_edited_are_not_sent(database: Database) {
    let gateway = start_gateway(&database).await;
    let receiver = Receiver::start().await;
    gateway.hook(&receiver).await;
    for edit in ["added = added + 1", "replaced = 7", "added = null"] {
        import(&gateway, &strangers(2)).await.unwrap();
        let edited = format!("update delivery set {edit} where attempt_at is not null");
        database.run(&edited).await;
        gateway.deliver().await;
    }
    assert!(receiver.arrived().is_empty(), "{:?}", receiver.arrived());
}

on_both!(
    an_import_of_many_is_one_event_with_how_many,
    whoever_asks_is_told_of_each_account,
    a_large_import_goes_in_parts_and_is_one_event,
    an_import_that_fails_says_how_far_it_came,
    what_is_added_after_its_event_was_sent_has_another,
    counts_that_were_edited_are_not_sent
);
