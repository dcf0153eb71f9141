//! Reading an answer whole: capped, decompressed to prove that nothing is missing, and complete.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use memchr::memchr_iter;

use crate::config::Limits;
use crate::upstream::Error;

/// Below this size the ratio is not looked at: short repetitive answers compress well and cost nothing.
const RATIO_COUNTS_FROM: usize = 1 << 20;

/// Collects the body as it is on the wire, up to `limits.upstream_compressed_bytes`.
pub(super) async fn collect(body: Incoming, limits: &Limits) -> Result<Bytes, Error> {
    let cap = limits.upstream_compressed_bytes;
    if body.size_hint().lower() > cap as u64 {
        return Err(Error::TooLarge("it is longer than limits.upstream_compressed_bytes"));
    }
    match Limited::new(body, cap).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::TooLarge("it is longer than limits.upstream_compressed_bytes"))
        }
        Err(_) => Err(Error::CutShort("the connection ended before the body did")),
    }
}

/// Decompresses a gzipped body, up to `limits.upstream_body_bytes` and `limits.upstream_ratio`.
pub(super) fn inflate(wire: &Bytes, limits: &Limits) -> Result<Bytes, Error> {
    // An answer without a body is whole whatever is said of its encoding.
    if wire.is_empty() {
        return Ok(Bytes::new());
    }
    let by_ratio = wire.len().saturating_mul(limits.upstream_ratio).max(RATIO_COUNTS_FROM);
    let cap = limits.upstream_body_bytes.min(by_ratio);
    let mut plain = Vec::with_capacity(wire.len().saturating_mul(4).min(cap));
    let read = MultiGzDecoder::new(&**wire).take(cap as u64 + 1).read_to_end(&mut plain);
    match read {
        Ok(length) if length > cap => Err(Error::TooLarge(
            "it decompresses beyond limits.upstream_body_bytes or limits.upstream_ratio",
        )),
        Ok(_) => Ok(plain.into()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Error::CutShort("its gzip stream ends too early"))
        }
        Err(_) => Err(Error::CutShort("its gzip stream is damaged")),
    }
}

/// Refuses a success whose JSON ends in the middle. Anything else that is not JSON is the upstream's own answer.
pub(super) fn require_complete(status: StatusCode, text: &[u8]) -> Result<(), Error> {
    if status != StatusCode::OK {
        return Ok(());
    }
    if ends_in_the_middle(text) {
        return Err(Error::CutShort("its JSON ends in the middle"));
    }
    Ok(())
}

/// Whether a string, object or array is still open at the end. Only that is looked for, which is cheaper than parsing.
fn ends_in_the_middle(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    match text.first() {
        None => true,
        Some(b'{' | b'[') => !is_balanced(text) && leaves_open(text),
        // Not JSON, or a value without an inside.
        Some(_) => false,
    }
}

/// A glance by vector instructions. It may miss that an answer is whole, where a grouping's name has brackets in it.
fn is_balanced(text: &[u8]) -> bool {
    let count = |wanted| memchr_iter(wanted, text).count();
    matches!(text.last(), Some(b'}' | b']'))
        && count(b'{') == count(b'}')
        && count(b'[') == count(b']')
        && count(b'"') % 2 == 0
}

fn leaves_open(text: &[u8]) -> bool {
    let (mut open, mut rest) = (0_i32, text.iter());
    while let Some(byte) = rest.next() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            b'"' => loop {
                match rest.next() {
                    None => return true,
                    Some(b'"') => break,
                    Some(b'\\') => drop(rest.next()),
                    Some(_) => (),
                }
            },
            _ => (),
        }
    }
    open > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proper_beginning_of_an_answer_ends_in_the_middle() {
        let whole = br#" {"a":{"\"}[\\":["1","{"],"b":"\u0022"},"n":-1,"e":[]} "#;
        let last = whole.trim_ascii_end().len();
        for length in 0..whole.len() {
            assert_eq!(ends_in_the_middle(&whole[..length]), length < last, "{length} bytes");
        }
        for other in ["<html>{", "null", "12", "{}", "[]", "} {"] {
            assert!(!ends_in_the_middle(other.as_bytes()), "{other}");
        }
    }
}
