//! Texts that never change while the process lives, and are compressed once.

use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::web::html;
use crate::web::negotiation::{Accepted, gzip};

/// A text that never changes, plain and compressed.
pub(crate) struct Fixed {
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
}

impl Fixed {
    pub(crate) fn new(kind: &'static str, text: &str) -> Fixed {
        Fixed { kind, plain: text.to_owned().into(), gzipped: gzip(text.as_bytes()) }
    }

    pub(crate) fn answer(&self, request_headers: &HeaderMap) -> Response {
        let zips = Accepted::of(request_headers).gzip;
        let body = if zips { &self.gzipped } else { &self.plain };
        self.answer_body(body.clone(), zips, "public, max-age=300")
    }

    /// The same with one text in the place of another, for this request alone. It is not compressed: whoever asked again
    /// and again would have that done each time.
    pub(crate) fn answer_with(&self, from: &str, to: &str) -> Response {
        let text = String::from_utf8_lossy(&self.plain).replace(from, to);
        self.answer_body(text.into(), false, "no-store")
    }

    fn answer_body(&self, body: Bytes, zips: bool, caching: &'static str) -> Response {
        let mut response = body.into_response();
        let headers = response.headers_mut();
        html::guard(html::POLICY, headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if zips {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}
