//! Usage: a chart over time, what is most, the accounts that X bills, and what is missing.

use askama::Template;

use crate::model::usage::{Aspect, Month, Sums};
use crate::pages::console::form_errors::Wrong;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::chart::{Chart, Colour};
use crate::pages::parts::{filters, text};

/// What was asked for, as it was typed or filled in.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub from: String,
    pub until: String,
    pub by: Option<Aspect>,
    pub key: String,
    pub account: String,
}

/// What was found.
pub struct Found {
    pub chart: Chart,
    /// Of the chart's series.
    pub colours: Vec<Colour>,
    pub total: Sums,
    /// The largest of what is told apart.
    pub ranked: Vec<Ranked>,
    /// Whether there are more than are ranked.
    pub has_more: bool,
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<Gap>,
    pub csv: String,
}

/// One of what is told apart; `link` leads to its recent calls.
pub struct Ranked {
    pub name: String,
    pub link: Option<String>,
    pub sums: Sums,
}

/// A process whose last calls are missing.
pub struct Gap {
    pub since: String,
    pub lost_calls: u64,
    pub killed: bool,
}

#[derive(Template)]
#[template(path = "pages/console/usage/usage.html", config = ".askama.toml")]
struct Page<'a> {
    chrome: &'a Chrome<'a>,
    asked: &'a Asked,
    /// Other times by their names, with where they are.
    times: &'a [(&'static str, String)],
    found: Option<&'a Found>,
    wrong: &'a Wrong,
}

/// What calls add up to.
pub fn show(
    chrome: &Chrome<'_>,
    asked: &Asked,
    times: &[(&'static str, String)],
    found: &Found,
) -> String {
    text(&Page { chrome, asked, times, found: Some(found), wrong: &Wrong::default() })
}

/// Why nothing is shown.
pub fn refuse(
    chrome: &Chrome<'_>,
    asked: &Asked,
    times: &[(&'static str, String)],
    wrong: &Wrong,
) -> String {
    text(&Page { chrome, asked, times, found: None, wrong })
}

impl Asked {
    /// What may be told apart: as forms send it, for people, and whether it is.
    fn aspects(&self) -> [(&'static str, &'static str, bool); 6] {
        Aspect::ALL.map(|it| (it.name(), name(it), self.by == Some(it)))
    }

    fn by_name(&self) -> Option<&'static str> {
        self.by.map(name)
    }
}

/// An aspect for people.
const fn name(aspect: Aspect) -> &'static str {
    match aspect {
        Aspect::App => "app",
        Aspect::Key => "key",
        Aspect::Account => "account",
        Aspect::Endpoint => "endpoint",
        Aspect::Auth => "credentials",
        Aspect::Outcome => "X's answer",
    }
}
