//! The credentials in an `Authorization` header, before anything is verified.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::sandbox::auth::signature::{Pairs, percent_decode};

/// Credentials as sent.
pub enum Credentials {
    None,
    Basic { key: String, secret: String },
    Bearer(String),
    OAuth(Signed),
    Unknown,
}

/// The parameters of an `OAuth` header, decoded, in the order sent.
pub struct Signed(pub Pairs);

impl Signed {
    /// The parameter's value, or an empty text.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|pair| pair.0 == name).map_or("", |pair| &pair.1)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|pair| pair.0 == name)
    }
}

impl Credentials {
    pub fn read(headers: &HeaderMap) -> Credentials {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let Some(header) = sent.next() else {
            return Credentials::None;
        };
        let text = header.to_str().ok().filter(|_| sent.next().is_none());
        let Some((scheme, rest)) = text.and_then(|text| text.split_once(' ')) else {
            return Credentials::Unknown;
        };
        match &*scheme.to_ascii_lowercase() {
            "basic" => basic(rest).unwrap_or(Credentials::Unknown),
            // The token is taken as it is: its percent escapes are part of it (reference 6.1).
            "bearer" => Credentials::Bearer(rest.trim().to_owned()),
            "oauth" => Credentials::OAuth(Signed(oauth(rest))),
            _ => Credentials::Unknown,
        }
    }

    /// The name of the kind in the list of calls.
    pub fn kind(&self) -> &'static str {
        match self {
            Credentials::Basic { .. } => "basic",
            Credentials::Bearer(_) => "bearer",
            Credentials::OAuth(signed) if signed.get("oauth_token").is_empty() => "two_legged",
            Credentials::OAuth(_) => "user",
            Credentials::None | Credentials::Unknown => "none",
        }
    }
}

/// Key and secret are form-encoded before they are joined (reference 6.1).
fn basic(encoded: &str) -> Option<Credentials> {
    let text = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (key, secret) = text.split_once(':')?;
    Some(Credentials::Basic { key: percent_decode(key), secret: percent_decode(secret) })
}

fn oauth(rest: &str) -> Pairs {
    let parts = rest.split(',').filter_map(|part| part.trim().split_once('='));
    parts
        .map(|(name, value)| (percent_decode(name), percent_decode(value.trim_matches('"'))))
        .collect()
}
