//! The picture of a chart.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::pages::parts::chart::scale::{GAP, MOST_LETTERS, Scale, Size};
use crate::pages::parts::chart::{Chart, Colour, Kind};

const SOFT: RGBColor = RGBColor(0, 0, 100);
const GRID: RGBColor = RGBColor(0, 0, 101);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// As SVG; there is a colour for each series.
pub(super) fn picture(chart: &Chart, colours: &[Colour], size: Size) -> String {
    let mut svg = String::new();
    {
        let pixels = (size.width.unsigned_abs(), size.height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, pixels).into_drawing_area();
        sketch(chart, colours, size, &area).expect("a picture is drawn into memory");
    }
    let name = format!("Chart: {}. The numbers are in the table below it.", chart.title);
    themed(&svg, &name, size)
}

fn sketch(chart: &Chart, colours: &[Colour], size: Size, area: &Area<'_>) -> Drawn {
    let scale = Scale::of(chart, size);
    let style = |h, v| ("sans-serif", size.font).into_font().color(&SOFT).pos(Pos::new(h, v));
    for (y, label) in scale.ticks() {
        area.draw(&PathElement::new([(scale.left(), y), (scale.right(), y)], GRID))?;
        let at = (scale.left() - GAP, y);
        area.draw(&Text::new(label, at, style(HPos::Right, VPos::Center)))?;
    }
    for (index, colour) in colours.iter().enumerate() {
        let ink = RGBColor(0, 0, colour.number());
        match chart.kind {
            Kind::Bars => bars(chart, index, ink, &scale, area)?,
            Kind::Lines => line(chart, index, ink, &scale, area)?,
        }
    }
    for place in scale.labelled(&chart.labels) {
        let label = short(chart.labels.get(place).map_or("", |it| it.as_str()));
        let at = (scale.middle(place, &label), scale.bottom() + 10);
        area.draw(&Text::new(label, at, style(HPos::Center, VPos::Top)))?;
    }
    area.present()?;
    Ok(())
}

/// Each upon those before it, with the ground seen between, so that neighbours are told apart whatever their colours.
fn bars(chart: &Chart, index: usize, ink: RGBColor, scale: &Scale, area: &Area<'_>) -> Drawn {
    for place in 0..chart.labels.len() {
        let below = chart.stacked(place, index);
        let value = chart.series.get(index).map_or(0, |it| it.at(place));
        if value > 0 {
            let (left, right) = scale.bar(place);
            let bottom = scale.y(below) - i32::from(below > 0);
            // However few they are, they are seen.
            let top = scale.y(below.saturating_add(value)).min(bottom - 1);
            area.draw(&Rectangle::new([(left, top), (right, bottom)], ink.filled()))?;
        }
    }
    Ok(())
}

fn line(chart: &Chart, index: usize, ink: RGBColor, scale: &Scale, area: &Area<'_>) -> Drawn {
    let Some(series) = chart.series.get(index) else { return Ok(()) };
    let point = |place| Some((scale.x(place), scale.y(series.get(place)?)));
    let points: Vec<_> = (0..chart.labels.len()).map(point).collect();
    for unbroken in points.split(Option::is_none) {
        let points: Vec<_> = unbroken.iter().copied().flatten().collect();
        match &*points {
            [] => (),
            [only] => area.draw(&Circle::new(*only, 4, ink.filled()))?,
            _ => area.draw(&PathElement::new(points, ink.stroke_width(2)))?,
        }
    }
    Ok(())
}

fn short(label: &str) -> String {
    if label.chars().count() <= MOST_LETTERS {
        return label.to_owned();
    }
    label.chars().take(MOST_LETTERS - 1).chain(['…']).collect()
}

/// The crates that draw put their colours into the picture, or into `style`, which our policy forbids and which no dark
/// scheme changes. So this one draws in colours that mean something, and they become classes of the style sheet here.
fn themed(svg: &str, name: &str, size: Size) -> String {
    let (_, drawn) = svg.split_once(">\n").unwrap_or_default();
    let mut drawn = drawn.replace("opacity=\"1\" ", "").replace(" stroke=\"none\"", "");
    drawn = drawn.replace(" font-family=\"sans-serif\"", "");
    let names = (0..Colour::COUNT).map(|it| (it, format!("s{it}")));
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
    let Size { class, width, height, .. } = size;
    format!(
        "<svg class=\"picture {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{name}\">\n{drawn}"
    )
}
