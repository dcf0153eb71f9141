//! Where a browser may be sent on to: exactly what the settings list, whatever an admin, a row or older settings said.

use std::collections::BTreeSet;

use countersign::config;
use countersign::gateway::{Error, NewLink};
use serde_json::json;

use crate::connect::browser::Browser;
use crate::connect::{path_of, say, start_gateway_with};
use crate::database::{Database, on_both};
use crate::gateway::{RING, TestGateway};
use crate::upstream::escape;

const ALLOWED: [&str; 2] =
    ["https://app.example.com/settings", "http://app.example.com:8080/done?a=b%20c"];

/// Addresses that a lenient parser takes for an allowed one, or for a path on this site.
fn hostile() -> Vec<String> {
    let mut all = BTreeSet::new();
    for url in ALLOWED {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        for start in SCHEMES {
            all.insert(format!("{start}{rest}"));
        }
        for authority in authorities(host) {
            all.insert(format!("{scheme}://{authority}{path}"));
        }
        for end in ENDS {
            all.insert(format!("{url}{end}"));
        }
        // At every place where a parser splits, with characters that it skips.
        for code in (0..=0x20).chain([0x7f, 0x85, 0xa0, 0xad, 0x200b, 0x2028, 0x202e, 0xfeff]) {
            let odd = char::from_u32(code).unwrap();
            all.insert(format!("{odd}{url}"));
            all.insert(format!("{url}{odd}"));
            all.insert(url.replacen("//", &format!("/{odd}/"), 1));
            all.insert(url.replacen(".com", &format!(".com{odd}"), 1));
        }
        // Escaped: all of it, twice, and each letter of host and path by itself.
        all.extend([escape(url), escape(&escape(url)), format!("{scheme}://{}", escape(rest))]);
        for (place, letter) in rest.char_indices() {
            let (before, after) = (&rest[..place], &rest[place + 1..]);
            all.insert(format!("{scheme}://{before}%{:02x}{after}", u32::from(letter)));
            all.insert(format!("{scheme}://{before}{after}"));
        }
        // In mixed case.
        for (place, letter) in url.char_indices().filter(|indexed| indexed.1.is_ascii_lowercase()) {
            let upper = letter.to_ascii_uppercase();
            all.insert(format!("{}{upper}{}", &url[..place], &url[place + 1..]));
        }
        all.extend((0..url.len()).map(|end| url[..end].to_owned()));
        all.extend([url.to_uppercase(), url.repeat(2), format!("{url}{}", "a".repeat(10_000))]);
    }
    all.extend(ELSEWHERE.map(str::to_owned));
    assert!(!ALLOWED.iter().any(|allowed| all.contains(*allowed)));
    all.into_iter().collect()
}

const SCHEMES: [&str; 26] = [
    "//",
    "///",
    "////",
    "\\\\",
    "/\\",
    "\\/",
    "/\t/",
    "/\n/",
    "\t//",
    ":",
    "://",
    "https:",
    "https:/",
    "https:///",
    "https:\\\\",
    "https:/\\",
    "HTTPS://",
    "ftp://",
    "wss://",
    "view-source:https://",
    "blob:https://",
    "feed:https://",
    "javascript://",
    "jar:https://",
    "https://evil.example/",
    "https://evil.example/?",
];

const ENDS: [&str; 26] = [
    "/",
    "//",
    "/.",
    "/..",
    "/../../x",
    "?",
    "?a=b",
    "&x=y",
    "#",
    "#x",
    ";x",
    "%20",
    "%00",
    "%0d%0aset-cookie:a=b",
    "%2e%2e",
    "\\",
    "\\..",
    ",https://evil.example/",
    " https://evil.example/",
    "\nhttps://evil.example/",
    "@evil.example",
    ".evil.example",
    "\"",
    "\"><script>alert(1)</script>",
    "'",
    "<",
];

const ELSEWHERE: [&str; 26] = [
    "/",
    "/settings",
    "settings",
    "?",
    "#",
    ".",
    "..",
    "*",
    "null",
    "true",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "about:blank",
    "mailto:a@evil.example",
    "https://evil.example/settings",
    "https://127.0.0.1/settings",
    "https://[::1]/settings",
    "https://2130706433/settings",
    "https://0x7f.1/settings",
    "/connect/callback",
    "/connect/style.css",
    "//evil.example/%2f..",
];

