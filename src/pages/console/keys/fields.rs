//! The forms for a new key and for a key's limits, as they were typed.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::model::Endpoint;
use crate::model::key::{KeyLimits, Right, Role};

/// The fields of the form for a new key.
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
    pub(crate) origins: String,
    pub(crate) expires: String,
    #[serde(flatten)]
    pub(crate) limits: LimitFields,
    /// Every other field is the box of a right.
    #[serde(flatten, deserialize_with = "ticked")]
    pub(crate) rights: BTreeSet<Right>,
}

/// The fields of a key's limits; an empty one means the default.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct LimitFields {
    pub(crate) weight: String,
    pub(crate) per_minute: String,
    pub(crate) at_once: String,
}

impl From<KeyLimits> for LimitFields {
    fn from(limits: KeyLimits) -> LimitFields {
        let text = |limit: Option<u32>| limit.map_or(String::new(), |most| most.to_string());
        LimitFields {
            weight: limits.weight.to_string(),
            per_minute: text(limits.per_minute),
            at_once: text(limits.at_once),
        }
    }
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
