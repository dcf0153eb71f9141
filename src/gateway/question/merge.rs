//! Putting upstream answers together: numbers are added along each grouping's nesting, lists joined, and the times
//! widened, so that the answers to any split of a question make the answer to the whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, de};
use time::OffsetDateTime;

use crate::gateway::check::read_time;
use crate::gateway::question::Grouping;
use crate::gateway::question::key::TypeNames;
use crate::gateway::question::nested::{Form, Nested, Read, Written};
use crate::model::GroupBy;

/// The id lists of answers (reference 3.1).
const LISTS: [&str; 3] = [
    "unavailable_tweet_ids",
    "unsupported_for_impressions_engagements_tweet_ids",
    "unsupported_for_video_views_tweet_ids",
];
/// What follows the number of posts in the upstream's text on those that are unavailable (reference 4.1).
const ARE_UNAVAILABLE: &str = " Tweet ID(s) are unavailable";

/// The answer so far. It is written as the upstream would write it, and can be a part of something larger.
#[derive(Debug)]
pub struct Merge {
    pub(super) groupings: Vec<Grouping>,
    pub(super) names: TypeNames,
    pub(super) forms: Vec<Form>,
    pub(super) nested: Vec<Nested>,
    start: Option<Moment>,
    end: Option<Moment>,
    lists: [BTreeSet<u64>; LISTS.len()],
    errors: BTreeSet<String>,
    counts_unavailable: bool,
}

/// What one answer speaks of.
#[derive(Debug, Default)]
pub struct Told {
    /// The posts that have numbers; `None` where no grouping tells posts apart.
    posts: Option<HashSet<u64>>,
    /// Those in its lists: unavailable, or too old for something.
    pub listed: HashSet<u64>,
    unavailable: HashSet<u64>,
    pub has_numbers: bool,
    /// An error that its lists do not explain.
    pub said: Option<String>,
}

/// An answer that is not what the upstream gives.
#[derive(Debug, thiserror::Error)]
#[error("an answer of another form than the upstream's")]
pub struct Malformed(#[from] serde_json::Error);

/// A sum that does not fit 64 bits.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("a sum does not fit 64 bits")]
pub struct Overflow;

impl Merge {
    pub fn new(groupings: Vec<Grouping>) -> Merge {
        let count = groupings.len();
        Merge {
            groupings,
            names: TypeNames::default(),
            forms: vec![Form::default(); count],
            nested: (0..count).map(|_| Nested::default()).collect(),
            start: None,
            end: None,
            lists: Default::default(),
            errors: BTreeSet::new(),
            counts_unavailable: false,
        }
    }

    /// Adds an answer, all of it or nothing. One that lacks a grouping is taken only if it names posts that it does not
    /// answer for, or says what went wrong.
    pub fn add(&mut self, answer: &[u8]) -> Result<Told, Malformed> {
        let part = self.read(answer)?;
        let told = self.told(&part);
        self.forms = part.forms;
        for (mine, other) in self.nested.iter_mut().zip(part.nested) {
            mine.absorb(other.unwrap_or_default());
        }
        self.start = [self.start.take(), part.start].into_iter().flatten().min_by_key(|it| it.at);
        self.end = [self.end.take(), part.end].into_iter().flatten().max_by_key(|it| it.at);
        for (mine, other) in self.lists.iter_mut().zip(part.lists) {
            mine.extend(other);
        }
        for text in part.errors {
            let count = text.strip_suffix(ARE_UNAVAILABLE).map(str::parse::<u64>);
            if matches!(count, Some(Ok(_))) {
                self.counts_unavailable = true;
            } else {
                self.errors.insert(text);
            }
        }
        Ok(told)
    }

    fn told(&self, part: &Part) -> Told {
        let mut told = Told::default();
        for (grouping, nested) in self.groupings.iter().zip(&part.nested) {
            let Some(nested) = nested else { continue };
            told.has_numbers |= !nested.is_empty();
            if grouping.group_by.contains(&GroupBy::TweetId) && told.posts.is_none() {
                let mut posts = HashSet::new();
                nested.posts(&grouping.group_by, &mut posts);
                told.posts = Some(posts);
            }
        }
        let [unavailable, too_old @ ..] = &part.lists;
        told.unavailable = unavailable.iter().copied().collect();
        told.listed = part.lists.iter().flatten().copied().collect();
        let ages_explain = too_old.iter().any(|it| !it.is_empty());
        let is_unexplained = |it: &&String| !it.ends_with(ARE_UNAVAILABLE) && !ages_explain;
        told.said =
            part.errors.iter().find(is_unexplained).map(|it| it.chars().take(200).collect());
        told
    }

    /// The posts that some answer called unavailable.
    pub fn unavailable(&self) -> &BTreeSet<u64> {
        let [unavailable, _, _] = &self.lists;
        unavailable
    }

    /// The posts too old for impressions and engagements.
    pub fn too_old_for_impressions(&self) -> &BTreeSet<u64> {
        let [_, too_old, _] = &self.lists;
        too_old
    }

    /// The posts too old for video views, which are given as 0.
    pub fn too_old_for_video_views(&self) -> &BTreeSet<u64> {
        let [_, _, too_old] = &self.lists;
        too_old
    }

    /// The whole answer as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Overflow> {
        // Nothing else can go wrong with numbers and strings.
        serde_json::to_vec(self).map_err(|_| Overflow)
    }

    fn read(&mut self, answer: &[u8]) -> Result<Part, Malformed> {
        // Checked as a whole, which is quicker than string by string.
        let answer = std::str::from_utf8(answer).map_err(serde_json::Error::custom)?;
        let mut json = serde_json::Deserializer::from_str(answer);
        let forms = self.forms.clone();
        let reading = Reading { groupings: &self.groupings, names: &mut self.names, forms };
        let part = reading.deserialize(&mut json)?;
        json.end()?;
        let explains = !part.errors.is_empty() || part.lists.iter().any(|it| !it.is_empty());
        let lacking = self.groupings.iter().zip(&part.nested).find(|(_, it)| it.is_none());
        match lacking.filter(|_| !explains) {
            Some((grouping, _)) => {
                let text = format!("the grouping {:?} is missing", grouping.name);
                Err(serde_json::Error::custom(text).into())
            }
            None => Ok(part),
        }
    }
}

