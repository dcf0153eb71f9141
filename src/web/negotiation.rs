//! The types and encodings that a client accepts (RFC 9110, 12.5.1 and 12.5.3), and compression of the gateway's own
//! answers.

use std::io::Write;

use axum::http::header::{ACCEPT, ACCEPT_ENCODING};
use axum::http::{HeaderMap, HeaderName};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::web::problem::Problem;

pub(crate) const NO_ENCODING: &str =
    "Accept-Encoding rules out both gzip and identity; allow one of them";

/// The encodings that may be sent back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) gzip: bool,
    pub(crate) identity: bool,
}

impl Accepted {
    /// Reads `Accept-Encoding`; without one, only the identity is safe.
    pub(crate) fn of(headers: &HeaderMap) -> Accepted {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for (coding, weight) in weighted(headers, &ACCEPT_ENCODING) {
            let wanted = weight > 0.0;
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                gzip = Some(wanted);
            } else if coding.eq_ignore_ascii_case("identity") {
                identity = Some(wanted);
            } else if coding == "*" {
                any = Some(wanted);
            }
        }
        Accepted { gzip: gzip.or(any).unwrap_or(false), identity: identity.or(any).unwrap_or(true) }
    }

    /// Reads `Accept-Encoding`, and refuses a client that accepts neither encoding.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Accepted, Problem> {
        let accepted = Accepted::of(headers);
        if accepted.gzip || accepted.identity {
            return Ok(accepted);
        }
        Err(Problem::not_acceptable(NO_ENCODING))
    }
}

/// The offered media type that the client prefers: by its weights, then by how exactly it names them, then in the order
/// of `offered`. Without an `Accept`, the first.
pub(crate) fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> Option<&'static str> {
    let ranges: Vec<(&str, f32)> = weighted(headers, &ACCEPT).collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(&'static str, (f32, u8))> = None;
    for media_type in offered {
        let fits =
            ranges.iter().map(|range| (fit(range.0, media_type), range.1)).filter(|fit| fit.0 > 0);
        let Some((fit, weight)) = fits.max_by_key(|fit| fit.0) else { continue };
        let liking = (weight, fit);
        if weight > 0.0 && best.is_none_or(|best| liking > best.1) {
            best = Some((media_type, liking));
        }
    }
    best.map(|best| best.0)
}

/// Whether `Accept` lists this very media type.
pub(crate) fn is_named(headers: &HeaderMap, media_type: &str) -> bool {
    weighted(headers, &ACCEPT)
        .any(|(item, weight)| item.eq_ignore_ascii_case(media_type) && weight > 0.0)
}

/// How well a range such as `text/*` fits a media type: 0 for not at all.
fn fit(range: &str, media_type: &str) -> u8 {
    let main = media_type.split('/').next().unwrap_or_default();
    match range.split_once('/') {
        _ if range.eq_ignore_ascii_case(media_type) => 3,
        Some((main_type, "*")) if main_type.eq_ignore_ascii_case(main) => 2,
        Some(("*", "*")) => 1,
        _ => 0,
    }
}

/// The items of a header with their weights; an unreadable weight is 0.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a str, f32)> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).filter(|item| !item.trim().is_empty()).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|parameter| {
            parameter.trim_start_matches(['q', 'Q']).trim_start().strip_prefix('=').map(str::trim)
        });
        (name, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    })
}

pub(crate) fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2 + 32), Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect(NEVER_FAILS).into()
}

const NEVER_FAILS: &str = "writing to memory does not fail";

/// Text that is sent in pieces, compressed or as it is.
pub(crate) struct Packer(Option<GzEncoder<Vec<u8>>>);

impl Packer {
    pub(crate) fn new(gzipped: bool) -> Packer {
        Packer(gzipped.then(|| GzEncoder::new(Vec::new(), Compression::fast())))
    }

    /// Adds `plain` and returns what can be sent by now, which may be nothing yet.
    pub(crate) fn pack(&mut self, plain: Vec<u8>) -> Bytes {
        let Some(gzip) = &mut self.0 else { return plain.into() };
        gzip.write_all(&plain).expect(NEVER_FAILS);
        std::mem::take(gzip.get_mut()).into()
    }

    /// Adds `plain` and returns it all, so that the receiver can read it at once.
    pub(crate) fn pack_now(&mut self, plain: Vec<u8>) -> Bytes {
        let Some(gzip) = &mut self.0 else { return plain.into() };
        gzip.write_all(&plain).and_then(|()| gzip.flush()).expect(NEVER_FAILS);
        std::mem::take(gzip.get_mut()).into()
    }

    /// Adds the last of the text and returns everything left to send.
    pub(crate) fn finish(&mut self, plain: Vec<u8>) -> Bytes {
        let Some(mut gzip) = self.0.take() else { return plain.into() };
        gzip.write_all(&plain).and_then(|()| gzip.finish()).expect(NEVER_FAILS).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_what_clients_like_best() {
        let offered = ["application/json", "text/csv", "application/x-ndjson"];
        for (text, expected) in [
            (None, Some("application/json")),
            (Some(""), Some("application/json")),
            (Some("*/*"), Some("application/json")),
            (Some("text/csv"), Some("text/csv")),
            (Some("TEXT/CSV; header=present"), Some("text/csv")),
            (Some("text/*"), Some("text/csv")),
            (Some("text/csv, */*"), Some("text/csv")),
            (Some("text/csv;q=0.5, */*"), Some("application/json")),
            (Some("application/x-ndjson, text/csv;q=0.9"), Some("application/x-ndjson")),
            (Some("application/json;q=0, */*"), Some("text/csv")),
            (Some("text/html, application/xhtml+xml"), None),
            (Some("text/csv;q=0"), None),
            (Some("text/csv;q=much"), None),
        ] {
            let headers = text.map(|text| (ACCEPT, text.parse().unwrap()));
            assert_eq!(preferred(&headers.into_iter().collect(), &offered), expected, "{text:?}");
        }
    }

    #[test]
    fn reads_what_clients_send() {
        for (text, gzip, identity) in [
            (None, false, true),
            (Some("gzip"), true, true),
            (Some("gzip, deflate"), true, true),
            (Some("GZIP;q=0.5, identity;q=0"), true, false),
            (Some("deflate, gzip;q=1.0, *;q=0.5"), true, true),
            (Some("*"), true, true),
            (Some("gzip;q=0"), false, true),
            (Some("br, identity;q=0"), false, false),
            (Some("*;q=0"), false, false),
            (Some("br;q=1.0, *;q=0, gzip"), true, false),
            (Some("gzip; q = 0"), false, true),
            (Some(""), false, true),
        ] {
            let headers = text.map(|text| (ACCEPT_ENCODING, text.parse().unwrap()));
            let accepted = Accepted::of(&headers.into_iter().collect());
            assert_eq!(accepted, Accepted { gzip, identity }, "{text:?}");
        }
    }
}
