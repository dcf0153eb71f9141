//! Keys that callers and admins hold, and the sealed verifiers that prove them.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::key::{Key, KeyLimits, Right, Role, Scopes, Unreadable};
use crate::model::{Endpoint, Origin, UserId};
use crate::store::audit::{self, Line};
use crate::store::database::changes;
use crate::store::database::changes::Change;
use crate::store::search::holding;
use crate::store::{Error, Store, whole_seconds};

/// A key as stored, whether it can be read or not. No `Debug`, so that no log line shows a verifier.
///
/// Times are kept in whole seconds: a verifier that covers them must be computed over `whole_seconds` of them.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredKey {
    pub key: Result<Key, Unreadable>,
    pub sealed_verifier: Vec<u8>,
}

impl StoredKey {
    pub fn id(&self) -> &str {
        Unreadable::id_of(&self.key)
    }

    /// When it was revoked, as the row says.
    pub fn revoked_at(&self) -> Option<OffsetDateTime> {
        self.key.as_ref().map_or_else(|key| key.revoked_at, |key| key.revoked_at)
    }

    /// Whether it was revoked without a seal, so that nothing proves it any more.
    pub fn is_void(&self) -> bool {
        self.revoked_at().is_some() && self.sealed_verifier.is_empty()
    }
}

/// Which keys to list, ordered by id.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// The id of the last key on the previous page.
    pub after: Option<String>,
    pub limit: u32,
}

/// Which keys to list, ordered by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeySearch {
    pub role: Option<Role>,
    /// Only keys that are neither revoked nor expired at this time.
    pub working_at: Option<OffsetDateTime>,
    /// Part of a name, or a whole id.
    pub search: Option<String>,
    /// Name and id of the last key on the previous page.
    pub after: Option<(String, String)>,
    pub limit: u32,
}

macro_rules! key_columns {
    () => {
        "key_id, role, name, app, accounts, endpoints, rights, expires_at, created_at,
         revoked_at, last_used_at, sealed_verifier, weight, per_minute, at_once, origins"
    };
}
pub(super) use key_columns;

/// A row of `key`.
#[derive(FromRow)]
pub(super) struct Row {
    key_id: String,
    role: String,
    name: String,
    app: Option<String>,
    accounts: Option<String>,
    endpoints: Option<String>,
    rights: String,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    last_used_at: Option<OffsetDateTime>,
    sealed_verifier: Vec<u8>,
    weight: i64,
    per_minute: Option<i64>,
    at_once: Option<i64>,
    origins: String,
}

impl Store {
    pub async fn find_key(&self, id: &str) -> Result<Option<StoredKey>, Error> {
        let sql = concat!("select ", key_columns!(), " from key where key_id = $1");
        let row: Option<Row> = self.fetch_optional_for_call(self.query(sql).bind(id)).await?;
        Ok(row.map(StoredKey::from))
    }

    /// `find_key` for an id that may be made up: such look-ups are limited to a share of the connections.
    pub async fn find_doubtful_key(&self, id: &str) -> Result<Option<StoredKey>, Error> {
        self.short(async {
            let _turn = self.strangers.acquire().await;
            self.find_key(id).await
        })
        .await
    }

    /// The key of that name that is not revoked; case is ignored.
    pub async fn find_key_by_name(&self, name: &str) -> Result<Option<StoredKey>, Error> {
        let sql = concat!(
            "select ",
            key_columns!(),
            " from key where lower(name) = lower($1) and revoked_at is null"
        );
        let row: Option<Row> = self.fetch_optional(self.query(sql).bind(name)).await?;
        Ok(row.map(StoredKey::from))
    }

    /// Includes revoked and expired keys; a row that cannot be read does not hide the others.
    pub async fn list_keys(&self, filter: &KeyFilter) -> Result<Vec<StoredKey>, Error> {
        let sql = concat!(
            "select ",
            key_columns!(),
            " from key where key_id > $1 order by key_id limit $2"
        );
        let query = self
            .query(sql)
            .bind(filter.after.as_deref().unwrap_or_default())
            .bind(i64::from(filter.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredKey::from).collect())
    }

