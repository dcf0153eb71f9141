//! The links' pages: pending links, creating one, and withdrawing one.

use time::Duration;

use crate::connect::browser::Browser;
use crate::connect::strings::hostile;
use crate::connect::{path_of, start_gateway, start_gateway_with};
use crate::console::{Visitor, is_page, plain, text_of};
use crate::database::{Database, on_both};
use crate::http::Answer;

const LINKS: &str = "/console/links";

fn rows(page: &Answer) -> usize {
    page.text().matches("<tr><td data-label=\"Label\" class=\"wrap\"><bdi>").count()
}

/// The path that withdraws the first link listed.
fn withdraw_path(page: &Answer) -> String {
    let text = page.text();
    let before = text.split("/withdraw\"").next().unwrap();
    format!("{}/withdraw", before.rsplit('"').next().unwrap())
}

async fn a_link_is_made_shown_once_and_listed_until_it_is_used(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let empty = visitor.open(LINKS).await;
    is_page(&empty, 200);
    assert!(empty.text().contains("No pending links."), "{}", empty.text());
    is_page(&visitor.open(&format!("{LINKS}/new")).await, 200);
    let carol = gateway.id("carol").to_string();
    let made = visitor
        .send(LINKS, &[("label", "the report"), ("user_id", &carol), ("expires", "2h")])
        .await;
    is_page(&made, 200);
    let link = text_of(&made, "url");
    assert!(
        made.text().contains("shown only once")
            && made.text().contains(&carol)
            && made.text().contains("2026-03-10 23:15 UTC"),
        "{}",
        made.text()
    );
    let list = visitor.open(LINKS).await;
    for told in ["the report", &carol, "2026-03-10 21:15 UTC", "2026-03-10 23:15 UTC", "demo"] {
        assert!(list.text().contains(told), "{told}: {}", list.text());
    }
    assert!(!list.text().contains(path_of(&link)));
    let mut browser = Browser::new();
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    assert_eq!(rows(&visitor.open(LINKS).await), 0, "used");
    gateway.link_with(|link| link.expires_in = Some(std::time::Duration::from_mins(1))).await;
    assert_eq!(rows(&visitor.open(LINKS).await), 1);
    gateway.sandbox.clock.forward(Duration::minutes(1));
    assert_eq!(rows(&visitor.open(LINKS).await), 0, "over");
}

async fn a_link_that_is_withdrawn_opens_nothing_and_ends_what_was_begun(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    let path = withdraw_path(&visitor.open(LINKS).await);
    let asked = visitor.open(&path).await;
    is_page(&asked, 200);
    for told in [
        "“<bdi>for the report</bdi>”?",
        "The link stops working",
        "anyone",
        "2026-03-11 21:15 UTC",
        ">Cancel<",
    ] {
        assert!(asked.text().contains(told), "{told}: {}", asked.text());
    }
    assert_eq!(rows(&visitor.open(LINKS).await), 1, "asking withdraws nothing");
    let done = visitor.send(&path, &[]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/links?done=withdrawn")
    );
    assert!(visitor.open(done.header("location")).await.text().contains("The link was withdrawn"));
    browser.follow(&back).await;
    assert!(!gateway.is_connected("carol").await);
    browser.open(&link).await.is_page(404, &["This link is unknown or has expired"]);
    is_page(&visitor.open(&path).await, 404);
    is_page(&visitor.send(&path, &[]).await, 404);
    for wrong in ["1", "../x", "ffffffffffffffff", path_of(&link).rsplit('/').next().unwrap()] {
        is_page(&visitor.open(&format!("{LINKS}/{wrong}/withdraw")).await, 404);
        is_page(&visitor.send(&format!("{LINKS}/{wrong}/withdraw"), &[]).await, 404);
    }
    let withdrawn = gateway.audited("link.withdrawn").await;
    assert_eq!(withdrawn.len(), 1);
    assert!(
        withdrawn[0].0.starts_with("key:")
            && withdrawn[0].1 == "app:demo"
            && withdrawn[0].2 == r#"link "for the report""#,
        "{withdrawn:?}"
    );
}

async fn links_are_searched_and_paged_newest_first(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for number in 0..60 {
        gateway.link_with(|link| link.label = format!("User_{number:02}")).await;
        if number % 7 == 0 {
            gateway.sandbox.clock.forward(Duration::seconds(1));
        }
    }
    let page = visitor.open(&format!("{LINKS}?search=user_")).await;
    assert_eq!(rows(&page), 50);
    let text = plain(&page);
    assert!(text.find("User_59").unwrap() < text.find("User_20").unwrap());
    let next = text.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let rest = visitor.open(next).await;
    assert_eq!(rows(&rest), 10, "{next}");
    for number in 0..60 {
        let name = format!("User_{number:02}");
        assert!(text.contains(&name) != rest.text().contains(&name), "{name}");
    }
    for (query, count) in
        [("?search=USER_07", 1), ("?search=%25", 0), ("?search=nobody", 0), ("?after=x-y", 50)]
    {
        assert_eq!(rows(&visitor.open(&format!("{LINKS}{query}")).await), count, "{query}");
    }
}

