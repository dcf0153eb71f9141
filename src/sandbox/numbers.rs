//! The numbers: what happened to a post in an hour, as a pure function of the seed, the post and the hour.
//!
//! A post bursts and decays to nothing within two months, with a daily rhythm; some posts are far bigger than others.
//! Days, windows and totals are sums of the same hours, so every split of a request agrees with the whole.

use std::ops::Range;

use time::OffsetDateTime;

use crate::model::{Metric, post};

/// Hours after which nothing happens to a post any more.
const LIFETIME: i64 = 60 * 24;
/// Favorites, replies and retweets read 0 before 2015-09-15 (reference 1.5), which is this hour.
const FIRST_PUBLIC_HOUR: i64 = 1_442_275_200 / 3600;
/// The unit in which shares of impressions are given.
const SHARE_UNIT: u64 = 100_000;
/// The unit in which expected impressions are given.
const BASE_UNIT: u64 = 1_000_000;
/// Percent of the average at each hour of the day, UTC.
const RHYTHM: [u64; 24] = [
    55, 45, 40, 38, 40, 48, 62, 80, 98, 110, 116, 122, 130, 134, 136, 140, 146, 150, 152, 148, 136,
    118, 94, 72,
];
/// What `engagements` counts, besides some more that has no name of its own (reference 2).
const PARTS: [Metric; 13] = [
    Metric::Favorites,
    Metric::Retweets,
    Metric::Replies,
    Metric::MediaEngagements,
    Metric::UrlClicks,
    Metric::HashtagClicks,
    Metric::DetailExpands,
    Metric::PermalinkClicks,
    Metric::AppInstallAttempts,
    Metric::AppOpens,
    Metric::EmailTweet,
    Metric::UserFollows,
    Metric::UserProfileClicks,
];

/// The hour that holds `at`, counted from 1970.
pub fn hour_of(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3600)
}

/// The first hour that has not begun at `at`: where every sum up to now ends.
pub fn hour_after(at: OffsetDateTime) -> i64 {
    let whole = at.unix_timestamp().rem_euclid(3600) == 0 && at.nanosecond() == 0;
    if whole { hour_of(at) } else { hour_of(at) + 1 }
}

