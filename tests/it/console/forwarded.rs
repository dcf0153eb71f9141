//! Behind a proxy: where admins come from, who is locked out after too many sign-ins, and whom the gateway believes.

use countersign::model::key::{Kind, compose};

use crate::console::{SIGN_IN, Visitor, is_page};
use crate::database::{Database, newest, on_both};
use crate::gateway::{TestGateway, trusting};
use crate::http::{Answer, Ask};

/// A gateway whose operators come through these proxies; the tests connect from 127.0.0.1.
async fn behind(database: &Database, proxies: &str) -> TestGateway {
    TestGateway::start_with(database, |config| config.admin.trusted_proxies = trusting(proxies))
        .await
}

fn with(ask: Ask, lines: &[&str]) -> Ask {
    lines.iter().fold(ask, |ask, line| ask.another("x-forwarded-for", line))
}

/// Signs in, with these `X-Forwarded-For` lines.
async fn sign_in(visitor: &Visitor<'_>, key: &str, lines: &[&str]) -> Answer {
    let ask = visitor.ask("POST", SIGN_IN).header("origin", &visitor.gateway.admin_url);
    let ask = ask.header("content-type", "application/x-www-form-urlencoded");
    with(ask, lines).body(format!("key={key}")).send().await
}

/// Action and address of the newest entry in the audit log.
async fn audited(gateway: &TestGateway) -> (String, String) {
    let entry = gateway.store.list_audit(&newest(1)).await.unwrap().remove(0);
    (entry.action, entry.address.unwrap())
}

fn unknown_key() -> String {
    let digits = b"UnknownKey01UnknownKey01UnknownKey01UnknownKey01Unknown";
    compose(Kind::Admin, digits).1.expose().to_owned()
}

async fn the_audit_log_has_the_address_that_a_trusted_proxy_names(database: Database) {
    let gateway = behind(&database, "127.0.0.1, 10.0.0.0/8").await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::stranger(&gateway);
    for (lines, expected) in [
        (&["203.0.113.9"][..], "203.0.113.9"),
        (&["203.0.113.9, 10.0.0.2, 10.0.0.3"], "203.0.113.9"),
        (&["198.51.100.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (&["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        (&["[2001:db8::9]:4711"], "2001:db8::9"),
        (&["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        (&["nonsense"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        assert_eq!(sign_in(&visitor, &key, lines).await.status, 303);
        assert_eq!(
            audited(&gateway).await,
            ("console.signed_in".to_owned(), expected.to_owned()),
            "{lines:?}"
        );
    }
    let visitor = Visitor::with_key(&gateway, &key).await;
    let path = format!("/console/accounts/demo/{}/remove", gateway.id("alice"));
    let ask = visitor.ask("POST", &path).header("origin", &gateway.admin_url);
    let ask = ask.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(with(ask, &["203.0.113.10"]).send().await.status, 303);
    assert_eq!(audited(&gateway).await, ("account.removed".to_owned(), "203.0.113.10".to_owned()));
    let path = format!("/admin/v1/accounts/{}", gateway.id("bob"));
    assert_eq!(
        with(gateway.admin(&key, "DELETE", &path), &["203.0.113.11"]).send().await.status,
        200
    );
    assert_eq!(audited(&gateway).await, ("account.removed".to_owned(), "203.0.113.11".to_owned()));
}

async fn nobody_else_may_say_where_he_comes_from(database: Database) {
    for proxies in ["", "127.0.0.2, 10.0.0.0/8, fd00::/8"] {
        let gateway = behind(&database, proxies).await;
        let key = gateway.new_admin_key().await;
        for lines in [&["203.0.113.9"][..], &["127.0.0.2"], &["203.0.113.9", "127.0.0.2, 10.0.0.1"]]
        {
            assert_eq!(sign_in(&Visitor::stranger(&gateway), &key, lines).await.status, 303);
            assert_eq!(audited(&gateway).await.1, "127.0.0.1", "{proxies}: {lines:?}");
        }
    }
    let gateway = behind(&database, "127.0.0.2").await;
    let key = gateway.new_admin_key().await;
    let stay = reqwest::redirect::Policy::none();
    let proxy = reqwest::Client::builder()
        .no_proxy()
        .redirect(stay)
        .local_address("127.0.0.2".parse().ok());
    let visitor = Visitor { http: proxy.build().unwrap(), ..Visitor::stranger(&gateway) };
    assert_eq!(sign_in(&visitor, &key, &["203.0.113.9, 198.51.100.1"]).await.status, 303);
    assert_eq!(audited(&gateway).await.1, "198.51.100.1");
}

async fn whoever_tries_too_often_keeps_out_himself_alone(database: Database) {
    let gateway = behind(&database, "127.0.0.1").await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::stranger(&gateway);
    for number in 0..20 {
        let lines = [&*format!("198.51.100.{number}, 203.0.113.9")];
        assert_eq!(sign_in(&visitor, &unknown_key(), &lines).await.status, 403);
    }
    is_page(&sign_in(&visitor, &key, &["198.51.100.77", "203.0.113.9"]).await, 429);
    is_page(&sign_in(&visitor, &key, &["::ffff:203.0.113.9"]).await, 429);
    assert_eq!(sign_in(&visitor, &key, &["203.0.113.10"]).await.status, 303);
    assert_eq!(sign_in(&visitor, &key, &[]).await.status, 303);
}

async fn no_header_helps_a_stranger_to_try_more_often(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::stranger(&gateway);
    for number in 0..20 {
        let lines = [&*format!("203.0.113.{number}")];
        assert_eq!(sign_in(&visitor, &unknown_key(), &lines).await.status, 403);
    }
    is_page(&sign_in(&visitor, &key, &["203.0.113.99"]).await, 429);
}

on_both!(
    the_audit_log_has_the_address_that_a_trusted_proxy_names,
    nobody_else_may_say_where_he_comes_from,
    whoever_tries_too_often_keeps_out_himself_alone,
    no_header_helps_a_stranger_to_try_more_often
);
