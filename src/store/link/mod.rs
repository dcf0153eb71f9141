//! One-time links and the handshakes begun with them. Only hashes of what a browser or X sends back are kept.

pub(super) mod pending;

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::account::is_screen_name;
use crate::model::handshake::{Link, NotConnected};
use crate::store::account;
use crate::store::account::import;
use crate::store::account::new::NewAccount;
use crate::store::audit::{self, Line};
use crate::store::database::changes;
use crate::store::database::dialect::Work;
use crate::store::{Error, Store, whole_seconds};

/// A link as stored.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredLink {
    pub hash: Vec<u8>,
    pub link: Link,
    pub sealed_proof: Vec<u8>,
    /// The browser that began with the link; no other may continue.
    pub browser_hash: Option<Vec<u8>>,
    pub last_failure: Option<NotConnected>,
    /// The user who connected with it, and the name that X gave; the link is then used.
    pub connected: Option<(UserId, String)>,
}

/// A three-legged flow in flight. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, FromRow, PartialEq)]
pub struct StoredHandshake {
    pub token_hash: Vec<u8>,
    pub link_hash: Vec<u8>,
    pub browser_hash: Vec<u8>,
    pub sealed_secret: Vec<u8>,
    pub expires_at: OffsetDateTime,
}

/// The columns of `link` but the key that created it.
macro_rules! link_columns {
    () => {
        "link_hash, app, label, expected_user_id, return_to, created_at, expires_at, sealed_proof,
         browser_hash, last_failure, user_id, screen_name"
    };
}
pub(super) use link_columns;

/// The columns of a `StoredHandshake`.
macro_rules! handshake_columns {
    () => {
        "token_hash, link_hash, browser_hash, sealed_secret, expires_at"
    };
}

/// A row of `link`.
#[derive(FromRow)]
pub(super) struct Row {
    link_hash: Vec<u8>,
    app: String,
    label: String,
    expected_user_id: Option<String>,
    return_to: Option<String>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    sealed_proof: Vec<u8>,
    browser_hash: Option<Vec<u8>>,
    last_failure: Option<String>,
    user_id: Option<String>,
    screen_name: Option<String>,
}

