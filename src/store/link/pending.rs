//! Pending links: searching them, and withdrawing one.

use time::OffsetDateTime;
use time::macros::datetime;

use crate::store::audit::{self, Line};
use crate::store::link::{Row, StoredLink, link_columns};
use crate::store::search::holding;
use crate::store::{Error, Store, whole_seconds};

/// Later than the creation of any link.
const NEVER: OffsetDateTime = datetime!(9999-01-01 0:00 UTC);

/// Which links to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct LinkFilter {
    /// Part of a label.
    pub search: Option<String>,
    /// Creation time and hash prefix of the last link on the previous page.
    pub after: Option<(OffsetDateTime, Vec<u8>)>,
    pub limit: u32,
}

impl Store {
    /// Links that are neither used nor expired.
    pub async fn list_waiting_links(
        &self,
        filter: &LinkFilter,
        now: OffsetDateTime,
    ) -> Result<Vec<StoredLink>, Error> {
        let sql = concat!(
            "select ",
            link_columns!(),
            " from link
             where expires_at > $1 and user_id is null
                 and ($2 = '' or lower(label) like lower($2) escape '!')
                 and (created_at, link_hash) < ($3, $4)
             order by created_at desc, link_hash desc limit $5"
        );
        let pattern = filter.search.as_deref().map(holding).unwrap_or_default();
        let (created_at, hash) = filter.after.clone().unwrap_or((NEVER, Vec::new()));
        let query = self
            .query(sql)
            .bind(whole_seconds(now))
            .bind(pattern)
            .bind(whole_seconds(created_at))
            .bind(hash)
            .bind(i64::from(filter.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        rows.into_iter().map(StoredLink::try_from).collect()
    }

    /// The pending link whose hash begins with these bytes, if there is one.
    pub async fn find_waiting_link(
        &self,
        hash_begins: &[u8],
        now: OffsetDateTime,
    ) -> Result<Option<StoredLink>, Error> {
        let sql = concat!(
            "select ",
            link_columns!(),
            " from link
             where link_hash >= $1 and link_hash <= $2 and user_id is null and expires_at > $3"
        );
        let query = self.query(sql).bind(hash_begins).bind(last_hash(hash_begins));
        let row: Option<Row> = self.fetch_optional(query.bind(whole_seconds(now))).await?;
        row.map(StoredLink::try_from).transpose()
    }

    /// Removes the link whose hash begins with these bytes, and any handshake begun with it; `None` when it is not
    /// pending. Audited as `link.withdrawn`.
    pub async fn withdraw_link(
        &self,
        hash_begins: &[u8],
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Option<StoredLink>, Error> {
        let sql = concat!(
            "delete from link
             where link_hash >= $1 and link_hash <= $2 and user_id is null and expires_at > $3
             returning ",
            link_columns!()
        );
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(sql).bind(hash_begins).bind(last_hash(hash_begins));
            let row: Option<Row> = work.fetch_optional(query.bind(whole_seconds(now))).await?;
            let Some(row) = row else { return Ok((work, None)) };
            let withdrawn = StoredLink::try_from(row)?;
            let subject = format!("app:{}", withdrawn.link.app);
            let detail = format!("link {:?}", withdrawn.link.label);
            let entry =
                Line { actor, action: "link.withdrawn", subject: &subject, detail: &detail };
            audit::record(&mut work, &entry, now).await?;
            Ok((work, Some(withdrawn)))
        })
        .await
    }
}

/// The greatest hash that begins with these bytes.
fn last_hash(begins: &[u8]) -> Vec<u8> {
    [begins, &[u8::MAX; 32]].concat()
}
