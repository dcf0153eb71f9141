//! `Cache-Control` in requests (RFC 9111, 5.2.1): `max-age` and `no-cache`; others are not needed here.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;

use crate::model::Freshness;

/// What the headers let be reused. A `max-age` that cannot be read allows nothing.
pub(crate) fn of(headers: &HeaderMap) -> Freshness {
    let mut freshness = Freshness::default();
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim();
        if name.eq_ignore_ascii_case("no-cache") || name.eq_ignore_ascii_case("no-store") {
            freshness.is_own = true;
        } else if name.eq_ignore_ascii_case("max-age") {
            let seconds = value.trim().trim_matches('"').parse().unwrap_or_default();
            freshness.max_age = Duration::from_secs(seconds);
        }
    }
    freshness
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_caller_allows_is_reused() {
        let cases: [(&[&'static str], u64, bool); 9] = [
            (&[], 0, false),
            (&["max-age=60"], 60, false),
            (&["Max-Age = \"60\" , public"], 60, false),
            (&["max-age=-1"], 0, false),
            (&["max-age=1e3"], 0, false),
            (&["max-age"], 0, false),
            (&["no-cache"], 0, true),
            (&["max-age=5, No-Cache"], 5, true),
            (&["max-age=5", "no-store"], 5, true),
        ];
        for (values, seconds, is_own) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CACHE_CONTROL, value.parse().unwrap());
            }
            let max_age = Duration::from_secs(seconds);
            assert_eq!(of(&headers), Freshness { max_age, is_own }, "{values:?}");
        }
    }
}
