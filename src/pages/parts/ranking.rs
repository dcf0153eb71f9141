//! Rankings, drawn on the server: for each name a horizontal bar with its number, in the style sheet's colours.

use askama::Template;

use crate::pages::parts::axis::{Axis, brief};
use crate::pages::parts::{filters, text};

/// The contents of a ranking.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub title: String,
    /// What the numbers count, such as `impressions`.
    pub unit: String,
    /// What the names are, such as `post`.
    pub along: String,
    /// The bars from top to bottom; `None` where there is no number.
    pub bars: Vec<(String, Option<u64>)>,
}

#[derive(Template)]
#[template(path = "pages/parts/ranking.html", config = ".askama.toml")]
struct Figure<'a> {
    ranking: &'a Ranking,
    rows: Vec<Row<'a>>,
    ticks: Vec<Tick>,
    bottom: i32,
    with_table: bool,
}

/// A name with its number and its bar, and how far from the top they begin.
struct Row<'a> {
    name: &'a str,
    shown: String,
    y: i32,
    width: i32,
}

struct Tick {
    x: i32,
    /// Empty if its neighbours would be too near.
    label: String,
}

const WIDTH: i32 = 640;
/// Room on the left for names of 20 letters, as large as the style sheet makes them on a phone.
const LEFT: i32 = 310;
/// Room on the right for a number behind the longest bar.
const RIGHT: i32 = 100;
const ROW: i32 = 36;
const BAR: i32 = 22;
const BELOW: i32 = 34;
/// The distance of the letters' baseline from the top of a row, and of the part below the rows.
const LETTER: i32 = 26;
/// Numbers below this are written with all their digits.
const LONG: u64 = 1_000_000;

impl Ranking {
    /// The ranking as HTML: title and picture; and the table behind it, unless the page has all the numbers below.
    pub fn draw(&self, with_table: bool) -> String {
        let most = self.bars.iter().filter_map(|bar| bar.1).max().unwrap_or_default();
        let axis = Axis::up_to(most);
        let rows =
            self.bars.iter().zip((0..).map(|index| index * ROW)).map(|((name, value), y)| Row {
                name,
                shown: match value {
                    None => "no number".to_owned(),
                    Some(number) if *number < LONG => number.to_string(),
                    Some(number) => brief(*number),
                },
                y,
                width: value.map_or(0, |number| across(axis.part(number))),
            });
        let rows: Vec<Row<'_>> = rows.collect();
        let bottom = rows.last().map_or(0, |row| row.y + ROW);
        let apart = axis.ticks().count() / 2;
        let ticks = axis.ticks().enumerate().map(|(index, (part, label))| Tick {
            x: LEFT + across(part),
            label: if index % apart == 0 { label } else { String::new() },
        });
        text(&Figure { ranking: self, rows, ticks: ticks.collect(), bottom, with_table })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "places within a picture are small")]
fn across(part: f64) -> i32 {
    (part * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(bars: &[(&str, Option<u64>)]) -> Ranking {
        Ranking {
            title: "impressions by post".to_owned(),
            unit: "impressions".to_owned(),
            along: "post".to_owned(),
            bars: bars.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_numbers() {
        let html = ranking(&[("20", Some(40)), ("21", Some(10)), ("22", Some(0)), ("23", None)])
            .draw(false);
        for text in [
            "width=\"230\" height=\"22\"",
            "width=\"58\" height=\"22\"",
            "<text x=\"548\" y=\"26\">40</text>",
            "<text x=\"318\" y=\"98\">0</text>",
            "<text x=\"318\" y=\"134\">no number</text>",
            "aria-label=\"Chart: impressions by post.",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert_eq!(html.matches("<rect").count(), 2, "{html}");
    }

    #[test]
    fn the_table_has_every_digit() {
        let ranking = ranking(&[("20", Some(1_234_567)), ("21", None)]);
        let html = ranking.draw(true);
        for text in [
            "<th scope=\"row\">20</th><td class=\"number\">1,234,567</td>",
            "<th scope=\"row\">21</th><td class=\"number\">none</td>",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert!(!ranking.draw(false).contains("<table"));
    }

    #[test]
    fn any_numbers_make_a_sound_picture() {
        for bars in
            [&[][..], &[("a", None)], &[("a", Some(0))], &[("a", Some(u64::MAX)), ("b", Some(1))]]
        {
            let html = ranking(bars).draw(false);
            assert!(
                !html.contains("NaN") && !html.contains("inf") && !html.contains("style="),
                "{html}"
            );
            assert_eq!(html.contains("<svg"), !bars.is_empty(), "{html}");
        }
    }

    #[test]
    fn what_a_ranking_says_is_escaped() {
        let hostile = "</svg><script>alert(1)</script>\"'&";
        let mut ranking = ranking(&[(hostile, Some(1))]);
        (ranking.title, ranking.unit, ranking.along) =
            (hostile.to_owned(), hostile.to_owned(), hostile.to_owned());
        let html = ranking.draw(false);
        assert!(!html.contains("<script") && !html.contains(hostile), "{html}");
    }
}
