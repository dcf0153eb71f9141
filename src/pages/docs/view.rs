//! The page that shows an API description.

use askama::Template;

use crate::pages::parts;

/// The contents of the page.
#[derive(Template)]
#[template(path = "pages/docs/docs.html", config = ".askama.toml")]
pub struct Page {
    pub version: &'static str,
    /// Whether the page is that of the operators' listener.
    pub for_operators: bool,
    pub groups: Vec<Group>,
    pub problems: Vec<Problem>,
    /// The whole body of one problem.
    pub problem_example: String,
}

/// Operations for the same audience.
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
    /// A command that can be pasted.
    pub curl: String,
    pub parameters: Vec<Field>,
    pub body: Vec<Field>,
    pub answers: Vec<Answer>,
    /// Codes of problems, by status.
    pub problems: Vec<(u16, Vec<&'static str>)>,
}

/// A field of a body, or a parameter beside it.
pub struct Field {
    pub name: String,
    /// Where a parameter is sent; empty for members of the body.
    pub place: &'static str,
    /// Its type and format, in words.
    pub kind: String,
    pub is_required: bool,
    pub about: Text,
}

/// A response, with an example.
pub struct Answer {
    pub status: &'static str,
    pub media: &'static str,
    pub about: Text,
    pub example: String,
}

/// An error of the gateway's own.
pub struct Problem {
    pub code: &'static str,
    pub statuses: Vec<u16>,
    pub title: &'static str,
    /// The detail of one sample.
    pub detail: Text,
}

/// Markdown, of which paragraphs, lists and code between backticks are shown.
pub struct Text(pub String);

/// A paragraph, or a list.
pub struct Paragraph<'a>(&'a str);

impl Problem {
    /// Whether the detail only repeats the title.
    fn is_said_by_title(&self) -> bool {
        self.detail.0.eq_ignore_ascii_case(self.title)
    }
}

impl Text {
    fn paragraphs(&self) -> impl Iterator<Item = Paragraph<'_>> {
        self.0.split("\n\n").filter(|text| !text.is_empty()).map(Paragraph)
    }
}

impl<'a> Paragraph<'a> {
    fn is_list(&self) -> bool {
        self.0.starts_with("- ")
    }

    /// The items of a list.
    fn items(&self) -> impl Iterator<Item = &'a str> {
        self.0.lines().map(|line| line.trim_start_matches("- "))
    }
}

/// The style sheet: that of all pages, and this page's own.
pub fn style() -> String {
    format!("{}{}", parts::STYLE, include_str!("docs.css"))
}

/// The page as HTML.
pub fn text(page: &Page) -> String {
    parts::text(page)
}
