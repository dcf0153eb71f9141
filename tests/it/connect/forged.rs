//! Forged requests: another site's form, frame or script begins nothing, another browser's cookie ends nothing, and
//! no answer under `/connect` may be framed or cached.

use crate::connect::browser::Browser;
use crate::connect::{path_of, start_gateway, start_gateway_with, token_in};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};

/// What a browser says about where a request comes from, and whether our own form could send that.
fn sites() -> Vec<(Vec<&'static str>, bool)> {
    vec![
        (vec![], true),
        (vec!["same-origin"], true),
        (vec!["cross-site"], false),
        (vec!["same-site"], false),
        (vec!["none"], false),
        (vec!["SAME-ORIGIN"], false),
        (vec![""], false),
        (vec!["same-origin, cross-site"], false),
        (vec!["same-origin", "cross-site"], false),
        (vec!["cross-site", "same-origin"], false),
    ]
}

/// The same for `Origin`; `null` is accepted if `Sec-Fetch-Site` is present as well.
fn origins(own: &str) -> Vec<(Vec<String>, bool)> {
    let (scheme, host) = own.split_once("://").unwrap();
    let host = host.split_once(':').unwrap().0;
    let mut all: Vec<(Vec<String>, bool)> = [
        own.to_owned(),
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("{scheme}://{host}"),
        format!("{scheme}://{host}:1"),
        format!("{own}1"),
        format!("{own}/"),
        format!("{own}.evil.example"),
        format!("{own}@evil.example"),
        own.replace("http:", "https:"),
        own.to_uppercase(),
        "NULL".to_owned(),
        String::new(),
        "file://".to_owned(),
    ]
    .map(|origin| (vec![origin.clone()], origin == own || origin == "null"))
    .to_vec();
    all.push((Vec::new(), true));
    for (one, two) in [(own, "https://evil.example"), ("https://evil.example", own), ("null", "x")]
    {
        all.push((vec![one.to_owned(), two.to_owned()], false));
    }
    all
}

const TYPES: [&str; 5] = [
    "",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/json",
];

/// A request with our cookie set to that value.
fn with_cookie(ask: Ask, value: &str) -> Ask {
    ask.header("cookie", &format!("countersign-connect={value}"))
}

/// A link that another browser has begun, and that browser's callback.
async fn begun(gateway: &TestGateway) -> (String, Browser, String) {
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    (link, browser, back)
}

