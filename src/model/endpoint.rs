//! The upstream's three engagement endpoints and what sets them apart (reference 1.1, 1.3, 1.4).

use std::fmt;

use time::Duration;

/// The longest span of a historical request.
pub const MAX_WINDOW: Duration = Duration::days(28);

/// One of the Engagement API's endpoints.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Endpoint {
    Totals,
    TwentyEightHours,
    Historical,
}

impl Endpoint {
    pub const ALL: [Endpoint; 3] =
        [Endpoint::Totals, Endpoint::TwentyEightHours, Endpoint::Historical];

    /// The name in paths, keys' scopes, logs and metrics: `totals`, `28hr` or `historical`.
    pub const fn name(self) -> &'static str {
        match self {
            Endpoint::Totals => "totals",
            Endpoint::TwentyEightHours => "28hr",
            Endpoint::Historical => "historical",
        }
    }

    /// The path, the same here and upstream.
    pub const fn path(self) -> &'static str {
        match self {
            Endpoint::Totals => "/insights/engagement/totals",
            Endpoint::TwentyEightHours => "/insights/engagement/28hr",
            Endpoint::Historical => "/insights/engagement/historical",
        }
    }

    pub fn from_name(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == name)
    }

    /// How many posts one request may ask for.
    pub const fn max_posts(self) -> usize {
        match self {
            Endpoint::Totals => 250,
            Endpoint::TwentyEightHours | Endpoint::Historical => 25,
        }
    }

    /// Whether results may be grouped by day and hour.
    pub const fn has_time_series(self) -> bool {
        !matches!(self, Endpoint::Totals)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
