//! A question as `/v1/engagement` takes it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::{GroupBy, Metric};

/// One question of any size.
pub struct Question {
    pub posts: Posts,
    pub metrics: Vec<Metric>,
    pub window: Window,
    /// If empty, the gateway's default grouping applies.
    pub groupings: Vec<Grouping>,
    /// User ids and `@screen_name`s whose tokens may be tried; if empty, those of the key.
    pub accounts: Vec<String>,
    /// The posts to keep; `None` for all.
    pub top: Option<Top>,
}

/// The posts that a question is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Posts {
    /// By their ids or URLs.
    Named(Vec<String>),
    /// The posts of accounts, given by user ids and `@screen_name`s; `last` and `written` are parsed by the gateway.
    Of {
        accounts: Vec<String>,
        /// The most posts of each account: the newest.
        last: Option<usize>,
        /// When they were written: [`Window::Last`] or [`Window::Range`].
        written: Option<Window>,
    },
}

/// The posts with the highest numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Top {
    /// One of the question's engagement types.
    pub by: Metric,
    pub count: usize,
}

/// The period that the numbers cover.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Window {
    Totals,
    TwentyEightHours,
    /// A number of days or hours such as `28d`, parsed by the gateway.
    Last(String),
    /// Dates or times, parsed by the gateway.
    Range {
        start: String,
        end: String,
    },
}

/// One way to nest an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grouping {
    pub name: String,
    pub levels: Vec<GroupBy>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tweet_ids: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posts_of: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Value>,
    engagement_types: Vec<&'static str>,
    window: Value,
    #[serde(skip_serializing_if = "Map::is_empty")]
    groupings: Map<String, Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    accounts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Value>,
}

impl Window {
    fn value(&self) -> Value {
        match self {
            Window::Totals => json!("totals"),
            Window::TwentyEightHours => json!("28hr"),
            Window::Last(last) => json!({ "last": last }),
            Window::Range { start, end } => json!({ "start": start, "end": end }),
        }
    }
}

impl Question {
    pub(in crate::client) fn body(&self) -> Vec<u8> {
        let (tweet_ids, posts_of, last, written) = match &self.posts {
            Posts::Named(ids) => (Some(&**ids), None, None, None),
            Posts::Of { accounts, last, written } => {
                (None, Some(&**accounts), *last, written.as_ref().map(Window::value))
            }
        };
        let grouping = |grouping: &Grouping| {
            let levels: Vec<&str> = grouping.levels.iter().map(|level| level.name()).collect();
            (grouping.name.clone(), json!({ "group_by": levels }))
        };
        let body = Body {
            tweet_ids,
            posts_of,
            last,
            written,
            engagement_types: self.metrics.iter().map(|metric| metric.name()).collect(),
            window: self.window.value(),
            groupings: self.groupings.iter().map(grouping).collect(),
            accounts: &self.accounts,
            top: self.top.map(|top| json!({ "by": top.by.name(), "count": top.count })),
        };
        serde_json::to_vec(&body).expect("text, lists and maps of text are JSON")
    }
}