async fn only_the_links_own_page_begins(database: Database) {
    let gateway = start_gateway(&database).await;
    let (other, own, plain) = (begun(&gateway).await.1, gateway.url.clone(), Browser::new());
    let (mut link, before) = (gateway.link().await, gateway.steps().await.0);
    let (mut refused, mut begun) = (0, 0);
    for (site, is_site) in sites() {
        for (origin, is_origin) in origins(&own) {
            let is_null = origin.iter().any(|value| value == "null");
            let may = is_site && is_origin && (!is_null || !site.is_empty());
            for (browser, content_type) in
                [&plain, &other].into_iter().flat_map(|browser| TYPES.map(|kind| (browser, kind)))
            {
                let mut ask = browser
                    .ask("POST", &format!("{link}/begin"))
                    .header("content-type", content_type);
                for value in &site {
                    ask = ask.another("sec-fetch-site", value);
                }
                for value in &origin {
                    ask = ask.another("origin", value);
                }
                let answer = ask.body("x=y").send().await;
                let told = format!("{site:?} {origin:?} {content_type:?}");
                if may {
                    // Our own form has no other content type, and nothing in the body matters.
                    assert_eq!(answer.status, 303, "{told}: {}", answer.text());
                    token_in(&answer);
                    begun += 1;
                    link = gateway.link().await;
                } else {
                    assert_eq!(answer.status, 403, "{told}");
                    answer.is_page(
                        403,
                        &[
                            "Not started",
                            "This request came from another site.",
                            "Open the link that you received again, and press its button.",
                        ],
                    );
                    assert_eq!(answer.header("set-cookie"), "", "{told}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused >= 1700 && begun == 50, "{refused} {begun}");
    assert_eq!(gateway.steps().await, (before + begun, 0));
    // Opening the page from another site is how people get there.
    Browser::new().follow(&link).await.is_page(200, &["Continue to X"]);
    gateway.nothing_stored().await;
}

async fn a_link_that_was_begun_is_begun_with_no_cookie_but_its_own(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, browser, _) = begun(&gateway).await;
    let (other_link, other, _) = begun(&gateway).await;
    let before = gateway.steps().await;
    for cookie in forged(&browser, &other, &link, &other_link) {
        let answer = with_cookie(Browser::new().button(&link), &cookie)
            .header("sec-fetch-site", "same-origin")
            .send()
            .await;
        answer.is_page(403, &["already open in another browser"]);
        assert_eq!(answer.header("set-cookie"), "", "{cookie}");
    }
    assert_eq!(gateway.steps().await, before);
}

async fn a_callback_counts_with_no_cookie_but_its_own(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, browser, back) = begun(&gateway).await;
    let (other_link, other, _) = begun(&gateway).await;
    let token = crate::sandbox::handshake::fields(&back)["oauth_token"].clone();
    let denied = format!("{}/connect/callback?denied={token}", gateway.url);
    let all = forged(&browser, &other, &link, &other_link);
    for (url, cookie) in
        [&back, &denied].into_iter().flat_map(|url| all.iter().map(move |cookie| (url, cookie)))
    {
        let answer = with_cookie(Browser::new().ask("GET", url), cookie)
            .header("sec-fetch-site", "cross-site")
            .send()
            .await;
        // A cookie that could be this browser's leads on to the link that it names, whose page says the rest.
        let named = cookie.split('.').next().unwrap();
        if answer.status == 303 {
            answer.goes_to(&format!("/connect/{named}"));
            assert!(link.ends_with(named) || other_link.ends_with(named), "{cookie}");
        } else {
            answer.is_page(403, &["already open in another browser"]);
        }
        assert_eq!(answer.header("set-cookie"), "");
    }
    // Nor with a cookie name that other hosts of the domain could set, or that resembles ours.
    let value = browser.cookies[0].1.clone();
    for name in [
        "countersign-connec",
        "Countersign-Connect",
        "countersign-connec%74",
        "__Host-countersign-connect",
        "x; xcountersign-connect",
    ] {
        let ask = Browser::new().ask("GET", &back).header("cookie", &format!("{name}={value}"));
        ask.send().await.is_page(403, &["already open in another browser"]);
    }
    assert_eq!(gateway.steps().await.1, 0);
    gateway.nothing_stored().await;
}

async fn the_first_cookie_of_the_name_counts_and_no_other(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, browser, back) = begun(&gateway).await;
    let (_, other, _) = begun(&gateway).await;
    let (right, wrong) = (&browser.cookies[0].1, &other.cookies[0].1);
    let both = Browser::new()
        .ask("GET", &back)
        .header("cookie", &format!("countersign-connect={wrong}; countersign-connect={right}"));
    assert_eq!(both.send().await.status, 303);
    assert_eq!(gateway.steps().await.1, 0);
    let both = Browser::new().ask("GET", &back).header(
        "cookie",
        &format!("a=b;countersign-connect={right};  countersign-connect={wrong}"),
    );
    both.send().await.goes_to(path_of(&link));
    assert_eq!(gateway.steps().await.1, 1);
    assert!(gateway.is_connected("carol").await);
}

async fn over_https_the_cookie_is_for_this_host_alone(database: Database) {
    let gateway = start_gateway_with(&database, |config| {
        config.connect.public_url = Some("https://countersign.example.com".to_owned());
    })
    .await;
    let link = gateway.link().await;
    assert!(link.starts_with("https://countersign.example.com/connect/"), "{link}");
    let here = format!("{}{}", gateway.url, path_of(&link));
    let mut browser = Browser::new();
    // A proxy in front passes on the host names that browsers use.
    assert_eq!(browser.button(&here).header("origin", &gateway.url).send().await.status, 403);
    let pressed =
        browser.button(&here).header("origin", "https://countersign.example.com").send().await;
    let set = pressed.header("set-cookie").to_owned();
    let id = link.rsplit_once('/').unwrap().1;
    assert!(set.starts_with(&format!("__Host-countersign-connect={id}.")), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400"), "{set}");
    let token = token_in(&pressed);
    let back = gateway.allowed(&token, "carol").await;
    let back = format!("{}{}", gateway.url, path_of(&back));
    // The cookie name without the prefix, which any host of the domain can set, is ignored, and so
    // is one that only resembles ours.
    let value = set.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    for name in
        ["countersign-connect", "__%48ost-countersign-connect", "__host-countersign-connect"]
    {
        browser.cookies = vec![(name.to_owned(), value.clone())];
        browser.follow(&back).await.is_page(403, &["already open in another browser"]);
    }
    browser.cookies = vec![("__Host-countersign-connect".to_owned(), value)];
    browser.follow(&back).await.goes_to(path_of(&link));
    assert!(gateway.is_connected("carol").await);
}

fn is_page(answer: &Answer, status: u16) {
    answer.is_page(status, &["role=\"alert\""]);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

async fn unknown_paths_and_methods_are_pages(gateway: &TestGateway, path: &str) {
    let base = |path: &str| format!("{}{path}", gateway.url);
    let missing = [
        "/connect",
        "/connect/",
        "/connect//",
        "/connect/x/y",
        "/connect/x/begin/",
        "/connect/callback/x",
        "/connect/style.css/",
        &format!("{path}/"),
        &format!("{path}/begin/x"),
    ];
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        for path in missing {
            is_page(&Browser::new().ask(method, &base(path)).send().await, 404);
        }
        let allows = [
            (format!("{path}/begin"), "GET,HEAD,POST"),
            ("/connect/callback".to_owned(), "GET,HEAD"),
            ("/connect/style.css".to_owned(), "GET,HEAD"),
            (path.to_owned(), "GET,HEAD"),
        ];
        for (path, allow) in
            allows.iter().filter(|entry| !entry.1.split(',').any(|allowed| allowed == method))
        {
            let ask = Browser::new()
                .ask(method, &base(path))
                .header("origin", "https://evil.example")
                .header("access-control-request-method", "POST");
            let answer = ask.send().await;
            is_page(&answer, 405);
            assert_eq!(answer.header("allow"), *allow);
            assert!(
                answer
                    .text()
                    .contains("Open the link that you received again, and press its button.")
            );
        }
    }
}

async fn every_answer_to_a_browser_is_a_page_that_is_neither_framed_nor_kept(database: Database) {
    let gateway = start_gateway(&database).await;
    let (link, mut browser, back) = begun(&gateway).await;
    let path = path_of(&link).to_owned();
    let base = |path: &str| format!("{}{path}", gateway.url);
    unknown_paths_and_methods_are_pages(&gateway, &path).await;
    for (path, status) in [
        ("/connect/style.css", 200),
        (&*path, 403),
        ("/connect/x", 404),
        ("/connect/callback", 400),
    ] {
        let answer = Browser::new().ask("HEAD", &base(path)).send().await;
        assert_eq!((answer.status.as_u16(), answer.raw.len()), (status, 0));
        answer.is_guarded();
    }
    is_page(&browser.follow(&base("/connect/callback")).await, 400);
    is_page(&Browser::new().follow(&back).await, 403);
    browser.follow(&back).await.goes_to(&path);
    is_page(&Browser::new().open(&link).await, 410);
    // The same page, compressed.
    let zipped = Browser::new()
        .ask("PUT", &base("/connect/x"))
        .header("accept-encoding", "gzip")
        .send()
        .await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    is_page(&zipped, 405);
    // Routes that are not for people still answer in JSON, even where their paths look alike.
    for path in ["/connected", "/connect%2fx", "//connect/x", "/CONNECT/x"] {
        Browser::new().ask("GET", &base(path)).send().await.is_own(404, "not_found");
    }
    let admin = Browser::new().open(&format!("{}{path}", gateway.admin_url)).await;
    is_page(&admin, 404);
    let steps = gateway.steps().await;
    assert_eq!(steps, (1, 1));
}

on_both!(
    only_the_links_own_page_begins,
    a_link_that_was_begun_is_begun_with_no_cookie_but_its_own,
    a_callback_counts_with_no_cookie_but_its_own,
    the_first_cookie_of_the_name_counts_and_no_other,
    over_https_the_cookie_is_for_this_host_alone,
    every_answer_to_a_browser_is_a_page_that_is_neither_framed_nor_kept
);

/// Cookies that are not the browser's own: another browser's, parts of both, and near misses.
fn forged(browser: &Browser, other: &Browser, link: &str, other_link: &str) -> Vec<String> {
    let (own, others) = (&browser.cookies[0].1, &other.cookies[0].1);
    let (id, proof) = own.split_once('.').unwrap();
    let other_proof = others.split_once('.').unwrap().1;
    let other_id = other_link.rsplit_once('/').unwrap().1;
    assert!(link.ends_with(id) && others.starts_with(other_id));
    let flipped: String = proof
        .chars()
        .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let reversed: String = proof.chars().rev().collect();
    vec![
        others.clone(),
        format!("{id}.{other_proof}"),
        format!("{other_id}.{other_proof}"),
        id.to_owned(),
        format!("{id}."),
        format!(".{proof}"),
        format!("{id}.{id}"),
        format!("{id}.{}", &proof[1..]),
        format!("{id}.{}", &proof[..42]),
        format!("{id}.{proof}{proof}"),
        format!("{id}.{proof}0"),
        format!("{id}.0{proof}"),
        format!("{id}.{flipped}"),
        format!("{id}.{reversed}"),
        format!("{id}.%30{proof}"),
        format!("{id}.\"{proof}\""),
        format!("\"{own}\""),
        format!("{id}..{proof}"),
        format!("{id}:{proof}"),
        format!("{id}.{proof}.{proof}"),
        format!("{id}.{}", "a".repeat(43)),
        format!("{}{}.{proof}", if id.starts_with('x') { "y" } else { "x" }, &id[1..]),
        "x.x".to_owned(),
        ".".to_owned(),
    ]
}
