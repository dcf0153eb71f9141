//! The picture of a chart: shapes in whole units, coloured by classes of the style sheet, since our policy forbids styles of
//! their own and the dark scheme has other colours.

use askama::Template;

use crate::pages::parts::chart::scale::{GAP, MOST_LETTERS, Scale, Size};
use crate::pages::parts::chart::series::{Chart, Colour, Kind};
use crate::pages::parts::text;

#[derive(Template)]
#[template(path = "pages/parts/chart/picture.svg", config = ".askama.toml", escape = "html")]
struct Picture<'a> {
    title: &'a str,
    size: Size,
    /// The ends of the lines behind the numbers.
    left: i32,
    right: i32,
    /// The lowest of these lines.
    bottom: i32,
    /// The height of each line, and its number.
    ticks: Vec<(i32, String)>,
    shapes: Vec<Shape>,
    /// The middle of each label.
    labels: Vec<(i32, String)>,
}

/// `class` is the number of a colour.
enum Shape {
    Bar { class: u8, left: i32, top: i32, width: i32, height: i32 },
    Line { class: u8, points: String },
    Dot { class: u8, x: i32, y: i32 },
}

/// As SVG; there is a colour for each series.
pub(super) fn picture(chart: &Chart, colours: &[Colour], size: Size) -> String {
    let scale = Scale::of(chart, size);
    let shapes = colours.iter().enumerate().flat_map(|(index, colour)| match chart.kind {
        Kind::Bars => bars(chart, index, colour.number(), &scale),
        Kind::Lines => lines(chart, index, colour.number(), &scale),
    });
    let label = |place: usize| {
        let label = short(chart.labels.get(place).map_or("", String::as_str));
        (scale.middle(place, &label), label)
    };
    text(&Picture {
        title: &chart.title,
        size,
        left: scale.left(),
        right: scale.right(),
        bottom: scale.bottom(),
        ticks: scale.ticks().collect(),
        shapes: shapes.collect(),
        labels: scale.labelled(&chart.labels).map(label).collect(),
    })
}

/// Each bar stands on those before it, with the ground seen between, so that neighbours are told apart whatever their colours.
fn bars(chart: &Chart, index: usize, class: u8, scale: &Scale) -> Vec<Shape> {
    let bar = |place| {
        let below = chart.stacked(place, index);
        let value = chart.series.get(index).map_or(0, |series| series.at(place));
        let (left, right) = scale.bar(place);
        let bottom = scale.y(below) - i32::from(below > 0);
        // However small the number, its bar is seen.
        let top = scale.y(below.saturating_add(value)).min(bottom - 1);
        let bar = Shape::Bar { class, left, top, width: right - left, height: bottom - top };
        (value > 0).then_some(bar)
    };
    (0..chart.labels.len()).filter_map(bar).collect()
}

/// A line is broken where there is no number; a number alone is a dot.
fn lines(chart: &Chart, index: usize, class: u8, scale: &Scale) -> Vec<Shape> {
    let Some(series) = chart.series.get(index) else { return Vec::new() };
    let point = |place| Some((scale.x(place), scale.y(series.get(place)?)));
    let points: Vec<Option<(i32, i32)>> = (0..chart.labels.len()).map(point).collect();
    let shape = |unbroken: &[Option<(i32, i32)>]| {
        let points: Vec<(i32, i32)> = unbroken.iter().copied().flatten().collect();
        match *points {
            [] => None,
            [(x, y)] => Some(Shape::Dot { class, x, y }),
            _ => {
                let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
                Some(Shape::Line { class, points: points.join(" ") })
            }
        }
    };
    points.split(Option::is_none).filter_map(shape).collect()
}

fn short(label: &str) -> String {
    if label.chars().count() <= MOST_LETTERS {
        return label.to_owned();
    }
    label.chars().take(MOST_LETTERS - 1).chain(['…']).collect()
}
