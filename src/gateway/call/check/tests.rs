//! Every mistake is found, each with its place and with what would be right.

use time::macros::datetime;

use super::*;

const NOW: Now = Now::exact(datetime!(2026-06-15 12:34:56 UTC));

fn body(change: &str) -> String {
    let plain = r#"{"tweet_ids":["1"],"engagement_types":["favorites"],"groupings":{"g":{"group_by":["tweet.id"]}}}"#;
    if change.is_empty() { plain.to_owned() } else { change.to_owned() }
}

fn problems(endpoint: Endpoint, body: &str) -> Vec<String> {
    let found = check(endpoint, body.as_bytes(), NOW).problems;
    found.iter().map(|problem| format!("{} {}", problem.place, problem.detail)).collect()
}

#[track_caller]
fn finds(endpoint: Endpoint, body: &str, place: &str, words: &str) {
    let found = problems(endpoint, body);
    assert_eq!(found.len(), 1, "{body}: {found:?}");
    assert!(
        found[0].starts_with(&format!("{place} ")) && found[0].contains(words),
        "{body}: {found:?}"
    );
}

fn with(ids: &str, types: &str, groupings: &str) -> String {
    format!(r#"{{"tweet_ids":{ids},"engagement_types":{types},"groupings":{groupings}}}"#)
}

fn grouped(groupings: &str) -> String {
    with(r#"["1"]"#, r#"["favorites"]"#, groupings)
}

const G: &str = r#"{"g":{"group_by":["tweet.id"]}}"#;

#[test]
fn a_right_body_is_read() {
    let text = with(
        r#"[1560000000000000000, " 20\n", "9999999999999999999"]"#,
        r#"["impressions","url_clicks"]"#,
        r#"{"a b":{"group_by":["engagement.type","tweet.id","engagement.day","engagement.hour"]},"h":{"group_by":["engagement.hour"]}}"#,
    );
    let Checked { posts, metrics, problems } =
        check(Endpoint::TwentyEightHours, text.as_bytes(), NOW);
    assert_eq!((&*metrics, &*problems), (&[Metric::Impressions, Metric::UrlClicks][..], &[][..]));
    assert_eq!(posts, 3);
    assert!(check(Endpoint::Totals, body("").as_bytes(), NOW).problems.is_empty());
}

#[test]
fn what_is_no_json_object_is_refused() {
    for text in ["", " \n", "\u{feff}"] {
        finds(Endpoint::Totals, text, "", "is empty; send a JSON object");
    }
    for text in ["{", "nope", "{\"a\":}", "{}\u{feff}", "{} {}", r#"{"a":"\ud800"}"#] {
        finds(Endpoint::Totals, text, "", "not JSON");
    }
    for text in ["[]", "null", "7", "\"x\""] {
        finds(Endpoint::Totals, text, "", "must be an object");
    }
}

#[test]
fn duplicate_keys_are_found_at_any_depth() {
    finds(
        Endpoint::Totals,
        r#"{"tweet_ids":["1"],"tweet_ids":["2"],"engagement_types":["favorites"],"groupings":{"g":{"group_by":["tweet.id"]}}}"#,
        "/tweet_ids",
        "more than once",
    );
    finds(
        Endpoint::Totals,
        &grouped(r#"{"a/b":{"group_by":["tweet.id"],"group_by":["tweet.id"]}}"#),
        "/groupings/a~1b/group_by",
        "more than once",
    );
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{}{}", "[".repeat(20), "]".repeat(20));
    let text =
        with(r#"["1"]"#, r#"["favorites"]"#, G).replacen('{', &format!(r#"{{"x":{deep},"#), 1);
    assert!(problems(Endpoint::Totals, &text)[0].contains("deeper than 16"));
}

#[test]
fn wrong_ids_are_named() {
    for id in [
        r#""""#,
        r#""abc""#,
        r#""12345678901234567890""#,
        "-1",
        "1.5",
        "1e3",
        "12345678901234567890",
        "null",
        "true",
        r#""1 2""#,
        r#""+1""#,
        "[1]",
    ] {
        let text = with(&format!(r#"["1",{id}]"#), r#"["favorites"]"#, G);
        finds(Endpoint::Totals, &text, "/tweet_ids/1", "1 to 19 digits");
    }
    finds(Endpoint::Totals, &with("[]", r#"["favorites"]"#, G), "/tweet_ids", "empty");
    finds(
        Endpoint::Totals,
        &with(r#""1""#, r#"["favorites"]"#, G),
        "/tweet_ids",
        "must be an array",
    );
}

#[test]
fn each_endpoint_has_its_own_number_of_ids() {
    for (endpoint, most) in
        [(Endpoint::Totals, 250), (Endpoint::TwentyEightHours, 25), (Endpoint::Historical, 25)]
    {
        let ids = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(problems(endpoint, &with(&ids(most), r#"["favorites"]"#, G)).is_empty());
        finds(
            endpoint,
            &with(&ids(most + 1), r#"["favorites"]"#, G),
            "/tweet_ids",
            &format!("at most {most}"),
        );
    }
}

#[test]
fn engagement_types_are_those_of_the_endpoint() {
    let of = |name: &str| with(r#"["1"]"#, &format!("[{name:?}]"), G);
    finds(Endpoint::Totals, &of("likes"), "/engagement_types/0", "did you mean favorites? totals");
    finds(
        Endpoint::Totals,
        &of("link_clicks"),
        "/engagement_types/0",
        "did you mean url_clicks, served by 28hr and historical? totals serves impressions, ",
    );
    finds(Endpoint::Totals, &of("bookmarks"), "/engagement_types/0", "engagement type; totals");
    finds(
        Endpoint::Totals,
        &of("url_clicks"),
        "/engagement_types/0",
        "only by 28hr and historical",
    );
    finds(Endpoint::Historical, &of("quote_tweets"), "/engagement_types/0", "only by totals");
    finds(Endpoint::Totals, &with(r#"["1"]"#, "[7]", G), "/engagement_types/0", "7 is not");
    for metric in Metric::ALL {
        for endpoint in Endpoint::ALL {
            let found = problems(endpoint, &of(metric.name()));
            assert_eq!(found.is_empty(), metric.is_served_by(endpoint), "{metric} {endpoint}");
        }
    }
}

#[test]
fn groupings_follow_the_rules() {
    let (t, e, d, h) = ("tweet.id", "engagement.type", "engagement.day", "engagement.hour");
    let one = |levels: &[&str]| grouped(&format!(r#"{{"g":{{"group_by":{levels:?}}}}}"#));
    let hours = Endpoint::TwentyEightHours;
    for levels in [&[t][..], &[e], &[h], &[t, d, e], &[e, t, h], &[t, e, d, h], &[e, t, d, h]] {
        assert!(problems(hours, &one(levels)).is_empty(), "{levels:?}");
    }
    finds(hours, &one(&[d, h, t, e]), "/groupings/g/group_by", "four values must be in");
    finds(hours, &one(&[t, e, h, d]), "/groupings/g/group_by", "four values must be in");
    finds(hours, &one(&[t, t]), "/groupings/g/group_by/1", "twice");
    finds(
        hours,
        &one(&["Tweet.id"]),
        "/groupings/g/group_by/0",
        "\"Tweet.id\" is not a grouping value",
    );
    finds(hours, &one(&[]), "/groupings/g/group_by", "empty");
    finds(Endpoint::Totals, &one(&[t, h]), "/groupings/g/group_by/1", "no time series");
    finds(hours, &grouped("{}"), "/groupings", "empty");
    finds(hours, &grouped("[]"), "/groupings", "must be an object");
    finds(hours, &grouped(r#"{"g":[]}"#), "/groupings/g", "must be an object");
    finds(hours, &grouped(r#"{"g":{}}"#), "/groupings/g/group_by", "missing");
    let four: Vec<_> =
        ["a", "b", "c", "d"].map(|name| format!(r#""{name}":{{"group_by":["tweet.id"]}}"#)).into();
    finds(hours, &grouped(&format!("{{{}}}", four.join(","))), "/groupings", "at most 3");
    let full = format!(r#"{{"group_by":{:?}}}"#, [t, e, d, h]);
    finds(hours, &grouped(&format!(r#"{{"a":{full},"b":{full}}}"#)), "/groupings", "four values");
    for name in RESERVED_NAMES {
        finds(
            hours,
            &grouped(&format!(r#"{{"{name}":{{"group_by":["tweet.id"]}}}}"#)),
            &format!("/groupings/{name}"),
            "choose another",
        );
    }
}

#[test]
fn windows_are_checked_on_historical_alone() {
    let window = |start: &str, end: &str| {
        body("").replacen('{', &format!(r#"{{"start":{start},"end":{end},"#), 1)
    };
    let historical = Endpoint::Historical;
    for (start, end) in [
        (r#""2026-05-01""#, r#""2026-05-29""#),
        (r#""2026-05-01T00:00:00Z""#, r#""2026-05-29T00:00:00""#),
        (r#""2026-05-01T00:00:00+00:00""#, r#""2026-05-29""#),
        (r#""2026-06-15T12:00:00""#, r#""2026-06-15T12:34:56Z""#),
        (r#""2026-05-01T02:00:00+02:00""#, r#""2026-05-29""#),
    ] {
        assert_eq!(problems(historical, &window(start, end)), Vec::<String>::new());
    }
    finds(
        historical,
        &window(r#""2026-05-01""#, r#""2026-05-29T00:00:01Z""#),
        "/end",
        "2026-05-29T00:00:00Z",
    );
    finds(historical, &window(r#""2026-06-01""#, r#""2026-06-16""#), "/end", "future");
    finds(historical, &window(r#""2026-06-01""#, r#""2026-06-01""#), "/end", "after start");
    for wrong in [
        r#""yesterday""#,
        r#""202601010000""#,
        r#""2026-13-01""#,
        "7",
        "null",
        r#""2026-01-01 00:00:00""#,
    ] {
        finds(historical, &window(wrong, r#""2026-06-01""#), "/start", "must be a time");
    }
    assert!(problems(Endpoint::Totals, &window("7", "7")).is_empty(), "totals has no window");
}

#[test]
fn no_part_of_a_body_crowds_out_another() {
    let ids = format!("[{}]", vec!["\"x\""; 250].join(","));
    let text = with(&ids, r#"["likes"]"#, r#"{"g":7}"#);
    let found = check(Endpoint::Totals, text.as_bytes(), NOW).problems;
    let places: Vec<String> =
        found.iter().skip(99).map(|problem| problem.place.to_string()).collect();
    let expected = ["/tweet_ids/99", "/tweet_ids", "/engagement_types/0", "/groupings/g"];
    assert_eq!(places, expected);
    assert_eq!(found[100].detail, "has 150 more problems, which are not listed");
    assert_eq!(found.iter().map(|problem| problem.stands_for).sum::<usize>(), 252);
}

#[test]
fn all_problems_of_a_body_are_reported_at_once() {
    let text = r#"{"start":"x","end":7,"tweet_ids":["a",2,"b"],"engagement_types":["likes","quote_tweets"],
        "groupings":{"end":{"group_by":["tweet.id","nope"]}}}"#;
    let found = problems(Endpoint::Historical, text);
    let places: Vec<&str> =
        found.iter().map(|problem| problem.split(' ').next().unwrap()).collect();
    let expected = [
        "/tweet_ids/0",
        "/tweet_ids/2",
        "/engagement_types/0",
        "/engagement_types/1",
        "/groupings/end",
        "/groupings/end/group_by/1",
        "/start",
        "/end",
    ];
    assert_eq!(places, expected);
    assert_eq!(problems(Endpoint::Totals, "{}").len(), 3);
}

#[test]
fn a_clock_that_may_be_wrong_is_held_against_no_near_time() {
    let checked = |now: Now, end: &str| {
        let body = format!(
            r#"{{"tweet_ids":["1"],"engagement_types":["impressions"],"groupings":{{"a":{{"group_by":["tweet.id"]}}}},"start":"2026-06-14","end":"{end}"}}"#
        );
        check(Endpoint::Historical, body.as_bytes(), now).problems.len()
    };
    let uncertain = Now::uncertain(NOW.at);
    assert_eq!(
        (checked(NOW, "2026-06-15T12:44:56Z"), checked(uncertain, "2026-06-15T12:44:56Z")),
        (1, 0)
    );
    assert_eq!(checked(uncertain, "2026-06-16T12:35:56Z"), 0);
    assert_eq!(checked(uncertain, "2026-06-16T12:35:57Z"), 1);
}
