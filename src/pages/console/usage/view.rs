//! Usage: a chart over time, a ranking, the accounts that X bills, and the gaps.

use askama::Template;

use crate::model::usage::{Aspect, Month, Sums};
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::console::usage::fields::UsageForm;
use crate::pages::parts::chart::{Chart, Colour};
use crate::pages::parts::{filters, text};

/// The totals of a period.
pub struct Results {
    pub chart: Chart,
    /// The colours of the chart's series.
    pub colours: Vec<Colour>,
    pub total: Sums,
    /// The largest values of the aspect.
    pub ranked: Vec<Ranked>,
    /// Whether there are more than are ranked.
    pub has_more: bool,
    pub accounts: Vec<(Month, String, u64)>,
    pub gaps: Vec<Gap>,
    pub csv: String,
}

/// A value of the aspect with its sums; `link` leads to its recent calls.
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
    form: &'a UsageForm,
    /// Other periods by their names, with their addresses.
    times: &'a [(&'static str, String)],
    results: Option<&'a Results>,
    errors: &'a FieldErrors,
}

/// The page with usage totals.
pub fn show(
    chrome: &Chrome<'_>,
    form: &UsageForm,
    times: &[(&'static str, String)],
    results: &Results,
) -> String {
    text(&Page { chrome, form, times, results: Some(results), errors: &FieldErrors::default() })
}

/// The page that says why nothing is shown.
pub fn refuse(
    chrome: &Chrome<'_>,
    form: &UsageForm,
    times: &[(&'static str, String)],
    errors: &FieldErrors,
) -> String {
    text(&Page { chrome, form, times, results: None, errors })
}

impl UsageForm {
    /// The aspects to choose from: as forms send them, for people, and whether each is chosen.
    fn aspects(&self) -> [(&'static str, &'static str, bool); 6] {
        Aspect::ALL.map(|aspect| (aspect.name(), name(aspect), self.aspect() == Some(aspect)))
    }

    fn by_name(&self) -> Option<&'static str> {
        self.aspect().map(name)
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
        Aspect::Outcome => "outcome",
    }
}
