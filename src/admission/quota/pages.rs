//! How much of a quota pages take, compared with everybody: at most their share while anybody else waits, and of a window
//! in which anybody else calls, or has called in the one before.

/// The calls of pages.
#[derive(Debug)]
pub(super) struct Pages {
    /// The most that they take, from 0 to 1.
    share: f64,
    pub(super) waiting: usize,
    /// Calls of pages, and all calls, in the present window while both waited.
    taken: u32,
    of: u32,
    /// All calls of pages in the present window.
    made: u32,
    /// The most of these, if others call as well.
    most: f64,
    /// Whether others have called in the present window, and in the one before: any process that uses the quota.
    others_called: [bool; 2],
}

impl Pages {
    pub(super) fn new(share: f64) -> Pages {
        Pages {
            share,
            waiting: 0,
            taken: 0,
            of: 0,
            made: 0,
            most: f64::INFINITY,
            others_called: [false; 2],
        }
    }

    pub(super) fn begin_window(&mut self) {
        (self.taken, self.of, self.made) = (0, 0, 0);
        self.others_called = [false, self.others_called[0]];
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Sets how many of a window's calls they can make if others call, if that is known.
    pub(super) fn set_most(&mut self, calls: Option<f64>) {
        self.most = calls.map_or(f64::INFINITY, |calls| calls.max(1.0));
    }

    /// Notes that others call, though not this process.
    pub(super) fn note_others(&mut self) {
        self.others_called[0] = true;
    }

    /// Whether pages wait, and others too, if `all` wait.
    fn is_contended(&self, all: usize) -> bool {
        self.waiting > 0 && self.waiting < all
    }

    /// Counts a call, of a page or of anybody else, while `all` waited.
    pub(super) fn count(&mut self, is_page: bool, all: usize) {
        let one = u32::from(is_page);
        self.made = self.made.saturating_add(one);
        self.others_called[0] |= !is_page;
        if self.is_contended(all) {
            self.taken = self.taken.saturating_add(one);
            self.of = self.of.saturating_add(1);
        }
    }

    /// Takes back a page's call that was not made after all.
    pub(super) fn refund(&mut self) {
        self.made = self.made.saturating_sub(1);
    }

    /// Whether a page's call may be next, if `all` wait.
    pub(super) fn may_go(&self, all: usize) -> bool {
        let is_fair = || f64::from(self.taken) + 1.0 <= self.share * (f64::from(self.of) + 1.0);
        !self.are_held() && (!self.is_contended(all) || is_fair())
    }

    /// Whether they must wait for another window.
    pub(super) fn are_held(&self) -> bool {
        self.windows_until(1.0) >= 1.0
    }

    /// How many windows end before the `n`-th call of a page from now.
    fn windows_until(&self, n: f64) -> f64 {
        let is_limited = self.share < 1.0 && self.others_called.contains(&true);
        if is_limited {
            ((f64::from(self.made) + n - 1.0) / self.most.floor()).floor()
        } else {
            0.0
        }
    }

    /// How many windows end before the next call of a page that begins to wait.
    pub(super) fn windows_to_wait(&self) -> f64 {
        self.windows_until(f64_of(self.waiting + 1))
    }

    /// The most calls of pages among which there are so many others.
    pub(super) fn most_beside(&self, others: f64) -> f64 {
        if self.share < 1.0 {
            1.0 + others * self.share / (1.0 - self.share)
        } else {
            f64::INFINITY
        }
    }

    /// How many calls come before a page's that would have so many before it, if `all` wait.
    pub(super) fn slowed(&self, calls: f64, all: usize) -> f64 {
        let has_others = self.waiting < all;
        if has_others { calls.max(f64_of(self.waiting + 1) / self.share) } else { calls }
    }
}

fn f64_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
