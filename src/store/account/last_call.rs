//! The last calls made as each account.

use sqlx_macros::FromRow;
use time::OffsetDateTime;

use crate::model::Account;
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

#[derive(FromRow)]
struct Row {
    called_at: OffsetDateTime,
    status: i64,
    code: String,
}

impl Store {
    /// The last calls of each of these accounts, in their order.
    pub async fn list_last_calls(&self, accounts: &[Account]) -> Result<Vec<LastCalls>, Error> {
        let last = "select called_at, status, code from call where user_id = $1 and app = $2
             order by call_id desc limit 1";
        let failed = "select called_at, status, code from call where user_id = $1 and app = $2
                 and (status = 0 or status >= 400)
             order by call_id desc limit 1";
        self.long(async {
            let mut lease = self.reader(self.wait).await?;
            let mut found = Vec::with_capacity(accounts.len());
            for account in accounts {
                let mut rows = Vec::with_capacity(2);
                for sql in [last, failed] {
                    let query = lease.query(sql);
                    let query = query.bind(account.user_id.to_string()).bind(&account.app);
                    rows.push(lease.fetch_optional::<Row>(query).await?);
                }
                let failed = rows.pop().flatten().map(failure);
                let at = rows.pop().flatten().map(|row| row.called_at);
                found.push(LastCalls { at, failed });
            }
            Ok(found)
        })
        .await
    }
}

fn failure(row: Row) -> Failure {
    Failure {
        at: row.called_at,
        status: u16::try_from(row.status).ok().filter(|status| *status > 0),
        code: Some(row.code).filter(|code| !code.is_empty()),
    }
}
