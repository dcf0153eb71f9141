//! The limits of keys in the console: those of a new one, and changing them while it lives.

use countersign::model::key::KeyLimits;
use time::Duration;

use crate::connect::start_gateway;
use crate::console::keys::KEYS;
use crate::console::{Visitor, is_page, plain, text_of};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

async fn a_new_key_has_the_limits_that_were_typed(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let form = visitor.open(&format!("{KEYS}/new")).await.text();
    assert!(form.contains("name=\"weight\" value=\"1\""), "{form}");
    assert!(form.contains("In each replica") && form.contains("Over all replicas"), "{form}");
    let fields = [("weight", "2"), ("per_minute", " 120 "), ("at_once", "")];
    let page = visitor.send(KEYS, &[&[("name", "nightly")][..], &fields].concat()).await;
    is_page(&page, 200);
    let id = text_of(&page, "key")[4..16].to_owned();
    let limits = KeyLimits { weight: 2, per_minute: Some(120), at_once: None };
    assert_eq!(limits_of(&gateway, &id).await, limits);
    let blank = [("name", "plain"), ("weight", ""), ("per_minute", ""), ("at_once", "")];
    let page = visitor.send(KEYS, &blank).await;
    assert_eq!(
        limits_of(&gateway, &text_of(&page, "key")[4..16]).await,
        KeyLimits::default(),
        "no limits"
    );
    let list = visitor.open(KEYS).await.text();
    assert_eq!(list.matches("weight 2, 120 requests per minute<").count(), 1, "{list}");
    assert!(!list.contains("weight 1"), "defaults go without saying: {list}");

    let wrong = [("name", "x"), ("accounts", "alice"), ("weight", "much"), ("at_once", "-1")];
    let page = visitor.send(KEYS, &wrong).await;
    is_page(&page, 400);
    for text in [
        "id=\"accounts-wrong\">must be a user id",
        "id=\"weight-wrong\">must be a whole number from 1 to 1000<",
        "id=\"at_once-wrong\">must be a whole number",
        "name=\"weight\" value=\"much\"",
    ] {
        assert!(plain(&page).contains(text), "{text}: {}", page.text());
    }
    let page = visitor.send(KEYS, &[("name", "x"), ("per_minute", "0")]).await;
    is_page(&page, 400);
    assert!(plain(&page).contains("id=\"per_minute-wrong\">must be at least 1"), "{}", page.text());
    let admin = visitor.open(&format!("{KEYS}/new?role=owner")).await.text();
    assert!(!admin.contains("name=\"weight\""), "{admin}");
    let page = visitor.send(KEYS, &[("role", "owner"), ("name", "x"), ("weight", "2")]).await;
    is_page(&page, 400);
    assert!(page.text().contains("an admin key has no limits"), "{}", page.text());
}

async fn limits_of(gateway: &TestGateway, id: &str) -> KeyLimits {
    gateway.inner.get_key(id).await.unwrap().unwrap().limits
}

async fn limits_are_changed_while_a_key_lives(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let key = gateway
        .new_key(|key| {
            "worker".clone_into(&mut key.name);
            key.limits.per_minute = Some(60);
        })
        .await;
    let (id, path) = (&key[4..16], format!("{KEYS}/{}/limits", &key[4..16]));
    assert!(visitor.open(KEYS).await.text().contains(&format!("href=\"{path}\"")));
    let page = visitor.open(&path).await;
    is_page(&page, 200);
    for text in ["name=\"weight\" value=\"1\"", "name=\"per_minute\" value=\"60\""] {
        assert!(page.text().contains(text), "{text}: {}", page.text());
    }
    let page = plain(&visitor.send(&path, &[("weight", "0"), ("at_once", "many")]).await);
    assert!(
        page.contains("id=\"weight-wrong\">") && page.contains("id=\"at_once-wrong\">"),
        "all mistakes at once: {page}"
    );
    let before = limits_of(&gateway, id).await;
    for (field, value, detail) in [
        ("weight", "1001", "must be from 1 to 1000"),
        ("weight", "1.5", "must be a whole number from 1 to 1000"),
        ("per_minute", "0", "must be at least 1; revoke the key to stop it"),
        ("at_once", "4294967296", "must be a whole number from 1 to 4294967295, or empty"),
    ] {
        let page = visitor.send(&path, &[(field, value)]).await;
        is_page(&page, 400);
        let text = plain(&page);
        assert!(text.contains("The limits were not changed."), "{text}");
        assert!(text.contains(&format!("id=\"{field}-wrong\">{detail}")), "{text}");
        assert!(text.contains(&format!("name=\"{field}\" value=\"{value}\"")), "{text}");
    }
    assert_eq!(limits_of(&gateway, id).await, before);
    let fields = [("weight", "5"), ("per_minute", ""), ("at_once", "4")];
    let done = visitor.send(&path, &fields).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/keys?done=limited")
    );
    let limits = KeyLimits { weight: 5, per_minute: None, at_once: Some(4) };
    assert_eq!(limits_of(&gateway, id).await, limits);
    let list = visitor.open(done.header("location")).await.text();
    assert!(list.contains("The limits were changed."), "{list}");
    assert!(list.contains("weight 5, 4 at once in each replica<"), "{list}");
    let updated = gateway.audited("key.updated").await;
    assert!(
        updated.len() == 1
            && updated[0].0.starts_with("key:")
            && updated[0].2 == "key \"worker\": weight 5, per minute any, at once 4",
        "{updated:?}"
    );
}

async fn limits_are_those_of_services_whose_keys_work(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let own = gateway.new_admin_key().await;
    let revoked = gateway.new_key(|key| "revoked".clone_into(&mut key.name)).await;
    gateway.inner.revoke_key("revoked", "test").await.unwrap().unwrap();
    let expired =
        gateway.new_key(|key| key.expires_in = Some(std::time::Duration::from_mins(1))).await;
    let broken = gateway.new_key(|key| "broken".clone_into(&mut key.name)).await;
    database.run("update key set accounts = 'everybody' where name = 'broken'").await;
    gateway.sandbox.clock.forward(Duration::minutes(2));
    for key in [own, revoked, expired, broken] {
        let path = format!("{KEYS}/{}/limits", &key[4..16]);
        for page in [visitor.open(&path).await, visitor.send(&path, &[("weight", "2")]).await] {
            let text = page.text();
            assert!(text.contains("Only active service keys have limits"), "{text}");
            assert!(!text.contains(&format!("action=\"{path}\"")), "{text}");
        }
        assert_eq!(visitor.send(&path, &[("weight", "2")]).await.status, 400);
    }
    for named in ["nobody", "worker", &*gateway.key] {
        is_page(&visitor.send(&format!("{KEYS}/{named}/limits"), &[]).await, 404);
    }
    assert!(gateway.audited("key.updated").await.is_empty());
    let list = visitor.open(&format!("{KEYS}?state=any")).await.text();
    let path = format!("{KEYS}/{}/limits", &gateway.key[4..16]);
    assert!(list.contains(&path) && list.matches("/limits\"").count() == 1, "{list}");
}

on_both!(
    a_new_key_has_the_limits_that_were_typed,
    limits_are_changed_while_a_key_lives,
    limits_are_those_of_services_whose_keys_work
);
