//! Reading what a form of ours sends.

use axum::extract::Request;
use serde::de::DeserializeOwned;

use crate::gateway::Problem as Detail;
use crate::server::Host;
use crate::server::body;
use crate::server::problem::Problem;

const MOST_BYTES: usize = 256 * 1024;

/// The form's fields. Unknown ones are refused where the type says so.
pub(super) async fn read<T: DeserializeOwned>(host: &Host, request: Request) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let types = ["application/x-www-form-urlencoded"];
    body::require_type(&parts.headers, &types, "send the form as the page does")?;
    let body = body::read(&parts.headers, body, MOST_BYTES, &host.0.limits).await?;
    serde_urlencoded::from_bytes(&body)
        .map_err(|error| Problem::invalid(vec![Detail::at("", error.to_string())]))
}
