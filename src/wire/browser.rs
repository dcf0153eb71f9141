//! Tokens for browsers in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::macros::format_description;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder};

use crate::gateway::{self, Detail};
use crate::model::key::Key;
use crate::model::{Endpoint, Origin};
use crate::wire::schema::{self, Date, Duration, EngagementType, PostRef, Time, described, one_of};
use crate::wire::time::rfc3339;

/// What a page may ask: it may leave parts out, which then come from here, or narrow them.
#[derive(ToSchema)]
#[schema(as = TokenQuestion)]
#[expect(dead_code, reason = "it only describes what the gateway reads by hand")]
struct TokenQuestion {
    /// The only posts; required unless `author` is given.
    #[schema(value_type = Option<Vec<PostRef>>, min_items = 1)]
    tweet_ids: (),
    /// A connected account: all of its posts, of which the page names those that it asks about.
    #[schema(value_type = Option<schema::UserId>)]
    author: (),
    /// The only types; those that the page names by default.
    #[schema(value_type = Option<Vec<EngagementType>>)]
    engagement_types: (),
    /// The only windows, and any part of them; the first is that of a page which names none. Any by default.
    #[schema(value_type = Option<Vec<TokenWindow>>)]
    windows: (),
    /// The only ways to nest results, by names of your own; any by default.
    #[schema(value_type = Option<TokenGroupings>)]
    groupings: (),
}

described! {
    TokenWindow: OneOfBuilder::new()
        .description(Some("A window as in `Question`. `{\"last\": \"28d\"}` moves on with the time."))
        .item(one_of("", [Endpoint::Totals, Endpoint::TwentyEightHours].map(Endpoint::name)))
        .item(Ref::from_schema_name("TimeRange"))
        .item(Ref::from_schema_name("LastHours"))
        .build();
    TokenGroupings: ObjectBuilder::new()
        .description(Some("Up to 3 groupings by their names."))
        .additional_properties(Some(Ref::from_schema_name("Grouping")))
        .build();
}

/// A token for pages to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    #[schema(value_type = TokenQuestion)]
    pub question: Box<RawValue>,
    /// Your own name for whoever holds it, by which it can be withdrawn; it is in logs.
    #[schema(min_length = 1, max_length = 100)]
    pub subject: Option<String>,
    /// Origins of the pages that may use it, of those that the key has; all of these by default.
    #[schema(value_type = Option<Vec<schema::Origin>>)]
    pub origins: Option<Vec<String>>,
    /// Its lifetime, from `1s` to `1h`; `10m` by default.
    #[schema(value_type = Option<Duration>)]
    pub expires_in: Option<Value>,
    /// How old numbers may be that were kept, at most `24h`; none that were kept by default.
    #[schema(value_type = Option<Duration>)]
    pub max_age: Option<Value>,
    pub limits: Option<TokenLimits>,
}

/// How much a page may ask with a token.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLimits {
    /// Questions per minute at each replica of the gateway, with this token, and by its holder with any; `browser.per_minute` by default.
    #[schema(minimum = 1)]
    pub per_minute: Option<u32>,
    /// Calls to X that its questions take in all, at all replicas; any number by default.
    #[schema(minimum = 1)]
    pub calls: Option<u32>,
}

/// A new token. It is stored nowhere.
#[derive(Serialize, ToSchema)]
pub struct CreatedToken {
    #[schema(pattern = "^csb_[0-9A-Za-z_-]+$")]
    pub token: String,
    /// Its name in logs.
    pub id: String,
    /// In seconds.
    pub expires_in: u64,
    /// In seconds, when the page should ask for the next one.
    pub renew_in: u64,
    #[schema(value_type = Time)]
    pub expires_at: String,
}

