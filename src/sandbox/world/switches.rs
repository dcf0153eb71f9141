//! The switches: every point on which the documentation is silent or disagrees with itself (reference 9.2).

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The sandbox's choice on each point that is not publicly known. Names in JSON are the fields' names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches are independent of one another")]
pub struct Switches {
    pub history_floor: HistoryFloor,
    pub hour_without_day: HourWithoutDay,
    pub forbidden_wording: ForbiddenWording,
    /// Whether a partial answer says `N Tweet ID(s) are unavailable` beside the list of ids.
    pub partial_unavailable_errors_key: bool,
    pub echo_end: EchoEnd,
    /// Whether `media_clicks` still names `media_engagements`.
    pub accept_media_clicks_alias: bool,
    /// Whether a signature may include `oauth_body_hash`, which is then checked.
    pub accept_body_hash: bool,
    /// Whether a signature without a token counts as app-only.
    pub two_legged_ok: bool,
    /// Whether clients come by `https` although nothing in their requests says so.
    pub tls_in_front: bool,
    /// Whether totals name a `start` and an `end`.
    pub totals_echo_window: bool,
    /// Whether `Tweet.id` names `tweet.id`.
    pub case_lenient: bool,
    /// Whether `x-rate-limit-*` accompany the documented rate headers.
    pub legacy_rate_headers: bool,
    pub revoked_wording: RevokedWording,
    pub lookup_form: LookupForm,
    /// Calls a minute, for each app, endpoint and kind of credentials.
    pub per_minute: u32,
    /// How many seconds that minute has.
    pub minute_s: NonZeroU32,
    /// Calls a second, counted likewise.
    pub per_second: u32,
    /// Bearer tokens minted a minute, for each app.
    pub mints_per_minute: u32,
    /// Look-ups of posts in 15 minutes, for each app.
    pub lookups_per_15_minutes: u32,
    /// Pages of users' posts listed in 15 minutes, for each app.
    pub post_lists_per_15_minutes: u32,
    /// How far the sandbox's clock is ahead.
    pub clock_offset_s: i64,
    /// Names of apps that X's account manager has not put on the list.
    pub unlisted_apps: Vec<String>,
    /// Names of apps that may not look posts up, or list a user's.
    pub unlisted_lookup_apps: Vec<String>,
    /// Names of apps that X has suspended: whatever they sign is refused with code 416.
    pub suspended_apps: Vec<String>,
    /// The callback URLs in every app's settings, matched exactly. Null, the default: any `http` or `https` URL will
    /// do. Empty: the apps have none, and `oob` is refused like the rest.
    pub callbacks: Option<Vec<String>>,
}

impl Default for Switches {
    fn default() -> Switches {
        Switches {
            history_floor: HistoryFloor::Last365Days,
            hour_without_day: HourWithoutDay::HourOfDay,
            forbidden_wording: ForbiddenWording::Current,
            partial_unavailable_errors_key: false,
            echo_end: EchoEnd::Ceil,
            accept_media_clicks_alias: true,
            accept_body_hash: true,
            two_legged_ok: true,
            tls_in_front: false,
            totals_echo_window: false,
            case_lenient: false,
            legacy_rate_headers: false,
            revoked_wording: RevokedWording::StringFamily,
            lookup_form: LookupForm::Tweet,
            per_minute: 100_000,
            minute_s: NonZeroU32::new(60).expect("60 is not 0"),
            per_second: 10_000,
            mints_per_minute: 1_000,
            lookups_per_15_minutes: 100_000,
            post_lists_per_15_minutes: 100_000,
            clock_offset_s: 0,
            unlisted_apps: Vec::new(),
            unlisted_lookup_apps: Vec::new(),
            suspended_apps: Vec::new(),
            callbacks: None,
        }
    }
}

impl Switches {
    /// These switches with the `changes` applied, or the mistakes: each unknown name or value.
    pub fn with(&self, changes: &Value) -> Result<Switches, String> {
        let Value::Object(changes) = changes else {
            return Err("an object of switches is expected".to_owned());
        };
        let mut merged = self.clone();
        let mut problems = Vec::new();
        for (name, value) in changes {
            match merged.with_one(name, value) {
                Ok(switches) => merged = switches,
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
        }
        if problems.is_empty() { Ok(merged) } else { Err(problems.join("; ")) }
    }

    fn with_one(&self, name: &str, value: &Value) -> Result<Switches, String> {
        let mut switches = match serde_json::to_value(self) {
            Ok(Value::Object(switches)) => switches,
            _ => Map::new(),
        };
        if !switches.contains_key(name) {
            let known: Vec<&str> = switches.keys().map(String::as_str).collect();
            return Err(format!("no such switch; there are {}", known.join(", ")));
        }
        switches.insert(name.to_owned(), value.clone());
        serde_json::from_value(Value::Object(switches)).map_err(|error| error.to_string())
    }
}

/// The oldest `start` that historical serves (reference 1.5).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum HistoryFloor {
    #[serde(rename = "2014-09-01")]
    September2014,
    #[serde(rename = "now-365d")]
    Last365Days,
}

/// What `engagement.hour` means without `engagement.day` (reference 3.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HourWithoutDay {
    /// Hours of the day, summed over the window.
    HourOfDay,
    /// Hours under days, as though the day had been listed before the hour.
    NestedDay,
}

/// How a foreign post is refused (reference 4.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForbiddenWording {
    Current,
    /// The wording of 2015: one text an author.
    PerAuthor,
}

/// The `end` that is echoed for a window up to now (reference 1.6).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoEnd {
    /// The next whole hour.
    Ceil,
    /// The present second.
    Now,
}

/// How a revoked or unknown access token is refused (reference 4.1, 6.6).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedWording {
    /// `Your account could not be authenticated. Reason: Access token not found`.
    StringFamily,
    /// Code 89.
    CodeFamily,
}

/// In which of X's two vocabularies posts are looked up, and where an author stands (reference 8.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupForm {
    /// X's guides: `tweet.fields`, with `author_id` among them.
    Tweet,
    /// X's newest description: `post.fields`, with `author_id` as an expansion alone.
    Post,
    /// The same, and the author's id stands in `includes` alone.
    Includes,
}
