//! Tokens for browsers, of which little is stored: which were withdrawn, and until when a vault key is needed for them.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::store::audit::{self, Line};
use crate::store::database::changes::{self, Change};
use crate::store::database::query::{MOST_ITEMS, tuples};
use crate::store::{Error, Store};

/// Tokens that were withdrawn.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct Withdrawal {
    pub key_id: String,
    /// Whose tokens; empty for all of the key's.
    pub subject: String,
    /// Tokens made later are good; in seconds since 1970.
    pub tokens_after: i64,
}

/// Calls that a token has taken.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TokenCalls {
    pub token: String,
    /// From when it is refused, in seconds since 1970.
    pub ends_at: i64,
    pub calls: i64,
}

impl Store {
    /// At most `limit` of the withdrawals of tokens that may still live.
    pub async fn list_withdrawals(&self, limit: u32) -> Result<Vec<Withdrawal>, Error> {
        let sql = "select key_id, subject, tokens_after from token_withdrawal
             order by key_id, subject limit $1";
        self.fetch_all(self.query(sql).bind(i64::from(limit))).await
    }

    /// How many withdrawals there are beside one: of its key, and in all.
    pub async fn count_other_withdrawals(
        &self,
        key_id: &str,
        subject: &str,
    ) -> Result<(i64, i64), Error> {
        let sql = "select sum(case when key_id = $1 then 1 else 0 end), count(*)
             from token_withdrawal where key_id <> $1 or subject <> $2";
        let query = self.query(sql).bind(key_id).bind(subject);
        let row: Option<(Option<i64>, i64)> = self.fetch_optional(query).await?;
        Ok(row.map_or((0, 0), |(of_key, all)| (of_key.unwrap_or_default(), all)))
    }

    /// Withdraws tokens; a later withdrawal stays. Audited as `tokens.withdrawn`, with `detail`.
    pub async fn insert_withdrawal(
        &self,
        withdrawal: &Withdrawal,
        detail: &str,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let sql = "insert into token_withdrawal (key_id, subject, tokens_after) values ($1, $2, $3)
             on conflict (key_id, subject) do update set tokens_after = excluded.tokens_after
             where token_withdrawal.tokens_after < excluded.tokens_after";
        let Withdrawal { key_id, subject, tokens_after } = withdrawal;
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(sql).bind(key_id).bind(subject).bind(tokens_after);
            work.execute(query).await?;
            if subject.is_empty() {
                // The withdrawal of all tokens covers those of each subject.
                let sql = "delete from token_withdrawal
                     where key_id = $1 and subject <> '' and tokens_after <= $2";
                work.execute(work.query(sql).bind(key_id).bind(tokens_after)).await?;
            }
            let about = format!("key:{key_id}");
            let line = Line { actor, action: "tokens.withdrawn", subject: &about, detail };
            audit::record(&mut work, &line, now).await?;
            // A program that knows no tokens drops the key from its cache, which does no harm.
            changes::record(&mut work, &[Change::Key { id: key_id.clone() }], now).await?;
            Ok((work, ()))
        })
        .await
    }

    /// Deletes withdrawals of tokens made up to `made_until`, and what is known of tokens that ended by `needed_until`;
    /// both in seconds since 1970.
    pub async fn prune_tokens(&self, made_until: i64, needed_until: i64) -> Result<(), Error> {
        let sql = "delete from token_withdrawal where tokens_after <= $1";
        self.execute(self.query(sql).bind(made_until)).await?;
        let sql = "delete from token_calls where ends_at <= $1";
        self.execute(self.query(sql).bind(needed_until)).await?;
        let sql = "delete from token_seal where needed_until <= $1";
        self.execute(self.query(sql).bind(needed_until)).await.map(drop)
    }

    /// Adds to the calls that tokens have taken, at one stroke.
    pub async fn add_token_calls(&self, added: &[TokenCalls]) -> Result<(), Error> {
        self.write(|| async {
            let mut work = self.begin().await?;
            for added in added.chunks(MOST_ITEMS) {
                let rows = tuples(1, 3, added.len());
                let sql = format!(
                    "insert into token_calls (token_id, ends_at, calls) values {rows}
                     on conflict (token_id)
                     do update set calls = token_calls.calls + excluded.calls"
                );
                let mut query = work.query_of_many(sql);
                for TokenCalls { token, ends_at, calls } in added {
                    query = query.bind(token).bind(*ends_at).bind(*calls);
                }
                work.execute(query).await?;
            }
            Ok((work, ()))
        })
        .await
    }

    /// The calls that these tokens have taken, of those that have taken any.
    pub async fn list_token_calls(&self, tokens: &[Box<str>]) -> Result<Vec<(String, i64)>, Error> {
        let mut listed = Vec::new();
        for tokens in tokens.chunks(MOST_ITEMS) {
            let wanted = tuples(1, 1, tokens.len());
            let sql =
                format!("select token_id, calls from token_calls where (token_id) in ({wanted})");
            let mut query = self.query_of_many(sql);
            for token in tokens {
                query = query.bind(&**token);
            }
            let rows: Vec<(String, i64)> = self.fetch_all(query).await?;
            listed.extend(rows);
        }
        Ok(listed)
    }

    /// Notes that tokens sealed with a vault key live until `needed_until`, in seconds since 1970.
    pub async fn extend_token_seal(&self, vault_key: &str, needed_until: i64) -> Result<(), Error> {
        let sql = "insert into token_seal (vault_key, needed_until) values ($1, $2)
             on conflict (vault_key) do update set needed_until = excluded.needed_until
             where token_seal.needed_until < excluded.needed_until";
        self.execute(self.query(sql).bind(vault_key).bind(needed_until)).await.map(drop)
    }

    /// Vault keys that sealed tokens, each with the time until which these live, in seconds since 1970.
    pub async fn list_token_seals(&self) -> Result<Vec<(String, i64)>, Error> {
        let sql = "select vault_key, needed_until from token_seal order by vault_key limit 100";
        self.fetch_all(self.query(sql)).await
    }
}
