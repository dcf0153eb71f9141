//! The gateway's report in words: what is missing from an answer, and what is wrong with a question.

use std::fmt::Write;

use anyhow::anyhow;

use crate::cli::failure::Failure;
use crate::cli::output::{self, plain};
use crate::client::{self, Missing, Mistake, Problem};

const SHOWN_PARTS: usize = 20;
const SHOWN_POSTS: usize = 5;

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        let may_pass = error.may_pass();
        let error = match error {
            client::Error::Refused(problem) => anyhow!(refusal(&problem)),
            error => error.into(),
        };
        if may_pass { Failure::unavailable(error) } else { Failure::general(error) }
    }
}

/// A line for each missing part: the reason, how many posts, and the first few of them.
pub(super) fn lines(missing: &[Missing]) -> String {
    let mut lines: Vec<String> = missing.iter().take(SHOWN_PARTS).map(line).collect();
    if let Some(more) = missing.get(SHOWN_PARTS..).filter(|parts| !parts.is_empty()) {
        let posts = more.iter().map(Missing::posts).sum();
        lines.push(format!("  and {} more", output::count(posts, "post", "posts")));
    }
    lines.join("\n")
}

fn line(part: &Missing) -> String {
    let mut line = format!("  {}", plain(&part.reason));
    if part.posts() > 0 {
        let _ = write!(line, ", {}", output::count(part.posts(), "post", "posts"));
    }
    if !part.tweet_ids.is_empty() {
        let shown: Vec<&str> =
            part.tweet_ids.iter().take(SHOWN_POSTS).map(String::as_str).collect();
        let _ = write!(line, ": {}", plain(&shown.join(", ")));
        let more = part.tweet_ids.len().saturating_sub(SHOWN_POSTS);
        if more > 0 {
            let _ = write!(line, " and {more} more");
        }
    }
    if !part.engagement_types.is_empty() {
        let _ = write!(line, "; without {}", plain(&part.engagement_types.join(", ")));
    }
    if !part.detail.is_empty() {
        let _ = write!(line, "; {}", plain(&part.detail));
    }
    line
}

/// The gateway's refusal: each mistake with its place, and the request id by which operators find it in the logs.
fn refusal(problem: &Problem) -> String {
    let mut text = plain(&problem.title);
    let mistakes: Vec<String> = problem.problems.iter().map(mistake).collect();
    if mistakes.is_empty() && problem.missing.is_empty() {
        let _ = write!(text, ": {}", plain(&problem.detail));
    }
    if problem.status == 401 {
        text += "; COUNTERSIGN_KEY must be a key that this gateway issued and that is neither revoked nor expired";
    }
    let missing = lines(&problem.missing);
    let parts = mistakes.into_iter().chain((!missing.is_empty()).then_some(missing));
    for part in parts {
        let _ = write!(text, "\n{part}");
    }
    let _ = write!(text, "\nrequest id {}", plain(&problem.request_id));
    text
}

fn mistake(mistake: &Mistake) -> String {
    let place = match (&mistake.pointer, &mistake.header) {
        (Some(pointer), _) if pointer.is_empty() => "the body",
        (Some(pointer), _) => pointer,
        (None, Some(header)) => header,
        (None, None) => "the request",
    };
    format!("  {}: {}", plain(place), plain(&mistake.detail))
}
