//! Putting upstream answers together: numbers are added along each grouping's nesting, lists joined, and the times
//! widened, so that the answers to any split of a question make the answer to the whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::gateway::question::number_key::TypeNames;
use crate::gateway::question::part::Cell;
pub use crate::gateway::question::part::Part;
use crate::gateway::question::remarks::{ARE_UNAVAILABLE, LISTS, Moment, Remarks};
use crate::gateway::question::tree::{Form, Nested, Read, Walk, Zeros};
use crate::gateway::question::{Grouping, Span};
use crate::model::{GroupBy, Metric};

/// The answer so far.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Merge {
    pub(super) groupings: Vec<Grouping>,
    pub(super) names: TypeNames,
    pub(super) forms: Vec<Form>,
    pub(super) nested: Vec<Nested>,
    remarks: Remarks,
    /// The memory that its numbers may take, in bytes; `at_most` is an upper bound of what they do take.
    most: usize,
    at_most: usize,
    /// The memory of what was read and not added yet, in bytes.
    aside: usize,
}

/// The posts and errors of one answer.
#[derive(Debug, Default)]
pub struct Contribution {
    /// The posts that have numbers; `None` where no grouping tells posts apart.
    posts: Option<HashSet<u64>>,
    /// The posts in its lists: unavailable, or too old for some engagement type.
    pub listed: HashSet<u64>,
    pub unavailable: HashSet<u64>,
    pub has_numbers: bool,
    /// An error that its lists do not explain.
    pub unexplained_error: Option<String>,
}

/// An answer that cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    #[error("not of the expected form")]
    Form(#[from] serde_json::Error),
    #[error("larger than expected")]
    TooLarge,
}

impl Merge {
    pub fn new(groupings: Vec<Grouping>) -> Merge {
        let count = groupings.len();
        Merge {
            groupings,
            names: TypeNames::default(),
            forms: vec![Form::default(); count],
            nested: (0..count).map(|_| Nested::default()).collect(),
            remarks: Remarks::default(),
            most: usize::MAX,
            at_most: 0,
            aside: 0,
        }
    }

    /// The same, with numbers limited to `most` bytes.
    pub fn within(self, most: usize) -> Merge {
        Merge { most, ..self }
    }

    /// Adds an answer, all of it or nothing. An answer that lacks a grouping is accepted only if it names posts that it
    /// does not answer for, or reports an error.
    pub fn add(&mut self, answer: &[u8]) -> Result<Contribution, Malformed> {
        let (part, contribution) = self.read(answer)?;
        self.absorb(part);
        Ok(contribution)
    }

    /// Reads an answer that [`Merge::absorb`] may add later. Until then its numbers count as this answer's.
    pub fn read(&mut self, answer: &[u8]) -> Result<(Part, Contribution), Malformed> {
        let part = self.parse(answer)?;
        let contribution = self.set_aside(&part)?;
        Ok((part, contribution))
    }

    /// The numbers of kept answers, as one that [`Merge::absorb`] may add later.
    pub(super) fn gather(
        &mut self,
        cells: &[(u64, Cell)],
        times: (Option<Moment>, Option<Moment>),
        unavailable: (Vec<u64>, bool),
    ) -> Result<(Part, Contribution), Malformed> {
        let part = Part::of(&self.groupings, &self.forms, cells, times).without(unavailable);
        let contribution = self.set_aside(&part)?;
        Ok((part, contribution))
    }

    fn set_aside(&mut self, part: &Part) -> Result<Contribution, Malformed> {
        let more = part.bytes();
        // Sums take no more room than what they are added to, so this may overestimate, and is then recounted.
        if self.at_most.saturating_add(more) > self.most {
            self.at_most = self.bytes() + self.aside;
        }
        if more > 0 && self.at_most.saturating_add(more) > self.most {
            return Err(Malformed::TooLarge);
        }
        self.at_most += more;
        self.aside += more;
        self.forms.clone_from(&part.forms);
        Ok(self.contribution(part))
    }

    /// Adds what [`Merge::read`] has read.
    pub fn absorb(&mut self, part: Part) {
        self.aside = self.aside.saturating_sub(part.bytes());
        for (mine, other) in self.nested.iter_mut().zip(part.nested) {
            mine.absorb(other.unwrap_or_default());
        }
        self.remarks.widen(part.start, part.end);
        self.remarks.add_lists(part.lists);
        self.remarks.add_errors(part.errors);
    }

    /// Adds a zero for each of these posts, engagement types and hours; call it when the form of hours is known.
    pub fn add_zeros(&mut self, posts: &[u64], metrics: &[Metric], span: Span) {
        let zeros = Zeros::new(posts, metrics, span);
        for ((grouping, form), mine) in self.groupings.iter().zip(&self.forms).zip(&mut self.nested)
        {
            mine.absorb(zeros.nested(&grouping.group_by, form));
        }
    }

    /// Adds posts to those too old for impressions and engagements.
    pub fn add_too_old(&mut self, posts: &[u64]) {
        self.remarks.add_lists([Vec::new(), posts.to_vec(), Vec::new()]);
    }

    /// Says that the answer is about all of `span`, which is in whole hours.
    pub fn cover(&mut self, span: Span) {
        self.remarks.cover(span);
    }

