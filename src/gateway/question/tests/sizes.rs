//! How much a question may ask for, and how much memory it takes.

use crate::config::{self, Limits};
use crate::gateway::call::check::Now;
use crate::gateway::question::merge::{Malformed, Merge};
use crate::gateway::question::size::{Sent, Size};
use crate::gateway::question::tests::{LIMITS, NOW, as_json};
use crate::gateway::question::{Grouping, Question};
use crate::model::{Endpoint, GroupBy, Metric};

/// The memory that the default settings leave for one question.
const MOST: usize = (192 << 20) / 8 * 7;

fn limits() -> Limits {
    let read = config::parse(None, &[].into(), &|_| Err(String::new()));
    read.unwrap_or_else(|error| panic!("{error}")).limits
}

fn question(posts: usize, rest: &str) -> Question {
    let ids: Vec<String> =
        (1..=posts).map(|number| (2_000_000_000_000_000_000 + number).to_string()).collect();
    let body = format!(r#"{{"tweet_ids":[{}],{rest}}}"#, ids.join(","));
    Question::read(body.as_bytes(), &LIMITS, Now::exact(NOW))
        .unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// All engagement types that a range may ask for.
fn all_types() -> String {
    let served = Metric::ALL.into_iter().filter(|metric| metric.is_served_by(Endpoint::Historical));
    let names: Vec<String> = served.map(|metric| format!("{:?}", metric.name())).collect();
    format!(r#""engagement_types":[{}]"#, names.join(","))
}

const YEAR: &str = r#""window":{"start":"2025-06-16","end":"2026-06-15"}"#;
const ALL: &str =
    r#"{"group_by":["tweet.id","engagement.type","engagement.day","engagement.hour"]}"#;

#[test]
fn numbers_are_counted_with_their_hours() {
    let groupings = format!(r#""groupings":{{"a":{{"group_by":["engagement.hour"]}},"b":{ALL}}}"#);
    let rest = r#""engagement_types":["url_clicks","impressions"],
        "window":{"start":"2026-01-01","end":"2026-03-30T12:00:00.5+02:00"}"#;
    let question = question(2, &format!("{rest},{groupings}"));
    let count = |grouping: &Grouping| question.count(grouping, question.window, 2);
    let counts: Vec<usize> = question.groupings.iter().map(count).collect();
    assert_eq!(counts, [24, 2 * 2 * (88 * 24 + 11)]);
}

#[test]
fn a_monstrous_answer_is_refused_with_what_to_cut() {
    let types = r#""engagement_types":["favorites"],"window":"28hr""#;
    let fits = question(2, &format!(r#"{types},"groupings":{{"a":{ALL}}}"#));
    assert_eq!(fits.too_many_numbers(Sent::Whole, 58), None);
    let larger = question(
        2,
        &format!(r#"{types},"groupings":{{"b":{{"group_by":["tweet.id"]}},"a":{ALL}}}"#),
    );
    assert_eq!(
        larger.too_many_numbers(Sent::Whole, 58).unwrap().detail,
        "asks for up to 60 numbers, most of them in the grouping \"a\"; limits.question_numbers allows 58 per answer: \
         ask for fewer tweet_ids, or fewer engagement_types, or a shorter window, or a grouping without \
         engagement.hour, or the answer as application/x-ndjson, which is streamed"
    );
    assert_eq!(larger.too_many_numbers(Sent::Lines, 1), None, "each post is sent and forgotten");
    let together =
        question(2, &format!(r#"{types},"groupings":{{"a":{{"group_by":["engagement.hour"]}}}}"#));
    let refused = together.too_many_numbers(Sent::Lines, 23).unwrap().detail;
    assert!(refused.ends_with("ask for a grouping without engagement.hour"), "{refused}");
}

#[test]
fn two_million_numbers_fit_in_every_form() {
    let (limits, types, few) = (limits(), all_types(), r#""engagement_types":["impressions"]"#);
    for (posts, rest) in [
        (12, format!(r#"{types},{YEAR},"groupings":{{"g":{ALL}}}"#)),
        (228, format!(r#"{few},{YEAR},"groupings":{{"g":{ALL}}}"#)),
        // Numbers that stand alone under their keys take the most.
        (
            5479,
            format!(
                r#"{few},{YEAR},"groupings":{{"g":{{"group_by":["tweet.id","engagement.day","engagement.type"]}}}}"#
            ),
        ),
        (
            305,
            format!(
                r#"{types},{YEAR},"groupings":{{"g":{{"group_by":["engagement.day","tweet.id","engagement.type"]}}}}"#
            ),
        ),
    ] {
        let question = question(posts, &rest);
        let numbers = question.count(&question.groupings[0], question.window, posts);
        assert!((1_850_000..=2_000_000).contains(&numbers), "{numbers}");
        let calls = posts.div_ceil(25) * question.slices();
        for sent in [Sent::Whole, Sent::Lines] {
            let size = Size::of(&question, sent, calls, &limits, MOST);
            assert!(size.bytes() <= MOST, "{size:?}: {}", size.bytes());
        }
    }
}

#[test]
fn a_small_question_takes_little() {
    let one = question(1, r#""engagement_types":["impressions","favorites"]"#);
    let size = Size::of(&one, Sent::Whole, 2, &limits(), MOST);
    assert!(size.bytes() <= 256 * 1024, "{size:?}: {}", size.bytes());
    assert_eq!((size.at_once, size.open_posts), (2, 1));
}

#[test]
fn fewer_calls_are_in_flight_where_memory_is_short() {
    let types = all_types();
    let large = question(25, &format!(r#"{types},{YEAR},"groupings":{{"g":{ALL}}}"#));
    let wide = Size::of(&large, Sent::Whole, 14, &limits(), usize::MAX);
    assert_eq!(wide.at_once, 8);
    let narrow = Size::of(&large, Sent::Whole, 14, &limits(), wide.bytes() - 5 * wide.wire);
    assert_eq!(narrow.at_once, 3);
    assert_eq!(Size::of(&large, Sent::Whole, 14, &limits(), 0).at_once, 1);
}

#[test]
fn an_answer_that_is_larger_than_it_may_be_is_refused() {
    let grouping = Grouping { name: "g".to_owned(), group_by: vec![GroupBy::EngagementType] };
    let mut merge = Merge::new(vec![grouping]).within(3 * 16);
    merge.add(br#"{"g":{"favorites":"1","replies":"2"}}"#).unwrap();
    let refused = merge.add(br#"{"g":{"impressions":"1","retweets":"2"}}"#);
    assert!(matches!(refused, Err(Malformed::TooLarge)));
    // Sums take no more room than what they are added to.
    for _ in 0..5 {
        merge.add(br#"{"g":{"favorites":"1"}}"#).unwrap();
    }
    assert_eq!(as_json(&merge), r#"{"g":{"favorites":"6","replies":"2"}}"#);
}

#[test]
fn fewer_posts_are_open_where_lines_need_much_memory() {
    let types = all_types();
    let of = |posts: usize| {
        let question = question(posts, &format!(r#"{types},{YEAR},"groupings":{{"g":{ALL}}}"#));
        Size::of(&question, Sent::Lines, posts * 14, &limits(), MOST)
    };
    let (some, many) = (of(60), of(1000));
    assert!(some.bytes() <= MOST && some.open_posts == 25, "{some:?}: {}", some.bytes());
    assert!(many.bytes() <= MOST && many.open_posts == 25, "{many:?}: {}", many.bytes());
    let few = question(1000, &format!(r#""engagement_types":["impressions"],{YEAR}"#));
    assert_eq!(Size::of(&few, Sent::Lines, 560, &limits(), MOST).open_posts, 100);
}
