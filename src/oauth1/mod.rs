//! OAuth 1.0a signatures (RFC 5849, HMAC-SHA1): parameters in, `Authorization` header out. Pure: the caller passes the
//! nonce and the time. The signing itself is the `oauth1-request` crate's.

use std::borrow::Cow;

use oauth1_request::HMAC_SHA1;
use oauth1_request::signature_method::{Sign, SignatureMethod};

/// A consumer key or token with its secret.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub key: &'a str,
    pub secret: &'a str,
}

/// The parts of a request that a signature covers. A JSON body is not among them (RFC 5849, 3.4.1.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Scheme and host in lower case, no default port, no query, no fragment.
    pub url: &'a str,
    /// The parameters of the query and of a form body, decoded, in any order.
    pub parameters: &'a [(&'a str, &'a str)],
    pub callback: Option<&'a str>,
    pub verifier: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A POST whose body is not a form.
    pub fn post(url: &'a str) -> Request<'a> {
        Request { method: "POST", url, parameters: &[], callback: None, verifier: None }
    }
}

/// The value of the `Authorization` header; it holds the token, but no secret.
///
/// Without a `token` the signature is two-legged. `timestamp` is in seconds since 1970.
pub fn authorization(
    request: &Request<'_>,
    consumer: Credentials<'_>,
    token: Option<Credentials<'_>>,
    nonce: &str,
    timestamp: u64,
) -> String {
    sign(request, consumer, token, nonce, timestamp, true)
}

fn sign(
    request: &Request<'_>,
    consumer: Credentials<'_>,
    token: Option<Credentials<'_>>,
    nonce: &str,
    timestamp: u64,
    version: bool,
) -> String {
    let mut digits = itoa::Buffer::new();
    let own = [
        ("oauth_callback", request.callback),
        ("oauth_consumer_key", Some(consumer.key)),
        ("oauth_nonce", Some(nonce)),
        ("oauth_signature_method", Some("HMAC-SHA1")),
        ("oauth_timestamp", Some(digits.format(timestamp))),
        ("oauth_token", token.map(|token| token.key)),
        ("oauth_verifier", request.verifier),
        ("oauth_version", version.then_some("1.0")),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name, percent_encode(value?))));
    let mut header = String::with_capacity(512);
    header.push_str("OAuth ");
    let mut parameters = Vec::with_capacity(8 + request.parameters.len());
    for (name, value) in own {
        push_parameter(&mut header, name, &value);
        header.push(',');
        parameters.push((Cow::Borrowed(name), value));
    }
    for &(name, value) in request.parameters {
        parameters.push((percent_encode(name), percent_encode(value)));
    }
    parameters.sort_unstable();
    let mut signer = HMAC_SHA1.sign_with(consumer.secret, token.map(|token| token.secret));
    signer.request_method(request.method);
    signer.uri(percent_encode(request.url));
    for (index, (name, value)) in parameters.iter().enumerate() {
        if index > 0 {
            signer.delimiter();
        }
        // The base string encodes parameters once more (RFC 5849, 3.4.1.1).
        signer.parameter(&percent_encode(name), percent_encode(value));
    }
    push_parameter(&mut header, "oauth_signature", &signer.end().to_string());
    header
}

fn push_parameter(header: &mut String, name: &str, encoded: &str) {
    header.push_str(name);
    header.push_str("=\"");
    header.push_str(encoded);
    header.push('"');
}

/// Percent-encodes all but the unreserved characters of RFC 3986, in upper-case hexadecimal (RFC 5849, 3.6).
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |digit: u8| HEX.get(usize::from(digit)).copied().map(char::from);
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~');
    // Most texts are tokens, which need no encoding; without an early end this is done with vector instructions.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(hex(byte >> 4));
            encoded.extend(hex(byte & 15));
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests;
