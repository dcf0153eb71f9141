//! `countersign query` against a gateway: what it requests, what it prints, and how it exits.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::program::asking::{Scripted, Shell, answer};
use crate::program::deployment::Output;

/// A shell for a gateway, and some of its posts.
fn shell(gateway: &TestGateway) -> (Shell, Vec<String>, Vec<String>) {
    let (alice, bob) = (gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("bob", 2));
    (Shell::new(&gateway.url, &gateway.key), alice, bob)
}

fn printed(done: &Output) -> Value {
    assert_eq!(done.out.lines().count(), 1, "{done:?}");
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

async fn a_question_is_asked_and_its_answer_printed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let (shell, alice, bob) = shell(&gateway);
    fs::write(
        shell.folder.path().join("ids.txt"),
        format!("\u{feff}{}\n\n https://x.com/bob/status/{}?s=46\r\n", bob[0], bob[1]),
    )
    .unwrap();
    let words = format!(
        "--tweets {},{} - @ids.txt --metrics impressions favorites --group-by tweet.id,engagement.type",
        alice[0], alice[1]
    );
    let done = shell.query_with(&words, &alice[2]).await;
    assert_eq!((done.code, &*done.err), (0, ""), "{done:?}");
    let answer = printed(&done);
    assert_eq!(answer["countersign"]["complete"], true);
    for (name, ids) in [("alice", &alice), ("bob", &bob)] {
        for post in gateway.sandbox.posts(name).iter().filter(|post| ids.contains(&post.id)) {
            let told = &answer["by_tweet_type"][&post.id];
            for metric in ["impressions", "favorites"] {
                assert_eq!(told[metric], post.totals[metric].to_string(), "{metric} of {name}");
            }
        }
    }
}

async fn the_posts_of_an_account_are_asked_for_and_the_top_printed(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        config.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await;
    let (shell, _, _) = shell(&gateway);
    let done =
        shell.query("--posts-of @alice --last 9 --metrics favorites --top favorites:2").await;
    assert_eq!((done.code, &*done.err), (0, ""), "{done:?}");
    let answer = printed(&done);
    assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 2, "{answer}");
    assert_eq!(answer["countersign"]["posts_of"][0]["posts"], 9);
    // What X has not listed is said on standard error.
    let bob = format!("/sandbox/users/{}", gateway.sandbox.user("bob").user_id);
    gateway.sandbox.put(&bob, json!({ "state": "protected" })).await;
    let done = shell.query("--posts-of @alice,@bob --last 2 --metrics favorites --csv").await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("posts of @bob: the 0 that are known"), "{done:?}");
    let done = shell.query("--posts-of @bob --last 2 --metrics favorites").await;
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("X does not show this account's posts to the app"), "{done:?}");
}

on_both!(
    a_question_is_asked_and_its_answer_printed,
    the_posts_of_an_account_are_asked_for_and_the_top_printed
);

