//! The calls that pages' questions take: limited by their tokens, counted by whose these are, and written down for other
//! replicas every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::admission::{LimitedToken, NoCalls, PageLimit, ReservedCalls, WrittenCalls};
use crate::gateway::browser::claims::Token;
use crate::gateway::{Detail, Error, Gateway};
use crate::store::{self, TokenCalls};

/// How long whoever finds no room has to wait.
const UNTIL_OTHERS_END: Duration = Duration::from_mins(1);

/// Calls to X that were made for a question so far.
#[derive(Clone, Default)]
pub struct MadeCalls(Arc<Made>);

#[derive(Default)]
struct Made {
    calls: AtomicU32,
    /// Whether one of them is among the recent calls; look-ups are not.
    is_listed: AtomicBool,
}

/// What a page's question takes. It counts when this is dropped, however the question ends; of one that is given up
/// half-way, all that it had reserved.
pub(in crate::gateway) struct Spending {
    gateway: Gateway,
    token: Arc<Token>,
    made: MadeCalls,
    /// Of a token whose maker has limited its calls.
    reserved: Option<ReservedCalls>,
    /// Whether it came so far as to need calls, or an answer that was kept.
    has_begun: bool,
    has_ended: bool,
}

impl MadeCalls {
    pub(in crate::gateway) fn add(&self, calls: u32) {
        self.0.calls.fetch_add(calls, Ordering::Relaxed);
    }

    pub(in crate::gateway) fn note_listed(&self) {
        self.0.is_listed.store(true, Ordering::Relaxed);
    }

    pub(in crate::gateway) fn is_listed(&self) -> bool {
        self.0.is_listed.load(Ordering::Relaxed)
    }

    fn sum(&self) -> u32 {
        self.0.calls.load(Ordering::Relaxed)
    }
}

impl Spending {
    /// Reserves the calls that are to be made beside those that were made. A question that has to repeat some may make
    /// more; they count, too.
    pub(in crate::gateway) fn need(&mut self, calls: usize) -> Result<(), Error> {
        let now = self.gateway.now().unix_timestamp();
        let needed = u32::try_from(calls).unwrap_or(u32::MAX).saturating_add(self.made.sum());
        if let Some(reserved) = &mut self.reserved {
            reserved.grow_to(needed, now).map_err(|why| match why {
                NoCalls::TooMany => Error::Beyond(vec![Detail::at("", format!(
                    "takes {needed} calls to X, more than this token may take in all; ask for fewer posts or less time"
                ))]),
                // A later token has calls of its own.
                NoCalls::UsedUp => {
                    let left = u64::try_from(self.token.ends_at - now).unwrap_or_default();
                    PageLimit::Calls.after(Duration::from_secs(left.max(1))).into()
                }
                NoCalls::Full => PageLimit::Room.after(UNTIL_OTHERS_END).into(),
            })?;
        }
        self.has_begun = true;
        Ok(())
    }

    /// The question has ended, and makes no further calls.
    pub(in crate::gateway) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let mut made = self.made.sum();
        if let Some(reserved) = self.reserved.take() {
            if !self.has_ended {
                made = made.max(reserved.reserved());
            }
            reserved.settle(made);
        }
        if self.has_begun {
            self.gateway.count_page_question(&self.token, made);
        }
    }
}

impl Gateway {
    /// Begins to count the calls of a page's question, which are added to `made`.
    pub(in crate::gateway) async fn begin_spending(
        &self,
        token: &Arc<Token>,
        made: &MadeCalls,
    ) -> Spending {
        let mut known = 0;
        if token.calls.is_some() && !self.0.page_calls.has(&token.id) {
            // Another replica may know it, or this one did before it began anew. Without the database, each replica
            // counts for itself.
            let listed = self.0.store.list_token_calls(&[token.id.as_str().into()]).await;
            known = listed.unwrap_or_default().first().map_or(0, |(_, calls)| in_u32(*calls));
        }
        let limited = |most| LimitedToken {
            id: token.id.as_str().into(),
            key_id: token.key_id.as_str().into(),
            ends_at: self.refused_from(token),
            most,
            known,
        };
        Spending {
            gateway: self.clone(),
            token: Arc::clone(token),
            made: made.clone(),
            reserved: token.calls.map(|most| self.0.page_calls.begin(limited(most))),
            has_begun: false,
            has_ended: false,
        }
    }

    /// Writes down the calls since the last time, and learns those of other replicas.
    pub async fn reconcile_page_calls(&self) -> Result<(), store::Error> {
        let (calls, store) = (&self.0.page_calls, &self.0.store);
        let _writing = self.0.writing_pages.lock().await;
        loop {
            let unwritten = calls.take_unwritten();
            if unwritten.is_empty() {
                break;
            }
            let rows = unwritten.iter().map(|WrittenCalls { token, ends_at, calls }| TokenCalls {
                token: token.to_string(),
                ends_at: *ends_at,
                calls: i64::from(*calls),
            });
            let mut rows: Vec<TokenCalls> = rows.collect();
            // In one order, so that replicas do not wait for each other in circles.
            rows.sort();
            if let Err(error) = store.add_token_calls(&rows).await {
                calls.give_back(&unwritten);
                return Err(error);
            }
        }
        let counted = calls.counted(self.now().unix_timestamp());
        for (token, all) in store.list_token_calls(&counted).await? {
            calls.learn(&token, in_u32(all));
        }
        Ok(())
    }
}

fn in_u32(calls: i64) -> u32 {
    u32::try_from(calls).unwrap_or(u32::MAX)
}
