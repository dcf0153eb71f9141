//! Exploring: a question as a form, its plan, and its answer as charts and as a table.

use askama::Template;

use crate::model::Metric;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::{filters, text};

/// How results may be grouped: what the form calls it, in words, and its levels.
type Grouping = (&'static str, &'static str, &'static [&'static str]);

/// The ways of grouping, beneath what they are good for.
pub const GROUPINGS: [(&str, &[Grouping]); 2] = [
    (
        "Sums over the whole time",
        &[
            ("post", "each post", &["tweet.id", "engagement.type"]),
            ("all", "all posts together", &["engagement.type"]),
        ],
    ),
    (
        "Over time: of the last 28 hours, or a range of days",
        &[
            ("day", "each day", &["engagement.day", "engagement.type"]),
            ("hour", "each hour", &["engagement.day", "engagement.hour", "engagement.type"]),
            ("post_day", "each post and day", &["tweet.id", "engagement.day", "engagement.type"]),
            (
                "post_hour",
                "each post and hour",
                &["tweet.id", "engagement.type", "engagement.day", "engagement.hour"],
            ),
        ],
    ),
];

/// What stands in the form.
pub struct Typed {
    /// That are configured.
    pub apps: Vec<String>,
    pub app: String,
    /// Empty where it is too long to be shown again.
    pub tweets: String,
    /// Posts that the form takes.
    pub most_posts: usize,
    pub metrics: Vec<Metric>,
    /// `totals`, `28hr` or `range`.
    pub window: String,
    pub start: String,
    pub end: String,
    /// One of those in [`GROUPINGS`].
    pub group: String,
}

/// What came of it.
pub enum Asked {
    Nothing,
    /// What is wrong, in words.
    Wrong(String),
    Planned {
        cost: String,
        took: Took,
    },
    Answered(Answer),
}

/// An answer as a table.
pub struct Answer {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Rows that are not shown.
    pub more: usize,
    pub took: Took,
}

/// The pictures of an answer, above its table.
#[derive(Default)]
pub struct Charts {
    /// Each as HTML.
    pub drawn: Vec<String>,
    pub are_over_time: bool,
    /// What is not drawn, or otherwise than asked for, in sentences.
    pub told: Vec<String>,
}

/// The calls, and what they do not bring.
pub struct Took {
    pub calls: Vec<Call>,
    /// Calls that are not shown.
    pub more_calls: usize,
    pub missing: Vec<Lack>,
    /// Reasons that are not shown.
    pub more_missing: usize,
}

/// A call that was or would be made.
pub struct Call {
    pub endpoint: &'static str,
    pub auth: &'static str,
    pub account: String,
    pub posts: usize,
    pub time: String,
    /// Of the answer; empty for one that was not made.
    pub status: String,
    pub ms: String,
}

/// What could not be had.
pub struct Lack {
    pub posts: Vec<String>,
    pub why: &'static str,
    /// The same as a caller is told.
    pub reason: &'static str,
    pub detail: String,
}

/// The same question from a shell.
pub struct Curl {
    pub command: String,
    pub file: Option<QuestionFile>,
}

/// What the command sends, where that is too long to be typed.
pub struct QuestionFile {
    /// With some of the ids.
    pub json: String,
    pub ids: usize,
    pub all_ids: usize,
}

#[derive(Template)]
#[template(path = "pages/console/explore/explore.html", config = ".askama.toml")]
struct ExplorePage<'a> {
    chrome: &'a Chrome<'a>,
    typed: &'a Typed,
    asked: &'a Asked,
    charts: &'a Charts,
    curl: Option<&'a Curl>,
}

/// The form, what came of it, and the `curl` that does the same.
pub fn show(
    chrome: &Chrome<'_>,
    typed: &Typed,
    asked: &Asked,
    charts: &Charts,
    curl: Option<&Curl>,
) -> String {
    text(&ExplorePage { chrome, typed, asked, charts, curl })
}

impl Typed {
    fn has(&self, metric: Metric) -> bool {
        self.metrics.contains(&metric)
    }
}

/// Engagement types by whose posts they can be asked of, and when.
fn groups() -> [(&'static str, Vec<Metric>); 3] {
    let of = |fits: fn(&Metric) -> bool| Metric::ALL.into_iter().filter(fits).collect();
    [
        ("Public: of anybody's posts, for all time", of(|it| it.is_public())),
        ("Private: of connected users' posts", of(|it| it.is_private_on_totals())),
        (
            "Private, for the last 28 hours and ranges of days only",
            of(|it| !it.is_public() && !it.is_private_on_totals()),
        ),
    ]
}

impl Lack {
    /// Some of them, and how many more there are.
    fn shown(&self) -> String {
        let more = self.posts.len().saturating_sub(10);
        let shown = self.posts.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    }
}
