//! The calls that tokens may take in all: reserved by questions, and written down for other replicas every few seconds.

use std::time::Duration;

use crate::admission::ReservedCalls;
use crate::gateway::browser::claims::Token;
use crate::gateway::{Error, Gateway};
use crate::store;

/// The most tokens of all replicas whose calls are read at a time.
const MOST_READ: u32 = 50_000;

impl Gateway {
    /// Reserves the calls of a question, if the token's maker has limited them.
    pub(in crate::gateway) fn reserve_calls(
        &self,
        token: Option<&Token>,
        calls: usize,
    ) -> Result<Option<ReservedCalls>, Error> {
        let Some((token, most)) = token.and_then(|token| Some((token, token.calls?))) else {
            return Ok(None);
        };
        let now = self.now().unix_timestamp();
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        let of_token = (&*token.id, token.ends_at, most);
        match self.0.page_calls.reserve(of_token, calls, now) {
            Some(reserved) => Ok(Some(reserved)),
            // A later token has calls of its own.
            None => Err(Error::BrowserLimited {
                retry_after: Duration::from_secs(
                    u64::try_from(token.ends_at - now).unwrap_or_default().max(1),
                ),
            }),
        }
    }

    /// Writes down the calls since the last time, and learns those of other replicas.
    pub async fn reconcile_page_calls(&self) -> Result<(), store::Error> {
        let (calls, store) = (&self.0.page_calls, &self.0.store);
        let mut unwritten = calls.take_unwritten();
        while let Some(written) = unwritten.last() {
            let added = store.add_token_calls(&written.token, written.ends_at, written.calls);
            if let Err(error) = added.await {
                calls.give_back(&unwritten);
                return Err(error);
            }
            unwritten.pop();
        }
        let now = self.now().unix_timestamp();
        if calls.are_counted(now) {
            for (token, all) in store.list_token_calls(now, MOST_READ).await? {
                calls.learn(&token, u32::try_from(all).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}
