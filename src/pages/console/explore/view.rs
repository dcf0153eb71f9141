//! Exploring: a question as a form, its plan, and its answer as charts and as a table.

use askama::Template;

use crate::model::Metric;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::{filters, text};

/// A way of grouping results: its name in the form, its title, and its levels.
type Grouping = (&'static str, &'static str, &'static [&'static str]);

/// The ways of grouping, each under what it is good for.
pub const GROUPINGS: [(&str, &[Grouping]); 2] = [
    (
        "Totals for the whole period",
        &[
            ("post", "each post", &["tweet.id", "engagement.type"]),
            ("all", "all posts together", &["engagement.type"]),
        ],
    ),
    (
        "Over time (last 28 hours or a range of days)",
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

/// The contents of the form.
pub struct Form {
    /// The configured apps.
    pub apps: Vec<String>,
    pub app: String,
    /// Whose newest posts to fill in, by screen name or user id.
    pub account: String,
    /// The screen names to choose from, which need not be all.
    pub accounts: Vec<String>,
    /// Empty where it is too long to be shown again.
    pub tweets: String,
    /// Which posts were filled in, or why none were, in a sentence.
    pub about_posts: Option<String>,
    /// How many posts the form takes.
    pub most_posts: usize,
    pub metrics: Vec<Metric>,
    /// `totals`, `28hr` or `range`.
    pub window: String,
    pub start: String,
    pub end: String,
    /// One of those in [`GROUPINGS`].
    pub group: String,
    /// The column by which the results are sorted, with `-` before it for the largest first; empty for none.
    pub sort: String,
}

/// The result of sending the form.
pub enum FormResult {
    NotSent,
    /// The mistakes, in sentences.
    Failed(Vec<String>),
    Planned {
        cost: String,
        report: Report,
    },
    Answered(Answer),
}

/// An answer.
pub struct Answer {
    pub table: Table,
    /// How old the oldest of its numbers is, in words; empty if X was asked for all of them.
    pub age: String,
    pub report: Report,
}

/// An answer as a table.
pub struct Table {
    pub headings: Vec<Heading>,
    /// How many columns come before those of numbers.
    pub keys: usize,
    pub rows: Vec<Row>,
    /// All rows, and those of them that are not shown.
    pub count: usize,
    pub more: usize,
    /// The sums of all rows, by column of numbers.
    pub sums: Vec<Option<i64>>,
}

/// The heading of a column.
pub struct Heading {
    pub title: String,
    pub is_number: bool,
    /// `ascending` or `descending` if rows are sorted by it.
    pub order: Option<&'static str>,
    /// The order that it leads to.
    pub next: String,
}

/// A row of an answer.
pub struct Row {
    /// The post's id, if the answer tells posts apart.
    pub post: Option<String>,
    /// When it was published; empty if its id does not say.
    pub published: String,
    /// The day and the hour, as far as the answer tells these apart.
    pub times: Vec<String>,
    pub numbers: Vec<Option<i64>>,
}

/// The pictures of an answer, above its table.
#[derive(Default)]
pub struct Charts {
    /// Each chart as HTML.
    pub drawn: Vec<String>,
    pub are_over_time: bool,
    /// Notes on what is not drawn, or drawn differently, in sentences.
    pub notes: Vec<String>,
}

/// The calls of a plan or an answer, and the results that are missing from it.
pub struct Report {
    pub calls: Vec<Call>,
    /// Calls that are not shown.
    pub more_calls: usize,
    pub missing: Vec<MissingPosts>,
    /// Reasons that are not shown.
    pub more_missing: usize,
    /// What of the question was read otherwise than it was written, in sentences.
    pub notes: Vec<String>,
}

/// A call that was or would be made.
pub struct Call {
    pub endpoint: &'static str,
    pub auth: &'static str,
    pub account: String,
    pub posts: usize,
    pub time: String,
    /// The status of the answer; empty for a call that was not made.
    pub status: String,
    pub ms: String,
}

/// Missing results, and why.
pub struct MissingPosts {
    pub posts: Vec<String>,
    pub why: &'static str,
    /// The reason as reported to callers.
    pub reason: &'static str,
    pub detail: String,
}

/// The same question from a shell.
pub struct Curl {
    pub command: String,
    pub file: Option<QuestionFile>,
}

/// The file that the command sends, if the question is too long for the command itself.
pub struct QuestionFile {
    /// The question with some of the ids.
    pub json: String,
    pub ids: usize,
    pub all_ids: usize,
}

#[derive(Template)]
#[template(path = "pages/console/explore/explore.html", config = ".askama.toml")]
struct ExplorePage<'a> {
    chrome: &'a Chrome<'a>,
    form: &'a Form,
    result: &'a FormResult,
    charts: &'a Charts,
    sent: Option<&'a Sent>,
}

/// What is shown of a form that was sent.
pub struct Sent {
    /// The address at which the form is filled in like this, if it is not too long.
    pub address: Option<String>,
    pub curl: Curl,
}

/// The form and its result.
pub fn show(
    chrome: &Chrome<'_>,
    form: &Form,
    result: &FormResult,
    charts: &Charts,
    sent: Option<&Sent>,
) -> String {
    text(&ExplorePage { chrome, form, result, charts, sent })
}

impl Form {
    /// The fields that stay as they are when an account's posts are filled in.
    fn kept(&self) -> Vec<(&'static str, &str)> {
        let metrics = self.metrics.iter().map(|metric| ("metrics", metric.name()));
        let others = [
            ("app", &*self.app),
            ("window", &*self.window),
            ("start", &*self.start),
            ("end", &*self.end),
            ("group", &*self.group),
            ("sort", &*self.sort),
        ];
        metrics.chain(others).filter(|field| !field.1.is_empty()).collect()
    }

    fn has(&self, metric: Metric) -> bool {
        self.metrics.contains(&metric)
    }
}

/// Engagement types, grouped by whose posts and which periods they are available for.
fn groups() -> [(&'static str, Vec<Metric>); 3] {
    let of = |fits: fn(&Metric) -> bool| Metric::ALL.into_iter().filter(fits).collect();
    [
        ("Public: any posts, for all time", of(|metric| metric.is_public())),
        ("Private: posts by connected users", of(|metric| metric.is_private_on_totals())),
        (
            "Private: for the last 28 hours and ranges of days only",
            of(|metric| !metric.is_public() && !metric.is_private_on_totals()),
        ),
    ]
}

impl MissingPosts {
    /// Some of the posts, and how many more there are.
    fn shown(&self) -> String {
        let more = self.posts.len().saturating_sub(10);
        let shown = self.posts.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    }
}
