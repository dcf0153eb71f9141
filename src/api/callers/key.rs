//! `/v1/key`: callers look up what their key may do, how much, and until when.

use axum::response::Response;

use crate::api::callers::own::json;
use crate::gateway::OwnRequest;
use crate::wire::KeyTerms;

/// The key that the request was sent with.
pub(crate) async fn show(request: OwnRequest) -> Response {
    let terms = KeyTerms::from(request.key.key.clone());
    json(request, &terms)
}
