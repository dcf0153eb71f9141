//! The first steps: from nothing to the first answered call, as one who has only an admin key takes them.

use crate::connect::browser::Browser;
use crate::connect::{open_house, open_house_with, path_of};
use crate::console::keys::{command, tried};
use crate::console::{Visitor, is_page, text_of};
use crate::database::{Database, on_both};
use crate::house::House;

const START: &str = "/console/start";

/// With nothing but its settings.
async fn bare(database: &Database) -> House {
    let house = open_house(database).await;
    for name in ["alice", "bob"] {
        let named = countersign::model::AccountRef::Id(house.id(name));
        house.gateway.remove_account(None, &named, "test").await.unwrap();
    }
    house.gateway.revoke_key(&house.key, "test").await.unwrap().unwrap();
    house
}

/// How many steps are ticked off, and the number of the next.
async fn steps(visitor: &Visitor<'_>) -> (usize, Option<usize>) {
    let page = visitor.open(START).await;
    is_page(&page, 200);
    let text = page.text();
    let next = text.split("aria-current=\"step\">\n<h2>").nth(1);
    (text.matches("✓ done").count(), next.map(|it| it[..1].parse().unwrap()))
}

on_both! {
    async fn each_step_is_ticked_off_once_it_is_done(database: Database) {
        let house = bare(&database).await;
        let visitor = Visitor::admin(&house).await;
        assert!(visitor.open("/console/accounts").await.text().contains(&format!("href=\"{START}\"")));
        assert_eq!(steps(&visitor).await, (1, Some(2)));
        let link = visitor.send("/console/links", &[("label", "the report")]).await;
        let (link, mut browser) = (text_of(&link, "url"), Browser::new());
        let back = house.allow(&mut browser, &link, "alice").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        assert_eq!(steps(&visitor).await, (2, Some(3)));
        let key = text_of(&visitor.send("/console/keys", &[("name", "dashboard")]).await, "key");
        assert_eq!(steps(&visitor).await, (3, Some(4)));
        let shown = command(&visitor.open(START).await);
        tried(&house, &shown.replace("csk_…", "csk_wrong")).await.is_own(401, "unknown_key");
        assert_eq!(steps(&visitor).await, (3, Some(4)), "not answered");
        tried(&house, &shown.replace("csk_…", &key)).await.is_relayed(200);
        assert_eq!(steps(&visitor).await, (4, None));
        assert!(visitor.open(START).await.text().contains("All four steps are done."));
    }

    async fn a_key_whose_row_was_altered_does_not_count_as_one_that_works(database: Database) {
        let house = open_house(&database).await;
        let visitor = Visitor::admin(&house).await;
        assert_eq!(steps(&visitor).await, (3, Some(4)));
        for _ in 0..60 {
            house.new_key(|_| ()).await;
        }
        database.run("update key set links = true where kind = 'caller'").await;
        assert_eq!(steps(&visitor).await, (2, Some(3)));
        house.new_key(|it| "zebra".clone_into(&mut it.name)).await;
        assert_eq!(steps(&visitor).await, (3, Some(4)), "behind all that do not work");
    }

    async fn what_is_missing_for_a_step_is_said(database: Database) {
        let house = open_house_with(&database, |it| {
            it.connect.public_url = None;
        }).await;
        for name in ["alice", "bob"] {
            let named = countersign::model::AccountRef::Id(house.id(name));
            house.gateway.remove_account(None, &named, "test").await.unwrap();
        }
        let page = Visitor::admin(&house).await.open(START).await;
        assert!(page.text().contains("server.public_url") && !page.text().contains("href=\"/console/links/new\""), "{}", page.text());
        assert!(command(&page).contains("curl --compressed http://127.0.0.1:8080/insights/"), "{}", page.text());
        let looker = Visitor::with_key(&house, &house.looking_key().await).await.open(START).await;
        is_page(&looker, 200);
        assert!(!looker.text().contains("/new\""), "{}", looker.text());
    }
}
