//! Answers row by row: all numbers once, and those that differ in their engagement type alone together.

use std::collections::BTreeSet;

use crate::gateway::question::Grouping;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::tests::merging::{WORLDS, World};
use crate::gateway::question::tree::leaf::Leaf;
use crate::model::{GroupBy, Metric};

/// A number with its keys as text: the grouping, the post, the day, the hour and the engagement type.
type Number = (Vec<String>, i64);

fn merged(world: &World) -> Merge {
    let answer = world.answer(&world.whole());
    let mut merge = Merge::new(world.groupings.clone());
    merge.add(answer.to_string().as_bytes()).unwrap();
    merge
}

fn of_leaves(merge: &Merge) -> Vec<Number> {
    let mut numbers = Vec::new();
    let add = |leaf: &Leaf| {
        let kinds = [
            GroupBy::TweetId,
            GroupBy::EngagementDay,
            GroupBy::EngagementHour,
            GroupBy::EngagementType,
        ];
        let text = |kind| leaf.key(kind).map_or_else(String::new, |key| key.with(str::to_owned));
        let keys = kinds.into_iter().map(text);
        numbers.push(([leaf.grouping.to_owned()].into_iter().chain(keys).collect(), leaf.value));
    };
    merge.each_leaf(add);
    numbers.sort();
    numbers
}

fn of_rows(merge: Merge) -> Vec<Number> {
    let types = merge.types([]);
    let mut rows = merge.into_rows();
    let (mut numbers, mut seen, mut left) = (Vec::new(), BTreeSet::new(), rows.left());
    while let Some(row) = rows.row() {
        let kinds = [GroupBy::TweetId, GroupBy::EngagementDay, GroupBy::EngagementHour];
        assert!(row.keys.metric.is_none() && !row.numbers.is_empty());
        let text =
            |kind| row.keys.key(kind).map_or_else(String::new, |key| key.with(str::to_owned));
        let keys: Vec<String> =
            [row.keys.grouping.to_owned()].into_iter().chain(kinds.map(text)).collect();
        assert!(row.numbers.is_sorted_by(|one, two| one.0 < two.0), "{:?}", row.numbers);
        for (kind, value) in row.numbers {
            let name = kind.map_or_else(String::new, |kind| {
                types.iter().find(|(key, _)| *key == kind).unwrap().1.clone()
            });
            numbers.push(([keys.clone(), vec![name]].concat(), *value));
        }
        left -= row.numbers.len();
        assert!(seen.insert(keys), "a row comes twice");
        assert_eq!(rows.left(), left);
    }
    assert_eq!(left, 0);
    numbers.sort();
    numbers
}

#[test]
fn every_number_is_in_the_one_row_of_its_keys() {
    for seed in 0..WORLDS {
        let merge = merged(&World::new(seed));
        assert_eq!(of_rows(merge.clone()), of_leaves(&merge), "seed {seed}");
    }
}

#[test]
fn types_are_those_that_occur_and_those_that_are_named() {
    let group = |name: &str, group_by: &[GroupBy]| Grouping {
        name: name.to_owned(),
        group_by: group_by.to_vec(),
    };
    let mut merge = Merge::new(vec![
        group("a", &[GroupBy::TweetId, GroupBy::EngagementType]),
        group("b", &[GroupBy::TweetId]),
    ]);
    merge
        .add(br#"{"a":{"1":{"replies":"3","novelties":"4"},"2":{"retweets":"5"}},"b":{"1":"7","2":"5"}}"#)
        .unwrap();
    let names =
        |types: Vec<(u64, String)>| types.into_iter().map(|kind| kind.1).collect::<Vec<_>>();
    let mut known = vec![Metric::Retweets, Metric::Replies, Metric::VideoViews];
    known.sort_by_key(|metric| *metric as u64);
    let mut expected: Vec<&str> = known.into_iter().map(Metric::name).collect();
    expected.push("novelties");
    assert_eq!(names(merge.types([Metric::VideoViews, Metric::Replies])), expected);
    assert!(merge.adds_types_up());

    let mut rows = merge.into_rows();
    let mut texts = Vec::new();
    while let Some(row) = rows.row() {
        let post = row.keys.post.unwrap().key;
        let sum = row.numbers.iter().map(|number| number.1).sum::<i64>();
        texts.push((row.keys.grouping.to_owned(), post, sum));
    }
    let row = |name: &str, post: u64, sum: i64| (name.to_owned(), post, sum);
    assert_eq!(texts, [row("a", 1, 7), row("a", 2, 5), row("b", 1, 7), row("b", 2, 5)]);
}

#[test]
fn a_sum_that_does_not_fit_is_in_no_row() {
    let groupings =
        vec![Grouping { name: "g".to_owned(), group_by: vec![GroupBy::EngagementType] }];
    let mut merge = Merge::new(groupings);
    merge.add(br#"{"g":{"favorites":"9223372036854775807"}}"#).unwrap();
    merge.add(br#"{"g":{"favorites":"1"}}"#).unwrap();
    assert_eq!(merge.clone().take_overflows().len(), 1);
    merge.add(br#"{"g":{"favorites":"-1"}}"#).unwrap();
    let mut rows = merge.into_rows();
    assert_eq!(rows.row().unwrap().numbers, [(Some(Metric::Favorites as u64), i64::MAX)]);
    assert!(rows.row().is_none());
}
