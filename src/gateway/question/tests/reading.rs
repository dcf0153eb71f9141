//! Valid questions are understood, and every mistake is found, with its place and what would be right.

use time::Duration;
use time::macros::datetime;

use crate::gateway::call::check::{Now, rfc3339};
use crate::gateway::question::tests::{LIMITS, NOW};
use crate::gateway::question::{Question, Span, Window};
use crate::model::{AccountRef, GroupBy, Metric, UserId};

const REQUIRED: &str = r#""tweet_ids":["20"],"engagement_types":["favorites"]"#;

fn read(body: &str) -> Result<Question, Vec<String>> {
    let read = Question::read(body.as_bytes(), &LIMITS, Now::exact(NOW));
    read.map_err(|problems| {
        problems.iter().map(|problem| format!("{} {}", problem.place, problem.detail)).collect()
    })
}

fn with(rest: &str) -> String {
    format!("{{{REQUIRED},{rest}}}")
}

#[track_caller]
fn finds(body: &str, place: &str, words: &str) {
    let found = read(body).expect_err(body);
    assert_eq!(found.len(), 1, "{body}: {found:?}");
    assert!(found[0].starts_with(&format!("{place} ")) && found[0].contains(words), "{found:?}");
}

#[test]
fn what_is_left_out_has_defaults() {
    let question = read(&format!("{{{REQUIRED}}}")).unwrap();
    assert_eq!((&*question.posts, &*question.metrics), (&[20][..], &[Metric::Favorites][..]));
    assert_eq!(question.window, Window::Totals);
    assert_eq!(question.groupings[0].name, "by_tweet");
    assert_eq!(question.groupings[0].group_by, [GroupBy::TweetId, GroupBy::EngagementType]);
    assert_eq!((question.groupings.len(), question.accounts), (1, None));
    assert!(question.owners.is_empty());
}

