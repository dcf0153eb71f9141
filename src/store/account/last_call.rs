//! The last calls made as each account.

use std::collections::{BTreeSet, HashMap};

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::Account;
use crate::store::database::dialect::Lease;
use crate::store::database::query::{Query, tuples};
use crate::store::{Error, Store};

/// An account's newest calls, as far as calls are kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LastCalls {
    pub at: Option<OffsetDateTime>,
    pub failed: Option<Failure>,
}

/// How a failed call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub at: OffsetDateTime,
    pub status: Option<u16>,
    /// The code of the gateway's own error.
    pub code: Option<String>,
}

/// The newest calls of an account, by id.
#[derive(FromRow)]
struct Newest {
    app: String,
    user_id: String,
    last_id: Option<i64>,
    failed_id: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    call_id: i64,
    called_at: OffsetDateTime,
    status: i64,
    code: String,
}

impl Store {
    /// The last calls of each of these accounts, in their order, by two statements however many they are; at most 1000.
    pub async fn list_last_calls(&self, accounts: &[Account]) -> Result<Vec<LastCalls>, Error> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|| async {
            let mut lease = self.reader(self.wait).await?;
            let query = accounts.iter().fold(newest(&lease, accounts.len()), |query, account| {
                query.bind(&account.app).bind(account.user_id.to_string())
            });
            let newest: Vec<Newest> = lease.fetch_all(query).await?;
            let ids: BTreeSet<i64> =
                newest.iter().flat_map(|of| [of.last_id, of.failed_id]).flatten().collect();
            let mut calls: HashMap<i64, Row> = HashMap::new();
            if !ids.is_empty() {
                let sql = format!(
                    "select call_id, called_at, status, code from call where call_id in {}",
                    tuples(1, ids.len(), 1)
                );
                let query = ids.into_iter().fold(lease.query_of_many(sql), Query::bind);
                let rows: Vec<Row> = lease.fetch_all(query).await?;
                calls.extend(rows.into_iter().map(|row| (row.call_id, row)));
            }
            let of_account: HashMap<(&str, &str), LastCalls> = newest
                .iter()
                .map(|of| {
                    let row = |id: Option<i64>| id.and_then(|id| calls.get(&id));
                    let at = row(of.last_id).map(|row| row.called_at);
                    let failed = row(of.failed_id).map(failure);
                    ((&*of.app, &*of.user_id), LastCalls { at, failed })
                })
                .collect();
            let last = |account: &Account| {
                let user_id = account.user_id.to_string();
                of_account.get(&(&*account.app, &*user_id)).cloned().unwrap_or_default()
            };
            Ok(accounts.iter().map(last).collect())
        })
        .await
    }
}

/// Finds the newest calls of `count` accounts; each takes an app and a user id.
fn newest(lease: &Lease, count: usize) -> Query {
    lease.query_of_many(format!(
        "with named (app, user_id) as (values {})
         select app, user_id,
             (select call_id from call where call.user_id = named.user_id and call.app = named.app
              order by call_id desc limit 1) as last_id,
             (select call_id from call where call.user_id = named.user_id and call.app = named.app
                  and (cause <> '' or status = 0 or status >= 400)
              order by call_id desc limit 1) as failed_id
         from named",
        tuples(1, 2, count)
    ))
}

fn failure(row: &Row) -> Failure {
    Failure {
        at: row.called_at,
        status: u16::try_from(row.status).ok().filter(|status| *status > 0),
        code: Some(row.code.clone()).filter(|code| !code.is_empty()),
    }
}
