//! The charts of an answer on the explore page: they draw the numbers of its table, and say what they leave out.

use countersign::model::{Endpoint, Metric};
use countersign::sandbox::Settings;
use serde_json::json;

use crate::console::explore::{EXPLORE, cells, column};
use crate::console::{Visitor, is_page};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::upstream::{TestSandbox, small};

/// The picture with that title.
fn figure<'a>(page: &'a str, title: &str) -> &'a str {
    let caption = format!("<figcaption>{title}</figcaption>");
    let figure = page.split_once(&caption).unwrap_or_else(|| panic!("no {title}: {page}")).1;
    figure.split_once("</figure>").unwrap().0
}

fn titles(page: &str) -> Vec<&str> {
    let after = page.split("<figcaption>").skip(1);
    after.map(|rest| rest.split_once('<').unwrap().0).collect()
}

/// Every text between the two markers.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split_once(after).unwrap().0).collect()
}

/// A ranking's names, the labels of their bars, and the bars' lengths.
fn bars(figure: &str) -> Vec<(String, String, u64)> {
    let texts = |group: &str| {
        let group = figure.split_once(group).unwrap().1.split_once("</g>").unwrap().0;
        let texts = group.split("</text>").filter_map(|part| Some(part.rsplit_once('>')?.1));
        texts.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect::<Vec<_>>()
    };
    let names = texts("<g text-anchor=\"end\">");
    let shown = texts("</g>\n<g>");
    let rects = between(figure, "<rect ", "/>");
    let width = |rect: &&str| between(rect, "width=\"", "\"")[0].parse().unwrap();
    let widths = rects.iter().map(width).chain(std::iter::repeat(0));
    names
        .into_iter()
        .zip(shown)
        .zip(widths)
        .map(|((name, value), width)| (name, value, width))
        .collect()
}

/// The points of a chart's lines in its first picture, each a list of x to the right and y from the axis up.
fn lines(figure: &str) -> Vec<Vec<(f64, f64)>> {
    let picture = between(figure, "<svg class=\"picture ", "</svg>")[0];
    let (grid, drawn): (Vec<&str>, Vec<&str>) =
        between(picture, "<polyline ", "/>").into_iter().partition(|line| line.contains("grid"));
    let axis = grid.into_iter().flat_map(points).map(|point| point.1).fold(0.0, f64::max);
    drawn.into_iter().map(|line| points(line).map(|(x, y)| (x, axis - y)).collect()).collect()
}

