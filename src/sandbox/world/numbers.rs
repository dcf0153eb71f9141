//! The numbers: a post's engagements in an hour, as a pure function of the seed, the post and the hour.
//!
//! A post bursts and decays to nothing within two months, with a daily rhythm; some posts are far bigger than others.
//! Every number is the difference of two running counts, so every split of a request agrees with the whole.

use std::ops::Range;
use std::sync::LazyLock;

use time::OffsetDateTime;

use crate::model::{Metric, post};

/// Hours after which nothing happens to a post any more.
const LIFETIME: usize = 60 * 24;
/// Percent of an hour that may count in the hour before or after instead.
const MOST_NOISE: u64 = 40;
/// Favorites, replies and retweets read 0 before 2015-09-15 (reference 1.5), which is this hour.
const FIRST_PUBLIC_HOUR: i64 = 1_442_275_200 / 3600;
/// The unit in which shares of impressions are given.
const SHARE_UNIT: u64 = 100_000;
/// The unit in which expected impressions are given.
const BASE_UNIT: u64 = 1_000_000;
const UNIT: u64 = BASE_UNIT * SHARE_UNIT;
/// Percent of the average at each hour of the day, UTC.
const RHYTHM: [u64; 24] = [
    55, 45, 40, 38, 40, 48, 62, 80, 98, 110, 116, 122, 130, 134, 136, 140, 146, 150, 152, 148, 136,
    118, 94, 72,
];
/// The metrics that `engagements` adds up, besides some engagements without a name of their own (reference 2).
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

/// For a post of size 1 born at each hour of the day: the impressions expected by each age in hours. A table, so that a
/// sum over years costs no more than one over an hour.
static EXPECTED: LazyLock<Vec<Vec<u64>>> = LazyLock::new(|| (0..24).map(expected).collect());

fn expected(born: usize) -> Vec<u64> {
    let mut sum = 0;
    let of_hour = |age: usize| {
        let rhythm = RHYTHM.get((born + age) % 24).copied().unwrap_or(100);
        let decay = (age as u64 + 6) * (age as u64 + 6);
        BASE_UNIT * 36 * rhythm / 100 / decay
    };
    let mut until = vec![0];
    for age in 0..LIFETIME {
        sum += of_hour(age);
        until.push(sum);
    }
    until
}

/// The hour that holds `at`, counted from 1970.
pub fn hour_of(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(3600)
}

/// The first hour that has not begun at `at`: where every sum up to now ends.
pub fn hour_after(at: OffsetDateTime) -> i64 {
    let whole = at.unix_timestamp().rem_euclid(3600) == 0 && at.nanosecond() == 0;
    if whole { hour_of(at) } else { hour_of(at) + 1 }
}

/// A well-mixed number from a seed and a salt, which tells draws apart.
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
            born: post::created_at(id).map_or(i64::MAX, hour_of),
            size: least + draw(key, 3) % spread,
            attached,
            has_link: draw(key, 5).is_multiple_of(2),
            has_app: draw(key, 6).is_multiple_of(8),
        }
    }

    /// Every hour from the post's birth to the present hour, which counts in full.
    pub fn hours_until(&self, now: OffsetDateTime) -> Range<i64> {
        self.born..hour_after(now)
    }

    /// The count of `metric` in the given hours.
    pub fn sum(&self, metric: Metric, hours: Range<i64>) -> u64 {
        let from = self.until(metric, hours.start);
        self.until(metric, hours.end).saturating_sub(from)
    }

    /// The count of `metric` in each of the given hours.
    pub fn hour_by_hour(&self, metric: Metric, hours: Range<i64>) -> Vec<u64> {
        let mut before = self.until(metric, hours.start);
        let mut counted = |hour: i64| {
            let now = self.until(metric, hour + 1);
            now.saturating_sub(std::mem::replace(&mut before, now))
        };
        hours.map(&mut counted).collect()
    }

    /// The running count of `metric` from the post's birth until the hour begins.
    fn until(&self, metric: Metric, hour: i64) -> u64 {
        let Some(age) = usize::try_from(hour.saturating_sub(self.born)).ok().filter(|age| *age > 0)
        else {
            return 0;
        };
        let age = age.min(LIFETIME);
        match metric {
            Metric::Engagements => {
                let parts: u64 = PARTS.iter().map(|part| self.share_until(*part, age)).sum();
                parts + self.share_until(metric, age)
            }
            Metric::MediaClicks => self.share_until(Metric::MediaEngagements, age),
            _ => self.share_until(metric, age),
        }
    }

    /// A metric's share of the impressions, from some chance of a first count on, so that small shares still show.
    fn share_until(&self, metric: Metric, age: usize) -> u64 {
        let is_late = matches!(metric, Metric::Favorites | Metric::Retweets | Metric::Replies);
        let unseen = if is_late { FIRST_PUBLIC_HOUR.saturating_sub(self.born) } else { 0 };
        let unseen = usize::try_from(unseen).unwrap_or_default();
        let share = self.share(metric);
        if share == 0 || age <= unseen {
            return 0;
        }
        let chance = draw(self.key, (metric as u64 + 1) << 8) % UNIT;
        let counted = |age: usize| (self.impressions_until(age) * share + chance) / UNIT;
        counted(age) - counted(unseen.min(LIFETIME))
    }

    /// Impressions expected by that age, in parts of `BASE_UNIT`; the hour's noise moves some of the hour after into
    /// it, or some of the hour out of it.
    fn impressions_until(&self, age: usize) -> u64 {
        let expected = |age: usize| {
            let of_day = usize::try_from(self.born.rem_euclid(24)).unwrap_or_default();
            EXPECTED.get(of_day).and_then(|shares| shares.get(age)).copied()
        };
        let Some(now) = expected(age) else { return 0 };
        let noise = draw(self.key ^ 7, age as u64) % (2 * MOST_NOISE + 1);
        let next = if age == 0 { now } else { expected(age + 1).unwrap_or(now) };
        // Never below what was expected an hour ago with its noise, since an hour has at most 1.5 times the one before.
        let moved = now * 100 + (next - now) * noise - (next - now) * MOST_NOISE;
        self.size * moved / 100
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
    fn hours_add_up_and_none_is_negative() {
        let at = datetime!(2026-03-01 10:20:00 UTC);
        for sequence in 0..50 {
            let hours = at + time::Duration::hours(sequence);
            let story = Story::new(1, post::first_id_at(hours));
            let lived = hour_of(hours)..hour_of(hours) + 1500;
            for metric in Metric::ALL {
                let until: Vec<u64> = lived.clone().map(|hour| story.until(metric, hour)).collect();
                assert!(until.is_sorted(), "{metric:?}");
                let counts = story.hour_by_hour(metric, lived.clone());
                assert_eq!(counts.iter().sum::<u64>(), story.sum(metric, lived.clone()));
            }
        }
    }

    #[test]
    fn engagements_hold_their_parts_and_more() {
        let at = datetime!(2026-03-01 10:20:00 UTC);
        let story = Story::new(1, post::first_id_at(at));
        let hours = hour_of(at)..hour_of(at) + 200;
        let parts: u64 = PARTS.iter().map(|part| story.sum(*part, hours.clone())).sum();
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
