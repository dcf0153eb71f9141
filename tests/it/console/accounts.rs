//! The accounts' pages: the list and its filters, one account's history, and the actions on it.

use countersign::gateway::{Import, ImportEvents};
use countersign::model::{App, Endpoint, Secret};
use serde_json::json;

use crate::connect::browser::Browser;
use crate::connect::{path_of, start_gateway, start_gateway_with};
use crate::console::{Visitor, is_page, text_of};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::upstream::body;

const ACCOUNTS: &str = "/console/accounts";

fn path(gateway: &TestGateway, name: &str) -> String {
    format!("{ACCOUNTS}/demo/{}", gateway.id(name))
}

async fn bring(gateway: &TestGateway, number: u64, screen_name: &str) {
    let import = Import {
        line: 1,
        user_id: number.to_string(),
        screen_name: screen_name.to_owned(),
        access_token: Secret::new(format!("{number}-token")),
        access_token_secret: Secret::new("secret".to_owned()),
    };
    gateway
        .inner
        .import_accounts(Some("demo"), &[import], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
}

async fn accounts_are_listed_with_what_was_asked_last_as_them(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let page = visitor.open(ACCOUNTS).await;
    is_page(&page, 200);
    assert_eq!(
        page.text().matches("<td data-label=\"Last call\"></td>").count(),
        2,
        "{}",
        page.text()
    );
    let ask = |name: &'static str, ids: Vec<String>| {
        gateway
            .call_as(name, Endpoint::TwentyEightHours, &body(&ids, &["impressions"], &["tweet.id"]))
            .send()
    };
    let (alice, bob) = (gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("bob", 1));
    ask("alice", alice.clone()).await.is_relayed(200);
    ask("bob", alice).await.is_relayed(403);
    ask("bob", bob).await.is_relayed(200);
    let page = visitor.open(ACCOUNTS).await.text();
    assert_eq!(
        page.matches("2026-03-10 21:15 UTC</td>").count(),
        2 + 2 + 1,
        "since, last call and last error: {page}"
    );
    assert!(page.contains("X rejected the call (403), 2026-03-10 21:15 UTC"), "{page}");
    let one = visitor.open(&path(&gateway, "bob")).await;
    is_page(&one, 200);
    assert!(
        one.text().contains("X rejected the call (403)") && one.text().contains("answered (200)"),
        "{}",
        one.text()
    );
    assert!(one.text().contains(&format!("/console/calls?account={}", gateway.id("bob"))));
    assert!(
        one.text().contains("<td data-label=\"When\">2026-03-10 21:15:30 UTC</td>"),
        "to the second: {}",
        one.text()
    );
    assert!(!visitor.open(&path(&gateway, "alice")).await.text().contains("(403)"), "another's");
}

async fn the_list_is_narrowed_searched_and_paged(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for number in 0..60 {
        bring(&gateway, 1_000_000_000 + number, &format!("user_{number}")).await;
    }
    bring(&gateway, 77, "userX7").await;
    let shown = async |query: &str| {
        let page = visitor.open(&format!("{ACCOUNTS}{query}")).await;
        is_page(&page, 200);
        page.text()
            .matches("<tr><td data-label=\"Account\"><a href=\"/console/accounts/demo/")
            .count()
    };
    assert_eq!(shown("").await, 50);
    let page = visitor.open(ACCOUNTS).await.text();
    let next = page.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(shown(&next.replacen(ACCOUNTS, "", 1)).await, 13);
    for (query, count) in [
        ("?search=alice", 1),
        ("?search=%40ALICE", 1),
        ("?search=+alic", 1),
        ("?search=lice", 1),
        ("?search=nobody", 0),
        ("?search=user_7", 1),
        ("?search=%25", 0),
        ("?search=_", 50),
        ("?search=1000000003", 1),
        ("?search=%F0%9F%A6%80%21", 0),
        ("?state=revoked", 0),
        ("?state=active&search=alice", 1),
        ("?app=other", 0),
        ("?app=demo&search=bob", 1),
        ("?after=nonsense", 50),
    ] {
        assert_eq!(shown(query).await, count, "{query}");
    }
    let page = visitor.open(&format!("{ACCOUNTS}?search=user_&state=active")).await.text();
    let next = page.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(next.contains("search=user_") && next.contains("state=active"), "{next}");
    let none = visitor.open(&format!("{ACCOUNTS}?search=nobody")).await;
    assert!(none.text().contains("No accounts match.") && none.text().contains("value=\"nobody\""));
}

