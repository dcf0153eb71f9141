//! The page on which a user allows or denies an app access.

use time::Duration;

use crate::http::Answer;
use crate::sandbox::handshake::{AUTHORIZE, CALLBACK, begun, decide, exchange, fields, token_of};
use crate::upstream::TestSandbox;

const AUTHENTICATE: &str = "/oauth/authenticate";

async fn page(sandbox: &TestSandbox, path: &str, query: &str) -> Answer {
    sandbox.ask("GET", &format!("{path}?{query}")).send().await
}

#[track_caller]
fn is_page(answer: &Answer, status: u16, heading: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none';"));
    assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{text}");
    assert!(text.contains(&format!("<h1>{heading}</h1>")), "{text}");
    assert!(text.contains("This is not X"), "{text}");
    assert!(!text.contains("<script") && !text.contains("src="), "{text}");
}

#[track_caller]
fn is_invalid(answer: &Answer) {
    is_page(answer, 403, "Whoa there!");
    assert!(answer.text().contains("<p>The request token for this page is invalid.</p>"));
}

#[tokio::test]
async fn it_names_the_app_the_users_and_where_they_return_to() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await.0;
    for path in [AUTHORIZE, AUTHENTICATE] {
        let answer = page(&sandbox, path, &format!("oauth_token={token}")).await;
        is_page(&answer, 200, "Let the app “demo” use an account?");
        let text = answer.text();
        for user in &sandbox.world.users {
            let name = &user.screen_name;
            assert!(
                text.contains(&format!(r#"name="screen_name" value="{name}" required>"#)),
                "{text}"
            );
        }
        assert!(text.contains(&format!("You will return to {CALLBACK}<")), "{text}");
        assert!(text.contains(&format!(r#"method="post" action="{path}""#)), "{text}");
        assert!(text.contains(&format!(r#"name="oauth_token" value="{token}""#)), "{text}");
        assert!(text.contains("suspended, let it in before"), "{text}");
    }
}

#[tokio::test]
async fn a_screen_name_is_chosen_at_first_and_force_login_is_accepted() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await.0;
    for (name, chosen) in [("bob", Some("bob")), ("%40Bob", Some("bob")), ("nobody", None)] {
        let query = format!("force_login=true&oauth_token={token}&screen_name={name}");
        let text = page(&sandbox, AUTHORIZE, &query).await.text();
        let checked = chosen.map(|name| format!(r#"value="{name}" required checked>"#));
        assert_eq!(text.matches(" checked").count(), usize::from(chosen.is_some()), "{name}");
        assert!(checked.is_none_or(|input| text.contains(&input)), "{name}");
    }
}

#[tokio::test]
async fn what_it_shows_is_escaped() {
    let sandbox = TestSandbox::start().await;
    let hostile = r#"http://a.example/?x="><b>&y='"#;
    sandbox.put("/sandbox/switches", serde_json::json!({ "callbacks": [hostile] })).await;
    let token = begun(&sandbox, hostile).await.0;
    let asked = page(&sandbox, AUTHORIZE, &format!("oauth_token={token}")).await;
    is_page(&asked, 200, "Let the app “demo” use an account?");
    let refused = decide(&sandbox, &token, "cancel", "").await;
    is_page(&refused, 200, "You did not let “demo” in");
    for text in [asked.text(), refused.text()] {
        assert!(!text.contains("<b>") && !text.contains(r#"x=""#), "{text}");
        assert!(text.contains("x=&#34;&#62;&#60;b&#62;&#38;y=&#39;"), "{text}");
    }
}

#[tokio::test]
async fn allowing_redirects_to_the_callback_with_its_own_query() {
    let sandbox = TestSandbox::start().await;
    for (callback, begin, end) in [
        ("http://127.0.0.1:9/back", "http://127.0.0.1:9/back?oauth_token=", ""),
        (CALLBACK, "http://127.0.0.1:9/back?state=a%20b&oauth_token=", ""),
        ("http://a.example/?x#part", "http://a.example/?x&oauth_token=", "#part"),
    ] {
        let token = begun(&sandbox, callback).await;
        let answer = decide(&sandbox, &token.0, "allow", "alice").await;
        let location = answer.header("location");
        assert_eq!(answer.status, 302);
        assert!(location.starts_with(begin) && location.ends_with(end), "{location}");
        let back = fields(location.split('#').next().unwrap());
        assert_eq!(back["oauth_token"], token.0);
        let given = exchange(&sandbox, &token, &back["oauth_verifier"]).await;
        assert_eq!(token_of(&given).0, sandbox.user("alice").access_token);
    }
}

#[tokio::test]
async fn cancelling_leads_back_denied_and_without_a_verifier() {
    let sandbox = TestSandbox::start().await;
    for (callback, back) in [
        ("http://127.0.0.1:9/back", "http://127.0.0.1:9/back?denied="),
        (CALLBACK, "http://127.0.0.1:9/back?state=a%20b&#38;denied="),
    ] {
        let token = begun(&sandbox, callback).await.0;
        let answer = decide(&sandbox, &token, "cancel", "").await;
        is_page(&answer, 200, "You did not let “demo” in");
        assert!(answer.text().contains(&format!(r#"href="{back}{token}">"#)), "{}", answer.text());
        assert!(!answer.text().contains("oauth_"));
        is_invalid(&decide(&sandbox, &token, "allow", "alice").await);
    }
}

#[tokio::test]
async fn without_a_callback_there_is_a_pin() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, "oob").await;
    let asked = page(&sandbox, AUTHORIZE, &format!("oauth_token={}", token.0)).await.text();
    assert!(asked.contains("You will get a PIN"), "{asked}");
    let answer = decide(&sandbox, &token.0, "allow", "bob").await;
    is_page(&answer, 200, "Your PIN for “demo”");
    let text = answer.text();
    let (_, rest) = text.split_once(r#"id="pin">"#).unwrap();
    let pin = rest.split('<').next().unwrap();
    assert!(pin.len() == 7 && pin.bytes().all(|byte| byte.is_ascii_digit()), "{pin}");
    let given = exchange(&sandbox, &token, pin).await;
    assert_eq!(token_of(&given).0, sandbox.user("bob").access_token);
    assert_eq!(exchange(&sandbox, &token, pin).await.status, 401);

    let token = begun(&sandbox, "oob").await.0;
    let refused = decide(&sandbox, &token, "cancel", "").await;
    is_page(&refused, 200, "You did not let “demo” in");
    assert!(!refused.text().contains("href"), "there is nowhere to return to");
}

#[tokio::test]
async fn a_used_expired_or_unknown_request_token_has_no_page() {
    let sandbox = TestSandbox::start().await;
    let used = begun(&sandbox, CALLBACK).await.0;
    let expired = begun(&sandbox, CALLBACK).await.0;
    assert_eq!(decide(&sandbox, &used, "allow", "alice").await.status, 302);
    sandbox.clock.forward(Duration::minutes(15));
    for token in [&*used, &*expired, "nobody", ""] {
        is_invalid(&page(&sandbox, AUTHORIZE, &format!("oauth_token={token}")).await);
        is_invalid(&page(&sandbox, AUTHENTICATE, &format!("oauth_token={token}")).await);
        is_invalid(&decide(&sandbox, token, "allow", "alice").await);
    }
    is_invalid(&page(&sandbox, AUTHORIZE, "").await);
}

#[tokio::test]
async fn an_incomplete_decision_is_asked_for_again() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await.0;
    for (decision, name) in [("allow", ""), ("allow", "nobody"), ("", "alice"), ("maybe", "bob")] {
        let answer = decide(&sandbox, &token, decision, name).await;
        is_page(&answer, 400, "Let the app “demo” use an account?");
        assert!(answer.text().contains("Choose one of the users, then allow or cancel."));
    }
    assert_eq!(decide(&sandbox, &token, "allow", "alice").await.status, 302);
}

#[tokio::test]
async fn a_hundred_decisions_at_once_are_one() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await.0;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let form = format!("oauth_token={token}&decision=allow&screen_name=alice");
        asked.spawn(sandbox.form(AUTHORIZE, &form).send());
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 302).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 403).count(), 99);
}
