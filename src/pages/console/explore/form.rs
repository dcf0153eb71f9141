//! The contents of the form: as an address and its fields give them, as a question, and as a command that sends the same.

use serde_json::{Value, json};
use time::macros::format_description;
use time::{Date, Duration, UtcOffset};

use crate::gateway::KnownPosts;
use crate::model::{Endpoint, GroupBy, Metric, post};
use crate::pages::console::address::with_query;
use crate::pages::console::explore::view::{Curl, Form, GROUPINGS, QuestionFile};
use crate::web::host::Host;

/// Posts that the form takes: a page with more would be slow to load and hard to read.
const MOST_POSTS: usize = 500;
/// Letters of every other field, more than any of them needs.
const MOST_IN_FIELD: usize = 100;
/// Bytes of ids or addresses that the form shows again.
const MOST_SHOWN: usize = 12_000;
/// Bytes of a question that a command can contain: some hundred ids.
const MOST_IN_COMMAND: usize = 3000;
/// Bytes of a link: many proxies refuse requests whose first line is longer.
const MOST_IN_LINK: usize = 7500;
/// Ids that stand for all in the sample of a question file; texts longer than an id are left out.
const SAMPLE: usize = 3;
/// Mistaken words that a message quotes, and letters of each.
const MOST_QUOTED: usize = 3;
const MOST_LETTERS: usize = 60;
/// The range that the form proposes.
const RECENT: Duration = Duration::days(7);

/// A question as a service would send it.
pub(super) struct Question {
    ids: Vec<String>,
    /// The question without its ids.
    rest: Value,
}

/// Reads the form. What it is not given is filled in: common engagement types, and the last days.
pub(super) fn read(host: &Host, fields: &[(String, String)]) -> Form {
    let given = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| &*field.1);
    let text = |name: &str, default: &str| -> String {
        given(name).unwrap_or(default).trim().chars().take(MOST_IN_FIELD).collect()
    };
    let is_new = given("metrics").is_none() && given("tweets").is_none();
    let metrics = if is_new {
        vec![Metric::Impressions, Metric::Favorites]
    } else {
        let chosen = fields.iter().filter(|field| field.0 == "metrics");
        chosen.filter_map(|field| Metric::from_name(&field.1)).collect()
    };
    let today = host.clock().now().to_offset(UtcOffset::UTC).date();
    let apps: Vec<String> = host.gateway().apps().map(|app| app.0.to_owned()).collect();
    Form {
        app: text("app", apps.first().map_or("", String::as_str)),
        apps,
        account: text("account", ""),
        accounts: Vec::new(),
        tweets: given("tweets").unwrap_or_default().to_owned(),
        about_posts: None,
        most_posts: MOST_POSTS,
        metrics,
        window: text("window", "totals"),
        start: text("start", &(today - RECENT).to_string()),
        end: text("end", &today.to_string()),
        group: text("group", "post"),
        // A heading of the table sends `by` for the order that it stands for.
        sort: text(if given("by").is_some() { "by" } else { "sort" }, ""),
    }
}

impl Form {
    /// Offers these accounts, and fills in the known posts of one unless there are posts already.
    pub(super) fn fill_in(&mut self, known: KnownPosts) {
        self.accounts = known.accounts.into_iter().map(|account| account.screen_name).collect();
        if self.words().next().is_some() {
            return;
        }
        self.about_posts = Some(match known.account {
            Some(account) if known.posts.is_empty() => {
                format!("No posts by @{} are known yet. Enter some.", account.screen_name)
            }
            Some(account) => {
                self.account = format!("@{}", account.screen_name);
                let ids: Vec<String> = known.posts.iter().map(ToString::to_string).collect();
                self.tweets = ids.join("\n");
                format!("The newest posts by {} that the gateway knows.", self.account)
            }
            None if self.account.is_empty() => {
                "No posts by connected accounts are known yet. Enter some.".to_owned()
            }
            None => format!(
                "No account {} is connected. Enter posts, or another account.",
                self.account
            ),
        });
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.tweets.split([' ', ',', ';', '\n', '\r', '\t']).filter(|word| !word.is_empty())
    }