#[test]
fn a_question_with_everything_is_read() {
    let question = read(
        r#"{"tweet_ids":[" 21\n",20,"21","021",20],"engagement_types":["url_clicks","impressions","url_clicks"],
        "window":{"start":"2026-01-01","end":"2026-03-30T12:00:00.5+02:00"},
        "groupings":{"a":{"group_by":["engagement.hour"]},"b":{"group_by":["tweet.id","engagement.type","engagement.day","engagement.hour"]}},
        "accounts":["7588892","@Alice",12,"@alice"],"owners":{"20":"7588892"," 21":12}}"#,
    )
    .unwrap();
    assert_eq!(question.posts, [21, 20]);
    assert_eq!(question.metrics, [Metric::UrlClicks, Metric::Impressions]);
    let (start, end) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-03-30 10:00:01 UTC));
    assert_eq!(question.window, Window::Range(Span { start, end }));
    let id = |text| UserId::parse(text).unwrap();
    let accounts = [
        AccountRef::Id(id("7588892")),
        AccountRef::ScreenName("alice".to_owned()),
        AccountRef::Id(id("12")),
    ];
    assert_eq!(question.accounts.as_deref(), Some(&accounts[..]));
    assert_eq!(question.owners, [(20, id("7588892")), (21, id("12"))].into());
    assert_eq!(read(&with(r#""window":"28hr""#)).unwrap().window, Window::TwentyEightHours);
}

#[test]
fn a_post_may_be_named_by_its_url() {
    let question = read(
        r#"{"tweet_ids":["https://x.com/jack/status/20?s=46","20"," twitter.com/i/web/status/21\n"],
        "engagement_types":["favorites"],
        "owners":{"https://mobile.twitter.com/jack/statuses/20/photo/1":"12","21":"13"}}"#,
    )
    .unwrap();
    assert_eq!(question.posts, [20, 21]);
    let id = |text| UserId::parse(text).unwrap();
    assert_eq!(question.owners, [(20, id("12")), (21, id("13"))].into());
    for (wrong, words) in [
        ("https://x.com/jack", "or the URL of a post, not \"https://x.com/jack\""),
        ("https://example.com/jack/status/20", "must be a post id of 1 to 19 digits, as a string"),
        ("https://x.com/jack/status/9999999999999999999", "no post id is above"),
    ] {
        let body = format!(r#"{{"tweet_ids":["{wrong}"],"engagement_types":["favorites"]}}"#);
        finds(&body, "/tweet_ids/0", words);
    }
    let twice = r#""owners":{"20":1,"https://x.com/jack/status/20":2}"#;
    finds(&with(twice), "/owners/https:~1~1x.com~1jack~1status~120", "already has another author");
    let other = r#""owners":{"x.com/jack/status/21":1}"#;
    finds(&with(other), "/owners/x.com~1jack~1status~121", "not in tweet_ids");
}

#[test]
fn a_question_may_begin_with_a_byte_order_mark() {
    assert_eq!(read(&format!("\u{feff}{{{REQUIRED}}}")).unwrap().posts, [20]);
}

#[test]
fn an_end_a_moment_ahead_is_now() {
    for (end, sent) in [
        ("2026-06-15T12:35:50Z", NOW),
        ("2026-06-15T12:34:00.9Z", datetime!(2026-06-15 12:34 UTC)),
        ("2026-06-15T12:00:00.9Z", datetime!(2026-06-15 12:00:01 UTC)),
    ] {
        let body = with(&format!(r#""window":{{"start":"2026-06-01","end":"{end}"}}"#));
        let Window::Range(span) = read(&body).unwrap().window else { panic!("{body}") };
        assert_eq!(span.end, sent, "{end}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = read(
        r#"{"tweet_ids":["a",2,9223372036854775808,2],"engagement_types":["likes","quote_tweets"],
        "window":{"start":"2025-06-15T11:59:59Z","end":"2026-06-16","zone":"CET"},
        "groupings":{"end":{"group_by":["tweet.id","nope"],"sort":1}},
        "accounts":["alice",null],"owners":{"3":"1","2":"@x","y":1},"tweets":[],"accounts":[]}"#,
    );
    let places = [
        "/accounts this key occurs more",
        "/tweets unknown key (known: tweet_ids,",
        "/tweet_ids/0 must be a post id",
        "/tweet_ids/2 no post id is above 9223372036854775807",
        "/engagement_types/0 \"likes\" is not an engagement type; did you mean favorites? historical",
        "/engagement_types/1 quote_tweets is not served by historical",
        "/window/zone unknown key (known: start, end, last)",
        "/window/start is more than 365 days ago; the earliest start is 2025-06-15T12:00:00Z",
        "/groupings/end/sort unknown key (known: group_by)",
        "/groupings/end is the name of a key in the answer",
        "/groupings/end/group_by/1 \"nope\" is not a grouping value",
        "/accounts/0 must be a user id of 1 to 19 digits or @screen_name, not \"alice\"",
        "/accounts/1 must be a user id",
        "/owners/3 this post is not in tweet_ids",
        "/owners/2 must be a user id of 1 to 19 digits, not \"@x\"",
        "/owners/y this post is not in tweet_ids",
    ];
    let found = found.unwrap_err();
    for (found, place) in found.iter().zip(places) {
        assert!(found.starts_with(place), "{found:?} is not {place:?}");
    }
    assert_eq!(found.len(), places.len(), "{found:?}");
}

#[test]
fn windows_are_within_limits() {
    let range =
        |start: &str, end: &str| with(&format!(r#""window":{{"start":"{start}","end":"{end}"}}"#));
    assert!(read(&range("2025-06-15T12:00:00Z", "2026-06-15T12:34:56Z")).is_ok(), "365 days");
    finds(&range("2025-06-14T12:34:56Z", "2026-06-15"), "/window/start", "365 days ago");
    finds(&range("0000-01-01T00:00:00Z", "2026-06-15"), "/window/start", "365 days ago");
    let cut = read(&range("2026-06-01", "9999-12-31T23:59:59Z")).unwrap();
    let Window::Range(span) = cut.window else { panic!("{cut:?}") };
    assert_eq!((span.end, cut.notes.len(), cut.is_by_our_clock), (NOW, 1, true));
    // UTC has no such years.
    finds(
        &range("0000-01-01T00:00:00+23:00", "2026-06-15"),
        "/window/start",
        "must be a time like",
    );
    finds(&range("2026-06-01", "9999-12-31T23:59:59-23:00"), "/window/end", "must be a time like");
    finds(&range("2026-06-15T12:34:56Z", "2026-06-15T12:35:10Z"), "/window/start", "future");
    finds(&range("2026-06-01", "2026-06-01"), "/window/end", "after start");
    finds(&range("yesterday", "2026-06-01"), "/window/start", "must be a time like");
    finds(&with(r#""window":{"start":"2026-06-01"}"#), "/window/end", "is missing");
    for wrong in ["7", r#""totals ""#, r#""28h""#, "[]"] {
        finds(&with(&format!(r#""window":{wrong}"#)), "/window", "must be \"totals\", \"28hr\"");
    }
}

#[test]
fn an_unknown_window_blames_nothing_else() {
    let day = r#"{"g":{"group_by":["engagement.day"]}}"#;
    for (types, groupings) in
        [("quote_tweets", r#"{"g":{"group_by":["tweet.id"]}}"#), ("app_opens", day)]
    {
        let body = format!(
            r#"{{"tweet_ids":[1],"engagement_types":["{types}"],"window":"week","groupings":{groupings}}}"#
        );
        finds(&body, "/window", "not \"week\"");
    }
}

#[test]
fn what_is_no_question_is_refused() {
    finds("", "", "is empty; send a JSON object with tweet_ids and engagement_types");
    finds("[]", "", "must be an object");
    finds(r#"{"tweet_ids":[NaN]}"#, "", "not JSON");
    assert_eq!(read("{}").unwrap_err().len(), 2, "tweet_ids and engagement_types");
    finds(&with(r#""accounts":[]"#), "/accounts", "is empty");
    finds(&with(r#""accounts":"@a""#), "/accounts", "must be an array");
    finds(&with(r#""owners":["20"]"#), "/owners", "must be an object of post ids");
    finds(&with(r#""owners":{"20":1,"020":2}"#), "/owners/020", "already has another author, 1");
    finds(&with(r#""groupings":{}"#), "/groupings", "is empty");
    finds(
        &with(r#""groupings":{"g":{"group_by":["engagement.hour"]}}"#),
        "/groupings/g/group_by/0",
        "no time series",
    );
}

#[test]
fn too_many_posts_are_refused() {
    let ids = |count: u64| {
        let first = 1_560_000_000_000_000_000;
        let ids: Vec<String> = (0..count).map(|index| (first + index).to_string()).collect();
        format!(r#"{{"tweet_ids":[{}],"engagement_types":["favorites"]}}"#, ids.join(","))
    };
    assert_eq!(read(&ids(10_000)).unwrap().posts.len(), 10_000);
    finds(&ids(10_001), "/tweet_ids", "has 10001 ids; a question takes at most 10000");
}

#[test]
fn a_clock_that_may_be_wrong_forbids_no_near_time() {
    let read = |now, start: &str, end: &str| {
        let window = format!(r#"{{"start":"{start}","end":"{end}"}}"#);
        let body =
            format!(r#"{{"tweet_ids":[1],"engagement_types":["impressions"],"window":{window}}}"#);
        Question::read(body.as_bytes(), &LIMITS, now).map(|question| question.window)
    };
    let (start, end) = ("2026-06-15T12:40:00Z", "2026-06-15T12:44:56Z");
    assert!(read(Now::exact(NOW), start, end).is_err());
    let expected =
        Span { start: datetime!(2026-06-15 12:40:00 UTC), end: datetime!(2026-06-15 12:44:56 UTC) };
    assert_eq!(read(Now::uncertain(NOW), start, end), Ok(Window::Range(expected)));
    let early = rfc3339(NOW - Duration::days(LIMITS.days.into()) - Duration::HOUR);
    assert!(read(Now::exact(NOW), &early, end).is_err());
    assert!(read(Now::uncertain(NOW), &early, end).is_ok());
    let cut = Window::Range(Span { end: expected.start + Duration::SECOND, ..expected });
    assert_eq!(read(Now::uncertain(NOW), start, "2026-07-15"), Ok(cut), "X decides");
}
