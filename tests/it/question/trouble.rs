//! What goes wrong on the way: what is there is given, and the rest is named with its reason.

use countersign::model::{Clock, Endpoint};
use countersign::sandbox::Settings;
use serde_json::json;

use crate::bench::{Bench, small};
use crate::database::on_both;
use crate::house::House;
use crate::question::{PATH, PLAN, ask, ask_with, missing, open_house, question};
use crate::trouble::user_becomes;

on_both! {
    async fn an_account_that_was_revoked_takes_nobody_elses_numbers_away(database: Database) {
        let house = open_house(&database).await;
        let ids = [house.bench.ids("alice", 2), house.bench.ids("bob", 2)].concat();
        let mut wanted = question(&ids, &["impressions"]);
        let owner = |name: &str| json!(house.id(name).to_string());
        wanted["owners"] = json!({ &ids[0]: owner("alice"), &ids[1]: owner("alice"), &ids[2]: owner("bob"), &ids[3]: owner("bob") });
        user_becomes(&house, "alice", "revoked").await;
        for _ in 0..2 {
            // First X says so, then the mark.
            let answer = ask(&house, &wanted).await.json();
            assert_eq!(missing(&answer), [("account_revoked".to_owned(), 2)]);
            assert_eq!(answer["by_tweet"].as_object().unwrap().len(), 2);
        }
    }

    async fn an_account_that_is_revoked_meanwhile_keeps_what_came_before(database: Database) {
        let bench = Bench::start_with(Settings { users: 4, ..small() }).await;
        let house = House::build(bench, &database.settings(), |it| it.limits.question_calls = 1).await;
        let (alice, bob) = (house.bench.ids("alice", 2), house.bench.ids("bob", 2));
        let mut wanted = question(&[alice.clone(), bob.clone()].concat(), &["impressions"]);
        let owner = |name: &str| json!(house.id(name).to_string());
        wanted["owners"] = json!({ &alice[0]: owner("alice"), &alice[1]: owner("alice"), &bob[0]: owner("bob"), &bob[1]: owner("bob") });
        wanted["window"] = json!({ "start": "2026-01-01", "end": "2026-03-01" });
        wanted["groupings"] = json!({ "days": { "group_by": ["tweet.id", "engagement.day"] } });
        house.order(json!([{ "kind": "hold", "path": "/insights/", "times": 1 }])).await;
        let ask = house.ask("POST", PATH).header("content-type", "application/json").body(wanted.to_string());
        let asked = tokio::spawn(ask.send());
        while house.fired().await != [1] {
            tokio::task::yield_now().await;
        }
        user_becomes(&house, "alice", "revoked").await;
        house.order(json!([])).await;
        let answer = asked.await.unwrap().json();
        assert_eq!(missing(&answer), [("account_revoked".to_owned(), 2)]);
        assert_eq!(answer["countersign"]["missing"][0]["tweet_ids"], json!(alice));
        // Three windows of at most 28 days, of which alice's token saw the first.
        let days = |id: &String| answer["days"][id].as_object().unwrap().len();
        assert_eq!((days(&alice[0]), days(&bob[0])), (28, 59));
    }

    async fn a_spent_quota_and_faults_leave_the_rest(database: Database) {
        let house = open_house(&database).await;
        let ids = [house.bench.ids("alice", 2), house.bench.ids("bob", 2)].concat();
        let mut wanted = question(&ids, &["impressions", "favorites"]);
        let owner = |name: &str| json!(house.id(name).to_string());
        wanted["owners"] = json!({ &ids[0]: owner("alice"), &ids[1]: owner("alice"), &ids[2]: owner("bob"), &ids[3]: owner("bob") });
        for (fault, reason) in [
            (json!({ "kind": "status", "status": 429 }), "quota"),
            (json!({ "kind": "status", "status": 500 }), "upstream_error"),
            (json!({ "kind": "bad_json" }), "upstream_error"),
        ] {
            let mut fault = fault;
            fault["path"] = json!("/insights/");
            fault["times"] = json!(1);
            house.order(json!([fault])).await;
            let answer = ask(&house, &wanted).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let answer = answer.json();
            assert_eq!(answer["countersign"]["complete"], false);
            let reasons: Vec<String> = missing(&answer).into_iter().map(|it| it.0).collect();
            assert!(!reasons.is_empty() && reasons.iter().all(|it| it == reason), "{reasons:?}");
            house.order(json!([])).await;
        }
        assert_eq!(ask(&house, &wanted).await.json()["countersign"]["complete"], true);
    }

    async fn where_nothing_was_answered_it_is_said_when_to_ask_again(database: Database) {
        let house = open_house(&database).await;
        let wanted = question(&house.bench.ids("alice", 2), &["favorites"]);
        let reset = (house.bench.clock.now().unix_timestamp() + 42).to_string();
        let spent = json!({ "x-per-minute-remaining": "0", "x-per-minute-reset": reset });
        let after = json!({ "retry-after": "7" });
        for (status, headers, own, seconds) in [
            (429, &spent, 429, "42"),
            (429, &after, 429, "7"),
            (429, &json!({}), 429, "60"),
            (503, &after, 502, "7"),
            (500, &json!({}), 502, "1"),
        ] {
            house.order(json!([{ "kind": "status", "status": status, "headers": headers, "path": "/insights/" }])).await;
            let answer = ask(&house, &wanted).await;
            answer.is_own(own, "nothing_answered");
            assert_eq!(answer.header("retry-after"), seconds, "{status} {headers}");
        }
    }

    async fn a_page_of_something_on_the_way_is_told_by_type_length_and_title(database: Database) {
        let house = open_house(&database).await;
        house.order(json!([{ "kind": "html", "path": "/insights/" }])).await;
        let answer = ask(&house, &question(&house.bench.ids("alice", 2), &["favorites"])).await;
        answer.is_own(502, "nothing_answered");
        let lack = answer.json()["missing"][0].clone();
        assert_eq!(lack["reason"], "upstream_error");
        let told = "not a response that X documents: text/html, 90 bytes, titled \"502 Proxy Error\"";
        assert_eq!(lack["detail"], told);
    }

    async fn no_more_calls_run_at_a_time_than_the_settings_say(database: Database) {
        let bench = Bench::start_with(Settings { users: 4, ..small() }).await;
        let house = House::build(bench, &database.settings(), |it| it.limits.question_calls = 2).await;
        house.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
        let ids = house.bench.ids("alice", 1);
        let mut wanted = question(&ids, &["impressions"]);
        wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
        wanted["owners"] = json!({ &ids[0]: house.id("alice").to_string() });
        let asks: Vec<_> = (0..3).map(|_| {
            let ask = house.ask("POST", PATH).header("content-type", "application/json").body(wanted.to_string());
            tokio::spawn(ask.send())
        }).collect();
        while house.fired().await != [2] {
            tokio::task::yield_now().await;
        }
        // Of three questions with ten calls each, no third one has come.
        assert_eq!(house.arrived("/insights/").await.len(), 2);
        house.order(json!([])).await;
        for ask in asks {
            assert_eq!(ask.await.unwrap().json()["countersign"]["complete"], true);
        }
    }

    async fn who_hangs_up_ends_what_still_runs(database: Database) {
        let bench = Bench::start_with(Settings { users: 4, ..small() }).await;
        let house = House::build(bench, &database.settings(), |it| it.limits.question_calls = 1).await;
        house.order(json!([{ "kind": "hold", "path": "/insights/" }])).await;
        let ids = house.bench.ids("alice", 1);
        let mut wanted = question(&ids, &["impressions"]);
        wanted["window"] = json!({ "start": "2025-06-01", "end": "2026-03-01" });
        wanted["owners"] = json!({ &ids[0]: house.id("alice").to_string() });
        let ask = house.ask("POST", PATH).header("content-type", "application/json").body(wanted.to_string());
        let asked = tokio::spawn(ask.try_send());
        while house.fired().await != [1] {
            tokio::task::yield_now().await;
        }
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        house.order(json!([])).await;
        // The one slot is free again, and of the ten calls no second one was made.
        let next = question(&house.bench.ids("bob", 1), &["favorites"]);
        assert_eq!(ask_with(&house, &house.key, PATH, &next).await.status, 200);
        assert_eq!(house.arrived("/insights/engagement/historical").await.len(), 1);
    }

    async fn when_time_is_up_what_is_there_is_given(database: Database) {
        let house = open_house(&database).await;
        let ids = house.bench.ids("alice", 2);
        let mut wanted = question(&ids, &["impressions", "favorites"]);
        wanted["owners"] = json!({ &ids[0]: house.id("alice").to_string(), &ids[1]: house.id("alice").to_string() });
        house.order(json!([{ "kind": "hang", "path": "/insights/", "times": 1 }])).await;
        let asked = house.ask("POST", PATH).header("countersign-deadline", "300ms").header("content-type", "application/json");
        let answer = asked.clone().body(wanted.to_string()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(missing(&answer.json()), [("deadline".to_owned(), 2)]);
        house.order(json!([{ "kind": "hang", "path": "/insights/" }])).await;
        let nothing = asked.clone().body(wanted.to_string()).send().await;
        nothing.is_own(504, "nothing_answered");
        assert_eq!(nothing.header("retry-after"), "1");
        assert!(nothing.text().contains("posts deadline, no time was left"), "{}", nothing.text());
        let wrong = asked.header("countersign-deadline", "soon").body(wanted.to_string()).send().await;
        wrong.is_own(400, "invalid_request");
        assert_eq!(wrong.json()["problems"][0]["header"], "Countersign-Deadline");
    }

    async fn a_key_asks_no_more_than_it_may(database: Database) {
        let house = open_house(&database).await;
        let alice = house.id("alice");
        let narrow = house.new_key(|it| { it.endpoints = vec![Endpoint::Totals]; it.accounts = vec![alice] }).await;
        let ids = house.bench.ids("bob", 2);
        for path in [PATH, PLAN] {
            let mut wanted = question(&ids, &["impressions"]);
            wanted["window"] = json!("28hr");
            ask_with(&house, &narrow, path, &wanted).await.is_own(403, "not_allowed");
            let mut wanted = question(&ids, &["impressions"]);
            wanted["accounts"] = json!(["@bob"]);
            ask_with(&house, &narrow, path, &wanted).await.is_own(400, "invalid_request");
        }
        let mut wanted = question(&ids, &["impressions"]);
        wanted["owners"] = json!({ &ids[0]: house.id("bob").to_string(), &ids[1]: house.id("bob").to_string() });
        let refused = ask_with(&house, &narrow, PATH, &wanted).await;
        refused.is_own(404, "nothing_answered");
        assert_eq!(refused.json()["missing"][0]["reason"], "not_connected");
        assert_eq!(house.arrived("/insights/").await.len(), 0, "bob's token was not used");
        house.ask("POST", PATH).header("authorization", "Bearer x").send().await.is_own(401, "unknown_key");
    }
}
