//! Every plan covers its question exactly once and breaks no rule.

use std::collections::{HashMap, HashSet};

use time::Duration;
use time::macros::datetime;

use crate::gateway::call::check::{Checked, Now, check};
use crate::gateway::question::plan::{
    Cost, Known, MOST_CANDIDATES, NOBODYS, Reason, Saved, Signer, plan,
};
use crate::gateway::question::tests::NOW;
use crate::gateway::question::tests::case::{Case, QUESTIONS, hours, wanted_hours};
use crate::gateway::question::tests::dice::{Dice, user};
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::post::first_id_at;
use crate::model::{AuthKind, Endpoint, GroupBy, Metric, UserId};

#[test]
fn each_post_metric_and_hour_is_asked_for_exactly_once() {
    let (mut skipped, mut later) = (0, 0);
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        let plan = case.plan();
        let question = &case.question;
        let mut requested: HashMap<(u64, Metric), Vec<std::ops::Range<i64>>> = HashMap::new();
        for call in &plan.calls {
            let mut hours = hours(call, &question.groupings);
            if let Some(before) = call.before_posts {
                assert_eq!(before.end, call.span.unwrap().start, "seed {seed}");
                for post in &call.posts {
                    let none = case.counted_hours(*post).start >= hours.start;
                    assert!(none, "seed {seed}: {post} existed before");
                }
                hours.start = before.start.unix_timestamp().div_euclid(3600);
                skipped += 1;
            }
            for post in &call.posts {
                for metric in &call.metrics {
                    requested.entry((*post, *metric)).or_default().push(hours.clone());
                }
            }
        }
        let mut missing = HashSet::new();
        for part in &plan.missing {
            for post in &part.posts {
                if part.reason == Reason::UnsupportedAge {
                    assert!(case.is_too_old(*post), "seed {seed}: {post}");
                } else {
                    assert_eq!(part.author, case.author(*post), "seed {seed}");
                    assert!(
                        part.author.is_none_or(|author| !case.usable.contains(&author)),
                        "seed {seed}"
                    );
                }
                for metric in &part.metrics {
                    assert!(missing.insert((*post, *metric)), "seed {seed}: named twice");
                }
            }
        }
        for post in &plan.later {
            assert!(case.counted_hours(*post).is_empty(), "seed {seed}: {post} existed");
            later += 1;
        }
        let wanted = wanted_hours(question);
        for post in &question.posts {
            for metric in &question.metrics {
                let pair = (*post, *metric);
                let mut parts = requested.remove(&pair).unwrap_or_default();
                parts.sort_by_key(|hours| hours.start);
                if missing.remove(&pair) || plan.later.contains(post) {
                    assert!(parts.is_empty(), "seed {seed}: {pair:?} is asked for and missing");
                    continue;
                }
                let begin = parts.first().map(|hours| hours.start);
                let end = parts.last().map(|hours| hours.end);
                assert_eq!((begin, end), (Some(wanted.start), Some(wanted.end)), "seed {seed}");
                let abut = parts.windows(2).all(|pair| pair[0].end == pair[1].start);
                assert!(
                    abut && parts.iter().all(|hours| !hours.is_empty()),
                    "seed {seed}: {parts:?}"
                );
            }
        }
        assert!(requested.is_empty() && missing.is_empty(), "seed {seed}: not asked for");
    }
    assert!(skipped > 100 && later > 100, "{skipped} calls begin later, {later} posts are later");
}

#[test]
fn no_call_breaks_a_rule() {
    let mut mixed = 0;
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        for call in case.plan().calls {
            let body = call.body(&case.question.groupings);
            let Checked { metrics, problems, .. } = check(call.endpoint, &body, Now::exact(NOW));
            assert_eq!(problems, [], "seed {seed}: {}", String::from_utf8_lossy(&body));
            assert_eq!(metrics, call.metrics, "seed {seed}");
            let needs = |metric: &Metric| !case.is_for_anyone(*metric);
            let is_private = call.metrics.iter().any(needs);
            let kind = if is_private { AuthKind::UserContext } else { AuthKind::AppOnly };
            assert_eq!(call.signer.kind(), kind, "seed {seed}");
            if is_private && call.metrics.iter().any(|metric| !needs(metric)) {
                assert!(matches!(call.signer, Signer::Author(_)), "seed {seed}: a mixed call");
                mixed += 1;
            }
            if is_private {
                let too_old = call.posts.iter().find(|post| case.is_too_old(**post));
                assert_eq!(too_old, None, "seed {seed}");
            }
            let authors: HashSet<_> = call.posts.iter().map(|post| case.author(*post)).collect();
            match call.signer {
                Signer::App => (),
                Signer::Author(author) => assert_eq!(authors, [Some(author)].into(), "seed {seed}"),
                Signer::Candidate(_) => assert_eq!(authors, [None].into(), "seed {seed}"),
            }
            if let Some(account) = call.signer.account() {
                assert!(case.usable.contains(&account), "seed {seed}");
            }
            let is_on_hours = hours(&call, &case.question.groupings).count() <= 28 * 24;
            assert!(is_on_hours, "seed {seed}: widened beyond 28 days");
        }
    }
    assert!(mixed > 100, "only {mixed} calls ask for public and private types");
}

