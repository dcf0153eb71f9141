//! Charts, drawn on the server: a picture that takes its colours from the style sheet, and the numbers below it.

use askama::Template;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::console::axis::Axis;
use crate::console::text;

/// What a chart shows.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    /// What the numbers count, such as `calls an hour`.
    pub unit: String,
    /// What the labels are, such as `hour (UTC)`.
    pub along: String,
    pub kind: Kind,
    /// From left to right.
    pub labels: Vec<String>,
    pub series: Vec<Series>,
}

/// How the numbers are drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One upon the other: for parts that make a whole.
    Bars,
    Lines,
}

/// A number for each label, `None` where there is none: there, lines are broken.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub values: Vec<Option<u64>>,
}

#[derive(Template)]
#[template(path = "console/chart.html", config = ".askama.toml")]
struct Figure<'a> {
    chart: &'a Chart,
    picture: &'a str,
    with_table: bool,
}

const WIDTH: i32 = 640;
const HEIGHT: i32 = 260;
const LEFT: i32 = 84;
const RIGHT: i32 = 28;
const TOP: i32 = 18;
const BOTTOM: i32 = 40;
/// On a phone, where the style sheet makes them larger.
const LETTER: usize = 15;
const MOST_LETTERS: usize = 12;
/// That the style sheet has.
const COLOURS: usize = 8;
const SOFT: RGBColor = RGBColor(0, 0, 100);
const GRID: RGBColor = RGBColor(0, 0, 101);

impl Chart {
    /// As HTML: title, picture, and the table behind it.
    pub fn draw(&self) -> String {
        text(&Figure { chart: self, picture: &self.picture(), with_table: true })
    }

    /// As HTML for a page that has the numbers in a table below it: title and picture.
    pub fn draw_alone(&self) -> String {
        text(&Figure { chart: self, picture: &self.picture(), with_table: false })
    }

    fn picture(&self) -> String {
        let mut svg = String::new();
        {
            let size = (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs());
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.sketch(&area).expect("a picture is drawn into memory");
        }
        themed(&svg, &format!("Chart: {}. The numbers are in the table below it.", self.title))
    }

    fn sketch(
        &self,
        area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let scale = Scale::of(self);
        let ticks: Vec<(i32, String)> = scale.ticks().collect();
        for (y, _) in &ticks {
            area.draw(&PathElement::new([(LEFT, *y), (WIDTH - RIGHT, *y)], GRID))?;
        }
        for (index, series) in self.series.iter().enumerate() {
            let colour = RGBColor(0, 0, u8::try_from(index % COLOURS)?);
            match self.kind {
                Kind::Bars => {
                    for place in 0..self.labels.len() {
                        let below = self.stacked(place, index);
                        let ends = [below, below.saturating_add(series.at(place))];
                        let [bottom, top] = ends.map(|it| scale.y(it));
                        let (left, right) = scale.bar(place);
                        if top < bottom {
                            let corners = [(left, top), (right, bottom)];
                            area.draw(&Rectangle::new(corners, colour.filled()))?;
                        }
                    }
                }
                Kind::Lines => {
                    let point = |place| Some((scale.x(place), scale.y(series.get(place)?)));
                    let points: Vec<_> = (0..self.labels.len()).map(point).collect();
                    for unbroken in points.split(Option::is_none) {
                        let points: Vec<_> = unbroken.iter().copied().flatten().collect();
                        match &*points {
                            [] => {}
                            [only] => area.draw(&Circle::new(*only, 4, colour.filled()))?,
                            _ => area.draw(&PathElement::new(points, colour.stroke_width(2)))?,
                        }
                    }
                }
            }
        }
        let style = |h, v| ("sans-serif", 16).into_font().color(&SOFT).pos(Pos::new(h, v));
        for (y, label) in ticks {
            area.draw(&Text::new(label, (LEFT - 8, y), style(HPos::Right, VPos::Center)))?;
        }
        for place in self.labelled() {
            let label = self.labels.get(place).map_or("", |it| it.as_str());
            let at = (scale.x(place), HEIGHT - BOTTOM + 12);
            area.draw(&Text::new(short(label), at, style(HPos::Center, VPos::Top)))?;
        }
        area.present()?;
        Ok(())
    }

    /// What of a bar lies below a series.
    fn stacked(&self, place: usize, index: usize) -> u64 {
        self.series.iter().take(index).fold(0, |sum, it| sum.saturating_add(it.at(place)))
    }

    /// Where there is room for a label: in the middle of each of some equal parts.
    fn labelled(&self) -> impl Iterator<Item = usize> {
        let count = self.labels.len();
        let letters = self.labels.iter().map(|it| it.chars().count()).max().unwrap_or_default();
        let each = (letters.clamp(1, MOST_LETTERS) + 1) * LETTER;
        let room = usize::try_from(WIDTH - LEFT - RIGHT).unwrap_or_default();
        let apart = (each * count).div_ceil(room).max(1);
        let left_over = (count % apart).div_ceil(2);
        (0..count / apart).map(move |it| left_over + it * apart + (apart - 1) / 2)
    }
}

impl Series {
    fn get(&self, index: usize) -> Option<u64> {
        self.values.get(index).copied().flatten()
    }

