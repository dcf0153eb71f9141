//! Authors of posts, and which of them are connected. There is one table for all apps, since authorship is a fact about
//! the post, not about the caller. A known author never changes; caches are notified only of a wrong one.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use time::OffsetDateTime;

use crate::model::UserId;
use crate::store::database::changes;
use crate::store::database::query::{MOST_ITEMS, tuples};
use crate::store::{Change, Error, Store};

impl Store {
    /// The authors of these posts, as far as they are known.
    pub async fn find_authors(&self, posts: &[u64]) -> Result<HashMap<u64, UserId>, Error> {
        let mut found = HashMap::new();
        for posts in posts.chunks(MOST_ITEMS) {
            let wanted = tuples(1, 1, posts.len());
            let sql = format!("select post_id, user_id from author where (post_id) in ({wanted})");
            let mut query = self.query_of_many(sql);
            for post in posts {
                query = query.bind(post.cast_signed());
            }
            let rows: Vec<(i64, String)> = self.fetch_all_for_call(query).await?;
            for (post, author) in rows {
                let author = UserId::parse(&author);
                let author = author.ok_or_else(|| Error::unreadable("author.user_id"))?;
                found.insert(post.cast_unsigned(), author);
            }
        }
        Ok(found)
    }

    /// The newest posts of a user whose ids are in a range, newest first, as far as they are known; at most `most`.
    pub async fn find_posts_of(
        &self,
        user: UserId,
        ids: RangeInclusive<u64>,
        most: usize,
    ) -> Result<Vec<u64>, Error> {
        let largest = i64::MAX.unsigned_abs();
        let [first, last] = [ids.start(), ids.end()].map(|id| (*id).min(largest).cast_signed());
        let query = self
            .query(
                "select post_id from author where user_id = $1 and post_id between $2 and $3
                 order by post_id desc limit $4",
            )
            .bind(user.to_string())
            .bind(first)
            .bind(last)
            .bind(i64::try_from(most).unwrap_or(i64::MAX));
        let rows: Vec<(i64,)> = self.fetch_all_for_call(query).await?;
        Ok(rows.into_iter().map(|(post,)| post.cast_unsigned()).collect())
    }

    /// Which of these users have an account with the app, in whatever state.
    pub async fn find_connected(
        &self,
        app: &str,
        users: &[UserId],
    ) -> Result<HashSet<UserId>, Error> {
        let mut found = HashSet::new();
        for users in users.chunks(MOST_ITEMS) {
            let wanted = tuples(2, 1, users.len());
            let sql =
                format!("select user_id from account where app = $1 and (user_id) in ({wanted})");
            let mut query = self.query_of_many(sql).bind(app);
            for user in users {
                query = query.bind(user.to_string());
            }
            let rows: Vec<(String,)> = self.fetch_all_for_call(query).await?;
            for (user,) in rows {
                let user = UserId::parse(&user);
                found.insert(user.ok_or_else(|| Error::unreadable("account.user_id"))?);
            }
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
        for users in users.chunks(MOST_ITEMS) {
            let wanted = tuples(2, 1, users.len());
            // Names are compared here: an index on them would lead to other users' rows.
            let sql = format!(
                "select user_id, screen_name from account where app = $1 and (user_id) in ({wanted})
                 order by connected_at desc, user_id desc"
            );
            let mut query = self.query_of_many(sql).bind(app);
            for user in users {
                query = query.bind(user.to_string());
            }
            let rows: Vec<(String, String)> = self.fetch_all_for_call(query).await?;
            let named = rows.iter().find(|(_, screen_name)| screen_name.eq_ignore_ascii_case(name));
            if let Some((user, _)) = named {
                let user = UserId::parse(user);
                return user.ok_or_else(|| Error::unreadable("account.user_id")).map(Some);
            }
        }
        Ok(None)
    }

    /// Stores authors of posts; those already stored stay as they are.
    pub async fn insert_authors(&self, authors: &HashMap<u64, UserId>) -> Result<(), Error> {
        let mut authors: Vec<(u64, UserId)> =
            authors.iter().map(|(post, author)| (*post, *author)).collect();
        // In a fixed order, so that two replicas storing the same posts wait for each other instead of deadlocking.
        authors.sort_unstable();
        for authors in authors.chunks(MOST_ITEMS) {
            let rows = tuples(1, 2, authors.len());
            let sql = format!(
                "insert into author (post_id, user_id) values {rows} on conflict (post_id) do nothing"
            );
            let mut query = self.query_of_many(sql);
            for (post, author) in authors {
                query = query.bind(post.cast_signed()).bind(author.to_string());
            }
            self.execute(query).await?;
        }
        Ok(())
    }

    /// Removes these authors of posts, where exactly these are stored.
    pub async fn remove_authors(
        &self,
        authors: &[(u64, UserId)],
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        for authors in authors.chunks(MOST_ITEMS) {
            let pairs = tuples(1, 2, authors.len());
            let sql = format!(
                "delete from author where (post_id, user_id) in (values {pairs}) returning post_id"
            );
            self.write(|| async {
                let mut work = self.begin().await?;
                let mut query = work.query_of_many(sql.clone());
                for (post, author) in authors {
                    query = query.bind(post.cast_signed()).bind(author.to_string());
                }
                let removed: Vec<(i64,)> = work.fetch_all(query).await?;
                let author = |(post,): (i64,)| Change::Author { post: post.cast_unsigned() };
                let changes: Vec<Change> = removed.into_iter().map(author).collect();
                if !changes.is_empty() {
                    changes::record(&mut work, &changes, now).await?;
                }
                Ok((work, ()))
            })
            .await?;
        }
        Ok(())
    }
}
