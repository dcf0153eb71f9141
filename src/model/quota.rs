//! X's quotas: the calls that an app may make in a window of time, as X reports them and as the settings describe them
//! (reference 5).

use std::sync::Arc;

use time::OffsetDateTime;

/// What an answer of X's says about the quotas that its call counted against.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// When X answered, by its own clock, in seconds since 1970.
    pub date: Option<i64>,
    /// The quota per second, the one per minute, and the one with the headers of X's other APIs.
    pub windows: [Option<Reported>; 3],
    /// Whether X refused the call because a quota is used up.
    pub is_refusal: bool,
    /// How many seconds to wait, according to a refusal.
    pub retry_after: Option<u32>,
}

/// One quota, as an answer reports it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reported {
    pub limit: Option<u32>,
    pub remaining: Option<u32>,
    /// The end of the window, in seconds since 1970.
    pub reset: Option<i64>,
}

/// How much of a quota a key wants in one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    pub key: Arc<str>,
    pub weight: f64,
    /// Calls that wait, and those made or refused since demand was last read.
    pub calls: u32,
    /// Those of them that are for pages, and of these those that must wait for another window.
    pub for_pages: u32,
    pub held: u32,
    /// Calls made per second, on average over some time, as though there had been none before the first.
    pub pace: f64,
    /// How much of that time has passed since the first, from 0 to 1.
    pub evidence: f64,
    /// Calls made in the quota's present window, and those that wait now.
    pub used: u32,
    pub waiting: u32,
}

/// What a key uses of a quota, in one process or in all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyUse {
    /// The key's id.
    pub key: Arc<str>,
    /// Calls made in the present window.
    pub calls: u32,
    pub waiting: u32,
}

/// How much of a quota is used in its present window, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuotaUse {
    pub app: String,
    /// What X counts together.
    pub pool: String,
    pub mode: Mode,
    /// `None` if it is not known.
    pub limit: Option<u32>,
    pub used: u32,
    /// The end of the window, if the limit is known.
    pub ends_at: Option<OffsetDateTime>,
    /// When the next call can be made; `None` if it need not wait.
    pub free_at: Option<OffsetDateTime>,
    pub waiting: u32,
    /// The keys that use most of it, the largest first.
    pub keys: Vec<KeyUse>,
    pub other_keys: OtherKeys,
    /// Calls that are not known to be those of a key.
    pub other_calls: u32,
}

/// What all keys but the largest use of a quota.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OtherKeys {
    pub keys: usize,
    pub calls: u32,
    pub waiting: u32,
}

/// One process's part in a quota, as it was last written down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    /// Its share, from 0 to 1.
    pub share: f64,
    /// What keys have wanted of it within a second.
    pub demand: Vec<Demand>,
    /// The quota per minute, as X last reported it.
    pub reported: Option<Reported>,
    /// Calls in that window so far, and those of them that are in flight.
    pub made: u32,
    pub in_flight: u32,
}

/// One process's part in what a limited key may ask in a minute, as it was last written down.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyLease {
    /// Requests of the last minute.
    pub made: u32,
    /// The most that these may become until the lease is renewed.
    pub most: u32,
    /// Requests of the last second, taken and refused.
    pub wanted: u32,
}

/// An app's quota, as configured.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quota {
    pub scope: Scope,
    pub mode: Mode,
    /// Calls per minute, until X's answers report a limit.
    pub per_minute: Option<u32>,
    /// Calls per second, likewise.
    pub per_second: Option<u32>,
}

/// Which calls of an app count against the same quota. X does not say (reference 5).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scope {
    /// All of them.
    App,
    /// Those with the same kind of credentials.
    Kind,
    /// Those with the same kind of credentials to the same endpoint.
    #[default]
    Endpoint,
}

/// What happens to calls for which there is no quota.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// They wait, or are refused.
    #[default]
    Enforce,
    /// They are counted and sent all the same.
    Observe,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::App, Scope::Kind, Scope::Endpoint];

    pub const fn name(self) -> &'static str {
        match self {
            Scope::App => "app",
            Scope::Kind => "app+kind",
            Scope::Endpoint => "app+kind+endpoint",
        }
    }

    pub fn from_name(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl Mode {
    pub const ALL: [Mode; 2] = [Mode::Enforce, Mode::Observe];

    pub const fn name(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Observe => "observe",
        }
    }

    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}
