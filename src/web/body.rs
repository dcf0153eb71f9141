//! Reading a request's body: of the right type, not too large, and in time.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::config::Limits;
use crate::gateway::{Deadline, Detail, explain_json, read_aside, without_mark};
use crate::web::problem::Problem;

/// Refuses a body declared as anything but JSON. One without a type is taken for JSON; parsing it will tell.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    require_type(
        headers,
        &["application/json"],
        "the Content-Type is not JSON; send the body as application/json",
    )
}

/// Refuses types other than `types`, and compressed bodies.
pub(crate) fn require_type(
    headers: &HeaderMap,
    types: &[&str],
    advice: &'static str,
) -> Result<(), Problem> {
    let is_only = |name, plain: &[u8]| {
        headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(plain))
    };
    if !is_only(CONTENT_ENCODING, b"identity") || !is_only(TRANSFER_ENCODING, b"chunked") {
        return Err(Problem::wrong_type(
            "the body is compressed; send it uncompressed, without Content-Encoding",
        ));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if types.iter().any(|media_type| essence.eq_ignore_ascii_case(media_type)) {
        Ok(())
    } else {
        Err(Problem::wrong_type(advice))
    }
}

/// Parses a JSON body, or explains in our own words what is wrong with it.
pub(crate) async fn json<T: DeserializeOwned + Send + 'static>(body: &Bytes) -> Result<T, Problem> {
    read_aside(body, |body| serde_json::from_slice(without_mark(body)))
        .await
        .map_err(|error| Problem::invalid(vec![Detail::at("", explain_json(&error))]))
}

/// The largest size that a body can have, if at most `most` bytes are accepted.
pub(crate) fn expected(headers: &HeaderMap, most: usize) -> usize {
    length(headers).map_or(most, |length| length.min(most))
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// The whole body, at most `most` bytes, each part within `limits.body_idle` and all of it before the deadline.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    most: usize,
    limits: &Limits,
    deadline: Deadline,
) -> Result<Bytes, Problem> {
    let length = length(headers);
    if length.is_some_and(|length| length > most) {
        return Err(Problem::body_too_large(most));
    }
    let read = async {
        let Some(first) = next(&mut body, limits.body_idle).await? else { return Ok(Bytes::new()) };
        if length == Some(first.len()) && first.len() <= most {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while whole.len() <= most {
            let Some(part) = next(&mut body, limits.body_idle).await? else {
                return Ok(whole.freeze());
            };
            whole.extend_from_slice(&part);
        }
        Err(Problem::body_too_large(most))
    };
    tokio::time::timeout_at(deadline.end, read)
        .await
        .unwrap_or_else(|_| Err(Problem::body_timeout()))
}

async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Problem> {
    loop {
        let Ok(frame) = tokio::time::timeout(idle, body.frame()).await else {
            return Err(Problem::body_timeout());
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => {
                let detail = "ended early, or is not framed as its headers say";
                return Err(Problem::invalid(vec![Detail::at("", detail)]));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
