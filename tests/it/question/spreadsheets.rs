//! Answers for spreadsheet programs: rows and columns as people expect them, and nothing that such a program misreads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::question::{PATH, ask, question, start_gateway};

const POST: &str = "https://x.com/i/status/";
const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

async fn ask_in(gateway: &TestGateway, format: &str, question: &Value) -> Answer {
    let ask = gateway.ask("POST", &format!("{PATH}?format={format}"));
    ask.header("content-type", "application/json").body(question.to_string()).send().await
}

/// The rows of a spreadsheet, the headings first.
fn rows(answer: &Answer) -> Vec<Vec<String>> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let text = text.strip_prefix('\u{feff}').expect("a byte order mark");
    assert!(!text.contains('\u{feff}') && text.ends_with("\r\n"), "{text:?}");
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.unwrap());
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

/// The rows below the headings, by grouping, post, day and hour, and in each the numbers by their heading.
type Table = BTreeMap<[String; 4], BTreeMap<String, String>>;

fn table(rows: &[Vec<String>]) -> Table {
    let keys = ["grouping", "post", "day", "hour"];
    let mut table = Table::new();
    for row in &rows[1..] {
        let cells = || rows[0].iter().zip(row);
        let cell = |name| cells().find(|cell| cell.0 == name).map_or("", |cell| cell.1).to_owned();
        let is_number = |(heading, text): &(&String, &String)| {
            !keys.contains(&heading.as_str()) && !text.is_empty()
        };
        let numbers = cells().filter(is_number).map(|(name, text)| (name.clone(), text.clone()));
        assert_eq!(table.insert(keys.map(cell), numbers.collect()), None, "{row:?} twice");
    }
    table
}

/// What the table of an answer in JSON must be. `groupings` has the name that a row shows beside each grouping's own.
fn expected(answer: &Value, groupings: &[(&str, &str, &[&str])]) -> Table {
    fn walk(value: &Value, levels: &[&str], at: &mut [String; 5], table: &mut Table) {
        let Some((level, below)) = levels.split_first() else {
            let [grouping, post, day, hour, kind] = at.clone();
            let number = value.as_str().unwrap().to_owned();
            let kind = if kind.is_empty() { "value".to_owned() } else { kind };
            table.entry([grouping, post, day, hour]).or_default().insert(kind, number);
            return;
        };
        let place = ["", "tweet.id", "engagement.day", "engagement.hour", "engagement.type"]
            .iter()
            .position(|name| name == level)
            .unwrap();
        for (key, value) in value.as_object().unwrap() {
            at[place] = if place == 1 { format!("{POST}{key}") } else { key.clone() };
            walk(value, below, at, table);
        }
        at[place] = String::new();
    }
    let mut table = Table::new();
    for (name, shown, levels) in groupings {
        let mut at =
            [(*shown).to_owned(), String::new(), String::new(), String::new(), String::new()];
        walk(&answer[*name], levels, &mut at, &mut table);
    }
    table
}

