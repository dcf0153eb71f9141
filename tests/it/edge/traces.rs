//! Traces of those who were refused: in the audit log, summed where there are many.

use countersign::gateway::NewKey;
use countersign::model::key::{Kind, compose};
use countersign::store::AuditFilter;
use serde_json::json;
use time::Duration;

use crate::bench::{Ask, TOTALS};
use crate::database::on_both;
use crate::edge::raw::Raw;
use crate::house::House;

fn unknown_key(kind: Kind, number: usize) -> String {
    let digits = format!("{number:012}{:043}", 0);
    compose(kind, digits.as_bytes().try_into().unwrap()).1.expose().to_owned()
}

/// Whoever was refused, as the audit log tells it: action, subject, address, and why with how often in all its entries.
async fn refused(house: &House) -> Vec<[String; 4]> {
    house.gateway.settle_refusals().await.unwrap();
    let filter =
        AuditFilter { actor: "stranger".to_owned(), limit: 1000, ..AuditFilter::default() };
    let entries = house.store.list_audit(&filter).await.unwrap();
    let mut told = std::collections::BTreeMap::new();
    for it in entries {
        let (why, rest) = it.detail.split_once(": ").unwrap();
        let (times, since) = rest.split_once(" since ").unwrap();
        assert!(since.starts_with("2026-03-10T21:15:3"), "{}", it.detail);
        let times = times.strip_suffix(" times").map_or(1, |it| it.parse::<u32>().unwrap());
        let place = [it.action, it.subject, it.address.unwrap_or_default(), why.to_owned()];
        *told.entry(place).or_insert(0) += times;
    }
    let told = told.into_iter();
    told.map(|([action, subject, from, why], times)| {
        [action, subject, from, format!("{why}: {times}")]
    })
    .collect()
}

async fn call(house: &House, key: &str) -> u16 {
    let ask = house.ask("POST", TOTALS).header("authorization", &format!("Bearer {key}"));
    ask.body("{}").send().await.status.as_u16()
}

