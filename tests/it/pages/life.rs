//! How tokens end: by time, with their key, by withdrawal, with their vault key; and that nothing else is a token.

use std::time::Duration;

use countersign::config::Config;
use countersign::gateway::Error;
use countersign::model::key::Right;
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::{ORIGIN, TestGateway, settings};
use crate::pages::{Pages, SECOND, ask_at};
use crate::trouble::id_of;

const NEW: &str = "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";

async fn a_token_ends_at_the_latest_thirty_seconds_after_its_time(database: Database) {
    let pages = Pages::start(&database).await;
    let exact = TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |config| {
        config.browser.leeway = Duration::ZERO;
    })
    .await;
    let token = pages.token(&json!({ "question": pages.question(), "expires_in": "1m" })).await;
    let clock = &pages.gateway.sandbox.clock;
    clock.forward(time::Duration::MINUTE);
    for gateway in [&pages.gateway, &exact] {
        assert_eq!(ask_at(gateway, &token, &json!({})).send().await.status, 200);
    }
    clock.forward(time::Duration::SECOND);
    ask_at(&exact, &token, &json!({})).send().await.is_own(401, "token_expired");
    assert_eq!(pages.ask(&token, &json!({})).send().await.status, 200);
    clock.forward(time::Duration::seconds(30));
    let ended = pages.ask(&token, &json!({})).send().await;
    ended.is_own(401, "token_expired");
    assert_eq!(ended.header("access-control-allow-origin"), ORIGIN);
}

async fn a_token_ends_with_its_key_on_every_replica(database: Database) {
    let pages = Pages::start(&database).await;
    let other =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let token = pages.plain_token().await;
    assert_eq!(ask_at(&other, &token, &json!({})).send().await.status, 200);
    pages.gateway.inner.revoke_key(&pages.key, "test").await.unwrap().unwrap();
    other.inner.catch_up_once().await.unwrap();
    for gateway in [&pages.gateway, &other] {
        ask_at(gateway, &token, &json!({})).send().await.is_own(401, "token_withdrawn");
    }
}

async fn a_token_ends_with_a_key_that_expires(database: Database) {
    let pages = Pages::start(&database).await;
    let key = pages
        .gateway
        .new_key(|key| {
            key.scopes.rights = [Right::Browser].into();
            key.scopes.origins = vec![countersign::model::Origin::parse(ORIGIN).unwrap()];
            key.expires_in = Some(Duration::from_secs(100));
        })
        .await;
    let made = pages.mint_with(&key, &json!({ "question": pages.question() })).send().await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(pages.ask(&token, &json!({})).send().await.status, 200);
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(101));
    pages.ask(&token, &json!({})).send().await.is_own(401, "token_withdrawn");
}

async fn a_withdrawal_ends_what_was_made_and_not_what_comes(database: Database) {
    let pages = Pages::start(&database).await;
    let other =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    let of = async |subject: &str| {
        pages.token(&json!({ "question": pages.question(), "subject": subject })).await
    };
    let (ann, ben, nobody) = (of("ann").await, of("ben").await, pages.plain_token().await);
    let second = Pages { gateway: other, key: crate::pages::page_key(&pages.gateway).await };
    let namesake = json!({ "question": pages.question(), "subject": "ann" });
    let namesake = pages.mint_with(&second.key, &namesake).send().await.json();
    let namesake = namesake["token"].as_str().unwrap();
    let other = second.gateway;
    let withdrawn = pages
        .gateway
        .inner
        .withdraw_tokens(&pages.key, Some("ann".to_owned()), "test")
        .await
        .unwrap();
    assert_eq!(withdrawn.tokens_after.unix_timestamp(), pages.gateway.sandbox.clock.now_s());
    other.inner.catch_up_once().await.unwrap();
    for gateway in [&pages.gateway, &other] {
        ask_at(gateway, &ann, &json!({})).send().await.is_own(401, "token_withdrawn");
        for good in [&*ben, &nobody, namesake] {
            assert_eq!(ask_at(gateway, good, &json!({})).send().await.status, 200);
        }
    }
    pages.gateway.sandbox.clock.forward(time::Duration::SECOND);
    let again = of("ann").await;
    assert_eq!(pages.ask(&again, &json!({})).send().await.status, 200);

    pages.gateway.inner.withdraw_tokens(id_of(&pages.key), None, "test").await.unwrap();
    other.inner.catch_up_once().await.unwrap();
    for gateway in [&pages.gateway, &other] {
        for ended in [&again, &ben, &nobody] {
            ask_at(gateway, ended, &json!({})).send().await.is_own(401, "token_withdrawn");
        }
    }
    pages.gateway.sandbox.clock.forward(time::Duration::SECOND);
    for new in [of("ann").await, pages.plain_token().await] {
        assert_eq!(pages.ask(&new, &json!({})).send().await.status, 200);
    }
    let audited = pages.gateway.audited("tokens.withdrawn").await;
    let details: Vec<_> = audited.iter().map(|entry| entry.2.split(": ").last().unwrap()).collect();
    assert_eq!(details, ["all", "of \"ann\""], "{audited:?}");
}