    /// 0 where there is none.
    fn at(&self, index: usize) -> u64 {
        self.get(index).unwrap_or_default()
    }
}

/// From numbers to places in the picture.
struct Scale {
    count: usize,
    axis: Axis,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "places within a picture are small"
)]
impl Scale {
    fn of(chart: &Chart) -> Scale {
        let each = |place| match chart.kind {
            Kind::Bars => chart.stacked(place, chart.series.len()),
            Kind::Lines => chart.series.iter().map(|it| it.at(place)).max().unwrap_or_default(),
        };
        let most = (0..chart.labels.len()).map(each).max().unwrap_or_default();
        Scale { count: chart.labels.len().max(1), axis: Axis::up_to(most) }
    }

    fn ticks(&self) -> impl Iterator<Item = (i32, String)> {
        self.axis.ticks().map(|(part, label)| (Scale::height(part), label))
    }

    fn y(&self, value: u64) -> i32 {
        Scale::height(self.axis.part(value))
    }

    fn x(&self, place: usize) -> i32 {
        self.across(place as f64 + 0.5)
    }

    fn bar(&self, place: usize) -> (i32, i32) {
        let left = self.across(place as f64 + 0.15);
        (left, self.across(place as f64 + 0.85).max(left + 1))
    }

    fn height(part: f64) -> i32 {
        HEIGHT - BOTTOM - (part * f64::from(HEIGHT - BOTTOM - TOP)).round() as i32
    }

    fn across(&self, places: f64) -> i32 {
        LEFT + (places / self.count as f64 * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    }
}

fn short(label: &str) -> String {
    if label.chars().count() <= MOST_LETTERS {
        return label.to_owned();
    }
    label.chars().take(MOST_LETTERS - 1).chain(['…']).collect()
}

/// The crates that draw put their colours into the picture, or into `style`, which our policy forbids and which no dark
/// scheme changes. So this one draws in colours that mean something, and they become classes of the style sheet here.
fn themed(svg: &str, name: &str) -> String {
    let (_, drawn) = svg.split_once(">\n").unwrap_or_default();
    let mut drawn = drawn.replace("opacity=\"1\" ", "").replace(" stroke=\"none\"", "");
    let names = (0..COLOURS).map(|it| (it, format!("s{it}")));
    let others = [(100, "soft".to_owned()), (101, "grid".to_owned())];
    for (number, class) in names.chain(others) {
        for paint in ["fill", "stroke"] {
            let from = format!("{paint}=\"#{number:06X}\"");
            drawn = drawn.replace(&from, &format!("{paint}=\"currentColor\" class=\"{class}\""));
        }
    }
    let name = askama::filters::escape(name, askama::filters::Html)
        .map(|it| it.to_string())
        .unwrap_or_default();
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{name}\">\n{drawn}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(kind: Kind, series: &[(&str, &[u64])]) -> Chart {
        let most = series.iter().map(|it| it.1.len()).max().unwrap_or_default();
        Chart {
            title: "Calls".to_owned(),
            unit: "calls an hour".to_owned(),
            along: "hour".to_owned(),
            kind,
            labels: (0..most).map(|it| format!("{it:02}:00")).collect(),
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
                let html = chart(kind, series).draw();
                assert!(!html.contains("style="), "{html}");
                assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
                assert!(!html.contains("\"#0"), "a colour of its own: {html}");
                let is_empty = series.iter().all(|it| it.1.is_empty());
                assert_eq!(html.contains("<svg"), !is_empty, "{html}");
                assert!(!is_empty || html.contains("no numbers"), "{html}");
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
        let html = chart.draw();
        assert!(!html.contains("<script") && !html.contains(hostile), "{html}");
        assert_eq!(html.matches("</svg>").count(), 1, "{html}");
    }

    #[test]
    fn numbers_stand_in_the_table_whatever_the_picture_rounds() {
        let html = chart(Kind::Bars, &[("a", &[1_234_567, 3]), ("b", &[2])]).draw();
        for text in [
            "<th scope=\"row\">00:00</th><td class=\"number\">1234567</td><td class=\"number\">2</td>",
            "<td class=\"number\">none</td>",
            "aria-label=\"Chart: Calls.",
        ] {
            assert!(html.contains(text), "{text}: {html}");
        }
    }

    #[test]
    fn labels_are_evenly_apart() {
        for (count, expected) in [
            (1, &[0][..]),
            (5, &[0, 1, 2, 3, 4]),
            (7, &[1, 3, 5]),
            (24, &[4, 9, 14, 19]),
            (31, &[3, 9, 15, 21, 27]),
        ] {
            let chart = chart(Kind::Lines, &[("a", &vec![1; count])]);
            assert_eq!(chart.labelled().collect::<Vec<_>>(), expected, "{count}");
        }
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_number() {
        let mut chart = chart(Kind::Lines, &[("a", &[1, 2, 3, 4, 5, 6])]);
        chart.series[0].values[2] = None;
        chart.series[0].values[4] = None;
        let html = chart.draw_alone();
        let count = |it| html.matches(it).count();
        assert_eq!(
            (count("<polyline"), count("<circle"), count("<table")),
            (1 + 4, 2, 0),
            "{html}"
        );
        assert!(chart.draw().contains("<td class=\"number\">none</td>"));
    }
}