async fn wrong_input_is_told_beside_the_field_and_kept(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for (fields, field, detail) in [
        (&[("label", " ")][..], "label", "must be 1 to 100 printable characters"),
        (&[("label", "kept"), ("user_id", "carol")], "user_id", "must be a user id"),
        (&[("label", "kept"), ("expires", "25h")], "expires", "at most 24 hours"),
        (&[("label", "kept"), ("expires", "soon")], "expires", "must be a duration"),
    ] {
        let page = visitor.send(LINKS, fields).await;
        is_page(&page, 400);
        let text = plain(&page);
        let told = text
            .split(&format!("id=\"{field}-wrong\">"))
            .nth(1)
            .unwrap_or_else(|| panic!("{field}: {text}"));
        assert!(
            told.split('<').next().unwrap().contains(detail)
                && text.contains("The link was not created"),
            "{text}"
        );
        assert!(field == "label" || text.contains("value=\"kept\""), "{text}");
        assert!(field != "user_id" || text.contains("value=\"carol\""), "{text}");
    }
    assert_eq!(gateway.audited("link.created").await, []);
}

async fn a_link_leads_on_to_an_address_that_the_settings_allow(database: Database) {
    let (one, two) = ("https://app.example.com/settings", "https://app.example.com/done?x=1&y=2");
    let gateway = start_gateway_with(&database, |config| {
        config.connect.return_to = vec![one.to_owned(), two.to_owned()];
    })
    .await;
    let visitor = Visitor::admin(&gateway).await;
    let form = plain(&visitor.open(&format!("{LINKS}/new")).await);
    assert!(
        form.contains(&format!("<option>{one}</option>"))
            && form.contains(&format!("<option>{two}</option>")),
        "{form}"
    );
    let made = visitor.send(LINKS, &[("label", "x"), ("return_to", two)]).await;
    is_page(&made, 200);
    assert!(
        plain(&made).contains(&format!("<dt>Return to</dt><dd><bdi>{two}</bdi></dd>")),
        "{}",
        made.text()
    );
    let mut browser = Browser::new();
    let back = gateway.allow(&mut browser, &text_of(&made, "url"), "carol").await;
    browser.follow(&back).await.goes_to(two);

    let kept = plain(&visitor.send(LINKS, &[("label", " "), ("return_to", two)]).await);
    assert!(kept.contains(&format!("<option selected>{two}</option>")), "{kept}");
    let wrong =
        visitor.send(LINKS, &[("label", "x"), ("return_to", "https://evil.example/")]).await;
    is_page(&wrong, 400);
    assert!(
        wrong
            .text()
            .contains("id=\"return_to-wrong\">must be exactly as listed in connect.return_to"),
        "{}",
        wrong.text()
    );
    let nowhere = visitor.send(LINKS, &[("label", "x"), ("return_to", "")]).await;
    assert!(
        nowhere.status == 200 && !nowhere.text().contains("<dt>Return to</dt>"),
        "{}",
        nowhere.text()
    );
}

async fn where_no_address_is_allowed_none_is_offered(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let form = visitor.open(&format!("{LINKS}/new")).await.text();
    assert!(form.contains("id=\"label\"") && !form.contains("return_to"), "{form}");
    let wrong =
        visitor.send(LINKS, &[("label", "x"), ("return_to", "https://evil.example/")]).await;
    is_page(&wrong, 400);
    assert!(wrong.text().contains("id=\"return_to-wrong\">"), "{}", wrong.text());
}

async fn without_a_public_url_the_pages_say_what_to_set(database: Database) {
    let gateway = start_gateway_with(&database, |config| config.connect.public_url = None).await;
    let visitor = Visitor::admin(&gateway).await;
    for path in [LINKS.to_owned(), format!("{LINKS}/new")] {
        let page = visitor.open(&path).await;
        is_page(&page, 200);
        assert!(
            page.text().contains("server.public_url")
                && !page.text().contains("action=\"/console/links\""),
            "{}",
            page.text()
        );
    }
    is_page(&visitor.send(LINKS, &[("label", "x")]).await, 400);
}

async fn who_only_looks_makes_and_withdraws_nothing(database: Database) {
    let gateway = start_gateway(&database).await;
    gateway.link().await;
    let path = withdraw_path(&Visitor::admin(&gateway).await.open(LINKS).await);
    let looker = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    for page in [LINKS.to_owned(), format!("{LINKS}/new"), path.clone()] {
        let page = looker.open(&page).await;
        is_page(&page, 200);
        let text = page.text();
        let own = text.split("<main>").nth(1).unwrap();
        assert!(
            !own.contains("method=\"post\"")
                && !own.contains("/links/new")
                && !own.contains("/withdraw\""),
            "{own}"
        );
    }
    is_page(&looker.send(&path, &[]).await, 403);
    is_page(&looker.send(LINKS, &[("label", "x")]).await, 403);
    assert_eq!(rows(&looker.open(LINKS).await), 1);
}

async fn hostile_labels_are_escaped(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for text in hostile()
        .iter()
        .filter(|text| text.contains('<') && text.len() > 2 && !text.contains(char::is_control))
    {
        let made = visitor.send(LINKS, &[("label", text)]).await;
        let wrong =
            visitor.send(LINKS, &[("label", text), ("user_id", text), ("expires", text)]).await;
        is_page(&wrong, 400);
        let found =
            form_urlencoded::Serializer::new(String::new()).append_pair("search", text).finish();
        let found = visitor.open(&format!("{LINKS}?{found}")).await;
        for page in [made, wrong, found] {
            assert!(!page.text().contains(&**text), "{text}");
        }
    }
}

on_both!(
    a_link_is_made_shown_once_and_listed_until_it_is_used,
    a_link_that_is_withdrawn_opens_nothing_and_ends_what_was_begun,
    links_are_searched_and_paged_newest_first,
    wrong_input_is_told_beside_the_field_and_kept,
    a_link_leads_on_to_an_address_that_the_settings_allow,
    where_no_address_is_allowed_none_is_offered,
    without_a_public_url_the_pages_say_what_to_set,
    who_only_looks_makes_and_withdraws_nothing,
    hostile_labels_are_escaped
);
