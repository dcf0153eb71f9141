//! Authors of posts, and which of them are connected. There is one table for all apps, since authorship is a fact about
//! the post, not about the caller. A known author never changes; caches are notified only of a wrong one.

use std::collections::{HashMap, HashSet};

use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::store::database::changes;
use crate::store::database::dialect::on;
use crate::store::{Change, Error, Store};

/// The most posts or other items looked up in one statement; SQLite takes 32766 parameters.
pub(super) const MOST: usize = 500;

impl Store {
    /// The authors of these posts, as far as they are known.
    pub async fn find_authors(&self, posts: &[u64]) -> Result<HashMap<u64, UserId>, Error> {
        let mut found = HashMap::new();
        for posts in posts.chunks(MOST) {
            let wanted = tuples(1, 1, posts.len());
            let sql = format!("select post_id, user_id from author where (post_id) in ({wanted})");
            let rows: Vec<(i64, String)> = self
                .short(async {
                    let mut lease = self.reader(self.call_wait).await?;
                    Ok(on!(&mut lease, it => {
                        let mut query = sqlx::query_as(AssertSqlSafe(sql)).persistent(false);
                        for post in posts {
                            query = query.bind(post.cast_signed());
                        }
                        query.fetch_all(&mut **it).await?
                    }))
                })
                .await?;
            for (post, author) in rows {
                let author = UserId::parse(&author);
                let author = author.ok_or_else(|| Error::unreadable("author.user_id"))?;
                found.insert(post.cast_unsigned(), author);
            }
        }
        Ok(found)
    }

    /// Which of these users have an account with the app, in whatever state.
    pub async fn find_connected(
        &self,
        app: &str,
        users: &[UserId],
    ) -> Result<HashSet<UserId>, Error> {
        let mut found = HashSet::new();
        for users in users.chunks(MOST) {
            let wanted = tuples(2, 1, users.len());
            let sql =
                format!("select user_id from account where app = $1 and (user_id) in ({wanted})");
            let rows: Vec<String> = self
                .short(async {
                    let mut lease = self.reader(self.call_wait).await?;
                    Ok(on!(&mut lease, it => {
                        let sql = AssertSqlSafe(sql);
                        let mut query = sqlx::query_scalar(sql).persistent(false).bind(app);
                        for user in users {
                            query = query.bind(user.to_string());
                        }
                        query.fetch_all(&mut **it).await?
                    }))
                })
                .await?;
            let read =
                |it: String| UserId::parse(&it).ok_or_else(|| Error::unreadable("account.user_id"));
            found.extend(rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// Which of these users has an account with the app under a screen name, given in lower case. Of several, the one
    /// that connected last.
    pub async fn find_user_among(
        &self,
        app: &str,
        name: &str,
        users: &[UserId],
    ) -> Result<Option<UserId>, Error> {
        for users in users.chunks(MOST) {
            let wanted = tuples(2, 1, users.len());
            // Names are compared here: an index on them would lead to other users' rows.
            let sql = format!(
                "select user_id, screen_name from account where app = $1 and (user_id) in ({wanted})
                 order by connected_at desc, user_id desc"
            );
            let rows: Vec<(String, String)> = self
                .short(async {
                    let mut lease = self.reader(self.call_wait).await?;
                    Ok(on!(&mut lease, it => {
                        let sql = AssertSqlSafe(sql);
                        let mut query = sqlx::query_as(sql).persistent(false).bind(app);
                        for user in users {
                            query = query.bind(user.to_string());
                        }
                        query.fetch_all(&mut **it).await?
                    }))
                })
                .await?;
            if let Some((user, _)) = rows.iter().find(|it| it.1.eq_ignore_ascii_case(name)) {
                let user = UserId::parse(user);
                return user.ok_or_else(|| Error::unreadable("account.user_id")).map(Some);
            }
        }
        Ok(None)
    }

    /// Stores authors of posts; those already stored stay as they are.
    pub async fn insert_authors(&self, authors: &HashMap<u64, UserId>) -> Result<(), Error> {
        let mut authors: Vec<(u64, UserId)> = authors.iter().map(|it| (*it.0, *it.1)).collect();
        // In a fixed order, so that two replicas storing the same posts wait for each other instead of deadlocking.
        authors.sort_unstable();
        for authors in authors.chunks(MOST) {
            let rows = tuples(1, 2, authors.len());
            let sql = format!(
                "insert into author (post_id, user_id) values {rows} on conflict (post_id) do nothing"
            );
            self.long(async {
                let mut lease = self.writer().await?;
                on!(&mut lease, it => {
                    let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
                    for (post, author) in authors {
                        query = query.bind(post.cast_signed()).bind(author.to_string());
                    }
                    query.execute(&mut **it).await?.rows_affected()
                });
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Removes these authors of posts, where exactly these are stored.
    pub async fn remove_authors(
        &self,
        wrong: &[(u64, UserId)],
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        for wrong in wrong.chunks(MOST) {
            let pairs = tuples(1, 2, wrong.len());
            let sql = format!(
                "delete from author where (post_id, user_id) in (values {pairs}) returning post_id"
            );
            self.long(async {
                let mut lease = self.writer().await?;
                let mut work = lease.begin().await?;
                let removed: Vec<i64> = on!(&mut work, it => {
                    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).persistent(false);
                    for (post, author) in wrong {
                        query = query.bind(post.cast_signed()).bind(author.to_string());
                    }
                    query.fetch_all(&mut **it).await?
                });
                let author = |post: i64| Change::Author { post: post.cast_unsigned() };
                let changes: Vec<Change> = removed.into_iter().map(author).collect();
                if !changes.is_empty() {
                    changes::record(&mut work, &changes, now).await?;
                }
                work.commit().await
            })
            .await?;
        }
        Ok(())
    }
}

/// `($1, $2), ($3, $4)`: `count` tuples of `width` parameters, starting at `first`. Such a statement is not kept
/// prepared, since its text differs with each number of posts.
pub(super) fn tuples(first: usize, width: usize, count: usize) -> String {
    let tuple = |at: usize| {
        let places = (0..width).map(|it| format!("${}", first + at * width + it));
        format!("({})", places.collect::<Vec<_>>().join(", "))
    };
    (0..count).map(tuple).collect::<Vec<_>>().join(", ")
}
