//! The quotas that an answer reports, and how long it says to wait, by its sender's clock (reference 5).

use std::time::Duration;

use hyper::header::{HeaderName, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::model::quota::{Report, Reported};
use crate::upstream::Answer;
use crate::upstream::skew::date;

/// Limit, remaining calls and reset (in seconds since 1970) of the quotas per second, per minute, and of X's other APIs.
pub static QUOTA_HEADERS: [[HeaderName; 3]; 3] = [
    [
        HeaderName::from_static("x-per-second-limit"),
        HeaderName::from_static("x-per-second-remaining"),
        HeaderName::from_static("x-per-second-reset"),
    ],
    [
        HeaderName::from_static("x-per-minute-limit"),
        HeaderName::from_static("x-per-minute-remaining"),
        HeaderName::from_static("x-per-minute-reset"),
    ],
    [
        HeaderName::from_static("x-rate-limit-limit"),
        HeaderName::from_static("x-rate-limit-remaining"),
        HeaderName::from_static("x-rate-limit-reset"),
    ],
];
/// X's longest quota window; a later reset is cut to it.
const LONGEST_WINDOW: i64 = 15 * 60;

impl Answer {
    /// What it says about the quotas that its call counted against.
    pub fn report(&self) -> Report {
        let windows = QUOTA_HEADERS.each_ref().map(|names| reported(&self.headers, names));
        let is_refusal = self.status == StatusCode::TOO_MANY_REQUESTS;
        let wait = if is_refusal { named(&self.headers) } else { None };
        Report {
            date: date(&self.headers).map(OffsetDateTime::unix_timestamp),
            windows,
            is_refusal,
            retry_after: wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
        }
    }

    /// How long X says to wait before a retry may succeed.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

fn reported(headers: &HeaderMap, [limit, remaining, reset]: &[HeaderName; 3]) -> Option<Reported> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let count = |name| number(name).map(|count| u32::try_from(count.max(0)).unwrap_or(u32::MAX));
    let found = Reported { limit: count(limit), remaining: count(remaining), reset: number(reset) };
    (found != Reported::default()).then_some(found)
}

/// The wait according to `Retry-After`, or to the quotas that are spent.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    named(headers).or_else(|| quota_reset(headers))
}

/// The wait in `Retry-After`, given in seconds or as a date.
fn named(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = OffsetDateTime::parse(value, &Rfc2822).ok()?;
    (until - date(headers)?).try_into().ok()
}

fn quota_reset(headers: &HeaderMap) -> Option<Duration> {
    let quotas = QUOTA_HEADERS.iter().filter_map(|names| reported(headers, names));
    let spent = quotas.filter(|quota| quota.remaining == Some(0));
    let wait = spent
        .filter_map(|quota| quota.reset)
        .max()?
        .saturating_sub(date(headers)?.unix_timestamp());
    Some(Duration::from_secs(wait.clamp(1, LONGEST_WINDOW).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_long_to_wait() {
        const DATE: (&str, &str) = ("date", "Tue, 10 Mar 2026 21:15:00 GMT");
        const NOW: i64 = 1_773_177_300;
        let minute = (NOW + 30).to_string();
        let far = (NOW + 100_000).to_string();
        let cases = [
            (&[("retry-after", "120")][..], Some(120)),
            (&[DATE, ("retry-after", "Tue, 10 Mar 2026 21:16:00 GMT")], Some(60)),
            (&[("retry-after", "Tue, 10 Mar 2026 21:16:00 GMT")], None),
            (&[DATE, ("retry-after", "Tue, 10 Mar 2026 21:14:00 GMT")], None),
            (&[DATE, ("retry-after", "soon")], None),
            (&[DATE, ("x-per-minute-remaining", "0"), ("x-per-minute-reset", &minute)], Some(30)),
            (&[DATE, ("x-per-minute-remaining", "1"), ("x-per-minute-reset", &minute)], None),
            (&[("x-per-minute-remaining", "0"), ("x-per-minute-reset", &minute)], None),
            (&[DATE, ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", &far)], Some(900)),
            (&[DATE, ("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "7")], Some(1)),
            (
                &[
                    DATE,
                    ("retry-after", "5"),
                    ("x-rate-limit-remaining", "0"),
                    ("x-rate-limit-reset", &minute),
                ],
                Some(5),
            ),
        ];
        for (headers, seconds) in cases {
            let pair = |(name, value): &(&str, &str)| {
                (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
            };
            let map = headers.iter().map(pair).collect();
            assert_eq!(retry_after(&map).map(|wait| wait.as_secs()), seconds, "{headers:?}");
        }
    }
}
