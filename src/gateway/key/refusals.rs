//! Who was refused, from where and why: logged at once, and summed if there are many, by the minute in the log and by
//! the hour in the audit log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::{Duration, OffsetDateTime};
use tracing::warn;

use crate::gateway::webhook::deliver::rfc3339;
use crate::gateway::{Error, Gateway};
use crate::model::audit::{STRANGER, stranger_at};
use crate::store;

const BETWEEN_LINES: Duration = Duration::MINUTE;
const BETWEEN_ENTRIES: Duration = Duration::HOUR;
/// How long the audit log keeps refusals; everything else stays there for good.
const KEPT: Duration = Duration::days(90);
/// Sums kept at a time, of pages and of all others; further refusals are summed together, whatever their address. Pages
/// name their origins themselves, so that there is no end to these.
const MOST: usize = 100;

/// How long ago a refused key was last sent, if it is still in use.
const IN_USE: Duration = Duration::minutes(2);
/// Wrong keys that may be mistakes.
const FEW: u64 = 2;
/// Keys in use that are named.
const MOST_IN_USE: usize = 5;

/// What a refused client wanted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Wanted {
    /// To call, with a key.
    Call,
    /// To sign in to the console.
    SignIn,
    /// To open a link.
    Link,
    /// Something that is not HTTP.
    Connection,
    /// To ask from a page.
    Page,
}

/// What refusals that are summed together have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Group {
    wanted: Wanted,
    why: &'static str,
    /// The id of a key that exists.
    key_id: Option<String>,
    /// The origin that a browser named.
    origin: Option<Box<str>>,
    /// `None` where there was no room to keep addresses apart.
    from: Option<IpAddr>,
}

struct Sum {
    begun_at: OffsetDateTime,
    last_at: OffsetDateTime,
    times: u64,
    logged_at: OffsetDateTime,
    not_logged: u64,
    not_audited: u64,
    is_audited: bool,
}

/// A key that is refused and still in use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::gateway) struct InUse {
    pub(in crate::gateway) why: &'static str,
    /// `None` if there is no such key.
    pub(in crate::gateway) key_id: Option<String>,
    pub(in crate::gateway) since: OffsetDateTime,
    pub(in crate::gateway) times: u64,
}

/// The refusals of the last hour.
#[derive(Default)]
pub(in crate::gateway) struct Refusals {
    sums: Mutex<HashMap<Group, Sum>>,
    /// Held while refusals are written, so that `settle_refusals` waits for a write in progress.
    writing: tokio::sync::Mutex<()>,
}

/// Refusals to write into the audit log.
struct Entry {
    group: Group,
    since: OffsetDateTime,
    count: u64,
}

impl Wanted {
    const fn action(self) -> &'static str {
        match self {
            Wanted::Call => "key.refused",
            Wanted::SignIn => "console.refused",
            Wanted::Link => "link.refused",
            Wanted::Connection => "connection.refused",
            Wanted::Page => "page.refused",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Wanted::Call => "key",
            Wanted::SignIn => "console",
            Wanted::Link => "link",
            Wanted::Connection => "connection",
            Wanted::Page => "page",
        }
    }
}

impl Refusals {
    /// Counts one refusal; returns how many to log now, if a line is due.
    fn count(&self, group: Group, now: OffsetDateTime) -> Option<(Group, u64)> {
        let mut sums = self.sums();
        let is_page = |group: &Group| group.wanted == Wanted::Page;
        let alike = sums.keys().filter(|other| is_page(other) == is_page(&group)).count();
        let group = if sums.contains_key(&group) || alike < MOST {
            group
        } else {
            Group { key_id: None, origin: None, from: None, ..group }
        };
        let sum = sums.entry(group.clone()).or_insert_with(|| Sum::begun(now));
        (sum.last_at, sum.times) = (now, sum.times + 1);
        sum.not_logged += 1;
        sum.not_audited += 1;
        sum.due_for_log(now).map(|count| (group, count))
    }

