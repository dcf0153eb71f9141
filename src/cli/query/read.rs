//! Reading the question from the options, so that a typo is reported before anything is sent.

use std::fs;
use std::io::Read;
use std::time::Duration;

use anyhow::anyhow;

use crate::cli::failure::Failure;
use crate::cli::output::plain;
use crate::cli::query::arguments::Arguments;
use crate::client::{Grouping, Posts, Question, Top, Window};
use crate::model::suggestion::nearest;
use crate::model::{AccountRef, GroupBy, Metric, post};

const SHOWN_MISTAKES: usize = 10;
/// Too short to reveal a key that somebody has pasted in the wrong place.
const SHOWN_TEXT: usize = 16;

/// The question and its deadline.
pub(super) struct Request {
    pub(super) question: Question,
    pub(super) deadline: Option<Duration>,
}

/// Reads the options; the error lists everything that is wrong with them.
pub(super) fn request(arguments: &Arguments) -> Result<Request, Failure> {
    let mut mistakes = Vec::new();
    let question = Question {
        posts: posts(arguments, &mut mistakes),
        metrics: metrics("--metrics", &arguments.metrics, &mut mistakes),
        window: window(&arguments.window, &mut mistakes),
        groupings: groupings(&arguments.group_by, &mut mistakes),
        accounts: accounts("--accounts", &arguments.accounts, &mut mistakes),
        top: arguments.top.as_deref().and_then(|text| top(text, &mut mistakes)),
    };
    let deadline = arguments.deadline.as_deref().and_then(|text| deadline(text, &mut mistakes));
    if mistakes.is_empty() {
        return Ok(Request { question, deadline });
    }
    let more = mistakes.len().saturating_sub(SHOWN_MISTAKES);
    mistakes.truncate(SHOWN_MISTAKES);
    if more > 0 {
        mistakes.push(format!("and {more} more"));
    }
    Err(Failure::general(anyhow!("{}", mistakes.join("\n"))))
}

fn posts(arguments: &Arguments, mistakes: &mut Vec<String>) -> Posts {
    if arguments.posts_of.is_empty() {
        return Posts::Named(tweet_ids(&arguments.tweets, mistakes));
    }
    if arguments.last.is_none() && arguments.written.is_none() {
        mistakes.push("--posts-of: needs --last, such as 200, or --written, such as 7d".to_owned());
    }
    let written = arguments.written.as_deref().and_then(|text| {
        let period = period(text);
        if period.is_none() {
            let right = "must be START..END such as 2026-01-01..2026-01-31, or the last days or hours such as 7d or 36h";
            mistakes.push(format!("--written: {right}, not {}", quoted(text)));
        }
        period
    });
    let accounts = accounts("--posts-of", &arguments.posts_of, mistakes);
    Posts::Of { accounts, last: arguments.last, written }
}

/// Reads `impressions:10`.
fn top(text: &str, mistakes: &mut Vec<String>) -> Option<Top> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    let by = metrics("--top", &[name.to_owned()], mistakes).first().copied();
    let count = count.parse().ok().filter(|count| *count > 0);
    if count.is_none() {
        let right = "must be a metric and how many posts, such as impressions:10";
        mistakes.push(format!("--top: {right}, not {}", quoted(text)));
    }
    Some(Top { by: by?, count: count? })
}

fn tweet_ids(given: &[String], mistakes: &mut Vec<String>) -> Vec<String> {
    let (mut ids, before) = (Vec::new(), mistakes.len());
    for word in given {
        let (place, text) = match source(word) {
            Ok(source) => source,
            Err(mistake) => {
                mistakes.push(format!("--tweets: {mistake}"));
                continue;
            }
        };
        for (number, line) in (1..).zip(text.lines()) {
            for item in items(line) {
                let mistake = || {
                    let place = place
                        .as_ref()
                        .map_or(String::new(), |place| format!("{place}, line {number}: "));
                    format!("--tweets: {place}{} is neither a post id nor a post URL", quoted(item))
                };
                match post::id_in(item) {
                    Some(id) => ids.push(id.to_owned()),
                    None => mistakes.push(mistake()),
                }
            }
        }
    }
    if ids.is_empty() && mistakes.len() == before {
        mistakes.push("--tweets: no posts given".to_owned());
    }
    ids
}

/// The text that holds ids, and where it comes from, unless that is the command line itself.
fn source(word: &str) -> Result<(Option<String>, String), String> {
    let (place, text) = match word.strip_prefix('@') {
        Some(path) => (path, fs::read_to_string(path)),
        None if word == "-" => {
            let mut text = String::new();
            ("standard input", std::io::stdin().read_to_string(&mut text).map(|_| text))
        }
        None => return Ok((None, word.to_owned())),
    };
    let place = plain(place);
    match text {
        Ok(text) => Ok((Some(place), text)),
        Err(error) => Err(format!("cannot read {place}: {error}")),
    }
}

