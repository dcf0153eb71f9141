//! The limit of accounts in a month: who is let through, who is refused, and who is told.

use countersign::config::Config;
use countersign::model::app::AccountLimit;
use countersign::model::{Clock, Endpoint};
use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};
use time::Duration;
use time::macros::datetime;

use crate::bench::{Answer, Ask, Bench, TOTALS, small};
use crate::connect::replica::{PUBLIC_URL, Replica};
use crate::console::Visitor;
use crate::database::on_both;
use crate::house::House;
use crate::question::{PLAN, ask, ask_with, question};

fn limited(most: u64, refuses: bool) -> impl FnOnce(&mut Config) {
    move |config| {
        let app = config.apps.values_mut().next().unwrap();
        app.account_limit = Some(AccountLimit { most, refuses });
    }
}

async fn private(house: &House, name: &str) -> Answer {
    let body = json!({ "tweet_ids": house.bench.ids(name, 1), "engagement_types": ["impressions"], "groupings": { "g": { "group_by": ["tweet.id"] } } });
    house.call_as(name, Endpoint::Totals, &body).send().await
}

fn owned(house: &House, names: &[&str]) -> Value {
    let ids: Vec<String> = names.iter().flat_map(|it| house.bench.ids(it, 1)).collect();
    let owner = |name: &&str| json!(house.id(name).to_string());
    let mut wanted = question(&ids, &["impressions"]);
    wanted["owners"] =
        ids.iter().cloned().zip(names.iter().map(owner)).collect::<Map<_, _>>().into();
    wanted
}