async fn a_spreadsheet_has_a_column_for_each_engagement_type(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [gateway.sandbox.ids("alice", 3), gateway.sandbox.ids("bob", 2)].concat();
    let wanted = question(&ids, &["favorites", "impressions", "retweets"]);
    let whole = ask(&gateway, &wanted).await.json();
    let answer = ask_in(&gateway, "spreadsheet", &wanted).await;
    for (name, value) in [
        ("content-type", "text/csv; charset=utf-8"),
        ("content-disposition", "attachment; filename=\"engagement-spreadsheet.csv\""),
        ("countersign-complete", "true"),
        ("vary", "accept, accept-encoding, origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.raw[..3], *BYTE_ORDER_MARK);
    let rows = rows(&answer);
    assert_eq!(rows[0], ["post", "impressions", "favorites", "retweets"]);
    assert_eq!(rows.len(), 1 + 5);
    let levels = ["tweet.id", "engagement.type"];
    assert_eq!(table(&rows), expected(&whole, &[("by_tweet", "", &levels)]));
    // Ids are quoted text, and numbers are numbers.
    let favorites = whole["by_tweet"][&ids[0]]["favorites"].as_str().unwrap();
    let text = answer.text();
    let line = text.lines().find(|line| line.contains(&ids[0])).unwrap();
    assert!(line.starts_with(&format!("\"{POST}{}\",", ids[0])), "{line}");
    assert!(line.contains(&format!(",{favorites},")), "{line}");

    let zipped = gateway.ask("POST", &format!("{PATH}?format=spreadsheet"));
    let zipped = zipped.header("accept", "application/x-ndjson").header("accept-encoding", "gzip");
    let zipped = zipped.header("content-type", "application/json").body(wanted.to_string());
    let zipped = zipped.send().await;
    assert_eq!(zipped.header("content-encoding"), "gzip");
    assert_eq!(zipped.text(), text, "whatever Accept says");
    // The plain table is as it was.
    let ask = gateway.ask("POST", PATH).header("accept", "text/csv");
    let plain = ask.header("content-type", "application/json").body(wanted.to_string());
    let plain = plain.send().await;
    assert_eq!(
        (plain.header("content-type"), plain.header("content-disposition")),
        ("text/csv", "")
    );
    assert!(plain.text().starts_with("tweet_id,engagement_type,value\n"), "{}", plain.text());
}

async fn several_groupings_follow_each_other_whatever_their_names(database: Database) {
    let gateway = start_gateway(&database).await;
    let ids = [gateway.sandbox.ids("alice", 2), gateway.sandbox.ids("bob", 2)].concat();
    let mut wanted = question(&ids, &["url_clicks", "impressions"]);
    wanted["window"] = json!({ "start": "2026-03-01", "end": "2026-03-03" });
    let formula = "=cmd|' /C calc'!A1;\"\t=1";
    let inert = format!("'{formula}");
    let (post, kind) = ("tweet.id", "engagement.type");
    let (day, hour) = ("engagement.day", "engagement.hour");
    let groupings: [(&str, &str, &[&str]); 3] = [
        (formula, &inert, &[day, kind]),
        ("größe ☃", "größe ☃", &[post, day, hour]),
        ("all", "all", &[kind, post, day, hour]),
    ];
    let grouped =
        groupings.map(|(name, _, levels)| (name.to_owned(), json!({ "group_by": levels })));
    wanted["groupings"] = Value::Object(grouped.into_iter().collect());
    let whole = ask(&gateway, &wanted).await.json();
    let answer = ask_in(&gateway, "spreadsheet", &wanted).await;
    let rows = rows(&answer);
    let headings = ["grouping", "post", "day", "hour", "impressions", "url_clicks", "value"];
    assert_eq!(rows[0], headings);
    assert_eq!(table(&rows), expected(&whole, &groupings));
    assert_eq!(rows.len(), 1 + 2 + 2 * 4 * 48);
    let names: Vec<&str> = rows[1..].iter().map(|row| &*row[0]).collect();
    let changes = names.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 2, "each grouping's rows stand together");
    let is_formula = |cell: &&String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert_eq!(rows.iter().flatten().find(is_formula), None);
    // Programs that separate at semicolons find none outside of quotes.
    let text = answer.text();
    let outside = text.split('"').step_by(2);
    assert!(outside.into_iter().all(|part| !part.contains([';', '\t', '='])), "{text}");
}

async fn what_is_missing_is_empty_and_has_its_column(database: Database) {
    let gateway = start_gateway(&database).await;
    let (alice, carol) = (gateway.sandbox.ids("alice", 1), gateway.sandbox.ids("carol", 1));
    let both = question(&[alice[0].clone(), carol[0].clone()], &["favorites", "impressions"]);
    let answer = ask_in(&gateway, "spreadsheet", &both).await;
    assert_eq!(
        (answer.header("countersign-complete"), answer.header("countersign-missing")),
        ("false", "not_connected=1")
    );
    let shown = rows(&answer);
    let row = shown.iter().find(|row| row[0] == format!("{POST}{}", carol[0])).unwrap();
    assert!(row[1].is_empty() && !row[2].is_empty(), "{shown:?}");

    let of_carol = question(&carol, &["favorites", "impressions"]);
    let shown = rows(&ask_in(&gateway, "spreadsheet", &of_carol).await);
    assert_eq!(shown[0], ["post", "impressions", "favorites"]);
    assert_eq!((shown.len(), &*shown[1][1]), (2, ""));
    let nothing = ask_in(&gateway, "spreadsheet", &question(&carol, &["impressions"])).await;
    nothing.is_own(404, "nothing_answered");
}

async fn another_format_is_refused_before_anything_is_asked(database: Database) {
    let gateway = start_gateway(&database).await;
    let wanted = question(&gateway.sandbox.ids("alice", 1), &["favorites"]);
    for format in ["", "csv", "Spreadsheet", "spreadsheet&format=spreadsheet"] {
        let refused = ask_in(&gateway, format, &wanted).await;
        refused.is_own(400, "invalid_request");
        assert!(refused.text().contains("format"), "{}", refused.text());
    }
    let refused = ask_in(&gateway, "xlsx", &wanted).await;
    let text = "format must be spreadsheet; for other forms, use Accept";
    assert!(refused.text().contains(text), "{}", refused.text());
    assert!(gateway.arrived("/").await.is_empty());
}

on_both!(
    a_spreadsheet_has_a_column_for_each_engagement_type,
    several_groupings_follow_each_other_whatever_their_names,
    what_is_missing_is_empty_and_has_its_column,
    another_format_is_refused_before_anything_is_asked
);
