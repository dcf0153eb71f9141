//! Sending an event again, and rows that this program cannot read.

use serde_json::{Value, json};
use time::Duration;

use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

async fn resend(gateway: &TestGateway, key: &str, id: &str, number: &Value) -> Answer {
    let path = format!("/admin/v1/webhooks/{id}/deliveries/{number}/resend");
    gateway.admin(key, "POST", &path).send().await
}

async fn listed(gateway: &TestGateway, key: &str, id: &str, query: &str) -> Vec<Value> {
    let path = format!("/admin/v1/webhooks/{id}/deliveries{query}");
    let answer = gateway.admin(key, "GET", &path).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["deliveries"].as_array().unwrap().clone()
}

async fn an_event_that_arrived_or_was_given_up_is_sent_again_under_its_id(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    let first = listed(&gateway, &key, &id, "").await.remove(0);
    assert_eq!(first["state"], "delivered");
    let again = resend(&gateway, &key, &id, &first["number"]).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let again = again.json();
    assert_eq!((&again["state"], &again["delivered_at"]), (&json!("waiting"), &json!(null)));
    assert_eq!((gateway.deliver().await, gateway.deliver().await), (1, 0));
    let arrived = receiver.arrived();
    assert_eq!((arrived.len(), arrived[0].id()), (2, arrived[1].id()));
    assert_eq!(listed(&gateway, &key, &id, "").await[0]["attempts"], 2);

    receiver.answers(400);
    gateway.connect(&["bob"]).await;
    for _ in 0..60 {
        gateway.deliver().await;
        gateway.later(Duration::minutes(30)).await;
    }
    let given_up = listed(&gateway, &key, &id, "?state=given_up").await;
    assert_eq!((given_up.len(), &given_up[0]["screen_name"]), (1, &json!("bob")));
    assert_eq!(gateway.deliver().await, 0);
    resend(&gateway, &key, &id, &given_up[0]["number"]).await;
    assert_eq!(gateway.deliver().await, 1, "one that is too old is tried this once");
    assert_eq!(listed(&gateway, &key, &id, "?state=given_up").await.len(), 1);
    receiver.answers(204);
    resend(&gateway, &key, &id, &given_up[0]["number"]).await;
    assert_eq!(gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().last().unwrap().id(), given_up[0]["id"]);
    assert_eq!(listed(&gateway, &key, &id, "?state=delivered").await.len(), 2);
    assert!(listed(&gateway, &key, &id, "?state=waiting").await.is_empty());

    let entries = gateway.store.list_audit(&newest(99)).await.unwrap();
    let audited: Vec<_> = entries.iter().filter(|entry| entry.action == "webhook.resent").collect();
    assert_eq!(audited.len(), 3);
    assert_eq!(audited[2].detail, format!("delivery {}", first["number"]));
    assert_eq!(
        (&audited[0].subject, &*audited[0].actor),
        (&format!("webhook:{id}"), &*format!("key:{}", &key[4..16]))
    );
}

async fn what_is_sent_again_ends_its_receivers_rest_and_goes_before_later_ones(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    let first = listed(&gateway, &key, &id, "").await.remove(0);
    receiver.answers(503);
    gateway.connect(&["alice"]).await;
    assert_eq!((gateway.deliver().await, gateway.deliver().await), (1, 0), "it rests");
    receiver.answers(204);
    resend(&gateway, &key, &id, &first["number"]).await;
    assert_eq!(gateway.deliver().await, 1, "the later one waits for its time still");
    assert_eq!(receiver.arrived()[2].id(), first["id"]);
    gateway.later(Duration::seconds(5)).await;
    assert_eq!(gateway.deliver().await, 1);
}

async fn what_waited_for_it_need_not_wait_any_longer(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    receiver.next(&[422]);
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    gateway.connect(&["alice"]).await;
    assert_eq!(gateway.deliver().await, 0, "it waits for the one before");
    let first = listed(&gateway, &key, &id, "").await.remove(1);
    resend(&gateway, &key, &id, &first["number"]).await;
    assert_eq!(gateway.deliver().await, 2);
    assert_eq!(receiver.arrived()[1].id(), first["id"]);
}

