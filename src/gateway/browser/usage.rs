//! What pages have asked, by whose tokens: added up in memory, and written every few seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::{Date, Duration, OffsetDateTime};

use crate::gateway::browser::claims::Token;
use crate::gateway::{Error, Gateway};
use crate::model::browser::OTHERS;
use crate::model::key::{Key, Unreadable};
use crate::store::{self, SubjectUsage};

/// For how many days it is kept.
const KEPT: i64 = 30;
/// How often it is written.
const WRITTEN_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// The most sums in memory; whatever is beyond counts for the others.
const MOST: usize = 10_000;
/// The most subjects of a day: those that are kept apart, and the others.
const MOST_LISTED: u32 = 1001;

/// What subjects have asked, in questions and in the calls that these took.
type Sums = BTreeMap<Box<str>, (i64, i64)>;

/// What was not written yet, by day and key.
#[derive(Default)]
pub(in crate::gateway) struct Asking(Mutex<BTreeMap<(i64, Box<str>), Sums>>);

impl Asking {
    fn add(&self, day: i64, key_id: &str, subject: &str, (questions, calls): (i64, i64)) {
        let mut asking = self.lock();
        let fits = asking.values().map(Sums::len).sum::<usize>() < MOST;
        let sums = asking.entry((day, key_id.into())).or_default();
        let subject = if fits || sums.contains_key(subject) { subject } else { OTHERS };
        let sum = sums.entry(subject.into()).or_default();
        (sum.0, sum.1) = (sum.0 + questions, sum.1 + calls);
    }

    fn take(&self) -> Option<((i64, Box<str>), Sums)> {
        self.lock().pop_first()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(i64, Box<str>), Sums>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Counts a page's question, with the calls that it took.
    pub(in crate::gateway) fn count_page_question(&self, token: &Token, calls: u32) {
        let counts = (1, i64::from(calls));
        self.0.asking.add(day_of(self.now()), &token.key_id, &token.subject, counts);
    }

    /// Writes what pages ask and take, every few seconds until every other clone of this gateway is dropped. Call it once.
    pub fn write_pages(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut tick = tokio::time::interval(WRITTEN_EVERY);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                // What cannot be written is kept for the next time.
                let _ = Gateway(inner, None).settle_pages().await;
            }
        }
    }

    /// Writes what pages have asked and taken since the last time; what cannot be written is kept for the next.
    pub async fn settle_pages(&self) -> Result<(), store::Error> {
        let (calls, usage) = (self.reconcile_page_calls().await, self.write_page_usage().await);
        calls.and(usage)
    }

    async fn write_page_usage(&self) -> Result<(), store::Error> {
        let _writing = self.0.writing_pages.lock().await;
        while let Some(((day, key_id), sums)) = self.0.asking.take() {
            let rows = sums.iter().map(|(subject, (questions, calls))| SubjectUsage {
                subject: subject.to_string(),
                questions: *questions,
                calls: *calls,
            });
            let rows: Vec<SubjectUsage> = rows.collect();
            if let Err(error) = self.0.store.add_subject_usage(&key_id, day, &rows).await {
                for (subject, counts) in sums {
                    self.0.asking.add(day, &key_id, &subject, counts);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether any question with the tokens of that key and subject is on record, as far as that can be found out.
    pub(super) async fn has_asked(&self, key_id: &str, subject: &str) -> bool {
        let today = day_of(self.now());
        let days = today - KEPT..today + 1;
        self.0.store.has_subject_asked(key_id, subject, days).await.unwrap_or(true)
    }

    /// Writes what this process has counted, so that it can be seen, if the database takes writes. It goes on even if
    /// nobody waits for it any more.
    async fn show_page_usage(&self) {
        let gateway = self.clone();
        let _ = tokio::spawn(async move { gateway.write_page_usage().await }).await;
    }

    pub(in crate::gateway) async fn prune_page_usage(&self) -> Result<(), store::Error> {
        self.0.store.prune_subject_usage(day_of(self.now()) - KEPT).await
    }

    /// The key with that id, and what pages have asked today (UTC) with its tokens.
    pub async fn get_key_with_subjects(
        &self,
        id: &str,
    ) -> Result<(Result<Key, Unreadable>, Vec<SubjectUsage>), Error> {
        let key = self.get_key(id).await?;
        self.show_page_usage().await;
        let today = day_of(self.now());
        let asked = self.0.store.list_subject_usage(id, today, MOST_LISTED).await?;
        Ok((key, asked))
    }

    /// What pages have asked on a day (UTC, today by default) with the tokens of a key, given by id, name or whole text:
    /// those who asked the most come first.
    pub async fn list_subjects(
        &self,
        named: &str,
        day: Option<Date>,
    ) -> Result<(Key, Date, Vec<SubjectUsage>), Error> {
        let key = self.trusted(self.find_named_key(named).await?);
        let key = key.map_err(|unreadable| Error::NotAllowed(unreadable.why))?;
        self.show_page_usage().await;
        let day = day.unwrap_or_else(|| self.now().date());
        let number = day_of(day.midnight().assume_utc());
        let listed = self.0.store.list_subject_usage(&key.id, number, MOST_LISTED).await?;
        Ok((key, day, listed))
    }
}

/// In days since 1970.
fn day_of(at: OffsetDateTime) -> i64 {
    at.unix_timestamp().div_euclid(Duration::DAY.whole_seconds())
}
