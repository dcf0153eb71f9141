//! Storing accounts with their tokens: one, or many in one transaction.

use std::time::Duration;

use time::OffsetDateTime;

use crate::model::UserId;
use crate::store::account::row::{account_columns, sealed_account_columns};
use crate::store::account::{NewAccount, subject};
use crate::store::audit;
use crate::store::database::changes::{self, Change};
use crate::store::database::dialect::{On, Work};
use crate::store::database::query::{MOST_ITEMS, Query, tuples};
use crate::store::webhook::event::{Import, NewEvent};
use crate::store::{Error, Store, whole_seconds};

/// The time that importing one account may take, on top of what any change may take.
const IMPORT_EACH: Duration = Duration::from_millis(20);
const REASON: &str = "the tokens were imported";

/// What webhooks are told of accounts that are imported.
#[derive(Clone, Copy, Debug)]
pub enum PartEvents<'a> {
    /// One event for each account.
    Each,
    /// One for all parts of an import, held back for a while unless this is the last one.
    Summary {
        /// The events of the parts before.
        held: &'a [i64],
        is_last: bool,
    },
}

impl Store {
    /// Connects accounts or replaces their tokens: all of them or none. They become active. Returns the summary events
    /// that were written, if any.
    pub async fn put_accounts(
        &self,
        accounts: &[NewAccount],
        events: PartEvents<'_>,
        actor: &str,
        now: OffsetDateTime,
    ) -> Result<Vec<i64>, Error> {
        // In a fixed order, so that two concurrent imports wait for each other instead of deadlocking.
        let mut accounts: Vec<&NewAccount> = accounts.iter().collect();
        accounts.sort_by_key(|account| (&account.app, account.user_id));
        let count = u32::try_from(accounts.len()).unwrap_or(u32::MAX);
        self.write_within(self.patience + IMPORT_EACH * count, || async {
            let mut work = self.begin().await?;
            let (mut written, mut changed) = (Vec::new(), Vec::new());
            for of_app in accounts.chunk_by(|one, next| one.app == next.app) {
                let Some(first) = of_app.first() else { continue };
                let replaced = count_stored(&mut work, of_app).await?;
                put(&mut work, of_app, now).await?;
                audit_all(&mut work, of_app, actor, now).await?;
                match events {
                    PartEvents::Each => {
                        let events: Vec<NewEvent<'_>> =
                            of_app.iter().map(|new| NewEvent::of_token(new, REASON)).collect();
                        self.insert_events(&mut work, &events, now).await?;
                    }
                    PartEvents::Summary { held, is_last } => {
                        let added = (of_app.len() as u64).saturating_sub(replaced);
                        let part = Import { app: &first.app, added, replaced, reason: REASON };
                        let so_far = self.add_to_summary(&mut work, &part, held, is_last, now);
                        written.extend(so_far.await?);
                    }
                }
                changed.push(of(of_app));
            }
            // Last, since every other change waits for it.
            changes::record(&mut work, &changed, now).await?;
            Ok((work, written))
        })
        .await
    }

    /// Lets other programs write between two parts of an import: those that wait for SQLite's lock look for it only
    /// every so often, at most 100 ms apart. PostgreSQL lets them in by itself.
    pub async fn give_way(&self) {
        if matches!(self.pools, On::Sqlite(_)) {
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    }
}

/// Stores accounts, or replaces the tokens of those that are there.
pub(in crate::store) async fn put(
    work: &mut Work,
    accounts: &[&NewAccount],
    now: OffsetDateTime,
) -> Result<(), Error> {
    let now = whole_seconds(now);
    for accounts in accounts.chunks(MOST_ITEMS) {
        let sql = format!(
            concat!(
                "insert into account (",
                sealed_account_columns!(),
                ") values {}
                 on conflict (app, user_id) do update set
                     screen_name = excluded.screen_name,
                     state_since = case when account.state = 'active'
                         then account.state_since else excluded.state_since end,
                     state = excluded.state,
                     sealed_token = excluded.sealed_token,
                     sealed_token_secret = excluded.sealed_token_secret"
            ),
            tuples(1, 8, accounts.len())
        );
        let mut query = work.query_of_many(sql);
        for account in accounts {
            query = query
                .bind(&account.app)
                .bind(account.user_id.to_string())
                .bind(&account.screen_name)
                .bind("active")
                .bind(now)
                .bind(now)
                .bind(&account.sealed_token)
                .bind(&account.sealed_token_secret);
        }
        work.execute(query).await?;
    }
    Ok(())
}

/// How many of an app's accounts are stored already.
async fn count_stored(work: &mut Work, accounts: &[&NewAccount]) -> Result<u64, Error> {
    let mut stored = 0;
    for accounts in accounts.chunks(MOST_ITEMS) {
        let wanted = tuples(2, 1, accounts.len());
        let sql =
            format!("select count(*) from account where app = $1 and (user_id) in ({wanted})");
        let query = work.query_of_many(sql).bind(accounts.first().map(|account| &*account.app));
        let ids = accounts.iter().map(|account| account.user_id.to_string());
        let (count,): (i64,) = work.fetch_one(ids.fold(query, Query::bind)).await?;
        stored += u64::try_from(count).unwrap_or_default();
    }
    Ok(stored)
}

async fn audit_all(
    work: &mut Work,
    accounts: &[&NewAccount],
    actor: &str,
    now: OffsetDateTime,
) -> Result<(), Error> {
    for accounts in accounts.chunks(MOST_ITEMS) {
        let about = |account: &&NewAccount| {
            (subject(&account.app, account.user_id), format!("@{}", account.screen_name))
        };
        let entries: Vec<(String, String)> = accounts.iter().map(about).collect();
        audit::record_many(work, actor, "account.imported", &entries, now).await?;
    }
    Ok(())
}

fn of(accounts: &[&NewAccount]) -> Change {
    let app = accounts.first().map(|account| account.app.clone()).unwrap_or_default();
    let user_ids: Vec<UserId> = accounts.iter().map(|account| account.user_id).collect();
    Change::Accounts { app, user_ids }
}
