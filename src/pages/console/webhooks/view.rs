//! Webhooks: the list, one with its deliveries, its secret (shown only once), and removing it.

use askama::Template;

use crate::model::webhook::DeliveryState;
use crate::pages::console::layout::Chrome;
use crate::pages::parts::{filters, text};

/// A webhook as it is shown.
pub struct WebhookRow {
    pub id: String,
    /// The URL without the values of its query.
    pub url: String,
    /// `None` for all apps.
    pub app: Option<String>,
    pub added: String,
    pub old_secret_until: Option<String>,
    pub waiting: i64,
    /// Since when the oldest pending event has been waiting.
    pub since: Option<String>,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// An event for a webhook as it is shown.
pub struct DeliveryRow {
    pub number: i64,
    pub at: String,
    pub app: String,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When the next attempt is due.
    pub next: Option<String>,
    /// The receiver's last answer.
    pub answer: String,
    /// `None` if the row cannot be read.
    pub subject: Option<Subject>,
}

/// What happened, and to which account; `None` for an import, with how many accounts it had.
pub struct Subject {
    pub event: &'static str,
    /// User id and screen name.
    pub account: Option<(String, String)>,
    pub accounts: u64,
}

/// The form to add a webhook, and what is wrong with it.
#[derive(Clone, Copy, Default)]
pub struct AddForm<'a> {
    pub url: &'a str,
    pub app: &'a str,
    pub error: Option<&'a str>,
}

/// The deliveries that are shown.
#[derive(Clone, Copy)]
pub struct Deliveries<'a> {
    pub rows: &'a [DeliveryRow],
    pub state: Option<DeliveryState>,
    /// A link to the page after this one.
    pub next: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhooks.html", config = ".askama.toml")]
struct ListPage<'a> {
    chrome: &'a Chrome<'a>,
    webhooks: &'a [WebhookRow],
    apps: &'a [String],
    form: AddForm<'a>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook.html", config = ".askama.toml")]
struct DetailsPage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a WebhookRow,
    deliveries: Deliveries<'a>,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook_secret.html", config = ".askama.toml")]
struct SecretPage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a WebhookRow,
    secret: &'a str,
}

#[derive(Template)]
#[template(path = "pages/console/webhooks/webhook_remove.html", config = ".askama.toml")]
struct RemovePage<'a> {
    chrome: &'a Chrome<'a>,
    webhook: &'a WebhookRow,
}

/// The list of webhooks, and the form to add one; `apps` are the apps to choose from.
pub fn list(
    chrome: &Chrome<'_>,
    webhooks: &[WebhookRow],
    apps: &[String],
    form: AddForm<'_>,
) -> String {
    text(&ListPage { chrome, webhooks, apps, form })
}

pub fn show(
    chrome: &Chrome<'_>,
    webhook: &WebhookRow,
    deliveries: Deliveries<'_>,
    error: Option<&str>,
) -> String {
    text(&DetailsPage { chrome, webhook, deliveries, error })
}

/// The one page that shows a secret.
pub fn secret(chrome: &Chrome<'_>, webhook: &WebhookRow, secret: &str) -> String {
    text(&SecretPage { chrome, webhook, secret })
}

/// Asks for confirmation before the webhook is removed.
pub fn remove(chrome: &Chrome<'_>, webhook: &WebhookRow) -> String {
    text(&RemovePage { chrome, webhook })
}
