//! The parts that pages share: charts, rankings, template filters, and the style sheet.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod filters;
pub(crate) mod ranking;

use askama::Template;

/// The one style sheet.
pub const STYLE: &str = include_str!("style.css");

pub(crate) fn text(page: &impl Template) -> String {
    page.render().expect("a page is written into memory")
}
