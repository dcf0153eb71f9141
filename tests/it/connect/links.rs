//! Making links: what an admin may ask for, and where a browser may be sent on to.

use countersign::gateway::NewLink;
use countersign::model::handshake::NotConnected;
use serde_json::{Value, json};

use crate::bench::Answer;
use crate::connect::browser::Browser;
use crate::connect::{open_house, open_house_with, path_of};
use crate::database::on_both;
use crate::house::House;

const ALLOWED: &str = "https://app.example.com/settings";

async fn ask(house: &House, admin: &str, wanted: &Value) -> Answer {
    let ask = house.admin(admin, "POST", "/admin/v1/links");
    ask.header("content-type", "application/json").body(wanted.to_string()).send().await
}

/// Addresses that a lenient reader takes for the one that is allowed, or for a part of this site.
fn hostile() -> Vec<String> {
    let written = [
        "",
        " ",
        "/",
        "//",
        "///",
        "/settings",
        "settings",
        "?",
        "#",
        ".",
        "..",
        "*",
        "null",
        "true",
        "//app.example.com/settings",
        "///app.example.com/settings",
        "\\\\app.example.com\\settings",
        "/\\app.example.com/settings",
        "\\/app.example.com/settings",
        "https:/app.example.com/settings",
        "https:app.example.com/settings",
        "https:///app.example.com/settings",
        "https:\\\\app.example.com\\settings",
        "https://app.example.com\\settings",
        "http://app.example.com/settings",
        "ftp://app.example.com/settings",
        "HTTPS://app.example.com/settings",
        "https://APP.example.com/settings",
        "https://app.example.com/Settings",
        "https://app.example.com./settings",
        "https://app.example.com:443/settings",
        "https://app.example.com:8443/settings",
        "https://app.example.com:/settings",
        "https://app.example.com/settings/",
        "https://app.example.com//settings",
        "https://app.example.com/./settings",
        "https://app.example.com/x/../settings",
        "https://app.example.com/settings?",
        "https://app.example.com/settings?a=b",
        "https://app.example.com/settings#",
        "https://app.example.com/settings#x",
        "https://app.example.com/settings;x",
        "https://app.example.com/settings%20",
        "https://app.example.com/%73ettings",
        "https://app.example.com%2fsettings",
        "https%3A%2F%2Fapp.example.com%2Fsettings",
        "https://app.example.com/settings%00",
        "https://app.example.com/settings%0d%0aset-cookie:a=b",
        "https://user@app.example.com/settings",
        "https://user:pw@app.example.com/settings",
        "https://app.example.com@evil.example/settings",
        "https://app.example.com:pw@evil.example/settings",
        "https://app.example.com\\@evil.example/settings",
        "https://app.example.com#@evil.example/settings",
        "https://app.example.com?@evil.example/settings",
        "https://app.example.com.evil.example/settings",
        "https://evil.example/https://app.example.com/settings",
        "https://evil.example/?https://app.example.com/settings",
        "https://evil.example/settings",
        "https://example.com/settings",
        "https://xapp.example.com/settings",
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/setting",
        "https://app.example.com/settings,https://evil.example/",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "about:blank",
        "blob:https://app.example.com/settings",
        "https://127.0.0.1/settings",
        "https://[::1]/settings",
        "https://аpp.example.com/settings",
        "https://app。example.com/settings",
        "https://app.example.com／settings",
        "https://app.example.com/settings\u{200b}",
        "\u{feff}https://app.example.com/settings",
        "https://app.exam\u{ad}ple.com/settings",
    ];
    let around = [
        " ", "\t", "\n", "\r", "\r\n", "\u{0}", "\u{b}", "\u{c}", "\u{1f}", "\u{7f}", "\u{a0}",
        "\u{2028}",
    ];
    let mut all: Vec<String> = written.map(str::to_owned).to_vec();
    for odd in around {
        all.push(format!("{odd}{ALLOWED}"));
        all.push(format!("{ALLOWED}{odd}"));
        all.push(ALLOWED.replace("//", &format!("/{odd}/")));
        all.push(ALLOWED.replace(".com", &format!(".com{odd}")));
        all.push(ALLOWED.replace("https:", &format!("https{odd}:")));
    }
    all.extend((1..ALLOWED.len()).map(|it| ALLOWED[..it].to_owned()));
    all.push(ALLOWED.repeat(2));
    all.push(format!("{ALLOWED}{}", "a".repeat(10_000)));
    all
}

