//! Applies a fault to an answer.

use std::future::pending;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use time::OffsetDateTime;

use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::faults::{Fault, Kind, fields};
use crate::sandbox::http::reply::{JSON, Reply, date, gzip};
use crate::sandbox::http::scripted;
use crate::sandbox::http::scripted::Step;

const HTML: &[u8] =
    b"<html><head><title>502 Proxy Error</title></head><body><h1>Proxy Error</h1></body></html>\n";
/// Bytes that a wrong `Content-Length` promises beyond those that are sent.
const PROMISED: usize = 64;
const SLOW_PARTS: usize = 8;

/// Marks a response that must never be written; `serve` drops its connection.
#[derive(Clone, Copy)]
pub struct Reset;

/// The response that a fault makes of the answer; `respond` is called only if the answer is needed.
pub async fn respond(
    fault: &Fault,
    respond: impl FnOnce() -> Reply,
    zipped: bool,
    now: OffsetDateTime,
) -> Response {
    match fault.kind {
        Kind::Hang => pending().await,
        Kind::Reset => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(Reset);
            response
        }
        Kind::Status => {
            with_headers(plain_status(fault), fault).compressed(zipped).into_response(now)
        }
        Kind::Html => {
            let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok());
            let reply = Reply::of_type(status.unwrap_or_default(), "text/html", HTML.to_vec());
            with_headers(reply, fault).into_response(now)
        }
        Kind::Fields => {
            fields::replaced(respond(), &fault.fields).compressed(zipped).into_response(now)
        }
        Kind::BadJson => {
            let mut reply = respond();
            reply.body.truncate(reply.body.len() / 2);
            Reply::of_type(StatusCode::OK, JSON, reply.body).compressed(zipped).into_response(now)
        }
        Kind::Gzip => {
            let mut reply = respond();
            reply.body = gzip(&reply.body);
            as_gzip(reply).into_response(now)
        }
        Kind::TruncatedGzip => {
            let mut reply = respond();
            reply.body = gzip(&reply.body);
            reply.body.truncate(reply.body.len() / 2);
            as_gzip(reply).into_response(now)
        }
        Kind::GzipBomb => {
            let reply = Reply::of_type(StatusCode::OK, JSON, bomb(fault.mb.unwrap_or_default()));
            as_gzip(reply).into_response(now)
        }
        Kind::CutBody | Kind::WrongContentLength | Kind::SlowBody | Kind::Delay | Kind::Hold => {
            script(fault, respond().compressed(zipped), now)
        }
    }
}

fn plain_status(fault: &Fault) -> Reply {
    let known = fault.code.map(errors::coded);
    let status = fault.status.or(known.as_ref().map(|refusal| refusal.status)).unwrap_or(500);
    if let Some(text) = &fault.text {
        return Refusal { status, body: errors::Body::Text(text.clone()) }.into();
    }
    let refusal = match (&fault.body, fault.code, &fault.message, known) {
        (Some(body), ..) => Refusal { status, body: errors::Body::Json(body.clone()) },
        (None, Some(code), Some(message), _) => Refusal::code(status, code, message),
        (None, _, _, Some(known)) => Refusal { status, ..known },
        (None, _, Some(message), None) => Refusal::texts(status, std::slice::from_ref(message)),
        (None, ..) => match status {
            429 => errors::too_many_calls(),
            500 => errors::internal(),
            503 => errors::coded(130),
            _ => Refusal::texts(status, &[errors::invented("a fault on demand")]),
        },
    };
    refusal.into()
}

fn with_headers(mut reply: Reply, fault: &Fault) -> Reply {
    let parsed = fault.headers.iter().filter_map(|(name, value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::try_from(value).ok()?))
    });
    for (name, value) in parsed {
        reply.headers.insert(name, value);
    }
    reply
}

fn as_gzip(mut reply: Reply) -> Reply {
    reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reply
}

/// Sends the body differently from what its headers promise, or slowly.
fn script(fault: &Fault, reply: Reply, now: OffsetDateTime) -> Response {
    let bytes = Bytes::from(reply.body);
    let length = bytes.len();
    let (promised, steps) = match fault.kind {
        Kind::CutBody => {
            let half = bytes.slice(..length / 2);
            (length.max(1), vec![Step::Send(half), Step::Flush, Step::Break])
        }
        Kind::WrongContentLength => (length + PROMISED, vec![Step::Send(bytes), Step::Flush]),
        _ => {
            let parts = bytes.chunks(length.div_ceil(SLOW_PARTS).max(1));
            let steps = parts.flat_map(|part| {
                [Step::Send(Bytes::copy_from_slice(part)), Step::Wait(fault.pause())]
            });
            (length, steps.collect())
        }
    };
    let mut response = Response::new(scripted::body(steps));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(promised));
    date(response.headers_mut(), now);
    response
}

/// A gzip stream of that many megabytes of spaces. A full flush makes every megabyte compress to the same bytes,
/// so one is compressed and repeated.
fn bomb(mb: u32) -> Vec<u8> {
    let megabyte = vec![b' '; 1 << 20];
    let mut deflate = Compress::new(Compression::best(), false);
    let mut part = Vec::with_capacity(1 << 16);
    let mut tail = Vec::with_capacity(64);
    let parts = deflate.compress_vec(&megabyte, &mut part, FlushCompress::Full);
    let ended = deflate.compress_vec(&[], &mut tail, FlushCompress::Finish);
    parts.and(ended).expect("the buffers are larger than a megabyte of spaces compresses to");

    let mut one = crc32fast::Hasher::new();
    one.update(&megabyte);
    let mut checksum = crc32fast::Hasher::new();
    (0..mb).for_each(|_| checksum.combine(&one));

    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    (0..mb).for_each(|_| stream.extend_from_slice(&part));
    stream.extend_from_slice(&tail);
    stream.extend_from_slice(&checksum.finalize().to_le_bytes());
    stream.extend_from_slice(&mb.wrapping_mul(1 << 20).to_le_bytes());
    stream
}
