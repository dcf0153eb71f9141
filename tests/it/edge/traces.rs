//! The traces that refused requests leave in the audit log, summed where there are many.

use countersign::gateway::NewKey;
use countersign::model::key::{Kind, Right, compose};
use countersign::store::AuditFilter;
use serde_json::json;
use time::Duration;

use crate::database::{Database, on_both};
use crate::edge::raw::Raw;
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::upstream::TOTALS;

fn unknown_key(kind: Kind, number: usize) -> String {
    let digits = format!("{number:012}{:043}", 0);
    compose(kind, digits.as_bytes().try_into().unwrap()).1.expose().to_owned()
}

/// The refusals in the audit log: action, subject, address, and the reason with its total count over all entries.
async fn refused(gateway: &TestGateway) -> Vec<[String; 4]> {
    gateway.inner.settle_refusals().await.unwrap();
    let filter =
        AuditFilter { actor: "stranger".to_owned(), limit: 1000, ..AuditFilter::default() };
    let entries = gateway.store.list_audit(&filter).await.unwrap();
    let mut told = std::collections::BTreeMap::new();
    for entry in entries {
        let (why, rest) = entry.detail.split_once(": ").unwrap();
        let (times, since) = rest.split_once(" since ").unwrap();
        assert!(since.starts_with("2026-03-10T21:15:3"), "{}", entry.detail);
        let times = times.strip_suffix(" times").map_or(1, |count| count.parse::<u32>().unwrap());
        let place =
            [entry.action, entry.subject, entry.address.unwrap_or_default(), why.to_owned()];
        *told.entry(place).or_insert(0) += times;
    }
    let told = told.into_iter();
    told.map(|([action, subject, from, why], times)| {
        [action, subject, from, format!("{why}: {times}")]
    })
    .collect()
}

async fn call(gateway: &TestGateway, key: &str) -> u16 {
    let ask = gateway.ask("POST", TOTALS).header("authorization", &format!("Bearer {key}"));
    ask.body("{}").send().await.status.as_u16()
}

async fn refused_keys_are_told_by_key_and_address_with_their_number(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let revoked = gateway.new_key(|_| ()).await;
    gateway.inner.revoke_key(&revoked, "test").await.unwrap().unwrap();
    let ends = |key: &mut NewKey| key.expires_in = Some(std::time::Duration::from_secs(1));
    let expired = gateway.new_key(ends).await;
    gateway.later(Duration::seconds(1)).await;
    for _ in 0..1000 {
        assert_eq!(call(&gateway, &revoked).await, 401);
    }
    assert_eq!((call(&gateway, &expired).await, call(&gateway, "csk_nonsense").await), (401, 401));
    let other_secret = compose(
        Kind::Caller,
        format!("{}{:043}", &gateway.key[4..16], 7).as_bytes().try_into().unwrap(),
    )
    .1;
    assert_eq!(call(&gateway, other_secret.expose()).await, 401);
    for number in 0..30 {
        call(&gateway, &unknown_key(Kind::Caller, number)).await;
    }
    let entry = |subject: &str, detail: String| {
        ["key.refused".to_owned(), subject.to_owned(), "127.0.0.1".to_owned(), detail]
    };
    let by_id = |key: &str| format!("key:{}", &key[4..16]);
    let mut expected = vec![
        entry("key", "it is not a key of that kind: 1".to_owned()),
        entry("key", "the key is unknown: 19".to_owned()),
        entry("key", "too many wrong ones from this address: 11".to_owned()),
        entry(&by_id(&gateway.key), "the secret is wrong: 1".to_owned()),
        entry(&by_id(&revoked), "the key has been revoked: 1000".to_owned()),
        entry(&by_id(&expired), "the key has expired: 1".to_owned()),
    ];
    expected.sort();
    assert_eq!(refused(&gateway).await, expected);
    assert_eq!(refused(&gateway).await, expected, "each is told once");
    let audit =
        format!("{:?}", gateway.store.list_audit(&crate::database::newest(1000)).await.unwrap());
    assert!(!audit.contains(&revoked[17..]) && !audit.contains(&other_secret.expose()[17..]));
}

