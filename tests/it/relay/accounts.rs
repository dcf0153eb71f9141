//! Whose token signs: how an account is named, and that other keys' accounts look like no accounts.

use countersign::gateway::{Import, ImportEvents};
use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::question::ask_with;
use crate::relay::scopes::with_two_apps;
use crate::relay::{private, public};

/// A call that needs an account, with that key and account.
fn ask(gateway: &TestGateway, key: &str, account: &str) -> Ask {
    let ask = gateway.call(Endpoint::Totals, &private(gateway, "alice"));
    let ask = ask.header("authorization", &format!("Bearer {key}")).header("x-request-id", "same");
    ask.header("countersign-account", account)
}

async fn a_foreign_account_answers_like_one_that_does_not_exist_to_the_last_byte(
    database: Database,
) {
    let gateway = with_two_apps(&database).await;
    let import = Import { ..gateway.import_of("suspended_sam") };
    gateway
        .inner
        .import_accounts(Some("other"), &[import], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
    let narrow = gateway.new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice")])).await;
    let bob = gateway.sandbox.user("bob").user_id.clone();
    // From here on X's quotas are known, and every answer has them.
    ask(&gateway, &gateway.key, &bob).send().await;
    let unknown = ask(&gateway, &narrow, "999").send().await;
    unknown.is_own(404, "account_not_found");
    let sam = gateway.sandbox.user("suspended_sam").user_id.clone();
    // Twice, since the second answer may come from the cache.
    for account in [&*bob, "@bob", "@nobody", "@suspended_sam", &sam, &bob, "@bob", "999"] {
        for key in [&narrow, &gateway.key] {
            let its_own = key == &gateway.key && (account == bob || account == "@bob");
            let answer = ask(&gateway, key, account).send().await;
            if !its_own {
                assert_eq!(answer.status, 404, "{account}");
                assert_eq!(answer.raw, unknown.raw, "{account}");
                let names = |answer: &crate::http::Answer| {
                    answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
                };
                assert_eq!(names(&answer), names(&unknown), "{account}");
            }
        }
    }
    let arrived = gateway.arrived("/").await;
    let bobs = gateway.sandbox.user("bob").access_token.clone();
    assert!(arrived.iter().all(|call| call["token"] == bobs), "{arrived:?}");
}

async fn a_limited_keys_names_are_looked_for_among_its_own_accounts_alone(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let narrow = gateway.new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice")])).await;
    // Opening bob's row would fail.
    let spoil = match database.kind {
        Kind::Sqlite => "pragma ignore_check_constraints = on;",
        Kind::Postgres => "alter table account drop constraint account_state_known;",
    };
    database
        .run(&format!("{spoil} update account set state = 'unreadable' where screen_name = 'bob'"))
        .await;
    ask(&gateway, &gateway.key, "@bob").send().await.is_own(500, "internal");
    let nobody = ask(&gateway, &narrow, "@nobody").send().await;
    nobody.is_own(404, "account_not_found");
    for name in ["@bob", "@nobody", "@BOB"] {
        let answer = ask(&gateway, &narrow, name).send().await;
        assert_eq!((answer.status.as_u16(), answer.raw), (404, nobody.raw.clone()), "{name}");
    }
    ask(&gateway, &narrow, "@ALICE").send().await.is_relayed(200);
    let wanted = json!({
        "tweet_ids": gateway.sandbox.ids("alice", 1),
        "engagement_types": ["impressions"],
        "accounts": ["@bob"],
    });
    ask_with(&gateway, &narrow, "/v1/engagement/plan", &wanted)
        .await
        .is_own(400, "invalid_request");
    ask_with(&gateway, &gateway.key, "/v1/engagement/plan", &wanted).await.is_own(500, "internal");
}

async fn a_name_that_was_found_for_a_limited_key_is_remembered_and_forgotten(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let narrow = gateway.new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice")])).await;
    // The change feed delivers their import before anything is cached.
    gateway.inner.catch_up_once().await.unwrap();
    ask(&gateway, &narrow, "@alice").send().await.is_relayed(200);
    ask(&gateway, &narrow, "@bob").send().await.is_own(404, "account_not_found");
    database.run("alter table account rename to away").await;
    ask(&gateway, &narrow, "@alice").send().await.is_relayed(200);
    ask(&gateway, &narrow, "@bob").send().await.is_own(404, "account_not_found");
    database.run("alter table away rename to account").await;
    let renamed = Import { screen_name: "bob".to_owned(), ..gateway.import_of("alice") };
    gateway
        .inner
        .import_accounts(Some("demo"), &[renamed], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
    ask(&gateway, &narrow, "@alice").send().await.is_own(404, "account_not_found");
    ask(&gateway, &narrow, "@bob").send().await.is_relayed(200);
}

async fn a_key_of_one_app_never_signs_with_the_other_apps_token(database: Database) {
    let gateway = with_two_apps(&database).await;
    let other = gateway.new_key(|key| key.scopes.app = Some("other".to_owned())).await;
    let alice = gateway.sandbox.user("alice").clone();
    for (key, app, token) in [
        (&gateway.key, "demo", &alice.access_token),
        (&other, "other", &alice.other_access_token),
        (&gateway.key, "demo", &alice.access_token),
    ] {
        for account in [&*alice.user_id, "@alice"] {
            ask(&gateway, key, account).send().await.is_relayed(200);
            let last = gateway.arrived("/").await.pop().unwrap();
            assert_eq!(last["token"], **token);
            assert_eq!(last["consumer_key"], gateway.sandbox.app(app).consumer_key);
        }
        let public = gateway.call(Endpoint::Totals, &public(&gateway));
        public.header("authorization", &format!("Bearer {key}")).send().await.is_relayed(200);
        let last = gateway.arrived("/insights/").await.pop().unwrap();
        assert_eq!(last["token"], gateway.sandbox.app(app).bearer_token);
    }
    ask(&gateway, &other, "@bob").send().await.is_own(404, "account_not_found");
}

async fn the_only_account_of_a_key_is_its_default(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice")])).await;
    ask(&gateway, &key, "").send().await.is_relayed(200);
    let both = gateway
        .new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice"), gateway.id("bob")]))
        .await;
    let answer = ask(&gateway, &both, "").send().await;
    answer.is_own(400, "invalid_request");
    assert_eq!(answer.json()["problems"][0]["header"], "Countersign-Account");
    let arrived = gateway.arrived("/").await;
    let tokens: Vec<&Value> = arrived.iter().map(|call| &call["token"]).collect();
    assert_eq!(tokens, [&*gateway.sandbox.user("alice").access_token]);
}

on_both!(
    a_foreign_account_answers_like_one_that_does_not_exist_to_the_last_byte,
    a_limited_keys_names_are_looked_for_among_its_own_accounts_alone,
    a_name_that_was_found_for_a_limited_key_is_remembered_and_forgotten,
    a_key_of_one_app_never_signs_with_the_other_apps_token,
    the_only_account_of_a_key_is_its_default
);

#[tokio::test]
async fn an_account_that_is_badly_named_is_refused_with_the_form_that_is_right() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for account in ["alice", "@", "-1", "12345678901234567890", "@a b", "@alice,@bob", "1,2", "0"] {
        let answer = ask(&gateway, &gateway.key, account).send().await;
        answer.is_own(400, "invalid_request");
        let problem = &answer.json()["problems"][0];
        assert_eq!(problem["header"], "Countersign-Account");
        assert_eq!(
            problem["detail"], "must be a user id of 1 to 19 digits or @screen_name",
            "{account}"
        );
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn headers_that_contradict_themselves_are_refused_all_at_once() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let answer =
        ask(&gateway, &gateway.key, "@alice").another("countersign-account", "@bob").send().await;
    answer.is_own(400, "invalid_request");
    let ask = ask(&gateway, &gateway.key, "@alice").another("countersign-account", "@alice");
    let ask = ask.header("countersign-auth", "user").another("countersign-auth", "app");
    let answer = ask.send().await;
    answer.is_own(400, "invalid_request");
    let problems = answer.json()["problems"].clone();
    let named: Vec<&Value> =
        problems.as_array().unwrap().iter().map(|problem| &problem["header"]).collect();
    assert_eq!(named, ["Countersign-Account", "Countersign-Auth"]);
    assert_eq!(problems[0]["detail"], "is sent more than once; send it once");
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_not_needed_is_not_looked_for() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_key(|key| key.scopes.accounts = Some(vec![gateway.id("alice")])).await;
    for account in ["@alice", "@bob", "@nobody", "999"] {
        let answer = ask(&gateway, &key, account).body(public(&gateway).to_string()).send().await;
        answer.is_relayed(200);
        assert_eq!(answer.header("countersign-auth"), "app-only", "{account}");
    }
}
