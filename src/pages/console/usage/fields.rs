//! The form for usage over time, as it was typed or filled in.

use serde::Deserialize;

use crate::model::usage::Aspect;

/// The form as it was typed or filled in.
#[derive(Deserialize)]
pub(crate) struct UsageForm {
    #[serde(default)]
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) until: String,
    #[serde(default)]
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) account: String,
}

impl UsageForm {
    pub(crate) fn aspect(&self) -> Option<Aspect> {
        Aspect::from_name(&self.by)
    }
}
