//! The sandbox's pages, checked at compile time. They need no script and no network, and escape everything they show.

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};

use crate::sandbox::http::reply::{HTML, Reply};

/// Nothing from elsewhere. There is no `form-action`: browsers would apply it to redirects to callbacks as well.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// The page that asks one of the users to authorise an app.
#[derive(Template)]
#[template(path = "sandbox/oauth/pages/consent.html", config = ".askama.toml")]
pub struct Consent<'a> {
    pub app: &'a str,
    pub path: &'a str,
    pub token: &'a str,
    /// `None` when the user gets a PIN.
    pub callback: Option<&'a str>,
    /// Whether the form came back incomplete.
    pub complaint: bool,
    pub users: Vec<Choice<'a>>,
}

/// A user to choose.
pub struct Choice<'a> {
    pub screen_name: &'a str,
    pub state: &'static str,
    pub is_connected: bool,
    pub is_chosen: bool,
}

/// The page of users with the apps that have access.
#[derive(Template)]
#[template(path = "sandbox/oauth/pages/connected_apps.html", config = ".askama.toml")]
pub struct ConnectedApps<'a> {
    pub path: &'a str,
    pub users: Vec<Owner<'a>>,
}

pub struct Owner<'a> {
    pub screen_name: &'a str,
    pub apps: Vec<Connected>,
}

pub struct Connected {
    pub name: &'static str,
    pub is_connected: bool,
}

#[derive(Template)]
#[template(path = "sandbox/oauth/pages/invalid_token.html", config = ".askama.toml")]
struct InvalidToken;

#[derive(Template)]
#[template(path = "sandbox/oauth/pages/refused.html", config = ".askama.toml")]
struct Refused<'a> {
    app: &'a str,
    back: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sandbox/oauth/pages/pin.html", config = ".askama.toml")]
struct Pin<'a> {
    app: &'a str,
    pin: &'a str,
}

#[derive(Template)]
#[template(path = "sandbox/oauth/pages/home.html", config = ".askama.toml")]
struct Home {
    connected_apps: &'static str,
}

/// What the sandbox is, and where to go.
pub fn home(connected_apps: &'static str) -> Reply {
    page(&Home { connected_apps })
}

/// A request token that is used, expired or unknown (`OBS` 6.4; the status is a guess).
pub fn invalid_token() -> Reply {
    Reply { status: StatusCode::FORBIDDEN, ..page(&InvalidToken) }
}

/// The page after a refusal; `back` leads to the app, if there is a way back.
pub fn refused(app: &str, back: Option<&str>) -> Reply {
    page(&Refused { app, back })
}

pub fn pin(app: &str, pin: &str) -> Reply {
    page(&Pin { app, pin })
}

pub fn page(template: &impl Template) -> Reply {
    let text = template.render().expect("writing to a string cannot fail");
    let mut reply = Reply::of_type(StatusCode::OK, HTML, text.into_bytes());
    reply.headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply
}
