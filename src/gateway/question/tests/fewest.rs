//! Plans have as few calls as can be: compared with what any plan needs at least, and with every plan of small worlds.

use std::collections::{HashMap, HashSet};

use time::Duration;

use crate::gateway::question::plan::{Known, Most, Saved, plan_within};
use crate::gateway::question::tests::NOW;
use crate::gateway::question::tests::case::{Case, QUESTIONS, wanted_hours};
use crate::gateway::question::tests::dice::{Dice, user};
use crate::gateway::question::{Question, Span, Window};
use crate::model::post::first_id_at;
use crate::model::{Metric, UserId};

/// The most that a call of a small world asks for: two posts and two hours.
const SMALL: Most = Most { posts: 2, time: Duration::hours(2) };

/// No two hours that lie 28 days apart can share a call, nor can posts of two authors, nor more posts than the endpoint
/// takes. So one hour every 28 days costs at least as many calls as the posts that existed then fill. What the authors'
/// calls cannot take along costs calls of its own.
fn least_calls(case: &Case) -> usize {
    let question = &case.question;
    let most = match question.window {
        Window::Totals => 250,
        _ => 25,
    };
    let hours = wanted_hours(question);
    let (mut alone, mut by_author) = (0, HashMap::<UserId, Vec<u64>>::new());
    let is_private = question.metrics.iter().any(|metric| !case.is_for_anyone(*metric));
    for post in &question.posts {
        let author = case.author(*post).unwrap();
        if is_private && case.usable.contains(&author) && !case.is_too_old(*post) {
            by_author.entry(author).or_default().push(*post);
        } else {
            alone += 1;
        }
    }
    if !question.metrics.iter().any(|metric| case.is_for_anyone(*metric)) {
        alone = 0;
    }
    let of_author = |posts: &Vec<u64>| {
        let existing = |hour: i64| {
            posts.iter().filter(|post| case.counted_hours(**post).contains(&hour)).count()
        };
        let apart = hours.clone().rev().step_by(28 * 24);
        apart.map(|hour| existing(hour).div_ceil(most)).sum::<usize>()
    };
    usize::div_ceil(alone, most) + by_author.values().map(of_author).sum::<usize>()
}

#[test]
fn there_are_as_few_calls_as_can_be_where_authors_are_known() {
    let (mut compared, mut saved) = (0, Saved::default());
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        if case.question.posts.iter().all(|post| case.author(*post).is_some()) {
            let plan = case.plan();
            assert_eq!(plan.calls.len(), least_calls(&case), "seed {seed}");
            saved.combined += plan.saved.combined;
            saved.too_old += plan.saved.too_old;
            saved.before_posts += plan.saved.before_posts;
            compared += 1;
        }
    }
    assert!(compared > QUESTIONS / 5, "only {compared} of {QUESTIONS}");
    let each = [saved.combined, saved.too_old, saved.before_posts];
    assert!(each.iter().all(|calls| *calls > 20), "{saved:?}");
}

/// A world small enough to try every plan: up to four posts of up to three authors, of whom the last is not connected.
fn small_world(seed: u64) -> Case {
    let dice = &mut Dice(seed);
    let window = if dice.one_in(2) {
        Window::Totals
    } else {
        let end = NOW - Duration::minutes(dice.whole(60));
        Window::Range(Span { start: end - Duration::minutes(1 + dice.whole(299)), end })
    };
    let posts: Vec<u64> = (0..=dice.below(4) as u64)
        .map(|index| {
            let minutes = if window == Window::Totals { 150 * 24 * 60 } else { 6 * 60 };
            first_id_at(NOW - Duration::minutes(dice.whole(minutes))) + index
        })
        .collect();
    let authors = 1 + dice.below(3);
    let known = posts.iter().map(|post| (*post, user(dice.below(authors)))).collect();
    let metrics = dice.some(&[Metric::Impressions, Metric::Favorites]);
    let (groupings, owners, notes) =
        (dice.groupings(window.endpoint()), HashMap::new(), Vec::new());
    let (accounts, is_by_our_clock) = (None, false);
    let question = Question {
        posts,
        posts_of: None,
        top: None,
        metrics,
        window,
        groupings,
        accounts,
        owners,
        notes,
        is_by_our_clock,
    };
    Case { question, known, usable: vec![user(0), user(1)], foreign: HashSet::new() }
}

