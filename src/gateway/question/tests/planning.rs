//! Every plan covers its question exactly once, breaks no rule, and has as few calls as can be.

use std::collections::{BTreeSet, HashMap, HashSet};

use time::Duration;
use time::macros::datetime;

use crate::gateway::call::check::{Checked, Now, check};
use crate::gateway::question::plan::{Call, Cost, MOST_CANDIDATES, NOBODYS, Plan, Signer, plan};
use crate::gateway::question::tests::NOW;
use crate::gateway::question::tests::dice::{Dice, user};
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::{AuthKind, Endpoint, GroupBy, Metric, UserId};

const QUESTIONS: u64 = 2000;

/// A question with the known authors of its posts.
struct Case {
    question: Question,
    known: HashMap<u64, UserId>,
    usable: Vec<UserId>,
    foreign: HashSet<(u64, UserId)>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let dice = &mut Dice(seed);
        let most = [20, 60, 600][dice.below(3)];
        let mut question = dice.question(most);
        let users = 1 + dice.below(9);
        let mut known = HashMap::new();
        let unknown_in = [1, 4, 100_000][dice.below(3)];
        for post in &question.posts {
            if unknown_in > 1 && !dice.one_in(unknown_in) {
                let author = user(dice.below(users));
                let place = if dice.one_in(3) { &mut question.owners } else { &mut known };
                place.insert(*post, author);
            }
        }
        let mut usable: Vec<UserId> = (0..users).map(user).collect();
        dice.shuffle(&mut usable);
        let is_short = dice.one_in(2);
        usable.truncate(if is_short { dice.below(users + 1) } else { users });
        let foreign_in = [2, 10, 100_000][dice.below(3)];
        let pairs = question.posts.iter().flat_map(|post| usable.iter().map(|user| (*post, *user)));
        let foreign = pairs.filter(|_| dice.one_in(foreign_in)).collect();
        Case { question, known, usable, foreign }
    }

    fn plan(&self) -> Plan {
        plan(&self.question, &self.known, &self.usable, &self.foreign)
    }

    /// The first candidate tried for a post of unknown author.
    fn first_candidate(&self, post: u64) -> Option<UserId> {
        let mut candidates = self.usable.iter().take(MOST_CANDIDATES).copied();
        candidates.find(|candidate| !self.foreign.contains(&(post, *candidate)))
    }

    fn author(&self, post: u64) -> Option<UserId> {
        self.question.owners.get(&post).or(self.known.get(&post)).copied()
    }

    fn is_for_anyone(&self, metric: Metric) -> bool {
        self.question.window == Window::Totals && metric.is_public()
    }
}

/// The hours that the upstream counts for a call, from its own JSON.
fn hours(call: &Call, groupings: &[Grouping]) -> std::ops::Range<i64> {
    let body: serde_json::Value = serde_json::from_slice(&call.body(groupings)).unwrap();
    let read = |name: &str| {
        let text = body.get(name)?.as_str()?;
        let form = &time::format_description::well_known::Rfc3339;
        Some(time::OffsetDateTime::parse(text, form).unwrap().unix_timestamp())
    };
    match (read("start"), read("end")) {
        (Some(start), Some(end)) => start.div_euclid(3600)..(end + 3599).div_euclid(3600),
        _ => 0..1,
    }
}

fn wanted_hours(question: &Question) -> std::ops::Range<i64> {
    match question.window {
        Window::Range(Span { start, end }) => {
            let (start, end) = (start.unix_timestamp(), end.unix_timestamp());
            start.div_euclid(3600)..(end + 3599).div_euclid(3600)
        }
        _ => 0..1,
    }
}