async fn an_empty_list_leads_to_the_first_steps(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for name in ["alice", "bob"] {
        assert_eq!(
            visitor.send(&format!("{}/remove", path(&gateway, name)), &[]).await.status,
            303
        );
    }
    let page = visitor.open(ACCOUNTS).await;
    is_page(&page, 200);
    assert!(
        page.text().contains("No accounts connected yet.")
            && page.text().contains("href=\"/console/start\""),
        "{}",
        page.text()
    );
}

async fn an_account_is_verified_and_its_page_says_what_came_of_it(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = path(&gateway, "alice");
    for (fault, done, says) in [
        (json!([]), "works", "the account&#39;s token works"),
        (
            json!([{ "kind": "status", "code": 89, "path": crate::upstream::VERIFY }]),
            "ended",
            "token does not work",
        ),
    ] {
        gateway.order(fault).await;
        let answer = visitor.send(&format!("{path}/verify"), &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (303, &*format!("{path}?done={done}"))
        );
        let page = visitor.open(answer.header("location")).await;
        is_page(&page, 200);
        assert!(page.text().contains("role=\"status\""), "{}", page.text());
        assert!(page.text().replace('\'', "&#39;").contains(says), "{}", page.text());
    }
    let page = visitor.open(&path).await.text();
    assert!(
        page.contains("state revoked")
            && page.contains("X says that the access token is no longer valid"),
        "{page}"
    );
    let (revoked, imported) =
        (page.find(">revoked</td>").unwrap(), page.find(">imported</td>").unwrap());
    assert!(revoked < imported, "newest first");
}

async fn a_link_to_reconnect_is_shown_once_and_is_for_that_user_alone(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = path(&gateway, "alice");
    assert_eq!(visitor.open(&format!("{path}/reconnect")).await.status, 405);
    let page = visitor.send(&format!("{path}/reconnect"), &[]).await;
    is_page(&page, 200);
    let link = text_of(&page, "url");
    assert!(
        page.text().contains("shown only once")
            && page.text().contains(&gateway.id("alice").to_string())
    );
    let mut browser = Browser::new();
    let id = gateway.id("alice").to_string();
    browser.open(&link).await.is_page(200, &["to reconnect @alice", &*id]);
    assert!(!visitor.open(&path).await.text().contains(path_of(&link)));
    let made = gateway.audited("link.created").await;
    assert!(made.len() == 1 && made[0].0.starts_with("key:"), "{made:?}");
}

async fn without_a_public_url_no_link_is_offered(database: Database) {
    let gateway = start_gateway_with(&database, |config| config.connect.public_url = None).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = path(&gateway, "alice");
    let page = visitor.open(&path).await;
    assert!(
        page.text().contains("server.public_url") && !page.text().contains("/reconnect\""),
        "{}",
        page.text()
    );
    let refused = visitor.send(&format!("{path}/reconnect"), &[]).await;
    is_page(&refused, 400);
}

async fn removing_asks_first_and_says_what_it_does(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = path(&gateway, "alice");
    let page = visitor.open(&format!("{path}/remove")).await;
    is_page(&page, 200);
    assert!(
        page.text().contains("permanently deletes the stored token")
            && page.text().contains("At X, the token stays valid"),
        "{}",
        page.text()
    );
    assert_eq!(visitor.open(&path).await.status, 200, "asking removes nothing");
    let done = visitor.send(&format!("{path}/remove"), &[]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/accounts?done=removed")
    );
    let list = visitor.open(done.header("location")).await;
    assert!(
        list.text().contains("The account was removed") && !list.text().contains("@alice"),
        "{}",
        list.text()
    );
    is_page(&visitor.open(&path).await, 404);
    is_page(&visitor.send(&format!("{path}/remove"), &[]).await, 404);
    let removed = gateway.audited("account.removed").await;
    assert!(removed.len() == 1 && removed[0].0.starts_with("key:"), "{removed:?}");
}

