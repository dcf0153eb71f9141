//! Random questions with what is known about their posts, and what a plan has to cover.

use std::collections::{HashMap, HashSet};

use crate::gateway::question::plan::{Call, Known, MOST_CANDIDATES, Plan, plan};
use crate::gateway::question::tests::NOW;
use crate::gateway::question::tests::dice::{Dice, user};
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::post::created_at;
use crate::model::{Metric, UserId};

pub const QUESTIONS: u64 = 2000;

/// A question with the known authors of its posts.
pub struct Case {
    pub question: Question,
    pub known: HashMap<u64, UserId>,
    pub usable: Vec<UserId>,
    pub foreign: HashSet<(u64, UserId)>,
}

impl Case {
    pub fn new(seed: u64) -> Case {
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

    pub fn plan(&self) -> Plan {
        let Case { known: authors, usable, foreign, .. } = self;
        plan(&self.question, &Known { authors, usable, foreign, now: NOW })
    }

    /// The first candidate tried for a post of unknown author.
    pub fn first_candidate(&self, post: u64) -> Option<UserId> {
        let mut candidates = self.usable.iter().take(MOST_CANDIDATES).copied();
        candidates.find(|candidate| !self.foreign.contains(&(post, *candidate)))
    }

    pub fn author(&self, post: u64) -> Option<UserId> {
        self.question.owners.get(&post).or(self.known.get(&post)).copied()
    }

    pub fn is_for_anyone(&self, metric: Metric) -> bool {
        self.question.window == Window::Totals && metric.is_public()
    }

    /// Whether X has no private totals of the post any more, with a day to spare.
    pub fn is_too_old(&self, post: u64) -> bool {
        let days = created_at(post).map(|created| (NOW - created).whole_days());
        self.question.window == Window::Totals && days.is_none_or(|days| days >= 91)
    }

    /// The hours that can have numbers other than 0: those from the post's creation on.
    pub fn counted_hours(&self, post: u64) -> std::ops::Range<i64> {
        let hours = wanted_hours(&self.question);
        let created = created_at(post).filter(|created| *created <= NOW);
        match (self.question.window, created) {
            (Window::Range(_), Some(created)) => {
                let first = created.unix_timestamp().div_euclid(3600);
                hours.start.max(first).min(hours.end)..hours.end
            }
            _ => hours,
        }
    }
}

/// The hours that the upstream counts for a call, from its own JSON.
pub fn hours(call: &Call, groupings: &[Grouping]) -> std::ops::Range<i64> {
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

pub fn wanted_hours(question: &Question) -> std::ops::Range<i64> {
    match question.window {
        Window::Range(Span { start, end }) => {
            let (start, end) = (start.unix_timestamp(), end.unix_timestamp());
            start.div_euclid(3600)..(end + 3599).div_euclid(3600)
        }
        _ => 0..1,
    }
}