#[test]
fn each_post_metric_and_hour_is_asked_for_exactly_once() {
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        let plan = case.plan();
        let question = &case.question;
        let mut requested: HashMap<(u64, Metric), Vec<std::ops::Range<i64>>> = HashMap::new();
        for call in &plan.calls {
            let hours = hours(call, &question.groupings);
            for post in &call.posts {
                for metric in &call.metrics {
                    requested.entry((*post, *metric)).or_default().push(hours.clone());
                }
            }
        }
        let mut missing = HashSet::new();
        for part in &plan.missing {
            for post in &part.posts {
                assert_eq!(part.author, case.author(*post), "seed {seed}");
                assert!(
                    part.author.is_none_or(|author| !case.usable.contains(&author)),
                    "seed {seed}"
                );
                missing.extend(part.metrics.iter().map(|metric| (*post, *metric)));
            }
        }
        let wanted = wanted_hours(question);
        for post in &question.posts {
            for metric in &question.metrics {
                let pair = (*post, *metric);
                let mut parts = requested.remove(&pair).unwrap_or_default();
                parts.sort_by_key(|hours| hours.start);
                if missing.remove(&pair) {
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
}

#[test]
fn no_call_breaks_a_rule() {
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        for call in case.plan().calls {
            let body = call.body(&case.question.groupings);
            let Checked { metrics, problems, .. } = check(call.endpoint, &body, Now::exact(NOW));
            assert_eq!(problems, [], "seed {seed}: {}", String::from_utf8_lossy(&body));
            assert_eq!(metrics, call.metrics, "seed {seed}");
            let needs = |metric: &Metric| !case.is_for_anyone(*metric);
            let is_private = call.metrics.iter().any(needs);
            assert_eq!(is_private, call.metrics.iter().all(needs), "seed {seed}: a mixed call");
            let kind = if is_private { AuthKind::UserContext } else { AuthKind::AppOnly };
            assert_eq!(call.signer.kind(), kind, "seed {seed}");
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
}

/// No two hours that lie 28 days apart can share a call, nor can posts of two authors, nor more posts than the endpoint
/// takes. So one hour every 28 days costs at least as many calls as its posts fill.
fn least_calls(case: &Case) -> usize {
    let question = &case.question;
    let most = match question.window {
        Window::Totals => 250,
        _ => 25,
    };
    let hours = wanted_hours(question);
    let hours_apart = hours.step_by(28 * 24).count();
    let (mut by_anyone, mut by_author) = (BTreeSet::new(), HashMap::<UserId, usize>::new());
    for post in &question.posts {
        if question.metrics.iter().any(|metric| case.is_for_anyone(*metric)) {
            by_anyone.insert(post);
        }
        if question.metrics.iter().any(|metric| !case.is_for_anyone(*metric)) {
            let author = case.author(*post).unwrap();
            *by_author.entry(author).or_default() += usize::from(case.usable.contains(&author));
        }
    }
    let calls = |posts: usize| posts.div_ceil(most) * hours_apart;
    calls(by_anyone.len()) + by_author.into_values().map(calls).sum::<usize>()
}

#[test]
fn there_are_as_few_calls_as_can_be_where_authors_are_known() {
    let mut compared = 0;
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        if case.question.posts.iter().all(|post| case.author(*post).is_some()) {
            assert_eq!(case.plan().calls.len(), least_calls(&case), "seed {seed}");
            compared += 1;
        }
    }
    assert!(compared > QUESTIONS / 5, "only {compared} of {QUESTIONS}");
}

#[test]
fn candidates_are_the_first_that_may_be_tried() {
    let (mut tried, mut exhausted) = (0, 0);
    for seed in 0..QUESTIONS {
        let case = Case::new(seed);
        let plan = case.plan();
        let unknown =
            case.question.posts.iter().filter(|post| case.author(**post).is_none()).copied();
        let needs_author = case.question.metrics.iter().any(|metric| !case.is_for_anyone(*metric));
        if needs_author && !case.usable.is_empty() {
            assert_eq!(plan.unknown, unknown.collect::<Vec<_>>(), "seed {seed}");
        } else {
            assert!(plan.unknown.is_empty(), "seed {seed}");
        }
        if plan.unknown.is_empty() {
            assert!(plan.candidates.is_empty(), "seed {seed}");
        } else {
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
        owners: HashMap::new(),
    };
    let mut foreign: HashSet<(u64, UserId)> = (1..=40).map(|post| (post, user(1))).collect();
    foreign.extend((31..=35).flat_map(|post| [(post, user(2)), (post, user(3))]));
    let mut plan = plan(&question, &HashMap::new(), &[1, 2, 3].map(user), &foreign);
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
fn totals_are_split_by_credential() {
    let by_tweet = Grouping { name: "g".to_owned(), group_by: vec![GroupBy::TweetId] };
    let question = Question {
        posts: (1..=600).collect(),
        metrics: vec![Metric::Impressions, Metric::Favorites],
        window: Window::Totals,
        groupings: vec![by_tweet],
        accounts: None,
        owners: (1..=300).map(|post| (post, user(1))).collect(),
    };
    let known = (1..=310).map(|post| (post, user(2))).collect();
    let plan = plan(&question, &known, &[user(7), user(1)], &HashSet::new());
    let planned: Vec<_> =
        plan.calls.iter().map(|call| (call.signer, call.posts.len(), call.metrics[0])).collect();
    let (impressions, favorites) = (Metric::Impressions, Metric::Favorites);
    let author = Signer::Author(user(1));
    let candidate = Signer::Candidate(user(7));
    let expected = [
        (Signer::App, 250, favorites),
        (Signer::App, 250, favorites),
        (Signer::App, 100, favorites),
        (author, 250, impressions),
        (author, 50, impressions),
        (candidate, 250, impressions),
        (candidate, 40, impressions),
    ];
    assert_eq!(planned, expected, "what the caller says overrules what was learnt");
    assert_eq!(plan.cost(), Cost { lookups: 0, app_only: 3, user_context: 4, accounts: 2 });
    assert_eq!(
        (&*plan.missing[0].posts, plan.missing.len()),
        (&*(301..=310).collect::<Vec<_>>(), 1)
    );
    assert_eq!(plan.missing[0].reason.name(), "not_connected");
    let body = String::from_utf8(plan.calls[6].body(&question.groupings)).unwrap();
    assert!(body.starts_with(r#"{"tweet_ids":["561","562","#), "{body}");
    let rest =
        r#""600"],"engagement_types":["impressions"],"groupings":{"g":{"group_by":["tweet.id"]}}}"#;
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
        owners: [(1, user(1))].into(),
    };
    let plan = plan(&question, &HashMap::new(), &[user(1)], &HashSet::new());
    let spans: Vec<Span> = plan.calls.iter().map(|call| call.span.unwrap()).collect();
    let cuts = [datetime!(2026-05-18 10:00 UTC), datetime!(2026-06-15 10:00 UTC)];
    let expected = [(start, cuts[0]), (cuts[0], cuts[1]), (cuts[1], end)];
    assert_eq!(spans, expected.map(|(start, end)| Span { start, end }));
    assert_eq!(cuts[1] - cuts[0], Duration::days(28));
}
