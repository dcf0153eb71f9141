//! Recent calls: the list, and a single call.

use askama::Template;

use crate::model::call::{Attempt, Call, ended};
use crate::model::{AuthKind, Cause, Endpoint};
use crate::pages::console::calls::fields::ListQuery;
use crate::pages::console::form_errors::FieldErrors;
use crate::pages::console::layout::{Chrome, second};
use crate::pages::parts::{filters, text};

/// A call as it is shown.
pub struct Row {
    pub call: Call,
    /// The key's name, or its id if no name is known any more.
    pub key: String,
    /// The account's name, if it is still connected.
    pub screen_name: Option<String>,
}

#[derive(Template)]
#[template(path = "pages/console/calls/calls.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    filter: &'a ListQuery,
    errors: &'a FieldErrors,
    calls: &'a [Row],
    pages: Pages<'a>,
}

/// Links to the newest page and to the one after this.
#[derive(Clone, Copy, Default)]
pub struct Pages<'a> {
    pub newest: Option<&'a str>,
    pub next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/calls/call.html", config = ".askama.toml")]
struct OnePage<'a> {
    chrome: &'a Chrome<'a>,
    row: &'a Row,
    call: &'a Call,
    others: &'a [Row],
    /// A link to all calls with the same request id.
    all: &'a str,
}

/// A page of the list; `errors` says which fields of the filter cannot be parsed.
pub fn list(
    chrome: &Chrome<'_>,
    filter: &ListQuery,
    errors: &FieldErrors,
    calls: &[Row],
    pages: Pages<'_>,
) -> String {
    text(&ListPage { chrome, filter, errors, calls, pages })
}

/// One call, and the others with its request id.
pub fn show(chrome: &Chrome<'_>, row: &Row, others: &[Row], all: &str) -> String {
    text(&OnePage { chrome, row, call: &row.call, others, all })
}

impl Row {
    fn at(&self) -> String {
        second(self.call.at)
    }

    /// The name of its account, or the id.
    fn account(&self) -> String {
        match (&self.screen_name, self.call.account) {
            (Some(name), _) => format!("@{name}"),
            (None, Some(id)) => id.to_string(),
            (None, None) => String::new(),
        }
    }

    fn credentials(&self) -> &'static str {
        self.call.auth.map_or("not chosen", AuthKind::name)
    }

    fn went_well(&self) -> bool {
        self.call.went_well()
    }

    fn status(&self) -> String {
        match (self.call.status, &self.call.code) {
            (None, _) => "no answer".to_owned(),
            (Some(status), None) => status.to_string(),
            (Some(status), Some(code)) => format!("{status} {code}"),
        }
    }

    /// Who answered, in words.
    fn answer(&self) -> &'static str {
        match (self.call.status, &self.call.code) {
            (Some(_), Some(_)) => "Countersign answered this call itself; the code says why.",
            (Some(..400), None) => "X answered this call.",
            (Some(..500), None) => "X rejected this call.",
            (None, _) | (Some(_), None) => "X failed to answer this call.",
        }
    }

    /// Where it went.
    fn endpoint(&self) -> &'static str {
        self.call.endpoint.map_or("question", Endpoint::name)
    }

    /// How it ended, in a few words.
    fn outcome(&self) -> String {
        match self.call.cause {
            Some(cause) => cause.words(),
            None if self.went_well() => "answered".to_owned(),
            None => ended(self.call.status, self.call.code.as_deref()),
        }
    }

    fn tries(&self) -> Vec<String> {
        let status = |status: Option<u16>| {
            status.map_or("no answer".to_owned(), |status| status.to_string())
        };
        let tried = |attempt: &Attempt| match attempt.time {
            Some(time) => format!("{} after {}", status(attempt.status), milliseconds(time)),
            None => "given up".to_owned(),
        };
        self.call.tries.iter().map(tried).collect()
    }

    fn metrics(&self) -> String {
        let names: Vec<&str> = self.call.metrics.iter().map(|metric| metric.name()).collect();
        names.join(", ")
    }

    fn ms(&self) -> String {
        milliseconds(self.call.time)
    }

    fn upstream_ms(&self) -> String {
        milliseconds(self.call.upstream_time)
    }

    fn own_ms(&self) -> String {
        milliseconds(self.call.time.saturating_sub(self.call.upstream_time))
    }
}

fn milliseconds(time: std::time::Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
