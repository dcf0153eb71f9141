//! Posts: their ids, and the time encoded in an id (reference 9.3).

use time::{Duration, OffsetDateTime};

/// The first millisecond that ids count from, in Unix time.
const EPOCH_MS: i64 = 1_288_834_974_657;
/// Ids below this were issued before ids encoded the time.
const FIRST_SNOWFLAKE: u64 = 29_700_859_247;

/// When the post was created, or `None` for ids from before 2010-11-04, which do not say.
pub fn created_at(id: u64) -> Option<OffsetDateTime> {
    let ms = i64::try_from(id >> 22).ok()?.checked_add(EPOCH_MS)?;
    let at =
        OffsetDateTime::from_unix_timestamp(ms / 1000).ok()? + Duration::milliseconds(ms % 1000);
    (id >= FIRST_SNOWFLAKE).then_some(at)
}

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
