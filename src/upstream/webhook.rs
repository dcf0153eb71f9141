//! Sending an event to a receiver of the operator's, signed as the Standard Webhooks specification says.

use std::error::Error as _;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::upstream::Upstream;
use crate::upstream::receivers::TOTAL;
const LONGEST_URL: usize = 2000;

/// An event as it is sent.
pub struct Message<'a> {
    pub url: &'a str,
    /// The message's id, the same for every attempt.
    pub id: &'a str,
    /// The body as JSON; it may hold a secret link.
    pub body: Bytes,
}

/// Why an event does not count as received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotReceived {
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// The reason in words, without the address.
    pub why: String,
    /// Whether the receiver refuses only this event; otherwise any event would fail.
    pub is_this_event: bool,
}

impl Upstream {
    /// An address that events may be sent to, normalised; the error says what would be valid.
    pub fn receiver(&self, text: &str) -> Result<String, &'static str> {
        const RIGHT: &str = "must be https:// and a host, optionally with a path and a query, but without user and fragment; at most 2000 characters";
        let url = reqwest::Url::parse(text).map_err(|_| RIGHT)?;
        let bare = url.username().is_empty() && url.password().is_none();
        // The parser accepts slips that an operator would want reported.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let host = text.split_once("://").map_or("", |(_, rest)| rest);
        let whole = plain && text.len() <= LONGEST_URL && !host.starts_with('/');
        match url.scheme() {
            _ if !bare || !whole || host.is_empty() || url.fragment().is_some() => Err(RIGHT),
            "https" | "http" if !self.receivers.allow(&url) => {
                Err("must be on one of the hosts in webhooks.receivers")
            }
            "https" => Ok(url.into()),
            "http" if self.receivers.allow_http => Ok(url.into()),
            "http" => Err("must be https://, unless webhooks.allow_http is set"),
            _ => Err(RIGHT),
        }
    }

    /// Posts an event, signed with each of the secrets; returns the status of the answer that accepted it. Only a 2xx
    /// does; redirects are not followed.
    pub async fn send_event(
        &self,
        message: &Message<'_>,
        secrets: &[Secret],
    ) -> Result<u16, NotReceived> {
        // An address that was allowed when it was added may no longer be.
        self.receiver(message.url).map_err(NotReceived::unsent)?;
        let seconds = self.clock.now().unix_timestamp();
        let signatures: Vec<String> = secrets
            .iter()
            .filter_map(|secret| sign(secret, message.id, seconds, &message.body))
            .collect();
        let client = self.receivers.client(message.url);
        let client = client.map_err(|error| NotReceived::unsent(error.to_string()))?;
        let request = client
            .post(message.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signatures.join(" "))
            .body(message.body.clone());
        // Only the receiver's status is of use here, so the body is not read.
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(response.status().as_u16()),
            Ok(response) => Err(NotReceived::answered(response.status())),
            Err(error) => Err(NotReceived::unsent(in_words(&error))),
        }
    }
}

impl NotReceived {
    /// A failure in which nothing was sent, or the outcome is unknown.
    pub fn unsent(why: impl Into<String>) -> NotReceived {
        NotReceived { status: None, why: why.into(), is_this_event: false }
    }

    fn answered(status: StatusCode) -> NotReceived {
        let redirects = if status.is_redirection() { "; redirects are not followed" } else { "" };
        let why = format!("it answered with status {}{redirects}", status.as_u16());
        let is_this_event = matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::CONFLICT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY
        );
        NotReceived { status: Some(status.as_u16()), why, is_this_event }
    }
}

/// `v1,` and the HMAC-SHA-256 of id, time and body in base64, by the key in `whsec_<base64>`.
fn sign(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.expose().strip_prefix("whsec_")?).map(Zeroizing::new).ok()?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}

/// Why there was no answer, without the address, which may hold a secret.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer within {} s", TOTAL.as_secs());
    }
    let mut cause = error.source();
    let mut last = None;
    while let Some(current) = cause {
        (last, cause) = (Some(current.to_string()), current.source());
    }
    match last {
        Some(why) if error.is_connect() => format!("it could not be reached: {why}"),
        Some(why) => format!("it did not answer: {why}"),
        None => "it did not answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_published_example() {
        let secret = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(sign(&"whsec_?".into(), "a", 1, body), None);
        assert_eq!(sign(&"MfKQ9r8G".into(), "a", 1, body), None);
    }
}
