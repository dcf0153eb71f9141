//! `/docs`: one page that needs nothing else, and whose commands work.

use std::collections::BTreeSet;
use std::process::Command;

use countersign::api::openapi::Api;
use serde_json::Value;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::openapi::{Doors, document, document_of, list, operations};

#[tokio::test]
async fn it_has_no_script_and_loads_nothing_from_elsewhere() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for base in [&gateway.url, &gateway.admin_url] {
        let page = Ask::new(&gateway.http, base, "GET", "/docs").send().await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("script"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(page.header(name), value);
        }
        let text = page.text();
        assert!(text.len() < 100_000, "{} bytes", text.len());
        for forbidden in [
            "<script",
            "javascript:",
            " onclick",
            " style=",
            "<style",
            "<img",
            "<iframe",
            "@import",
            "url(",
        ] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        let mut links: Vec<&str> = ["href=\"", "src=\""]
            .iter()
            .flat_map(|it| text.split(it).skip(1))
            .filter_map(|it| it.split('"').next())
            .collect();
        links.retain(|it| !it.starts_with('#'));
        assert_eq!(links, ["/docs/style.css", "/openapi.json"]);
        assert!(text.contains(&format!("<pre>URL={base}\n")), "the address by which it was asked");
        let at = async |host: &str| {
            let page = Ask::new(&gateway.http, base, "GET", "/docs").header("host", host);
            page.send().await
        };
        let named = at("countersign.internal:8080").await.text();
        assert!(named.contains("<pre>URL=http://countersign.internal:8080\n"));
        assert!(named.trim_end().ends_with("</html>"), "whole, behind the address, too");
        let usual =
            at(&format!("127.0.0.1:{}", if *base == gateway.url { 8080 } else { 8081 })).await;
        assert_eq!(usual.header("cache-control"), "public, max-age=300");
        assert!(!at("<b>").await.text().contains("URL=http://<b>"));
        let style = Ask::new(&gateway.http, base, "GET", "/docs/style.css").send().await;
        assert_eq!(
            (style.status.as_u16(), style.header("content-type")),
            (200, "text/css; charset=utf-8")
        );
        assert!(!style.text().contains("url(") && !style.text().contains("@import"));
    }
}

#[tokio::test]
async fn it_tells_of_every_operation_under_a_heading_that_its_contents_lead_to() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for (api, base) in [(Api::Callers, &gateway.url), (Api::Operators, &gateway.admin_url)] {
        let page = Ask::new(&gateway.http, base, "GET", "/docs").send().await.text();
        describes_all(&page, &document_of(api));
    }
}

fn describes_all(page: &str, document: &Value) {
    let all = operations(document);
    assert_eq!(page.matches("<article ").count(), all.len());
    for it in all {
        let id = it.id();
        assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}");
        let article = page.split(&format!("<article id=\"{id}\"")).nth(1).unwrap();
        let article = article.split("</article>").next().unwrap();
        assert!(
            article.contains(&format!(
                "<span class=\"method {0}\">{0}</span> {1}",
                it.method, it.path
            )),
            "{id}"
        );
        assert!(article.contains("<pre>curl "), "{id}");
    }
    let codes = page.split("<dt id=\"problem-").skip(1).filter_map(|it| it.split('"').next());
    let codes: BTreeSet<&str> = codes.collect();
    let described = list(&document["components"]["schemas"]["ErrorCode"]["enum"]);
    let described: BTreeSet<&str> = described.map(|it| it.as_str().unwrap()).collect();
    assert_eq!(codes, described, "what a call's page leads to");
    let told = page.to_lowercase();
    assert!(!told.contains("the upstream"), "who reads this knows of X alone");
    let targets = page.split("href=\"#").skip(1).filter_map(|it| it.split('"').next());
    for target in targets {
        assert!(page.contains(&format!(" id=\"{target}\"")), "#{target}");
    }
}

#[tokio::test]
async fn the_first_page_of_each_listener_says_what_it_is_and_where_to_go() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for (base, links) in [
        (&gateway.url, &["/docs", "/openapi.json", "/readyz"][..]),
        (&gateway.admin_url, &["/console/", "/docs", "/openapi.json", "/readyz"]),
    ] {
        let page = Ask::new(&gateway.http, base, "GET", "/").send().await;
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        let text = page.text();
        let found: Vec<&str> =
            text.split("<a href=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
        assert_eq!(found, links);
        for link in links {
            let answer = Ask::new(&gateway.http, base, "GET", link).send().await;
            assert!(answer.status.as_u16() < 400, "{link}");
        }
    }
}

#[tokio::test]
async fn its_commands_work_as_they_stand() {
    let database = fresh(Kind::Sqlite).await;
    let mut gateway = TestGateway::start(&database).await;
    gateway.key = gateway.mighty_key().await;
    let doors = Doors::open(gateway).await;
    let gateway = &doors.gateway;
    let mut commands: Vec<(String, &String)> = Vec::new();
    for base in [&gateway.url, &gateway.admin_url] {
        let page = Ask::new(&gateway.http, base, "GET", "/docs").send().await.text();
        let shown = page.split("<pre>").skip(1).filter_map(|it| it.split("</pre>").next());
        let shown = shown.filter(|it| it.starts_with("curl ")).map(plain);
        commands.extend(shown.map(|command| (command, base)));
    }
    assert!(commands.len() > operations(&document()).len(), "{}", commands.len());
    for (command, base) in commands {
        let (here, url) = (command.clone(), base.clone());
        let (key, admin) = (gateway.key.clone(), doors.admin.clone());
        let ran = tokio::task::spawn_blocking(move || {
            let shell =
                format!("{here} -s -o /dev/null -w '%{{http_code}} %header{{countersign-error}}'");
            Command::new("sh")
                .args(["-c", &shell])
                .env("URL", url)
                .env("KEY", key)
                .env("ADMIN_KEY", admin)
                .env("no_proxy", "*")
                .output()
                .unwrap()
        });
        let ran = ran.await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        // Their ids are nobody's, so that some find nothing.
        let fine = ["200", "201", "404 not_found", "404 nothing_answered"];
        let is_upstreams = command.contains("/insights/") && said == "400";
        assert!(fine.contains(&&*said) || is_upstreams, "{said}: {command}");
    }
}

fn plain(html: &str) -> String {
    html.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}