/// A well-mixed number from a seed and anything that tells draws apart.
pub fn draw(seed: u64, salt: u64) -> u64 {
    let mut z = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(1);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One post's story.
pub struct Story {
    key: u64,
    born: i64,
    /// Impressions expected in the first hour.
    size: u64,
    attached: Attached,
    has_link: bool,
    has_app: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Attached {
    Nothing,
    Picture,
    Video,
}

impl Story {
    /// The story of the post `id`, which tells when it begins (reference 9.3).
    pub fn new(seed: u64, id: u64) -> Story {
        let key = draw(seed, id);
        let (least, spread) = match draw(key, 1) % 100 {
            0..60 => (150, 250),
            60..90 => (400, 1_600),
            90..98 => (2_000, 6_000),
            _ => (8_000, 32_000),
        };
        let attached = match draw(key, 2) % 6 {
            0..2 => Attached::Nothing,
            2..4 => Attached::Picture,
            _ => Attached::Video,
        };
        Story {
            key,
            born: post::created_at(id).map_or(i64::MAX - LIFETIME, hour_of),
            size: least + draw(key, 3) % spread,
            attached,
            has_link: draw(key, 5).is_multiple_of(2),
            has_app: draw(key, 6).is_multiple_of(8),
        }
    }

    /// Every hour from the post to the present one, which counts in full.
    pub fn hours_until(&self, now: OffsetDateTime) -> Range<i64> {
        self.born..hour_after(now)
    }

    /// What `metric` counted in the given hours.
    pub fn sum(&self, metric: Metric, hours: Range<i64>) -> u64 {
        let lived = hours.start.max(self.born)..hours.end.min(self.born + LIFETIME);
        lived.map(|hour| self.count(metric, hour)).sum()
    }

    /// What `metric` counted in one hour.
    pub fn count(&self, metric: Metric, hour: i64) -> u64 {
        let base = self.expected(hour);
        match metric {
            _ if base == 0 => 0,
            Metric::Engagements => {
                let parts: u64 = PARTS.iter().map(|part| self.counted(*part, hour, base)).sum();
                parts + self.counted(metric, hour, base)
            }
            Metric::MediaClicks => self.counted(Metric::MediaEngagements, hour, base),
            _ => self.counted(metric, hour, base),
        }
    }

    /// Impressions expected in an hour, in millionths.
    fn expected(&self, hour: i64) -> u64 {
        let Some(age) = u64::try_from(hour - self.born).ok().filter(|it| *it < LIFETIME as u64)
        else {
            return 0;
        };
        let decay = BASE_UNIT * 36 / ((age + 6) * (age + 6));
        let of_day = usize::try_from(hour.rem_euclid(24)).unwrap_or_default();
        let rhythm = RHYTHM.get(of_day).copied().unwrap_or(100);
        let noise = 50 + draw(self.key ^ 7, hour.unsigned_abs()) % 101;
        self.size * decay * rhythm / 100 * noise / 100
    }

    /// The share of `base` that `metric` takes, rounded up or down by chance so that small shares still show.
    fn counted(&self, metric: Metric, hour: i64, base: u64) -> u64 {
        let is_late = matches!(metric, Metric::Favorites | Metric::Retweets | Metric::Replies)
            && hour < FIRST_PUBLIC_HOUR;
        let share = self.share(metric);
        if is_late || share == 0 {
            return 0;
        }
        let unit = BASE_UNIT * SHARE_UNIT;
        let chance = draw(self.key ^ ((metric as u64 + 1) << 8), hour.unsigned_abs()) % unit;
        (base * share + chance) / unit
    }

    /// How often `metric` counts in 100,000 impressions.
    fn share(&self, metric: Metric) -> u64 {
        let only_if = |has: bool, share: u64| if has { share } else { 0 };
        let has_media = self.attached != Attached::Nothing;
        match metric {
            Metric::Impressions => SHARE_UNIT,
            Metric::Engagements => 500,
            Metric::Favorites => 1_500,
            Metric::Retweets => 350,
            Metric::Replies => 200,
            Metric::QuoteTweets => 90,
            Metric::VideoViews => only_if(self.attached == Attached::Video, 30_000),
            Metric::MediaViews => only_if(has_media, 55_000),
            Metric::MediaEngagements | Metric::MediaClicks => only_if(has_media, 900),
            Metric::UrlClicks => 40 + only_if(self.has_link, 700),
            Metric::HashtagClicks => 80,
            Metric::DetailExpands => 2_000,
            Metric::PermalinkClicks => 150,
            Metric::AppInstallAttempts => only_if(self.has_app, 30),
            Metric::AppOpens => only_if(self.has_app, 60),
            Metric::EmailTweet => 15,
            Metric::UserFollows => 60,
            Metric::UserProfileClicks => 400,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_post_bursts_and_decays() {
        let at = datetime!(2026-03-01 10:20:00 UTC);
        let story = Story::new(1, post::first_id_at(at));
        let born = hour_of(at);
        let day = |n: i64| story.sum(Metric::Impressions, born + 24 * n..born + 24 * (n + 1));
        assert!(day(0) > 4 * day(1) && day(1) > day(5), "{} {} {}", day(0), day(1), day(5));
        assert_eq!(story.sum(Metric::Impressions, born - 1000..born), 0, "nothing before it");
        assert_eq!(day(60), 0, "nothing after two months");
    }

    #[test]
    fn engagements_hold_their_parts_and_more() {
        let at = datetime!(2026-03-01 10:20:00 UTC);
        let story = Story::new(1, post::first_id_at(at));
        let hours = hour_of(at)..hour_of(at) + 200;
        let parts: u64 = PARTS.iter().map(|it| story.sum(*it, hours.clone())).sum();
        assert!(story.sum(Metric::Engagements, hours.clone()) > parts);
        assert!(story.sum(Metric::Impressions, hours.clone()) > 5 * parts);
    }

    #[test]
    fn early_public_numbers_read_zero() {
        let at = datetime!(2015-09-14 20:00:00 UTC);
        let story = Story::new(1, post::first_id_at(at));
        let midnight = hour_of(datetime!(2015-09-15 00:00 UTC));
        assert_eq!(story.sum(Metric::Favorites, hour_of(at)..midnight), 0);
        assert!(story.sum(Metric::Impressions, hour_of(at)..midnight) > 0);
        assert!(story.sum(Metric::Favorites, midnight..midnight + 24) > 0);
    }

    #[test]
    fn the_hour_that_has_not_begun_ends_a_sum() {
        let whole = datetime!(2026-03-01 10:00 UTC);
        assert_eq!(hour_after(whole), hour_of(whole));
        assert_eq!(hour_after(whole + time::Duration::SECOND), hour_of(whole) + 1);
    }
}