    fn group_by(&self) -> &'static [&'static str] {
        let groupings = || GROUPINGS.iter().flat_map(|section| section.1);
        let chosen = groupings().find(|grouping| grouping.0 == self.group);
        chosen.or(groupings().next()).map_or(&[], |grouping| grouping.2)
    }

    fn endpoint(&self) -> Endpoint {
        match &*self.window {
            "28hr" => Endpoint::TwentyEightHours,
            "range" => Endpoint::Historical,
            _ => Endpoint::Totals,
        }
    }

    /// The input as a service would send it.
    pub(super) fn question(&self) -> Question {
        let ids = self.words().map(|word| id_in(word).unwrap_or(word).to_owned());
        let metrics: Vec<&str> = self.metrics.iter().map(|metric| metric.name()).collect();
        let window = match self.endpoint() {
            Endpoint::Historical => json!({ "start": self.start, "end": self.end }),
            other => json!(other.name()),
        };
        Question {
            ids: ids.collect(),
            rest: json!({
                "engagement_types": metrics,
                "window": window,
                "groupings": { "explored": { "group_by": self.group_by() } },
            }),
        }
    }

    /// What is wrong with the input, a sentence for each mistake that the form itself can tell.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let checks = [self.wrong_posts(), self.wrong_metrics(), self.wrong_range(), self.no_days()];
        checks.into_iter().flatten().collect()
    }

    fn wrong_posts(&self) -> Option<String> {
        let wrong: Vec<&str> = self.words().filter(|word| id_in(word).is_none()).collect();
        let advice =
            "Enter ids of posts, or their addresses, such as https://x.com/alice/status/1234567890";
        if wrong.is_empty() {
            return self.words().next().is_none().then(|| format!("No post is entered. {advice}."));
        }
        let quote =
            |word: &&str| format!("“{}”", word.chars().take(MOST_LETTERS).collect::<String>());
        let quoted = wrong.iter().take(MOST_QUOTED).map(quote).collect::<Vec<_>>().join(", ");
        let more = match wrong.len().saturating_sub(MOST_QUOTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let verb = if wrong.len() == 1 { "is not a post" } else { "are not posts" };
        Some(format!("{quoted}{more} {verb}. {advice}."))
    }

    fn wrong_metrics(&self) -> Option<String> {
        if self.metrics.is_empty() {
            return Some("Select at least one engagement type.".to_owned());
        }
        let endpoint = self.endpoint();
        let foreign = self.metrics.iter().filter(|metric| !metric.is_served_by(endpoint));
        let names: Vec<&str> = foreign.map(|metric| metric.name()).collect();
        let (period, advice) = match endpoint {
            Endpoint::Totals => {
                ("for all time", "choose the last 28 hours or a range of days, or leave it out")
            }
            Endpoint::TwentyEightHours => ("for the last 28 hours", "leave it out"),
            Endpoint::Historical => ("for a range of days", "leave it out"),
        };
        (!names.is_empty())
            .then(|| format!("X has no {} {period}: {advice}.", names.join(" and no ")))
    }

    fn wrong_range(&self) -> Option<String> {
        if self.endpoint() != Endpoint::Historical {
            return None;
        }
        let day = |text: &str| Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
        match (day(&self.start), day(&self.end)) {
            (Some(start), Some(end)) if end <= start => {
                let words = "The range has no days: “until” is the day after its last.";
                Some(words.to_owned())
            }
            (Some(_), Some(_)) => None,
            _ => Some("Choose the first day of the range, and the day after its last.".to_owned()),
        }
    }

    fn no_days(&self) -> Option<String> {
        let has_days = self.group_by().contains(&GroupBy::EngagementDay.name());
        (has_days && !self.endpoint().has_time_series())
            .then(|| "A total has no days: choose the last 28 hours or a range of days.".to_owned())
    }

    /// The address at which the form is filled in like this, if it is not too long to be passed on.
    pub(super) fn address(&self) -> Option<String> {
        let ids: Vec<&str> = self.words().map(|word| id_in(word).unwrap_or(word)).collect();
        let (ids, app) = (ids.join(" "), if self.apps.len() > 1 { &*self.app } else { "" });
        let (start, end) = match self.endpoint() {
            Endpoint::Historical => (&*self.start, &*self.end),
            Endpoint::Totals | Endpoint::TwentyEightHours => ("", ""),
        };
        // Without posts, the address stands for the newest ones of the account.
        let account = if ids.is_empty() { &*self.account } else { "" };
        let mut fields = vec![("app", app), ("account", account), ("tweets", &*ids)];
        fields.extend(self.metrics.iter().map(|metric| ("metrics", metric.name())));
        fields.extend([("window", &*self.window), ("start", start), ("end", end)]);
        fields.extend([("group", &*self.group), ("sort", &*self.sort)]);
        Some(with_query("/console/explore", &fields)).filter(|text| text.len() <= MOST_IN_LINK)
    }
}

