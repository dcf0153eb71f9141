//! The clients that send events to their receivers.

use std::sync::OnceLock;
use std::time::Duration;

use crate::config::{self, Hosts};
use crate::upstream::error::SetupError;
use crate::upstream::tls;

const CONNECT: Duration = Duration::from_secs(5);

/// The specification's advice: long enough for a slow receiver, short enough to retry.
pub const TOTAL: Duration = Duration::from_secs(15);

/// The clients for receivers, created on first use.
pub(super) struct Receivers {
    pub(super) allow_http: bool,
    pub(super) allowed: Hosts,
    pub(super) secure: OnceLock<reqwest::Client>,
    pub(super) plain: OnceLock<reqwest::Client>,
}

impl Receivers {
    pub(super) fn new(settings: &config::Webhooks) -> Receivers {
        Receivers {
            allow_http: settings.allow_http,
            allowed: settings.receivers.clone(),
            secure: OnceLock::new(),
            plain: OnceLock::new(),
        }
    }

    pub(super) fn allow(&self, url: &reqwest::Url) -> bool {
        self.allowed.is_empty() || url.host_str().is_some_and(|host| self.allowed.has(host))
    }

    pub(super) fn client(&self, url: &str) -> Result<&reqwest::Client, SetupError> {
        let is_secure = url.starts_with("https:");
        let slot = if is_secure { &self.secure } else { &self.plain };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::tls(is_secure)?)
            .https_only(is_secure)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SetupError::Tls(Box::new(error)))?;
        Ok(slot.get_or_init(|| client))
    }
}