async fn an_account_of_an_app_that_is_gone_is_looked_at_and_removed(database: Database) {
    let before = TestGateway::start_with(&database, |config| {
        let gone = App { name: "gone".to_owned(), ..config.apps["demo"].clone() };
        config.apps.insert(gone.name.clone(), gone);
    })
    .await;
    for name in ["alice", "bob"] {
        before
            .inner
            .import_accounts(
                Some("gone"),
                &[before.import_of(name)],
                ImportEvents::Each,
                "test",
                |_| (),
            )
            .await
            .unwrap();
    }
    let gateway = TestGateway::build(before.sandbox.again(), &database.settings(), |_| ()).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = format!("{ACCOUNTS}/gone/{}", gateway.id("alice"));
    let list = visitor.open(ACCOUNTS).await.text();
    assert!(
        list.contains(&format!("href=\"{path}\"")) && list.matches("(not configured)").count() == 2,
        "{list}"
    );
    let page = visitor.open(&path).await;
    is_page(&page, 200);
    let text = page.text();
    assert!(
        text.contains("The app gone is no longer configured") && text.contains(">imported</td>"),
        "{text}"
    );
    assert!(
        text.contains("/remove\"") && !text.contains("/verify\"") && !text.contains("/reconnect\""),
        "{text}"
    );
    is_page(&visitor.send(&format!("{path}/verify"), &[]).await, 404);
    is_page(&visitor.send(&format!("{path}/reconnect"), &[]).await, 400);
    is_page(&visitor.open(&format!("{ACCOUNTS}/never/{}", gateway.id("alice"))).await, 404);
    is_page(&visitor.open(&format!("{path}/remove")).await, 200);
    let done = visitor.send(&format!("{path}/remove"), &[]).await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/console/accounts?done=removed")
    );
    is_page(&visitor.open(&path).await, 404);
    let other = visitor.open(&format!("{ACCOUNTS}/demo/{}", gateway.id("alice"))).await.text();
    assert!(other.contains("/verify\"") && !other.contains("not in the configuration"), "{other}");

    let key = gateway.new_admin_key().await;
    let bob = "/admin/v1/accounts/@bob?app=gone";
    assert_eq!(gateway.admin(&key, "GET", bob).send().await.json()["app"], "gone");
    assert_eq!(gateway.admin(&key, "DELETE", bob).send().await.status, 200);
    gateway.admin(&key, "GET", bob).send().await.is_own(404, "not_found");
}

async fn who_only_looks_finds_no_button(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    assert!(
        visitor
            .open(&format!("{}/remove", path(&gateway, "alice")))
            .await
            .text()
            .contains("An admin with full access can do this")
    );
    for path in [
        ACCOUNTS.to_owned(),
        path(&gateway, "alice"),
        format!("{}/remove", path(&gateway, "alice")),
    ] {
        let page = visitor.open(&path).await;
        is_page(&page, 200);
        let text = page.text();
        let own = text.split("<main>").nth(1).unwrap();
        assert!(
            !own.contains("method=\"post\"")
                && !own.contains("/links/new")
                && !own.contains("/remove\""),
            "{own}"
        );
    }
    for act in ["verify", "reconnect", "remove"] {
        is_page(&visitor.send(&format!("{}/{act}", path(&gateway, "alice")), &[]).await, 403);
    }
    assert_eq!(visitor.open(&path(&gateway, "alice")).await.status, 200);
}

async fn what_is_searched_for_is_escaped(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for text in crate::connect::strings::hostile()
        .iter()
        .filter(|text| text.contains('<') && text.len() > 2 && !text.contains('\0'))
    {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("search", text)
            .append_pair("app", text)
            .finish();
        let page = visitor.open(&format!("{ACCOUNTS}?{query}")).await;
        is_page(&page, 200);
        assert!(!page.text().contains(&**text), "{text}");
    }
}

on_both!(
    accounts_are_listed_with_what_was_asked_last_as_them,
    the_list_is_narrowed_searched_and_paged,
    an_empty_list_leads_to_the_first_steps,
    an_account_is_verified_and_its_page_says_what_came_of_it,
    a_link_to_reconnect_is_shown_once_and_is_for_that_user_alone,
    without_a_public_url_no_link_is_offered,
    removing_asks_first_and_says_what_it_does,
    an_account_of_an_app_that_is_gone_is_looked_at_and_removed,
    who_only_looks_finds_no_button,
    what_is_searched_for_is_escaped
);
