//! Times as callers and the upstream write them.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// The four forms that clients send; no zone means UTC (reference 1.5). Only times that can be written in UTC.
pub fn read_time(text: &str) -> Option<OffsetDateTime> {
    let in_utc = |it: &OffsetDateTime| it.checked_to_offset(UtcOffset::UTC);
    read(text).filter(|it| in_utc(it).is_some_and(|it| it.year() >= 0))
}

pub(in crate::gateway) fn rfc3339(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

fn read(text: &str) -> Option<OffsetDateTime> {
    let seconds = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]"
    );
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(at);
    }
    if let Ok(at) = PrimitiveDateTime::parse(text, seconds) {
        return Some(at.assume_utc());
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(day.midnight().assume_utc())
}
