//! What holders of a caller's key may see of it: the accounts that it may name, and its usage. Such requests count
//! against the key's limits and hold memory as others do, and share a few of the database's connections, in turn among
//! keys, so that they keep no call waiting.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::timeout_at;

use crate::admission::{Handled, Held, Turn};
use crate::gateway::key::KnownKey;
use crate::gateway::question::prepare::Deadline;
use crate::gateway::usage::report::{KEPT, UsageGap};
use crate::gateway::{Error, Gateway};
use crate::model::Account;
use crate::store::{AppAccountFilter, UsageFilter, UsageRow};

/// The most bytes that an account takes until it is sent: its row, its JSON as a tree, and as text.
const BYTES_OF_ACCOUNT: usize = 2048;
/// The same for a sum of usage.
const BYTES_OF_SUM: usize = 1024;

/// A request about the key that it was sent with, which counts against the key's limits until this is dropped.
pub struct OwnRequest {
    pub key: Arc<KnownKey>,
    deadline: Deadline,
    held: Held,
    _handled: Option<Handled>,
}

/// Sums of one key, and the calls that are missing from everybody's.
pub struct OwnUsage {
    pub rows: Vec<UsageRow>,
    pub gaps: Vec<UsageGap>,
}

impl OwnRequest {
    /// The answer, which holds its memory until it is sent.
    pub fn answer(mut self, text: Vec<u8>) -> Bytes {
        self.held.shrink_to(text.len());
        self.held.attach(text.into())
    }
}

impl Gateway {
    /// Begins a request; an error if the key may make none now.
    pub async fn begin_own_request(&self, key: Arc<KnownKey>) -> Result<OwnRequest, Error> {
        let deadline = Deadline::within(self.0.limits.request_deadline);
        let (handled, held) = self.begin_call(&key, 0, deadline).await?;
        Ok(OwnRequest { key, deadline, held, _handled: handled })
    }

    /// One page of the accounts that the key may name, by user id as text.
    pub async fn list_own_accounts(
        &self,
        request: &mut OwnRequest,
        filter: AppAccountFilter,
    ) -> Result<Vec<Account>, Error> {
        let _turn = self.own_turn(request, filter.limit, BYTES_OF_ACCOUNT).await?;
        let app = &self.app_of_key(&request.key)?.name;
        let users = request.key.key.scopes.accounts.as_deref();
        Ok(self.0.store.list_accounts_of_app(app, users, filter).await?)
    }

    /// The key's own sums, whatever key the filter names. What processes have not written yet is missing: a caller
    /// causes no writes by asking.
    pub async fn get_own_usage(
        &self,
        request: &mut OwnRequest,
        filter: &UsageFilter,
    ) -> Result<OwnUsage, Error> {
        let _turn = self.own_turn(request, filter.limit, BYTES_OF_SUM).await?;
        let filter = UsageFilter { key_id: Some(request.key.key.id.clone()), ..filter.clone() };
        Ok(OwnUsage {
            rows: self.0.store.list_usage(&filter).await?,
            gaps: self.list_usage_gaps(self.now() - KEPT).await?,
        })
    }

    /// Waits for a turn to read so many rows, and then for their memory: whoever waits for a turn holds none.
    async fn own_turn(
        &self,
        request: &mut OwnRequest,
        rows: u32,
        bytes_of_row: usize,
    ) -> Result<Turn, Error> {
        let end = request.deadline.end;
        let turn = self.0.own_turns.take(&request.key.turn, 1);
        let turn = timeout_at(end, turn).await.map_err(|_| {
            Error::Busy("other requests about keys use all the connections for them".to_owned())
        })?;
        self.grow_memory(&mut request.held, rows as usize * bytes_of_row, end).await?;
        Ok(turn)
    }
}