    fn contribution(&self, part: &Part) -> Contribution {
        let mut contribution = Contribution::default();
        for (grouping, nested) in self.groupings.iter().zip(&part.nested) {
            let Some(nested) = nested else { continue };
            contribution.has_numbers |= !nested.is_empty();
            if grouping.group_by.contains(&GroupBy::TweetId) && contribution.posts.is_none() {
                let mut posts = HashSet::new();
                nested.keys_of(GroupBy::TweetId, &grouping.group_by, &mut posts);
                contribution.posts = Some(posts);
            }
        }
        let [unavailable, too_old @ ..] = &part.lists;
        contribution.unavailable = unavailable.iter().copied().collect();
        contribution.listed = part.lists.iter().flatten().copied().collect();
        let ages_explain = too_old.iter().any(|posts| !posts.is_empty());
        let is_unexplained = |text: &&String| !text.ends_with(ARE_UNAVAILABLE) && !ages_explain;
        contribution.unexplained_error =
            part.errors.iter().find(is_unexplained).map(|text| text.chars().take(200).collect());
        contribution
    }

    /// The posts that some answer called unavailable.
    pub fn unavailable(&self) -> &BTreeSet<u64> {
        let [unavailable, _, _] = &self.remarks.lists;
        unavailable
    }

    /// The posts too old for impressions and engagements.
    pub fn too_old_for_impressions(&self) -> &BTreeSet<u64> {
        let [_, too_old, _] = &self.remarks.lists;
        too_old
    }

    /// The posts too old for video views, which X reports as 0.
    pub fn too_old_for_video_views(&self) -> &BTreeSet<u64> {
        let [_, _, too_old] = &self.remarks.lists;
        too_old
    }

    /// Its remarks and its numbers. Sums beyond 64 bits must have been taken out before.
    pub fn into_walk(self) -> (Remarks, Walk) {
        let count = self.nested.iter().map(Nested::count).sum();
        let groupings = self.groupings.into_iter().zip(self.nested).collect();
        (self.remarks, Walk::new(groupings, self.names, count))
    }

    /// How much memory its numbers take, in bytes.
    pub fn bytes(&self) -> usize {
        self.nested.iter().map(Nested::bytes).sum()
    }

    fn parse(&mut self, answer: &[u8]) -> Result<Part, Malformed> {
        // UTF-8 is checked as a whole, which is quicker than string by string.
        let answer = std::str::from_utf8(answer).map_err(serde_json::Error::custom)?;
        let mut json = serde_json::Deserializer::from_str(answer);
        let forms = self.forms.clone();
        let reading = Reading { groupings: &self.groupings, names: &mut self.names, forms };
        let part = reading.deserialize(&mut json)?;
        json.end()?;
        let explains = !part.errors.is_empty() || part.lists.iter().any(|posts| !posts.is_empty());
        let missing = self.groupings.iter().zip(&part.nested).find(|(_, nested)| nested.is_none());
        match missing.filter(|_| !explains) {
            Some((grouping, _)) => {
                let text = format!("the grouping {:?} is missing", grouping.name);
                Err(serde_json::Error::custom(text).into())
            }
            None => Ok(part),
        }
    }
}

impl Contribution {
    /// Whether a post has numbers, if the groupings tell.
    pub fn has_numbers_of(&self, post: u64) -> bool {
        self.posts.as_ref().map_or(self.has_numbers, |posts| posts.contains(&post))
    }

    /// Whether a requested post has numbers, or a reason for having none. X writes zeros too (reference 3.1).
    pub fn answers_for(&self, post: u64) -> bool {
        self.has_numbers_of(post) || self.listed.contains(&post)
    }

    /// Whether the answer proves that the post is the signer's: X refuses posts of other users.
    pub fn proves(&self, post: u64) -> bool {
        let is_sound = self.unexplained_error.is_none() || self.posts.is_some();
        is_sound && self.answers_for(post) && !self.unavailable.contains(&post)
    }
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
                    let errors =
                        map.next_value::<Option<Vec<ReportedError>>>()?.unwrap_or_default();
                    part.errors.extend(errors.into_iter().filter_map(ReportedError::into_text));
                }
                Field::List(place) => {
                    let posts = map.next_value::<Option<Vec<PostId>>>()?.unwrap_or_default();
                    if let Some(list) = part.lists.get_mut(place) {
                        list.extend(posts.into_iter().map(|PostId(id)| id));
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
                        return Err(A::Error::custom("a grouping occurs twice"));
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
        let list = LISTS.iter().position(|list| *list == name).map(Field::List);
        let grouping =
            || self.0.iter().position(|grouping| grouping.name == name).map(Field::Grouping);
        Ok(match name {
            "start" => Field::Start,
            "end" => Field::End,
            "errors" => Field::Errors,
            _ => list.or_else(grouping).unwrap_or(Field::Other),
        })
    }
}

/// A post id: a string, though a documented sample leaves the quotes out (reference 3.1).
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
enum ReportedError {
    Text(String),
    Coded { message: String },
    Other(IgnoredAny),
}

impl ReportedError {
    fn into_text(self) -> Option<String> {
        match self {
            ReportedError::Text(text) | ReportedError::Coded { message: text } => Some(text),
            ReportedError::Other(_) => None,
        }
    }
}
