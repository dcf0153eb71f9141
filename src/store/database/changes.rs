//! The change feed: entries that every replica must drop from its caches, numbered in commit order without gaps.
//!
//! The numbers come from a one-row counter. Its row lock is held until commit, so no reader can see a number
//! before it has seen all smaller ones; a sequence would not promise that. Writers take it last, to hold it briefly.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::store::database::dialect::Work;
use crate::store::database::notify;
use crate::store::{Error, Store, whole_seconds};

/// Reading more missed changes than this costs more than filling a cache again.
const MOST: i64 = 1000;

/// Something whose cached copies are out of date.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Change {
    Accounts {
        app: String,
        user_ids: Vec<UserId>,
    },
    Key {
        id: String,
    },
    Bearer {
        app: String,
    },
    /// A post whose author was learnt wrongly.
    Author {
        post: u64,
    },
}

/// The changes since a reader's last poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changes {
    /// Where the next poll starts.
    pub latest: i64,
    /// False when some changes are no longer kept, or there are too many: everything cached must go.
    pub complete: bool,
    /// In the order of their commits.
    pub changes: Vec<Change>,
}

/// The counter beside a row of `change`, or beside none when there is no newer one.
#[derive(FromRow)]
struct Row {
    latest: i64,
    change_id: Option<i64>,
    kind: Option<String>,
    app: Option<String>,
    subject: Option<String>,
}

impl Store {
    /// The number of the newest change; 0 when there is none.
    pub async fn latest_change(&self) -> Result<i64, Error> {
        let query = self.query("select latest from change_counter");
        let row =
            self.read(|| async { self.reader(self.wait).await?.fetch_one(query.clone()).await });
        row.await.map(|(latest,)| latest)
    }

    /// Everything newer than `after`.
    pub async fn list_changes(&self, after: i64) -> Result<Changes, Error> {
        // One statement, so that the counter and the rows are of the same moment.
        let sql = "select latest, change_id, kind, app, subject
             from change_counter left join change on change_id > $1
             order by change_id limit $2";
        let rows: Vec<Row> = self.fetch_all(self.query(sql).bind(after).bind(MOST)).await?;
        let latest = rows.first().map_or(0, |row| row.latest);
        let changes: Vec<Change> = rows
            .into_iter()
            .filter(|row| row.change_id.is_some())
            .map(change)
            .collect::<Result<_, _>>()?;
        let complete = i64::try_from(changes.len()).ok() == Some(latest - after);
        Ok(Changes { latest, complete, changes: if complete { changes } else { Vec::new() } })
    }

    /// Deletes changes recorded before `older_than`; returns how many there were.
    pub async fn prune_changes(&self, older_than: OffsetDateTime) -> Result<u64, Error> {
        let sql = "delete from change where changed_at < $1";
        self.execute(self.query(sql).bind(whole_seconds(older_than))).await
    }
}

/// Writes changes into the transaction that makes them; the last step before its commit.
pub(crate) async fn record(
    work: &mut Work,
    changes: &[Change],
    now: OffsetDateTime,
) -> Result<(), Error> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let sql = "update change_counter set latest = latest + $1 returning latest";
    let (latest,): (i64,) = work.fetch_one(work.query(sql).bind(count)).await?;
    for (id, change) in (latest - count + 1..).zip(changes) {
        insert(work, id, change, now).await?;
    }
    if work.notifies() {
        let query = work.query("select pg_notify($1, $2)");
        work.execute(query.bind(notify::CHANNEL).bind(latest.to_string())).await?;
    }
    Ok(())
}

async fn insert(
    work: &mut Work,
    id: i64,
    change: &Change,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sql = "insert into change (change_id, kind, app, subject, changed_at)
         values ($1, $2, $3, $4, $5)";
    let (kind, app, subject) = match change {
        Change::Accounts { app, user_ids } => ("account", Some(app), Some(joined(user_ids))),
        Change::Key { id } => ("key", None, Some(id.clone())),
        Change::Bearer { app } => ("bearer", Some(app), None),
        Change::Author { post } => ("author", None, Some(post.to_string())),
    };
    let query =
        work.query(sql).bind(id).bind(kind).bind(app).bind(subject).bind(whole_seconds(now));
    work.execute(query).await.map(drop)
}

fn change(row: Row) -> Result<Change, Error> {
    match (row.kind.as_deref(), row.app, row.subject) {
        (Some("account"), Some(app), Some(user_ids)) => user_ids
            .split(' ')
            .map(UserId::parse)
            .collect::<Option<_>>()
            .map(|user_ids| Change::Accounts { app, user_ids })
            .ok_or_else(|| Error::unreadable("change.subject")),
        (Some("key"), _, Some(id)) => Ok(Change::Key { id }),
        (Some("bearer"), Some(app), _) => Ok(Change::Bearer { app }),
        (Some("author"), _, Some(post)) => post
            .parse()
            .map(|post| Change::Author { post })
            .map_err(|_| Error::unreadable("change.subject")),
        _ => Err(Error::unreadable("change.kind")),
    }
}

fn joined(user_ids: &[UserId]) -> String {
    let texts: Vec<String> = user_ids.iter().map(UserId::to_string).collect();
    texts.join(" ")
}
