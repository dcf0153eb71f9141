//! The most memory that a question can take, computed from its contents. It is reserved before the first call is made.

use crate::config::Limits;
use crate::gateway::Detail;
use crate::gateway::question::tree::most_bytes;
use crate::gateway::question::{Grouping, Question, Span, Window};
use crate::model::GroupBy;
use crate::model::endpoint::MAX_WINDOW;

/// Hours and days that the last 28 hours can touch (reference 1.6).
const RECENT_HOURS: u64 = 29;
const RECENT_DAYS: u64 = 3;

/// The most text that the upstream writes for a number: a deeply indented line of its own, with a key and 19 digits.
const TEXT_OF_A_NUMBER: usize = 64;
/// The most that it writes beside the numbers: times, errors and lists of posts.
const TEXT_OF_THE_REST: usize = 16 * 1024;
/// A piece of an answer that is being written.
const PIECE: usize = 64 * 1024;
/// The memory needed to compress such pieces.
const COMPRESSION: usize = 448 * 1024;
/// The memory for the record of a call and its text in the answer, without its posts.
const NOTE_OF_A_CALL: usize = 768;
/// The memory for the record of a post, and for its text in the answer if it is missing.
const NOTE_OF_A_POST: usize = 128;
/// Up to this size, room is made for both forms where it is not known whether hours come below days.
const FOR_EITHER_FORM: usize = 16 << 20;
/// How many batches of posts may be in progress in an answer that is sent line by line.
const OPEN_BATCHES: usize = 4;

/// How an answer is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sent {
    /// As one document, once it is complete.
    Whole,
    /// Line by line: complete posts are sent and freed while others are still being requested.
    Lines,
}

/// The most memory that a question takes, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// Numbers that are held at the same time.
    pub numbers: usize,
    /// One call's numbers, before they are added to the others.
    pub part: usize,
    /// One call's answer, decompressed.
    pub text: usize,
    /// One call's answer as it comes.
    pub wire: usize,
    /// Records of calls and posts, and the text being written.
    rest: usize,
    /// Calls in flight at the same time.
    pub at_once: usize,
    /// Posts that may have begun and not been sent, if the answer is sent line by line.
    pub open_posts: usize,
}

impl Size {
    /// The size of `question`, with as many calls in flight as fit into `most` bytes; one is counted even if it does
    /// not fit. `calls` is how many it may make in all.
    pub fn of(question: &Question, sent: Sent, calls: usize, limits: &Limits, most: usize) -> Size {
        let (posts, batch) = (question.posts.len(), question.window.endpoint().max_posts());
        let one = |open_posts| Size::with(question, sent, calls, limits, open_posts);
        let size = match (sent, question.window) {
            // Public and private numbers of a post come from different calls, far apart.
            (Sent::Whole, _) | (_, Window::Totals) => one(posts),
            _ => {
                let sizes = (1..=OPEN_BATCHES).rev().map(|batches| one(posts.min(batches * batch)));
                let fits = |size: &Size| size.bytes().saturating_add(size.wire) <= most;
                sizes.clone().find(fits).unwrap_or_else(|| one(posts.min(batch)))
            }
        };
        let in_flight = limits.question_calls.min(calls).max(1);
        let fit = most.saturating_sub(size.bytes()) / size.wire;
        Size { at_once: fit.clamp(1, in_flight), ..size }
    }

    /// The size with `open_posts` posts open, and no call in flight.
    fn with(
        question: &Question,
        sent: Sent,
        calls: usize,
        limits: &Limits,
        open_posts: usize,
    ) -> Size {
        let posts = question.posts.len();
        let batch = posts.min(question.window.endpoint().max_posts());
        let held = |grouping: &Grouping| match sent {
            Sent::Lines if grouping.begins_with_post() => open_posts,
            _ => posts,
        };
        // Parts of the last 28 hours are kept apart, since they may have to be asked for again.
        let copies = |grouping: &Grouping| {
            let is_apart = question.window == Window::TwentyEightHours && sent == Sent::Whole;
            if is_apart && !grouping.has(GroupBy::TweetId) { calls.max(1) } else { 1 }
        };
        let of_one_call = question.window.first_slice();
        let part = question
            .groupings
            .iter()
            .map(|grouping| question.bytes_of(grouping, of_one_call, batch));
        let numbers = question.groupings.iter().map(|grouping| {
            question
                .bytes_of(grouping, question.window, held(grouping))
                .saturating_mul(copies(grouping))
        });
        let count =
            question.groupings.iter().map(|grouping| question.count(grouping, of_one_call, batch));
        let count = count.fold(0, usize::saturating_add);
        let text = count.saturating_mul(TEXT_OF_A_NUMBER).saturating_add(TEXT_OF_THE_REST);
        let writing = if count.saturating_mul(TEXT_OF_A_NUMBER) < PIECE { 0 } else { COMPRESSION };
        let notes = calls.saturating_mul(NOTE_OF_A_CALL + 8 * batch) + posts * NOTE_OF_A_POST;
        Size {
            numbers: numbers.fold(0, usize::saturating_add),
            part: part.fold(0, usize::saturating_add),
            text: text.min(limits.upstream_body_bytes),
            wire: text.min(limits.upstream_compressed_bytes),
            rest: PIECE.saturating_add(writing).saturating_add(notes),
            at_once: 0,
            open_posts,
        }
    }

    /// The memory still held once all answers have come, if their numbers take `numbers` bytes.
    pub fn of_finished(&self, numbers: usize) -> usize {
        numbers.saturating_add(self.rest)
    }

    /// The total.
    pub fn bytes(&self) -> usize {
        let in_flight = self.at_once.saturating_mul(self.wire);
        [self.numbers, self.part, self.text, self.rest, in_flight]
            .into_iter()
            .fold(0, usize::saturating_add)
    }
}