/// The id in a word: itself, or that of a post's address.
fn id_in(word: &str) -> Option<&str> {
    post::id_in(word.trim_end_matches('/'))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn form(tweets: &str, window: &str, group: &str, metrics: &[Metric]) -> Form {
        Form {
            apps: vec!["demo".to_owned()],
            app: "demo".to_owned(),
            account: String::new(),
            accounts: Vec::new(),
            tweets: tweets.to_owned(),
            about_posts: None,
            most_posts: MOST_POSTS,
            metrics: metrics.to_vec(),
            window: window.to_owned(),
            start: "2026-03-01".to_owned(),
            end: "2026-03-05".to_owned(),
            group: group.to_owned(),
            sort: String::new(),
        }
    }

    #[test]
    fn each_address_of_a_post_stands_for_its_id() {
        for text in [
            "1234567890",
            "https://x.com/alice/status/1234567890",
            "http://x.com/alice/status/1234567890/",
            "x.com/alice/status/1234567890",
            "https://www.x.com/alice/status/1234567890",
            "https://twitter.com/alice/status/1234567890?s=20&t=abc",
            "https://mobile.twitter.com/alice/status/1234567890#m",
            "https://mobile.x.com/alice/status/1234567890",
            "https://x.com/alice/status/1234567890/photo/1",
            "https://x.com/alice/status/1234567890/photo/1?s=46",
            "https://x.com/i/web/status/1234567890",
            "https://x.com/i/status/1234567890",
        ] {
            let form = form(text, "totals", "post", &[Metric::Favorites]);
            assert_eq!(form.question().ids, ["1234567890"], "{text}");
            assert_eq!(form.mistakes(), [""; 0], "{text}");
        }
    }

    #[test]
    fn each_mistake_is_said_in_words_without_json() {
        let (likes, clicks) = ([Metric::Favorites], [Metric::HashtagClicks]);
        for (form, expected) in [
            (form("", "totals", "post", &likes), "No post is entered. Enter ids of posts"),
            (
                form("https://x.com/alice", "totals", "post", &likes),
                "“https://x.com/alice” is not a post. Enter ids of posts, or their addresses, such as",
            ),
            (
                form("a b c d 20", "totals", "post", &likes),
                "“a”, “b”, “c” and 1 more are not posts.",
            ),
            (form("20", "totals", "post", &[]), "Select at least one engagement type."),
            (form("20", "totals", "day", &likes), "A total has no days: choose"),
            (form("20", "totals", "post_hour", &likes), "A total has no days: choose"),
            (
                form("20", "totals", "post", &clicks),
                "X has no hashtag_clicks for all time: choose the last 28 hours or a range of days",
            ),
            (
                Form { end: "2026-03-01".to_owned(), ..form("20", "range", "day", &likes) },
                "The range has no days: “until” is the day after its last.",
            ),
            (
                Form { start: String::new(), ..form("20", "range", "day", &likes) },
                "Choose the first day of the range",
            ),
        ] {
            let said = form.mistakes().join(" ");
            assert!(said.starts_with(expected), "{said}");
        }
        assert_eq!(form("20", "range", "day", &likes).mistakes(), [""; 0]);
    }

    #[test]
    fn the_address_holds_all_of_the_form_and_only_if_it_is_short() {
        let typed = "20, https://x.com/jack/status/21";
        let form = Form {
            sort: "-favorites".to_owned(),
            ..form(typed, "range", "day", &[Metric::Favorites, Metric::Impressions])
        };
        let expected = "/console/explore?tweets=20+21&metrics=favorites&metrics=impressions&window=range&start=2026-03-01&end=2026-03-05&group=day&sort=-favorites";
        assert_eq!(form.address().as_deref(), Some(expected));
        let many = Form { tweets: vec!["1234567890123456789"; 400].join(" "), ..form };
        assert_eq!(many.address(), None);
    }
}
