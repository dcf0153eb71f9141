//! `/v1/client.js` and its types: the module with which a page asks questions. It is public, and the same for everybody.

use std::sync::LazyLock;

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::model::key::checksum;
use crate::web::negotiation::{Accepted, gzip};

static CLIENT: LazyLock<Module> = LazyLock::new(|| Module {
    allows_all: true,
    ..Module::new("text/javascript; charset=utf-8", include_str!("client.js"))
});
static TYPES: LazyLock<Module> =
    LazyLock::new(|| Module::new("text/plain; charset=utf-8", include_str!("client.d.ts")));

struct Module {
    kind: &'static str,
    /// Whether pages of any origin may load it: browsers fetch modules by CORS.
    allows_all: bool,
    plain: (Bytes, HeaderValue),
    gzipped: (Bytes, HeaderValue),
}

pub(crate) fn client(headers: &HeaderMap) -> Response {
    CLIENT.answer(headers)
}

pub(crate) fn types(headers: &HeaderMap) -> Response {
    TYPES.answer(headers)
}

impl Module {
    fn new(kind: &'static str, text: &'static str) -> Module {
        let tag = |form: &str| {
            let sum = checksum(text).map(char::from);
            let tag = format!("\"{}-{}{form}\"", env!("CARGO_PKG_VERSION"), String::from_iter(sum));
            HeaderValue::from_str(&tag).expect("a checksum is printable")
        };
        Module {
            kind,
            allows_all: false,
            plain: (Bytes::from_static(text.as_bytes()), tag("")),
            gzipped: (gzip(text.as_bytes()), tag("-gzip")),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let zips = Accepted::of(headers).gzip;
        let (text, tag) = if zips { &self.gzipped } else { &self.plain };
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known
            .flat_map(|value| value.split(','))
            .any(|known| known.trim() == "*" || known.trim().trim_start_matches("W/") == tag);
        let mut response = if is_known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = text.clone().into_response();
            if zips {
                let answered = response.headers_mut();
                answered.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        };
        let answered = response.headers_mut();
        answered.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        answered.insert(ETAG, tag.clone());
        answered.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        answered.insert(VARY, HeaderValue::from_static("accept-encoding"));
        answered.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.allows_all {
            answered.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        response
    }
}
