//! Reading an answer whole: capped, decompressed to prove that nothing is missing, and complete.

use std::io::{ErrorKind, Read};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::http::HeaderValue;
use memchr::memchr_iter;
use zeroize::Zeroizing;

use crate::admission::Held;
use crate::config::Limits;
use crate::upstream::{Error, Unpacked};

/// Below this size the ratio is not checked: short repetitive answers compress well and cost nothing.
const RATIO_COUNTS_FROM: usize = 1 << 20;
/// How much of a decompressed answer is kept. Most answers are shorter; longer ones never take more memory than this.
const KEPT: usize = 64 * 1024;
/// Memory that an answer of unknown length reserves first, and next; the step after these covers the longest allowed.
const STEPS: [usize; 2] = [PREPAID, 128 * 1024];

/// Memory that every call holds for its answer before it is made.
pub const PREPAID: usize = 16 * 1024;

/// The memory that an answer may use.
pub enum Room<'a> {
    /// Memory for this many bytes is already reserved.
    UpTo(usize),
    /// Holds this many bytes for something else, and grows by as many as the answer turns out to need.
    Grows(&'a mut Held, usize),
}

/// Collects the body as it is on the wire, up to `limits.upstream_compressed_bytes`.
pub(super) async fn collect(
    mut body: Incoming,
    limits: &Limits,
    room: &mut Room<'_>,
) -> Result<Bytes, Error> {
    let cap = match room {
        Room::UpTo(most) => limits.upstream_compressed_bytes.min(*most),
        Room::Grows(..) => limits.upstream_compressed_bytes,
    };
    let hint = body.size_hint();
    if hint.lower() > cap as u64 {
        return Err(too_large());
    }
    let announced = hint.exact().and_then(|length| usize::try_from(length).ok());
    let mut steps =
        STEPS.into_iter().filter(|step| announced.is_none() && *step < cap).chain([cap]);
    let mut held = announced.or_else(|| steps.next()).unwrap_or(cap);
    room.grow_to(held, limits).await?;
    let mut body = Limited::new(&mut body, cap);
    let first = next(&mut body).await?.unwrap_or_default();
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(2 * first.len()));
    whole.extend_from_slice(&first);
    while let Some(part) = next(&mut body).await? {
        while whole.len() + part.len() > held
            && let Some(step) = steps.next()
        {
            held = step;
            room.grow_to(held, limits).await?;
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

async fn next(body: &mut Limited<&mut Incoming>) -> Result<Option<Bytes>, Error> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(too_large());
            }
            Some(Err(_)) => {
                return Err(Error::CutShort("the connection ended before the body was complete"));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_large() -> Error {
    Error::TooLarge("it is longer than limits.upstream_compressed_bytes")
}

impl Room<'_> {
    /// Waits for memory for this many bytes; the upstream has to wait meanwhile, so there is a time limit.
    async fn grow_to(&mut self, bytes: usize, limits: &Limits) -> Result<(), Error> {
        let Room::Grows(held, beside) = self else { return Ok(()) };
        let all = beside.saturating_add(bytes);
        let grown = tokio::time::timeout(limits.upstream_first_byte, held.grow_first_to(all)).await;
        grown.map_err(|_| Error::NoMemory)
    }
}

/// Decompresses a gzipped body, up to `limits.upstream_body_bytes` and `limits.upstream_ratio`, and refuses a success
/// that ends in the middle.
pub(super) fn unpack(status: StatusCode, wire: &Bytes, limits: &Limits) -> Result<Unpacked, Error> {
    // An answer without a body has nothing to unpack, whatever its encoding header says.
    if wire.is_empty() {
        require_complete(status, &[])?;
        return Ok(Unpacked::default());
    }
    let by_ratio = wire.len().saturating_mul(limits.upstream_ratio).max(RATIO_COUNTS_FROM);
    let cap = limits.upstream_body_bytes.min(by_ratio);
    let mut start = Vec::with_capacity(wire.len().saturating_mul(4).min(KEPT));
    let mut decoder = MultiGzDecoder::new(&**wire).take(cap as u64 + 1);
    decoder.by_ref().take(KEPT as u64).read_to_end(&mut start).map_err(|error| damaged(&error))?;
    if start.len() > cap {
        return Err(BEYOND);
    }
    if start.len() < KEPT {
        require_complete(status, &start)?;
        return Ok(Unpacked { length: start.len(), start: start.into() });
    }
    let mut ends = Ends::default();
    ends.read(&start);
    let (mut part, mut length) = (vec![0; KEPT], start.len());
    loop {
        let count = decoder.read(&mut part).map_err(|error| damaged(&error))?;
        ends.read(part.get(..count).unwrap_or_default());
        length += count;
        if length > cap {
            return Err(BEYOND);
        }
        if count == 0 {
            break;
        }
    }
    if status == StatusCode::OK && ends.in_the_middle() {
        return Err(IN_THE_MIDDLE);
    }
    Ok(Unpacked { length, start: start.into() })
}

/// The whole of a gzipped body that was already checked by `unpack`.
pub(super) fn inflate(wire: &[u8], length: usize) -> Bytes {
    let mut plain = Vec::with_capacity(length);
    let read = MultiGzDecoder::new(wire).read_to_end(&mut plain);
    read.expect("what was unpacked once can be unpacked again");
    plain.into()
}

/// The same for a short answer, which has at most `cap` bytes either way and may hold a secret.
pub(super) fn inflate_short(wire: &[u8], cap: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut plain = Zeroizing::new(Vec::with_capacity(wire.len().saturating_mul(4).min(cap)));
    if wire.is_empty() {
        return Ok(plain);
    }
    match MultiGzDecoder::new(wire).take(cap as u64 + 1).read_to_end(&mut plain) {
        Ok(length) if length > cap => Err(Error::TooLarge("no answer of this kind is as long")),
        Ok(_) => Ok(plain),
        Err(error) => Err(damaged(&error)),
    }
}

pub(super) fn is_gzip(encoding: &HeaderValue) -> bool {
    [&b"gzip"[..], b"x-gzip"].iter().any(|name| encoding.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether an encoding means no encoding.
pub(super) fn is_plain(encoding: &HeaderValue) -> bool {
    encoding.as_bytes().eq_ignore_ascii_case(b"identity")
}

fn damaged(error: &std::io::Error) -> Error {
    if error.kind() == ErrorKind::UnexpectedEof {
        Error::CutShort("its gzip stream ends too early")
    } else {
        Error::CutShort("its gzip stream is damaged")
    }
}

const BEYOND: Error =
    Error::TooLarge("it decompresses beyond limits.upstream_body_bytes or limits.upstream_ratio");

const IN_THE_MIDDLE: Error = Error::CutShort("its JSON ends in the middle");

/// Refuses a success whose JSON ends in the middle. Anything else that is not JSON is the upstream's own answer.
pub(super) fn require_complete(status: StatusCode, text: &[u8]) -> Result<(), Error> {
    if status == StatusCode::OK && ends_in_the_middle(text) {
        return Err(IN_THE_MIDDLE);
    }
    Ok(())
}

/// Whether a string, object or array is still open at the end. Checking only that is cheaper than parsing.
fn ends_in_the_middle(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    match text.first() {
        None => true,
        Some(b'{' | b'[') => !is_balanced(text) && leaves_open(text),
        // Not JSON, or a scalar.
        Some(_) => false,
    }
}

/// A quick check by vector instructions. It may miss that an answer is whole if a grouping's name contains brackets.
fn is_balanced(text: &[u8]) -> bool {
    let count = |wanted| memchr_iter(wanted, text).count();
    matches!(text.last(), Some(b'}' | b']'))
        && count(b'{') == count(b'}')
        && count(b'[') == count(b']')
        && count(b'"') % 2 == 0
}

fn leaves_open(text: &[u8]) -> bool {
    let mut ends = Ends::default();
    ends.read(text);
    ends.in_the_middle()
}

/// Tracks whether JSON that is read in parts is complete.
#[derive(Default)]
struct Ends {
    first: Option<u8>,
    open: i32,
    is_in_string: bool,
    is_escaped: bool,
}

impl Ends {
    fn read(&mut self, part: &[u8]) {
        self.first =
            self.first.or_else(|| part.iter().copied().find(|byte| !byte.is_ascii_whitespace()));
        for byte in part {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => (),
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => self.open -= 1,
                _ => (),
            }
        }
    }

    fn in_the_middle(&self) -> bool {
        match self.first {
            None => true,
            Some(b'{' | b'[') => self.is_in_string || self.open > 0,
            // Not JSON, or a scalar.
            Some(_) => false,
        }
    }
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
            let mut ends = Ends::default();
            whole[..length].chunks(3).for_each(|part| ends.read(part));
            assert_eq!(ends.in_the_middle(), length < last, "{length} bytes in parts");
        }
        for other in ["<html>{", "null", "12", "{}", "[]", "} {"] {
            assert!(!ends_in_the_middle(other.as_bytes()), "{other}");
        }
    }
}
