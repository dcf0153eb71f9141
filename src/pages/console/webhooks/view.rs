//! Webhooks: the list, one with what was sent to it, its secret this once, and removing it.

use askama::Template;

use crate::model::webhook::DeliveryState;
use crate::pages::console::layout::{Chrome, Section};
use crate::pages::parts::{filters, text};

/// A webhook as it is shown.
pub struct Listed {
    pub id: String,
    /// Without the values of its query.
    pub url: String,
    /// None for all apps.
    pub app: Option<String>,
    pub added: String,
    pub old_secret_until: Option<String>,
    pub waiting: i64,
    /// Since when the event waits that waits for longest.
    pub since: Option<String>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// An event for a webhook as it is shown.
pub struct Sent {
    pub number: i64,
    pub at: String,
    pub app: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it is tried next.
    pub next: Option<String>,
    /// What the receiver said last.
    pub answer: String,
    /// None where the row cannot be read.
    pub of: Option<Of>,
}

/// What became of whom.
pub struct Of {
    pub event: &'static str,
    pub user_id: String,
    pub screen_name: String,
}

/// What a form to add a webhook holds, and what is wrong with it.
#[derive(Clone, Copy, Default)]
pub struct Adding<'a> {
    pub url: &'a str,
    pub app: &'a str,
    pub wrong: Option<&'a str>,
}

/// Which deliveries are shown.
#[derive(Clone, Copy)]
pub struct Deliveries<'a> {
    pub sent: &'a [Sent],
    pub state: Option<DeliveryState>,
    /// Leads to the part after this one.
    pub next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhooks.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    webhooks: &'a [Listed],
    apps: &'a [String],
    adding: Adding<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook.html", config = ".askama.toml")]
struct OnePage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a Listed,
    deliveries: Deliveries<'a>,
    wrong: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook_secret.html", config = ".askama.toml")]
struct SecretPage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a Listed,
    secret: &'a str,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook_remove.html", config = ".askama.toml")]
struct RemovePage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a Listed,
}

/// `apps` are those whose events one may choose.
pub fn list(
    chrome: &Chrome<'_>,
    webhooks: &[Listed],
    apps: &[String],
    adding: Adding<'_>,
) -> String {
    text(&ListPage { chrome, webhooks, apps, adding })
}

pub fn show(
    chrome: &Chrome<'_>,
    webhook: &Listed,
    deliveries: Deliveries<'_>,
    wrong: Option<&str>,
) -> String {
    text(&OnePage { chrome, webhook, deliveries, wrong })
}

/// The one page that shows a secret.
pub fn secret(chrome: &Chrome<'_>, webhook: &Listed, secret: &str) -> String {
    text(&SecretPage { chrome, webhook, secret })
}

/// Asks once more.
pub fn remove(chrome: &Chrome<'_>, webhook: &Listed) -> String {
    text(&RemovePage { chrome, webhook })
}