#[tokio::test]
async fn the_options_become_one_question() {
    let mut server = Scripted::answering(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: \
        close\r\n\r\n{\"countersign\":{\"complete\":true}}",
    )
    .await;
    let shell = Shell::before(&server);
    let done = shell
        .query(
            "--tweets 3,1 --tweets 2 --metrics url_clicks,impressions --window \
                2026-01-01..2026-01-31T13:00:00Z --group-by days=engagement.day --group-by \
                tweet.id,engagement.hour --accounts @Alice,12 --deadline 90s",
        )
        .await;
    assert_eq!((done.code, &*done.out), (0, "{\"countersign\":{\"complete\":true}}\n"), "{done:?}");
    let (head, body) = server.request().await;
    let expected = json!({
        "tweet_ids": ["3", "1", "2"],
        "engagement_types": ["url_clicks", "impressions"],
        "window": { "start": "2026-01-01", "end": "2026-01-31T13:00:00Z" },
        "groupings": {
            "days": { "group_by": ["engagement.day"] },
            "by_tweet_hour": { "group_by": ["tweet.id", "engagement.hour"] },
        },
        "accounts": ["@Alice", "12"],
    });
    assert_eq!(body, expected);
    assert!(head.starts_with("post /v1/engagement http/1.1\r\n"), "{head}");
    let key = shell.environment["COUNTERSIGN_KEY"].to_lowercase();
    for line in [
        &*format!("authorization: bearer {key}"),
        "content-type: application/json",
        "accept: application/json",
        "countersign-deadline: 1m 30s",
    ] {
        assert!(head.lines().any(|sent| sent == line), "{line} in {head}");
    }

    for (options, expected) in [
        ("--posts-of @alice,12 --last 200", json!({ "posts_of": ["@alice", "12"], "last": 200 })),
        (
            "--posts-of @alice --written 7d",
            json!({ "posts_of": ["@alice"], "written": { "last": "7d" } }),
        ),
        (
            "--posts-of @alice @bob --written 2026-01-01..2026-02-01 --last 9 --top favorites:3",
            json!({
                "posts_of": ["@alice", "@bob"], "last": 9, "written": { "start": "2026-01-01", "end": "2026-02-01" },
                "top": { "by": "favorites", "count": 3 },
            }),
        ),
    ] {
        let mut server = Scripted::answering("HTTP/1.1 500 No\r\n\r\n").await;
        let shell = Shell::before(&server);
        shell.query(&format!("{options} --metrics favorites")).await;
        let mut expected = expected;
        expected["engagement_types"] = json!(["favorites"]);
        expected["window"] = json!("totals");
        assert_eq!(server.request().await.1, expected);
    }

    for (window, expected) in [
        ("", json!("totals")),
        ("--window 28hr", json!("28hr")),
        ("--window 36h", json!({ "last": "36h" })),
    ] {
        let mut server = Scripted::answering("HTTP/1.1 500 No\r\n\r\n").await;
        let shell = Shell::before(&server);
        shell.query(&format!("--tweets 1 --metrics favorites {window}")).await;
        let (head, body) = server.request().await;
        assert_eq!(
            body,
            json!({ "tweet_ids": ["1"], "engagement_types": ["favorites"], "window": expected })
        );
        assert!(!head.contains("countersign-deadline"), "{head}");
    }
}

#[tokio::test]
async fn what_is_missing_is_told_beside_the_answer() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (shell, alice, _) = shell(&gateway);
    let done = shell.query(&format!("--tweets {} 20 --metrics favorites", alice[0])).await;
    assert_eq!(done.code, 3, "{done:?}");
    assert_eq!(printed(&done)["countersign"]["complete"], false);
    let told = "countersign: the answer is incomplete; missing:\n  unavailable, 1 post: 20; without favorites";
    assert!(done.err.starts_with(told), "{done:?}");

    let missing = json!([
        {
            "reason": "quota",
            "tweet_ids": ["1", "2", "3", "4", "5", "6", "7"],
            "engagement_types": ["favorites", "replies"],
            "detail": "try\u{1b}[2J later",
        },
        { "reason": "deadline", "tweet_ids": ["8"], "engagement_types": [], "detail": "" },
    ]);
    let body = json!({ "countersign": { "complete": false, "missing": missing } }).to_string();
    let server = Scripted::answering(&answer("Content-Type: application/json", &body)).await;
    let done = Shell::before(&server).query("--tweets 1 --metrics favorites").await;
    let told = "countersign: the answer is incomplete; missing:\n  quota, 7 posts: 1, 2, 3, 4, 5 and 2 more; without \
                favorites, replies; try\u{fffd}[2J later\n  deadline, 1 post: 8\n";
    assert_eq!((done.code, &*done.err), (3, told));
}

