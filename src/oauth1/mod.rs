//! OAuth 1.0a signatures (RFC 5849, HMAC-SHA1): parameters in, `Authorization` header out. Pure: the caller brings
//! nonce and time. The signing itself is the `oauth1-request` crate's.

use std::num::NonZeroU64;

use oauth1_request::serializer::{Serializer, SerializerExt};
use oauth1_request::{Builder, HMAC_SHA1};

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
    let mut builder = Builder::new(pair(consumer), HMAC_SHA1);
    builder
        .token(token.map(pair))
        .callback(request.callback)
        .verifier(request.verifier)
        .nonce(nonce)
        .timestamp(NonZeroU64::new(timestamp))
        .version(version);
    builder.authorize(request.method, request.url, &Parameters::of(request.parameters))
}

fn pair(it: Credentials<'_>) -> oauth1_request::Credentials<&str> {
    oauth1_request::Credentials::new(it.key, it.secret)
}

/// Parameters percent-encoded and in the order of the base string.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(decoded: &[(&str, &str)]) -> Parameters {
        let mut pairs: Vec<_> = decoded
            .iter()
            .map(|(key, value)| (percent_encode(key), percent_encode(value)))
            .collect();
        pairs.sort_unstable();
        // The crate encodes values for the base string, but takes keys as they are.
        Parameters(pairs.into_iter().map(|(key, value)| (percent_encode(&key), value)).collect())
    }
}

impl oauth1_request::Request for Parameters {
    fn serialize<S: Serializer>(&self, mut serializer: S) -> S::Output {
        let own = self.0.partition_point(|(key, _)| key.as_str() < "oauth_callback");
        let (before, after) = self.0.split_at(own);
        for (key, value) in before {
            serializer.serialize_parameter_encoded(key, value);
        }
        serializer.serialize_oauth_parameters();
        for (key, value) in after {
            serializer.serialize_parameter_encoded(key, value);
        }
        serializer.end()
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986, in upper-case hexadecimal (RFC 5849, 3.6).
pub fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |it: u8| HEX.get(usize::from(it)).copied().map(char::from);
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(hex(byte >> 4));
            encoded.extend(hex(byte & 15));
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
