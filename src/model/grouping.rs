//! How results may be nested, and which names a grouping may not take (reference 1.3, 1.4).

use std::fmt;

/// One level of a grouping.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum GroupBy {
    TweetId,
    EngagementType,
    EngagementDay,
    EngagementHour,
}

impl GroupBy {
    pub const ALL: [GroupBy; 4] = [
        GroupBy::TweetId,
        GroupBy::EngagementType,
        GroupBy::EngagementDay,
        GroupBy::EngagementHour,
    ];

    /// The only two orders in which all four levels may stand.
    pub const FOUR_LEVEL_ORDERS: [[GroupBy; 4]; 2] = [
        GroupBy::ALL,
        [
            GroupBy::EngagementType,
            GroupBy::TweetId,
            GroupBy::EngagementDay,
            GroupBy::EngagementHour,
        ],
    ];

    pub const fn name(self) -> &'static str {
        match self {
            GroupBy::TweetId => "tweet.id",
            GroupBy::EngagementType => "engagement.type",
            GroupBy::EngagementDay => "engagement.day",
            GroupBy::EngagementHour => "engagement.hour",
        }
    }

    pub fn from_name(name: &str) -> Option<GroupBy> {
        GroupBy::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Whether this level needs an endpoint with a time series.
    pub const fn is_time(self) -> bool {
        matches!(self, GroupBy::EngagementDay | GroupBy::EngagementHour)
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many groupings a request may have.
pub const MAX_GROUPINGS: usize = 3;

/// Top-level keys of an answer, which a grouping of the same name would overwrite.
pub const RESERVED_NAMES: [&str; 6] = [
    "start",
    "end",
    "errors",
    "unavailable_tweet_ids",
    "unsupported_for_impressions_engagements_tweet_ids",
    "unsupported_for_video_views_tweet_ids",
];
