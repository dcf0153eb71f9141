//! An answer on its way out: compressed if the client accepts gzip, whatever the status (reference 1.2), and dated by
//! the sandbox's clock.

use std::io::Write as _;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::sandbox::auth::signature::percent_encode;
use crate::sandbox::http::errors::{Body, Refusal};

/// The framework's default (`INF` 3.3).
pub const JSON: &str = "application/json;charset=utf-8";
/// The type of pages, and of the handshake's answers, which are no pages (`DOC` 6.4).
pub const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";

/// A complete answer before it is compressed.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: StatusCode, body: &Value) -> Reply {
        Reply::of_type(status, JSON, body.to_string().into_bytes())
    }

    pub fn of_type(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Reply {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Reply { status, headers, body }
    }

    /// A body of form-encoded names and values.
    pub fn form(pairs: &[(&str, &str)]) -> Reply {
        let written: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        Reply::of_type(StatusCode::OK, HTML, written.join("&").into_bytes())
    }

    pub fn redirect(status: StatusCode, url: &str) -> Reply {
        let to = HeaderValue::try_from(url).ok().map(|url| (LOCATION, url));
        Reply { status, headers: HeaderMap::from_iter(to), body: Vec::new() }
    }

    /// Compresses the body if the client accepts gzip.
    pub fn compressed(mut self, accepts_gzip: bool) -> Reply {
        if accepts_gzip && !self.body.is_empty() && !self.headers.contains_key(CONTENT_ENCODING) {
            self.body = gzip(&self.body);
            self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        self
    }

    pub fn into_response(self, now: OffsetDateTime) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        date(response.headers_mut(), now);
        response
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        let status = StatusCode::from_u16(refusal.status).unwrap_or_default();
        match refusal.body {
            Body::Nothing => Reply { status, ..Reply::default() },
            Body::Json(body) => Reply::json(status, &body),
            Body::Text(text) => Reply::of_type(status, HTML, text.into_bytes()),
            Body::Xml(text) => Reply::of_type(status, XML, text.into_bytes()),
        }
    }
}

/// Dates an answer; clients learn from it how wrong a clock is (reference 6.2).
pub fn date(headers: &mut HeaderMap, now: OffsetDateTime) {
    let form = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    if let Some(date) = now.format(form).ok().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.entry(DATE).or_insert(date);
    }
}

/// Whether the client accepts `gzip`, with any weight but 0.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|header| header.to_str().ok());
    offers.flat_map(|header| header.split(',')).any(|offer| {
        let (coding, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let refused =
            weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
        coding.trim().eq_ignore_ascii_case("gzip") && refused != Some(0.0)
    })
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("writing to a vector cannot fail")
}
