//! The explore page: what is typed becomes a question, and its answer a table.

use countersign::model::post;
use countersign::sandbox::Settings;
use time::macros::format_description;

use crate::console::{Visitor, is_page};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::upstream::{TOTALS, TestSandbox, small};

pub const EXPLORE: &str = "/console/explore";

/// The results of a page, from its table's head to its foot.
fn results(page: &str) -> &str {
    let table = page.split("<table class=\"results\">").nth(1).unwrap();
    table.split("</table>").next().unwrap()
}

fn cells_of(row: &str) -> Vec<String> {
    let cells = row.split("<td").skip(1).map(|cell| {
        let cell = cell.split_once('>').unwrap().1;
        let text = cell.split('<').next().unwrap().trim();
        if text.contains('-') { text.to_owned() } else { text.replace(',', "") }
    });
    cells.collect()
}

/// The cells of the rows of a page's results.
pub fn cells(page: &str) -> Vec<Vec<String>> {
    let body = results(page).split("<tfoot>").next().unwrap();
    body.split("<tr>").skip(2).map(cells_of).collect()
}

/// The numbers of a page's results under that heading.
pub fn column(page: &str, heading: &str) -> Vec<u64> {
    let head = results(page).split("</thead>").next().unwrap();
    let mut headings = head.split("<th").skip(2);
    let place = headings.position(|cell| cell.contains(&format!(">{heading}"))).unwrap();
    let cells = cells(page).into_iter().map(|row| row[place].clone());
    cells.filter(|cell| !cell.is_empty()).map(|cell| cell.parse().unwrap()).collect()
}

/// The sums below a page's results.
pub fn sums(page: &str) -> Vec<String> {
    cells_of(results(page).split("<tfoot>").nth(1).unwrap())
}

async fn a_question_is_answered_as_a_table_with_what_it_took(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let page = visitor.open(EXPLORE).await;
    is_page(&page, 200);
    assert!(
        page.text().contains("value=\"impressions\" checked") && !page.text().contains("<table")
    );
    let (alice, bob) = (gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 1));
    let typed =
        format!("{}, https://x.com/alice/status/{}/photo/1?s=20\n {}/", alice[0], alice[1], bob[0]);
    let fields = [
        ("tweets", &*typed),
        ("metrics", "favorites"),
        ("metrics", "impressions"),
        ("window", "totals"),
        ("group", "post"),
        ("wants", "answer"),
    ];
    let page = visitor.send(EXPLORE, &fields).await;
    is_page(&page, 200);
    let rows = cells(&page.text());
    let mut expected = Vec::new();
    for (name, ids) in [("alice", &alice), ("bob", &bob)] {
        for post in gateway.sandbox.posts(name).iter().filter(|post| ids.contains(&post.id)) {
            let published = post::created_at(post.id.parse().unwrap()).unwrap();
            let published =
                published.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
            let numbers = ["impressions", "favorites"].map(|metric| post.totals[metric]);
            let cells = [post.id.clone(), published.unwrap()].into_iter();
            expected
                .push(cells.chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>());
        }
    }
    let sorted = |mut rows: Vec<Vec<String>>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(rows), sorted(expected.clone()));
    let total = |place: usize| {
        let numbers = expected.iter().map(|row: &Vec<String>| row[place].parse::<u64>().unwrap());
        numbers.sum::<u64>().to_string()
    };
    let text = page.text();
    assert_eq!(sums(&text), [total(2), total(3)]);
    let link = format!("<a href=\"https://x.com/i/status/{}\"", bob[0]);
    assert!(text.contains(&link) && text.contains("Sum of 3 rows"), "{text}");
    assert!(
        text.contains("Calls made")
            && text.contains("user-context")
            && text.contains("curl --compressed"),
        "{text}"
    );
    assert!(
        text.contains("-d &#39;{&#34;engagement_types")
            && !text.contains("question.json")
            && text.contains("Downloading runs the query again"),
        "{text}"
    );
    assert!(text.contains("https://x.com/alice/status/"), "what was typed stays");
    let table = visitor.send(EXPLORE, &[&fields[..5], &[("wants", "table")]].concat()).await;
    assert_eq!((table.status.as_u16(), table.header("content-type")), (200, "text/csv"));
    assert!(table.header("content-disposition").contains("engagement.csv"));
    assert_eq!(table.text().lines().count(), 1 + 6);
    let sheet = visitor.send(EXPLORE, &[&fields[..5], &[("wants", "spreadsheet")]].concat()).await;
    let kind = "text/csv; charset=utf-8";
    assert_eq!((sheet.status.as_u16(), sheet.header("content-type")), (200, kind));
    assert!(sheet.header("content-disposition").contains("engagement-spreadsheet.csv"));
    assert_eq!(sheet.text().lines().count(), 1 + 3);
    let post = format!("\"https://x.com/i/status/{}\",", bob[0]);
    assert!(sheet.text().contains(&post), "{}", sheet.text());
}

