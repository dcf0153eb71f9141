//! Creating links: what an admin may request, and that links cannot be guessed.

use countersign::gateway::NewLink;
use countersign::model::handshake::NotConnected;
use countersign::model::key::Right;
use serde_json::{Value, json};

use crate::connect::browser::Browser;
use crate::connect::{path_of, start_gateway, start_gateway_with};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;

async fn ask(gateway: &TestGateway, admin: &str, wanted: &Value) -> Answer {
    let ask = gateway.admin(admin, "POST", "/admin/v1/links");
    ask.header("content-type", "application/json").body(wanted.to_string()).send().await
}

async fn what_a_link_cannot_be_is_refused_with_every_reason(database: Database) {
    let gateway = start_gateway(&database).await;
    let admin = gateway.new_admin_key().await;
    for (wrong, pointers) in [
        (json!({ "label": "" }), vec!["/label"]),
        (json!({ "label": "a\nb" }), vec!["/label"]),
        (json!({ "label": "a".repeat(101) }), vec!["/label"]),
        (json!({ "label": "x", "expires": "25h" }), vec!["/expires"]),
        (json!({ "label": "x", "expires": "0s" }), vec!["/expires"]),
        (json!({ "label": "x", "expires": "soon", "user_id": "x" }), vec!["/user_id", "/expires"]),
        (json!({ "label": "x", "user_id": "0" }), vec!["/user_id"]),
        (json!({ "label": "x", "app": "none" }), vec!["/app"]),
        (
            json!({ "label": "", "expires": "9999h", "return_to": "x" }),
            vec!["/label", "/expires", "/return_to"],
        ),
    ] {
        let refused = ask(&gateway, &admin, &wrong).await;
        refused.is_own(400, "invalid_request");
        let problems = refused.json()["problems"].clone();
        let found: Vec<&str> = problems
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| problem["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(found, pointers, "{problems}");
    }
    assert_eq!(ask(&gateway, &admin, &json!({ "label": "x", "more": 1 })).await.status, 400);
    assert_eq!(ask(&gateway, &gateway.key, &json!({ "label": "x" })).await.status, 401);
    assert_eq!(gateway.audited("link.created").await, []);
    let longest =
        ask(&gateway, &admin, &json!({ "label": "é".repeat(100), "expires": "24h" })).await;
    assert_eq!(longest.status, 201, "{}", longest.text());
}

async fn the_page_of_a_link_for_an_account_that_is_known_names_it(database: Database) {
    let gateway = start_gateway(&database).await;
    let [alice, carol] = ["alice", "carol"].map(|name| gateway.id(name));
    for (user, expected) in [
        (alice, format!("This link is only for @alice (id {alice}). Sign in to X as that user.")),
        (carol, format!("This link is only for the X account with the id {carol}.")),
    ] {
        let link = gateway.link_with(|link| link.expected_user = Some(user)).await;
        Browser::new().open(&link).await.is_page(200, &[&expected]);
    }
}

async fn links_that_wait_are_listed_by_ids_that_open_nothing_and_withdrawn(database: Database) {
    let gateway = start_gateway(&database).await;
    let admin = gateway.new_admin_key().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let created =
            ask(&gateway, &admin, &json!({ "label": format!("number {number}"), "user_id": "12" }))
                .await
                .json();
        made.push(created);
        gateway.sandbox.clock.forward(time::Duration::seconds(number % 2));
    }
    let list = async |query: &str| {
        gateway.admin(&admin, "GET", &format!("/admin/v1/links{query}")).send().await
    };
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = list(&format!("?limit=2{after}")).await.json();
        seen.extend(page["links"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let mut ids: Vec<&Value> = made.iter().map(|link| &link["id"]).collect();
    let mut listed: Vec<&Value> = seen.iter().map(|link| &link["id"]).collect();
    assert_eq!((seen[0]["label"].as_str(), seen.len()), (Some("number 4"), 5), "{seen:?}");
    ids.sort_by_key(ToString::to_string);
    listed.sort_by_key(ToString::to_string);
    assert_eq!(ids, listed);
    let id = made[2]["id"].as_str().unwrap();
    assert!(
        !made[2]["url"].as_str().unwrap().contains(id)
            && seen.iter().all(|link| link["url"].is_null())
    );
    assert_eq!(Browser::new().open(&format!("{}/connect/{id}", gateway.url)).await.status, 404);
    for wrong in ["?after=x", "?after=1-2", "?limit=0", "?more=1"] {
        list(wrong).await.is_own(400, "invalid_request");
    }
    let withdraw = async |key: &str, id: &str| {
        gateway.admin(key, "DELETE", &format!("/admin/v1/links/{id}")).send().await
    };
    withdraw(&gateway.auditor_key().await, id).await.is_own(403, "not_allowed");
    let done = withdraw(&admin, id).await;
    assert_eq!(
        (done.status.as_u16(), &done.json()["label"], &done.json()["user_id"]),
        (200, &json!("number 2"), &json!("12"))
    );
    for gone in [id, "x", &id[..15], &id.to_uppercase()] {
        withdraw(&admin, gone).await.is_own(404, "not_found");
    }
    Browser::new()
        .open(made[2]["url"].as_str().unwrap())
        .await
        .is_page(404, &["This link is unknown"]);
    assert_eq!(list("").await.json()["links"].as_array().unwrap().len(), 4);
    assert_eq!(gateway.audited("link.withdrawn").await.len(), 1);
}

// A cached answer once went on giving it out.
async fn a_withdrawn_link_to_reconnect_is_not_given_out_again(database: Database) {
    let mut gateway = start_gateway(&database).await;
    gateway.key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    let admin = gateway.new_admin_key().await;
    let alice = gateway.id("alice").to_string();
    gateway.sandbox.put(&format!("/sandbox/users/{alice}"), json!({ "state": "revoked" })).await;
    gateway.admin(&admin, "POST", &format!("/admin/v1/accounts/{alice}/verify")).send().await;
    // This gateway learns of that change before it caches a link.
    gateway.inner.catch_up_once().await.unwrap();
    let body =
        crate::upstream::body(&gateway.sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let given = async || {
        let answer =
            gateway.call_as("alice", countersign::model::Endpoint::Totals, &body).send().await;
        answer.is_own(409, "account_not_active");
        answer.json()["reconnect_url"].as_str().unwrap().to_owned()
    };
    let first = given().await;
    assert_eq!(given().await, first);
    let listed = gateway.admin(&admin, "GET", "/admin/v1/links").send().await.json();
    let id = listed["links"][0]["id"].as_str().unwrap();
    assert_eq!(
        gateway.admin(&admin, "DELETE", &format!("/admin/v1/links/{id}")).send().await.status,
        200
    );
    assert_ne!(given().await, first);
}

async fn without_a_public_url_there_are_no_links(database: Database) {
    let gateway = start_gateway_with(&database, |config| config.connect.public_url = None).await;
    let refused = ask(&gateway, &gateway.new_admin_key().await, &json!({ "label": "x" })).await;
    refused.is_own(400, "invalid_request");
    assert!(refused.text().contains("set it, or connect with a PIN"), "{}", refused.text());
}

// A browser once got JSON when it returned to a page under a link.
async fn the_buttons_address_opened_by_itself_leads_to_the_link(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser) = (gateway.link().await, Browser::new());
    browser.open(&format!("{link}/begin")).await.goes_to(path_of(&link));
    for id in ["%20", "%00", "a%2fb", "a%0d%0aset-cookie:a=b"] {
        let texts = [NotConnected::LinkUnknown.what()];
        browser.open(&format!("{}/connect/{id}/begin", gateway.url)).await.is_page(404, &texts);
    }
    assert_eq!((gateway.steps().await, browser.cookies.len()), ((0, 0), 0));
}

async fn each_link_is_another_and_none_is_stored_in_the_clear(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut links = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let new = NewLink { label: "x".to_owned(), ..NewLink::default() };
        let link = gateway.inner.create_link(new, "test").await.unwrap().url.expose().to_owned();
        let id = link.rsplit_once('/').unwrap().1;
        assert!(id.len() == 49 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        links.insert(link);
    }
    assert_eq!(links.len(), 50);
}
async fn garbage_is_no_link_without_a_look_into_the_database(database: Database) {
    let gateway = start_gateway(&database).await;
    let link = gateway.link().await;
    let (before, id) = link.rsplit_once('/').unwrap();
    let other = if id.ends_with('0') { "1" } else { "0" };
    let mut all: Vec<String> =
        ["x", "%20", "%00", "%ff", "a%2fb", "callback%00"].map(str::to_owned).to_vec();
    all.extend([
        id[..43].to_owned(),
        id[..48].to_owned(),
        format!("{}{other}", &id[..48]),
        format!("{id}0"),
        format!("0{id}"),
        id.to_uppercase(),
        "a".repeat(43),
        "a".repeat(49),
        "a".repeat(5000),
    ]);
    let mut browser = Browser::new();
    browser.open(&link).await.is_page(200, &["Continue to X"]);
    // A request that queried the database would wait now, and be told that the server is unavailable.
    database.run("alter table link rename to hidden").await;
    for id in all {
        for page in [
            browser.open(&format!("{before}/{id}")).await,
            browser.press(&format!("{before}/{id}")).await,
        ] {
            page.is_page(
                404,
                &[
                    "This link is unknown or has expired.",
                    "Ask the person who sent it for a new link.",
                ],
            );
        }
    }
    browser.open(&link).await.is_page(500, &["The server cannot do this right now."]);
    database.run("alter table hidden rename to link").await;
    browser.open(&link).await.is_page(200, &["Continue to X"]);
    assert!(browser.cookies.is_empty());
}

on_both!(
    what_a_link_cannot_be_is_refused_with_every_reason,
    the_page_of_a_link_for_an_account_that_is_known_names_it,
    links_that_wait_are_listed_by_ids_that_open_nothing_and_withdrawn,
    a_withdrawn_link_to_reconnect_is_not_given_out_again,
    without_a_public_url_there_are_no_links,
    the_buttons_address_opened_by_itself_leads_to_the_link,
    each_link_is_another_and_none_is_stored_in_the_clear,
    garbage_is_no_link_without_a_look_into_the_database
);
