//! Posts: their ids, the URLs that contain one, and the time encoded in an id (reference 9.3).

use time::{Duration, OffsetDateTime};

/// The first millisecond that ids count from, in Unix time.
const EPOCH_MS: i64 = 1_288_834_974_657;
/// Ids below this were issued before ids encoded the time.
const FIRST_SNOWFLAKE: u64 = 29_700_859_247;

/// The id in `20` or in the post's URL, such as `https://x.com/jack/status/20?s=46`.
pub fn id_in(text: &str) -> Option<&str> {
    if is_id(text) {
        return Some(text);
    }
    let rest =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let (host, path) = rest.split_once('/')?;
    let host = host.to_ascii_lowercase();
    let is_x = ["x.com", "twitter.com"].iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    });
    let parts = || path.split(['?', '#']).next().unwrap_or_default().split('/');
    let named = |pair: &(&str, &str)| matches!(pair.0, "status" | "statuses") && is_id(pair.1);
    let (_, id) = parts().zip(parts().skip(1)).find(named)?;
    is_x.then_some(id)
}

fn is_id(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// When the post was created, or `None` for ids from before 2010-11-04, which do not say.
pub fn created_at(id: u64) -> Option<OffsetDateTime> {
    let ms = i64::try_from(id >> 22).ok()?.checked_add(EPOCH_MS)?;
    let at =
        OffsetDateTime::from_unix_timestamp(ms / 1000).ok()? + Duration::milliseconds(ms % 1000);
    (id >= FIRST_SNOWFLAKE).then_some(at)
}

/// The largest id: the upstream's ids are signed 64-bit numbers (reference 4.3).
pub const LARGEST_ID: u64 = i64::MAX.unsigned_abs();

/// The smallest id that a post created at `at` can have; its low 22 bits are free for a sequence.
pub fn first_id_at(at: OffsetDateTime) -> u64 {
    let ms = at.unix_timestamp() * 1000 + i64::from(at.millisecond()) - EPOCH_MS;
    u64::try_from(ms).unwrap_or_default() << 22
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_post_is_named_by_its_id_or_its_url() {
        for text in [
            "20",
            "https://x.com/jack/status/20",
            "http://www.twitter.com/jack/status/20/",
            "https://mobile.twitter.com/jack/statuses/20?s=46#m",
            "https://X.com/status/status/20",
            "x.com/i/web/status/20/photo/1",
            "twitter.com/statuses/20",
        ] {
            assert_eq!(id_in(text), Some("20"), "{text}");
        }
        for text in [
            "",
            "x",
            "-20",
            "2e1",
            "12345678901234567890",
            "https://x.com/jack",
            "https://x.com/jack/status/",
            "https://x.com/jack/status/2x",
            "https://x.com/jack?to=/status/20",
            "https://notx.com/jack/status/20",
            "https://x.com.evil.com/jack/status/20",
            "status/20",
        ] {
            assert_eq!(id_in(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_tells_its_time() {
        assert_eq!(
            created_at(1_212_092_628_029_698_048),
            Some(datetime!(2019-12-31 19:26:16.771 UTC))
        );
        assert_eq!(created_at(20), None);
        let at = datetime!(2026-01-02 03:04:05 UTC);
        assert_eq!(created_at(first_id_at(at) + 4095), Some(at));
    }
}
