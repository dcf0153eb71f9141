//! The frame of the console's pages, and the pages and time formats that they share.

use askama::Template;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::model::key::{Key, Role};
use crate::model::permission::{Access, Area, access};
use crate::pages::parts::text;

/// The style sheet of the console.
pub const STYLE: &str = include_str!("style.css");

/// The console's icon in a browser's tab.
pub const ICON: &str = include_str!("icon.svg");

/// The frame of a page for a signed-in admin.
pub struct Chrome<'a> {
    pub section: Section,
    /// The sections that are open to the key that signed in.
    pub sections: Vec<Section>,
    /// The name of the key that signed in.
    pub key_name: &'a str,
    pub role: Role,
    /// Whether buttons that change something are shown.
    pub may_act: bool,
    /// The action just done, in words.
    pub done: Option<&'a str>,
}

/// A part of the console, as its navigation names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    Overview,
    Accounts,
    Links,
    Keys,
    Webhooks,
    Explore,
    Calls,
    Usage,
    Audit,
    /// The first steps, which the navigation leaves out.
    Start,
}

impl Section {
    pub const ALL: [Section; 9] = [
        Section::Overview,
        Section::Accounts,
        Section::Links,
        Section::Keys,
        Section::Webhooks,
        Section::Explore,
        Section::Calls,
        Section::Usage,
        Section::Audit,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Section::Overview => "Overview",
            Section::Start => "First steps",
            Section::Accounts => "Accounts",
            Section::Links => "Links",
            Section::Keys => "Keys",
            Section::Webhooks => "Webhooks",
            Section::Explore => "Explore",
            Section::Calls => "Calls",
            Section::Usage => "Usage",
            Section::Audit => "Audit",
        }
    }

    const fn area(self) -> Area {
        match self {
            Section::Explore => Area::Explore,
            Section::Usage => Area::Usage,
            Section::Overview
            | Section::Start
            | Section::Accounts
            | Section::Links
            | Section::Keys
            | Section::Webhooks
            | Section::Calls
            | Section::Audit => Area::Administration,
        }
    }

    pub const fn path(self) -> &'static str {
        match self {
            Section::Overview => "/console/",
            Section::Start => "/console/start",
            Section::Accounts => "/console/accounts",
            Section::Links => "/console/links",
            Section::Keys => "/console/keys",
            Section::Webhooks => "/console/webhooks",
            Section::Explore => "/console/explore",
            Section::Calls => "/console/calls",
            Section::Usage => "/console/usage",
            Section::Audit => "/console/audit",
        }
    }
}

impl Chrome<'_> {
    /// Whether that section is open to the key that signed in.
    pub fn opens(&self, section: Section) -> bool {
        self.sections.contains(&section)
    }

    /// What the key may do, in a word beside its name; empty if it may do everything.
    pub const fn limits(&self) -> &'static str {
        match self.role {
            Role::Auditor => "read-only",
            Role::Analyst => "analyst",
            Role::Caller | Role::Owner => "",
        }
    }
}

/// The sections that are open to the holder of that key, in the order of the navigation.
pub fn sections(key: &Key) -> Vec<Section> {
    let is_open = |section: &Section| access(key, section.area()) >= Access::View;
    Section::ALL.into_iter().filter(is_open).collect()
}

/// The page on which the holder of that key starts: the first section that is open.
pub fn home(key: &Key) -> &'static str {
    sections(key).first().map_or(Section::Overview.path(), |section| section.path())
}

#[derive(Template)]
#[template(path = "pages/console/sign_in.html", config = ".askama.toml")]
struct SignInPage<'a> {
    next: &'a str,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/trouble.html", config = ".askama.toml")]
struct TroublePage<'a> {
    title: &'a str,
    what: &'a [String],
    advice: &'a str,
}

/// The page that asks for an admin key; `next` is the page to go on to.
pub fn sign_in(next: &str, error: Option<&str>) -> String {
    text(&SignInPage { next, error })
}

/// A page that says what went wrong and what to do, for people who may not be signed in.
pub fn trouble(title: &str, what: &[String], advice: &str) -> String {
    text(&TroublePage { title, what, advice })
}

/// An error's text as a sentence, with a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A time for people, to the minute.
pub fn time(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.to_offset(UtcOffset::UTC).format(form).unwrap_or_default()
}

/// A time for people, to the second.
pub fn second(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.to_offset(UtcOffset::UTC).format(form).unwrap_or_default()
}

/// The hour of a time, for people, if the minute is not known.
pub fn hour(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:00–{:02}:00 UTC", at.date(), at.hour(), at.hour() + 1)
}