fn points(polyline: &str) -> impl Iterator<Item = (f64, f64)> {
    let points = between(polyline, "points=\"", "\"")[0].split_whitespace();
    let point =
        |text: &str| text.split_once(',').map(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    points.map(move |text| point(text).flatten().unwrap())
}

/// Whether the heights above the axis are in proportion to the numbers.
#[track_caller]
fn are_as_high_as(line: &[(f64, f64)], numbers: &[u64]) {
    assert_eq!(line.len(), numbers.len());
    let most = numbers.iter().max().unwrap();
    assert!(*most > 0, "{numbers:?}");
    let heights: Vec<f64> = line.iter().map(|point| point.1).collect();
    let highest = heights.iter().copied().fold(0.0, f64::max);
    assert!(highest > 60.0, "{heights:?}");
    for (height, number) in heights.iter().zip(numbers) {
        let right = f64::from(u32::try_from(*number).unwrap()) * highest
            / f64::from(u32::try_from(*most).unwrap());
        assert!((height - right).abs() <= 1.5, "{number} is {height} high, not {right}");
    }
}

fn fields<'a>(
    ids: &'a str,
    metrics: &[&'a str],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let metrics = metrics.iter().map(|metric| ("metrics", *metric));
    [("tweets", ids), ("wants", "answer")]
        .into_iter()
        .chain(metrics)
        .chain(more.iter().copied())
        .collect()
}

/// The numbers in the table's rows that contain this text.
fn numbers(rows: &[Vec<String>], text: &str) -> Vec<u64> {
    let of = rows.iter().filter(|row| row.iter().any(|cell| cell == text));
    of.map(|row| row.last().unwrap().parse().unwrap()).collect()
}

/// The beginning of a chart's own table.
const TABLE: &str = "<summary>Show as table</summary>";

const DAYS: [(&str, &str); 3] =
    [("window", "range"), ("start", "2026-03-01"), ("end", "2026-03-09")];

async fn posts_are_ranked_with_a_chart_for_each_metric(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    let visitor = Visitor::admin(&gateway).await;
    let posts = gateway.sandbox.posts("alice");
    let (own, foreign) = (gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("carol", 1));
    let ids = [&own[..], &foreign].concat().join(" ");
    let page = visitor
        .send(
            EXPLORE,
            &fields(
                &ids,
                &["impressions", "favorites"],
                &[("window", "totals"), ("group", "post")],
            ),
        )
        .await;
    is_page(&page, 200);
    let text = page.text();
    assert_eq!(titles(&text), ["impressions by post", "favorites by post"]);
    let bars_of = bars(figure(&text, "impressions by post"));
    let mut expected: Vec<(u64, &str)> = own
        .iter()
        .map(|id| {
            let post = posts.iter().find(|post| post.id == *id).unwrap();
            (post.totals["impressions"], &**id)
        })
        .collect();
    expected.sort_by(|one, other| other.cmp(one));
    let names: Vec<&str> = bars_of.iter().map(|bar| &*bar.0).collect();
    assert_eq!(
        names[..3],
        expected.iter().map(|bar| bar.1).collect::<Vec<_>>()[..],
        "the largest first"
    );
    assert_eq!((names[3], &*bars_of[3].1), (&*foreign[0], "no number"));
    for ((_, shown, width), (number, _)) in bars_of.iter().zip(&expected) {
        assert!(*shown == number.to_string() || *number >= 1_000_000, "{shown} for {number}");
        let right = number * bars_of[0].2 / expected[0].0;
        assert!(width.abs_diff(right) <= 1, "{number} is {width} long, not {right}");
    }
    let favorites = bars(figure(&text, "favorites by post"));
    assert_eq!(favorites.iter().map(|bar| &*bar.0).collect::<Vec<_>>(), names, "in the same order");
    assert!(text.contains("The posts with the most impressions come first."), "{text}");
    assert!(
        text.contains(
            "aria-label=\"Chart: favorites by post. The numbers are in the table below.\""
        ),
        "{text}"
    );
}

async fn a_year_is_drawn_by_day(visitor: &Visitor<'_>, ids: &str, metrics: &[&str]) {
    let year = [("window", "range"), ("start", "2025-03-11"), ("end", "2026-03-10")];
    for (group, told) in [
        ("post_day", "The numbers of all 40 posts are added up."),
        ("hour", "Periods of more than 400 hours are drawn by day. The CSV has every hour."),
    ] {
        let page = visitor
            .send(EXPLORE, &fields(ids, metrics, &[&year[..], &[("group", group)]].concat()))
            .await;
        is_page(&page, 200);
        let text = page.text();
        assert!(text.contains(told), "{group}: {text}");
        let line = lines(figure(&text, "impressions by day")).remove(0);
        assert_eq!(line.len(), 364, "{group}");
        assert_eq!(text.matches(TABLE).count(), titles(&text).len(), "{group}");
        assert_eq!(titles(&text).len(), 2, "as the tables leave room for: {group}");
        assert!(text.len() < 100_000, "{group}: {}", text.len());
    }
}

async fn of_many_posts_and_metrics_the_largest_are_drawn_and_the_page_stays_small(
    database: Database,
) {
    let sandbox = TestSandbox::start_with(Settings { posts_per_user: 60, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.ids("alice", 40).join("\n");
    let metrics: Vec<&str> = Metric::ALL
        .iter()
        .filter(|metric| metric.is_served_by(Endpoint::TwentyEightHours))
        .map(|metric| metric.name())
        .collect();
    for (group, drawn, tables, told) in [
        (
            "post",
            8,
            0,
            &[
                "The charts show the 10 posts with the most impressions, out of 40. The CSV has all of them.",
                "There was no room for charts of ",
            ][..],
        ),
        (
            "post_day",
            8,
            8,
            &[
                "The 5 posts with the most impressions have a line each; the other 35 are added up.",
                "There was no room for charts of ",
            ],
        ),
        (
            "post_hour",
            5,
            5,
            &["The 5 posts with the most impressions", "The last hour is incomplete"],
        ),
        ("hour", 8, 0, &["There was no room for charts of "]),
    ] {
        let page = visitor
            .send(EXPLORE, &fields(&ids, &metrics, &[("window", "28hr"), ("group", group)]))
            .await;
        is_page(&page, 200);
        let text = page.text();
        assert_eq!(titles(&text).len(), drawn, "{group}: {text}");
        assert_eq!(
            text.matches(TABLE).count(),
            tables,
            "{group}: charts have tables if rows are left out: {text}"
        );
        for told in told {
            assert!(text.contains(told), "{group}: {told}: {text}");
        }
        assert!(text.len() < 100_000, "{group}: {}", text.len());
    }
    a_year_is_drawn_by_day(&visitor, &ids, &metrics).await;
}

async fn days_and_hours_are_lines_with_the_tables_numbers(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.ids("alice", 12).join(" ");
    let page = visitor
        .send(
            EXPLORE,
            &fields(
                &ids,
                &["impressions", "url_clicks"],
                &[&DAYS[..], &[("group", "day")]].concat(),
            ),
        )
        .await;
    is_page(&page, 200);
    let text = page.text();
    assert_eq!(titles(&text), ["impressions by day", "url_clicks by day"]);
    assert!(!text.contains(TABLE), "the page's table has all the numbers: {text}");
    for metric in ["impressions", "url_clicks"] {
        let figure = figure(&text, &format!("{metric} by day"));
        assert!(
            figure.contains(&format!("{metric} a day")) && figure.contains("day of 2026 (UTC)"),
            "{figure}"
        );
        let [line] = &lines(figure)[..] else { panic!("one line: {figure}") };
        are_as_high_as(line, &column(&text, metric));
    }
    let hours = [("window", "28hr"), ("group", "hour")];
    let page = visitor.send(EXPLORE, &fields(&ids, &["impressions"], &hours)).await;
    let text = page.text();
    let [line] = &lines(figure(&text, "impressions by hour"))[..] else {
        panic!("one line: {text}")
    };
    assert_eq!(line.len(), 29);
    are_as_high_as(line, &column(&text, "impressions"));
    let two = gateway.sandbox.ids("alice", 2);
    let page = visitor
        .send(
            EXPLORE,
            &fields(
                &two.join(" "),
                &["impressions"],
                &[("window", "28hr"), ("group", "post_hour")],
            ),
        )
        .await;
    let (text, rows) = (page.text(), cells(&page.text()));
    let figure = figure(&text, "impressions by hour");
    let named = between(figure, "</svg> ", "</li>");
    let together: Vec<u64> = named.iter().flat_map(|name| numbers(&rows, name)).collect();
    are_as_high_as(&lines(figure).concat(), &together);
    let totals: Vec<u64> = named.iter().map(|name| numbers(&rows, name).iter().sum()).collect();
    assert!(named.len() == 2 && totals[0] >= totals[1], "{named:?} {totals:?}");
}

async fn sums_that_only_a_chart_makes_stand_in_its_table(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.ids("alice", 9).join(" ");
    let page = visitor
        .send(
            EXPLORE,
            &fields(&ids, &["impressions"], &[&DAYS[..], &[("group", "post_day")]].concat()),
        )
        .await;
    is_page(&page, 200);
    let text = page.text();
    assert!(!text.contains("more rows"), "{text}");
    let (drawn, page_table) = text.split_once("</figure>").unwrap();
    let days = between(drawn.split_once(TABLE).unwrap().1, "<tr><th scope=\"row\">", "</tr>");
    let rows = cells(page_table);
    assert_eq!(days.len(), 8, "{drawn}");
    for day in days {
        let date = format!("2026-{}", day.split_once('<').unwrap().0);
        let in_chart = between(day, "number\">", "</td>")
            .into_iter()
            .map(|text| text.replace(',', "").parse::<u64>().unwrap());
        assert_eq!(in_chart.sum::<u64>(), numbers(&rows, &date).iter().sum::<u64>(), "{day}");
    }
}

async fn what_is_missing_of_a_range_is_a_gap_and_no_zero(database: Database) {
    let gateway =
        TestGateway::start_with(&database, |config| config.limits.question_calls = 1).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.old_ids("alice", 12).join(" ");
    let metrics = ["impressions"];
    visitor.send(EXPLORE, &fields(&ids, &metrics, &[("window", "28hr"), ("group", "post")])).await;
    gateway
        .order(json!([
            {
                "kind": "status",
                "status": 500,
                "body": { "errors": ["broken"] },
                "path": "/insights/",
                "times": 1,
            },
        ]))
        .await;
    let months =
        [("window", "range"), ("start", "2026-01-01"), ("end", "2026-03-01"), ("group", "day")];
    let page = visitor.send(EXPLORE, &fields(&ids, &metrics, &months)).await;
    is_page(&page, 200);
    let text = page.text();
    let [line] = &lines(figure(&text, "impressions by day"))[..] else {
        panic!("one line: {text}")
    };
    are_as_high_as(line, &column(&text, "impressions"));
    assert_eq!(line.len(), 56);
    assert!(line[0].0 > 60.0, "3 of 59 days are left free: {line:?}");
    assert!(text.contains("Where a line is broken or absent, there are no numbers."), "{text}");
}

async fn all_posts_together_are_a_bar_for_each_metric(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.ids("alice", 3).join(" ");
    let page = visitor
        .send(
            EXPLORE,
            &fields(&ids, &["impressions", "replies"], &[("window", "totals"), ("group", "all")]),
        )
        .await;
    is_page(&page, 200);
    let rows = cells(&page.text());
    let bars = bars(figure(&page.text(), "All posts together"));
    let names: Vec<&str> = bars.iter().map(|bar| &*bar.0).collect();
    assert_eq!(names, ["impressions", "replies"]);
    assert_eq!(rows, [bars.into_iter().map(|bar| bar.1).collect::<Vec<_>>()]);
}

async fn the_form_proposes_the_last_days(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let page = Visitor::admin(&gateway).await.open(EXPLORE).await;
    let text = page.text();
    for expected in [
        "type=\"date\" value=\"2026-03-03\"",
        "type=\"date\" value=\"2026-03-10\"",
        "<optgroup label=\"Over time",
        "<option value=\"hour\">each hour",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

on_both!(
    posts_are_ranked_with_a_chart_for_each_metric,
    of_many_posts_and_metrics_the_largest_are_drawn_and_the_page_stays_small,
    days_and_hours_are_lines_with_the_tables_numbers,
    sums_that_only_a_chart_makes_stand_in_its_table,
    what_is_missing_of_a_range_is_a_gap_and_no_zero,
    all_posts_together_are_a_bar_for_each_metric,
    the_form_proposes_the_last_days
);
