//! Webhooks on their pages: adding, testing, rotating, removing, and the log of deliveries.

use crate::console::{Visitor, is_page};
use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::webhooks::receiver::Receiver;
use crate::webhooks::start_gateway;

const PATH: &str = "/console/webhooks";

/// The text between the two markers.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before)
        .and_then(|halves| halves.1.split_once(after))
        .unwrap_or_else(|| panic!("{text}"))
        .0
}

/// Follows the redirect after a form; gives the notice on the page.
async fn done(visitor: &Visitor<'_>, path: &str, fields: &[(&str, &str)]) -> String {
    let answer = visitor.send(path, fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let page = visitor.open(answer.header("location")).await;
    is_page(&page, 200);
    between(&page.text(), "role=\"status\">", "</p>").to_owned()
}

async fn actions(gateway: &TestGateway) -> Vec<String> {
    let entries = gateway.store.list_audit(&newest(99)).await.unwrap();
    entries
        .into_iter()
        .map(|entry| entry.action)
        .filter(|action| action.starts_with("webhook."))
        .collect()
}

async fn a_webhook_is_added_tested_rotated_and_removed_on_its_pages(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, visitor) = (Receiver::start().await, Visitor::admin(&gateway).await);
    let empty = visitor.open(PATH).await;
    is_page(&empty, 200);
    assert!(empty.text().contains("No webhooks yet."), "{}", empty.text());
    let added =
        visitor.send(PATH, &[("url", &format!(" {} ", receiver.url)), ("app", "demo")]).await;
    is_page(&added, 201);
    let secret = between(&added.text(), "aria-label=\"Secret\">", "</pre>").to_owned();
    assert!(
        secret.starts_with("whsec_") && added.text().contains("compare_digest"),
        "{}",
        added.text()
    );
    let path = between(&added.text(), "class=\"button\" href=\"", "\"").to_owned();
    for page in [PATH, &path] {
        let page = visitor.open(page).await;
        is_page(&page, 200);
        assert!(
            !page.text().contains("whsec_")
                && page.text().contains(&receiver.url.replace("abc", "…")),
            "{}",
            page.text()
        );
    }
    let arrived = done(&visitor, &format!("{path}/test"), &[]).await;
    assert_eq!(arrived, "The test was delivered: the receiver returned status 204.");
    receiver.next(&[500]);
    let failed = visitor.send(&format!("{path}/test"), &[]).await;
    is_page(&failed, 200);
    assert!(
        failed.text().contains("The receiver rejected the test: it answered with status 500."),
        "{}",
        failed.text()
    );

    let rotated = visitor.send(&format!("{path}/rotate"), &[("overlap", "1h")]).await;
    is_page(&rotated, 200);
    let newer = between(&rotated.text(), "aria-label=\"Secret\">", "</pre>").to_owned();
    assert!(newer.starts_with("whsec_") && newer != secret);
    assert!(rotated.text().contains("Until 2026-03-10 22:15 UTC"), "{}", rotated.text());
    let refused = visitor.send(&format!("{path}/rotate"), &[("overlap", "1h")]).await;
    is_page(&refused, 400);
    assert!(
        refused.text().contains("still signs") && refused.text().contains("Test now"),
        "{}",
        refused.text()
    );

    let asked = visitor.open(&format!("{path}/remove")).await;
    is_page(&asked, 200);
    assert!(asked.text().contains("Remove this webhook?"));
    assert_eq!(done(&visitor, &format!("{path}/remove"), &[]).await, "The webhook was removed.");
    is_page(&visitor.open(&path).await, 404);
    assert_eq!(
        actions(&gateway).await,
        ["webhook.removed", "webhook.rotated", "webhook.tested", "webhook.tested", "webhook.added"]
    );
}

async fn a_wrong_address_is_said_beside_the_form(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for (url, app) in [
        ("hooks.example.com", ""),
        ("https://a/", "nope"),
        ("", ""),
        ("\"><script>alert(1)</script>", ""),
    ] {
        let refused = visitor.send(PATH, &[("url", url), ("app", app)]).await;
        is_page(&refused, 400);
        let text = refused.text();
        assert!(
            text.contains(if app.is_empty() {
                "The URL must be https://"
            } else {
                "The app must be one of the configured apps"
            }),
            "{text}"
        );
        assert!(
            text.contains("role=\"alert\"")
                && text.contains("aria-invalid")
                && !text.contains("<script"),
            "{text}"
        );
    }
    let field = [("url", "https://hooks.example.com/x")];
    is_page(&visitor.send(PATH, &field).await, 201);
    let twice = visitor.send(PATH, &field).await;
    is_page(&twice, 409);
    assert!(twice.text().contains("value=\"https://hooks.example.com/x\""), "what was typed stays");
    assert_eq!(actions(&gateway).await, ["webhook.added"]);
}

