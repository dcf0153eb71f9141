//! What an answer says beside its numbers: its times, lists of posts, and errors (reference 3.1).

use std::collections::BTreeSet;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, SerializeMap, Serializer};
use time::{Duration, OffsetDateTime};

use crate::gateway::call::check::{read_time, rfc3339};
use crate::gateway::question::Span;

/// The id lists of answers (reference 3.1).
pub const LISTS: [&str; 3] = [
    "unavailable_tweet_ids",
    "unsupported_for_impressions_engagements_tweet_ids",
    "unsupported_for_video_views_tweet_ids",
];
/// The text after the number of posts in the upstream's error on unavailable posts (reference 4.1).
pub const ARE_UNAVAILABLE: &str = " Tweet ID(s) are unavailable";

/// Remarks, serialised as the upstream writes them, in an object of their own or as members of a larger one.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone))]
pub struct Remarks {
    start: Option<Moment>,
    end: Option<Moment>,
    pub lists: [BTreeSet<u64>; LISTS.len()],
    errors: BTreeSet<String>,
    counts_unavailable: bool,
}

/// A time as an answer gives it. Ends may or may not be on whole hours (reference 1.6).
#[derive(Clone, Debug)]
pub struct Moment {
    pub at: OffsetDateTime,
    pub text: String,
}

impl Remarks {
    /// Takes the earliest start and the latest end.
    pub fn widen(&mut self, start: Option<Moment>, end: Option<Moment>) {
        self.start =
            [self.start.take(), start].into_iter().flatten().min_by_key(|moment| moment.at);
        self.end = [self.end.take(), end].into_iter().flatten().max_by_key(|moment| moment.at);
    }

    /// Makes the times those of `span`, which is in whole hours; an end within its last hour stays as the upstream gave it.
    pub fn cover(&mut self, span: Span) {
        let moment = |at| Some(Moment { at, text: rfc3339(at) });
        if self.start.as_ref().is_none_or(|start| start.at != span.start) {
            self.start = moment(span.start);
        }
        let last_hour = span.end - Duration::HOUR;
        let is_there = |end: &Moment| end.at > last_hour && end.at <= span.end;
        if !self.end.as_ref().is_some_and(is_there) {
            self.end = moment(span.end);
        }
    }

    pub fn add_lists(&mut self, lists: [Vec<u64>; LISTS.len()]) {
        for (mine, other) in self.lists.iter_mut().zip(lists) {
            mine.extend(other);
        }
    }

    /// Adds each text once; the number of unavailable posts is recounted.
    pub fn add_errors(&mut self, errors: Vec<String>) {
        for text in errors {
            let count = text.strip_suffix(ARE_UNAVAILABLE).map(str::parse::<u64>);
            if matches!(count, Some(Ok(_))) {
                self.counts_unavailable = true;
            } else {
                self.errors.insert(text);
            }
        }
    }
}

impl Serialize for Remarks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, moment) in [("start", &self.start), ("end", &self.end)] {
            if let Some(moment) = moment {
                map.serialize_entry(name, &moment.text)?;
            }
        }
        let [unavailable, ..] = &self.lists;
        let counted = format!("{}{ARE_UNAVAILABLE}", unavailable.len());
        let counted = self.counts_unavailable.then_some(&counted);
        let errors: Vec<&String> = self.errors.iter().chain(counted).collect();
        if !errors.is_empty() {
            map.serialize_entry("errors", &errors)?;
        }
        for (name, posts) in LISTS.iter().zip(&self.lists).filter(|(_, posts)| !posts.is_empty()) {
            let posts: Vec<String> = posts.iter().map(ToString::to_string).collect();
            map.serialize_entry(name, &posts)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(deserializer)?;
        match read_time(&text) {
            Some(at) => Ok(Moment { at, text }),
            None => Err(D::Error::custom(format!("{text:?} is not a time"))),
        }
    }
}
