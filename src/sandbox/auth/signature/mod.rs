//! OAuth 1.0a from the server's side: what a request's signature must be (RFC 5849 section 3.4, reference 6.2).

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Names and values, decoded.
pub type Pairs = Vec<(String, String)>;

/// Encodes everything but `A-Z a-z 0-9 - . _ ~`, in upper-case hex.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    encoded
}

/// Undoes percent escapes; one that is cut short or not hex stands for itself.
pub fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if let (b'%', Some((hex, tail))) = (first, after.split_at_checked(2))
            && let Ok(hex) = std::str::from_utf8(hex)
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
            && let Ok(byte) = u8::from_str_radix(hex, 16)
        {
            bytes.push(byte);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a query or a form body, where `+` is a space.
pub fn form_pairs(text: &str) -> Pairs {
    let decode = |part: &str| percent_decode(&part.replace('+', " "));
    let parts = text.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The first value with that name.
pub fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|pair| pair.0 == name).map(|pair| &*pair.1)
}

/// The signature base string. `url` has no query; `parameters` are those of query, form body and header,
/// of which `oauth_signature` and `realm` are left out. Every other one that begins with `oauth_` is included.
pub fn base_string(method: &str, url: &str, parameters: &[(String, String)]) -> String {
    let mut encoded: Vec<(String, String)> = parameters
        .iter()
        .filter(|(name, _)| name != "oauth_signature" && name != "realm")
        .map(|(name, value)| (percent_encode(name), percent_encode(value)))
        .collect();
    encoded.sort();
    let joined: Vec<String> =
        encoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "{}&{}&{}",
        method.to_ascii_uppercase(),
        percent_encode(url),
        percent_encode(&joined.join("&"))
    )
}

/// Whether `signature` signs the base string with the two secrets; the token's is empty if there is no token.
pub fn holds(base: &str, consumer_secret: &str, token_secret: &str, signature: &str) -> bool {
    let key = format!("{}&{}", percent_encode(consumer_secret), percent_encode(token_secret));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    BASE64.decode(signature).is_ok_and(|tag| hmac::verify(&key, base.as_bytes(), &tag).is_ok())
}

/// `oauth_body_hash` of a body.
pub fn body_hash(body: &[u8]) -> String {
    BASE64.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, body))
}

#[cfg(test)]
mod tests;