on_both! {
    async fn more_accounts_than_the_limit_are_refused_until_the_month_ends(database: Database) {
        let house = House::start_with(&database, limited(1, true)).await;
        private(&house, "alice").await.is_relayed(200);
        let refused = private(&house, "bob").await;
        refused.is_own(403, "account_limit_reached");
        let detail = "the app demo may use 1 account a month, and that many are used already; other accounts can be used from 2026-04-01T00:00:00Z, or once an operator raises apps.demo.account_limit";
        assert_eq!(refused.json()["detail"], detail);
        let until = datetime!(2026-04-01 0:00 UTC) - house.bench.clock.now();
        assert_eq!(refused.header("retry-after"), until.whole_seconds().to_string());
        let nothing = ask(&house, &owned(&house, &["bob"])).await;
        nothing.is_own(403, "nothing_answered");
        assert_eq!(nothing.header("retry-after"), until.whole_seconds().to_string());
        // Whoever was used before costs no more.
        private(&house, "alice").await.is_relayed(200);
        let public = json!({ "tweet_ids": house.bench.ids("bob", 1), "engagement_types": ["favorites"], "groupings": { "g": { "group_by": ["tweet.id"] } } });
        house.call(Endpoint::Totals, &public).send().await.is_relayed(200);
        assert_eq!(house.arrived(TOTALS).await.len(), 3);
        let overview = Visitor::admin(&house).await.open("/console/").await.text();
        assert!(overview.contains("demo has used 1 account this month; its limit is 1. Calls with other accounts are refused."), "{overview}");
        house.bench.clock.forward(Duration::days(22));
        private(&house, "bob").await.is_relayed(200);
        private(&house, "alice").await.is_own(403, "account_limit_reached");
    }

    async fn a_limit_may_only_warn(database: Database) {
        let house = House::start_with(&database, limited(1, false)).await;
        let admin = house.new_admin_key().await;
        let apps = async || house.admin(&admin, "GET", "/admin/v1/apps").send().await.json()["apps"][0].clone();
        let told = |it: &Value| (it["accounts_used"].clone(), it["account_limit"].clone(), it["over_limit"].clone());
        assert_eq!(told(&apps().await), (json!(0), json!(1), json!("warn")));
        private(&house, "alice").await.is_relayed(200);
        private(&house, "bob").await.is_relayed(200);
        assert_eq!(told(&apps().await), (json!(2), json!(1), json!("warn")));
        let overview = Visitor::with_key(&house, &admin).await.open("/console/").await.text();
        assert!(overview.contains("demo has used 2 accounts this month; its limit is 1. Other accounts can still be used."), "{overview}");
    }

    async fn what_other_replicas_used_counts(database: Database) {
        let house = House::start_with(&database, limited(1, true)).await;
        let replica = Replica::open(&house.bench, &database.settings()).await;
        let ids = house.bench.ids("alice", 1);
        let body = json!({ "tweet_ids": ids, "engagement_types": ["impressions"], "groupings": { "g": { "group_by": ["tweet.id"] } } });
        let ask = Ask::new(&house.http, &replica.at(PUBLIC_URL), "POST", TOTALS).header("authorization", &format!("Bearer {}", house.key));
        ask.header("countersign-account", "@alice").header("content-type", "application/json").body(body.to_string()).send().await.is_relayed(200);
        replica.write_usage().await;
        house.gateway.read_month().await.unwrap();
        private(&house, "bob").await.is_own(403, "account_limit_reached");
        private(&house, "alice").await.is_relayed(200);
    }

    async fn a_question_is_answered_as_far_as_the_limit_allows(database: Database) {
        let house = House::start_with(&database, limited(1, true)).await;
        private(&house, "alice").await.is_relayed(200);
        let both = owned(&house, &["alice", "bob"]);
        let plan = ask_with(&house, &house.key, PLAN, &both).await.json();
        assert_eq!(plan["cost"], json!({ "calls": { "app-only": 0, "user-context": 1 }, "accounts": 1, "new_accounts": 0 }));
        let answer = ask(&house, &both).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("countersign-missing"), "account_limit=1");
        let bob = json!([{ "tweet_ids": house.bench.ids("bob", 1), "engagement_types": ["impressions"], "reason": "account_limit", "account": house.id("bob").to_string(), "windows": [], "detail": "" }]);
        assert_eq!((&plan["missing"], &answer.json()["countersign"]["missing"]), (&bob, &bob));
        let none = ask(&house, &owned(&house, &["bob"])).await;
        none.is_own(403, "nothing_answered");
        // Nobody new is tried for the posts of unknown authors.
        let unknown = question(&house.bench.ids("bob", 1), &["impressions"]);
        let plan = ask_with(&house, &house.key, PLAN, &unknown).await.json();
        assert_eq!((plan["calls"][0]["account"].as_str(), plan["cost"]["new_accounts"].as_u64()), (Some(&*house.id("alice").to_string()), Some(0)));
    }

    async fn who_was_used_is_tried_though_many_come_before(database: Database) {
        let bench = Bench::start_with(Settings { users: 6, ..small() }).await;
        let house = House::build(bench, &database.settings(), limited(1, true)).await;
        let mut names = ["alice", "bob", "carol", "dave", "erin", "frank"];
        house.connect(&names[2..]).await;
        names.sort_by_key(|it| house.id(it));
        let (used, author) = (names[5], house.bench.ids(names[5], 1));
        private(&house, used).await.is_relayed(200);
        assert_eq!(ask(&house, &question(&author, &["impressions"])).await.status, 200);
        // A key or a question that names many finds the one, too.
        let mut wanted = question(&author, &["impressions"]);
        wanted["accounts"] = names.iter().map(|it| json!(house.id(it).to_string())).collect();
        assert_eq!(ask(&house, &wanted).await.status, 200);
    }

    async fn candidates_are_not_tried_where_there_is_no_room(database: Database) {
        let house = House::start_with(&database, limited(1, true)).await;
        private(&house, "alice").await.is_relayed(200);
        let mut unknown = question(&house.bench.ids("bob", 1), &["impressions"]);
        unknown["accounts"] = json!([house.id("bob").to_string()]);
        let refused = ask(&house, &unknown).await;
        refused.is_own(403, "nothing_answered");
        assert_eq!(refused.json()["missing"][0]["reason"], "account_limit");
        assert_eq!(house.arrived(TOTALS).await.len(), 1);
    }
}
