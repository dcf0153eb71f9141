//! One-time links and the handshakes begun with them. Only hashes of what a browser or X sends back are kept.

pub(super) mod pending;

use time::OffsetDateTime;

use crate::model::UserId;
use crate::model::account::is_screen_name;
use crate::model::handshake::{Link, NotConnected};
use crate::store::account;
use crate::store::account::new::NewAccount;
use crate::store::audit::{self, Line};
use crate::store::database::changes;
use crate::store::database::dialect::{Work, on};
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
#[derive(Clone, Eq, PartialEq)]
pub struct StoredHandshake {
    pub token_hash: Vec<u8>,
    pub link_hash: Vec<u8>,
    pub browser_hash: Vec<u8>,
    pub sealed_secret: Vec<u8>,
    pub expires_at: OffsetDateTime,
}

pub(super) type LinkRow = (
    Vec<u8>,
    String,
    String,
    Option<String>,
    Option<String>,
    OffsetDateTime,
    OffsetDateTime,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
    Option<String>,
);

impl Store {
    /// Stores a new link. Audited as `link.created`.
    pub async fn insert_link(
        &self,
        hash: &[u8],
        link: &Link,
        sealed_proof: &[u8],
        actor: &str,
    ) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            insert(&mut work, hash, link, sealed_proof, actor, None).await?;
            work.commit().await
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
        let lock = "update key set create_links = create_links where key_id = $1";
        let count = "select count(*), min(expires_at) from link
             where key_id = $1 and expires_at > $2 and user_id is null";
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            on!(&mut work, it => sqlx::query(lock).bind(key_id).execute(&mut **it).await?.rows_affected());
            let (waiting, first): (i64, Option<OffsetDateTime>) =
                on!(&mut work, it => sqlx::query_as(count)
                    .bind(key_id)
                    .bind(whole_seconds(link.created_at))
                    .fetch_one(&mut **it)
                    .await?);
            if let Some(first) = first.filter(|_| waiting >= i64::from(most)) {
                return Ok(Err(first));
            }
            insert(&mut work, hash, link, sealed_proof, actor, Some(key_id)).await?;
            work.commit().await.map(Ok)
        })
        .await
    }

    pub async fn find_link(&self, hash: &[u8]) -> Result<Option<StoredLink>, Error> {
        let sql =
            "select link_hash, app, label, expected_user_id, return_to, created_at, expires_at,
                 sealed_proof, browser_hash, last_failure, user_id, screen_name
             from link where link_hash = $1";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let row: Option<LinkRow> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(hash)
                .fetch_optional(&mut **it)
                .await?);
            row.map(stored).transpose()
        })
        .await
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
        let sql =
            "select link_hash, app, label, expected_user_id, return_to, created_at, expires_at,
                 sealed_proof, browser_hash, last_failure, user_id, screen_name
             from link where link_hash > $1 and expires_at > $3 and user_id is null
             order by link_hash limit $2";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let rows: Vec<LinkRow> = on!(&mut lease, it => sqlx::query_as(sql)
                .bind(after)
                .bind(i64::from(limit))
                .bind(whole_seconds(now))
                .fetch_all(&mut **it)
                .await?);
            rows.into_iter().map(stored).collect()
        })
        .await
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
        self.long(async {
            let mut lease = self.writer().await?;
            let updated = on!(&mut lease, it => sqlx::query(sql)
                .bind(hash)
                .bind(browser_hash)
                .bind(whole_seconds(now))
                .execute(&mut **it)
                .await?
                .rows_affected());
            Ok(updated > 0)
        })
        .await
    }

    /// Stores how an attempt ended, for the page that reports it.
    pub async fn end_link(&self, hash: &[u8], end: NotConnected) -> Result<(), Error> {
        let sql = "update link set last_failure = $2 where link_hash = $1 and user_id is null";
        self.long(async {
            let mut lease = self.writer().await?;
            on!(&mut lease, it => sqlx::query(sql)
                .bind(hash)
                .bind(end.name())
                .execute(&mut **it)
                .await?
                .rows_affected());
            Ok(())
        })
        .await
    }

    pub async fn insert_handshake(&self, handshake: &StoredHandshake) -> Result<(), Error> {
        let sql = "insert into handshake (token_hash, link_hash, browser_hash, sealed_secret,
                 expires_at)
             values ($1, $2, $3, $4, $5)";
        self.long(async {
            let mut lease = self.writer().await?;
            on!(&mut lease, it => sqlx::query(sql)
                .bind(&handshake.token_hash)
                .bind(&handshake.link_hash)
                .bind(&handshake.browser_hash)
                .bind(&handshake.sealed_secret)
                .bind(whole_seconds(handshake.expires_at))
                .execute(&mut **it)
                .await?
                .rows_affected());
            Ok(())
        })
        .await
    }

    /// Removes and returns the handshake of this request token and browser, even if it has expired: only one caller
    /// gets it. Its link is then `UnderWay` until another outcome is stored.
    pub async fn take_handshake(
        &self,
        token_hash: &[u8],
        browser_hash: &[u8],
    ) -> Result<Option<StoredHandshake>, Error> {
        let sql = "delete from handshake
             where token_hash = $1 and browser_hash = $2
             returning link_hash, sealed_secret, expires_at";
        let under_way =
            "update link set last_failure = $2 where link_hash = $1 and user_id is null";
        self.long(async {
            let _turn = self.links.acquire().await;
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            let row: Option<(Vec<u8>, Vec<u8>, OffsetDateTime)> =
                on!(&mut work, it => sqlx::query_as(sql)
                    .bind(token_hash)
                    .bind(browser_hash)
                    .fetch_optional(&mut **it)
                    .await?);
            let Some((link_hash, sealed_secret, expires_at)) = row else { return Ok(None) };
            on!(&mut work, it => sqlx::query(under_way)
                .bind(&link_hash)
                .bind(NotConnected::UnderWay.name())
                .execute(&mut **it)
                .await?
                .rows_affected());
            work.commit().await?;
            Ok(Some(StoredHandshake {
                token_hash: token_hash.to_vec(),
                link_hash,
                browser_hash: browser_hash.to_vec(),
                sealed_secret,
                expires_at,
            }))
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
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            if let Some(hash) = link_hash {
                let updated = on!(&mut work, it => sqlx::query(sql)
                    .bind(hash)
                    .bind(new.user_id.to_string())
                    .bind(&new.screen_name)
                    .execute(&mut **it)
                    .await?
                    .rows_affected());
                if updated == 0 {
                    return Ok(false);
                }
            }
            account::put(&mut work, new, now).await?;
            let subject = account::subject(&new.app, new.user_id);
            let detail = format!("@{}", new.screen_name);
            let line =
                Line { actor, action: "account.connected", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            self.tell_connected(&mut work, new, "the user allowed the app at X", now).await?;
            changes::record(&mut work, &[account::changed(&new.app, new.user_id)], now).await?;
            work.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Deletes handshakes and links that expired before these times.
    pub async fn prune_links(
        &self,
        handshakes_before: OffsetDateTime,
        links_before: OffsetDateTime,
    ) -> Result<(), Error> {
        self.long(async {
            let mut lease = self.writer().await?;
            let mut work = lease.begin().await?;
            for (sql, before) in [
                ("delete from handshake where expires_at <= $1", handshakes_before),
                ("delete from link where expires_at <= $1", links_before),
            ] {
                on!(&mut work, it => sqlx::query(sql)
                    .bind(whole_seconds(before))
                    .execute(&mut **it)
                    .await?
                    .rows_affected());
            }
            work.commit().await
        })
        .await
    }
}

async fn insert(
    work: &mut Work<'_>,
    hash: &[u8],
    link: &Link,
    sealed_proof: &[u8],
    actor: &str,
    key_id: Option<&str>,
) -> Result<(), Error> {
    let sql = "insert into link (link_hash, app, label, expected_user_id, return_to, created_at,
             expires_at, sealed_proof, key_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on!(&mut *work, it => sqlx::query(sql)
        .bind(hash)
        .bind(&link.app)
        .bind(&link.label)
        .bind(link.expected_user.map(|it| it.to_string()))
        .bind(&link.return_to)
        .bind(whole_seconds(link.created_at))
        .bind(whole_seconds(link.expires_at))
        .bind(sealed_proof)
        .bind(key_id)
        .execute(&mut **it)
        .await?
        .rows_affected());
    let subject = format!("app:{}", link.app);
    let detail = format!("link {:?}", link.label);
    let entry = Line { actor, action: "link.created", subject: &subject, detail: &detail };
    audit::record(work, &entry, link.created_at).await
}

pub(super) fn stored(row: LinkRow) -> Result<StoredLink, Error> {
    let (
        hash,
        app,
        label,
        expected,
        return_to,
        created_at,
        expires_at,
        sealed_proof,
        browser,
        end,
        user_id,
        screen_name,
    ) = row;
    let user = |text: String, column| UserId::parse(&text).ok_or_else(|| Error::unreadable(column));
    let expected_user = expected.map(|it| user(it, "link.expected_user_id")).transpose()?;
    let user_id = user_id.map(|it| user(it, "link.user_id")).transpose()?;
    // The row's seal does not cover the user who connected.
    if screen_name.as_deref().is_some_and(|it| !is_screen_name(it)) {
        return Err(Error::unreadable("link.screen_name"));
    }
    Ok(StoredLink {
        hash,
        link: Link { app, label, expected_user, return_to, created_at, expires_at },
        sealed_proof,
        browser_hash: browser,
        last_failure: end.as_deref().and_then(NotConnected::from_name),
        connected: user_id.zip(screen_name),
    })
}
