//! The fault that changes single fields in the handshake's answers.

use std::collections::BTreeMap;

use axum::http::HeaderValue;
use axum::http::header::LOCATION;

use crate::sandbox::auth::signature::{percent_decode, percent_encode};
use crate::sandbox::http::reply::Reply;

/// Changes the form in the body, or the query of the redirect's URL; any other answer stays as it is.
pub fn replaced(mut reply: Reply, fields: &BTreeMap<String, Option<String>>) -> Reply {
    if reply.body.starts_with(b"oauth_token=") {
        reply.body = changed(&String::from_utf8_lossy(&reply.body), fields).into_bytes();
    }
    let target = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let changed = target.and_then(|url| url.split_once('?')).and_then(|(url, query)| {
        HeaderValue::try_from(format!("{url}?{}", changed(query, fields))).ok()
    });
    if let Some(target) = changed {
        reply.headers.insert(LOCATION, target);
    }
    reply
}

/// Leaves the other fields as they are written; a field that was not there comes last.
fn changed(form: &str, fields: &BTreeMap<String, Option<String>>) -> String {
    let mut added = fields.clone();
    let mut parts = Vec::new();
    for part in form.split('&') {
        let name = percent_decode(part.split('=').next().unwrap_or_default());
        match fields.get(&name) {
            None => parts.push(part.to_owned()),
            Some(value) => {
                added.remove(&name);
                parts.extend(value.as_ref().map(|value| written(&name, value)));
            }
        }
    }
    let added = added.iter().filter_map(|(name, value)| Some(written(name, value.as_ref()?)));
    parts.extend(added);
    parts.join("&")
}

fn written(name: &str, value: &str) -> String {
    format!("{}={}", percent_encode(name), percent_encode(value))
}