impl Store {
    /// Stores a new link. Audited as `link.created`.
    pub async fn insert_link(
        &self,
        hash: &[u8],
        link: &Link,
        sealed_proof: &[u8],
        actor: &str,
    ) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            insert(&mut work, hash, link, sealed_proof, actor, None).await?;
            Ok((work, ()))
        })
        .await
    }

    /// The same for a link created by a key, which may have `most` pending; beyond that, gives when the first expires.
    pub async fn insert_link_of_key(
        &self,
        hash: &[u8],
        link: &Link,
        sealed_proof: &[u8],
        actor: &str,
        (key_id, most): (&str, u32),
    ) -> Result<Result<(), OffsetDateTime>, Error> {
        // This locks the key's row, so that two concurrent inserts do not count the same links.
        let lock = "update key set rights = rights where key_id = $1";
        let count = "select count(*), min(expires_at) from link
             where key_id = $1 and expires_at > $2 and user_id is null";
        self.write(|| async {
            let mut work = self.begin().await?;
            work.execute(work.query(lock).bind(key_id)).await?;
            let query = work.query(count).bind(key_id).bind(whole_seconds(link.created_at));
            let (waiting, first): (i64, Option<OffsetDateTime>) = work.fetch_one(query).await?;
            if let Some(first) = first.filter(|_| waiting >= i64::from(most)) {
                return Ok((work, Err(first)));
            }
            insert(&mut work, hash, link, sealed_proof, actor, Some(key_id)).await?;
            Ok((work, Ok(())))
        })
        .await
    }

    pub async fn find_link(&self, hash: &[u8]) -> Result<Option<StoredLink>, Error> {
        let sql = concat!("select ", link_columns!(), " from link where link_hash = $1");
        let row: Option<Row> = self.fetch_optional(self.query(sql).bind(hash)).await?;
        row.map(StoredLink::try_from).transpose()
    }

    /// `find_link` for a link that may be made up: such look-ups are limited to a share of the connections.
    pub async fn find_doubtful_link(&self, hash: &[u8]) -> Result<Option<StoredLink>, Error> {
        self.long(async {
            let _turn = self.links.acquire().await;
            self.find_link(hash).await
        })
        .await
    }

    /// Links that can still be used, by hash, starting after `after`.
    pub async fn list_links(
        &self,
        after: &[u8],
        limit: u32,
        now: OffsetDateTime,
    ) -> Result<Vec<StoredLink>, Error> {
        let sql = concat!(
            "select ",
            link_columns!(),
            " from link where link_hash > $1 and expires_at > $3 and user_id is null
             order by link_hash limit $2"
        );
        let query = self.query(sql).bind(after).bind(i64::from(limit)).bind(whole_seconds(now));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        rows.into_iter().map(StoredLink::try_from).collect()
    }

    /// Stores a proof that was sealed again, unless it is no longer `previous`.
    pub async fn update_link_proof(
        &self,
        hash: &[u8],
        new: &[u8],
        previous: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update link set sealed_proof = $2 where link_hash = $1 and sealed_proof = $3";
        self.reseal(sql, &[], &[hash, new, previous]).await
    }

    /// Binds a link to the browser that begins with it; false when it is another browser's, used or expired.
    pub async fn claim_link(
        &self,
        hash: &[u8],
        browser_hash: &[u8],
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update link set browser_hash = $2, last_failure = null
             where link_hash = $1 and user_id is null and expires_at > $3
                 and (browser_hash is null or browser_hash = $2)";
        let query = self.query(sql).bind(hash).bind(browser_hash).bind(whole_seconds(now));
        Ok(self.execute(query).await? > 0)
    }

    /// Stores how an attempt ended, for the page that reports it.
    pub async fn end_link(&self, hash: &[u8], end: NotConnected) -> Result<(), Error> {
        let sql = "update link set last_failure = $2 where link_hash = $1 and user_id is null";
        self.execute(self.query(sql).bind(hash).bind(end.name())).await.map(drop)
    }

    pub async fn insert_handshake(&self, handshake: &StoredHandshake) -> Result<(), Error> {
        let sql = concat!(
            "insert into handshake (",
            handshake_columns!(),
            ") values ($1, $2, $3, $4, $5)"
        );
        let query = self
            .query(sql)
            .bind(&handshake.token_hash)
            .bind(&handshake.link_hash)
            .bind(&handshake.browser_hash)
            .bind(&handshake.sealed_secret)
            .bind(whole_seconds(handshake.expires_at));
        self.execute(query).await.map(drop)
    }

    /// Removes and returns the handshake of this request token and browser, even if it has expired: only one caller
    /// gets it. Its link is then `UnderWay` until another outcome is stored.
    pub async fn remove_handshake(
        &self,
        token_hash: &[u8],
        browser_hash: &[u8],
    ) -> Result<Option<StoredHandshake>, Error> {
        let sql = concat!(
            "delete from handshake where token_hash = $1 and browser_hash = $2 returning ",
            handshake_columns!()
        );
        let under_way =
            "update link set last_failure = $2 where link_hash = $1 and user_id is null";
        self.write(|| async {
            let _turn = self.links.acquire().await;
            let mut work = self.begin().await?;
            let query = work.query(sql).bind(token_hash).bind(browser_hash);
            let removed: Option<StoredHandshake> = work.fetch_optional(query).await?;
            let Some(handshake) = removed else { return Ok((work, None)) };
            let query = work.query(under_way).bind(&handshake.link_hash);
            work.execute(query.bind(NotConnected::UnderWay.name())).await?;
            Ok((work, Some(handshake)))
        })
        .await
    }

    /// Connects an account, by the link that invited the user if there is one; false, with nothing stored, when the
    /// link is already used. Audited as `account.connected`.
    pub async fn connect_account(
        &self,
        link_hash: Option<&[u8]>,
        new: &NewAccount,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update link set user_id = $2, screen_name = $3, last_failure = null
             where link_hash = $1 and user_id is null";
        self.write(|| async {
            let mut work = self.begin().await?;
            if let Some(hash) = link_hash {
                let query = work.query(sql).bind(hash).bind(new.user_id.to_string());
                if work.execute(query.bind(&new.screen_name)).await? == 0 {
                    return Ok((work, false));
                }
            }
            import::put(&mut work, &[new], now).await?;
            let subject = account::subject(&new.app, new.user_id);
            let detail = format!("@{}", new.screen_name);
            let line =
                Line { actor, action: "account.connected", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            let reason = "the user allowed the app at X";
            self.insert_connected_event(&mut work, new, reason, now).await?;
            changes::record(&mut work, &[account::changed(&new.app, new.user_id)], now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Deletes handshakes and links that expired before these times.
    pub async fn prune_links(
        &self,
        handshakes_before: OffsetDateTime,
        links_before: OffsetDateTime,
    ) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            for (sql, before) in [
                ("delete from handshake where expires_at <= $1", handshakes_before),
                ("delete from link where expires_at <= $1", links_before),
            ] {
                work.execute(work.query(sql).bind(whole_seconds(before))).await?;
            }
            Ok((work, ()))
        })
        .await
    }
}

async fn insert(
    work: &mut Work,
    hash: &[u8],
    link: &Link,
    sealed_proof: &[u8],
    actor: &str,
    key_id: Option<&str>,
) -> Result<(), Error> {
    let sql = "insert into link (link_hash, app, label, expected_user_id, return_to, created_at,
             expires_at, sealed_proof, key_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let query = work
        .query(sql)
        .bind(hash)
        .bind(&link.app)
        .bind(&link.label)
        .bind(link.expected_user.map(|user| user.to_string()))
        .bind(&link.return_to)
        .bind(whole_seconds(link.created_at))
        .bind(whole_seconds(link.expires_at))
        .bind(sealed_proof)
        .bind(key_id);
    work.execute(query).await?;
    let subject = format!("app:{}", link.app);
    let detail = format!("link {:?}", link.label);
    let entry = Line { actor, action: "link.created", subject: &subject, detail: &detail };
    audit::record(work, &entry, link.created_at).await
}

impl TryFrom<Row> for StoredLink {
    type Error = Error;

    fn try_from(row: Row) -> Result<StoredLink, Error> {
        let user = |id: String, column| UserId::parse(&id).ok_or_else(|| Error::unreadable(column));
        let expected = row.expected_user_id.map(|id| user(id, "link.expected_user_id"));
        let user_id = row.user_id.map(|id| user(id, "link.user_id")).transpose()?;
        // The row's seal does not cover the user who connected.
        if row.screen_name.as_deref().is_some_and(|name| !is_screen_name(name)) {
            return Err(Error::unreadable("link.screen_name"));
        }
        Ok(StoredLink {
            hash: row.link_hash,
            link: Link {
                app: row.app,
                label: row.label,
                expected_user: expected.transpose()?,
                return_to: row.return_to,
                created_at: row.created_at,
                expires_at: row.expires_at,
            },
            sealed_proof: row.sealed_proof,
            browser_hash: row.browser_hash,
            last_failure: row.last_failure.as_deref().and_then(NotConnected::from_name),
            connected: user_id.zip(row.screen_name),
        })
    }
}
