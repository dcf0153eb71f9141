//! Accounts and their sealed tokens.

pub(super) mod import;
pub(super) mod last_call;
pub(super) mod new;
pub(super) mod of_app;
pub(super) mod recent;
pub(super) mod row;

use time::OffsetDateTime;

use crate::model::webhook::{Event, Subject};
use crate::model::{Account, AccountState, UserId};
use crate::store::account::new::NewAccount;
use crate::store::account::row::{Row, SealedRow, account_columns, sealed_account_columns, state};
use crate::store::audit::{self, Line};
use crate::store::database::changes;
use crate::store::database::changes::Change;
use crate::store::search::holding;
use crate::store::webhook::event::NewEvent;
use crate::store::{Error, Store, whole_seconds};

/// An account with its sealed tokens. No `Debug`, so that no log line fills up with ciphertext.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredAccount {
    pub account: Account,
    pub sealed_token: Vec<u8>,
    pub sealed_token_secret: Vec<u8>,
}

/// Which accounts to list, ordered by app and user id as text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccountFilter {
    pub app: Option<String>,
    pub state: Option<AccountState>,
    /// Part of a screen name or user id, ignoring case.
    pub search: Option<String>,
    /// The last account on the previous page.
    pub after: Option<(String, UserId)>,
    pub limit: u32,
}

impl Store {
    pub async fn find_account(
        &self,
        app: &str,
        user_id: UserId,
    ) -> Result<Option<StoredAccount>, Error> {
        let sql = concat!(
            "select ",
            sealed_account_columns!(),
            " from account where app = $1 and user_id = $2"
        );
        self.find_sealed(sql, app, &user_id.to_string()).await
    }

    /// The account with this name, given in lower case. When two accounts have it, the one that connected last.
    pub async fn find_account_by_screen_name(
        &self,
        app: &str,
        lower_case_name: &str,
    ) -> Result<Option<StoredAccount>, Error> {
        let sql = concat!(
            "select ",
            sealed_account_columns!(),
            " from account where app = $1 and lower(screen_name) = $2
             order by connected_at desc, user_id desc limit 1"
        );
        self.find_sealed(sql, app, lower_case_name).await
    }

    pub async fn list_accounts(&self, filter: &AccountFilter) -> Result<Vec<Account>, Error> {
        let sql = concat!(
            "select ",
            account_columns!(),
            " from account
             where ($1 is null or app = $1) and ($2 is null or state = $2)
                 and ($6 = '' or lower(screen_name) like lower($6) escape '!' or user_id like $6 escape '!')
                 and (app, user_id) > ($3, $4)
             order by app, user_id limit $5"
        );
        let (after_app, after_id) = position(filter.after.as_ref());
        let pattern = filter.search.as_deref().map(holding).unwrap_or_default();
        let query = self
            .query(sql)
            .bind(filter.app.as_deref())
            .bind(filter.state.map(AccountState::name))
            .bind(after_app)
            .bind(after_id)
            .bind(i64::from(filter.limit))
            .bind(pattern);
        let rows: Vec<Row> = self.fetch_all(query).await?;
        rows.into_iter().map(Account::try_from).collect()
    }

    /// Accounts with their tokens, ordered by app and user id, for checks and for rotating the vault's key.
    pub async fn list_sealed_accounts(
        &self,
        after: Option<&(String, UserId)>,
        limit: u32,
    ) -> Result<Vec<StoredAccount>, Error> {
        let sql = concat!(
            "select ",
            sealed_account_columns!(),
            " from account where (app, user_id) > ($1, $2) order by app, user_id limit $3"
        );
        let (after_app, after_id) = position(after);
        let query = self.query(sql).bind(after_app).bind(after_id).bind(i64::from(limit));
        let rows: Vec<SealedRow> = self.fetch_all(query).await?;
        rows.into_iter().map(StoredAccount::try_from).collect()
    }

    /// The number of accounts for each app and state that occur.
    pub async fn count_accounts_by_state(&self) -> Result<Vec<(String, AccountState, i64)>, Error> {
        let sql =
            "select app, state, count(*) from account group by app, state order by app, state";
        let rows: Vec<(String, String, i64)> = self.fetch_all(self.query(sql)).await?;
        rows.into_iter().map(|(app, name, count)| Ok((app, state(&name)?, count))).collect()
    }