/// What has to be asked for: each as post, engagement type and hour.
fn cells(case: &Case) -> Vec<(u64, Metric, i64)> {
    let mut cells = Vec::new();
    for post in &case.question.posts {
        let is_connected = case.usable.contains(&case.author(*post).unwrap());
        for metric in &case.question.metrics {
            let is_private = !case.is_for_anyone(*metric);
            if !is_private || (is_connected && !case.is_too_old(*post)) {
                cells.extend(case.counted_hours(*post).map(|hour| (*post, *metric, hour)));
            }
        }
    }
    cells
}

/// The cells of every call that X takes, each as a set of bits.
fn every_call(case: &Case, wanted: &[(u64, Metric, i64)]) -> Vec<u64> {
    let posts = &case.question.posts;
    let pairs = posts.iter().flat_map(|one| posts.iter().map(move |other| [*one, *other]));
    let hours = wanted_hours(&case.question);
    let mut calls = Vec::new();
    for pair in pairs {
        let authors = pair.map(|post| case.author(post).unwrap());
        let is_authors = authors[0] == authors[1] && case.usable.contains(&authors[0]);
        let is_recent = !pair.iter().any(|post| case.is_too_old(*post));
        for start in hours.clone() {
            let bits = |may_ask: &dyn Fn(Metric) -> bool| {
                let is_in = |(post, metric, hour): &(u64, Metric, i64)| {
                    pair.contains(post) && may_ask(*metric) && (start..start + 2).contains(hour)
                };
                let places = (0..).zip(wanted).filter(|(_, cell)| is_in(cell));
                places.fold(0_u64, |bits, (place, _)| bits | 1_u64 << place)
            };
            calls.push(bits(&|metric| case.is_for_anyone(metric)));
            if is_authors && is_recent {
                calls.push(bits(&|_| true));
            }
        }
    }
    calls
}

/// The least number of calls that together have all bits of `left`.
fn fewest(left: u64, calls: &[u64], known: &mut HashMap<u64, usize>) -> usize {
    if left == 0 {
        return 0;
    }
    if let Some(known) = known.get(&left) {
        return *known;
    }
    let first = 1_u64 << left.trailing_zeros();
    let useful = calls.iter().filter(|call| *call & first != 0);
    let after = useful.map(|call| fewest(left & !call, calls, known)).min();
    let least = 1 + after.expect("some call asks for it");
    known.insert(left, least);
    least
}

#[test]
fn no_plan_of_a_small_world_has_fewer_calls() {
    let (mut many, mut in_time) = (0, 0);
    for seed in 0..QUESTIONS {
        let case = small_world(seed);
        let Case { question, known: authors, usable, foreign } = &case;
        let plan = plan_within(question, &Known { authors, usable, foreign, now: NOW }, SMALL);
        let wanted = cells(&case);
        assert!(wanted.len() < 64, "{} bits", wanted.len());
        let all = (1_u64 << wanted.len()) - 1;
        let mut calls = every_call(&case, &wanted);
        calls.sort_unstable();
        calls.dedup();
        let least = fewest(all, &calls, &mut HashMap::new());
        assert_eq!(plan.calls.len(), least, "seed {seed}: {question:?}");
        many += usize::from(least > 2);
        in_time += usize::from(least > 2 && plan.saved.before_posts > 0);
    }
    assert!(
        many > 200 && in_time > 50,
        "{many} worlds take more than two calls, {in_time} save some"
    );
}
