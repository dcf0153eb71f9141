//! An app's current bearer token, and where it comes from.

use std::sync::Arc;
use std::time::Instant;

use crate::model::{App, AppOnly, Secret};
use crate::upstream::MintError;

/// One generation of an app's bearer token.
pub(in crate::gateway) struct Bearer {
    pub(in crate::gateway) generation: i64,
    pub(in crate::gateway) token: Secret,
}

/// Where an app's app-only credentials come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BearerSource {
    Configured,
    Minted,
    TwoLegged,
}

impl BearerSource {
    pub(in crate::gateway) fn of(app: &App) -> BearerSource {
        match (app.app_only, &app.bearer_token) {
            (AppOnly::TwoLegged, _) => BearerSource::TwoLegged,
            (AppOnly::Bearer, Some(_)) => BearerSource::Configured,
            (AppOnly::Bearer, None) => BearerSource::Minted,
        }
    }
}

#[derive(Default)]
pub(in crate::gateway) struct Minting {
    pub(in crate::gateway) renewed_at: Option<Instant>,
    pub(in crate::gateway) refused_at: Option<Instant>,
    pub(in crate::gateway) failure: Option<Arc<MintError>>,
}
