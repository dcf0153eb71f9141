//! The engagement types, where each is served, and which are private to the author (reference 2).

use std::fmt;

use crate::model::Endpoint;
use crate::model::suggestion::nearest;

/// An engagement type as the upstream names it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Metric {
    Impressions,
    Engagements,
    Favorites,
    Retweets,
    Replies,
    QuoteTweets,
    VideoViews,
    MediaViews,
    MediaEngagements,
    UrlClicks,
    HashtagClicks,
    DetailExpands,
    PermalinkClicks,
    AppInstallAttempts,
    AppOpens,
    EmailTweet,
    UserFollows,
    UserProfileClicks,
    /// The name of `media_engagements` before 2017-10-09; old clients still send it.
    MediaClicks,
}

/// What X calls metrics elsewhere, in the singular: on its pages, in its API's version 1.1 (`favorite_count`) and in
/// version 2 (`like_count` on posts, `likes` in analytics; reference 8).
const ELSEWHERE: [(&str, Metric); 20] = [
    ("comment", Metric::Replies),
    ("detail_click", Metric::DetailExpands),
    ("favorite_count", Metric::Favorites),
    ("follow", Metric::UserFollows),
    ("impression_count", Metric::Impressions),
    ("like", Metric::Favorites),
    ("like_count", Metric::Favorites),
    ("link_click", Metric::UrlClicks),
    ("profile_click", Metric::UserProfileClicks),
    ("profile_visit", Metric::UserProfileClicks),
    ("quote", Metric::QuoteTweets),
    ("quote_count", Metric::QuoteTweets),
    ("reply_count", Metric::Replies),
    ("repost", Metric::Retweets),
    ("repost_count", Metric::Retweets),
    ("retweet_count", Metric::Retweets),
    ("url_link_click", Metric::UrlClicks),
    ("view", Metric::Impressions),
    ("view_count", Metric::VideoViews),
    ("video_view_count", Metric::VideoViews),
];

