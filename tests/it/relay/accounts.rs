//! Whose token signs: how an account is named, and that what is not the key's is as good as not there.

use countersign::gateway::Import;
use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::bench::Ask;
use crate::database::{Kind, fresh, on_both};
use crate::house::House;
use crate::question::ask_with;
use crate::relay::scopes::with_two_apps;
use crate::relay::{private, public};

/// A call that needs an account, with that key and account.
fn ask(house: &House, key: &str, account: &str) -> Ask {
    let ask = house.call(Endpoint::Totals, &private(house, "alice"));
    let ask = ask.header("authorization", &format!("Bearer {key}")).header("x-request-id", "same");
    ask.header("countersign-account", account)
}

on_both! {
    async fn a_foreign_account_answers_like_one_that_does_not_exist_to_the_last_byte(database: Database) {
        let house = with_two_apps(&database).await;
        let import = Import { ..house.import_of("suspended_sam") };
        house.gateway.import_accounts(Some("other"), &[import], "test").await.unwrap();
        let narrow = house.new_key(|it| it.accounts = vec![house.id("alice")]).await;
        let bob = house.bench.user("bob").user_id.clone();
        // From here on X's quotas are known, and stand in every answer.
        ask(&house, &house.key, &bob).send().await;
        let unknown = ask(&house, &narrow, "999").send().await;
        unknown.is_own(404, "account_not_found");
        let sam = house.bench.user("suspended_sam").user_id.clone();
        // Twice, since the second answer may come from memory.
        for account in [&*bob, "@bob", "@nobody", "@suspended_sam", &sam, &bob, "@bob", "999"] {
            for key in [&narrow, &house.key] {
                let its_own = key == &house.key && (account == bob || account == "@bob");
                let answer = ask(&house, key, account).send().await;
                if !its_own {
                    assert_eq!(answer.status, 404, "{account}");
                    assert_eq!(answer.raw, unknown.raw, "{account}");
                    let names = |it: &crate::bench::Answer| it.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
                    assert_eq!(names(&answer), names(&unknown), "{account}");
                }
            }
        }
        let arrived = house.arrived("/").await;
        let bobs = house.bench.user("bob").access_token.clone();
        assert!(arrived.iter().all(|it| it["token"] == bobs), "{arrived:?}");
    }

    async fn a_limited_keys_names_are_looked_for_among_its_own_accounts_alone(database: Database) {
        let house = House::start(&database).await;
        let narrow = house.new_key(|it| it.accounts = vec![house.id("alice")]).await;
        // Whoever reads bob's row fails.
        let spoil = match database.kind {
            Kind::Sqlite => "pragma ignore_check_constraints = on;",
            Kind::Postgres => "alter table account drop constraint account_state_known;",
        };
        database.run(&format!("{spoil} update account set state = 'unreadable' where screen_name = 'bob'")).await;
        ask(&house, &house.key, "@bob").send().await.is_own(500, "internal");
        let nobody = ask(&house, &narrow, "@nobody").send().await;
        nobody.is_own(404, "account_not_found");
        for name in ["@bob", "@nobody", "@BOB"] {
            let answer = ask(&house, &narrow, name).send().await;
            assert_eq!((answer.status.as_u16(), answer.raw), (404, nobody.raw.clone()), "{name}");
        }
        ask(&house, &narrow, "@ALICE").send().await.is_relayed(200);
        let wanted = json!({ "tweet_ids": house.bench.ids("alice", 1), "engagement_types": ["impressions"], "accounts": ["@bob"] });
        ask_with(&house, &narrow, "/v1/engagement/plan", &wanted).await.is_own(400, "invalid_request");
        ask_with(&house, &house.key, "/v1/engagement/plan", &wanted).await.is_own(500, "internal");
    }

    async fn a_name_that_was_found_for_a_limited_key_is_remembered_and_forgotten(database: Database) {
        let house = House::start(&database).await;
        let narrow = house.new_key(|it| it.accounts = vec![house.id("alice")]).await;
        // What connected them is forgotten before anything is remembered.
        house.gateway.catch_up_once().await.unwrap();
        ask(&house, &narrow, "@alice").send().await.is_relayed(200);
        ask(&house, &narrow, "@bob").send().await.is_own(404, "account_not_found");
        database.run("alter table account rename to away").await;
        ask(&house, &narrow, "@alice").send().await.is_relayed(200);
        ask(&house, &narrow, "@bob").send().await.is_own(404, "account_not_found");
        database.run("alter table away rename to account").await;
        let renamed = Import { screen_name: "bob".to_owned(), ..house.import_of("alice") };
        house.gateway.import_accounts(Some("demo"), &[renamed], "test").await.unwrap();
        ask(&house, &narrow, "@alice").send().await.is_own(404, "account_not_found");
        ask(&house, &narrow, "@bob").send().await.is_relayed(200);
    }

    async fn a_key_of_one_app_never_signs_with_the_other_apps_token(database: Database) {
        let house = with_two_apps(&database).await;
        let other = house.new_key(|it| it.app = Some("other".to_owned())).await;
        let alice = house.bench.user("alice").clone();
        for (key, app, token) in [
            (&house.key, "demo", &alice.access_token),
            (&other, "other", &alice.other_access_token),
            (&house.key, "demo", &alice.access_token),
        ] {
            for account in [&*alice.user_id, "@alice"] {
                ask(&house, key, account).send().await.is_relayed(200);
                let last = house.arrived("/").await.pop().unwrap();
                assert_eq!(last["token"], **token);
                assert_eq!(last["consumer_key"], house.bench.app(app).consumer_key);
            }
            let public = house.call(Endpoint::Totals, &public(&house));
            public.header("authorization", &format!("Bearer {key}")).send().await.is_relayed(200);
            let last = house.arrived("/insights/").await.pop().unwrap();
            assert_eq!(last["token"], house.bench.app(app).bearer_token);
        }
        ask(&house, &other, "@bob").send().await.is_own(404, "account_not_found");
    }

    async fn the_only_account_of_a_key_is_its_default(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_key(|it| it.accounts = vec![house.id("alice")]).await;
        ask(&house, &key, "").send().await.is_relayed(200);
        let both = house.new_key(|it| it.accounts = vec![house.id("alice"), house.id("bob")]).await;
        let answer = ask(&house, &both, "").send().await;
        answer.is_own(400, "invalid_request");
        assert_eq!(answer.json()["problems"][0]["header"], "Countersign-Account");
        let arrived = house.arrived("/").await;
        let tokens: Vec<&Value> = arrived.iter().map(|it| &it["token"]).collect();
        assert_eq!(tokens, [&*house.bench.user("alice").access_token]);
    }
}

