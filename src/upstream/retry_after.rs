//! How long an answer says to wait, by its sender's clock.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::upstream::skew::date;

/// For each quota, the headers that say what is left and when it is full again (reference 5).
const QUOTAS: [(&str, &str); 3] = [
    ("x-per-second-remaining", "x-per-second-reset"),
    ("x-per-minute-remaining", "x-per-minute-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
];
/// X's longest quota window; a later reset is cut to it.
const LONGEST_WINDOW: i64 = 15 * 60;

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
    let spent = QUOTAS.iter().filter(|quota| headers.get(quota.0).is_some_and(|left| left == "0"));
    let resets = spent.filter_map(|quota| headers.get(quota.1)?.to_str().ok()?.parse::<i64>().ok());
    let wait = resets.max()?.saturating_sub(date(headers)?.unix_timestamp());
    Some(Duration::from_secs(wait.clamp(1, LONGEST_WINDOW).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

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