/// A gateway that starts later knows what was withdrawn before, and forgets it once no such token lives.
async fn withdrawals_are_kept_as_long_as_tokens_live(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": pages.question(), "expires_in": "1h" })).await;
    pages.gateway.inner.withdraw_tokens(&pages.key, None, "test").await.unwrap();
    let later =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    ask_at(&later, &token, &json!({})).send().await.is_own(401, "token_withdrawn");
    let kept = async || pages.gateway.store.list_withdrawals(9).await.unwrap().len();
    let now = pages.gateway.sandbox.clock.now_s();
    pages.gateway.store.prune_tokens(now - 1, now).await.unwrap();
    assert_eq!(kept().await, 1);
    pages.gateway.store.prune_tokens(now, now).await.unwrap();
    assert_eq!(kept().await, 0);
}

async fn no_more_subjects_are_withdrawn_one_by_one_than_fit(database: Database) {
    let pages = Pages::start(&database).await;
    let withdraw = async |subject: Option<String>| {
        pages.gateway.inner.withdraw_tokens(&pages.key, subject, "test").await
    };
    for number in 0..200 {
        withdraw(Some(format!("viewer {number}"))).await.unwrap();
    }
    // One of them once more is none more.
    withdraw(Some("viewer 7".to_owned())).await.unwrap();
    let refused = withdraw(Some("one more".to_owned())).await;
    assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{refused:?}");
    withdraw(None).await.unwrap();
    assert_eq!(pages.gateway.store.list_withdrawals(999).await.unwrap().len(), 1);
    withdraw(Some("one more".to_owned())).await.unwrap();
}

async fn only_keys_that_make_tokens_have_any_to_withdraw(database: Database) {
    let pages = Pages::start(&database).await;
    let plain = pages.gateway.new_key(|_| ()).await;
    for (key, subject) in [(&plain, None), (&pages.key, Some(String::new()))] {
        let refused = pages.gateway.inner.withdraw_tokens(key, subject, "test").await;
        assert!(matches!(refused, Err(Error::InvalidRequest(_))), "{refused:?}");
    }
}

fn newer(config: &mut Config) {
    config.vault.keys.push(("newerkey".to_owned(), NEW.into()));
    "newerkey".clone_into(&mut config.vault.active);
}

async fn tokens_outlive_a_rotation_while_the_old_vault_key_is_there(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    let mut config = settings(&pages.gateway.sandbox, &database.settings());
    newer(&mut config);
    pages.gateway.inner.reload(&config).await.unwrap().unwrap();
    let after = pages.plain_token().await;
    let status = pages.gateway.inner.rotate_vault("test").await.unwrap();
    let seconds =
        |id: &str| status.tokens_until[id].unix_timestamp() - pages.gateway.sandbox.clock.now_s();
    for id in ["testkey1", "newerkey"] {
        assert!((600..=3660).contains(&seconds(id)), "{id}: {}", seconds(id));
    }
    for token in [&token, &after] {
        assert_eq!(pages.ask(token, &json!({})).send().await.status, 200);
    }
    config.vault.keys.retain(|key| key.0 == "newerkey");
    pages.gateway.inner.reload(&config).await.unwrap().unwrap();
    pages.ask(&token, &json!({})).send().await.is_own(401, "token_invalid");
    assert_eq!(pages.ask(&after, &json!({})).send().await.status, 200);
    pages.gateway.sandbox.clock.forward(time::Duration::seconds(3661));
    let status = pages.gateway.inner.get_vault_status().await.unwrap();
    assert!(status.tokens_until.is_empty(), "{:?}", status.tokens_until);
}

