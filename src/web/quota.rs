//! The quotas that X reported last. X's clients pace themselves by these headers, and some take an answer without them
//! to mean that the quota is spent.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::http::{HeaderMap, HeaderValue};

use crate::gateway::QUOTA_HEADERS;
use crate::model::{AuthKind, Endpoint};

/// Quotas by app, endpoint and kind of credentials; read and written without a lock.
#[derive(Default)]
pub(crate) struct Quotas(ArcSwap<HashMap<String, Arc<OfApp>>>);

type OfApp = [[ArcSwapOption<QuotaHeaders>; 2]; 3];

/// The quota headers of an answer of X's.
struct QuotaHeaders([[Option<HeaderValue>; 3]; 3]);

impl Quotas {
    pub(crate) fn remember(
        &self,
        app: &str,
        endpoint: Endpoint,
        auth: AuthKind,
        headers: &HeaderMap,
    ) {
        let reported = QUOTA_HEADERS
            .each_ref()
            .map(|names| names.each_ref().map(|name| headers.get(name).cloned()));
        if reported.iter().flatten().all(Option::is_none) {
            return;
        }
        let of_app = self.0.load().get(app).cloned().unwrap_or_else(|| self.add(app));
        let [by_app, by_user] = of_endpoint(&of_app, endpoint);
        let place = if auth == AuthKind::AppOnly { by_app } else { by_user };
        place.store(Some(Arc::new(QuotaHeaders(reported))));
    }

    /// Adds the known quotas to an answer of the gateway's own; before credentials are chosen, those of either kind.
    pub(crate) fn repeat(
        &self,
        app: &str,
        endpoint: Endpoint,
        auth: Option<AuthKind>,
        now: i64,
        headers: &mut HeaderMap,
    ) {
        let apps = self.0.load();
        let Some(of_app) = apps.get(app) else { return };
        let [by_app, by_user] =
            of_endpoint(of_app, endpoint).each_ref().map(ArcSwapOption::load_full);
        let quota = match auth {
            Some(AuthKind::AppOnly) => by_app,
            Some(AuthKind::UserContext) => by_user,
            None => by_user.or(by_app),
        };
        if let Some(quota) = quota {
            quota.insert(now, headers);
        }
    }

    fn add(&self, app: &str) -> Arc<OfApp> {
        self.0.rcu(|apps| {
            let mut apps = HashMap::clone(apps);
            apps.entry(app.to_owned()).or_default();
            apps
        });
        self.0.load().get(app).cloned().unwrap_or_default()
    }
}

impl QuotaHeaders {
    fn insert(&self, now: i64, headers: &mut HeaderMap) {
        for (names, [limit, remaining, reset]) in QUOTA_HEADERS.iter().zip(&self.0) {
            // After the reset, the whole quota is available again.
            let remaining = if is_over(reset.as_ref(), now) { limit } else { remaining };
            for (name, value) in names.iter().zip([limit, remaining, reset]) {
                if let Some(value) = value {
                    headers.insert(name, value.clone());
                }
            }
        }
    }
}

fn of_endpoint(of_app: &OfApp, endpoint: Endpoint) -> &[ArcSwapOption<QuotaHeaders>; 2] {
    let [totals, hours, historical] = of_app;
    match endpoint {
        Endpoint::Totals => totals,
        Endpoint::TwentyEightHours => hours,
        Endpoint::Historical => historical,
    }
}

fn is_over(reset: Option<&HeaderValue>, now: i64) -> bool {
    let reset = reset.and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
    reset.is_some_and(|reset| reset <= now)
}