async fn refused_sign_ins_links_and_framing_are_told(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let sign_in = Ask::new(&gateway.http, &gateway.admin_url, "POST", "/console/sign-in")
        .header("origin", &gateway.admin_url);
    let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
    for key in ["nonsense", &gateway.key, &unknown_key(Kind::Admin, 1)] {
        assert_eq!(sign_in.clone().body(format!("key={key}")).send().await.status, 403);
    }
    let link = countersign::model::handshake::compose(&[b'x'; 43]);
    assert_eq!(gateway.ask("GET", &format!("/connect/{}", link.expose())).send().await.status, 404);
    for url in [&gateway.url, &gateway.admin_url] {
        let mut raw = Raw::connect(url).await;
        raw.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            .await;
        assert!(raw.rest().await.starts_with("HTTP/1.1 400"));
    }
    let expected = [
        ("connection.refused", "connection", "it does not speak HTTP: 2"),
        ("console.refused", "console", "it is not a key of that kind: 1"),
        ("console.refused", "console", "the key is unknown: 1"),
        (
            "console.refused",
            &*format!("key:{}", &gateway.key[4..16]),
            "the key is a caller's key: 1",
        ),
        ("link.refused", "link", "the link is unknown: 1"),
    ];
    let expected: Vec<_> = expected
        .map(|(action, subject, detail)| {
            [action.to_owned(), subject.to_owned(), "127.0.0.1".to_owned(), detail.to_owned()]
        })
        .into();
    // A connection is reported once it has ended, which its client may know earlier.
    let is_told = async {
        while refused(&gateway).await != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), is_told).await.unwrap();
}

async fn who_was_refused_is_forgotten_one_day_and_nothing_else(database: Database) {
    let gateway = TestGateway::start(&database).await;
    assert_eq!(call(&gateway, "csk_nonsense").await, 401);
    assert_eq!(refused(&gateway).await.len(), 1);
    let others = gateway.store.list_audit(&crate::database::newest(1000)).await.unwrap().len() - 1;
    let then = countersign::model::Clock::now(&*gateway.sandbox.clock) + Duration::days(1);
    assert_eq!(
        gateway.store.prune_audit_of("stranger", then - Duration::days(2)).await.unwrap(),
        0
    );
    assert_eq!(gateway.store.prune_audit_of("stranger", then).await.unwrap(), 1);
    assert_eq!(
        gateway.store.list_audit(&crate::database::newest(1000)).await.unwrap().len(),
        others
    );
}

async fn links_that_keys_make_are_audited_with_the_callers_address(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|key| key.scopes.rights = [Right::CreateLinks].into()).await;
    let ask = gateway.ask("POST", "/v1/links").header("authorization", &format!("Bearer {key}"));
    let ask = ask.header("content-type", "application/json");
    assert_eq!(ask.body(json!({ "label": "a friend" }).to_string()).send().await.status, 201);
    let stored = gateway.store.find_account("demo", gateway.id("alice")).await.unwrap().unwrap();
    let (state, now) = (
        countersign::model::AccountState::Revoked,
        countersign::model::Clock::now(&*gateway.sandbox.clock),
    );
    assert!(
        gateway
            .store
            .update_account_state(&stored, state, "a test says so", "test", now)
            .await
            .unwrap()
    );
    gateway.inner.catch_up_once().await.unwrap();
    let call = crate::trouble::private(&gateway, "alice")
        .header("authorization", &format!("Bearer {key}"));
    let answer = call.send().await;
    assert!(answer.text().contains("/connect/"), "{}", answer.text());
    let filter =
        AuditFilter { action: "link.created".to_owned(), limit: 10, ..AuditFilter::default() };
    let made = gateway.store.list_audit(&filter).await.unwrap();
    let actor = format!("key:{}", &key[4..16]);
    assert_eq!(made.len(), 2);
    assert!(
        made.iter()
            .all(|entry| entry.actor == actor && entry.address.as_deref() == Some("127.0.0.1")),
        "{made:?}"
    );
}

on_both!(
    refused_keys_are_told_by_key_and_address_with_their_number,
    refused_sign_ins_links_and_framing_are_told,
    who_was_refused_is_forgotten_one_day_and_nothing_else,
    links_that_keys_make_are_audited_with_the_callers_address
);
