//! What narrows the list of calls, as it was typed.

use serde::Deserialize;

/// The filter as it was typed, and where the page begins.
#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) account: String,
    #[serde(default)]
    pub(crate) endpoint: String,
    #[serde(default)]
    pub(crate) outcome: String,
    #[serde(default)]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) cause: String,
    #[serde(default)]
    pub(crate) app: String,
    /// A day or time.
    #[serde(default)]
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) before: String,
}

impl ListQuery {
    /// Whether nothing narrows the list.
    pub(crate) fn is_empty(&self) -> bool {
        let ListQuery { key, account, endpoint, outcome, status, request_id, cause, .. } = self;
        let ListQuery { app, from, .. } = self;
        [key, account, endpoint, outcome, status, request_id, cause, app, from]
            .iter()
            .all(|field| field.is_empty())
    }
}
