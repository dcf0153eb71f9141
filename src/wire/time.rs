//! Times as JSON has them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time as the API writes it: RFC 3339, UTC.
pub fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