    /// False when the account is absent, already in that state, or no longer has the token that the state is about.
    /// Audited under the name of the event that it writes.
    pub async fn update_account_state(
        &self,
        stored: &StoredAccount,
        state: AccountState,
        reason: &str,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "update account set state = $3, state_since = $4
             where app = $1 and user_id = $2 and state <> $3 and sealed_token = $5";
        let Account { app, user_id, screen_name, .. } = &stored.account;
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work
                .query(sql)
                .bind(app)
                .bind(user_id.to_string())
                .bind(state.name())
                .bind(whole_seconds(now))
                .bind(&stored.sealed_token);
            if work.execute(query).await? == 0 {
                return Ok((work, false));
            }
            let event = Event::of_state(state);
            let subject = subject(app, *user_id);
            let line = Line { actor, action: event.name(), subject: &subject, detail: reason };
            audit::record(&mut work, &line, now).await?;
            let about = Subject::Account { user_id: *user_id, screen_name: screen_name.clone() };
            let event = NewEvent { event, app, subject: about, reason };
            self.insert_event(&mut work, event, now).await?;
            changes::record(&mut work, &[changed(app, *user_id)], now).await?;
            Ok((work, true))
        })
        .await
    }

    /// Stores tokens that were sealed again, unless they have changed since `previous_sealed_token` was read.
    pub async fn update_account_tokens(
        &self,
        stored: &StoredAccount,
        previous_sealed_token: &[u8],
    ) -> Result<bool, Error> {
        let sql = "update account set sealed_token = $3, sealed_token_secret = $4
             where app = $1 and user_id = $2 and sealed_token = $5";
        let row = [&*stored.account.app, &stored.account.user_id.to_string()];
        let seals = [&*stored.sealed_token, &stored.sealed_token_secret, previous_sealed_token];
        self.reseal(sql, &row, &seals).await
    }

    /// Claims one account not checked with X since `before`, or `before_blocked` if it is blocked, and records that it
    /// is checked `now`: only one caller gets it. An account never checked counts as checked when it connected.
    pub async fn claim_unchecked_account(
        &self,
        now: OffsetDateTime,
        before: OffsetDateTime,
        before_blocked: OffsetDateTime,
    ) -> Result<Option<StoredAccount>, Error> {
        // Two queries, so that each can use an index.
        let find = [
            (
                "select app, user_id from account where coalesce(checked_at, connected_at) < $1
                     order by coalesce(checked_at, connected_at) limit 1",
                before,
            ),
            (
                "select app, user_id from account
                     where state = 'blocked' and coalesce(checked_at, connected_at) < $1
                     order by coalesce(checked_at, connected_at) limit 1",
                before_blocked,
            ),
        ];
        let claim = concat!(
            "update account set checked_at = $3
             where app = $1 and user_id = $2 and coalesce(checked_at, connected_at)
                 < case state when 'blocked' then $5 else $4 end
             returning ",
            sealed_account_columns!()
        );
        let mut found: Option<(String, String)> = None;
        for (sql, before) in find {
            if found.is_none() {
                let query = self.query(sql).bind(whole_seconds(before));
                found = self.fetch_optional(query).await?;
            }
        }
        let Some((app, user_id)) = found else { return Ok(None) };
        let query = self
            .query(claim)
            .bind(app)
            .bind(user_id)
            .bind(whole_seconds(now))
            .bind(whole_seconds(before))
            .bind(whole_seconds(before_blocked));
        self.write(|| async {
            let mut work = self.begin().await?;
            let row: Option<SealedRow> = work.fetch_optional(query.clone()).await?;
            Ok((work, row.map(StoredAccount::try_from).transpose()?))
        })
        .await
    }

    /// False when there is no such account. Audited as `account.removed`.
    pub async fn remove_account(
        &self,
        app: &str,
        user_id: UserId,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<bool, Error> {
        let sql = "delete from account where app = $1 and user_id = $2 returning screen_name";
        self.write(|| async {
            let mut work = self.begin().await?;
            let query = work.query(sql).bind(app).bind(user_id.to_string());
            let row: Option<(String,)> = work.fetch_optional(query).await?;
            let Some((name,)) = row else { return Ok((work, false)) };
            let (subject, detail) = (subject(app, user_id), format!("@{name}"));
            let line =
                Line { actor, action: "account.removed", subject: &subject, detail: &detail };
            audit::record(&mut work, &line, now).await?;
            let (event, reason) = (Event::Removed, "the account was removed here");
            let about = Subject::Account { user_id, screen_name: name };
            let event = NewEvent { event, app, subject: about, reason };
            self.insert_event(&mut work, event, now).await?;
            changes::record(&mut work, &[changed(app, user_id)], now).await?;
            Ok((work, true))
        })
        .await
    }

    async fn find_sealed(
        &self,
        sql: &'static str,
        app: &str,
        name: &str,
    ) -> Result<Option<StoredAccount>, Error> {
        let query = self.query(sql).bind(app).bind(name);
        let row: Option<SealedRow> = self.fetch_optional_for_call(query).await?;
        row.map(StoredAccount::try_from).transpose()
    }
}

pub fn subject(app: &str, user_id: UserId) -> String {
    format!("account:{app}/{user_id}")
}

pub(super) fn changed(app: &str, user_id: UserId) -> Change {
    Change::Accounts { app: app.to_owned(), user_ids: vec![user_id] }
}

/// No app's name is empty, so the empty pair comes before all.
fn position(after: Option<&(String, UserId)>) -> (&str, String) {
    after.map_or(("", String::new()), |(app, id)| (app, id.to_string()))
}

impl TryFrom<SealedRow> for StoredAccount {
    type Error = Error;

    fn try_from(row: SealedRow) -> Result<StoredAccount, Error> {
        let SealedRow { account, sealed_token, sealed_token_secret } = row;
        Ok(StoredAccount { account: account.try_into()?, sealed_token, sealed_token_secret })
    }
}
