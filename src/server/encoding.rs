//! Which encodings a client takes (RFC 9110, 12.5.3), and compressing what the gateway says itself.

use std::io::Write;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// What may be sent back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Accepted {
    pub(super) gzip: bool,
    pub(super) identity: bool,
}

impl Accepted {
    /// Reads `Accept-Encoding`; without one, only the identity is safe.
    pub(super) fn of(headers: &HeaderMap) -> Accepted {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
        for item in values.flat_map(|it| it.split(',')) {
            let (coding, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight =
                weight.trim().trim_start_matches(['q', 'Q']).trim_start().trim_start_matches('=');
            let wanted = weight.trim().parse::<f32>().is_ok_and(|it| it > 0.0);
            let coding = coding.trim();
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

    pub(super) fn nothing(self) -> bool {
        !self.gzip && !self.identity
    }
}

pub(super) fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2 + 32), Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail").into()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let headers = text.map(|it| (ACCEPT_ENCODING, it.parse().unwrap()));
            let accepted = Accepted::of(&headers.into_iter().collect());
            assert_eq!(accepted, Accepted { gzip, identity }, "{text:?}");
        }
    }
}