async fn what_follows_in_the_query_of_an_address_is_not_shown(database: Database) {
    let gateway = start_gateway(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let added =
        visitor.send(PATH, &[("url", "https://hooks.example.com/x?token=s3cret&s4cret")]).await;
    is_page(&added, 201);
    let path = between(&added.text(), "class=\"button\" href=\"", "\"").to_owned();
    for page in [
        added,
        visitor.open(PATH).await,
        visitor.open(&path).await,
        visitor.open(&format!("{path}/remove")).await,
    ] {
        let text = page.text();
        assert!(text.contains("https://hooks.example.com/x?token=…&#38;…"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("s4cret"), "{text}");
    }
}

async fn deliveries_are_listed_in_pages_by_state_and_sent_again(database: Database) {
    let gateway = start_gateway(&database).await;
    let (receiver, visitor) = (Receiver::start().await, Visitor::admin(&gateway).await);
    let (id, _) = gateway.hook(&receiver).await;
    let path = format!("{PATH}/{id}");
    assert!(visitor.open(&path).await.text().contains("No events sent yet; tests are not listed."));
    receiver.next(&[500]);
    gateway.connect(&["alice"]).await;
    gateway.deliver().await;
    let text = visitor.open(PATH).await.text();
    assert!(
        text.contains("it answered with status 500") && text.contains("2026-03-10 21:15 UTC"),
        "{text}"
    );
    let text = visitor.open(&path).await.text();
    assert!(
        text.contains("account.connected")
            && text.contains("@alice")
            && text.contains("next attempt <span class=\"at\">2026-03-10 21:15 UTC"),
        "{text}"
    );
    let resend = between(&text, "/deliveries/", "/resend").to_owned();
    assert_eq!(
        done(&visitor, &format!("{path}/deliveries/{resend}/resend"), &[]).await,
        "The event is being sent again."
    );
    assert_eq!(gateway.deliver().await, 1);
    assert!(visitor.open(&format!("{path}?state=delivered")).await.text().contains("@alice"));
    assert!(
        visitor
            .open(&format!("{path}?state=given_up"))
            .await
            .text()
            .contains("No deliveries are in this state.")
    );
    is_page(&visitor.send(&format!("{path}/deliveries/0/resend"), &[]).await, 404);
    is_page(&visitor.send(&format!("{path}/deliveries/x/resend"), &[]).await, 404);

    for _ in 0..60 {
        gateway.connect(&["bob"]).await;
    }
    let (mut rows, mut next, mut pages) = (0, format!("{path}?state=waiting"), 0);
    loop {
        let text = visitor.open(&next).await.text();
        (rows, pages) = (rows + text.matches("@bob").count(), pages + 1);
        let Some((_, rest)) = text.split_once("rel=\"next\" href=\"") else { break };
        next = rest.split_once('"').unwrap().0.replace("&#38;", "&");
    }
    assert_eq!((rows, pages), (60, 2));
    database.run("update delivery set event = 'account.renamed' where screen_name = 'alice'").await;
    let text = visitor.open(&format!("{path}?state=delivered")).await.text();
    assert!(!text.contains("@alice"), "{text}");
    let text = visitor.open(&format!("{path}?state=given_up")).await.text();
    assert!(!text.contains("unreadable"), "{text}");
}

async fn whoever_only_looks_sees_no_buttons(database: Database) {
    let gateway = start_gateway(&database).await;
    let (id, _) = gateway.hook(&Receiver::start().await).await;
    let visitor = Visitor::with_key(&gateway, &gateway.auditor_key().await).await;
    for page in [PATH.to_owned(), format!("{PATH}/{id}"), format!("{PATH}/{id}/remove")] {
        let page = visitor.open(&page).await;
        is_page(&page, 200);
        assert_eq!(
            page.text().matches("method=\"post\"").count(),
            1,
            "signing out alone: {}",
            page.text()
        );
    }
    let asked = visitor.open(&format!("{PATH}/{id}/remove")).await.text();
    assert!(
        asked.contains("An admin with full access can do this")
            && asked.contains("Back to the webhook"),
        "{asked}"
    );
    for path in ["", &format!("/{id}/test"), &format!("/{id}/rotate"), &format!("/{id}/remove")] {
        is_page(&visitor.send(&format!("{PATH}{path}"), &[("url", "https://a/")]).await, 403);
    }
    assert_eq!(actions(&gateway).await, ["webhook.added"]);
}

on_both!(
    a_webhook_is_added_tested_rotated_and_removed_on_its_pages,
    a_wrong_address_is_said_beside_the_form,
    what_follows_in_the_query_of_an_address_is_not_shown,
    deliveries_are_listed_in_pages_by_state_and_sent_again,
    whoever_only_looks_sees_no_buttons
);
