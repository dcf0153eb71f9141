//! What pages have asked, by whose tokens: added up in memory, and written every few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::{Date, Duration, OffsetDateTime};

use crate::gateway::browser::claims::Token;
use crate::gateway::{Error, Gateway};
use crate::model::key::{Key, Unreadable};
use crate::store::{self, SubjectUsage};

/// For how many days it is kept.
const KEPT: i64 = 30;
/// The most sums in memory; whatever is beyond counts for nobody in particular.
const MOST: usize = 10_000;
/// The most subjects of a day: those that are kept apart, and the others.
const MOST_LISTED: u32 = 1001;

/// Day, key and subject.
type Name = (i64, Box<str>, Box<str>);

/// What was not written yet: questions, and the calls that they took.
#[derive(Default)]
pub(in crate::gateway) struct Asking(Mutex<HashMap<Name, (i64, i64)>>);

impl Asking {
    fn add(&self, name: Name, (questions, calls): (i64, i64)) {
        let mut sums = self.lock();
        let fits = sums.len() < MOST || sums.contains_key(&name);
        let (day, key_id, subject) = name;
        let name = (day, key_id, if fits { subject } else { Box::default() });
        let sum = sums.entry(name).or_default();
        (sum.0, sum.1) = (sum.0 + questions, sum.1 + calls);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, (i64, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Counts a page's question, with the calls that it took.
    pub(in crate::gateway) fn count_page_question(&self, token: &Token, calls: usize) {
        let day = day_of(self.now());
        let name = (day, token.key_id.as_str().into(), token.subject.as_str().into());
        self.0.asking.add(name, (1, i64::try_from(calls).unwrap_or(i64::MAX)));
    }

    /// Writes what pages have asked since the last time; what cannot be written is kept for the next.
    pub async fn write_page_usage(&self) -> Result<(), store::Error> {
        let mut sums: Vec<_> = std::mem::take(&mut *self.0.asking.lock()).into_iter().collect();
        while let Some(((day, key_id, subject), (questions, calls))) = sums.last() {
            let usage =
                SubjectUsage { subject: subject.to_string(), questions: *questions, calls: *calls };
            if let Err(error) = self.0.store.add_subject_usage(key_id, *day, &usage).await {
                for (name, counts) in sums {
                    self.0.asking.add(name, counts);
                }
                return Err(error);
            }
            sums.pop();
        }
        Ok(())
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
        let _ = self.write_page_usage().await;
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
        // What this process has counted is there to be seen, if the database takes writes.
        let _ = self.write_page_usage().await;
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
