//! The form for a new key, as it was typed.

use serde::Deserialize;

use crate::model::Endpoint;
use crate::model::key::Role;

/// The fields of the form.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the form has a box to tick for each")]
pub(crate) struct Fields {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) accounts: String,
    pub(crate) totals: bool,
    #[serde(rename = "28hr")]
    pub(crate) twenty_eight_hours: bool,
    pub(crate) historical: bool,
    pub(crate) create_links: bool,
    pub(crate) expires: String,
}

impl Fields {
    pub(crate) fn endpoints(&self) -> [(Endpoint, bool); 3] {
        [
            (Endpoint::Totals, self.totals),
            (Endpoint::TwentyEightHours, self.twenty_eight_hours),
            (Endpoint::Historical, self.historical),
        ]
    }

    pub(crate) fn role(&self) -> Role {
        Role::from_name(&self.role).unwrap_or_default()
    }
}
