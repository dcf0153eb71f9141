//! Watching what needs attention: for the metrics, and to notify webhooks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::gateway::attention::item::Attention;
use crate::gateway::{Error, Gateway};
use crate::store::Trouble;

const BETWEEN_CHECKS: Duration = Duration::from_secs(5);

/// What tells items apart: cause and app.
type Name = (&'static str, String);

impl Gateway {
    /// Sets the metrics of what needs attention and notifies webhooks of it, every few seconds until every other clone of
    /// this gateway is dropped. Call it once.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::downgrade(&self.0);
        async move {
            let mut tick = tokio::time::interval(BETWEEN_CHECKS);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut known = BTreeSet::new();
            loop {
                tick.tick().await;
                let Some(inner) = inner.upgrade() else { return };
                let gateway = Gateway(inner, None);
                if let Ok(items) = gateway.list_attention_in(false).await {
                    known = measure(&items, &known);
                    if let Err(error) = gateway.notify_webhooks(&items).await {
                        debug!(
                            error = &error as &dyn std::error::Error,
                            "webhooks were not notified"
                        );
                    }
                }
            }
        }
    }

    /// Notifies webhooks of what began to need attention, or no longer does.
    pub async fn notify_webhooks(&self, items: &[Attention]) -> Result<(), Error> {
        let figures = |item: &Attention| {
            item.figures.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let mut troubles: Vec<Trouble> = Vec::new();
        for item in items {
            let app = item.app.clone().unwrap_or_default();
            // Anybody can make up keys.
            if item.cause == "refused_key" && item.keys.is_empty() {
                continue;
            }
            // Several webhooks may fail at a time.
            if troubles.iter().any(|other| other.cause == item.cause && other.app == app) {
                continue;
            }
            let (cause, text) = (item.cause.to_owned(), item.text.clone());
            troubles.push(Trouble { cause, app, text, figures: figures(item) });
        }
        // In the same order in every replica, so that none waits for another in a circle.
        troubles.sort_by(|one, other| (&one.cause, &one.app).cmp(&(&other.cause, &other.app)));
        if self.0.store.notify_of(&troubles, self.now()).await? > 0 {
            self.0.events.notify_one();
        }
        Ok(())
    }
}

/// Sets the metrics of these items, and resets those of the ones that are gone.
fn measure(items: &[Attention], known: &BTreeSet<Name>) -> BTreeSet<Name> {
    let name = |item: &Attention| (item.cause, item.app.clone().unwrap_or_default());
    let now: BTreeSet<Name> = items.iter().map(name).collect();
    for (cause, app) in known.union(&now) {
        let is_present = now.contains(&(*cause, app.clone()));
        let gauge =
            metrics::gauge!("countersign_attention", "cause" => *cause, "app" => app.clone());
        gauge.set(if is_present { 1.0 } else { 0.0 });
    }
    now
}