    /// The log lines and audit entries that are due; at the `end`, all audit entries left.
    fn due(&self, now: OffsetDateTime, end: bool) -> (Vec<(Group, u64)>, Vec<Entry>) {
        let mut sums = self.sums();
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        for (group, sum) in sums.iter_mut() {
            lines.extend(sum.due_for_log(now).map(|count| (group.clone(), count)));
            if sum.is_due_for_audit(now) || end && sum.not_audited > 0 {
                let (since, count) = (sum.begun_at, sum.not_audited);
                (sum.not_audited, sum.is_audited) = (0, true);
                entries.push(Entry { group: group.clone(), since, count });
            }
        }
        sums.retain(|_, sum| now - sum.begun_at < BETWEEN_ENTRIES || sum.not_logged > 0);
        (lines, entries)
    }

    /// Keys that are refused and still in use; few wrong ones may be mistakes.
    pub(in crate::gateway) fn list_in_use(&self, now: OffsetDateTime) -> Vec<InUse> {
        let in_use = |(group, sum): (&Group, &Sum)| {
            let is_key = group.wanted == Wanted::Call;
            let is_much = group.key_id.is_some() || sum.times > FEW;
            (is_key && is_much && now - sum.last_at < IN_USE).then(|| InUse {
                why: group.why,
                key_id: group.key_id.clone(),
                since: store::whole_seconds(sum.begun_at),
                times: sum.times,
            })
        };
        let mut found: Vec<InUse> = self.sums().iter().filter_map(in_use).collect();
        found.sort_by_key(|in_use| std::cmp::Reverse(in_use.times));
        found.truncate(MOST_IN_USE);
        found
    }

    /// Takes back what could not be written.
    fn give_back(&self, entry: Entry) {
        let mut sums = self.sums();
        if sums.len() < 2 * MOST || sums.contains_key(&entry.group) {
            let sum = sums.entry(entry.group).or_insert_with(|| Sum::begun(entry.since));
            (sum.not_audited, sum.is_audited) = (sum.not_audited + entry.count, false);
        }
    }

    fn sums(&self) -> MutexGuard<'_, HashMap<Group, Sum>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sum {
    fn begun(now: OffsetDateTime) -> Sum {
        Sum {
            begun_at: now,
            last_at: now,
            times: 0,
            logged_at: now - BETWEEN_LINES,
            not_logged: 0,
            not_audited: 0,
            is_audited: false,
        }
    }

    fn due_for_log(&mut self, now: OffsetDateTime) -> Option<u64> {
        let is_due = self.not_logged > 0 && now - self.logged_at >= BETWEEN_LINES;
        is_due.then(|| {
            self.logged_at = now;
            std::mem::take(&mut self.not_logged)
        })
    }

    /// Whether an entry is due: the first one soon, the next and last one when the hour is over.
    fn is_due_for_audit(&self, now: OffsetDateTime) -> bool {
        let is_over = now - self.begun_at >= BETWEEN_ENTRIES;
        self.not_audited > 0 && (!self.is_audited || is_over)
    }
}

impl Gateway {
    /// Notes that a client at an address was refused; `key_id` is the id of a key that exists.
    pub fn record_refusal(
        &self,
        wanted: Wanted,
        why: &'static str,
        key_id: Option<&str>,
        from: IpAddr,
    ) {
        self.record_refusal_at(wanted, why, key_id, None, from);
    }

    /// The same for a client that named its page's origin.
    pub(in crate::gateway) fn record_refusal_at(
        &self,
        wanted: Wanted,
        why: &'static str,
        key_id: Option<&str>,
        origin: Option<&str>,
        from: IpAddr,
    ) {
        let from = Some(from.to_canonical());
        let origin = origin.map(Box::from);
        let group = Group { wanted, why, key_id: key_id.map(str::to_owned), origin, from };
        if let Some((group, times)) = self.0.refusals.count(group, self.now()) {
            log(&group, times);
        }
    }

    /// Writes the refusals that are due, and deletes those that the audit log has kept long enough.
    pub(in crate::gateway) async fn write_due_refusals(&self) -> Result<(), store::Error> {
        let now = self.now();
        let writing = self.0.refusals.writing.lock().await;
        self.write_refusals(self.0.refusals.due(now, false)).await?;
        drop(writing);
        self.0.store.prune_audit_of(STRANGER, now - KEPT).await.map(drop)
    }