#[tokio::test]
async fn an_account_that_is_badly_named_is_refused_with_the_form_that_is_right() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    for account in ["alice", "@", "-1", "12345678901234567890", "@a b", "@alice,@bob", "1,2", "0"] {
        let answer = ask(&house, &house.key, account).send().await;
        answer.is_own(400, "invalid_request");
        let problem = &answer.json()["problems"][0];
        assert_eq!(problem["header"], "Countersign-Account");
        assert_eq!(
            problem["detail"], "must be a user id of 1 to 19 digits or @screen_name",
            "{account}"
        );
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn headers_that_contradict_themselves_are_refused_all_at_once() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    let answer =
        ask(&house, &house.key, "@alice").another("countersign-account", "@bob").send().await;
    answer.is_own(400, "invalid_request");
    let ask = ask(&house, &house.key, "@alice").another("countersign-account", "@alice");
    let ask = ask.header("countersign-auth", "user").another("countersign-auth", "app");
    let answer = ask.send().await;
    answer.is_own(400, "invalid_request");
    let problems = answer.json()["problems"].clone();
    let named: Vec<&Value> = problems.as_array().unwrap().iter().map(|it| &it["header"]).collect();
    assert_eq!(named, ["Countersign-Account", "Countersign-Auth"]);
    assert_eq!(problems[0]["detail"], "is sent more than once; send it once");
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn an_account_that_is_not_needed_is_not_looked_for() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    let key = house.new_key(|it| it.accounts = vec![house.id("alice")]).await;
    for account in ["@alice", "@bob", "@nobody", "999"] {
        let answer = ask(&house, &key, account).body(public(&house).to_string()).send().await;
        answer.is_relayed(200);
        assert_eq!(answer.header("countersign-auth"), "app-only", "{account}");
    }
}
