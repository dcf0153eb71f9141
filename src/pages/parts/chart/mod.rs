//! Charts, drawn on the server: a picture that takes its colours from the style sheet, and the numbers below it.

mod picture;
mod scale;
mod series;

use askama::Template;

pub use crate::pages::parts::chart::series::{Chart, Colour, Kind, Series};

use crate::pages::parts::chart::scale::{HALF, Size, TIGHT, WIDE};
use crate::pages::parts::{filters, text};

#[derive(Template)]
#[template(path = "pages/parts/chart/chart.html", config = ".askama.toml")]
struct Figure<'a> {
    chart: &'a Chart,
    colours: &'a [Colour],
    /// The same picture for wide windows and for narrow ones.
    pictures: &'a [String],
    with_table: bool,
}

impl Chart {
    /// The chart as HTML: title, picture, and the table behind it. `colours` are in the order of the series; a series
    /// without one gets a plain colour by its place.
    pub fn draw_in(&self, colours: &[Colour]) -> String {
        self.figure(colours, WIDE, true)
    }

    /// The chart as HTML, one of `charts` on a page; without the table if the page has all the numbers in one below it.
    pub fn draw_among(&self, charts: usize, with_table: bool) -> String {
        self.figure(&[], if charts > 1 { HALF } else { WIDE }, with_table)
    }

    fn figure(&self, colours: &[Colour], size: Size, with_table: bool) -> String {
        let colour = |place| colours.get(place).copied().unwrap_or_else(|| Colour::plain(place));
        let colours: Vec<Colour> = (0..self.series.len()).map(colour).collect();
        let pictures = [size, TIGHT].map(|size| picture::picture(self, &colours, size));
        text(&Figure { chart: self, colours: &colours, pictures: &pictures, with_table })
    }

    /// The height of a bar below a series.
    fn stacked(&self, place: usize, index: usize) -> u64 {
        self.series.iter().take(index).fold(0, |sum, series| sum.saturating_add(series.at(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(kind: Kind, series: &[(&str, &[u64])]) -> Chart {
        let most = series.iter().map(|series| series.1.len()).max().unwrap_or_default();
        Chart {
            title: "Calls".to_owned(),
            unit: "calls per hour".to_owned(),
            along: "hour".to_owned(),
            kind,
            labels: (0..most).map(|hour| format!("{hour:02}:00")).collect(),
            series: series
                .iter()
                .map(|(name, values)| Series {
                    name: (*name).to_owned(),
                    values: values.iter().copied().map(Some).collect(),
                })
                .collect(),
        }
    }

    #[test]
    fn any_numbers_make_a_sound_picture() {
        let (many, ramp) = (vec![7; 366], (0..48).collect::<Vec<u64>>());
        for kind in [Kind::Bars, Kind::Lines] {
            for series in [
                &[][..],
                &[("nothing", &[][..])],
                &[("zero", &[0])],
                &[("one", &[1])],
                &[("zeros", &[0, 0, 0])],
                &[("huge", &[u64::MAX, 0, u64::MAX]), ("too", &[u64::MAX, 1, 2])],
                &[("short", &[1]), ("long", &[1, 2, 3])],
                &[("many", &many), ("ramp", &ramp)],
            ] {
                let html = chart(kind, series).draw_in(&[]);
                assert!(!html.contains("style="), "{html}");
                assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
                assert!(!html.contains("\"#0"), "a colour of its own: {html}");
                let is_empty = series.iter().all(|series| series.1.is_empty());
                assert_eq!(html.contains("<svg"), !is_empty, "{html}");
                assert!(!is_empty || html.contains("No numbers"), "{html}");
            }
        }
    }

    #[test]
    fn what_a_chart_says_is_escaped() {
        let hostile = "</svg><script>alert(1)</script>\"'&";
        let mut chart = chart(Kind::Lines, &[(hostile, &[1, 2]), ("other", &[1])]);
        chart.labels = vec![hostile.to_owned(), "b".to_owned()];
        (chart.title, chart.unit, chart.along) =
            (hostile.to_owned(), hostile.to_owned(), hostile.to_owned());
        let html = chart.draw_in(&[]);
        assert!(!html.contains("<script") && !html.contains(hostile), "{html}");
        assert_eq!(html.matches("</svg>").count(), 4, "two pictures and two samples: {html}");
    }

    #[test]
    fn numbers_stand_in_the_table_whatever_the_picture_rounds() {
        let html = chart(Kind::Bars, &[("a", &[1_234_567, 3]), ("b", &[2])]).draw_in(&[]);
        for text in [
            "<th scope=\"row\">00:00</th><td class=\"number\">1,234,567</td><td class=\"number\">2</td>",
            "<td class=\"number\">none</td>",
            "aria-label=\"Chart: Calls.",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_number() {
        let mut chart = chart(Kind::Lines, &[("a", &[1, 2, 3, 4, 5, 6])]);
        chart.series[0].values[2] = None;
        chart.series[0].values[4] = None;
        let html = chart.draw_among(2, false);
        let count = |text| html.matches(text).count();
        let lines = count("<polyline") - count("class=\"grid\"");
        assert_eq!(
            (lines, count("<circle"), count("<table")),
            (2, 4, 0),
            "in two pictures: {html}"
        );
        assert!(chart.draw_in(&[]).contains("<td class=\"number\">none</td>"));
    }

    #[test]
    fn colours_that_mean_something_are_kept_and_others_go_by_place() {
        let chart = chart(Kind::Lines, &[("a", &[1, 1]), ("b", &[9, 0]), ("c", &[0, 3])]);
        let classes = |html: &str| {
            let samples = html.split("class=\"sample ").skip(1);
            samples
                .filter_map(|sample| sample.split('"').next().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        assert_eq!(classes(&chart.draw_in(&[])), ["s0", "s1", "s2"]);
        let html = chart.draw_in(&[Colour::FAILED, Colour::plain(12)]);
        assert_eq!(classes(&html), ["s9", "s4", "s2"]);
        for class in ["s9", "s4", "s2"] {
            assert_eq!(
                html.matches(&format!("stroke=\"currentColor\" class=\"{class}\"")).count(),
                2
            );
        }
    }

    #[test]
    fn neighbours_in_a_bar_have_ground_between_them_and_the_least_is_seen() {
        let html = chart(Kind::Bars, &[("many", &[100_000]), ("one", &[1])]).draw_in(&[]);
        let edges: Vec<(i32, i32)> = html
            .split("<rect x=")
            .skip(1)
            .map(|shape| {
                let number = |name: &str| {
                    let (_, after) = shape.split_once(&format!(" {name}=\"")).unwrap();
                    after.split('"').next().unwrap().parse::<i32>().unwrap()
                };
                (number("y"), number("y") + number("height"))
            })
            .collect();
        assert_eq!(edges.len(), 4, "two parts in two pictures: {html}");
        for bar in edges.chunks(2) {
            let ((top, _), (tiny, end)) = (bar[0], bar[1]);
            assert!(tiny < end && end < top, "{bar:?}");
        }
    }
}