/// Variants of an authority, with `{}` in place of a host.
const AUTHORITIES: &[&str] = &[
    "{}.",
    "{}..",
    ".{}",
    "{}.evil.example",
    "evil.example.{}",
    "x{}",
    "{}x",
    "www.{}",
    "*.{}",
    "{}:80",
    "{}:443",
    "{}:8443",
    "{}:",
    "{}:0",
    "{}:08080",
    "{}:65536",
    "{}:-1",
    "{}:8080:8080",
    "{}:x",
    "[{}]",
    "[::ffff:127.0.0.1]",
    "user@{}",
    "user:pw@{}",
    "@{}",
    ":@{}",
    "%40{}",
    "{}@evil.example",
    "{}:8080@evil.example",
    "{}%40evil.example",
    "{}\\@evil.example",
    "evil.example\\@{}",
    "evil.example#@{}",
    "evil.example?@{}",
    "evil.example/@{}",
    "{}#@evil.example",
    "{}%2f@evil.example",
    "{}%00.evil.example",
    "{}%5c.evil.example",
    "{},evil.example",
    "{};evil.example",
    "evil.example%2f{}",
    "{}%2e",
    "{}\u{ff0f}evil.example",
    "{}\u{2044}evil.example",
];

/// Hosts that resemble this one, and other things that surround a host.
fn authorities(host: &str) -> Vec<String> {
    let (name, _) = host.split_once(':').unwrap_or((host, ""));
    let mut all: Vec<String> =
        AUTHORITIES.iter().map(|template| template.replace("{}", name)).collect();
    all.extend([
        host.replacen('.', "\u{3002}", 1),
        host.replacen('.', "\u{ff0e}", 1),
        host.replacen('.', "%2e", 1),
        host.replacen('a', "\u{430}", 1),
        host.replacen('e', "\u{435}", 1),
        host.replacen("pp", "\u{ff50}p", 1),
        host.replacen("exam", "ex\u{ad}am", 1),
        host.replacen("exam", "ex\u{200b}am", 1),
    ]);
    all
}

/// `text` as an SQL literal; neither database stores a NUL in text.
fn quoted(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
}

fn allowing(config: &mut countersign::config::Config) {
    config.connect.return_to = ALLOWED.map(str::to_owned).to_vec();
}

/// The value that the settings parse from it, in a file or in the environment.
fn settings(entries: &[String], is_file: bool) -> Result<Vec<String>, String> {
    let set = [
        ("APPS__DEMO__CONSUMER_KEY", "key".to_owned()),
        ("APPS__DEMO__CONSUMER_SECRET", "hidden".to_owned()),
        ("VAULT__KEYS", RING.to_owned()),
    ];
    let mut environment: std::collections::BTreeMap<String, String> =
        set.map(|(key, value)| (format!("COUNTERSIGN__{key}"), value)).into();
    let file = format!("[connect]\nreturn_to = {}", json!(entries)).replace('\u{7f}', "\\u007f");
    if !is_file {
        environment.insert("COUNTERSIGN__CONNECT__RETURN_TO".to_owned(), entries.join(","));
    }
    let file = is_file.then_some(("countersign.toml", &*file));
    let parsed = config::parse(file, &environment, &|_| Err("there are no files".to_owned()));
    parsed.map(|config| config.connect.return_to).map_err(|error| error.to_string())
}

/// Whether a browser parses it as it is written: that host, that path, and no user name.
#[track_caller]
fn is_read_as_written(url: &str) {
    let read = reqwest::Url::parse(url).unwrap_or_else(|error| panic!("{url:?}: {error}"));
    assert!(["http", "https"].contains(&read.scheme()), "{url:?}");
    assert!(read.username().is_empty() && read.password().is_none(), "{url:?}");
    assert_eq!(read.fragment(), None, "{url:?}");
    let (_, rest) = url.split_once("://").unwrap();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = read.host_str().unwrap();
    let with_port =
        read.port_or_known_default().map_or(String::new(), |port| format!("{host}:{port}"));
    let written = authority.to_lowercase();
    assert!(written == host || written == with_port, "{url:?} is read as {read}");
    let path = target.split('?').next().unwrap();
    assert_eq!(read.path(), if path.is_empty() { "/" } else { path }, "{url:?}");
}

#[test]
fn settings_name_only_what_a_browser_reads_as_it_is_written() {
    for url in ALLOWED {
        is_read_as_written(url);
        for is_file in [true, false] {
            assert_eq!(settings(&[url.to_owned()], is_file).unwrap(), [url]);
        }
    }
    let all = hostile();
    let mut refused = 0;
    for (url, is_file) in all.iter().flat_map(|url| [(url, true), (url, false)]) {
        match settings(std::slice::from_ref(url), is_file) {
            Ok(entries) => entries.iter().for_each(|entry| {
                is_read_as_written(entry);
                assert!(url.contains(&**entry), "{entry:?} is not in {url:?}");
            }),
            Err(error) => {
                assert!(error.contains("connect.return_to"), "{url:?}: {error}");
                assert!(error.contains("absolute http:// or https:// URLs"), "{url:?}: {error}");
                refused += 1;
            }
        }
    }
    say(&format!("{refused} of {} refused", 2 * all.len()));
    assert!(refused >= 400, "{refused} of {}", all.len());
    // One invalid entry makes the whole list invalid, in any position.
    for wrong in ["x", "https://u@app.example.com/", "//app.example.com/"] {
        for entries in [[ALLOWED[0], wrong], [wrong, ALLOWED[0]]] {
            assert!(settings(&entries.map(str::to_owned), true).is_err(), "{entries:?}");
        }
    }
}