#[test]
fn candidates_are_the_first_that_may_be_tried() {
    let (mut tried, mut exhausted) = (0, 0);
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        let plan = case.plan();
        let unknown =
            case.question.posts.iter().filter(|post| case.author(**post).is_none()).copied();
        let unknown = unknown.filter(|post| !case.is_too_old(*post) && !plan.later.contains(post));
        let needs_author = case.question.metrics.iter().any(|metric| !case.is_for_anyone(*metric));
        if needs_author && !case.usable.is_empty() {
            assert_eq!(plan.unknown, unknown.collect::<Vec<_>>(), "seed {seed}");
        } else {
            assert!(plan.unknown.is_empty(), "seed {seed}");
        }
        if !plan.unknown.is_empty() {
            let first = &case.usable[..case.usable.len().min(MOST_CANDIDATES)];
            assert_eq!(plan.candidates, first, "seed {seed}");
            tried += 1;
        }
        for call in &plan.calls {
            let Signer::Candidate(candidate) = call.signer else { continue };
            for post in &call.posts {
                assert_eq!(case.first_candidate(*post), Some(candidate), "seed {seed}");
            }
        }
        for missing in plan.missing.iter().filter(|missing| missing.detail == NOBODYS) {
            assert!(
                missing.posts.iter().all(|post| case.first_candidate(*post).is_none()),
                "seed {seed}"
            );
            exhausted += 1;
        }
    }
    assert!(tried > 100, "only {tried} plans with posts of unknown authors");
    assert!(exhausted > 20, "only {exhausted} with posts that are known to be nobody's");
}

#[test]
fn a_call_of_a_candidate_has_no_post_that_is_known_to_be_foreign() {
    let question = Question {
        posts: (1..=60).collect(),
        metrics: vec![Metric::Impressions],
        window: Window::TwentyEightHours,
        groupings: vec![Grouping { name: "g".to_owned(), group_by: vec![GroupBy::TweetId] }],
        accounts: None,
        posts_of: None,
        top: None,
        owners: HashMap::new(),
        notes: Vec::new(),
        is_by_our_clock: false,
    };
    let mut foreign: HashSet<(u64, UserId)> = (1..=40).map(|post| (post, user(1))).collect();
    foreign.extend((31..=35).flat_map(|post| [(post, user(2)), (post, user(3))]));
    let (authors, usable) = (&HashMap::new(), &[1, 2, 3].map(user));
    let mut plan = plan(&question, &Known { authors, usable, foreign: &foreign, now: NOW });
    let planned: Vec<_> = plan.calls.iter().map(|call| (call.signer, call.posts.clone())).collect();
    let (first, second) = (Signer::Candidate(user(1)), Signer::Candidate(user(2)));
    let rest = (26..=30).chain(36..=40).collect();
    let expected = [(first, (41..=60).collect()), (second, (1..=25).collect()), (second, rest)];
    assert_eq!(planned, expected);
    assert_eq!((plan.missing.len(), &plan.missing[0].posts), (1, &(31..=35).collect()));
    // A look-up may know more than the candidates.
    assert_eq!((plan.unknown.len(), plan.lookups.len()), (60, 0));
    plan.look_up_first(|post| post != 60);
    assert_eq!(plan.lookups, [(1..=59).collect::<Vec<u64>>()]);
}

#[test]
fn posts_are_looked_up_a_hundred_at_a_time() {
    for seed in 0..QUESTIONS / 10 {
        let mut plan = Case::new(seed).plan();
        plan.look_up_first(|_| true);
        assert_eq!(plan.lookups.concat(), plan.unknown, "seed {seed}");
        assert_eq!(plan.lookups.len(), plan.unknown.len().div_ceil(100), "seed {seed}");
        assert!(plan.lookups.iter().all(|posts| posts.len() <= 100), "seed {seed}");
        assert_eq!(plan.cost().lookups, plan.lookups.len(), "seed {seed}");
    }
}

