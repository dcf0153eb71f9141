//! The answers to any split of a question, in any order, make the answer to the whole.

use std::ops::Range;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::gateway::question::merge::Merge;
use crate::gateway::question::tests::as_json;
use crate::gateway::question::tests::dice::Dice;
use crate::gateway::question::{Grouping, Window};
use crate::model::{GroupBy, Metric};

pub const WORLDS: u64 = 600;

/// Everything that an upstream without limits knows, and the form of its answers.
pub struct World {
    seed: u64,
    pub posts: Vec<u64>,
    metrics: Vec<Metric>,
    hours: Range<i64>,
    has_times: bool,
    pub groupings: Vec<Grouping>,
    unavailable: Vec<u64>,
    too_old: Vec<u64>,
    hours_come_by_day: bool,
    says_errors: bool,
}

/// What one call asks for.
#[derive(Clone)]
pub struct Part {
    posts: Vec<u64>,
    metrics: Vec<Metric>,
    hours: Range<i64>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let dice = &mut Dice(seed);
        let question = dice.question(12);
        let has_times = question.window != Window::Totals;
        let begin = 490_000 + dice.whole(50);
        let hours = if has_times { begin..begin + 1 + dice.whole(40) } else { 0..1 };
        let drop = [1, 3, 50][dice.below(3)];
        let mut some: Vec<u64> =
            question.posts.iter().copied().filter(|_| dice.one_in(5)).collect();
        some.sort_unstable();
        let (unavailable, too_old) = some.iter().partition(|post| *post % 3 < drop % 3);
        World {
            seed,
            posts: question.posts,
            metrics: question.metrics,
            hours,
            has_times,
            groupings: question.groupings,
            unavailable,
            too_old,
            hours_come_by_day: dice.one_in(2),
            says_errors: dice.one_in(2),
        }
    }

    pub fn whole(&self) -> Part {
        let (posts, metrics) = (self.posts.clone(), self.metrics.clone());
        Part { posts, metrics, hours: self.hours.clone() }
    }

    /// A number, often 0 and sometimes negative, or `None` if the upstream gives none.
    fn number(&self, post: u64, metric: Metric, hour: i64) -> Option<i64> {
        let is_silent = metric.is_private_on_totals() && self.too_old.contains(&post);
        let seed = self.seed ^ (post << 40) ^ ((metric as u64) << 32) ^ hour.unsigned_abs();
        let mut dice = Dice(seed);
        dice.below(2);
        let number = [0, 1, dice.whole(1000), dice.whole(1 << 30), -dice.whole(50)][dice.below(5)];
        (!is_silent && !self.unavailable.contains(&post)).then_some(number)
    }

    pub fn answer(&self, part: &Part) -> Value {
        let mut body = Map::new();
        if self.has_times {
            body.insert("start".into(), written(part.hours.start).into());
            body.insert("end".into(), written(part.hours.end).into());
        }
        let of = |posts: &[u64]| {
            let posts = posts.iter().filter(|post| part.posts.contains(post));
            posts.map(ToString::to_string).collect::<Vec<_>>()
        };
        let (unavailable, too_old) = (of(&self.unavailable), of(&self.too_old));
        let mut errors = Vec::new();
        if !too_old.is_empty() && part.metrics.iter().any(|metric| metric.is_private_on_totals()) {
            errors.push("Impressions & engagements are not supported".to_owned());
            body.insert("unsupported_for_impressions_engagements_tweet_ids".into(), json!(too_old));
        }
        if !unavailable.is_empty() {
            errors.push(format!("{} Tweet ID(s) are unavailable", unavailable.len()));
            body.insert("unavailable_tweet_ids".into(), json!(unavailable));
        }
        if self.says_errors && !errors.is_empty() {
            body.insert("errors".into(), json!(errors));
        }
        for grouping in &self.groupings {
            body.insert(grouping.name.clone(), self.nested(grouping, part).into());
        }
        body.into()
    }

    fn nested(&self, grouping: &Grouping, part: &Part) -> Map<String, Value> {
        let mut levels = grouping.group_by.clone();
        let hour = levels.iter().position(|level| *level == GroupBy::EngagementHour);
        if let Some(at) = hour
            && self.hours_come_by_day
            && !levels.contains(&GroupBy::EngagementDay)
        {
            levels.insert(at, GroupBy::EngagementDay);
        }
        let names: Vec<String> = part.hours.clone().map(written).collect();
        let mut tree = Map::new();
        for post in &part.posts {
            let id = post.to_string();
            for metric in &part.metrics {
                for (hour, name) in part.hours.clone().zip(&names) {
                    let Some(number) = self.number(*post, *metric, hour) else { continue };
                    let path = levels.iter().map(|level| match level {
                        GroupBy::TweetId => &*id,
                        GroupBy::EngagementType => metric.name(),
                        GroupBy::EngagementDay => &name[..10],
                        GroupBy::EngagementHour => &name[11..13],
                    });
                    add(&mut tree, &path.collect::<Vec<_>>(), number);
                }
            }
        }
        tree
    }
}