    /// Includes revoked and expired keys, unless `search` excludes them; an unreadable row does not hide the others.
    pub async fn list_keys_by_name(&self, search: &KeySearch) -> Result<Vec<StoredKey>, Error> {
        let sql = concat!(
            "select ",
            key_columns!(),
            " from key
             where ($1 = '' or role = $1)
                 and ($2 is null or (revoked_at is null and (expires_at is null or expires_at > $2)))
                 and ($3 = '' or lower(name) like lower($3) escape '!' or key_id = $4)
                 and (lower(name), key_id) > (lower($5), $6)
             order by lower(name), key_id limit $7"
        );
        let pattern = search.search.as_deref().map(holding).unwrap_or_default();
        let (after_name, after_id) = search.after.clone().unwrap_or_default();
        let query = self
            .query(sql)
            .bind(search.role.map_or("", Role::name))
            .bind(search.working_at.map(whole_seconds))
            .bind(pattern)
            .bind(search.search.as_deref().unwrap_or_default())
            .bind(after_name)
            .bind(after_id)
            .bind(i64::from(search.limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredKey::from).collect())
    }

    /// The keys that name origins and are neither revoked nor expired at `now`, by id.
    pub async fn list_keys_with_origins(
        &self,
        now: OffsetDateTime,
        limit: u32,
    ) -> Result<Vec<StoredKey>, Error> {
        let sql = concat!(
            "select ",
            key_columns!(),
            " from key where origins <> '' and revoked_at is null
                 and (expires_at is null or expires_at > $1)
             order by key_id limit $2"
        );
        let query = self.query(sql).bind(whole_seconds(now)).bind(i64::from(limit));
        let rows: Vec<Row> = self.fetch_all(query).await?;
        Ok(rows.into_iter().map(StoredKey::from).collect())
    }

