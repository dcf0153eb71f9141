//! Texts that never change while the process lives, and are compressed once.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

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
        self.answer_body(body.clone().into(), zips, "public, max-age=300")
    }

    /// The same with one text in the place of another, where that comes first, for this request alone. It is not compressed:
    /// whoever asked again and again would have that done each time. The rest is not copied: whoever asks for it on many
    /// connections, and does not read, would hold as many copies.
    pub(crate) fn answer_with(&self, from: &str, to: String) -> Response {
        let at = std::str::from_utf8(&self.plain).ok().and_then(|text| text.find(from));
        let (before, after) =
            at.map_or((self.plain.len(), self.plain.len()), |at| (at, at + from.len()));
        let to = if at.is_some() { Bytes::from(to) } else { Bytes::new() };
        let pieces = [self.plain.slice(..before), to, self.plain.slice(after..)];
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
        let mut response = self.answer_body(body, false, "no-store");
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        response
    }

    fn answer_body(&self, body: Body, zips: bool, caching: &'static str) -> Response {
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
