//! `/docs`: one self-contained page, whose commands work.

use std::process::Command;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::openapi::{Doors, document, operations};

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
            ("cache-control", "public, max-age=300"),
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
            .flat_map(|attribute| text.split(attribute).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        links.retain(|link| !link.starts_with('#'));
        assert_eq!(links, ["/docs/style.css", "/openapi.json"]);
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
    let page = Ask::new(&gateway.http, &gateway.url, "GET", "/docs").send().await.text();
    for operation in operations(&document()) {
        let id = operation.id();
        assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}");
        let article = page.split(&format!("<article id=\"{id}\"")).nth(1).unwrap();
        let article = article.split("</article>").next().unwrap();
        assert!(
            article.contains(&format!(
                "<span class=\"method {0}\">{0}</span> {1}",
                operation.method, operation.path
            )),
            "{id}"
        );
        assert!(article.contains("<pre>curl "), "{id}");
    }
    let codes = page.split("<dt id=\"problem-").skip(1).filter_map(|rest| rest.split('"').next());
    let codes: Vec<&str> = codes.collect();
    for code in ["invalid_request", "upstream_timeout", "not_found", "unknown_key"] {
        assert!(codes.contains(&code), "what a call's page leads to: {code} in {codes:?}");
    }
    let told = page.to_lowercase();
    assert!(!told.contains("the upstream"), "who reads this knows of X alone");
    let targets = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for target in targets {
        assert!(page.contains(&format!(" id=\"{target}\"")), "#{target}");
    }
}

#[tokio::test]
async fn its_commands_work_as_they_stand() {
    let database = fresh(Kind::Sqlite).await;
    let mut gateway = TestGateway::start(&database).await;
    gateway.key = gateway.new_key(|key| key.create_links = true).await;
    let doors = Doors::open(gateway).await;
    let gateway = &doors.gateway;
    let page = Ask::new(&gateway.http, &gateway.url, "GET", "/docs").send().await.text();
    let commands = page.split("<pre>").skip(1).filter_map(|rest| rest.split("</pre>").next());
    let commands: Vec<String> =
        commands.filter(|command| command.starts_with("curl ")).map(plain).collect();
    assert_eq!(commands.len(), operations(&document()).len());
    for command in commands {
        let here = command
            .replace("http://127.0.0.1:8080", &gateway.url)
            .replace("http://127.0.0.1:8081", &gateway.admin_url);
        let (key, admin) = (gateway.key.clone(), doors.admin.clone());
        let ran = tokio::task::spawn_blocking(move || {
            let shell =
                format!("{here} -s -o /dev/null -w '%{{http_code}} %header{{countersign-error}}'");
            Command::new("sh")
                .args(["-c", &shell])
                .env("KEY", key)
                .env("ADMIN_KEY", admin)
                .env("no_proxy", "*")
                .output()
                .unwrap()
        });
        let ran = ran.await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        // The ids in them are made up, so some find nothing.
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
