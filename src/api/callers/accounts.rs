//! `/v1/accounts`: callers list the accounts that their key may name.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::api::callers::own::json;
use crate::gateway::{AppAccountFilter, Detail, OwnRequest};
use crate::model;
use crate::model::UserId;
use crate::web::extract::{Query, account_state};
use crate::web::host::Host;
use crate::web::paging::{Limit, page};
use crate::web::problem::Problem;
use crate::wire::Account;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    state: Option<String>,
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

/// Accounts by user id; `next` is the `after` of the next page.
pub(crate) async fn list(
    mut request: OwnRequest,
    State(host): State<Host>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wrong =
        || Problem::invalid(vec![Detail::in_query("after must be the next of the page before")]);
    let after = query.after.map(|text| UserId::parse(&text).ok_or_else(wrong)).transpose()?;
    let state = account_state(query.state.as_deref())?;
    let filter = AppAccountFilter { state, after, limit: query.limit.0 };
    let accounts = host.gateway().list_own_accounts(&mut request, filter).await?;
    let place = |account: &model::Account| account.user_id.to_string();
    let listed = page::<_, Account, _>("accounts", accounts, &query.limit, place);
    Ok(json(request, &listed.0))
}
