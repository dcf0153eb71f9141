//! What needs attention now: each thing with its cause, the app or key that it is about, figures, and what to do.

mod item;
mod of_calls;
mod of_state;
mod watch;

pub use crate::gateway::attention::item::{Attention, FailedAccount, FailedKey};

use crate::gateway::attention::of_state::{
    of_accounts, of_gaps, of_health, of_limit, of_quota, of_refusal, of_webhook,
};
use crate::gateway::usage::overview::{NEWS, is_behind};
use crate::gateway::{Error, Gateway};

impl Gateway {
    /// Everything that needs attention, the worst first; empty only where nothing does. While the database is
    /// unavailable, this is what is known without it.
    pub async fn list_attention(&self) -> Result<Vec<Attention>, Error> {
        let mut items = self.list_attention_in(true).await?;
        if !self.is_database_away() {
            self.name_keys(&mut items).await;
        }
        Ok(items)
    }

    /// The same, only `in_detail` with whose calls fail.
    async fn list_attention_in(&self, in_detail: bool) -> Result<Vec<Attention>, Error> {
        let mut items: Vec<Attention> = self.health().degraded.iter().map(of_health).collect();
        if !self.is_database_away() {
            let now = self.now();
            for item in self.list_failing_calls(in_detail).await? {
                item.join(&mut items);
            }
            items.extend(self.0.store.list_unusable_accounts().await?.iter().map(of_accounts));
            let webhooks = self.list_webhooks().await?;
            let behind = webhooks.iter().filter(|(_, backlog)| is_behind(backlog, now));
            items.extend(behind.map(|(webhook, backlog)| of_webhook(webhook, backlog)));
            let gaps = self.list_usage_gaps(now - NEWS).await?;
            items.extend(of_gaps(&gaps));
        }
        items.extend(self.list_accounts_used().iter().filter_map(of_limit));
        let quotas = self.list_quota_uses();
        items.extend(quotas.iter().filter(|quota| quota.free_at.is_some()).map(of_quota));
        items.extend(self.0.refusals.list_in_use(self.now()).iter().map(of_refusal));
        Ok(items)
    }

    /// Adds the names of keys; those that are gone have none.
    async fn name_keys(&self, items: &mut [Attention]) {
        let ids = items.iter().flat_map(|item| item.keys.iter().map(|key| key.id.clone()));
        let ids: Vec<String> = ids.collect();
        let names = self.list_key_names(ids.iter().map(String::as_str)).await;
        for key in items.iter_mut().flat_map(|item| &mut item.keys) {
            key.name = names.get(&key.id).cloned();
        }
    }
}