    /// Writes the remaining refusals. Call it once no more requests are served.
    pub async fn settle_refusals(&self) -> Result<(), Error> {
        let _writing = self.0.refusals.writing.lock().await;
        Ok(self.write_refusals(self.0.refusals.due(self.now(), true)).await?)
    }

    async fn write_refusals(
        &self,
        (lines, entries): (Vec<(Group, u64)>, Vec<Entry>),
    ) -> Result<(), store::Error> {
        for (group, times) in lines {
            log(&group, times);
        }
        let mut written = Ok(());
        for entry in entries {
            if written.is_ok() {
                written = self.write_refusal(&entry).await;
            }
            if written.is_err() {
                self.0.refusals.give_back(entry);
            }
        }
        written
    }

    async fn write_refusal(&self, entry: &Entry) -> Result<(), store::Error> {
        let Entry { group, since, count } = entry;
        let actor = group.from.map_or_else(|| STRANGER.to_owned(), stranger_at);
        let subject = match &group.key_id {
            Some(id) => format!("key:{id}"),
            None => group.wanted.subject().to_owned(),
        };
        let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
        let since = store::whole_seconds(*since);
        let at = group.origin.as_ref().map_or(String::new(), |origin| format!(", from {origin}"));
        let detail = format!("{}{at}: {times} since {}", group.why, rfc3339(since));
        let action = group.wanted.action();
        self.0.store.insert_audit(&actor, action, &subject, &detail, self.now()).await
    }
}

fn log(group: &Group, times: u64) {
    let peer = group.from.map(|address| address.to_string());
    let (action, why, key_id) = (group.wanted.action(), group.why, group.key_id.as_deref());
    let origin = group.origin.as_deref();
    warn!(action, why, key_id, origin, peer, times, "refused");
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-10 21:15:30 UTC);

    fn group(last: u8) -> Group {
        let from = Some(IpAddr::from([10, 0, 0, last]));
        Group { wanted: Wanted::Call, why: "not known", key_id: None, origin: None, from }
    }

    fn counts<T>(items: &[T], count: impl Fn(&T) -> u64) -> Vec<u64> {
        items.iter().map(count).collect()
    }

    #[test]
    fn thousands_are_one_line_a_minute_and_two_entries_an_hour() {
        let refusals = Refusals::default();
        let (mut lines, mut entries) = (Vec::new(), Vec::new());
        for second in 0..3600 {
            let now = NOW + Duration::seconds(second);
            lines.extend(refusals.count(group(1), now).map(|(_, times)| times));
            if second % 15 == 0 {
                let (more, due) = refusals.due(now, false);
                lines.extend(counts(&more, |(_, times)| *times));
                entries.extend(counts(&due, |entry| entry.count));
            }
        }
        let (more, due) = refusals.due(NOW + Duration::HOUR + Duration::MINUTE, false);
        lines.extend(counts(&more, |(_, times)| *times));
        entries.extend(counts(&due, |entry| entry.count));
        assert_eq!((lines.len(), lines.iter().sum::<u64>()), (61, 3600));
        assert_eq!(entries, [1, 3599]);
        assert!(refusals.sums().is_empty());
    }

    #[test]
    fn more_addresses_than_fit_are_summed_together() {
        let refusals = Refusals::default();
        for last in 0..=u8::MAX {
            refusals.count(group(last), NOW);
        }
        assert_eq!(refusals.sums().len(), MOST + 1);
        let (_, entries) = refusals.due(NOW, false);
        assert_eq!(entries.iter().map(|entry| entry.count).sum::<u64>(), 256);
        assert!(
            entries
                .iter()
                .any(|entry| entry.group.from.is_none() && entry.count == 256 - MOST as u64)
        );
    }

    #[test]
    fn what_could_not_be_written_is_kept_and_the_rest_is_written_at_the_end() {
        let refusals = Refusals::default();
        refusals.count(group(1), NOW);
        let (_, entries) = refusals.due(NOW, false);
        for entry in entries {
            refusals.give_back(entry);
        }
        refusals.count(group(1), NOW);
        assert_eq!(counts(&refusals.due(NOW, false).1, |entry| entry.count), [2]);
        refusals.count(group(1), NOW);
        assert!(refusals.due(NOW, false).1.is_empty());
        assert_eq!(counts(&refusals.due(NOW, true).1, |entry| entry.count), [1]);
    }
}