async fn of_most_posts_the_page_stays_small_and_a_shell_asks_with_a_file(database: Database) {
    let sandbox = TestSandbox::start_with(Settings { posts_per_user: 300, ..small() }).await;
    let gateway = TestGateway::build(sandbox, &database.settings(), |_| ()).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = [gateway.sandbox.ids("alice", 250), gateway.sandbox.ids("bob", 250)].concat();
    let addresses: Vec<String> = ids
        .iter()
        .map(|id| format!("https://x.com/alice/status/{id}?s=20&t=aBcDeFgHiJkLmN"))
        .collect();
    let rest = [
        ("metrics", "favorites"),
        ("metrics", "impressions"),
        ("window", "totals"),
        ("group", "post"),
        ("wants", "answer"),
    ];
    let page =
        visitor.send(EXPLORE, &[&[("tweets", &*addresses.join(" "))], &rest[..]].concat()).await;
    is_page(&page, 200);
    let text = page.text();
    assert!(text.len() <= 100_000, "{}", text.len());
    assert!(
        text.contains("-d @question.json")
            && text.contains(
                "with all 500 ids in <code>tweet_ids</code>. Here it is with the first 3"
            ),
        "{text}"
    );
    assert!(text.contains(&format!("[&#34;{}&#34;]", ids[..3].join("&#34;,&#34;"))), "{text}");
    assert!(
        text.contains(&ids.join("\n")) && !text.contains("?s=20"),
        "addresses that are too long become ids: {text}"
    );
    assert!(text.contains(" more rows are in the CSV."), "{text}");

    let arrived = gateway.arrived(TOTALS).await.len();
    let many = |count: u64| {
        (0..count)
            .map(|number| (1_000_000_000_000_000_000 + number).to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    for (typed, expected) in [
        (
            many(501),
            "This form takes up to 500 posts, and you entered 501. Use countersign query or POST \
             /v1/engagement, which take up to 10000.",
        ),
        (many(10_000), "you entered 10000"),
        (format!("{} ", "&\"<".repeat(60)).repeat(65), "and 62 more are not posts"),
    ] {
        let page = visitor.send(EXPLORE, &[&[("tweets", &*typed)], &rest[..]].concat()).await;
        is_page(&page, 400);
        let text = page.text();
        assert!(text.contains("role=\"alert\"") && text.contains(expected), "{expected}: {text}");
        assert!(text.len() <= 100_000, "{expected}: {}", text.len());
    }
    assert_eq!(gateway.arrived(TOTALS).await.len(), arrived, "nothing was asked");
}

async fn a_plan_says_what_it_costs_and_makes_no_call(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let ids = gateway.sandbox.ids("alice", 2).join(" ");
    let fields = [
        ("tweets", &*ids),
        ("metrics", "favorites"),
        ("metrics", "impressions"),
        ("window", "totals"),
        ("group", "all"),
        ("wants", "plan"),
    ];
    let page = visitor.send(EXPLORE, &fields).await;
    is_page(&page, 200);
    assert!(
        page.text().contains(
            "Calls: 2 (1 app-only, 1 user-context). Accounts used: 1, of which 1 would be \
                                  new this month."
        ),
        "{}",
        page.text()
    );
    assert!(gateway.arrived(TOTALS).await.is_empty());
}

async fn days_are_told_for_ranges_and_the_calls_are_those_of_the_admin(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let visitor = Visitor::with_key(&gateway, &admin).await;
    let id = gateway.sandbox.old_ids("alice", 1).remove(0);
    let fields = [
        ("tweets", &*id),
        ("metrics", "url_clicks"),
        ("window", "range"),
        ("start", "2026-03-01"),
        ("end", "2026-03-05"),
        ("group", "day"),
        ("wants", "answer"),
    ];
    let page = visitor.send(EXPLORE, &fields).await;
    is_page(&page, 200);
    let rows = cells(&page.text());
    assert_eq!(
        rows.iter().map(|row| &*row[0]).collect::<Vec<_>>(),
        ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
    );
    let calls = gateway.admin(&admin, "GET", "/admin/v1/calls").send().await.json();
    assert!(admin.contains(calls["calls"][0]["key"].as_str().unwrap()), "{calls}");
}

const HOSTILE: &str = "\"><script>alert(1)</script>";

/// The fields of a form, the status of its page, and a part of the message.
type Invalid = (&'static [(&'static str, &'static str)], u16, &'static str);

const INVALID: &[Invalid] = &[
    (
        &[("tweets", HOSTILE), ("metrics", "favorites"), ("window", "totals"), ("group", "post")],
        400,
        "is not a post. Enter ids of posts, or their addresses, such as https://x.com/",
    ),
    (
        &[("tweets", "20"), ("window", "totals"), ("group", "post")],
        400,
        "Select at least one engagement type.",
    ),
    (
        &[("tweets", ""), ("metrics", "favorites"), ("window", "totals"), ("group", "post")],
        400,
        "No post is entered.",
    ),
    (
        &[("tweets", "9999999999999999999"), ("metrics", "favorites"), ("window", "totals")],
        400,
        "Posts: no post id is above",
    ),
    (
        &[("tweets", "20"), ("metrics", "favorites"), ("window", "totals"), ("group", "day")],
        400,
        "A total has no days: choose the last 28 hours or a range of days.",
    ),
    (
        &[("tweets", "20"), ("metrics", "url_clicks"), ("window", "totals"), ("group", "post")],
        400,
        "X has no url_clicks for all time: choose the last 28 hours or a range of days",
    ),
    (
        &[
            ("tweets", "20"),
            ("metrics", "favorites"),
            ("window", "range"),
            ("start", "2026-03-05"),
            ("end", "x"),
            ("group", "day"),
        ],
        400,
        "Choose the first day of the range, and the day after its last.",
    ),
    (
        &[
            ("tweets", "20"),
            ("metrics", "favorites"),
            ("window", "range"),
            ("start", "2036-03-05"),
            ("end", "2036-03-06"),
            ("group", "day"),
        ],
        400,
        "From: is in the future; it is now 2026-03-10",
    ),
    (
        &[
            ("tweets", "20"),
            ("metrics", "favorites"),
            ("window", "range"),
            ("start", HOSTILE),
            ("end", ""),
            ("group", HOSTILE),
        ],
        400,
        "Choose the first day of the range",
    ),
    (
        &[
            ("tweets", "20"),
            ("metrics", "favorites"),
            ("window", "totals"),
            ("group", "post"),
            ("wants", "answer"),
        ],
        404,
        "unavailable",
    ),
];

async fn what_is_wrong_is_told_beside_what_was_typed(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for (fields, status, expected) in INVALID {
        let page = visitor.send(EXPLORE, fields).await;
        is_page(&page, *status);
        let text = page.text();
        assert!(text.contains("role=\"alert\"") && text.contains(*expected), "{fields:?}: {text}");
        assert!(!text.contains("<script"), "{text}");
        let message = text.split("id=\"wrong\"").nth(1).unwrap().split("</div>").next().unwrap();
        for odd in ["/tweet_ids", "/engagement_types", "/window", "/groupings", "engagement."] {
            assert!(!message.contains(odd), "{message}");
        }
    }
    let page = visitor
        .send(EXPLORE, &[("app", "nowhere"), ("tweets", "20"), ("metrics", "favorites")])
        .await;
    is_page(&page, 400);
    assert!(page.text().contains("must be one of the configured apps"), "{}", page.text());
}

on_both!(
    a_question_is_answered_as_a_table_with_what_it_took,
    of_most_posts_the_page_stays_small_and_a_shell_asks_with_a_file,
    a_plan_says_what_it_costs_and_makes_no_call,
    days_are_told_for_ranges_and_the_calls_are_those_of_the_admin,
    what_is_wrong_is_told_beside_what_was_typed
);
