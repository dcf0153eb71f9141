//! The module with which pages ask, and the scenarios of its own tests.

use std::process::Command;

use crate::database::{Database, on_both, setting};
use crate::gateway::TestGateway;

const CLIENT: &str = include_str!("../../../src/api/callers/client.js");
const TYPES: &str = include_str!("../../../src/api/callers/client.d.ts");

fn root(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

async fn it_is_served_to_pages_of_every_origin_and_kept_by_its_tag(database: Database) {
    let gateway = TestGateway::start(&database).await;
    assert!(CLIENT.len() < 6000, "{}", CLIENT.len());
    for (path, text, kind, origin) in [
        ("/v1/client.js", CLIENT, "text/javascript; charset=utf-8", "*"),
        ("/v1/client.d.ts", TYPES, "text/plain; charset=utf-8", ""),
    ] {
        let ask = || {
            let ask = gateway.ask("GET", path).header("authorization", "");
            ask.header("origin", "https://anybody.example")
        };
        let mut tags = Vec::new();
        for encoding in ["", "gzip"] {
            let answer = ask().header("accept-encoding", encoding).send().await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, text.to_owned()));
            assert_eq!(answer.header("content-encoding"), encoding);
            assert_eq!(answer.header("content-type"), kind);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("vary"), "accept-encoding");
            let tag = answer.header("etag").to_owned();
            assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
            for known in [&tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
                let again =
                    ask().header("accept-encoding", encoding).header("if-none-match", known);
                let again = again.send().await;
                assert_eq!((again.status.as_u16(), again.raw.len()), (304, 0), "{known}");
                assert_eq!(again.header("access-control-allow-origin"), origin);
                assert_eq!(again.header("etag"), tag);
            }
            let other = ask().header("if-none-match", "\"x\"").send().await;
            assert_eq!(other.status, 200);
            tags.push(tag);
        }
        assert_ne!(tags[0], tags[1], "a strong tag names the bytes");
    }
    let operators = gateway.ask("GET", "").to(&format!("{}/v1/client.js", gateway.admin_url));
    operators.send().await.is_own(404, "not_found");
}

on_both!(it_is_served_to_pages_of_every_origin_and_kept_by_its_tag);

#[test]
fn its_types_are_strict_and_fit_it() {
    let compiler = setting("COUNTERSIGN_TEST_TSC");
    let options = [
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
    ];
    for (file, more) in [
        ("tests/it/pages/client_types.ts", &[][..]),
        ("src/api/callers/client.js", &["--allowJs", "--checkJs"]),
    ] {
        let mut command = Command::new("node");
        let done =
            command.arg(&compiler).args(options).args(more).arg(root(file)).output().unwrap();
        assert!(done.status.success(), "{file}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

#[tokio::test]
async fn its_scenarios_pass_against_a_stub() {
    let done = tokio::task::spawn_blocking(|| {
        Command::new(root("tests/page-client/run"))
            .env("COUNTERSIGN_TEST_AXE", setting("COUNTERSIGN_TEST_AXE"))
            .output()
            .unwrap()
    });
    let done = done.await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let none = |word: &str| said.lines().any(|line| line.ends_with(&format!("{word} 0")));
    assert!(none("fail") && none("skipped") && none("todo"), "{said}");
}