impl Told {
    /// Whether a post that was asked for has numbers, or a reason for having none. Zeros are written (reference 3.1).
    pub fn answers_for(&self, post: u64) -> bool {
        let has_numbers = self.posts.as_ref().map_or(self.has_numbers, |it| it.contains(&post));
        has_numbers || self.listed.contains(&post)
    }

    /// Whether the answer proves that the post is the signer's: of somebody else's it would have been refused.
    pub fn proves(&self, post: u64) -> bool {
        let is_sound = self.said.is_none() || self.posts.is_some();
        is_sound && self.answers_for(post) && !self.unavailable.contains(&post)
    }
}

impl Serialize for Merge {
    /// Fails only where a sum does not fit 64 bits.
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
        for (name, posts) in LISTS.iter().zip(&self.lists).filter(|(_, it)| !it.is_empty()) {
            let posts: Vec<String> = posts.iter().map(ToString::to_string).collect();
            map.serialize_entry(name, &posts)?;
        }
        for (grouping, nested) in self.groupings.iter().zip(&self.nested) {
            let written = Written { nested, levels: &grouping.group_by, names: &self.names };
            map.serialize_entry(&grouping.name, &written)?;
        }
        map.end()
    }
}

/// A time as an answer gives it. Ends may or may not be on whole hours (reference 1.6).
#[derive(Debug)]
struct Moment {
    at: OffsetDateTime,
    text: String,
}

/// What one answer says.
struct Part {
    forms: Vec<Form>,
    nested: Vec<Option<Nested>>,
    start: Option<Moment>,
    end: Option<Moment>,
    lists: [Vec<u64>; LISTS.len()],
    errors: Vec<String>,
}

struct Reading<'a> {
    groupings: &'a [Grouping],
    names: &'a mut TypeNames,
    forms: Vec<Form>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Part;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let Reading { groupings, names, forms } = self;
        let nested = groupings.iter().map(|_| None).collect();
        let (lists, errors) = (Default::default(), Vec::new());
        let mut part = Part { forms, nested, start: None, end: None, lists, errors };
        while let Some(field) = map.next_key_seed(FieldNamed(groupings))? {
            match field {
                Field::Start => part.start = map.next_value::<Option<Moment>>()?,
                Field::End => part.end = map.next_value::<Option<Moment>>()?,
                Field::Errors => {
                    let said = map.next_value::<Option<Vec<Said>>>()?.unwrap_or_default();
                    part.errors.extend(said.into_iter().filter_map(Said::into_text));
                }
                Field::List(place) => {
                    let posts = map.next_value::<Option<Vec<PostId>>>()?.unwrap_or_default();
                    if let Some(list) = part.lists.get_mut(place) {
                        list.extend(posts.into_iter().map(|it| it.0));
                    }
                }
                Field::Grouping(place) => {
                    let (Some(grouping), Some(form), Some(slot)) = (
                        groupings.get(place),
                        part.forms.get_mut(place),
                        part.nested.get_mut(place),
                    ) else {
                        continue;
                    };
                    let read = Read { levels: &grouping.group_by, form, names: &mut *names };
                    if slot.replace(map.next_value_seed(read)?).is_some() {
                        return Err(A::Error::custom("a grouping stands there twice"));
                    }
                }
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(part)
    }
}

/// A key of an answer.
enum Field {
    Start,
    End,
    Errors,
    List(usize),
    Grouping(usize),
    Other,
}

struct FieldNamed<'a>(&'a [Grouping]);

impl<'de> DeserializeSeed<'de> for FieldNamed<'_> {
    type Value = Field;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldNamed<'_> {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Field, E> {
        let list = LISTS.iter().position(|it| *it == name).map(Field::List);
        let grouping = || self.0.iter().position(|it| it.name == name).map(Field::Grouping);
        Ok(match name {
            "start" => Field::Start,
            "end" => Field::End,
            "errors" => Field::Errors,
            _ => list.or_else(grouping).unwrap_or(Field::Other),
        })
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

/// Strings, though a documented sample leaves the quotes out (reference 3.1).
struct PostId(u64);

impl<'de> Deserialize<'de> for PostId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PostId, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Id {
            Number(u64),
            Text(String),
        }
        match Id::deserialize(deserializer)? {
            Id::Number(id) => Ok(PostId(id)),
            Id::Text(text) => text.trim().parse().map(PostId).map_err(D::Error::custom),
        }
    }
}

/// An error as either family of the upstream's errors puts it (reference 4.2).
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Text(String),
    Coded { message: String },
    Other(IgnoredAny),
}

impl Said {
    fn into_text(self) -> Option<String> {
        match self {
            Said::Text(text) | Said::Coded { message: text } => Some(text),
            Said::Other(_) => None,
        }
    }
}