async fn a_link_names_only_what_the_settings_say_letter_for_letter(database: Database) {
    let gateway = start_gateway_with(&database, allowing).await;
    let (admin, all) = (gateway.new_admin_key().await, hostile());
    say(&format!("{} addresses", all.len()));
    assert!(all.len() >= 500, "{}", all.len());
    let refused = |problems: &[countersign::gateway::Detail]| {
        problems
            == [countersign::gateway::Detail::at(
                "/return_to",
                "must be exactly as listed in connect.return_to",
            )]
    };
    for (number, return_to) in all.into_iter().enumerate() {
        let new = NewLink {
            label: "x".to_owned(),
            return_to: Some(return_to.clone()),
            ..NewLink::default()
        };
        let made = gateway.inner.create_link(new, "test").await;
        assert!(
            matches!(&made, Err(Error::InvalidRequest(problems)) if refused(problems)),
            "{return_to:?}"
        );
        // Every other one over HTTP as well; that takes longer.
        if number % 2 == 0 {
            let ask = gateway
                .admin(&admin, "POST", "/admin/v1/links")
                .header("content-type", "application/json");
            let answer =
                ask.body(json!({ "label": "x", "return_to": return_to }).to_string()).send().await;
            answer.is_own(400, "invalid_request");
            assert_eq!(answer.json()["problems"][0]["pointer"], "/return_to", "{return_to:?}");
        }
    }
    assert_eq!(gateway.audited("link.created").await, []);
    for url in ALLOWED {
        let ask = gateway
            .admin(&admin, "POST", "/admin/v1/links")
            .header("content-type", "application/json");
        let made = ask.body(json!({ "label": "x", "return_to": url }).to_string()).send().await;
        assert_eq!((made.status.as_u16(), &made.json()["return_to"]), (201, &json!(url)));
    }
}

async fn a_row_that_says_otherwise_sends_nobody_there(database: Database) {
    let gateway = start_gateway_with(&database, allowing).await;
    let (link, mut browser) = (
        gateway.link_with(|link| link.return_to = Some(ALLOWED[0].to_owned())).await,
        Browser::new(),
    );
    let mut rows = 0;
    for written in
        hostile().iter().step_by(3).chain([&ALLOWED[1].to_owned()]).filter_map(|text| quoted(text))
    {
        let back = gateway.allow(&mut browser, &link, "carol").await;
        database.run(&format!("update link set return_to = {written}")).await;
        browser.follow(&back).await.goes_to(path_of(&link));
        if rows % 8 == 0 {
            browser.open(&link).await.is_page(404, &["This link is unknown"]);
            browser.press(&link).await.is_page(404, &["This link is unknown"]);
        }
        database.run(&format!("update link set return_to = '{}'", ALLOWED[0])).await;
        rows += 1;
    }
    say(&format!("{rows} rows"));
    assert!(rows >= 250, "{rows}");
    assert_eq!(gateway.steps().await.1, 0);
    gateway.nothing_stored().await;
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(ALLOWED[0]);
}

async fn what_settings_said_before_sends_nobody_there(database: Database) {
    let all: Vec<String> = hostile().into_iter().filter(|text| !text.contains('\0')).collect();
    let before =
        start_gateway_with(&database, |config| config.connect.return_to.clone_from(&all)).await;
    let gateway = TestGateway::build(before.sandbox.again(), &database.settings(), allowing).await;
    let mut flows = 0;
    for return_to in all.into_iter().skip(1).step_by(3) {
        let link = before.link_with(|link| link.return_to = Some(return_to)).await;
        let (link, mut browser) = (format!("{}{}", gateway.url, path_of(&link)), Browser::new());
        let back = gateway.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(path_of(&link));
        let page = browser.open(&link).await;
        page.is_page(200, &["as @carol", "You can close this page."]);
        assert!(!page.text().contains("Continue"), "{}", page.text());
        flows += 1;
    }
    say(&format!("{flows} flows"));
    assert!(flows >= 200, "{flows}");
    assert_eq!(gateway.steps().await, (flows, flows));
    for url in ALLOWED {
        let link = gateway.link_with(|link| link.return_to = Some(url.to_owned())).await;
        let mut browser = Browser::new();
        let back = gateway.allow(&mut browser, &link, "carol").await;
        browser.follow(&back).await.goes_to(url);
    }
}

on_both!(
    a_link_names_only_what_the_settings_say_letter_for_letter,
    a_row_that_says_otherwise_sends_nobody_there,
    what_settings_said_before_sends_nobody_there
);
