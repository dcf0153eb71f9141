//! Usage in JSON: the query, the sums, and what is missing from them.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::gateway::{
    self, Detail, Grain, UsageFilter, UsageGap, UsageReport, UsageRow, read_time,
};
use crate::model;
use crate::model::usage::{Month, begin_of, hour_of};
use crate::wire::schema::{Credentials, Endpoint, Outcome, Time, UserId};
use crate::wire::time::rfc3339;

/// The most lines in one report.
const MOST_ROWS: u32 = 10_000;
const DEFAULT_DAYS: i64 = 30;
/// What sums may be grouped by.
pub const BY: [&str; 8] = ["hour", "day", "app", "key", "account", "endpoint", "auth", "outcome"];
/// The same for the sums of one key, which has one app.
pub const OWN_BY: [&str; 6] = ["hour", "day", "account", "endpoint", "auth", "outcome"];

/// Which sums to report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// A date or a time; thirty days before `until` by default.
    pub from: Option<String>,
    /// The end, exclusive; now by default.
    pub until: Option<String>,
    /// What to group by, separated by commas; `day` by default.
    pub by: Option<String>,
    pub app: Option<String>,
    /// A key's id.
    pub key: Option<String>,
    /// A user id.
    pub account: Option<String>,
}

/// Which of a key's own sums to report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnUsageQuery {
    /// A date or a time; thirty days before `until` by default.
    pub from: Option<String>,
    /// The end, exclusive; now by default.
    pub until: Option<String>,
    /// What to group by, separated by commas; `day` by default.
    pub by: Option<String>,
    /// A user id.
    pub account: Option<String>,
}

/// Sums over the whole hours that the period touches.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UsageSums {
    #[schema(value_type = Time)]
    pub from: String,
    #[schema(value_type = Time)]
    pub until: String,
    pub sums: Vec<UsageLine>,
    /// Whether there are more sums than these.
    pub truncated: bool,
}

/// Sums, the accounts that X bills, and what is missing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Usage {
    #[serde(flatten)]
    pub totals: UsageSums,
    /// How many accounts each app used in each month, which X bills.
    pub accounts: Vec<UsedAccounts>,
    /// Calls that are missing from the sums: a process was killed within seconds of its last write, or could keep no more.
    pub gaps: Vec<Gap>,
}

/// The sums of one key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OwnUsage {
    #[serde(flatten)]
    pub totals: UsageSums,
    /// When calls may be missing from the sums: a process was killed within seconds of its last write, or could keep no more.
    pub gaps: Vec<OwnGap>,
}

/// Sums for one group, with the values that it is grouped by.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct UsageLine {
    /// The start of the hour or day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Time, required = false)]
    pub at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub app: Option<String>,
    /// The key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub key: Option<String>,
    /// `null` for app-only calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<UserId>, required = false)]
    pub account: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Endpoint, required = false)]
    pub endpoint: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Credentials, required = false)]
    pub auth: Option<&'static str>,
    /// The class of X's status, or `none` if X did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Outcome, required = false)]
    pub outcome: Option<&'static str>,
    /// Requests sent to X, including retries.
    pub calls: u64,
    /// Posts that were queried.
    pub posts: u64,
    /// The size of the answers' bodies, as received.
    pub bytes: u64,
    /// Calls that were not made, since an equal one was in flight or its answer was kept.
    pub saved: u64,
}

/// How many accounts an app used in a month.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UsedAccounts {
    /// The month in UTC, such as `2026-03`.
    pub month: String,
    pub app: String,
    pub accounts: u64,
}

/// A process whose last calls are missing from the sums.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Gap {
    /// When it last wrote everything.
    #[schema(value_type = Time)]
    pub since: String,
    /// Calls that are known to be missing; if the process was killed, those of its last seconds may be, too.
    pub lost_calls: u64,
    /// Whether the process was killed.
    pub killed: bool,
}

/// A time after which calls may be missing, of this key or of others.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OwnGap {
    /// When a process last wrote everything.
    #[schema(value_type = Time)]
    pub since: String,
}

impl UsageQuery {
    /// The filter that the query describes and the first month to count accounts in, or everything that is wrong with it.
    pub fn read(&self, now: OffsetDateTime) -> Result<(UsageFilter, Month), Vec<Detail>> {
        self.read_by(&BY, now)
    }

    /// The same, with these words for what sums are grouped by.
    fn read_by(
        &self,
        words: &[&str],
        now: OffsetDateTime,
    ) -> Result<(UsageFilter, Month), Vec<Detail>> {
        let mut problems = Vec::new();
        let mut time = |name: &str, text: &Option<String>, default: OffsetDateTime| {
            let Some(text) = text else { return default };
            read_time(text).unwrap_or_else(|| {
                let detail = format!(
                    "{name} must be a date or a time such as 2026-01-31 or 2026-01-31T12:00:00Z"
                );
                problems.push(Detail::in_query(detail));
                default
            })
        };
        let until = time("until", &self.until, now);
        let days = Duration::days(DEFAULT_DAYS);
        let from = time("from", &self.from, until.checked_sub(days).unwrap_or(until));
        // A part of the last hour counts as the whole hour.
        let end = until.checked_add(Duration::HOUR - Duration::NANOSECOND).unwrap_or_else(|| {
            problems.push(Detail::in_query("until must be at most 9999-12-31T23:00:00Z"));
            until
        });
        if problems.is_empty() && from >= until {
            problems.push(Detail::in_query("from must be before until"));
        }
        let by = self.grain(words, &mut problems);
        let account = self.account.as_deref().map(|id| {
            let detail = "account must be a user id of 1 to 19 digits";
            model::UserId::parse(id).ok_or_else(|| problems.push(Detail::in_query(detail)))
        });
        let filter = UsageFilter {
            from: hour_of(from),
            until: hour_of(end),
            app: self.app.clone(),
            key_id: self.key.clone(),
            account: account.and_then(Result::ok),
            by,
            months: false,
            limit: MOST_ROWS + 1,
        };
        if problems.is_empty() { Ok((filter, Month::of(from))) } else { Err(problems) }
    }

