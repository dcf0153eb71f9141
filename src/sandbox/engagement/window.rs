//! Time windows: the 28 hours, a historical request's own, and how answers echo them (reference 1.5, 1.6).

use std::ops::Range;

use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration, OffsetDateTime};

use crate::model::endpoint::MAX_WINDOW;
use crate::sandbox::engagement::body::Limits;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::world::numbers::{hour_after, hour_of};
use crate::sandbox::{EchoEnd, HistoryFloor, Switches};

const TWENTY_EIGHT_HOURS: Duration = Duration::hours(28);
const SEPTEMBER_2014: OffsetDateTime = datetime!(2014-09-01 0:00 UTC);

/// Whole hours, and the times that the answer names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    pub hours: Range<i64>,
    pub start: String,
    pub end: String,
}

/// The last 28 hours, widened to whole ones: 29 of them unless it is exactly on the hour.
pub fn last_28_hours(now: OffsetDateTime, echo: EchoEnd) -> Window {
    up_to_now(hour_of(now - TWENTY_EIGHT_HOURS), now, echo)
}

/// The window of a historical request; a missing end is now or 28 days after the start, a missing start 28 days
/// before the end (`SIM` where only one is missing).
pub fn historical(
    start: Option<&str>,
    end: Option<&str>,
    now: OffsetDateTime,
    limits: Limits,
    switches: &Switches,
) -> Result<Window, Refusal> {
    let start = start.map(|text| read("start", text)).transpose()?;
    let end = end.map(|text| read("end", text)).transpose()?;
    let checked = |start, end| checked(start, end, now, limits, switches);
    let reaches_now = |start: OffsetDateTime| start + MAX_WINDOW >= now;
    match (start, end) {
        (None, None) => {
            let first = hour_after(now) - MAX_WINDOW.whole_hours();
            Ok(up_to_now(first, now, switches.echo_end))
        }
        (Some(start), None) if reaches_now(start) => {
            checked(start, now)?;
            Ok(up_to_now(hour_of(start), now, switches.echo_end))
        }
        (Some(start), None) => checked(start, start + MAX_WINDOW),
        (None, Some(end)) => checked(end - MAX_WINDOW, end),
        (Some(start), Some(end)) => checked(start, end),
    }
}

/// A time as the upstream writes it.
pub fn written(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    at.format(form).unwrap_or_default()
}

/// A whole hour as a time.
pub fn begin_of(hour: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(hour * 3600).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn up_to_now(first: i64, now: OffsetDateTime, echo: EchoEnd) -> Window {
    let last = hour_after(now);
    let end = match echo {
        EchoEnd::Ceil => begin_of(last),
        EchoEnd::Now => now,
    };
    Window { hours: first..last, start: written(begin_of(first)), end: written(end) }
}

fn checked(
    start: OffsetDateTime,
    end: OffsetDateTime,
    now: OffsetDateTime,
    limits: Limits,
    switches: &Switches,
) -> Result<Window, Refusal> {
    let floor = match switches.history_floor {
        HistoryFloor::September2014 => SEPTEMBER_2014,
        HistoryFloor::Last365Days => begin_of(hour_of(now - Duration::days(365))),
    };
    if start >= end {
        return Err(errors::bad_window("start must be before end"));
    }
    if limits == Limits::Kept && end - start > MAX_WINDOW {
        return Err(errors::bad_window("start and end must be no more than 28 days apart"));
    }
    // Clients round an end of now up to the hour.
    if hour_after(end) > hour_after(now) {
        return Err(errors::bad_window("end must not be in the future"));
    }
    if start < floor {
        let text = format!("start must not be before {}", written(floor));
        return Err(errors::bad_window(&text));
    }
    let hours = hour_of(start)..hour_after(end);
    let (start, end) = (written(begin_of(hours.start)), written(begin_of(hours.end)));
    Ok(Window { hours, start, end })
}

/// Reads a time. A date means its midnight, a time without a zone is UTC; both are RFC 3339 once completed.
fn read(field: &str, text: &str) -> Result<OffsetDateTime, Refusal> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let at = parse(text)
        .or_else(|| parse(&format!("{text}Z")))
        .or_else(|| parse(&format!("{text}T00:00:00Z")));
    // Far from both ends of the calendar, so that windows around the time can be computed.
    at.filter(|at| (1970..=9000).contains(&at.year()))
        .ok_or_else(|| errors::bad_window(&format!("{field}: '{text}' is not a valid time")))
}
