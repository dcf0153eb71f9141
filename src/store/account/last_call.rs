//! The last calls made as each account.

use time::OffsetDateTime;

use crate::model::Account;
use crate::store::database::dialect::on;
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

type Row = (OffsetDateTime, i64, String);

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
                    let row: Option<Row> = on!(&mut lease, it => sqlx::query_as(sql)
                        .bind(account.user_id.to_string())
                        .bind(&account.app)
                        .fetch_optional(&mut **it)
                        .await?);
                    rows.push(row);
                }
                let failed = rows.pop().flatten().map(failure);
                let at = rows.pop().flatten().map(|it| it.0);
                found.push(LastCalls { at, failed });
            }
            Ok(found)
        })
        .await
    }
}

fn failure((at, status, code): Row) -> Failure {
    let status = u16::try_from(status).ok().filter(|it| *it > 0);
    Failure { at, status, code: Some(code).filter(|it| !it.is_empty()) }
}