fn add(tree: &mut Map<String, Value>, path: &[&str], number: i64) {
    let [key, rest @ ..] = path else { return };
    match (rest, tree.get_mut(*key)) {
        ([], None) => drop(tree.insert((*key).to_owned(), number.to_string().into())),
        ([], Some(sum)) => {
            let before: i64 = sum.as_str().unwrap().parse().unwrap();
            *sum = (before + number).to_string().into();
        }
        (rest, Some(Value::Object(below))) => add(below, rest, number),
        (rest, _) => {
            let mut below = Map::new();
            add(&mut below, rest, number);
            tree.insert((*key).to_owned(), below.into());
        }
    }
}

fn written(hour: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(hour * 3600).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// Cuts a part in two at random, by posts, by metrics or by time.
fn cut(part: &Part, dice: &mut Dice) -> Vec<Part> {
    let hours = usize::try_from(part.hours.end - part.hours.start).unwrap();
    match dice.below(3) {
        0 if part.posts.len() > 1 => {
            let (one, two) = part.posts.split_at(1 + dice.below(part.posts.len() - 1));
            [one, two].map(|posts| Part { posts: posts.to_vec(), ..part.clone() }).into()
        }
        1 if part.metrics.len() > 1 => {
            let (one, two) = part.metrics.split_at(1 + dice.below(part.metrics.len() - 1));
            [one, two].map(|metrics| Part { metrics: metrics.to_vec(), ..part.clone() }).into()
        }
        2 if hours > 1 => {
            let at = part.hours.start + 1 + dice.whole(hours - 1);
            let halves = [part.hours.start..at, at..part.hours.end];
            halves.map(|hours| Part { hours, ..part.clone() }).into()
        }
        _ => vec![part.clone()],
    }
}

/// The text of an answer, with its keys in any order and its leaves and ids as strings or numbers.
fn text(value: &Value, dice: &mut Dice) -> String {
    match value {
        Value::Object(entries) => {
            let mut entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", json!(key), text(value, dice)))
                .collect();
            dice.shuffle(&mut entries);
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| text(item, dice)).collect();
            format!("[{}]", items.join(","))
        }
        Value::String(number) if number.parse::<i64>().is_ok() && dice.one_in(8) => number.clone(),
        other => other.to_string(),
    }
}

fn written_by(merge: &Merge) -> Value {
    serde_json::from_str(&as_json(merge)).unwrap()
}

#[test]
fn any_split_makes_the_whole() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let dice = &mut Dice(seed ^ 0xA5);
        let mut parts = vec![world.whole()];
        for _ in 0..dice.below(25) {
            let part = parts.swap_remove(dice.below(parts.len()));
            parts.extend(cut(&part, dice));
        }
        dice.shuffle(&mut parts);
        let mut merge = Merge::new(world.groupings.clone());
        for part in &parts {
            merge.add(text(&world.answer(part), dice).as_bytes()).unwrap();
        }
        let whole = world.answer(&world.whole());
        assert_eq!(written_by(&merge), whole, "seed {seed}, {} parts", parts.len());
    }
}

#[test]
fn what_is_merged_merges_to_itself() {
    for seed in 0..WORLDS / 10 {
        let world = World::new(seed);
        let mut merge = Merge::new(world.groupings.clone());
        merge.add(world.answer(&world.whole()).to_string().as_bytes()).unwrap();
        let mut again = Merge::new(world.groupings.clone());
        again.add(as_json(&merge).as_bytes()).unwrap();
        assert_eq!(as_json(&merge), as_json(&again), "seed {seed}");
    }
}

