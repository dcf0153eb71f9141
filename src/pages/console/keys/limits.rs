//! Reads a key's limits from the fields of a form.

use crate::gateway::{Detail, check_limits};
use crate::model::key::{KeyLimits, MOST_WEIGHT};
use crate::pages::console::keys::fields::LimitFields;

impl LimitFields {
    /// The limits, or what is wrong with each field.
    pub(super) fn read(&self) -> Result<KeyLimits, Vec<Detail>> {
        let mut problems = Vec::new();
        let mut number = |field: &str, text: &str, range: &str| {
            let text = text.trim();
            let number = text.parse().ok();
            if number.is_none() && !text.is_empty() {
                problems.push(Detail::at(field, format!("must be a whole number {range}")));
            }
            number
        };
        let weights = format!("from 1 to {MOST_WEIGHT}");
        let counts = format!("from 1 to {}, or empty for no limit", u32::MAX);
        let limits = KeyLimits {
            weight: number("/weight", &self.weight, &weights)
                .unwrap_or(KeyLimits::default().weight),
            per_minute: number("/per_minute", &self.per_minute, &counts),
            at_once: number("/at_once", &self.at_once, &counts),
        };
        problems.extend(check_limits(&limits));
        if problems.is_empty() { Ok(limits) } else { Err(problems) }
    }
}
