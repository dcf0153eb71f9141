//! A request that arrived, with its whole body.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST};
use bytes::Bytes;

use crate::sandbox::auth::credentials::Credentials;
use crate::sandbox::auth::signature::{Pairs, form_pairs};

const MOST_BODY_BYTES: usize = 8 * 1024 * 1024;

/// A request with its whole body.
pub struct Arrival {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub credentials: Credentials,
    /// The authority by which the client addressed this server.
    authority: String,
}

impl Arrival {
    pub async fn read(request: Request) -> Option<Arrival> {
        let (head, body) = request.into_parts();
        let host = head.headers.get(HOST).and_then(|value| value.to_str().ok());
        let named = head.uri.authority().map(ToString::to_string);
        Some(Arrival {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(ToOwned::to_owned),
            body: to_bytes(body, MOST_BODY_BYTES).await.ok()?,
            credentials: Credentials::read(&head.headers),
            authority: named.or(host.map(ToOwned::to_owned)).unwrap_or_default(),
            headers: head.headers,
        })
    }

    /// The URL that a signature covers: lower case, without a default port or a query (reference 6.2).
    pub fn signed_url(&self, scheme: &str) -> String {
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = self.authority.to_ascii_lowercase();
        let host = authority.strip_suffix(port).unwrap_or(&authority);
        format!("{scheme}://{host}{}", self.path)
    }

    /// The body's parameters when it is a form, which a signature covers; any other body gives none.
    pub fn form(&self) -> Pairs {
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        if self.is_of_type("application/x-www-form-urlencoded") {
            form_pairs(text)
        } else {
            Vec::new()
        }
    }

    /// Whether the body is declared to be of that media type, whatever its parameters.
    pub fn is_of_type(&self, media_type: &str) -> bool {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = declared.unwrap_or_default().split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(media_type)
    }
}