    fn grain(&self, words: &[&str], problems: &mut Vec<Detail>) -> Grain {
        let mut by = Grain::default();
        for name in self.by.as_deref().unwrap_or("day").split(',').filter(|name| !name.is_empty()) {
            match name {
                _ if !words.contains(&name) => {
                    let detail = format!("by must name some of {}", words.join(", "));
                    problems.push(Detail::in_query(detail));
                    break;
                }
                "hour" => by.hours = 1,
                "day" => by.hours = by.hours.max(24),
                "app" => by.app = true,
                "key" => by.key = true,
                "account" => by.account = true,
                "endpoint" => by.endpoint = true,
                "auth" => by.auth = true,
                _ => by.outcome = true,
            }
        }
        by
    }
}

impl OwnUsageQuery {
    /// The filter that the query describes, for any key, or everything that is wrong with it.
    pub fn read(self, now: OffsetDateTime) -> Result<UsageFilter, Vec<Detail>> {
        let OwnUsageQuery { from, until, by, account } = self;
        let query = UsageQuery { from, until, by, account, ..UsageQuery::default() };
        query.read_by(&OWN_BY, now).map(|(filter, _)| filter)
    }
}

impl UsageSums {
    fn of(mut rows: Vec<UsageRow>, filter: &UsageFilter) -> UsageSums {
        let most = MOST_ROWS as usize;
        let truncated = rows.len() > most;
        rows.truncate(most);
        UsageSums {
            from: rfc3339(begin_of(filter.from)),
            until: rfc3339(begin_of(filter.until)),
            sums: rows.into_iter().map(UsageLine::from).collect(),
            truncated,
        }
    }
}

impl OwnUsage {
    pub fn of(found: gateway::OwnUsage, filter: &UsageFilter) -> OwnUsage {
        let gap = |gap: UsageGap| OwnGap { since: rfc3339(gap.since) };
        OwnUsage {
            totals: UsageSums::of(found.rows, filter),
            gaps: found.gaps.into_iter().map(gap).collect(),
        }
    }

    /// Whether nothing is missing from the sums.
    pub fn is_complete(&self) -> bool {
        !self.totals.truncated && self.gaps.is_empty()
    }
}

impl Usage {
    pub fn of(report: UsageReport, filter: &UsageFilter) -> Usage {
        let used = |(month, app, accounts): (Month, String, u64)| UsedAccounts {
            month: month.to_string(),
            app,
            accounts,
        };
        Usage {
            totals: UsageSums::of(report.rows, filter),
            accounts: report.accounts.into_iter().map(used).collect(),
            gaps: report.gaps.into_iter().map(Gap::from).collect(),
        }
    }

    /// Whether nothing is missing from the sums.
    pub fn is_complete(&self) -> bool {
        !self.totals.truncated && self.gaps.is_empty()
    }
}

/// Sums as CSV: a column for each value that they are grouped by, and one for each count.
pub fn csv(usage: &UsageSums, by: Grain) -> Vec<u8> {
    let columns = [
        ("at", by.hours > 0),
        ("app", by.app),
        ("key", by.key),
        ("account", by.account),
        ("endpoint", by.endpoint),
        ("auth", by.auth),
        ("outcome", by.outcome),
        ("calls", true),
        ("posts", true),
        ("bytes", true),
        ("saved", true),
    ];
    let mut table = csv::Writer::from_writer(Vec::new());
    let names = columns.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| name);
    table.write_record(names).expect(NEVER_FAILS);
    for line in &usage.sums {
        let numbers =
            [line.calls, line.posts, line.bytes, line.saved].map(|number| number.to_string());
        let account = line.account.as_ref().and_then(|id| id.as_deref());
        let texts =
            [line.at.as_deref(), line.app.as_deref(), line.key.as_deref(), account, line.endpoint];
        let texts =
            texts.into_iter().chain([line.auth, line.outcome]).map(Option::unwrap_or_default);
        let fields = texts.chain(numbers.iter().map(|text| &**text)).zip(columns);
        let fields = fields.filter(|(_, (_, is_wanted))| *is_wanted).map(|(text, _)| text);
        table.write_record(fields).expect(NEVER_FAILS);
    }
    table.into_inner().expect(NEVER_FAILS)
}

const NEVER_FAILS: &str = "writing to memory does not fail";

impl From<UsageRow> for UsageLine {
    fn from(row: UsageRow) -> UsageLine {
        UsageLine {
            at: row.hour.map(|hour| rfc3339(begin_of(hour))),
            app: row.app,
            key: row.key_id,
            account: row.account.map(|id| id.map(|id| id.to_string())),
            endpoint: row.endpoint.map(model::Endpoint::name),
            auth: row.auth.map(model::AuthKind::name),
            outcome: row.outcome.map(model::usage::Outcome::name),
            calls: row.sums.calls,
            posts: row.sums.posts,
            bytes: row.sums.bytes,
            saved: row.sums.saved,
        }
    }
}

impl From<UsageGap> for Gap {
    fn from(gap: UsageGap) -> Gap {
        Gap { since: rfc3339(gap.since), lost_calls: gap.lost_calls, killed: gap.killed }
    }
}
