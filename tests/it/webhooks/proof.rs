//! Events that something else has written or changed in the database: not sent, not linked to, and shown as such.

use countersign::config::Config;
use serde_json::Value;
use time::Duration;

use crate::database::{Database, on_both};
use crate::house::{House, RING};
use crate::trouble::private;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::{names, open_house, with_http};

const NEWER: (&str, &str) = ("newerkey", "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=");
const COLUMNS: &str =
    "webhook_id, event, app, user_id, screen_name, reason, occurred_at, attempt_at, sealed_proof";

/// What the log of deliveries tells, newest first.
async fn listed(house: &House, admin: &str, id: &str) -> Vec<Value> {
    let path = format!("/admin/v1/webhooks/{id}/deliveries");
    let answer = house.admin(admin, "GET", &path).send().await;
    answer.json()["deliveries"].as_array().unwrap().clone()
}

#[track_caller]
fn is_put_aside(listed: &Value) {
    assert_eq!((listed["state"].as_str(), &listed["event"]), (Some("given_up"), &Value::Null));
    let failure = listed["failure"].as_str().unwrap();
    assert!(
        failure.contains("does not match its seal") && failure.contains("not sent"),
        "{failure}"
    );
}

/// A gateway beside the others, whose ring has these keys.
async fn with_ring(house: &House, database: &Database, keys: &[(&str, &str)]) -> House {
    let change = |it: &mut Config| {
        with_http(it);
        it.vault.keys = keys.iter().map(|it| (it.0.to_owned(), it.1.into())).collect();
        keys[0].0.clone_into(&mut it.vault.active);
    };
    House::build(house.bench.again(), &database.settings(), change).await
}

on_both! {
    async fn a_row_that_was_made_in_the_database_is_not_sent_and_makes_no_link(database: Database) {
        let house = open_house(&database).await;
        let (receiver, admin) = (Receiver::start().await, house.new_admin_key().await);
        let (id, _) = house.hook(&receiver).await;
        house.connect(&["alice"]).await;
        assert_eq!(house.deliver().await, 1);
        for (event, proof) in [("account.revoked", "null"), ("account.revoked", "sealed_proof"), ("account.connected", "sealed_proof")] {
            database.run(&format!("insert into delivery ({COLUMNS}) select webhook_id, '{event}', app, user_id, screen_name, reason, occurred_at, occurred_at, {proof} from delivery where delivery_id = 1")).await;
        }
        house.connect(&["bob"]).await;
        assert_eq!(house.deliver().await, 4, "none is in the way of another");
        assert_eq!(receiver.told(), names(&[("connected", "alice"), ("connected", "bob")]));
        let told = listed(&house, &admin, &id).await;
        assert_eq!((told.len(), told[0]["state"].as_str(), told[4]["state"].as_str()), (5, Some("delivered"), Some("delivered")));
        told[1..4].iter().for_each(is_put_aside);
        assert!(house.gateway.list_links(None, None, 10).await.unwrap().is_empty());
        let metrics = house.ask("GET", "").to(&format!("{}/metrics", house.admin_url)).send().await.text();
        assert!(metrics.contains("countersign_webhook_attempts_total{outcome=\"distrusted\"}"));

        // Asked for once more, it is put aside once more.
        let path = format!("/admin/v1/webhooks/{id}/deliveries/{}/resend", told[3]["number"]);
        let again = house.admin(&admin, "POST", &path).send().await;
        assert_eq!((again.status.as_u16(), &again.json()["event"]), (200, &Value::Null));
        assert_eq!(house.deliver().await, 1);
        assert_eq!(receiver.arrived().len(), 2);
        is_put_aside(&listed(&house, &admin, &id).await[3]);
        assert!(house.gateway.vault_status().await.unwrap().unopened.is_empty(), "none is in a rotation's way");
    }

    async fn a_row_that_was_edited_in_any_column_is_not_sent(database: Database) {
        let house = open_house(&database).await;
        let (receiver, admin) = (Receiver::start().await, house.new_admin_key().await);
        let (id, _) = house.hook(&receiver).await;
        let elsewhere = Receiver::start().await;
        let (other, _) = house.hook(&elsewhere).await;
        for edit in [
            "event = 'account.removed'".to_owned(),
            "app = 'other'".to_owned(),
            format!("user_id = '{}'", house.id("bob")),
            "screen_name = 'alicia'".to_owned(),
            "reason = 'a lie'".to_owned(),
            "occurred_at = '2026-03-10T20:00:00Z'".to_owned(),
            format!("webhook_id = '{id}' where webhook_id = '{other}' and attempt_at is not null --"),
            "sealed_proof = (select sealed_proof from delivery as first order by delivery_id limit 1)".to_owned(),
        ] {
            house.connect(&["alice"]).await;
            let sound = receiver.arrived().len();
            database.run(&format!("update delivery set {edit} where webhook_id = '{id}' and attempt_at is not null")).await;
            house.deliver().await;
            let aside: Vec<_> = listed(&house, &admin, &id).await.into_iter().filter(|it| it["event"].is_null()).collect();
            let moved = edit.starts_with("webhook_id");
            assert_eq!(receiver.arrived().len(), sound + usize::from(moved), "{edit}");
            is_put_aside(&aside[0]);
            database.run(&format!("delete from delivery where delivery_id = {}", aside[0]["number"])).await;
        }
        house.connect(&["alice"]).await;
        let sound = receiver.arrived().len();
        house.deliver().await;
        assert_eq!(receiver.arrived().len(), sound + 1);
    }

    async fn an_event_whose_vault_key_is_not_here_waits_for_it(database: Database) {
        let house = open_house(&database).await;
        let (receiver, admin) = (Receiver::start().await, house.new_admin_key().await);
        let (id, _) = house.hook(&receiver).await;
        house.connect(&["alice"]).await;
        let without = with_ring(&house, &database, &[NEWER]).await;
        // Its own events of the same account wait behind.
        without.deliver().await;
        assert_eq!(receiver.arrived().iter().filter(|it| it.what().1 == "alice").count(), 0);
        let waits = listed(&house, &admin, &id).await.pop().unwrap();
        assert_eq!((waits["state"].as_str(), waits["event"].as_str()), (Some("waiting"), Some("account.connected")));
        assert!(waits["failure"].as_str().unwrap().contains("not in vault.keys"), "{waits}");
        house.later(Duration::minutes(1)).await;
        assert!(house.deliver().await >= 1);
        assert_eq!(receiver.told()[0], names(&[("connected", "alice")])[0]);
    }

    async fn an_event_that_waits_is_sealed_anew_with_the_rest(database: Database) {
        let house = open_house(&database).await;
        let receiver = Receiver::start().await;
        house.hook(&receiver).await;
        house.connect(&["alice"]).await;
        let (old, text) = RING.split_once('=').unwrap();
        let both = with_ring(&house, &database, &[NEWER, (old, text)]).await;
        assert!(both.gateway.sealing_keys().await.unwrap().contains(&old.to_owned()));
        both.gateway.rotate_vault("test").await.unwrap();
        let status = both.gateway.vault_status().await.unwrap();
        assert_eq!(status.records.keys().collect::<Vec<_>>(), [NEWER.0]);
        assert!(status.unopened.is_empty(), "{status:?}");
        let without = with_ring(&house, &database, &[NEWER]).await;
        assert!(without.deliver().await >= 1);
        assert_eq!(receiver.told()[0], names(&[("connected", "alice")])[0]);
        private(&without, "alice").send().await.is_relayed(200);
    }
}
