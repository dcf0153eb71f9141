//! How much of a quota pages take, compared with everybody.

/// The calls of pages.
#[derive(Debug)]
pub(super) struct Pages {
    /// The most that they take while anybody else waits, from 0 to 1.
    share: f64,
    pub(super) waiting: usize,
    /// Calls of pages, and all calls, in the present window.
    taken: u32,
    of: u32,
}

impl Pages {
    pub(super) fn new(share: f64) -> Pages {
        Pages { share, waiting: 0, taken: 0, of: 0 }
    }

    pub(super) fn begin_window(&mut self) {
        (self.taken, self.of) = (0, 0);
    }

    /// Counts a call, of a page or of anybody else.
    pub(super) fn count(&mut self, is_page: bool) {
        self.taken = self.taken.saturating_add(u32::from(is_page));
        self.of = self.of.saturating_add(1);
    }

    /// Whether a page's call may be next, though somebody else waits.
    pub(super) fn may_go(&self) -> bool {
        f64::from(self.taken) + 1.0 <= self.share * (f64::from(self.of) + 1.0)
    }
}
