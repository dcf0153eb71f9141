//! The page on which people read the API description.

use askama::Template;

use crate::pages::parts;

/// The contents of the page.
#[derive(Template)]
#[template(path = "pages/docs/docs.html", config = ".askama.toml")]
pub struct Page {
    pub version: &'static str,
    pub groups: Vec<Group>,
    pub problems: Vec<Problem>,
    /// The whole body of one problem.
    pub problem_example: String,
}

/// Operations for the same people.
pub struct Group {
    pub id: &'static str,
    pub title: &'static str,
    pub about: Text,
    pub operations: Vec<Operation>,
}

/// One path and method.
pub struct Operation {
    pub id: &'static str,
    pub method: String,
    pub path: &'static str,
    pub summary: &'static str,
    pub about: Text,
    /// A command that works as it stands.
    pub curl: String,
    pub parameters: Vec<Field>,
    pub body: Vec<Field>,
    pub answers: Vec<Answer>,
    /// Codes by status.
    pub problems: Vec<(u16, Vec<&'static str>)>,
}

/// A field of a body, or a parameter beside it.
pub struct Field {
    pub name: String,
    /// Where it is, if not in the body.
    pub place: &'static str,
    /// Its type and format, in words.
    pub kind: String,
    pub is_required: bool,
    pub about: Text,
}

/// An answer with its example.
pub struct Answer {
    pub status: &'static str,
    pub media: &'static str,
    pub about: Text,
    pub example: String,
}

/// An error answer of the gateway.
pub struct Problem {
    pub code: &'static str,
    pub statuses: Vec<u16>,
    pub title: &'static str,
    /// The detail of one sample.
    pub detail: Text,
}

/// A text in which words between backticks are code.
pub struct Text(pub String);

impl Problem {
    /// Whether the detail says no more than the title.
    fn only_repeats_title(&self) -> bool {
        self.detail.0.eq_ignore_ascii_case(self.title)
    }
}

impl Text {
    /// Words and code by turns; words first, though they may be empty.
    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.0.split('`')
    }
}

/// The page's style sheet: that of all pages, and its own.
pub fn style() -> String {
    format!("{}{}", parts::STYLE, include_str!("docs.css"))
}

/// The page as HTML.
pub fn text(page: &Page) -> String {
    parts::text(page)
}
