//! What the routes share on which callers ask about their own keys.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::callers::engagement::JSON;
use crate::gateway::OwnRequest;
use crate::model::key::Kind;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::presented_key::check_key;
use crate::web::problem::Problem;

/// The key is checked, and the request counted, before anything else of it is looked at: name this argument first.
impl FromRequestParts<Host> for OwnRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, host: &Host) -> Result<OwnRequest, Problem> {
        let from = Client::of(&parts.extensions);
        let key = check_key(host.gateway(), &parts.headers, Kind::Caller, from).await?;
        Ok(host.gateway().begin_own_request(key).await?)
    }
}

pub(crate) fn json(request: OwnRequest, answer: &impl Serialize) -> Response {
    let text = serde_json::to_vec(answer).expect("the members of an answer have names");
    answer_with(request, JSON, text)
}

/// An answer for this key's holder alone, which no cache may keep.
pub(crate) fn answer_with(request: OwnRequest, media: &'static str, text: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from(request.answer(text))).into_response()
}
