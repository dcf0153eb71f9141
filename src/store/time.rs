//! Times as the store keeps them.

use time::OffsetDateTime;

/// A time as the store keeps it: UTC, without fractions of a second, which the two databases would order differently.
pub fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(time::UtcOffset::UTC).truncate_to_second()
}