#[test]
fn damaged_answers_change_nothing() {
    let mut refused = 0;
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let dice = &mut Dice(seed);
        let mut merge = Merge::new(world.groupings.clone());
        merge.add(world.answer(&world.whole()).to_string().as_bytes()).unwrap();
        let before = as_json(&merge);
        let mut answer = world.answer(&world.whole()).to_string().into_bytes();
        let at = dice.below(answer.len());
        if dice.one_in(2) {
            answer.truncate(at);
        } else {
            answer[at] = b"\"{}[]:,9x\0\xff "[dice.below(12)];
        }
        if merge.add(&answer).is_err() {
            assert_eq!(as_json(&merge), before, "seed {seed}");
            refused += 1;
        }
    }
    assert!(refused > WORLDS / 2, "only {refused} of {WORLDS} were refused");
}

fn grouped(group_by: &[GroupBy]) -> Merge {
    Merge::new(vec![Grouping { name: "g".to_owned(), group_by: group_by.to_vec() }])
}

#[track_caller]
fn merges(group_by: &[GroupBy], answers: &[&str], whole: &str) {
    let mut merge = grouped(group_by);
    for answer in answers {
        merge.add(answer.as_bytes()).unwrap();
    }
    assert_eq!(as_json(&merge), whole);
}

#[test]
fn answers_of_another_form_are_refused() {
    let (t, e, d, h) = (GroupBy::ALL[0], GroupBy::ALL[1], GroupBy::ALL[2], GroupBy::ALL[3]);
    let refuses = |group_by: &[GroupBy], nested: &str| {
        let mut merge = grouped(group_by);
        let answer = format!(r#"{{"unavailable_tweet_ids":["1"],"g":{nested}}}"#);
        assert!(merge.add(answer.as_bytes()).is_err(), "{nested}");
        assert_eq!(as_json(&merge), r#"{"g":{}}"#, "{nested}");
    };
    for leaf in [
        "1.5",
        "1e2",
        "null",
        "true",
        r#""""#,
        r#"" 1""#,
        r#""x""#,
        r#""1.0""#,
        "{}",
        "[]",
        "9223372036854775808",
        r#""-9223372036854775809""#,
    ] {
        refuses(&[e], &format!(r#"{{"favorites":{leaf}}}"#));
    }
    for nested in ["7", "[]", "null", r#"{"1":"1"}"#, r#"{"x":{}}"#, r#"{"":{}}"#] {
        refuses(&[t, e], nested);
    }
    refuses(&[t, e], r#"{"18446744073709551616":{"favorites":"1"}}"#);
    refuses(&[t, e], r#"{"1":{"favorites":"1"},"1":{"favorites":"1"}}"#);
    refuses(&[e], r#"{"favorites":"1","replies":"2","favorites":"1"}"#);
    for hour in ["24", "7", "+7", "007", ""] {
        refuses(&[h], &format!(r#"{{"{hour}":"1"}}"#));
    }
    for day in ["2016-2-10", "20160210", "2016-02-1x", "02", "0000-00-00"] {
        refuses(&[d], &format!(r#"{{"{day}":"1"}}"#));
    }
    refuses(&[h], r#"{"00":"1","2016-02-10":{"01":"2"}}"#);
    refuses(&[e, h], r#"{"favorites":{"00":"1"},"replies":{"2016-02-10":{"00":"2"}}}"#);
    refuses(&[d, h], r#"{"2016-02-10":{"2016-02-10":{"00":"2"}}}"#);
    refuses(&[h], r#"{"2016-02-10":{"2016-02-10":{"00":"2"}}}"#);
    for answer in
        ["", "[]", "{}", r#"{"g":{}} x"#, r#"{"g":{},"g":{}}"#, r#"{"g":{},"end":"soon"}"#]
    {
        assert!(grouped(&[e]).add(answer.as_bytes()).is_err(), "{answer}");
    }
}

#[test]
fn hours_keep_the_form_in_which_they_come() {
    let (d, h) = (GroupBy::EngagementDay, GroupBy::EngagementHour);
    merges(
        &[h],
        &[r#"{"g":{"00":"1","17":"2"}}"#, r#"{"g":{"17":3}}"#],
        r#"{"g":{"00":"1","17":"5"}}"#,
    );
    let days = [
        r#"{"g":{"2016-02-10":{"23":"1"}}}"#,
        r#"{"g":{"2016-02-11":{"00":"2"},"2016-02-10":{"23":"-4"}}}"#,
    ];
    merges(&[h], &days, r#"{"g":{"2016-02-10":{"23":"-3"},"2016-02-11":{"00":"2"}}}"#);
    merges(&[d, h], &days, r#"{"g":{"2016-02-10":{"23":"-3"},"2016-02-11":{"00":"2"}}}"#);
    let mut merge = grouped(&[h]);
    merge.add(br#"{"g":{"00":"1"}}"#).unwrap();
    assert!(merge.add(days[0].as_bytes()).is_err(), "the other form than before");
}

#[test]
fn sums_are_exact_in_any_order() {
    let e = &[GroupBy::EngagementType];
    let answer = |number: i64| format!(r#"{{"g":{{"favorites":"{number}"}}}}"#);
    let sum = |numbers: &[i64]| {
        let mut merge = grouped(e);
        for number in numbers {
            merge.add(answer(*number).as_bytes()).unwrap();
        }
        let overflows = merge.take_overflows().len();
        (as_json(&merge), overflows)
    };
    assert_eq!(sum(&[i64::MAX, 5, -5]), (answer(i64::MAX), 0));
    assert_eq!(sum(&[i64::MIN, -1, 1]), (answer(i64::MIN), 0));
    assert_eq!(sum(&[i64::MAX, i64::MIN]), (answer(-1), 0));
    assert_eq!(sum(&[i64::MAX, 1]), (r#"{"g":{}}"#.to_owned(), 1));
    assert_eq!(sum(&[i64::MIN, -1]), (r#"{"g":{}}"#.to_owned(), 1));
}

#[test]
fn what_stands_beside_the_numbers_is_joined() {
    let answers = [
        r#"{"g":{"new_type":"1"},"start":"2026-01-02T00:00:00Z","end":"2026-01-03T02:27:50Z","unknown":{"a":[1]},
            "errors":["2 Tweet ID(s) are unavailable","b"],"unavailable_tweet_ids":["7","5"]}"#,
        r#"{"errors":["1 Tweet ID(s) are unavailable",{"code":1,"message":"a"},"b",7],"unavailable_tweet_ids":[5]}"#,
        r#"{"g":{"favorites":"0","new_type":2},"start":"2026-01-01T23:00:00-02:00","end":"2026-01-03T02:27:49Z",
            "unsupported_for_video_views_tweet_ids":["9"],"unsupported_for_impressions_engagements_tweet_ids":[8],
            "errors":null}"#,
    ];
    merges(
        &[GroupBy::EngagementType],
        &answers,
        r#"{"start":"2026-01-02T00:00:00Z","end":"2026-01-03T02:27:50Z","errors":["a","b","2 Tweet ID(s) are unavailable"],"unavailable_tweet_ids":["5","7"],"unsupported_for_impressions_engagements_tweet_ids":["8"],"unsupported_for_video_views_tweet_ids":["9"],"g":{"favorites":"0","new_type":"3"}}"#,
    );
}

#[test]
fn posts_that_are_not_answered_for_are_listed() {
    let mut merge = grouped(&[GroupBy::TweetId]);
    let answer = br#"{"g":{"1":"2"},"unavailable_tweet_ids":["3"],"unsupported_for_video_views_tweet_ids":[1]}"#;
    merge.add(answer).unwrap();
    assert_eq!(merge.unavailable(), &[3].into());
    assert_eq!(merge.too_old_for_video_views(), &[1].into());
    assert!(merge.too_old_for_impressions().is_empty());
}

#[test]
fn engagement_types_keep_their_place() {
    let names = Metric::ALL.map(|metric| format!(r#""{metric}":"{}""#, metric as u64)).join(",");
    let answer = format!(r#"{{"g":{{{names}}}}}"#);
    merges(&[GroupBy::EngagementType], &[&answer], &answer);
    assert!(Metric::ALL.iter().enumerate().all(|(place, metric)| *metric as usize == place));
}
