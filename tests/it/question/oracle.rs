//! Random questions, held against what the sandbox answers to one call when its limits are lifted.

use countersign::sandbox::Settings;
use serde_json::{Map, Value, json};

use crate::bench::{Bench, NOW, small};
use crate::database::{Kind, fresh};
use crate::dice::Dice;
use crate::house::House;
use crate::question::{ask, open_house};

const QUESTIONS: u64 = 150;
const LEVELS: [&str; 4] = ["tweet.id", "engagement.type", "engagement.day", "engagement.hour"];
const TOTALS: [&str; 7] = [
    "impressions",
    "engagements",
    "favorites",
    "retweets",
    "replies",
    "quote_tweets",
    "video_views",
];
const SERIES: [&str; 6] =
    ["impressions", "favorites", "url_clicks", "media_views", "user_follows", "video_views"];

/// A question, the endpoint that answers it, and its time if it has one.
fn random(house: &House, dice: &mut Dice) -> (Value, &'static str) {
    let everybody: Vec<(String, String)> = house
        .bench
        .world
        .users
        .iter()
        .flat_map(|user| user.posts.iter().map(|it| (it.id.clone(), user.user_id.clone())))
        .collect();
    let posts = dice.some(&everybody, 40);
    let endpoint = *dice.pick(&["totals", "28hr", "historical"]);
    let metrics = if endpoint == "totals" { dice.some(&TOTALS, 7) } else { dice.some(&SERIES, 4) };
    let mut groupings = Map::new();
    for name in ["one", "two"].iter().take(1 + dice.below(2)) {
        let most = if endpoint == "totals" { 2 } else { 3 };
        let levels = dice.some(&LEVELS[..if endpoint == "totals" { 2 } else { 4 }], most);
        groupings.insert((*name).to_owned(), json!({ "group_by": levels }));
    }
    let mut question = json!({
        "tweet_ids": posts.iter().map(|it| &it.0).collect::<Vec<_>>(),
        "engagement_types": metrics,
        "groupings": groupings,
    });
    let owners: Map<String, Value> =
        posts.iter().filter(|_| dice.below(3) > 0).map(|it| (it.0.clone(), json!(it.1))).collect();
    question["owners"] = owners.into();
    match endpoint {
        "28hr" => question["window"] = json!("28hr"),
        "historical" => {
            let back = 1 + i64::try_from(dice.below(24 * 300)).unwrap();
            let long = 1 + i64::try_from(dice.below(24 * 70)).unwrap();
            let start = NOW - time::Duration::hours(back);
            let end = (start + time::Duration::hours(long)).min(NOW);
            let written = |at: time::OffsetDateTime| {
                at.format(&time::format_description::well_known::Rfc3339).unwrap()
            };
            question["window"] = json!({ "start": written(start), "end": written(end) });
        }
        _ => (),
    }
    (question, endpoint)
}

/// What the sandbox answers to one call for all of it, but for what is missing.
pub async fn lifted(house: &House, question: &Value, endpoint: &str, missing: &[Value]) -> Value {
    let mut asked = json!({
        "tweet_ids": question["tweet_ids"],
        "engagement_types": question["engagement_types"],
        "groupings": question["groupings"],
    });
    if endpoint == "historical" {
        asked["start"] = question["window"]["start"].clone();
        asked["end"] = question["window"]["end"].clone();
    }
    let told_by_x = ["unavailable", "unsupported_age"];
    let except = missing.iter().filter(|it| !told_by_x.contains(&it["reason"].as_str().unwrap()));
    asked["except"] = except
        .map(|it| json!({ "tweet_ids": it["tweet_ids"], "engagement_types": it["engagement_types"] }))
        .collect();
    let ask = house.bench.ask("POST", &format!("/sandbox/answer/{endpoint}"));
    ask.header("content-type", "application/json").body(asked.to_string()).send().await.json()
}

/// A member of an answer; where it is a list, its order says nothing.
pub fn sorted(member: &Value) -> Value {
    let mut member = member.clone();
    if let Some(items) = member.as_array_mut() {
        items.sort_by_key(ToString::to_string);
    }
    member
}

#[tokio::test]
async fn ten_thousand_posts_of_fifty_authors_are_one_question() {
    let database = fresh(Kind::Sqlite).await;
    let bench = Bench::start_with(Settings { users: 50, posts_per_user: 200, ..small() }).await;
    let house = House::build(bench, &database.settings(), |_| ()).await;
    let users: Vec<_> =
        house.bench.world.users.iter().filter(|it| it.state == "active").take(50).collect();
    let names: Vec<&str> = users.iter().map(|it| &*it.screen_name).collect();
    house.connect(&names).await;
    let posts = || users.iter().flat_map(|user| user.posts.iter().map(|it| (it, &user.user_id)));
    let ids: Vec<&String> = posts().map(|it| &it.0.id).take(10_000).collect();
    let owners: Map<String, Value> =
        posts().take(10_000).map(|it| (it.0.id.clone(), json!(it.1))).collect();
    let question = json!({
        "tweet_ids": ids,
        "engagement_types": ["impressions", "favorites"],
        "groupings": { "each": { "group_by": ["tweet.id", "engagement.type"] }, "all": { "group_by": ["engagement.type"] } },
        "owners": owners,
    });
    let answer = ask(&house, &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut answer = answer.json();
    let report = answer.as_object_mut().unwrap().remove("countersign").unwrap();
    assert_eq!((ids.len(), users.len()), (10_000, 50));
    // 40 for what is public, and one for each author.
    assert_eq!(report["calls"].as_array().unwrap().len(), 90);
    let whole = lifted(&house, &question, "totals", report["missing"].as_array().unwrap()).await;
    for part in ["each", "all"] {
        assert_eq!(answer[part], whole[part], "{part}");
    }
}

#[tokio::test]
async fn a_question_is_answered_as_one_call_without_limits_would_be() {
    let databases = [fresh(Kind::Sqlite).await, fresh(Kind::Sqlite).await];
    let plain = open_house(&databases[0]).await;
    let looking_up = House::build(plain.bench.again(), &databases[1].settings(), |it| {
        it.apps.get_mut("demo").unwrap().lookup = true;
    })
    .await;
    let (mut answered, mut lacking) = (0, 0);
    for seed in 0..QUESTIONS {
        let dice = &mut Dice(seed);
        let house = *dice.pick(&[&plain, &looking_up]);
        let (question, endpoint) = random(house, dice);
        let answer = ask(house, &question).await;
        if answer.status != 200 {
            answer.is_own(answer.status.as_u16(), "nothing_answered");
            assert!(!answer.json()["missing"].as_array().unwrap().is_empty(), "seed {seed}");
            continue;
        }
        let mut answer = answer.json();
        let report = answer.as_object_mut().unwrap().remove("countersign").unwrap();
        let missing = report["missing"].as_array().unwrap();
        assert_eq!(report["complete"], missing.is_empty(), "seed {seed}");
        let whole = lifted(house, &question, endpoint, missing).await;
        for (name, told) in whole.as_object().unwrap() {
            assert_eq!(sorted(&answer[name]), sorted(told), "seed {seed}: {name} of {question}");
        }
        assert_eq!(
            answer.as_object().unwrap().len(),
            whole.as_object().unwrap().len(),
            "seed {seed}: {answer} and {whole}"
        );
        answered += 1;
        lacking += u32::from(!missing.is_empty());
    }
    assert!(answered > 100 && lacking > 30, "{answered} answered, {lacking} of them in part");
    let looked_up = looking_up.arrived("/2/tweets").await.len();
    assert!(looked_up > 10, "{looked_up} look-ups");
}
