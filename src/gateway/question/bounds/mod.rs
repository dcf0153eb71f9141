//! Bounds of what a page may ask: the parts of a question that the token's maker has fixed or limited. `new` reads them
//! when a token is made, `page` reads a page's question within them.

pub mod author;
pub mod new;
pub mod page;

use time::OffsetDateTime;

use crate::gateway::question::{Grouping, Span, Window};
use crate::model::{Endpoint, Metric, UserId};

/// What a page may ask; `None` leaves a part to the page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Distinct posts, in the maker's order; `None` for all by `author`.
    pub posts: Option<Vec<u64>>,
    /// A connected account: its posts, whichever the page names.
    pub author: Option<UserId>,
    pub metrics: Option<Vec<Metric>>,
    pub windows: Option<Vec<BoundWindow>>,
    pub groupings: Option<Vec<Grouping>>,
}

/// A window that a page may ask about, or a part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BoundWindow {
    Totals,
    TwentyEightHours,
    /// The last whole hours, whenever it is asked.
    Last {
        hours: i64,
    },
    Range(Span),
}

impl BoundWindow {
    pub fn endpoint(self) -> Endpoint {
        match self {
            BoundWindow::Totals => Endpoint::Totals,
            BoundWindow::TwentyEightHours => Endpoint::TwentyEightHours,
            BoundWindow::Last { .. } | BoundWindow::Range(_) => Endpoint::Historical,
        }
    }

    /// What it is at the time `now`.
    fn at(self, now: OffsetDateTime) -> Window {
        match self {
            BoundWindow::Totals => Window::Totals,
            BoundWindow::TwentyEightHours => Window::TwentyEightHours,
            BoundWindow::Last { hours } => Window::Range(Span::last(hours, now)),
            BoundWindow::Range(span) => Window::Range(span),
        }
    }

    /// Whether all hours of `window` are its hours too at the time `now`.
    fn contains(self, window: Window, now: OffsetDateTime) -> bool {
        match (self.at(now), window) {
            (Window::Range(all), Window::Range(part)) => {
                let (all, part) = (all.widened(), part.widened());
                all.start <= part.start && part.end <= all.end
            }
            (all, part) => all == part,
        }
    }
}

impl Grouping {
    /// Whether an endpoint can nest results so.
    fn suits(&self, endpoint: Endpoint) -> bool {
        endpoint.has_time_series() || !self.group_by.iter().any(|level| level.is_time())
    }
}