async fn what_is_being_sent_is_not_sent_by_two(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice"]).await;
    receiver.close();
    let inner = gateway.inner.clone();
    let sending = tokio::spawn(async move { inner.deliver_next().await });
    receiver.wait_for(1).await;
    let first = listed(&gateway, &key, &id, "").await.remove(0);
    let again = resend(&gateway, &key, &id, &first["number"]).await.json();
    assert_eq!(again["attempt_at"], first["attempt_at"]);
    assert_eq!(gateway.deliver().await, 0);
    receiver.open();
    assert!(sending.await.unwrap().unwrap());
    assert_eq!((gateway.deliver().await, receiver.arrived().len()), (0, 1));
    assert_eq!(listed(&gateway, &key, &id, "").await[0]["state"], "delivered");
}

async fn what_there_is_not_cannot_be_sent_again(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    let (other, _) = gateway.hook(&Receiver::start().await).await;
    gateway.connect(&["alice"]).await;
    let number = listed(&gateway, &key, &id, "").await[0]["number"].clone();
    let of_other = listed(&gateway, &key, &other, "").await[0]["number"].clone();
    assert_ne!(number, of_other);
    for number in [
        json!(0),
        json!(-1),
        of_other,
        json!("x"),
        json!(99_999_999_999_999_999_999_u128.to_string()),
    ] {
        resend(&gateway, &key, &id, &number).await.is_own(404, "not_found");
    }
    resend(&gateway, &key, "nobody", &number).await.is_own(404, "not_found");
    let wrong = gateway
        .admin(&key, "GET", &format!("/admin/v1/webhooks/{id}/deliveries?state=x"))
        .send()
        .await;
    wrong.is_own(400, "invalid_request");
}

async fn a_row_that_cannot_be_read_hides_no_other(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, key) = (Receiver::start().await, gateway.new_admin_key().await);
    let (id, _) = gateway.hook(&receiver).await;
    gateway.connect(&["alice", "bob"]).await;
    database.run("update delivery set event = 'account.renamed' where screen_name = 'alice'").await;
    let all = listed(&gateway, &key, &id, "").await;
    let odd: Vec<_> = all.iter().filter(|delivery| delivery["event"].is_null()).collect();
    assert_eq!((all.len(), odd.len()), (2, 1));
    assert_eq!((&odd[0]["user_id"], &odd[0]["state"]), (&json!(null), &json!("waiting")));
    assert!(odd[0]["failure"].as_str().unwrap().contains("cannot be read"), "{}", odd[0]);
    // The first attempt to read it puts it aside.
    assert_eq!(gateway.deliver().await + gateway.deliver().await, 1);
    assert_eq!(receiver.arrived().len(), 1);
    assert_eq!(resend(&gateway, &key, &id, &odd[0]["number"]).await.status, 200);

    let caller = gateway.new_key(|_| ()).await;
    let edit =
        format!("update key set endpoints = 'everything' where key_id = '{}'", &caller[4..16]);
    database.run(&edit).await;
    let answer = gateway.admin(&key, "GET", "/admin/v1/keys?limit=1000").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let odd: Vec<_> = keys.iter().filter(|key| key["role"].is_null()).collect();
    assert_eq!((keys.len(), odd.len()), (3, 1));
    assert_eq!((&odd[0]["id"], &odd[0]["accounts"]), (&json!(&caller[4..16]), &json!([])));
    let status = gateway.inner.get_vault_status().await.unwrap();
    assert_eq!(status.unopened, [format!("key {}", &caller[4..16])]);
}

on_both!(
    an_event_that_arrived_or_was_given_up_is_sent_again_under_its_id,
    what_is_sent_again_ends_its_receivers_rest_and_goes_before_later_ones,
    what_waited_for_it_need_not_wait_any_longer,
    what_is_being_sent_is_not_sent_by_two,
    what_there_is_not_cannot_be_sent_again,
    a_row_that_cannot_be_read_hides_no_other
);