impl Metric {
    pub const ALL: [Metric; 19] = [
        Metric::Impressions,
        Metric::Engagements,
        Metric::Favorites,
        Metric::Retweets,
        Metric::Replies,
        Metric::QuoteTweets,
        Metric::VideoViews,
        Metric::MediaViews,
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
        Metric::MediaClicks,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Metric::Impressions => "impressions",
            Metric::Engagements => "engagements",
            Metric::Favorites => "favorites",
            Metric::Retweets => "retweets",
            Metric::Replies => "replies",
            Metric::QuoteTweets => "quote_tweets",
            Metric::VideoViews => "video_views",
            Metric::MediaViews => "media_views",
            Metric::MediaEngagements => "media_engagements",
            Metric::UrlClicks => "url_clicks",
            Metric::HashtagClicks => "hashtag_clicks",
            Metric::DetailExpands => "detail_expands",
            Metric::PermalinkClicks => "permalink_clicks",
            Metric::AppInstallAttempts => "app_install_attempts",
            Metric::AppOpens => "app_opens",
            Metric::EmailTweet => "email_tweet",
            Metric::UserFollows => "user_follows",
            Metric::UserProfileClicks => "user_profile_clicks",
            Metric::MediaClicks => "media_clicks",
        }
    }

    /// The meaning, as far as X explains it (reference 2).
    pub const fn about(self) -> &'static str {
        match self {
            Metric::Impressions => "how often the post was shown, organic impressions only",
            Metric::Engagements => {
                "all interactions with the post, organic and promoted; not the sum of the other types"
            }
            Metric::Favorites => "likes",
            Metric::Retweets => "reposts",
            Metric::Replies => "replies",
            Metric::QuoteTweets => "quote posts, since 2020-07-07; on `totals` only",
            Metric::VideoViews => {
                "video views, with half of the picture in view for 2 seconds, without GIFs; `totals` counts every post that shares the video"
            }
            Metric::MediaViews => "views of videos, GIFs and pictures, autoplayed or clicked",
            Metric::MediaEngagements => "clicks on media",
            Metric::UrlClicks => "clicks on links, hashtags included",
            Metric::HashtagClicks => "clicks on hashtags",
            Metric::DetailExpands => "how often the post was expanded for details",
            Metric::PermalinkClicks => "clicks on the link to the post itself",
            Metric::AppInstallAttempts => "attempts to install an app from the post",
            Metric::AppOpens => "how often an app was opened from the post",
            Metric::EmailTweet => "how often the post was shared by email",
            Metric::UserFollows => "follows of the author from the post",
            Metric::UserProfileClicks => "clicks on the author's name or picture",
            Metric::MediaClicks => {
                "the name of `media_engagements` before 2017-10-09, which X may still accept"
            }
        }
    }

    pub fn from_name(name: &str) -> Option<Metric> {
        Some(match name {
            "impressions" => Metric::Impressions,
            "engagements" => Metric::Engagements,
            "favorites" => Metric::Favorites,
            "retweets" => Metric::Retweets,
            "replies" => Metric::Replies,
            "quote_tweets" => Metric::QuoteTweets,
            "video_views" => Metric::VideoViews,
            "media_views" => Metric::MediaViews,
            "media_engagements" => Metric::MediaEngagements,
            "url_clicks" => Metric::UrlClicks,
            "hashtag_clicks" => Metric::HashtagClicks,
            "detail_expands" => Metric::DetailExpands,
            "permalink_clicks" => Metric::PermalinkClicks,
            "app_install_attempts" => Metric::AppInstallAttempts,
            "app_opens" => Metric::AppOpens,
            "email_tweet" => Metric::EmailTweet,
            "user_follows" => Metric::UserFollows,
            "user_profile_clicks" => Metric::UserProfileClicks,
            "media_clicks" => Metric::MediaClicks,
            _ => return None,
        })
    }

    /// The metric that was probably meant by a name that is none: one of X's other names, or a misspelt one.
    pub fn meant_by(name: &str) -> Option<Metric> {
        let name = name.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        let singular = name.strip_suffix('s').unwrap_or(&name);
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == singular);
        elsewhere.map(|(_, metric)| *metric).or_else(|| {
            let nearest = nearest(&name, Metric::ALL.map(Metric::name))?;
            Metric::from_name(nearest)
        })
    }

    /// Whether the endpoint serves this metric.
    pub const fn is_served_by(self, endpoint: Endpoint) -> bool {
        match (self, endpoint) {
            (Metric::QuoteTweets, Endpoint::TwentyEightHours | Endpoint::Historical) => false,
            (metric, Endpoint::Totals) => metric.is_public() || metric.is_private_on_totals(),
            _ => true,
        }
    }

    /// Whether `totals` gives it for any post, with the app's credentials alone.
    pub const fn is_public(self) -> bool {
        matches!(
            self,
            Metric::Favorites
                | Metric::Retweets
                | Metric::Replies
                | Metric::QuoteTweets
                | Metric::VideoViews
        )
    }

    /// Whether `totals` gives it to the author alone, and for posts of the last 90 days.
    pub const fn is_private_on_totals(self) -> bool {
        matches!(self, Metric::Impressions | Metric::Engagements)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_reference() {
        let served =
            |endpoint| Metric::ALL.iter().filter(|metric| metric.is_served_by(endpoint)).count();
        assert_eq!(served(Endpoint::Totals), 7);
        assert_eq!(served(Endpoint::TwentyEightHours), 17 + 1, "and the old name of one");
        assert_eq!(served(Endpoint::Historical), 17 + 1);
        assert_eq!(Metric::ALL.iter().filter(|metric| metric.is_public()).count(), 5);
    }

    #[test]
    fn names_read_back() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
        assert_eq!(Metric::from_name("likes"), None);
    }

    #[test]
    fn other_names_and_typos_are_understood() {
        for (name, meant) in [
            ("likes", "favorites"),
            ("Like", "favorites"),
            ("favourites", "favorites"),
            ("like_count", "favorites"),
            ("retweet_count", "retweets"),
            ("Quote Tweets", "quote_tweets"),
            ("quotes", "quote_tweets"),
            ("link_clicks", "url_clicks"),
            ("url_click", "url_clicks"),
            ("profile_clicks", "user_profile_clicks"),
            ("video_view", "video_views"),
            ("view_count", "video_views"),
            ("views", "impressions"),
            ("impresions", "impressions"),
            ("follows", "user_follows"),
        ] {
            assert_eq!(Metric::meant_by(name).map(Metric::name), Some(meant), "{name}");
        }
        // Version 2 counts more than this API does.
        for name in ["bookmarks", "shares", "saves", "unfollows", "unlikes", "", "something else"] {
            assert_eq!(Metric::meant_by(name), None, "{name}");
        }
        for (name, metric) in ELSEWHERE {
            assert_eq!(Metric::from_name(name), None, "{name}");
            assert_eq!(Metric::meant_by(&format!("{name}s")), Some(metric));
        }
    }
}
