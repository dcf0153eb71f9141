//! The form for a new key, as it was typed.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::model::Endpoint;
use crate::model::key::{Right, Role};

/// The fields of the form.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) accounts: String,
    pub(crate) totals: bool,
    #[serde(rename = "28hr")]
    pub(crate) twenty_eight_hours: bool,
    pub(crate) historical: bool,
    pub(crate) expires: String,
    /// Every other field is the box of a right.
    #[serde(flatten, deserialize_with = "ticked")]
    pub(crate) rights: BTreeSet<Right>,
}

fn ticked<'de, D: Deserializer<'de>>(boxes: D) -> Result<BTreeSet<Right>, D::Error> {
    let boxes: BTreeMap<String, String> = BTreeMap::deserialize(boxes)?;
    let right = |(name, value): (&String, &String)| {
        let known = Right::from_name(name).filter(|_| value == "true");
        known.ok_or_else(|| D::Error::custom(format!("unknown field or value: `{name}`")))
    };
    boxes.iter().map(right).collect()
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