/// The items between commas and white space. Some programs begin a file with a byte order mark, which is skipped.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == '\u{feff}' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

fn metrics(option: &str, given: &[String], mistakes: &mut Vec<String>) -> Vec<Metric> {
    let (mut metrics, before) = (Vec::new(), mistakes.len());
    for name in given.iter().flat_map(|text| items(text)) {
        if let Some(metric) = Metric::from_name(name) {
            metrics.push(metric);
        } else {
            let meant = Metric::meant_by(name).map(Metric::name);
            let hint = hint(meant, &Metric::ALL.map(Metric::name));
            mistakes.push(format!("{option}: {} is not an engagement type; {hint}", quoted(name)));
        }
    }
    if metrics.is_empty() && mistakes.len() == before {
        mistakes.push(format!("{option}: no engagement types given"));
    }
    metrics
}

fn window(text: &str, mistakes: &mut Vec<String>) -> Window {
    match text {
        "totals" => Window::Totals,
        "28hr" => Window::TwentyEightHours,
        _ => period(text).unwrap_or_else(|| {
            let right = "must be totals, 28hr, START..END such as 2026-01-01..2026-01-31, or the last days or hours such as 28d or 36h";
            mistakes.push(format!("--window: {right}, not {}", quoted(text)));
            Window::Totals
        }),
    }
}

/// Reads `START..END`, `28d` or `36h`.
fn period(text: &str) -> Option<Window> {
    let is_last = |digits: &str| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    if text.strip_suffix(['d', 'h']).is_some_and(is_last) {
        return Some(Window::Last(text.to_owned()));
    }
    let (start, end) = text.split_once("..")?;
    let is_range = !start.is_empty() && !end.is_empty();
    is_range.then(|| Window::Range { start: start.to_owned(), end: end.to_owned() })
}

fn groupings(given: &[String], mistakes: &mut Vec<String>) -> Vec<Grouping> {
    let mut groupings: Vec<Grouping> = Vec::new();
    for text in given {
        let (name, levels) = text.split_once('=').unwrap_or(("", text));
        let levels: Vec<GroupBy> = items(levels).filter_map(|name| level(name, mistakes)).collect();
        let name = if name.is_empty() { name_of(&levels) } else { name.to_owned() };
        if groupings.iter().any(|grouping| grouping.name == name) {
            mistakes.push(format!("--group-by: two groupings are named {}", quoted(&name)));
        }
        groupings.push(Grouping { name, levels });
    }
    groupings
}

fn level(text: &str, mistakes: &mut Vec<String>) -> Option<GroupBy> {
    let level = GroupBy::from_name(text);
    if level.is_none() {
        let known = GroupBy::ALL.map(GroupBy::name);
        let hint = hint(nearest(text, known), &known);
        mistakes.push(format!("--group-by: {} is not a grouping level; {hint}", quoted(text)));
    }
    level
}

/// `by_tweet_type` for `tweet.id` and `engagement.type`.
fn name_of(levels: &[GroupBy]) -> String {
    let word = |level: &GroupBy| match level {
        GroupBy::TweetId => "_tweet",
        GroupBy::EngagementType => "_type",
        GroupBy::EngagementDay => "_day",
        GroupBy::EngagementHour => "_hour",
    };
    format!("by{}", levels.iter().map(word).collect::<String>())
}

fn accounts(option: &str, given: &[String], mistakes: &mut Vec<String>) -> Vec<String> {
    let mut accounts = Vec::new();
    for text in given.iter().flat_map(|text| items(text)) {
        if AccountRef::parse(text).is_none() {
            let right = "must be a user id of 1 to 19 digits or @screen_name";
            mistakes.push(format!("{option}: {right}, not {}", quoted(text)));
        }
        accounts.push(text.to_owned());
    }
    accounts
}

fn deadline(text: &str, mistakes: &mut Vec<String>) -> Option<Duration> {
    let deadline = humantime::parse_duration(text).ok().filter(|deadline| !deadline.is_zero());
    if deadline.is_none() {
        let right = "must be a duration above zero such as 20s";
        mistakes.push(format!("--deadline: {right}, not {}", quoted(text)));
    }
    deadline
}

/// The name that was probably meant, or all of them.
fn hint(meant: Option<&str>, known: &[&str]) -> String {
    match meant {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_TEXT).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", plain(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grouping_without_a_name_is_named_by_its_levels() {
        let mut mistakes = Vec::new();
        let read = groupings(
            &["tweet.id,engagement.type".to_owned(), "days=engagement.day".to_owned()],
            &mut mistakes,
        );
        let names: Vec<&str> = read.iter().map(|grouping| &*grouping.name).collect();
        assert_eq!((names, mistakes.len()), (vec!["by_tweet_type", "days"], 0));
    }
}
