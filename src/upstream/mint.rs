//! Minting an app's bearer token (reference 6.1).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::http::HeaderValue;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::model::{App, Secret};
use crate::oauth1::percent_encode;
use crate::upstream::failure::Failure;
use crate::upstream::quotas::retry_after;
use crate::upstream::{Error, Upstream};

/// Why no bearer token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("X rejected the app's consumer key and secret (status {status}{})", shown(*code))]
    Refused { status: u16, code: Option<i64> },
    #[error("X answered the token request with status {status} and without a bearer token")]
    Odd { status: u16, retry_after: Option<Duration> },
    #[error(transparent)]
    Upstream(#[from] Error),
}

fn shown(code: Option<i64>) -> String {
    code.map(|code| format!(", code {code}")).unwrap_or_default()
}

#[derive(Deserialize)]
struct Minted {
    token_type: String,
    access_token: String,
}

impl Upstream {
    /// Requests the app's bearer token; X returns the same one until it is invalidated.
    pub async fn mint_bearer(&self, app: &App) -> Result<Secret, MintError> {
        let request = self
            .tokens
            .post(format!("{}/oauth2/token", self.api_url))
            .header(AUTHORIZATION, basic(app))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8")
            .body("grant_type=client_credentials");
        let (status, headers, body) = self.ask(request).await?;
        if matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
        ) {
            let code = Failure::read(&body).codes().next();
            return Err(MintError::Refused { status: status.as_u16(), code });
        }
        match serde_json::from_slice::<Minted>(&body) {
            Ok(minted)
                if status == StatusCode::OK
                    && minted.token_type == "bearer"
                    && !minted.access_token.is_empty() =>
            {
                Ok(Secret::new(minted.access_token))
            }
            _ => {
                Err(MintError::Odd { status: status.as_u16(), retry_after: retry_after(&headers) })
            }
        }
    }
}

/// RFC 1738 encoding, then `Basic` (reference 6.1).
fn basic(app: &App) -> HeaderValue {
    let secret = Zeroizing::new(percent_encode(app.consumer_secret.expose()).into_owned());
    let pair = Zeroizing::new(format!("{}:{}", percent_encode(&app.consumer_key), &*secret));
    let text = Zeroizing::new(format!("Basic {}", &*Zeroizing::new(STANDARD.encode(&*pair))));
    let mut value = HeaderValue::from_str(&text).expect("base64 is a header value");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppOnly;

    #[test]
    fn a_refusal_says_its_code_in_plain_words() {
        let said = |code| MintError::Refused { status: 403, code }.to_string();
        let refused = "X rejected the app's consumer key and secret";
        assert_eq!(said(Some(99)), format!("{refused} (status 403, code 99)"));
        assert_eq!(said(None), format!("{refused} (status 403)"));
    }

    #[test]
    fn basic_is_the_published_example() {
        let app = App {
            name: "main".to_owned(),
            consumer_key: "xvz1evFS4wEEPTGEFPHBog".to_owned(),
            consumer_secret: Secret::from("L8qq9PZyRg6ieKGEKhZolGC0vJWLw8iEJ88DRdyOg"),
            bearer_token: None,
            app_only: AppOnly::Bearer,
            lookup: false,
            account_limit: None,
            quota: crate::model::quota::Quota::default(),
        };
        let expected = "Basic eHZ6MWV2RlM0d0VFUFRHRUZQSEJvZzpMOHFxOVBaeVJnNmllS0dFS2hab2xHQzB2SldMdzhpRUo4OERSZHlPZw==";
        assert_eq!(basic(&app).to_str().unwrap(), expected);
        assert!(basic(&app).is_sensitive());
    }
}