/// Every character altered in every way, cut and lengthened: none is taken for a token.
async fn no_altered_token_is_accepted(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": { "tweet_ids": ["20"] } })).await;
    let from = [127, 0, 0, 1].into();
    let check = async |text: &str| {
        let checked = pages.gateway.inner.check_token(text, Some(ORIGIN), from).await;
        checked.map(drop).map_err(|refused| refused.error)
    };
    assert!(check(&token).await.is_ok());
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. ";
    let mut tried = 0;
    for at in 0..token.len() {
        for letter in letters.iter().filter(|letter| **letter != token.as_bytes()[at]) {
            let mut altered = token.clone().into_bytes();
            altered[at] = *letter;
            let altered = String::from_utf8(altered).unwrap();
            assert!(matches!(check(&altered).await, Err(Error::TokenInvalid)), "{at}: {altered}");
            tried += 1;
        }
        assert!(check(&token[..at]).await.is_err(), "cut at {at}");
        assert!(check(&format!("{token}{}", &token[at..=at])).await.is_err(), "{at} again");
    }
    assert!(tried > 10_000, "{tried}");
}

/// What the vault seals for other purposes is no token.
async fn no_other_record_is_a_token(database: Database) {
    use base64::Engine;
    let pages = Pages::start(&database).await;
    let stored = pages.gateway.store.find_key(id_of(&pages.key)).await.unwrap().unwrap();
    let record = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&stored.sealed_verifier);
    pages.ask(&format!("csb_{record}"), &json!({})).send().await.is_own(401, "token_invalid");
    let of_nobody = pages.ask("csb_", &json!({})).send().await;
    of_nobody.is_own(401, "token_invalid");
    assert_eq!(of_nobody.header("access-control-allow-origin"), ORIGIN);
}

/// The end of a token is told before its key, and that before the origin, whatever else is wrong.
async fn checks_come_in_their_order(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.token(&json!({ "question": pages.question(), "origins": [SECOND] })).await;
    let ask = || pages.ask(&token, &json!({ "tweet_ids": ["20"] }));
    ask().send().await.is_own(403, "origin_not_allowed");
    ask().header("origin", SECOND).send().await.is_own(403, "not_allowed");
    ask().header("origin", "").send().await.is_own(403, "origin_not_allowed");
    pages.gateway.inner.withdraw_tokens(&pages.key, None, "test").await.unwrap();
    ask().send().await.is_own(401, "token_withdrawn");
    pages.gateway.sandbox.clock.forward(time::Duration::hours(1));
    ask().send().await.is_own(401, "token_expired");
    let altered = format!("{token}A");
    pages.ask(&altered, &json!({})).send().await.is_own(401, "token_invalid");
}

/// Once a replica knows the key, tokens need no query.
async fn a_known_keys_tokens_are_checked_without_the_database(database: Database) {
    let pages = Pages::start(&database).await;
    let token = pages.plain_token().await;
    let page = json!({});
    assert_eq!(pages.ask(&token, &page).send().await.status, 200);
    let cold =
        TestGateway::build(pages.gateway.sandbox.again(), &database.settings(), |_| ()).await;
    // What it knows is good for seconds, if changes are not read meanwhile.
    pages.gateway.inner.catch_up_once().await.unwrap();
    for (table, gone) in [("key", "gone"), ("token_withdrawal", "gone_too")] {
        database.run(&format!("alter table {table} rename to {gone}")).await;
    }
    assert_eq!(pages.ask(&token, &page).send().await.status, 200);
    // Who has to look it up says so, and the page can read it.
    let away = ask_at(&cold, &token, &page).send().await;
    assert!(away.status.is_server_error(), "{}", away.text());
    assert_eq!(away.header("access-control-allow-origin"), ORIGIN);
}

on_both!(
    a_token_ends_at_the_latest_thirty_seconds_after_its_time,
    a_token_ends_with_its_key_on_every_replica,
    a_token_ends_with_a_key_that_expires,
    a_withdrawal_ends_what_was_made_and_not_what_comes,
    withdrawals_are_kept_as_long_as_tokens_live,
    no_more_subjects_are_withdrawn_one_by_one_than_fit,
    only_keys_that_make_tokens_have_any_to_withdraw,
    tokens_outlive_a_rotation_while_the_old_vault_key_is_there,
    no_altered_token_is_accepted,
    no_other_record_is_a_token,
    checks_come_in_their_order,
    a_known_keys_tokens_are_checked_without_the_database,
);
