//! Answers number by number: all of them once, in one piece or post by post.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::gateway::question::Grouping;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::streaming::Parts;
use crate::gateway::question::tests::as_json;
use crate::gateway::question::tests::dice::Dice;
use crate::gateway::question::tests::merging::{WORLDS, World};
use crate::gateway::question::tree::leaf::Leaf;
use crate::model::{GroupBy, Metric};

/// Numbers by the names above them, in the nesting's order.
type Numbers = BTreeMap<Vec<String>, i64>;

fn written(value: &Value, path: &mut Vec<String>, numbers: &mut Numbers) {
    match value {
        Value::Object(entries) => {
            for (key, below) in entries {
                path.push(key.clone());
                written(below, path, numbers);
                path.pop();
            }
        }
        leaf => drop(numbers.insert(path.clone(), leaf.as_str().unwrap().parse().unwrap())),
    }
}

/// Collects the numbers from an answer's leaves.
fn walked(merge: &Merge, world: &World, numbers: &mut Numbers) {
    let add = |leaf: &Leaf| {
        let grouping =
            world.groupings.iter().find(|grouping| grouping.name == leaf.grouping).unwrap();
        let mut path = vec![leaf.grouping.to_owned()];
        for level in &grouping.group_by {
            if *level == GroupBy::EngagementHour
                && !grouping.group_by.contains(&GroupBy::EngagementDay)
            {
                path.extend(leaf.day.map(|day| day.with(str::to_owned)));
            }
            path.push(leaf.key(*level).unwrap().with(str::to_owned));
        }
        let absent = GroupBy::ALL.iter().filter(|level| !grouping.group_by.contains(level));
        let extra = absent.filter(|level| leaf.key(**level).is_some());
        assert!(extra.into_iter().all(|level| *level == GroupBy::EngagementDay), "{leaf:?}");
        assert_eq!(numbers.insert(path, leaf.value), None, "{leaf:?} twice");
    };
    merge.each_leaf(add);
}

/// The answer's leaves as text, from numbers that are freed as they are returned.
fn taken(merge: Merge) -> Vec<String> {
    let (_, mut walk) = merge.into_walk();
    let mut all = Vec::new();
    while let Some(leaf) = walk.leaf() {
        all.push(format!("{leaf:?}"));
    }
    assert_eq!(walk.left(), 0);
    all
}

fn merged(world: &World) -> (Merge, Numbers) {
    let answer = world.answer(&world.whole());
    let mut merge = Merge::new(world.groupings.clone());
    merge.add(answer.to_string().as_bytes()).unwrap();
    let mut numbers = Numbers::new();
    for grouping in &world.groupings {
        written(&answer[&grouping.name], &mut vec![grouping.name.clone()], &mut numbers);
    }
    (merge, numbers)
}

#[test]
fn every_number_is_a_leaf_with_its_keys() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let (merge, expected) = merged(&world);
        let mut numbers = Numbers::new();
        walked(&merge, &world, &mut numbers);
        assert_eq!(numbers, expected, "seed {seed}");
        let mut seen = Vec::new();
        merge.each_leaf(|leaf| seen.push(format!("{leaf:?}")));
        assert_eq!(taken(merge.clone()), seen, "seed {seed}");
        let mut columns = merge.columns();
        columns.retain(|level| {
            !world.groupings.iter().any(|grouping| grouping.group_by.contains(level))
        });
        assert!(
            columns.is_empty() || columns == [GroupBy::EngagementDay],
            "seed {seed}: {columns:?}"
        );
    }
}

#[test]
fn posts_given_away_and_the_rest_make_the_whole() {
    for seed in 0..WORLDS {
        let world = World::new(seed);
        let dice = &mut Dice(seed ^ 0x5A);
        let (mut merge, expected) = merged(&world);
        let mut parts = Parts::new(1 + dice.below(4));
        // Each post is in a few calls, some of which do not end.
        let mut calls: Vec<Vec<u64>> =
            (0..dice.below(6)).map(|_| dice.some(&world.posts)).collect();
        for call in &calls {
            parts.begin(call);
        }
        dice.shuffle(&mut calls);
        for call in calls.iter().skip(dice.below(2)) {
            parts.end(call, &mut merge);
        }
        parts.finish(&mut merge);
        let mut numbers = Numbers::new();
        while let Some(part) = parts.next() {
            assert!(part.has_numbers(), "seed {seed}");
            walked(&part, &world, &mut numbers);
        }
        walked(&merge, &world, &mut numbers);
        assert_eq!(numbers, expected, "seed {seed}");
        let begins = world
            .groupings
            .iter()
            .all(|grouping| grouping.group_by.first() == Some(&GroupBy::TweetId));
        let all_are_called =
            world.posts.iter().all(|post| calls.iter().any(|call| call.contains(post)));
        assert!(!(begins && all_are_called && merge.has_numbers()), "seed {seed}");
    }
}

#[test]
fn a_post_is_given_away_when_its_last_call_ends() {
    let groupings = vec![Grouping { name: "g".to_owned(), group_by: vec![GroupBy::TweetId] }];
    let mut merge = Merge::new(groupings);
    let mut parts = Parts::new(250);
    parts.begin(&[1, 2]);
    parts.begin(&[2, 3]);
    merge.add(br#"{"g":{"1":"10","2":"20"}}"#).unwrap();
    parts.end(&[1, 2], &mut merge);
    assert_eq!(as_json(&parts.next().unwrap()), r#"{"g":{"1":"10"}}"#);
    assert!(parts.next().is_none());
    merge.add(br#"{"g":{"3":"30","2":"5"}}"#).unwrap();
    parts.end(&[2, 3], &mut merge);
    assert_eq!(as_json(&parts.next().unwrap()), r#"{"g":{"2":"25","3":"30"}}"#);
    assert!(!merge.has_numbers());
}

#[test]
fn a_sum_that_does_not_fit_is_no_leaf() {
    let groupings =
        vec![Grouping { name: "g".to_owned(), group_by: vec![GroupBy::EngagementType] }];
    let mut merge = Merge::new(groupings);
    merge.add(br#"{"g":{"favorites":"9223372036854775807"}}"#).unwrap();
    merge.add(br#"{"g":{"favorites":"1"}}"#).unwrap();
    assert_eq!(merge.take_overflows(), [("g".to_owned(), None, Some(Metric::Favorites))]);
    merge.each_leaf(|leaf| panic!("{leaf:?}"));
    assert_eq!(as_json(&merge), r#"{"g":{}}"#);
}

#[test]
fn posts_have_begun_until_their_part_is_taken() {
    let grouping = Grouping { name: "g".to_owned(), group_by: vec![GroupBy::TweetId] };
    let mut merge = Merge::new(vec![grouping]);
    let mut parts = Parts::new(1);
    parts.begin(&[1, 2, 3]);
    parts.begun.extend([1, 2, 3]);
    assert_eq!(parts.new_ones(&[1, 4, 5]), 2);
    merge.add(br#"{"g":{"1":"10","2":"20"}}"#).unwrap();
    parts.end(&[1, 2, 3], &mut merge);
    // There is nothing to send for the third.
    assert_eq!(parts.new_ones(&[1, 2, 3]), 1);
    assert_eq!(as_json(&parts.next().unwrap()), r#"{"g":{"1":"10"}}"#);
    assert_eq!(parts.new_ones(&[1, 2, 3]), 2);
    assert!(parts.next().is_some() && parts.next().is_none());
    assert!(parts.begun.is_empty());
}
