//! The contents of the form: as a question, as the form shows it again, and as a command that sends the same.

use serde_json::{Value, json};
use time::{Duration, UtcOffset};

use crate::model::{Metric, post};
use crate::pages::console::explore::view::{Curl, Form, GROUPINGS, QuestionFile};
use crate::web::host::Host;

/// Posts that the form takes: a page with more would be slow to load and hard to read.
const MOST_POSTS: usize = 500;
/// Bytes of ids or addresses that the form shows again.
const MOST_SHOWN: usize = 12_000;
/// Bytes of a question that a command can contain: some hundred ids.
const MOST_IN_COMMAND: usize = 3000;
/// Ids that stand for all in the sample of a question file; texts longer than an id are left out.
const SAMPLE: usize = 3;
/// The range that the form proposes.
const RECENT: Duration = Duration::days(7);

/// A question as a service would send it.
pub(super) struct Question {
    ids: Vec<String>,
    /// The question without its ids.
    rest: Value,
}

/// Reads the form, or fills it in at first: with common engagement types and the last days.
pub(super) fn read(host: &Host, fields: &[(String, String)]) -> Form {
    let first = |name: &str, default: &str| {
        fields.iter().find(|field| field.0 == name).map_or(default, |field| &field.1).to_owned()
    };
    let given = fields.iter().filter(|field| field.0 == "metrics");
    let mut metrics: Vec<Metric> = given.filter_map(|field| Metric::from_name(&field.1)).collect();
    if fields.is_empty() {
        metrics = vec![Metric::Impressions, Metric::Favorites];
    }
    let today = host.clock().now().to_offset(UtcOffset::UTC).date();
    let proposed =
        |date: time::Date| if fields.is_empty() { date.to_string() } else { String::new() };
    Form {
        apps: host.gateway().apps().map(|app| app.0.to_owned()).collect(),
        app: first("app", ""),
        tweets: first("tweets", ""),
        most_posts: MOST_POSTS,
        metrics,
        window: first("window", "totals"),
        start: first("start", &proposed(today - RECENT)),
        end: first("end", &proposed(today)),
        group: first("group", "post"),
    }
}

/// The input as a service would send it. Mistakes in it are reported as to any other caller.
pub(super) fn question(form: &Form) -> Question {
    let words =
        form.tweets.split([' ', ',', ';', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    let ids = words.map(|word| post::id_in(word.trim_end_matches('/')).unwrap_or(word));
    let metrics: Vec<&str> = form.metrics.iter().map(|metric| metric.name()).collect();
    let groupings = || GROUPINGS.iter().flat_map(|section| section.1);
    let group_by = groupings()
        .find(|grouping| grouping.0 == form.group)
        .or(groupings().next())
        .map(|grouping| grouping.2);
    let window = match &*form.window {
        "range" => json!({ "start": form.start, "end": form.end }),
        other => json!(other),
    };
    Question {
        ids: ids.map(str::to_owned).collect(),
        rest: json!({
            "engagement_types": metrics,
            "window": window,
            "groupings": { "explored": { "group_by": group_by } },
        }),
    }
}

impl Question {
    pub(super) fn text(&self) -> String {
        self.with_ids(&self.ids)
    }

    fn with_ids(&self, ids: &[String]) -> String {
        let mut question = self.rest.clone();
        if let Some(fields) = question.as_object_mut() {
            fields.insert("tweet_ids".to_owned(), json!(ids));
        }
        question.to_string()
    }

    /// What to do instead if there are too many posts for a page; other callers may query up to `most`.
    pub(super) fn excess(&self, most: usize) -> Option<String> {
        let count = self.ids.len();
        (count > MOST_POSTS).then(|| {
            format!("This form takes up to {MOST_POSTS} posts, and you entered {count}. Use countersign query or POST /v1/engagement, which take up to {most}.")
        })
    }

    /// The typed text; only the ids if that is too long, and nothing if those are too long as well.
    pub(super) fn shown_again(&self, typed: String) -> String {
        let texts = [typed, self.ids.join("\n")];
        texts.into_iter().find(|text| text.len() <= MOST_SHOWN).unwrap_or_default()
    }

    pub(super) fn curl(&self, url: &str) -> Curl {
        let text = self.text();
        let is_long = text.len() > MOST_IN_COMMAND;
        let data = if is_long {
            "@question.json".to_owned()
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        };
        let command = format!(
            "curl --compressed {url}/v1/engagement \\\n  -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  -d {data}"
        );
        let file = is_long.then(|| {
            let ids = self.ids.iter().filter(|id| id.len() < 20).take(SAMPLE).cloned();
            let ids: Vec<String> = ids.collect();
            QuestionFile { json: self.with_ids(&ids), ids: ids.len(), all_ids: self.ids.len() }
        });
        Curl { command, file }
    }
}
