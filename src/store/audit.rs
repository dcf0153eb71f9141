//! The audit log: who changed what, and from where.

use sqlx_macros::FromRow;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::model::audit::{Entry, who_and_where};
use crate::store::database::dialect::Work;
use crate::store::database::query::tuples;
use crate::store::{Error, Store, whole_seconds};

/// Which entries to list. Each text is a prefix of its column; an empty one matches everything.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub from: Option<OffsetDateTime>,
    /// Not included.
    pub until: Option<OffsetDateTime>,
    pub oldest_first: bool,
    /// The number of the last entry on the previous page.
    pub past: Option<i64>,
    pub limit: u32,
}

const BEGIN: OffsetDateTime = datetime!(1970-01-01 0:00 UTC);
const END: OffsetDateTime = datetime!(9999-12-31 0:00 UTC);

/// `select` for `Row`s, with the name of the key that acted.
macro_rules! select {
    ($where:literal) => {
        concat!(
            "select audit_id, recorded_at, actor, name, address, action, subject, detail
             from audit left join key on key_id = substr(actor, 5) and actor = 'key:' || key_id ",
            $where
        )
    };
}

/// A row of `audit`.
#[derive(FromRow)]
struct Row {
    audit_id: i64,
    recorded_at: OffsetDateTime,
    actor: String,
    name: Option<String>,
    address: String,
    action: String,
    subject: String,
    detail: String,
}

impl Store {
    /// Up to `limit` entries, newest first by default.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<Entry>, Error> {
        // Without the `= ''`, PostgreSQL expects each condition to leave few rows, and then sorts all of them.
        let newest = select!(
            "where audit_id < $1 and ($2 = '' or substr(actor, 1, length($2)) = $2)
                 and ($3 = '' or substr(action, 1, length($3)) = $3)
                 and ($4 = '' or substr(subject, 1, length($4)) = $4)
                 and recorded_at >= $5 and recorded_at < $6
             order by audit_id desc limit $7"
        );
        let oldest = select!(
            "where audit_id > $1 and ($2 = '' or substr(actor, 1, length($2)) = $2)
                 and ($3 = '' or substr(action, 1, length($3)) = $3)
                 and ($4 = '' or substr(subject, 1, length($4)) = $4)
                 and recorded_at >= $5 and recorded_at < $6
             order by audit_id limit $7"
        );
        let (sql, begin) = if filter.oldest_first { (oldest, 0) } else { (newest, i64::MAX) };
        let query = self
            .query(sql)
            .bind(filter.past.unwrap_or(begin))
            .bind(&filter.actor)
            .bind(&filter.action)
            .bind(&filter.subject)
            .bind(filter.from.map_or(BEGIN, |from| whole_seconds(from).clamp(BEGIN, END)))
            .bind(filter.until.map_or(END, |until| whole_seconds(until).clamp(BEGIN, END)))
            .bind(i64::from(filter.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(entry).collect())
    }

    /// The newest entries about one subject.
    pub async fn list_audit_of(&self, subject: &str, limit: u32) -> Result<Vec<Entry>, Error> {
        let sql = select!("where subject = $1 order by audit_id desc limit $2");
        let query = self.query(sql).bind(subject).bind(i64::from(limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(entry).collect())
    }

    /// Deletes a batch of an actor's entries from before `before`; returns how many.
    pub async fn prune_audit_of(&self, actor: &str, before: OffsetDateTime) -> Result<u64, Error> {
        let sql = "delete from audit where audit_id in (
                 select audit_id from audit where actor = $1 and recorded_at < $2
                 order by recorded_at limit 1000
             )";
        self.execute(self.query(sql).bind(actor).bind(whole_seconds(before))).await
    }

    /// The detail of the newest entry for this action on this subject; used on a request's path.
    pub async fn find_last_detail(
        &self,
        subject: &str,
        action: &str,
    ) -> Result<Option<String>, Error> {
        let sql = "select detail from audit
             where subject = $1 and action = $2 order by audit_id desc limit 1";
        let query = self.query(sql).bind(subject).bind(action);
        let row: Option<(String,)> = self.fetch_optional_for_call(query).await?;
        Ok(row.map(|(detail,)| detail))
    }

    /// Records an action that changes no row.
    pub async fn insert_audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            let line = Line { actor, action, subject, detail };
            record(&mut work, &line, now).await?;
            Ok((work, ()))
        })
        .await
    }
}

/// An entry about to be written.
pub(crate) struct Line<'a> {
    /// The actor and its address, in the form of `model::audit`.
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) detail: &'a str,
}

/// Writes entries of one action, each a subject and a detail, into the transaction that makes the changes.
pub(crate) async fn record_many(
    work: &mut Work,
    actor: &str,
    action: &str,
    entries: &[(String, String)],
    now: OffsetDateTime,
) -> Result<(), Error> {
    let values = tuples(1, 6, entries.len());
    let sql = format!(
        "insert into audit (recorded_at, actor, address, action, subject, detail) values {values}"
    );
    let (actor, address) = who_and_where(actor);
    let mut query = work.query_of_many(sql);
    for (subject, detail) in entries {
        query = query
            .bind(whole_seconds(now))
            .bind(actor)
            .bind(address)
            .bind(action)
            .bind(subject)
            .bind(detail);
    }
    work.execute(query).await.map(drop)
}

/// Writes an entry into the transaction that makes the change.
pub(crate) async fn record(
    work: &mut Work,
    line: &Line<'_>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sql = "insert into audit (recorded_at, actor, address, action, subject, detail)
         values ($1, $2, $3, $4, $5, $6)";
    let (actor, address) = who_and_where(line.actor);
    let query = work
        .query(sql)
        .bind(whole_seconds(now))
        .bind(actor)
        .bind(address)
        .bind(line.action)
        .bind(line.subject)
        .bind(line.detail);
    work.execute(query).await.map(drop)
}

fn entry(row: Row) -> Entry {
    let Row {
        audit_id: id, recorded_at: at, actor, name: key_name, action, subject, detail, ..
    } = row;
    let address = Some(row.address).filter(|address| !address.is_empty());
    Entry { id, at, actor, key_name, address, action, subject, detail }
}