#[tokio::test]
async fn a_table_and_lines_have_the_answers_numbers_and_say_what_is_missing() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (shell, alice, bob) = shell(&gateway);
    let words = format!("--tweets {} {} --metrics impressions,favorites", alice[0], bob[0]);
    let whole = printed(&shell.query(&words).await);
    let table = shell.query(&format!("{words} --csv")).await;
    let lines = shell.query(&format!("{words} --ndjson")).await;
    assert_eq!((table.code, &*table.err, lines.code, &*lines.err), (0, "", 0, ""));
    assert!(table.out.starts_with("tweet_id,engagement_type,value\n"), "{table:?}");
    assert!(lines.out.lines().last().unwrap().starts_with("{\"countersign\":{"), "{lines:?}");
    for (id, metric) in [
        (&alice[0], "impressions"),
        (&alice[0], "favorites"),
        (&bob[0], "impressions"),
        (&bob[0], "favorites"),
    ] {
        let value = whole["by_tweet"][id][metric].as_str().unwrap();
        assert!(table.out.contains(&format!("\n{id},{metric},{value}\n")), "{table:?}");
        let line =
            format!("\"tweet_id\":\"{id}\",\"engagement_type\":\"{metric}\",\"value\":{value}}}\n");
        assert!(lines.out.contains(&line), "{lines:?}");
    }
    let sheet = shell.query(&format!("{words} --spreadsheet")).await;
    assert_eq!((sheet.code, &*sheet.err), (0, ""));
    let headings = "\u{feff}\"post\",\"impressions\",\"favorites\"\r\n";
    assert!(sheet.out.starts_with(headings), "{sheet:?}");
    for id in [&alice[0], &bob[0]] {
        let value = |metric: &str| whole["by_tweet"][id][metric].as_str().unwrap().to_owned();
        let row = format!(
            "\r\n\"https://x.com/i/status/{id}\",{},{}\r\n",
            value("impressions"),
            value("favorites")
        );
        assert!(sheet.out.contains(&row), "{sheet:?}");
    }
    for form in ["--csv", "--spreadsheet", "--ndjson"] {
        let done = shell.query(&format!("{words} {form} --tweets 20")).await;
        assert!(done.code == 3 && done.err.contains("unavailable, 1 post"), "{done:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_every_mistake_and_its_place() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (mut shell, alice, _) = shell(&gateway);
    let done = shell
        .query("--tweets 1 --metrics url_clicks --window 2026-04-30..2026-03-31 --accounts @nobody")
        .await;
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!((done.code, &*done.out, lines[0]), (1, "", "countersign: Invalid request"));
    assert!(
        lines.iter().any(|line| line.starts_with("  /window/start: is in the future")),
        "{done:?}"
    );
    assert!(
        lines.iter().any(|line| line.starts_with("  /window/end: must be after start")),
        "{done:?}"
    );
    assert!(lines.last().unwrap().starts_with("request id "), "{done:?}");

    let done = shell.query("--tweets 20 --metrics favorites").await;
    let told = "countersign: No results\n  unavailable, 1 post: 20; without favorites";
    assert_eq!((done.code, &*done.out), (1, ""), "{done:?}");
    assert!(done.err.starts_with(told), "{done:?}");

    let words = format!("--tweets {} --metrics favorites", alice[0]);
    gateway.order(json!([{ "kind": "status", "status": 503, "path": "/insights/" }])).await;
    let done = shell.query(&words).await;
    assert_eq!((done.code, &*done.out), (69, ""), "what may pass has a code of its own: {done:?}");

    gateway.inner.revoke_key(&gateway.key, "test").await.unwrap().unwrap();
    let done = shell.query(&words).await;
    assert_eq!((done.code, &*done.out), (1, ""), "{done:?}");
    assert!(
        done.err.contains("COUNTERSIGN_KEY must be a key that this gateway issued"),
        "{done:?}"
    );
    assert!(!done.err.contains(&gateway.key[17..]), "{done:?}");
    shell.environment.remove("COUNTERSIGN_KEY");
    fs::write(shell.folder.path().join("key"), format!("{}\n", gateway.key)).unwrap();
    shell.environment.insert("COUNTERSIGN_KEY_FILE".to_owned(), "key".to_owned());
    assert_eq!(
        shell.query(&words).await.err.split("request").next(),
        done.err.split("request").next()
    );
}

#[tokio::test]
async fn a_plan_is_printed_and_nothing_is_asked_of_x() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (shell, alice, bob) = shell(&gateway);
    let done = shell
        .query(&format!(
            "--plan --tweets {} {} --metrics favorites",
            alice.join(","),
            bob.join(",")
        ))
        .await;
    assert_eq!((done.code, &*done.err), (0, ""), "{done:?}");
    assert_eq!(printed(&done)["calls"][0]["tweet_count"], 5);
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn slips_of_the_fingers_are_told_before_anything_is_sent() {
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gateway.local_addr().unwrap());
    let server = Scripted::start().await;
    let mut shell = Shell::before(&server);
    shell.environment.insert("COUNTERSIGN_URL".to_owned(), url);
    fs::write(shell.folder.path().join("ids.txt"), "20\n21, twenty_two_and_a_secret\n").unwrap();
    let done = shell
        .query("--tweets @ids.txt @nowhere.txt https://x.com/jack --metrics impresions,likes --window week \
                --group-by tweet --accounts jack --deadline soon")
        .await;
    let told: Vec<&str> = done.err.lines().collect();
    let expected = [
        "countersign: --tweets: ids.txt, line 2: \"twenty_two_and_a…\" is neither a post id nor a post URL",
        "--tweets: cannot read nowhere.txt: No such file or directory (os error 2)",
        "--tweets: \"https://x.com/ja…\" is neither a post id nor a post URL",
        "--metrics: \"impresions\" is not an engagement type; did you mean impressions?",
        "--metrics: \"likes\" is not an engagement type; did you mean favorites?",
        "--window: must be totals, 28hr, START..END such as 2026-01-01..2026-01-31, or the last days or hours such as 28d or 36h, not \"week\"",
        "--group-by: \"tweet\" is not a grouping level; did you mean tweet.id?",
        "--accounts: must be a user id of 1 to 19 digits or @screen_name, not \"jack\"",
        "--deadline: must be a duration above zero such as 20s, not \"soon\"",
    ];
    assert_eq!((done.code, &*told), (1, &expected[..]));
    for (words, told) in [
        ("--tweets , --metrics favorites", "--tweets: no posts given"),
        (
            "--tweets x --metrics ,",
            "--tweets: \"x\" is neither a post id nor a post URL\n--metrics: no engagement types given",
        ),
        (
            "--tweets 1 --metrics favorites --group-by a=tweet.id --group-by a=engagement.type",
            "--group-by: two groupings are named \"a\"",
        ),
        (
            "--posts-of jack --metrics favorites --top likes",
            "--posts-of: needs --last, such as 200, or --written, such as 7d\n\
             --posts-of: must be a user id of 1 to 19 digits or @screen_name, not \"jack\"\n\
             --top: \"likes\" is not an engagement type; did you mean favorites?\n\
             --top: must be a metric and how many posts, such as impressions:10, not \"likes\"",
        ),
        (
            "--posts-of @jack --written totals --metrics favorites",
            "--written: must be START..END such as 2026-01-01..2026-01-31, or the last days or hours such as 7d or 36h, not \"totals\"",
        ),
    ] {
        let done = shell.query(words).await;
        assert_eq!((done.code, &*done.err), (1, &*format!("countersign: {told}\n")));
    }
    let done = shell.query("--tweets 1 --metrics favorites --csv --ndjson").await;
    assert_eq!(done.code, 2, "{done:?}");
    shell.environment.remove("COUNTERSIGN_KEY");
    let done = shell.query("--tweets 1 --metrics favorites --url gateway").await;
    assert_eq!(done.code, 78, "{done:?}");
    assert!(
        done.err.starts_with("countersign: 2 settings are invalid:\n--url (command line): "),
        "{done:?}"
    );
    assert!(done.err.contains("COUNTERSIGN_KEY (environment): missing"), "{done:?}");
    let done = shell.query("--tweets 1 --metrics favorites --key csk_1").await;
    assert_eq!(done.code, 2, "no option takes a key: {done:?}");
    gateway.set_nonblocking(true).unwrap();
    assert_eq!(gateway.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_reader_that_has_gone_ends_it_quietly_and_a_full_disk_does_not() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let (shell, alice, _) = shell(&gateway);
    let words = format!("--tweets {} 20 --metrics favorites", alice[0]);
    for (out, expected) in [
        (Stdio::from(closed_pipe()), (Some(0), "")),
        (
            Stdio::from(File::options().write(true).open("/dev/full").unwrap()),
            (
                Some(1),
                "countersign: cannot write the result: No space left on device (os error 28)\n",
            ),
        ),
    ] {
        let mut command = shell.command(&words);
        command.stdout(out).stderr(Stdio::piped());
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), &*said), expected);
    }
}

fn closed_pipe() -> std::io::PipeWriter {
    std::io::pipe().unwrap().1
}
