//! Hostile input: forged requests, and strings that would like to be more than text.

use std::fmt::Write as _;

use crate::bench::escape;
use crate::connect::browser::Browser;
use crate::connect::{open_house, open_house_with, path_of};
use crate::database::on_both;

/// Strings that break out of HTML, of a header, of a URL or of a terminal, wherever one forgets to escape.
fn hostile() -> Vec<String> {
    let marks = [
        "'",
        "\"",
        "<",
        ">",
        "&",
        "`",
        "{{7*7}}",
        "${7*7}",
        "%3Cscript%3E",
        "&lt;script&gt;",
        "\\",
        "\u{202e}",
    ];
    let bodies = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</title><svg onload=alert(1)>",
        "--><script>alert(1)</script>",
        "]]><b>",
        "<a href=javascript:alert(1)>x</a>",
        "<style>*{display:none}</style>",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
        "<base href=//evil.example>",
        "</main></body>",
    ];
    let mut all: Vec<String> = marks.iter().chain(&bodies).map(|it| (*it).to_owned()).collect();
    for body in bodies {
        all.extend(marks.iter().take(8).map(|mark| format!("{mark}{body}{mark}")));
    }
    all
}

/// As a template writes it, one character at a time.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                write!(written, "&#{};", u32::from(character)).unwrap();
            }
            other => written.push(other),
        }
    }
    written
}