on_both! {
    async fn a_browser_goes_on_only_to_where_the_settings_say_letter_for_letter(database: Database) {
        let house = open_house_with(&database, |it| it.connect.return_to = vec![ALLOWED.to_owned()]).await;
        let (admin, all) = (house.new_admin_key().await, hostile());
        assert!(all.len() >= 150, "{}", all.len());
        for return_to in all {
            let refused = ask(&house, &admin, &json!({ "label": "x", "return_to": return_to })).await;
            refused.is_own(400, "invalid_request");
            assert_eq!(refused.json()["problems"][0]["pointer"], "/return_to", "{return_to:?}");
        }
        assert_eq!(house.audited("link.created").await, []);
        let made = ask(&house, &admin, &json!({ "label": "x", "return_to": ALLOWED })).await;
        assert_eq!((made.status.as_u16(), &made.json()["return_to"]), (201, &json!(ALLOWED)));
    }

    async fn what_a_link_cannot_be_is_refused_with_every_reason(database: Database) {
        let house = open_house(&database).await;
        let admin = house.new_admin_key().await;
        for (wrong, pointers) in [
            (json!({ "label": "" }), vec!["/label"]),
            (json!({ "label": "a\nb" }), vec!["/label"]),
            (json!({ "label": "a".repeat(101) }), vec!["/label"]),
            (json!({ "label": "x", "expires": "25h" }), vec!["/expires"]),
            (json!({ "label": "x", "expires": "0s" }), vec!["/expires"]),
            (json!({ "label": "x", "expires": "soon", "user_id": "x" }), vec!["/user_id", "/expires"]),
            (json!({ "label": "x", "user_id": "0" }), vec!["/user_id"]),
            (json!({ "label": "", "expires": "9999h", "return_to": "x" }), vec!["/label", "/expires", "/return_to"]),
        ] {
            let refused = ask(&house, &admin, &wrong).await;
            refused.is_own(400, "invalid_request");
            let problems = refused.json()["problems"].clone();
            let found: Vec<&str> = problems.as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
            assert_eq!(found, pointers, "{problems}");
        }
        assert_eq!(ask(&house, &admin, &json!({ "label": "x", "app": "none" })).await.status, 404);
        assert_eq!(ask(&house, &admin, &json!({ "label": "x", "more": 1 })).await.status, 400);
        assert_eq!(ask(&house, &house.key, &json!({ "label": "x" })).await.status, 401);
        assert_eq!(house.audited("link.created").await, []);
        let longest = ask(&house, &admin, &json!({ "label": "é".repeat(100), "expires": "24h" })).await;
        assert_eq!(longest.status, 201, "{}", longest.text());
    }

    async fn without_a_public_url_there_are_no_links(database: Database) {
        let house = open_house_with(&database, |it| it.connect.public_url = None).await;
        let refused = ask(&house, &house.new_admin_key().await, &json!({ "label": "x" })).await;
        refused.is_own(400, "invalid_request");
        assert!(refused.text().contains("set it, or connect by PIN"), "{}", refused.text());
    }

    // A browser that came back to a page under it once got JSON.
    async fn the_buttons_address_opened_by_itself_leads_to_the_link(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        browser.open(&format!("{link}/begin")).await.goes_to(path_of(&link));
        for id in ["%20", "%00", "a%2fb", "a%0d%0aset-cookie:a=b"] {
            let texts = [NotConnected::LinkUnknown.what()];
            browser.open(&format!("{}/connect/{id}/begin", house.url)).await.is_page(404, &texts);
        }
        assert_eq!((house.steps().await, browser.cookies.len()), ((0, 0), 0));
    }

    async fn each_link_is_another_and_none_is_stored_in_the_clear(database: Database) {
        let house = open_house(&database).await;
        let mut links = std::collections::BTreeSet::new();
        for _ in 0..50 {
            let new = NewLink { label: "x".to_owned(), ..NewLink::default() };
            let link = house.gateway.create_link(new, "test").await.unwrap().url.expose().to_owned();
            let id = link.rsplit_once('/').unwrap().1;
            assert!(id.len() == 43 && id.bytes().all(|it| it.is_ascii_alphanumeric()), "{id}");
            links.insert(link);
        }
        assert_eq!(links.len(), 50);
    }
}
