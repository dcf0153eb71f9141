//! A question as `/v1/engagement` takes it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::{GroupBy, Metric};

/// One question of any size.
pub struct Question {
    pub tweet_ids: Vec<String>,
    pub metrics: Vec<Metric>,
    pub window: Window,
    /// If empty, the gateway's default grouping applies.
    pub groupings: Vec<Grouping>,
    /// User ids and `@screen_name`s whose tokens may be tried; if empty, those of the key.
    pub accounts: Vec<String>,
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
    tweet_ids: &'a [String],
    engagement_types: Vec<&'static str>,
    window: Value,
    #[serde(skip_serializing_if = "Map::is_empty")]
    groupings: Map<String, Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    accounts: &'a [String],
}

impl Question {
    pub(in crate::client) fn body(&self) -> Vec<u8> {
        let window = match &self.window {
            Window::Totals => json!("totals"),
            Window::TwentyEightHours => json!("28hr"),
            Window::Last(last) => json!({ "last": last }),
            Window::Range { start, end } => json!({ "start": start, "end": end }),
        };
        let grouping = |grouping: &Grouping| {
            let levels: Vec<&str> = grouping.levels.iter().map(|level| level.name()).collect();
            (grouping.name.clone(), json!({ "group_by": levels }))
        };
        let body = Body {
            tweet_ids: &self.tweet_ids,
            engagement_types: self.metrics.iter().map(|metric| metric.name()).collect(),
            window,
            groupings: self.groupings.iter().map(grouping).collect(),
            accounts: &self.accounts,
        };
        serde_json::to_vec(&body).expect("text, lists and maps of text are JSON")
    }
}