on_both! {
    async fn only_the_links_own_page_begins(database: Database) {
        let house = open_house(&database).await;
        let (link, browser) = (house.link().await, Browser::new());
        let own = house.url.clone();
        for headers in [
            vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            vec![("sec-fetch-site", "cross-site"), ("origin", "null")],
            vec![("sec-fetch-site", "cross-site"), ("origin", &*own)],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site"), ("origin", &*own)],
            vec![("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "none")],
            vec![("sec-fetch-site", "SAME-ORIGIN")],
            vec![("sec-fetch-site", "")],
            vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("origin", "http://127.0.0.1:1")],
            vec![("origin", "http://localhost")],
            vec![("origin", "file://")],
        ] {
            let mut ask = browser.button(&link);
            for (name, value) in &headers {
                ask = ask.another(name, value);
            }
            let page = ask.send().await;
            page.is_page(403, &["Not begun", "Another site sent you here.", "Open the link itself and press its button."]);
            assert_eq!(page.header("set-cookie"), "", "{headers:?}");
        }
        assert_eq!(house.steps().await, (0, 0));
        // Looking at it from elsewhere is how people come; browsers without these headers are let in.
        Browser::new().follow(&link).await.is_page(200, &["Go on to X"]);
        assert_eq!(browser.button(&link).header("origin", &own).send().await.status, 303);
    }

    async fn what_others_wrote_is_text(database: Database) {
        let house = open_house(&database).await;
        let all = hostile();
        assert!(all.len() >= 100, "{}", all.len());
        let browser = Browser::new();
        let shown = async |label: &str| {
            let link = house.link_with(|it| label.clone_into(&mut it.label)).await;
            let page = browser.other().open(&link).await;
            assert_eq!(page.status, 200, "{}", page.text());
            page.is_guarded();
            page.text().replace(path_of(&link), "/connect/x")
        };
        let plain = shown("plain").await;
        for text in all {
            let expected = plain.replace("“plain”", &format!("“{}”", escaped(&text)));
            assert_eq!(shown(&text).await, expected);
        }
    }

    async fn hostile_paths_queries_and_cookies_do_nothing(database: Database) {
        let house = open_house(&database).await;
        let (link, mut browser) = (house.link().await, Browser::new());
        let back = house.allow(&mut browser, &link, "carol").await;
        let mut all = hostile();
        all.extend(["\r\nset-cookie: a=b", "\r\n\r\n<script>", "\u{0}", "../../admin/v1/keys", "//evil.example", "https://evil.example/"].map(str::to_owned));
        for text in &all {
            let encoded = escape(text);
            for page in [
                browser.other().open(&format!("{}/connect/{encoded}", house.url)).await,
                browser.other().open(&format!("{link}{encoded}")).await,
                browser.other().follow(&format!("{back}&x={encoded}")).await,
            ] {
                let lower = page.text().to_lowercase();
                assert!(page.status.is_client_error(), "{text:?}: {page:?}");
                assert!(!lower.contains("<script") && !lower.contains("evil.example"), "{page:?}");
                page.is_guarded();
                assert_eq!((page.header("set-cookie"), page.header("location")), ("", ""));
            }
            let follow = browser.follow(&format!("{}/connect/callback?oauth_token={encoded}&oauth_verifier={encoded}", house.url)).await;
            follow.goes_to(path_of(&link));
            // A cookie that somebody else wrote decides nothing but a path of our own.
            if text.bytes().all(|it| (32..127).contains(&it)) {
                for cookie in [format!("countersign-connect={text}"), format!("countersign-connect={text}.x"), format!("countersign-connect=x.{text}"), text.clone()] {
                    let page = browser.other().ask("GET", &back).header("cookie", &cookie).send().await;
                    assert!(page.status == 403 || page.header("location").starts_with("/connect/"), "{cookie}: {page:?}");
                    assert!(!page.header("location").contains("//"), "{page:?}");
                    page.is_guarded();
                    browser.other().ask("GET", &link).header("cookie", &cookie).send().await.is_page(403, &["Another browser has begun"]);
                }
            }
        }
        house.nothing_stored().await;
        assert_eq!(house.steps().await.1, 0);
        browser.follow(&back).await.goes_to(path_of(&link));
    }

    async fn a_cookie_that_a_browser_made_up_is_replaced(database: Database) {
        let house = open_house(&database).await;
        for weak in ["x.x", "x.", "x.aaaa", &format!("x.{}", "é".repeat(20)), &format!("x.{}", "a".repeat(500))] {
            let (link, mut browser) = (house.link().await, Browser::new());
            browser.cookies.push(("countersign-connect".to_owned(), weak.to_owned()));
            house.begin(&mut browser, &link).await;
            let (id, proof) = browser.cookies[0].1.split_once('.').unwrap();
            assert!(link.ends_with(id) && proof.len() == 43, "{:?}", browser.cookies);
        }
    }

    async fn over_https_the_cookie_is_for_this_host_alone(database: Database) {
        let house = open_house_with(&database, |it| it.connect.public_url = Some("https://countersign.example.com".to_owned())).await;
        let link = house.link().await;
        assert!(link.starts_with("https://countersign.example.com/connect/"), "{link}");
        let here = format!("{}{}", house.url, path_of(&link));
        let mut browser = Browser::new();
        // A proxy in front passes on the names that browsers use.
        assert_eq!(browser.button(&here).header("origin", &house.url).send().await.status, 403);
        let pressed = browser.button(&here).header("origin", "https://countersign.example.com").send().await;
        let set = pressed.header("set-cookie").to_owned();
        let id = link.rsplit_once('/').unwrap().1;
        assert!(set.starts_with(&format!("__Host-countersign-connect={id}.")), "{set}");
        assert!(set.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"), "{set}");
        let token = crate::connect::token_in(&pressed);
        let back = house.allowed(&token, "carol").await;
        let back = format!("{}{}", house.url, path_of(&back));
        // The name without the prefix, which any host of the domain can set, is not looked at.
        let value = set.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
        browser.cookies = vec![("countersign-connect".to_owned(), value.clone())];
        browser.follow(&back).await.is_page(403, &["Another browser has begun"]);
        browser.cookies = vec![("__Host-countersign-connect".to_owned(), value)];
        browser.follow(&back).await.goes_to(path_of(&link));
        assert!(house.is_connected("carol").await);
    }

    async fn other_methods_are_refused_and_nothing_is_shared_across_sites(database: Database) {
        let house = open_house(&database).await;
        let link = house.link().await;
        for (method, path) in [("POST", ""), ("PUT", ""), ("DELETE", ""), ("PUT", "/begin"), ("OPTIONS", "/begin")] {
            let ask = Browser::new().ask(method, &format!("{link}{path}")).header("origin", "https://evil.example");
            let answer = ask.send().await;
            answer.is_own(405, "method_not_allowed");
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
        let admin = Browser::new().open(&format!("{}{}", house.admin_url, path_of(&link))).await;
        assert_eq!(admin.status, 404);
        assert_eq!(house.steps().await, (0, 0));
    }
}