impl Question {
    /// What to cut from a question whose answer would have too many numbers.
    pub fn too_many_numbers(&self, sent: Sent, most: u64) -> Option<Detail> {
        let counted = |grouping: &&Grouping| sent == Sent::Whole || !grouping.begins_with_post();
        let count =
            |grouping: &Grouping| self.count(grouping, self.window, self.posts.len()) as u64;
        let groupings: Vec<&Grouping> = self.groupings.iter().filter(counted).collect();
        let numbers = groupings.iter().map(|grouping| count(grouping)).fold(0, u64::saturating_add);
        let largest = groupings
            .into_iter()
            .max_by_key(|grouping| count(grouping))
            .filter(|_| numbers > most)?;
        let asks = format!(
            "asks for up to {numbers} numbers, most of them in the grouping {:?}; limits.question_numbers allows {most} per answer",
            largest.name
        );
        Some(Detail::at("", format!("{asks}: ask for {}", largest.cuts(sent))))
    }

    /// What to cut from a question that would take `bytes` of memory, if there are only `most`.
    pub fn too_large(&self, sent: Sent, bytes: usize, most: usize) -> Detail {
        let count = |grouping: &&Grouping| self.count(grouping, self.window, self.posts.len());
        let cuts = self.groupings.iter().max_by_key(count).map(|grouping| grouping.cuts(sent));
        let asks = format!(
            "may take {bytes} bytes of memory; limits.answer_memory allows {most} for one question"
        );
        Detail::at("", format!("{asks}: ask for {}", cuts.unwrap_or_default()))
    }

    /// The most numbers of a grouping for this many posts. Hours without a day are hours of the day (reference 3.2).
    pub fn count(&self, grouping: &Grouping, window: Window, posts: usize) -> usize {
        let times =
            match (grouping.has(GroupBy::EngagementDay), grouping.has(GroupBy::EngagementHour)) {
                (true, true) => window.hours(),
                (true, false) => window.days(),
                (false, true) => window.hours().min(24),
                (false, false) => 1,
            };
        let posts = if grouping.has(GroupBy::TweetId) { posts } else { 1 };
        let metrics = if grouping.has(GroupBy::EngagementType) { self.metrics.len() } else { 1 };
        posts.saturating_mul(metrics).saturating_mul(small(times))
    }

    fn bytes_of(&self, grouping: &Grouping, window: Window, posts: usize) -> usize {
        let lengths = self.lengths(grouping, window, posts);
        let bytes = most_bytes(&lengths);
        let hour = grouping.group_by.iter().position(|level| *level == GroupBy::EngagementHour);
        let Some(hour) = hour.filter(|_| !grouping.has(GroupBy::EngagementDay)) else {
            return bytes;
        };
        let mut by_day = lengths;
        by_day.insert(hour, small(window.days()));
        bytes.max(most_bytes(&by_day).min(FOR_EITHER_FORM))
    }

    /// How many entries each list has, level by level.
    fn lengths(&self, grouping: &Grouping, window: Window, posts: usize) -> Vec<usize> {
        let (hours, days) = (small(window.hours()), small(window.days()));
        let place = |level| grouping.group_by.iter().position(|other| *other == level);
        let (day, hour) = (place(GroupBy::EngagementDay), place(GroupBy::EngagementHour));
        // The inner of the two has its share of all hours.
        let (days, hours) = match (day, hour) {
            (Some(day), Some(hour)) if day < hour => (days, hours.div_ceil(days)),
            (Some(_), Some(_)) => (hours.div_ceil(24), hours.min(24)),
            _ => (days, hours.min(24)),
        };
        let length = |level: &GroupBy| match level {
            GroupBy::TweetId => posts,
            GroupBy::EngagementType => self.metrics.len(),
            GroupBy::EngagementDay => days,
            GroupBy::EngagementHour => hours,
        };
        grouping.group_by.iter().map(length).collect()
    }
}

impl Grouping {
    /// Ways to make its answer smaller.
    fn cuts(&self, sent: Sent) -> String {
        let cuts = [
            (self.has(GroupBy::TweetId), "fewer tweet_ids"),
            (self.has(GroupBy::EngagementType), "fewer engagement_types"),
            (self.has(GroupBy::EngagementDay), "a shorter window"),
            (self.has(GroupBy::EngagementHour), "a grouping without engagement.hour"),
            (
                sent == Sent::Whole && self.begins_with_post(),
                "the answer as application/x-ndjson, which is streamed",
            ),
        ];
        let cuts: Vec<&str> =
            cuts.iter().filter(|(applies, _)| *applies).map(|(_, cut)| *cut).collect();
        cuts.join(", or ")
    }

    fn has(&self, level: GroupBy) -> bool {
        self.group_by.contains(&level)
    }

    /// Whether each post's numbers stand together.
    pub fn begins_with_post(&self) -> bool {
        self.group_by.first() == Some(&GroupBy::TweetId)
    }
}

impl Window {
    fn hours(self) -> u64 {
        match self {
            Window::Totals => 1,
            Window::TwentyEightHours => RECENT_HOURS,
            Window::Range(span) => span.hours(),
        }
    }

    fn days(self) -> u64 {
        match self {
            Window::Totals => 1,
            Window::TwentyEightHours => RECENT_DAYS,
            Window::Range(span) => span.days(),
        }
    }

    /// The window of its first call, which is as long as any other's.
    fn first_slice(self) -> Window {
        match self {
            Window::Range(Span { start, end }) => {
                Window::Range(Span { start, end: end.min(start + MAX_WINDOW) })
            }
            other => other,
        }
    }
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
