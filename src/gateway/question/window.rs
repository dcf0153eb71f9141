//! Reading a question's window: a name, a range, or the last days or hours.

use time::{Duration, OffsetDateTime, UtcOffset};

use crate::gateway::call::check::{Now, Problems, quoted, rfc3339};
use crate::gateway::call::json::{Node, Path};
use crate::gateway::question::{Span, Window, hour_of};

pub(super) const WINDOW: Path = Path::Key(&Path::Root, "window");

/// A window, and how it came about; by default that of a question which names none.
pub(super) struct ReadWindow {
    pub(super) window: Window,
    /// Whether it depends on the present, of which our clock alone has given the exact time.
    pub(super) is_by_our_clock: bool,
    /// What was read otherwise than it was written.
    pub(super) notes: Vec<String>,
}

impl Default for ReadWindow {
    fn default() -> ReadWindow {
        ReadWindow::plain(Window::Totals)
    }
}

impl ReadWindow {
    fn plain(window: Window) -> ReadWindow {
        ReadWindow { window, is_by_our_clock: false, notes: Vec::new() }
    }
}

impl Problems {
    /// The window at that place; ranges begin at most `days` ago.
    pub(super) fn question_window(
        &mut self,
        at: &Path<'_>,
        node: Option<&Node<'_>>,
        days: u16,
        now: Now,
    ) -> Option<ReadWindow> {
        match node {
            None => Some(ReadWindow::plain(Window::Totals)),
            Some(Node::Text(name)) if *name == "totals" => Some(ReadWindow::plain(Window::Totals)),
            Some(Node::Text(name)) if *name == "28hr" => {
                Some(ReadWindow::plain(Window::TwentyEightHours))
            }
            Some(node @ Node::Map(_)) => {
                self.unknown_keys(at, node, &["start", "end", "last"]);
                match node.member("last").filter(|last| !matches!(last, Node::Null)) {
                    Some(last) => self.last(at, (node, last), days, now),
                    None => self.range(at, node, days, now),
                }
            }
            Some(other) => {
                let right = r#""totals", "28hr", an object like {"start": "2026-01-01", "end": "2026-01-31"} or {"last": "28d"}"#;
                self.add(at, format_args!("must be {right}{}", quoted(other)));
                None
            }
        }
    }

    /// The last whole hours, up to the one that ended last.
    fn last(
        &mut self,
        at: &Path<'_>,
        (node, last): (&Node<'_>, &Node<'_>),
        days: u16,
        now: Now,
    ) -> Option<ReadWindow> {
        for name in ["start", "end"] {
            if node.member(name).is_some_and(|value| !matches!(value, Node::Null)) {
                let at = Path::Key(at, name);
                self.add(&at, "is given beside last; give either last, or start and end");
            }
        }
        let hours = match last {
            Node::Text(text) => hours_of(text.trim()),
            _ => None,
        };
        let most = i64::from(days) * 24;
        let Some(hours) = hours.filter(|hours| *hours > 0) else {
            let right = "must be a number of days or hours like \"28d\" or \"36h\"";
            self.add(&Path::Key(at, "last"), format_args!("{right}{}", quoted(last)));
            return None;
        };
        if hours > most {
            let detail = format_args!("is longer than {days} days, the longest range");
            self.add(&Path::Key(at, "last"), detail);
            return None;
        }
        let window = Window::Range(Span::last(hours, now.at.to_offset(UtcOffset::UTC)));
        Some(ReadWindow { window, is_by_our_clock: now.is_exact(), notes: Vec::new() })
    }

    fn range(&mut self, at: &Path<'_>, node: &Node<'_>, days: u16, now: Now) -> Option<ReadWindow> {
        let (from, to) = (Path::Key(at, "start"), Path::Key(at, "end"));
        let [start, end] = [("start", &from), ("end", &to)].map(|(name, at)| {
            let value = node.member(name);
            if value.is_none() {
                self.add(at, "is missing; give a time like 2026-01-31 or 2026-01-31T13:00:00Z");
            }
            self.time(at, value)
        });
        self.range_between(at, (start, end), days, now)
    }

    /// The range between two times, cut where it lies in the future.
    pub(super) fn range_between(
        &mut self,
        at: &Path<'_>,
        (start, end): (Option<OffsetDateTime>, Option<OffsetDateTime>),
        days: u16,
        now: Now,
    ) -> Option<ReadWindow> {
        let (from, to) = (Path::Key(at, "start"), Path::Key(at, "end"));
        let before = self.count();
        let earliest = hour_of(now.earliest() - Duration::days(days.into()));
        if start.is_some_and(|start| start >= now.latest()) {
            self.add(&from, format_args!("is in the future; it is now {}", rfc3339(now.at)));
        } else if start.is_some_and(|start| start < earliest) {
            let earliest = rfc3339(earliest);
            let detail = format!("is more than {days} days ago; the earliest start is {earliest}");
            self.add(&from, detail);
        }
        let (start, end) = (start?, end?);
        if end <= start {
            self.add(&to, "must be after start");
        }
        // Only now are the times known to be near enough to the present for safe arithmetic.
        if self.count() > before {
            return None;
        }
        if !now.is_before(end) {
            let span = in_whole_seconds(start, end.min(now.latest()));
            return Some(ReadWindow::plain(Window::Range(span)));
        }
        let cut = now.at.max(start);
        let (given, until) = (rfc3339(end), rfc3339(cut));
        let name = at.to_string().trim_start_matches('/').to_owned();
        let notes =
            vec![format!("{name}.end, {given}, is in the future; counted until now, {until}")];
        let window = Window::Range(in_whole_seconds(start, cut));
        Some(ReadWindow { window, is_by_our_clock: now.is_exact(), notes })
    }
}

/// The hours of `28d` or `36h`.
fn hours_of(text: &str) -> Option<i64> {
    let (digits, hours) = match text.split_at_checked(text.len().checked_sub(1)?)? {
        (digits, "d") => (digits, 24),
        (digits, "h") => (digits, 1),
        _ => return None,
    };
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| is_number)?;
    number.checked_mul(hours)
}

/// Rounds to seconds, as the upstream reads times, without touching another hour.
fn in_whole_seconds(start: OffsetDateTime, end: OffsetDateTime) -> Span {
    let whole = |at: OffsetDateTime| {
        let at = at.to_offset(UtcOffset::UTC);
        at - Duration::nanoseconds(at.nanosecond().into())
    };
    let last = whole(end);
    let is_cut_to_the_hour = last < end && hour_of(last) == last;
    let last = if is_cut_to_the_hour { last + Duration::SECOND } else { last };
    // A range shorter than a second still lies in its hour.
    Span { start: whole(start), end: last.max(whole(start) + Duration::SECOND) }
}
