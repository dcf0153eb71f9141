//! What pages have asked with the tokens of a key, by day and by whose tokens these were.

use std::ops::Range;

use sqlx_macros::FromRow;

use crate::model::browser::OTHERS;
use crate::store::{Error, Store};

/// The most subjects of a key that are kept apart on a day.
pub const MOST_SUBJECTS: i64 = 1000;

/// What pages have asked on a day with the tokens of one subject.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct SubjectUsage {
    /// Whose tokens; empty for those of nobody in particular.
    pub subject: String,
    pub questions: i64,
    /// Calls to X that these have taken.
    pub calls: i64,
}

impl Store {
    /// Adds to what subjects have asked on a day, in days since 1970, with tokens of a key; once it has too many, to that
    /// of the others. All or nothing is added.
    pub async fn add_subject_usage(
        &self,
        key_id: &str,
        day: i64,
        usage: &[SubjectUsage],
    ) -> Result<(), Error> {
        let sql = "insert into subject_usage (day, key_id, subject, questions, calls)
             select $1, $2, $3, $4, $5
             where $3 = $6
                 or exists (select 1 from subject_usage
                     where day = $1 and key_id = $2 and subject = $3)
                 or (select count(*) from subject_usage where day = $1 and key_id = $2) < $7
             on conflict (day, key_id, subject) do update set
                 questions = subject_usage.questions + excluded.questions,
                 calls = subject_usage.calls + excluded.calls";
        self.write(|| async {
            let mut work = self.begin().await?;
            let mut add = async |one: &SubjectUsage| {
                let query = work.query(sql).bind(day).bind(key_id).bind(&one.subject);
                let query = query.bind(one.questions).bind(one.calls);
                work.execute(query.bind(OTHERS).bind(MOST_SUBJECTS)).await
            };
            let mut others = SubjectUsage { subject: OTHERS.to_owned(), questions: 0, calls: 0 };
            for one in usage {
                if add(one).await? == 0 {
                    others.questions += one.questions;
                    others.calls += one.calls;
                }
            }
            // Last, since all replicas lock this row.
            if others.questions > 0 || others.calls > 0 {
                add(&others).await?;
            }
            Ok((work, ()))
        })
        .await
    }

    /// Who has asked the most on a day, in days since 1970, with tokens of a key.
    pub async fn list_subject_usage(
        &self,
        key_id: &str,
        day: i64,
        limit: u32,
    ) -> Result<Vec<SubjectUsage>, Error> {
        let sql = "select subject, questions, calls from subject_usage
             where day = $1 and key_id = $2 order by questions desc, subject limit $3";
        self.fetch_all(self.query(sql).bind(day).bind(key_id).bind(i64::from(limit))).await
    }

    /// Whether the tokens of a key and subject have asked anything on these days, in days since 1970.
    pub async fn has_subject_asked(
        &self,
        key_id: &str,
        subject: &str,
        days: Range<i64>,
    ) -> Result<bool, Error> {
        // Day by day, as the rows are indexed.
        let sql = "with recursive days (day) as
                 (select $3 union all select day + 1 from days where day + 1 < $4)
             select days.day from days join subject_usage on subject_usage.day = days.day
                 and key_id = $1 and subject = $2 limit 1";
        let query = self.query(sql).bind(key_id).bind(subject).bind(days.start).bind(days.end);
        let day: Option<(i64,)> = self.fetch_optional(query).await?;
        Ok(day.is_some())
    }

    /// Deletes the days before this one, in days since 1970.
    pub async fn prune_subject_usage(&self, first_kept: i64) -> Result<(), Error> {
        let sql = "delete from subject_usage where day < $1";
        self.execute(self.query(sql).bind(first_kept)).await.map(drop)
    }
}
