//! `countersign query` and the answers that it may get: tables and lines as they arrive, and answers that are neither.

use rustix::process::{Pid, Signal, kill_process};

use crate::program::asking::{Scripted, Shell, Terminal, answer};
use crate::program::deployment::Output;
use crate::program::front::{Authority, Front};

const ASKED: &str = "--tweets 1,2 --metrics favorites";
const TABLE: &str = "grouping,tweet_id,engagement_type,value\nby_tweet,1,favorites,7\n";
const LINE: &str =
    r#"{"grouping":"by_tweet","tweet_id":"1","engagement_type":"favorites","value":7}"#;
const WHOLE: &str = r#"{"countersign":{"complete":true,"calls":[],"missing":[]}}"#;
const LINES: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What the command prints for an answer.
async fn made_of(answer: &str, more: &str) -> Output {
    let server = Scripted::answering(answer).await;
    Shell::before(&server).query(&format!("{ASKED} {more}")).await
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn a_table_is_passed_on_and_its_headers_say_whether_it_is_whole() {
    let whole =
        "Content-Type: text/csv; charset=utf-8; header=present\r\nCountersign-Complete: true";
    let mut server = Scripted::answering(&answer(whole, TABLE)).await;
    let done = Shell::before(&server).query(&format!("{ASKED} --csv")).await;
    assert_eq!((done.code, &*done.out, &*done.err), (0, TABLE, ""));
    assert!(server.request().await.0.contains("\r\naccept: text/csv\r\n"));

    let lacking = "Content-Type: text/csv\r\nCountersign-Complete: false\r\nCountersign-Missing: \
                   unavailable=3, quota=250";
    let done = made_of(&answer(lacking, TABLE), "--csv").await;
    let told = "countersign: the answer is incomplete; missing:\n  unavailable, 3 posts\n  quota, 250 posts\n";
    assert_eq!((done.code, &*done.out, &*done.err), (3, TABLE, told));

    let cut = answer(whole, TABLE).replace("Content-Length: ", "Content-Length: 1");
    let done = made_of(&cut, "--csv").await;
    assert_eq!(done.code, 69, "{done:?}");
    assert!(
        done.err.contains("the connection was lost before the answer was complete"),
        "{done:?}"
    );
}

#[tokio::test]
async fn lines_are_passed_on_as_they_come() {
    let mut server = Scripted::start().await;
    let mut running = Shell::before(&server).start(&format!("{ASKED} --ndjson"));
    running.tell("");
    assert!(server.request().await.0.contains("\r\naccept: application/x-ndjson\r\n"));
    let half = LINE.len() / 2;
    server.say(&format!("{LINES}{}", chunk(&format!("{LINE}\n{}", &LINE[..half]))));
    running.out.wait_for(LINE).await;
    assert_eq!(running.out.text(), format!("{LINE}\n"), "a line only when it is whole");
    server.say(&chunk(&format!("{}\n{WHOLE}\n", &LINE[half..])));
    server.say("0\r\n\r\n");
    let done = running.end().await;
    assert_eq!((done.code, &*done.err), (0, ""));
    assert_eq!(done.out, format!("{LINE}\n{LINE}\n{WHOLE}\n"));
}

#[tokio::test]
async fn lines_without_the_last_one_were_cut_short() {
    let lacking = r#"{"countersign":{"complete":false,"calls":[],"missing":[{"tweet_ids":["2"],"engagement_types":["favorites"],"reason":"quota","detail":"","account":null}]}}"#;
    let end = "0\r\n\r\n";
    for (body, code, told) in [
        (chunk(&format!("{LINE}\n{lacking}\n")) + end, 3, "quota, 1 post: 2; without favorites"),
        (
            chunk(&format!("{LINE}\n")) + end,
            69,
            "the connection was lost before the answer was complete",
        ),
        (
            chunk(&format!("{LINE}\n{}", &WHOLE[..20])) + end,
            69,
            "the connection was lost before the answer was complete",
        ),
        (
            chunk(&format!("{LINE}\n{WHOLE}\n{LINE}\n")) + end,
            69,
            "the connection was lost before the answer was complete",
        ),
        (
            chunk(&format!("{LINE}\n{WHOLE}\n")),
            69,
            "the connection was lost before the answer was complete",
        ),
        (end.to_owned(), 69, "the connection was lost before the answer was complete"),
    ] {
        let done = made_of(&format!("{LINES}{body}"), "--ndjson").await;
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.err.contains(told), "{told}: {done:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_as_a_gateway_does_is_told_apart() {
    let html = "<html>Welcome</html>";
    let elsewhere =
        "HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n";
    for (answer, more, told) in [
        (
            answer("Content-Type: text/html", html),
            "",
            "it sent text/html instead of application/json",
        ),
        (answer("Content-Type: application/json", "{\"by_tweet\":{}}"), "", "does not say whether"),
        (answer("Content-Type: application/json", "{"), "", "does not say whether"),
        (
            answer("Content-Type: application/json", WHOLE),
            "--csv",
            "it sent application/json instead of text/csv",
        ),
        (answer("Content-Type: text/csv", TABLE), "--csv", "does not say whether"),
        (
            answer("Content-Type: text/html", html),
            "--plan",
            "it sent text/html instead of application/json",
        ),
        (
            answer("Content-Type: text/html", html).replace("200", "502"),
            "",
            "with status 502 and text/html",
        ),
        (elsewhere.to_owned(), "", "with status 302 and no content type"),
    ] {
        let done = made_of(&answer, more).await;
        assert_eq!((done.code, &*done.out), (1, ""), "{done:?}");
        assert!(done.err.contains("does not answer like a Countersign gateway"), "{done:?}");
        assert!(
            done.err.contains(told) && done.err.contains("COUNTERSIGN_URL"),
            "{told}: {done:?}"
        );
    }
    let problem = "HTTP/1.1 504 Late\r\nContent-Type: application/problem+json\r\nConnection: \
                   close\r\n\r\n{\"title\":\"Too\\u001b late\",\"status\":504,\"detail\":\"try \
                   again\",\"request_id\":\"7\"}";
    let done = made_of(problem, "").await;
    assert_eq!(
        (done.code, &*done.err),
        (69, "countersign: Too\u{fffd} late: try again\nrequest id 7\n")
    );
}

#[tokio::test]
async fn a_gateway_that_is_not_there_or_silent_is_told_so() {
    let server = Scripted::start().await;
    let shell = Shell::before(&server);
    let done = shell.query(&format!("{ASKED} --url http://127.0.0.1:1")).await;
    assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
    assert!(done.err.contains("cannot reach http://127.0.0.1:1: Connection refused"), "{done:?}");
    assert!(
        done.err.contains("set the URL of the gateway with COUNTERSIGN_URL or --url"),
        "{done:?}"
    );
    let done = shell.query(&format!("{ASKED} --deadline 1ms")).await;
    assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
    assert!(
        done.err.contains("has sent nothing for 1s 2ms; try again, or ask for less at once"),
        "{done:?}"
    );
}

#[tokio::test]
async fn tls_is_checked_and_its_troubles_are_told() {
    let ours = Authority::new("ours");
    let server = Scripted::answering(&answer("Content-Type: application/json", WHOLE)).await;
    let plain = server.url.trim_start_matches("http://").to_owned();
    let front = Front::before(&plain, &ours, "localhost", |_| ()).await;
    let mut shell = Shell::before(&server);
    let trusted = shell.folder.path().join("trusted.pem");
    Authority::new("others").save(&trusted);
    shell.environment.insert("SSL_CERT_FILE".to_owned(), trusted.display().to_string());
    for (url, told) in [
        (front.url.clone(), "SSL_CERT_FILE can name a file of further certificates"),
        (front.url.replace("https", "http"), "should the URL start with https://?"),
    ] {
        let done = shell.query(&format!("{ASKED} --url {url}")).await;
        assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
        assert!(done.err.contains("cannot reach ") && done.err.contains(told), "{done:?}");
    }
    ours.save(&trusted);
    let done = shell.query(&format!("{ASKED} --url {}", front.url)).await;
    assert_eq!((done.code, done.out), (0, format!("{WHOLE}\n")), "{}", done.err);

    let sandbox = crate::upstream::TestSandbox::start().await;
    let done = shell.query(&format!("{ASKED} --url https://{}", sandbox.address)).await;
    assert_eq!((done.code, &*done.out), (69, ""), "{done:?}");
    assert!(done.err.contains("should the URL start with http://?"), "{done:?}");
}

#[tokio::test]
async fn without_tls_no_certificates_are_needed() {
    let server = Scripted::answering(&answer("Content-Type: application/json", WHOLE)).await;
    let mut shell = Shell::before(&server);
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        shell.environment.insert(name.to_owned(), "/nowhere".to_owned());
    }
    let done = shell.query(ASKED).await;
    assert_eq!((done.code, &*done.err), (0, ""));
}

#[tokio::test]
async fn a_terminal_shows_how_long_it_takes_and_nothing_is_left_of_it() {
    let mut server = Scripted::start().await;
    let shell = Shell::before(&server);
    let (mut terminal, theirs) = Terminal::open();
    let mut command = shell.command(&format!("{ASKED} --deadline 20s"));
    let (out, shown) = Terminal::open();
    let mut child = command.stderr(theirs).stdout(shown).spawn().unwrap();
    drop(command);
    terminal.wait_for("querying 2 posts, 1 s of at most 20s").await;
    server.say(&answer("Content-Type: application/json", WHOLE));
    server.hang_up();
    let printed = out.all().await;
    assert!(printed.starts_with("{\r\n  \"countersign\": {\r\n"), "with room between: {printed:?}");
    let seen = terminal.all().await;
    assert!(is_clear(&seen), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn numbers_that_come_are_counted() {
    let mut server = Scripted::start().await;
    let shell = Shell::before(&server);
    let (mut terminal, theirs) = Terminal::open();
    let mut command = shell.command(&format!("{ASKED} --ndjson"));
    let mut child = command.stderr(theirs).stdout(std::process::Stdio::null()).spawn().unwrap();
    drop(command);
    server.say(&format!("{LINES}{}", chunk(&format!("{LINE}\n{LINE}\n"))));
    terminal.wait_for("querying 2 posts, 2 numbers received, 1 s").await;
    server.say(&chunk(&format!("{WHOLE}\n")));
    server.say("0\r\n\r\n");
    server.hang_up();
    let seen = terminal.all().await;
    assert!(is_clear(&seen), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn an_interrupt_ends_it_at_once_and_clears_the_line() {
    let server = Scripted::start().await;
    let shell = Shell::before(&server);
    let (mut terminal, theirs) = Terminal::open();
    let mut command = shell.command(ASKED);
    let mut child = command.stderr(theirs).spawn().unwrap();
    drop(command);
    terminal.wait_for("querying 2 posts, 1 s").await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let seen = terminal.all().await;
    assert!(is_clear(&seen), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[tokio::test]
async fn an_interrupt_ends_it_even_while_its_reader_waits() {
    let server = Scripted::start().await;
    let shell = Shell::before(&server);
    let (mut terminal, theirs) = Terminal::open();
    let (unread, out) = std::io::pipe().unwrap();
    let mut command = shell.command(&format!("{ASKED} --ndjson"));
    let mut child = command.stderr(theirs).stdout(out).spawn().unwrap();
    drop(command);
    // More than a pipe holds.
    server.say(&format!("{LINES}{}", chunk(&format!("{LINE}\n").repeat(5000))));
    terminal.wait_for("querying 2 posts").await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let seen = terminal.all().await;
    assert!(is_clear(&seen), "{seen:?}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(unread);
}

/// Whether the line is empty after it was last cleared.
fn is_clear(seen: &str) -> bool {
    let after = seen.rsplit("\u{1b}[2K").next().unwrap();
    after != seen && after.trim().is_empty()
}