    /// `AlreadyExists` when a key that is not revoked has the same name, ignoring case. Audited as `key.created`.
    pub async fn insert_key(
        &self,
        key: &Key,
        sealed_verifier: &[u8],
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let sql = concat!(
            "insert into key (",
            key_columns!(),
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        );
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(&key.id)
                .bind(key.role.name())
                .bind(&key.name)
                .bind(&key.scopes.app)
                .bind(key.scopes.accounts.as_ref().map(join))
                .bind(key.scopes.endpoints.as_ref().map(join))
                .bind(join(&key.scopes.rights))
                .bind(key.expires_at.map(whole_seconds))
                .bind(whole_seconds(key.created_at))
                .bind(key.revoked_at.map(whole_seconds))
                .bind(key.last_used_at.map(whole_seconds))
                .bind(sealed_verifier)
                .bind(i64::from(key.limits.weight))
                .bind(key.limits.per_minute.map(i64::from))
                .bind(key.limits.at_once.map(i64::from))
                .bind(join(&key.scopes.origins));
            work.execute_unique(query, "key_name").await?;
            let subject = format!("key:{}", key.id);
            let detail = format!("{} key {:?}", key.role, key.name);
            let line = Line { actor, action: "key.created", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            changes::record(&mut work, &[Change::Key { id: key.id.clone() }], now).await?;
            Ok((work, ()))
        })
        .await
    }

    /// False when the key is absent. `sealed_verifier` covers the revoked row, whose `revoked_at` is
    /// `whole_seconds(now)`. Also updates a row that claims to be revoked already, which anybody may have written: a
    /// revocation always wins. Audited as `key.revoked`.
    pub async fn revoke_key(
        &self,
        id: &str,
        sealed_verifier: &[u8],
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update key set revoked_at = $2, sealed_verifier = $3
             where key_id = $1 returning name";
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(sql).bind(id).bind(whole_seconds(now)).bind(sealed_verifier);
            let row: Option<(String,)> = work.fetch_optional(query).await?;
            let Some((name,)) = row else { return Ok((work, false)) };
            let (subject, detail) = (format!("key:{id}"), format!("key {name:?}"));
            let line = Line { actor, action: "key.revoked", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            changes::record(&mut work, &[Change::Key { id: id.to_owned() }], now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Replaces a key's limits; `sealed_verifier` covers the row with the new ones. False when the key is not as it was
    /// sealed before. Audited as `key.updated`, with `detail`.
    pub async fn update_key_limits(
        &self,
        key: &Key,
        (sealed_verifier, previous): (&[u8], &[u8]),
        detail: &str,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update key set weight = $2, per_minute = $3, at_once = $4, sealed_verifier = $5
             where key_id = $1 and sealed_verifier = $6";
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(&key.id)
                .bind(i64::from(key.limits.weight))
                .bind(key.limits.per_minute.map(i64::from))
                .bind(key.limits.at_once.map(i64::from))
                .bind(sealed_verifier)
                .bind(previous);
            if work.execute(query).await? == 0 {
                return Ok((work, false));
            }
            let subject = format!("key:{}", key.id);
            let line = Line { actor, action: "key.updated", subject: &subject, detail };
            audit::record(&mut work, &line, now).await?;
            changes::record(&mut work, &[Change::Key { id: key.id.clone() }], now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Stores a verifier that was sealed again, unless it is no longer `previous`.
    pub async fn update_key_verifier(
        &self,
        id: &str,
        new: &[u8],
        previous: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update key set sealed_verifier = $2 where key_id = $1 and sealed_verifier = $3";
        self.reseal(sql, &[id], &[new, previous]).await
    }

    /// Moves the time of last use forward to `hour`, never back.
    pub async fn touch_key(&self, id: &str, hour: OffsetDateTime) -> Result<(), Error> {
        let sql = "update key set last_used_at = $2
             where key_id = $1 and (last_used_at is null or last_used_at < $2)";
        self.execute(self.query(sql).bind(id).bind(whole_seconds(hour))).await.map(drop)
    }
}

fn join<'a, T: ToString + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// An item that cannot be read makes the whole row unreadable: leaving it out would change what the key may do.
fn split<T, All: FromIterator<T>>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<All> {
    text.split_whitespace().map(read).collect()
}

impl From<Row> for StoredKey {
    fn from(row: Row) -> StoredKey {
        let Row {
            key_id: id,
            role,
            name,
            app,
            accounts,
            endpoints,
            rights,
            expires_at,
            created_at,
            revoked_at,
            last_used_at,
            sealed_verifier,
            weight,
            per_minute,
            at_once,
            origins,
        } = row;
        let limits = || {
            let count = |count: Option<i64>| count.map(u32::try_from).transpose().ok();
            let weight = u32::try_from(weight).ok()?;
            Some(KeyLimits { weight, per_minute: count(per_minute)?, at_once: count(at_once)? })
        };
        let scopes = || -> Result<_, &str> {
            let role = Role::from_name(&role).ok_or("role")?;
            let accounts = accounts.map(|text| split(&text, UserId::parse).ok_or("accounts"));
            let endpoints =
                endpoints.map(|text| split(&text, Endpoint::from_name).ok_or("endpoints"));
            let (accounts, endpoints) = (accounts.transpose()?, endpoints.transpose()?);
            let rights = split(&rights, Right::from_name).ok_or("rights")?;
            let limits = limits().ok_or("weight, per_minute or at_once")?;
            let origins = split(&origins, |text| Origin::parse(text).ok()).ok_or("origins")?;
            Ok((role, Scopes { app, accounts, endpoints, rights, origins }, limits))
        };
        let key = match scopes() {
            Ok((role, scopes, limits)) => Ok(Key {
                id,
                role,
                name,
                scopes,
                limits,
                created_at,
                expires_at,
                revoked_at,
                last_used_at,
            }),
            Err(column) => {
                let why = format!("key.{column} holds what cannot be read");
                Err(Unreadable { id, name, created_at, revoked_at, why })
            }
        };
        StoredKey { key, sealed_verifier }
    }
}
