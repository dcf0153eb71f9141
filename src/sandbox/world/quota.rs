//! Allowances: calls a minute and a second, and the headers that report what is left (reference 5).

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::{AuthKind, Endpoint};
use crate::sandbox::world::switches::Switches;

const LOOKUP_WINDOW_S: i64 = 15 * 60;

/// Calls that count together. App-only and user-context calls draw from separate pools; whether users do is
/// unknown, and here they share (`SIM`). Failed calls count as well, once they are authenticated (`SIM`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Pool {
    Engagement(usize, AuthKind, Endpoint),
    /// Bearer tokens minted for an app.
    Mint(usize),
    /// Posts looked up by an app.
    Lookup(usize),
    /// Pages of users' posts listed by an app.
    PostList(usize),
}

/// Counters of the present minute and second.
#[derive(Default)]
pub struct Quotas {
    counters: HashMap<(Pool, Window), Counter>,
}

/// A window of calls that are counted together.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Window {
    Second,
    /// Of this many seconds.
    Minute(i64),
}

impl Window {
    fn seconds(self) -> i64 {
        match self {
            Window::Second => 1,
            Window::Minute(seconds) => seconds,
        }
    }
}

#[derive(Default)]
struct Counter {
    window: i64,
    used: u32,
}

/// The allowance left after a call, and whether the call was one too many.
pub struct Allowance {
    pub is_spent: bool,
    headers: Vec<(&'static str, i64)>,
}

impl Allowance {
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(*value));
        }
    }
}

impl Quotas {
    /// Counts an engagement call at `now_s`.
    pub fn spend(&mut self, pool: Pool, switches: &Switches, now_s: i64) -> Allowance {
        let minute_s = i64::from(switches.minute_s.get());
        let minute = self.count(pool, Window::Minute(minute_s), switches.per_minute, now_s);
        let second = self.count(pool, Window::Second, switches.per_second, now_s);
        let ((minute_left, minute_over), (second_left, second_over)) = (minute, second);
        let minute_reset = (now_s.div_euclid(minute_s) + 1) * minute_s;
        let mut headers = vec![
            ("x-per-minute-limit", i64::from(switches.per_minute)),
            ("x-per-minute-remaining", minute_left),
            ("x-per-minute-reset", minute_reset),
            ("x-per-second-limit", i64::from(switches.per_second)),
            ("x-per-second-remaining", second_left),
            ("x-per-second-reset", now_s + 1),
        ];
        if switches.legacy_rate_headers {
            headers.extend([
                ("x-rate-limit-limit", i64::from(switches.per_minute)),
                ("x-rate-limit-remaining", minute_left),
                ("x-rate-limit-reset", minute_reset),
            ]);
        }
        Allowance { is_spent: minute_over || second_over, headers }
    }

    /// Counts a look-up of posts at `now_s`.
    pub fn look_up(&mut self, app: usize, switches: &Switches, now_s: i64) -> Allowance {
        self.count_of_quarter(Pool::Lookup(app), switches.lookups_per_15_minutes, now_s)
    }

    /// Counts a page of a user's posts at `now_s`.
    pub fn list_posts(&mut self, app: usize, switches: &Switches, now_s: i64) -> Allowance {
        self.count_of_quarter(Pool::PostList(app), switches.post_lists_per_15_minutes, now_s)
    }

    /// Counts a call of version 2 of the API, whose quotas are for 15 minutes.
    fn count_of_quarter(&mut self, pool: Pool, limit: u32, now_s: i64) -> Allowance {
        let (left, is_spent) = self.count(pool, Window::Minute(LOOKUP_WINDOW_S), limit, now_s);
        let headers = vec![
            ("x-rate-limit-limit", i64::from(limit)),
            ("x-rate-limit-remaining", left),
            ("x-rate-limit-reset", (now_s.div_euclid(LOOKUP_WINDOW_S) + 1) * LOOKUP_WINDOW_S),
        ];
        Allowance { is_spent, headers }
    }

    /// Counts the minting of a bearer token, and returns whether it is allowed.
    pub fn may_mint(&mut self, app: usize, switches: &Switches, now_s: i64) -> bool {
        !self.count(Pool::Mint(app), Window::Minute(60), switches.mints_per_minute, now_s).1
    }

    /// Counts a call, and returns how many are left in the window, and whether this one was too many.
    fn count(&mut self, pool: Pool, of: Window, limit: u32, now_s: i64) -> (i64, bool) {
        let window = now_s.div_euclid(of.seconds());
        let counter = self.counters.entry((pool, of)).or_default();
        if counter.window != window {
            *counter = Counter { window, used: 0 };
        }
        counter.used = counter.used.saturating_add(1);
        (i64::from(limit.saturating_sub(counter.used)), counter.used > limit)
    }
}
