//! The first steps, from nothing to the first answered call, for somebody who has only an admin key.

use crate::connect::browser::Browser;
use crate::connect::{path_of, start_gateway, start_gateway_with};
use crate::console::keys::{command, tried};
use crate::console::{Visitor, is_page, text_of};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;

const START: &str = "/console/start";

/// A gateway with nothing but its settings.
async fn bare(database: &Database) -> TestGateway {
    let gateway = start_gateway(database).await;
    for name in ["alice", "bob"] {
        let named = countersign::model::AccountRef::Id(gateway.id(name));
        gateway.inner.remove_account(None, &named, "test").await.unwrap();
    }
    gateway.inner.revoke_key(&gateway.key, "test").await.unwrap().unwrap();
    gateway
}

/// How many steps are ticked off, and the number of the next one.
async fn steps(visitor: &Visitor<'_>) -> (usize, Option<usize>) {
    let page = visitor.open(START).await;
    is_page(&page, 200);
    let text = page.text();
    let next = text.split("aria-current=\"step\">\n<h2>").nth(1);
    (text.matches("✓ done").count(), next.map(|step| step[..1].parse().unwrap()))
}

async fn each_step_is_ticked_off_once_it_is_done(database: Database) {
    let gateway = bare(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    assert!(visitor.open("/console/accounts").await.text().contains(&format!("href=\"{START}\"")));
    assert_eq!(steps(&visitor).await, (1, Some(2)));
    let link = visitor.send("/console/links", &[("label", "the report")]).await;
    let (link, mut browser) = (text_of(&link, "url"), Browser::new());
    let back = gateway.allow(&mut browser, &link, "alice").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    assert_eq!(steps(&visitor).await, (2, Some(3)));
    let key = text_of(&visitor.send("/console/keys", &[("name", "dashboard")]).await, "key");
    assert_eq!(steps(&visitor).await, (3, Some(4)));
    let shown = command(&visitor.open(START).await);
    tried(&gateway, &shown.replace("csk_…", "csk_wrong")).await.is_own(401, "unknown_key");
    assert_eq!(steps(&visitor).await, (3, Some(4)), "not answered");
    tried(&gateway, &shown.replace("csk_…", &key)).await.is_relayed(200);
    assert_eq!(steps(&visitor).await, (4, None));
    assert!(visitor.open(START).await.text().contains("All four steps are done."));
}

async fn a_key_whose_row_was_altered_does_not_count_as_one_that_works(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    assert_eq!(steps(&visitor).await, (3, Some(4)));
    for _ in 0..60 {
        gateway.new_key(|_| ()).await;
    }
    database.run("update key set rights = 'create_links' where role = 'caller'").await;
    assert_eq!(steps(&visitor).await, (2, Some(3)));
    gateway.new_key(|key| "zebra".clone_into(&mut key.name)).await;
    assert_eq!(steps(&visitor).await, (3, Some(4)), "behind all that do not work");
}

async fn whoever_signs_in_is_led_there_until_the_first_answer(database: Database) {
    let gateway = start_gateway(&database).await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::admin(&gateway).await;
    let led_to = async |next: &str| {
        let answer = visitor.send("/console/sign-in", &[("key", &key), ("next", next)]).await;
        answer.header("location").to_owned()
    };
    assert_eq!(led_to("").await, START);
    assert_eq!(led_to("/console/accounts").await, "/console/accounts");
    let shown = command(&visitor.open(START).await);
    tried(&gateway, &shown.replace("csk_…", &gateway.key)).await.is_relayed(200);
    assert_eq!(led_to("").await, "/console/");
}

async fn what_is_missing_for_a_step_is_said(database: Database) {
    let gateway = start_gateway_with(&database, |config| {
        config.connect.public_url = None;
    })
    .await;
    for name in ["alice", "bob"] {
        let named = countersign::model::AccountRef::Id(gateway.id(name));
        gateway.inner.remove_account(None, &named, "test").await.unwrap();
    }
    let page = Visitor::admin(&gateway).await.open(START).await;
    assert!(
        page.text().contains("server.public_url")
            && !page.text().contains("href=\"/console/links/new\""),
        "{}",
        page.text()
    );
    assert!(
        command(&page).contains("curl --compressed http://127.0.0.1:8080/insights/"),
        "{}",
        page.text()
    );
    let looker = Visitor::with_key(&gateway, &gateway.auditor_key().await).await.open(START).await;
    is_page(&looker, 200);
    assert!(!looker.text().contains("/new\""), "{}", looker.text());
}

on_both!(
    each_step_is_ticked_off_once_it_is_done,
    a_key_whose_row_was_altered_does_not_count_as_one_that_works,
    whoever_signs_in_is_led_there_until_the_first_answer,
    what_is_missing_for_a_step_is_said
);