impl NewToken {
    /// Reads what JSON gives as text; returns all problems at once, but those of the question.
    pub fn read(self) -> Result<gateway::NewToken, Vec<Detail>> {
        let mut problems = Vec::new();
        let mut duration = |name: &str, value: Option<Value>| {
            let text = value.as_ref()?.as_str();
            let read = text.and_then(|text| humantime::parse_duration(text).ok());
            let read = read.filter(|time| time.subsec_nanos() == 0);
            if read.is_none() {
                let right = "must be a duration in whole seconds, as a text such as \"10m\"";
                problems.push(Detail::at(&format!("/{name}"), right));
            }
            read
        };
        let expires_in = duration("expires_in", self.expires_in);
        let max_age = duration("max_age", self.max_age);
        let origins = self.origins.map(|texts| read_origins(&texts, &mut problems));
        if !problems.is_empty() {
            return Err(problems);
        }
        let question = self.question.get().as_bytes().to_vec();
        let TokenLimits { per_minute, calls } = self.limits.unwrap_or_default();
        let subject = self.subject;
        Ok(gateway::NewToken { subject, origins, expires_in, max_age, per_minute, calls, question })
    }
}

impl From<gateway::CreatedToken> for CreatedToken {
    fn from(created: gateway::CreatedToken) -> CreatedToken {
        CreatedToken {
            token: created.text.expose().to_owned(),
            id: created.id,
            expires_in: created.expires_in.as_secs(),
            renew_in: created.renew_in.as_secs(),
            expires_at: rfc3339(created.expires_at),
        }
    }
}

/// Origins in their order.
pub(super) fn read_origins(texts: &[String], problems: &mut Vec<Detail>) -> Vec<Origin> {
    let mut origins = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin),
            Err(wrong) => problems
                .push(Detail::at(&format!("/origins/{index}"), format!("{wrong}, not {text:?}"))),
        }
    }
    origins
}

/// Which tokens of a key to withdraw.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Only those of this subject; all of the key's by default.
    #[schema(min_length = 1, max_length = 100)]
    pub subject: Option<String>,
}

/// Tokens that were withdrawn.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Withdrawn {
    /// The id of the key that made them.
    pub key: String,
    /// The key's name.
    pub name: String,
    /// Whose tokens; `null` for all of the key's.
    pub subject: Option<String>,
    /// Tokens made later are good.
    #[schema(value_type = Time)]
    pub tokens_after: String,
}

impl From<gateway::Withdrawn> for Withdrawn {
    fn from(withdrawn: gateway::Withdrawn) -> Withdrawn {
        let gateway::Withdrawn { key, subject, tokens_after, has_asked: _ } = withdrawn;
        Withdrawn { key: key.id, name: key.name, subject, tokens_after: rfc3339(tokens_after) }
    }
}

/// What pages have asked on a day with the tokens of a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Subjects {
    /// The key's id.
    pub key: String,
    /// The day, in UTC.
    #[schema(value_type = Date)]
    pub day: String,
    /// Who asked the most comes first; at most 1,000 are kept apart, and the rest is `other`.
    pub subjects: Vec<Subject>,
}

/// What was asked with the tokens of one subject.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SubjectUsage)]
pub struct Subject {
    /// Whose tokens; `null` for those of nobody in particular.
    pub subject: Option<String>,
    pub questions: i64,
    /// Calls to X that these have taken.
    pub calls: i64,
}

impl Subjects {
    pub fn new((key, day, listed): (Key, time::Date, Vec<gateway::SubjectUsage>)) -> Subjects {
        let subject = |usage: gateway::SubjectUsage| Subject {
            subject: Some(usage.subject).filter(|subject| !subject.is_empty()),
            questions: usage.questions,
            calls: usage.calls,
        };
        let subjects = listed.into_iter().map(subject).collect();
        Subjects { key: key.id, day: day.to_string(), subjects }
    }
}

/// A day such as `2026-01-31`.
pub fn read_day(text: &str) -> Option<time::Date> {
    time::Date::parse(text, format_description!("[year]-[month]-[day]")).ok()
}
