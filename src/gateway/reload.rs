//! Reloading settings: secrets are replaced while calls go on, the rest waits for a restart.

use std::sync::atomic::Ordering;

use tracing::{info, warn};

use crate::config::Config;
use crate::gateway::{Error, Gateway, RingFault};
use crate::model::App;

impl Gateway {
    /// Applies the vault's ring, if it fits what is stored, and each app's consumer key, secret and configured bearer
    /// token.
    pub async fn reload(&self, config: &Config) -> Result<Result<(), RingFault>, Error> {
        for new in config.apps.values() {
            if self.0.apps.get(&new.name).is_some_and(|app| app.replace_secrets(new)) {
                info!(app = new.name, "the app's credentials were reloaded");
            }
        }
        let applied = self.replace_ring(&config.vault).await;
        self.set_outdated(!matches!(applied, Ok(Ok(_))));
        Ok(applied?.map(drop))
    }

    /// Logs which apps a restart would add or remove.
    pub fn compare_apps(&self, config: &Config) {
        let is_new = |app: &&App| !self.0.apps.contains_key(&app.name);
        for app in config.apps.values().filter(is_new) {
            warn!(app = app.name, "an app was added to the settings; restart to use it");
        }
        for app in self.0.apps.keys().filter(|app| !config.apps.contains_key(*app)) {
            warn!(app, "an app was removed from the settings; it is served until a restart");
        }
    }

    /// Records whether the settings on disk are in force.
    pub fn set_outdated(&self, is_outdated: bool) {
        self.0.is_outdated.store(is_outdated, Ordering::Relaxed);
        let outcome = if is_outdated { "refused" } else { "taken" };
        metrics::counter!("countersign_reloads_total", "outcome" => outcome).increment(1);
    }
}