#[test]
fn a_plan_follows_from_its_question() {
    for seed in 0..QUESTIONS / 10 {
        let case = Case::new(seed);
        assert_eq!(case.plan(), case.plan(), "seed {seed}");
    }
}

#[test]
fn totals_are_split_by_credential_and_age() {
    let by_tweet = Grouping { name: "g".to_owned(), group_by: vec![GroupBy::TweetId] };
    let recent = first_id_at(NOW - Duration::days(90));
    let old = first_id_at(NOW - Duration::days(92));
    let posts: Vec<u64> = (1..=600).map(|number| recent + number).chain([old]).collect();
    let question = Question {
        posts_of: None,
        top: None,
        owners: posts[..300].iter().map(|post| (*post, user(1))).collect(),
        posts: posts.clone(),
        metrics: vec![Metric::Impressions, Metric::Favorites],
        window: Window::Totals,
        groupings: vec![by_tweet],
        accounts: None,
        notes: Vec::new(),
        is_by_our_clock: false,
    };
    let authors = &posts[..310].iter().map(|post| (*post, user(2))).collect();
    let (usable, foreign) = (&[user(7), user(1)], &HashSet::new());
    let plan = plan(&question, &Known { authors, usable, foreign, now: NOW });
    let planned: Vec<_> = plan
        .calls
        .iter()
        .map(|call| (call.signer, call.posts.len(), call.metrics.clone()))
        .collect();
    let (impressions, favorites) = (vec![Metric::Impressions], vec![Metric::Favorites]);
    let author = Signer::Author(user(1));
    let candidate = Signer::Candidate(user(7));
    let expected = [
        (Signer::App, 250, favorites.clone()),
        (Signer::App, 51, favorites),
        (author, 250, question.metrics.clone()),
        (author, 50, question.metrics.clone()),
        (candidate, 250, impressions.clone()),
        (candidate, 40, impressions.clone()),
    ];
    assert_eq!(planned, expected, "what the caller says overrules what was learnt");
    assert_eq!(plan.cost(), Cost { lookups: 0, app_only: 2, user_context: 4, accounts: 2 });
    assert_eq!(plan.saved, Saved { combined: 1, too_old: 0, before_posts: 0 });
    let missing: Vec<_> = plan
        .missing
        .iter()
        .map(|part| (part.posts.clone(), part.reason.name(), part.metrics.clone()))
        .collect();
    let expected = [
        (posts[300..310].to_vec(), "not_connected", impressions.clone()),
        (vec![old], "unsupported_age", impressions),
    ];
    assert_eq!(missing, expected);
    let body = String::from_utf8(plan.calls[5].body(&question.groupings)).unwrap();
    assert!(body.starts_with(&format!(r#"{{"tweet_ids":["{}","{}","#, recent + 561, recent + 562)));
    let rest =
        r#""],"engagement_types":["impressions"],"groupings":{"g":{"group_by":["tweet.id"]}}}"#;
    assert!(body.ends_with(rest), "{body}");
}

#[test]
fn a_range_is_cut_on_whole_hours_between_its_own_ends() {
    let (start, end) = (datetime!(2026-04-20 10:20:30 UTC), datetime!(2026-06-15 10:34:56 UTC));
    let question = Question {
        posts: vec![1],
        metrics: vec![Metric::Impressions],
        window: Window::Range(Span { start, end }),
        groupings: Dice(1).groupings(Endpoint::Historical),
        accounts: None,
        posts_of: None,
        top: None,
        owners: [(1, user(1))].into(),
        notes: Vec::new(),
        is_by_our_clock: false,
    };
    let (authors, usable, foreign) = (&HashMap::new(), &[user(1)], &HashSet::new());
    let plan = plan(&question, &Known { authors, usable, foreign, now: NOW });
    let spans: Vec<Span> = plan.calls.iter().map(|call| call.span.unwrap()).collect();
    let cuts = [datetime!(2026-04-20 11:00 UTC), datetime!(2026-05-18 11:00 UTC)];
    let expected = [(start, cuts[0]), (cuts[0], cuts[1]), (cuts[1], end)];
    assert_eq!(spans, expected.map(|(start, end)| Span { start, end }));
    assert_eq!(cuts[1] - cuts[0], Duration::days(28));
}
