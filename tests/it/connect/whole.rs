//! The whole way, from an admin's request for a link to a relayed call of the account that was connected by it.

use countersign::model::Endpoint;
use serde_json::{Value, json};
use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::{open_house, open_house_with, path_of, private, token_in};
use crate::database::on_both;
use crate::house::House;
use crate::sandbox::handshake::ACCESS_TOKEN;

on_both! {
    async fn an_account_is_connected_by_a_link_in_a_browser(database: Database) {
        let house = open_house(&database).await;
        let (admin, carol) = (house.new_admin_key().await, house.id("carol").to_string());
        let wanted = json!({ "label": "for the report", "user_id": carol, "expires": "2h" });
        let made = house.admin(&admin, "POST", "/admin/v1/links").header("content-type", "application/json");
        let made = made.body(wanted.to_string()).send().await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        assert_eq!(made["expires_at"], "2026-03-10T23:15:30Z");
        assert_eq!(made["user_id"], *carol);
        assert_eq!((&made["app"], &made["label"]), (&json!("demo"), &json!("for the report")));
        let link = made["url"].as_str().unwrap();
        assert!(link.starts_with(&format!("{}/connect/", house.url)), "{link}");

        let mut browser = Browser::new();
        let page = browser.open(link).await;
        page.is_page(200, &[
            "Connect your X account to demo",
            "“<bdi>for the report</bdi>”",
            &format!("only for the X account with the id {carol}"),
            "Continue to X</button>",
            "until <time datetime=\"2026-03-10T23:15:30Z\">23:15 UTC on 10 March 2026</time>",
            &format!("method=\"post\" action=\"{}/begin\"", path_of(link)),
        ]);
        assert_eq!((browser.cookies.len(), house.steps().await), (0, (0, 0)));
        let style = browser.open(&format!("{}/connect/style.css", house.url)).await;
        assert_eq!((style.status.as_u16(), style.header("content-type")), (200, "text/css; charset=utf-8"));
        style.is_guarded();

        let pressed = browser.press(link).await;
        let token = token_in(&pressed);
        pressed.goes_to(&format!("http://{}/oauth/authorize?oauth_token={token}", house.bench.address));
        let (name, rest) = pressed.header("set-cookie").split_once('=').unwrap();
        let (value, rest) = rest.split_once(';').unwrap();
        assert_eq!((name, rest), ("countersign-connect", " Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"));
        assert!(value.len() > 43 && !value.contains(&token), "{value}");

        let back = house.allowed(&token, "carol").await;
        assert!(back.starts_with(&format!("{}/connect/callback?", house.url)), "{back}");
        browser.follow(&back).await.goes_to(path_of(link));
        let page = browser.open(link).await;
        page.is_page(200, &["Connected</span> as @carol", "You can close this page."]);
        assert!(!page.text().contains("<form"), "{}", page.text());
        assert_eq!(house.steps().await, (1, 1));

        let private = private(&house, "carol");
        house.call_as("carol", Endpoint::TwentyEightHours, &private).send().await.is_relayed(200);
        let arrived = house.arrived("/insights/engagement/28hr").await;
        let signed = arrived[0]["header_values"]["authorization"].to_string();
        assert!(signed.contains(&house.bench.user("carol").access_token), "{}", arrived[0]);

        let (app, account) = ("app:demo".to_owned(), format!("account:demo/{carol}"));
        let created = house.audited("link.created").await;
        assert_eq!(created.len(), 1);
        assert!(created[0].0.starts_with("key:"), "{created:?}");
        assert_eq!((&created[0].1, &*created[0].2), (&app, "link \"for the report\""));
        assert_eq!(house.audited("account.connected").await, [("link".to_owned(), account, "@carol".to_owned())]);
    }

    async fn a_link_that_was_used_is_used_for_everybody_else(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        for mut other in [Browser::new(), { let mut it = Browser::new(); let own = house.link().await; house.begin(&mut it, &own).await; it }] {
            let page = other.open(&link).await;
            page.is_page(410, &["This link was used already.", "If that was you, nothing is left to do."]);
            assert!(!page.text().contains("carol"), "{}", page.text());
            other.press(&link).await.is_page(410, &["This link was used already."]);
        }
        // Nor does the browser that used it begin once more.
        browser.press(&link).await.is_page(410, &["This link was used already."]);
        browser.open(&link).await.is_page(200, &["as @carol"]);
        // Its owner sees the end of it also when the link's own time is over.
        house.bench.clock.forward(Duration::days(2));
        browser.open(&link).await.is_page(200, &["as @carol"]);
    }

    async fn connecting_again_replaces_the_token_and_keeps_all_else(database: Database) {
        let house = open_house(&database).await;
        let (first, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &first, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&first));
        let id = house.id("carol");
        let limited = house.new_key(|it| it.accounts = vec![id]).await;
        let before = house.store.find_account("demo", id).await.unwrap().unwrap();

        // Who takes the app's right back and gives it again has another token.
        let revoked = house.bench.form("/settings/connected_apps", "screen_name=carol&app=demo");
        assert!(revoked.send().await.status.as_u16() < 400);
        house.bench.clock.forward(Duration::hours(1));
        let second = house.link().await;
        let back = house.allow(&mut browser, &second, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&second));
        browser.open(&second).await.is_page(200, &["as @carol"]);

        let after = house.store.find_account("demo", id).await.unwrap().unwrap();
        assert_ne!(before.sealed_token, after.sealed_token);
        assert_eq!(before.account.connected_at, after.account.connected_at);
        assert_eq!(house.audited("account.connected").await.len(), 2);
        let call = house.call_as("carol", Endpoint::Totals, &private(&house, "carol"));
        let bearer = format!("Bearer {limited}");
        call.header("authorization", &bearer).send().await.is_relayed(200);
        let granted = house.arrived(ACCESS_TOKEN).await;
        assert_eq!(granted.len(), 2);
        let used = house.arrived("/insights/").await;
        let world = house.bench.get("/sandbox/world").await;
        let users: Vec<&Value> = world["users"].as_array().unwrap().iter().filter(|it| it["screen_name"] == "carol").collect();
        assert!(used[0]["header_values"]["authorization"].to_string().contains(users[0]["access_token"].as_str().unwrap()), "{}", used[0]);
    }

    async fn a_browser_goes_on_to_where_the_link_says(database: Database) {
        let target = "https://app.example.com/done?a=b%20c";
        let house = open_house_with(&database, |it| it.connect.return_to = vec![target.to_owned()]).await;
        let link = house.link_with(|it| it.return_to = Some(target.to_owned())).await;
        let mut browser = Browser::new();
        let back = house.allow(&mut browser, &link, "carol").await;
        let went = browser.follow(&back).await;
        went.goes_to(target);
        browser.open(&link).await.is_page(200, &["as @carol", &format!("href=\"{target}\"")]);
        // Who comes back a second time is told as well, on our page.
        browser.follow(&back).await.goes_to(path_of(&link));
    }

    async fn a_browser_no_longer_goes_where_the_settings_no_longer_say(database: Database) {
        let target = "https://app.example.com/done";
        let house = open_house_with(&database, |it| it.connect.return_to = vec![target.to_owned()]).await;
        let link = house.link_with(|it| it.return_to = Some(target.to_owned())).await;
        let house = House::build(house.bench.again(), &database.settings(), |_| ()).await;
        let (link, mut browser) = (format!("{}{}", house.url, path_of(&link)), Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        let page = browser.open(&link).await;
        page.is_page(200, &["as @carol", "You can close this page."]);
        assert!(!page.text().contains(target), "{}", page.text());
    }

    async fn two_links_can_be_begun_in_one_browser(database: Database) {
        let house = open_house(&database).await;
        let (one, two, mut browser) = (house.link().await, house.link().await, Browser::new());
        let first = house.allow(&mut browser, &one, "carol").await;
        let second = house.allow(&mut browser, &two, "dave").await;
        browser.follow(&first).await.goes_to(path_of(&one));
        browser.open(&one).await.is_page(200, &["as @carol"]);
        browser.follow(&second).await.goes_to(path_of(&two));
        browser.open(&two).await.is_page(200, &["as @dave"]);
        assert!(house.is_connected("carol").await && house.is_connected("dave").await);
    }
}