on_both! {
    async fn refused_keys_are_told_by_key_and_address_with_their_number(database: Database) {
        let house = House::start(&database).await;
        let revoked = house.new_key(|_| ()).await;
        house.gateway.revoke_key(&revoked, "test").await.unwrap().unwrap();
        let ends = |it: &mut NewKey| it.expires_in = Some(std::time::Duration::from_secs(1));
        let expired = house.new_key(ends).await;
        house.later(Duration::seconds(1)).await;
        for _ in 0..1000 {
            assert_eq!(call(&house, &revoked).await, 401);
        }
        assert_eq!((call(&house, &expired).await, call(&house, "csk_nonsense").await), (401, 401));
        let other_secret = compose(Kind::Caller, format!("{}{:043}", &house.key[4..16], 7).as_bytes().try_into().unwrap()).1;
        assert_eq!(call(&house, other_secret.expose()).await, 401);
        for number in 0..30 {
            call(&house, &unknown_key(Kind::Caller, number)).await;
        }
        let entry = |subject: &str, detail: String| ["key.refused".to_owned(), subject.to_owned(), "127.0.0.1".to_owned(), detail];
        let by_id = |key: &str| format!("key:{}", &key[4..16]);
        let mut expected = vec![
            entry("key", "it is no key of that kind: 1".to_owned()),
            entry("key", "the key is not known: 19".to_owned()),
            entry("key", "too many from this address were wrong: 11".to_owned()),
            entry(&by_id(&house.key), "the secret is not the key's: 1".to_owned()),
            entry(&by_id(&revoked), "the key was revoked: 1000".to_owned()),
            entry(&by_id(&expired), "the key has expired: 1".to_owned()),
        ];
        expected.sort();
        assert_eq!(refused(&house).await, expected);
        assert_eq!(refused(&house).await, expected, "each is told once");
        let audit = format!("{:?}", house.store.list_audit(&crate::database::newest(1000)).await.unwrap());
        assert!(!audit.contains(&revoked[17..]) && !audit.contains(&other_secret.expose()[17..]));
    }

    async fn refused_sign_ins_links_and_framing_are_told(database: Database) {
        let house = House::start(&database).await;
        let sign_in = Ask::new(&house.http, &house.admin_url, "POST", "/console/sign-in").header("origin", &house.admin_url);
        let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
        for key in ["nonsense", &house.key, &unknown_key(Kind::Admin, 1)] {
            assert_eq!(sign_in.clone().body(format!("key={key}")).send().await.status, 403);
        }
        let link = countersign::model::handshake::compose(&[b'x'; 43]);
        assert_eq!(house.ask("GET", &format!("/connect/{}", link.expose())).send().await.status, 404);
        for url in [&house.url, &house.admin_url] {
            let mut raw = Raw::connect(url).await;
            raw.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n").await;
            assert!(raw.rest().await.starts_with("HTTP/1.1 400"));
        }
        let expected = [
            ("connection.refused", "connection", "it does not speak HTTP: 2"),
            ("console.refused", "console", "it is no key of that kind: 1"),
            ("console.refused", "console", "the key is not known: 1"),
            ("console.refused", &*format!("key:{}", &house.key[4..16]), "the key is a caller's: 1"),
            ("link.refused", "link", "the link is not known: 1"),
        ];
        let expected: Vec<_> = expected.map(|(action, subject, detail)| [action.to_owned(), subject.to_owned(), "127.0.0.1".to_owned(), detail.to_owned()]).into();
        // A connection is told of once it has ended, which its client may know before.
        let is_told = async {
            while refused(&house).await != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), is_told).await.unwrap();
    }

    async fn who_was_refused_is_forgotten_one_day_and_nothing_else(database: Database) {
        let house = House::start(&database).await;
        assert_eq!(call(&house, "csk_nonsense").await, 401);
        assert_eq!(refused(&house).await.len(), 1);
        let others = house.store.list_audit(&crate::database::newest(1000)).await.unwrap().len() - 1;
        let then = countersign::model::Clock::now(&*house.bench.clock) + Duration::days(1);
        assert_eq!(house.store.prune_audit_of("stranger", then - Duration::days(2)).await.unwrap(), 0);
        assert_eq!(house.store.prune_audit_of("stranger", then).await.unwrap(), 1);
        assert_eq!(house.store.list_audit(&crate::database::newest(1000)).await.unwrap().len(), others);
    }

    async fn links_that_keys_make_are_audited_with_the_callers_address(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_key(|it| it.links = true).await;
        let ask = house.ask("POST", "/v1/links").header("authorization", &format!("Bearer {key}"));
        let ask = ask.header("content-type", "application/json");
        assert_eq!(ask.body(json!({ "label": "a friend" }).to_string()).send().await.status, 201);
        let stored = house.store.find_account("demo", house.id("alice")).await.unwrap().unwrap();
        let (state, now) = (countersign::model::AccountState::Revoked, countersign::model::Clock::now(&*house.bench.clock));
        assert!(house.store.update_account_state(&stored, state, "a test says so", "test", now).await.unwrap());
        house.gateway.catch_up_once().await.unwrap();
        let call = crate::trouble::private(&house, "alice").header("authorization", &format!("Bearer {key}"));
        let answer = call.send().await;
        assert!(answer.text().contains("/connect/"), "{}", answer.text());
        let filter = AuditFilter { action: "link.created".to_owned(), limit: 10, ..AuditFilter::default() };
        let made = house.store.list_audit(&filter).await.unwrap();
        let actor = format!("key:{}", &key[4..16]);
        assert_eq!(made.len(), 2);
        assert!(made.iter().all(|it| it.actor == actor && it.address.as_deref() == Some("127.0.0.1")), "{made:?}");
    }
}
