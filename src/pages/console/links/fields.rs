//! The form for a new link, as it was typed.

use serde::Deserialize;

/// The fields of the form.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Fields {
    pub(crate) app: String,
    pub(crate) label: String,
    pub(crate) user_id: String,
    pub(crate) return_to: String,
    pub(crate) expires: String,
}
