//! `/admin/v1/audit`.

use axum::Json;
use axum::extract::State;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::server::Host;
use crate::server::admin::{Limit, Query, page};
use crate::server::problem::Problem;
use crate::server::wire::Entry;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Asked {
    before: Option<Before>,
    #[serde(default)]
    limit: Limit,
}

/// The `next` of the page before.
struct Before(i64);

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Before, D::Error> {
        let id = String::deserialize(deserializer)?.parse().map(Before);
        id.map_err(|_| D::Error::custom("must be the next of the page before"))
    }
}

/// Entries, newest first; `next` is the `before` of the next page.
pub(in crate::server) async fn list(
    State(host): State<Host>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let before = asked.before.map(|it| it.0);
    let entries = host.0.gateway.list_audit(before, asked.limit.0).await?;
    Ok(page::<_, Entry, _>("entries", entries, &asked.limit, |it| it.id))
}
