//! A request that arrived, with its whole body.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, FORWARDED, HOST};
use axum::http::uri::Authority;
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

    /// The name of the host that the client addressed, in lower case and without a port.
    pub fn host(&self) -> String {
        let parsed = self.authority.parse::<Authority>();
        parsed.map_or_else(|_| String::new(), |authority| authority.host().to_ascii_lowercase())
    }

    /// The schemes by which the client may have come. A proxy in front says it in `X-Forwarded-Proto` or `Forwarded`,
    /// and X's own hosts are served over TLS alone (reference 1.1); otherwise TLS may have ended in front unseen.
    pub fn schemes(&self, tls_in_front: bool) -> &'static [&'static str] {
        let host = self.host();
        let of_x = ["x.com", "twitter.com"].iter().any(|domain| {
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        match self.forwarded_scheme().as_deref() {
            _ if tls_in_front => &["https"],
            Some("https") => &["https"],
            Some("http") => &["http"],
            _ if of_x => &["https"],
            _ => &["https", "http"],
        }
    }

    /// The scheme that the proxy nearest to the client names.
    fn forwarded_scheme(&self) -> Option<String> {
        let value = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let plain = value("x-forwarded-proto").and_then(|list| list.split(',').next());
        let standard = || {
            let hop = value(FORWARDED.as_str())?.split(',').next()?;
            hop.split(';').find_map(|pair| {
                let (name, scheme) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("proto").then_some(scheme)
            })
        };
        plain.or_else(standard).map(|scheme| scheme.trim().trim_matches('"').to_ascii_lowercase())
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
