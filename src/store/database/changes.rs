//! The change feed: entries that every replica must drop from its caches, numbered in commit order without gaps.
//!
//! The numbers come from a one-row counter. Its row lock is held until commit, so no reader can see a number
//! before it has seen all smaller ones; a sequence would not promise that. Writers take it last, to hold it briefly.

use time::OffsetDateTime;

use crate::model::UserId;
use crate::store::database::dialect::{On, Work, on};
use crate::store::database::notify;
use crate::store::{Error, Store, whole_seconds};

/// Reading more missed changes than this costs more than filling a cache again.
const MOST: i64 = 1000;

/// Something whose cached copies are out of date.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Change {
    Account {
        app: String,
        user_id: UserId,
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

type Row = (i64, Option<i64>, Option<String>, Option<String>, Option<String>);

impl Store {
    /// The number of the newest change; 0 when there is none.
    pub async fn latest_change(&self) -> Result<i64, Error> {
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            Ok(on!(&mut lease, it => sqlx::query_scalar("select latest from change_counter")
                .fetch_one(&mut **it)
                .await?))
        })
        .await
    }

    /// Everything newer than `after`.
    pub async fn list_changes(&self, after: i64) -> Result<Changes, Error> {
        // One statement, so that the counter and the rows are of the same moment.
        let sql = "select change_counter.latest, change_id, kind, app, subject
             from change_counter left join change on change_id > $1
             order by change_id limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(after)
                .bind(MOST)
                .fetch_all(&mut **it)
                .await?);
            let latest = rows.first().map_or(0, |it| it.0);
            let changes: Vec<Change> = rows
                .into_iter()
                .filter(|it| it.1.is_some())
                .map(change)
                .collect::<Result<_, _>>()?;
            let complete = i64::try_from(changes.len()).ok() == Some(latest - after);
            Ok(Changes { latest, complete, changes: if complete { changes } else { Vec::new() } })
        })
        .await
    }

    /// Deletes changes recorded before `older_than`; returns how many there were.
    pub async fn prune_changes(&self, older_than: OffsetDateTime) -> Result<u64, Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let sql = "delete from change where changed_at < $1";
            Ok(on!(&mut lease, it => sqlx::query(sql)
                .bind(whole_seconds(older_than))
                .execute(&mut **it)
                .await?
                .rows_affected()))
        })
        .await
    }
}

/// Writes changes into the transaction that makes them; the last step before its commit.
pub(crate) async fn record(
    work: &mut Work<'_>,
    changes: &[Change],
    now: OffsetDateTime,
) -> Result<(), Error> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let sql = "update change_counter set latest = latest + $1 returning latest";
    let latest: i64 =
        on!(&mut *work, it => sqlx::query_scalar(sql).bind(count).fetch_one(&mut **it).await?);
    for (id, change) in (latest - count + 1..).zip(changes) {
        insert(work, id, change, now).await?;
    }
    if let On::Postgres(it) = work {
        sqlx::query("select pg_notify($1, $2)")
            .bind(notify::CHANNEL)
            .bind(latest.to_string())
            .execute(&mut **it)
            .await?;
    }
    Ok(())
}

async fn insert(
    work: &mut Work<'_>,
    id: i64,
    change: &Change,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sql = "insert into change (change_id, kind, app, subject, changed_at)
         values ($1, $2, $3, $4, $5)";
    let (kind, app, subject) = match change {
        Change::Account { app, user_id } => ("account", Some(app), Some(user_id.to_string())),
        Change::Key { id } => ("key", None, Some(id.clone())),
        Change::Bearer { app } => ("bearer", Some(app), None),
        Change::Author { post } => ("author", None, Some(post.to_string())),
    };
    on!(work, it => sqlx::query(sql)
        .bind(id)
        .bind(kind)
        .bind(app)
        .bind(subject)
        .bind(whole_seconds(now))
        .execute(&mut **it)
        .await?.rows_affected());
    Ok(())
}

fn change((_, _, kind, app, subject): Row) -> Result<Change, Error> {
    match (kind.as_deref(), app, subject) {
        (Some("account"), Some(app), Some(user_id)) => UserId::parse(&user_id)
            .map(|user_id| Change::Account { app, user_id })
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
