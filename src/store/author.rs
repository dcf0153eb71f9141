//! Who wrote which post. There is one table for all apps, since that is a fact about the post and not about who asks;
//! and no cache is told of it, since it never changes.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use crate::model::UserId;
use crate::store::backend::on;
use crate::store::{Error, Store};

/// Posts in one statement; SQLite takes 32766 parameters.
const MOST: usize = 500;

impl Store {
    /// The authors of these posts, as far as they are known.
    pub async fn find_authors(&self, posts: &[u64]) -> Result<HashMap<u64, UserId>, Error> {
        let mut found = HashMap::new();
        for posts in posts.chunks(MOST) {
            let wanted = tuples(1, posts.len());
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

    /// Stores whose posts they are; what is stored already stays as it is.
    pub async fn insert_authors(&self, authors: &HashMap<u64, UserId>) -> Result<(), Error> {
        let mut authors: Vec<(u64, UserId)> = authors.iter().map(|it| (*it.0, *it.1)).collect();
        // In one order, so that two replicas that learn the same wait for each other instead of deadlocking.
        authors.sort_unstable();
        for authors in authors.chunks(MOST) {
            let rows = tuples(2, authors.len());
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
}

/// `($1, $2), ($3, $4)`: so many parameters in each, and so many of them. A statement with these is not kept prepared,
/// since there are as many texts as numbers of posts.
fn tuples(width: usize, count: usize) -> String {
    let tuple = |at: usize| {
        let places = (at * width + 1..=(at + 1) * width).map(|it| format!("${it}"));
        format!("({})", places.collect::<Vec<_>>().join(", "))
    };
    (0..count).map(tuple).collect::<Vec<_>>().join(", ")
}
