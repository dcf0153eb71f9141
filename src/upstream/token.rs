//! What is asked seldom: minting a bearer token and checking an account (reference 6.1, 6.5).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::http::HeaderValue;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config;
use crate::model::account::is_screen_name;
use crate::model::{App, Secret, UserId};
use crate::oauth1::{Request, percent_encode};
use crate::upstream::failure::Failure;
use crate::upstream::retry_after::retry_after;
use crate::upstream::{Credential, Error, SetupError, Token, Upstream, Verdict, body};

/// No answer of these endpoints comes near this.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const VERIFY_PATH: &str = "/1.1/account/verify_credentials.json";

/// Why no bearer token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("X refused the app's consumer key and secret (status {status}{})", shown(*code))]
    Refused { status: u16, code: Option<i64> },
    #[error("X answered the token request with status {status} and without a bearer token")]
    Odd { status: u16, retry_after: Option<Duration> },
    #[error(transparent)]
    Upstream(#[from] Error),
}

/// Why an account could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("X answered the check with status {0}")]
    Odd(u16),
    #[error(transparent)]
    Upstream(#[from] Error),
}

/// An answer's status, headers and body.
pub(super) type Whole = (StatusCode, HeaderMap, Zeroizing<Vec<u8>>);

fn shown(code: Option<i64>) -> String {
    code.map(|it| format!(", code {it}")).unwrap_or_default()
}

/// What X says of the user whose token it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    pub user_id: UserId,
    pub screen_name: String,
    /// A protected user's posts never yield metrics (reference 2.2).
    pub protected: bool,
}

#[derive(Deserialize)]
struct Minted {
    token_type: String,
    access_token: String,
}

#[derive(Deserialize)]
struct Verified {
    id_str: String,
    screen_name: String,
    #[serde(default)]
    protected: bool,
}

impl Upstream {
    /// Asks for the app's bearer token; X gives the same one until it is invalidated.
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
            Ok(it)
                if status == StatusCode::OK
                    && it.token_type == "bearer"
                    && !it.access_token.is_empty() =>
            {
                Ok(Secret::new(it.access_token))
            }
            _ => {
                Err(MintError::Odd { status: status.as_u16(), retry_after: retry_after(&headers) })
            }
        }
    }

    /// Asks X whose token it is. The `Err` of the inner result is what the answer says of the credentials.
    pub async fn verify_account(
        &self,
        app: &App,
        token: &Token,
    ) -> Result<Result<Profile, Verdict>, VerifyError> {
        let url = format!("{}{VERIFY_PATH}", self.api_url);
        let parameters = [("include_entities", "false"), ("skip_status", "true")];
        let credential = Credential::User(app, token);
        for attempt in [1, 2] {
            let signed = Request {
                method: "GET",
                url: &url,
                parameters: &parameters,
                callback: None,
                verifier: None,
            };
            let used = self.skew.seconds();
            let authorization = self.authorization(&signed, credential);
            let query = "include_entities=false&skip_status=true";
            let request =
                self.tokens.get(format!("{url}?{query}")).header(AUTHORIZATION, authorization);
            let (status, headers, body) = self.ask(request).await?;
            if status == StatusCode::OK {
                return read_profile(&body).map(Ok).ok_or(VerifyError::Odd(200));
            }
            match Verdict::of(status, &body, credential) {
                Verdict::Fine => return Err(VerifyError::Odd(status.as_u16())),
                Verdict::ClockRejected
                    if attempt == 1 && self.skew.correct(&headers, self.clock.now(), used) => {}
                verdict => return Ok(Err(verdict)),
            }
        }
        Ok(Err(Verdict::ClockRejected))
    }

    /// Sends a request of the seldom kind and reads its whole answer.
    pub(super) async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Whole, Error> {
        self.ask_for(request, MAX_ANSWER_BYTES).await
    }

    /// The same for an answer of at most so many bytes.
    pub(super) async fn ask_for(
        &self,
        request: reqwest::RequestBuilder,
        most_bytes: usize,
    ) -> Result<Whole, Error> {
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.skew.observe(&headers, self.clock.now());
        let mut body = Zeroizing::new(Vec::with_capacity(1024));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > most_bytes {
                return Err(Error::TooLarge("no answer of this kind is as long"));
            }
            body.extend_from_slice(&chunk);
        }
        let body = decoded(&headers, body, most_bytes)?;
        Ok((status, headers, body))
    }
}

/// A body without the encoding that it has though nobody asked for one.
fn decoded(
    headers: &HeaderMap,
    body: Zeroizing<Vec<u8>>,
    most_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    match headers.get(CONTENT_ENCODING) {
        Some(it) if body::is_gzip(it) => body::inflate_short(&body, most_bytes),
        Some(it) if !body::is_plain(it) => {
            Err(Error::Odd("its encoding is neither gzip nor identity".to_owned()))
        }
        _ => Ok(body),
    }
}

/// The client for what is asked seldom; no redirects and no proxies, since credentials travel with each request.
pub(super) fn client(
    settings: &config::Upstream,
    limits: &config::Limits,
) -> Result<reqwest::Client, SetupError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(uses_tls(settings))?)
        .https_only(!settings.allow_http)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(limits.upstream_connect)
        .read_timeout(limits.upstream_first_byte)
        .timeout(limits.upstream_total)
        // A kept connection may be closing, and the exchange of a verifier cannot be sent again.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| SetupError::Tls(Box::new(error)))
}

/// Whether any URL of the upstream needs TLS.
pub(super) fn uses_tls(settings: &config::Upstream) -> bool {
    [&settings.data_url, &settings.api_url].iter().any(|it| it.starts_with("https:"))
}

/// TLS with the system's own trust. Where it is not used no certificate is read.
pub(super) fn tls(is_used: bool) -> Result<rustls::ClientConfig, SetupError> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Tls(Box::new(error)))?;
    if !is_used {
        let nobody = rustls::RootCertStore::empty();
        return Ok(builder.with_root_certificates(nobody).with_no_client_auth());
    }
    let builder =
        builder.with_platform_verifier().map_err(|error| SetupError::Tls(Box::new(error)))?;
    Ok(builder.with_no_client_auth())
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

fn read_profile(body: &[u8]) -> Option<Profile> {
    let it: Verified = serde_json::from_slice(body).ok()?;
    let user_id = UserId::parse(&it.id_str)?;
    is_screen_name(&it.screen_name).then_some(Profile {
        user_id,
        screen_name: it.screen_name,
        protected: it.protected,
    })
}

fn unreachable(error: reqwest::Error) -> Error {
    if error.is_timeout() {
        Error::Timeout("a token or account request")
    } else if error.is_body() || error.is_decode() {
        Error::CutShort("the connection ended before the body did")
    } else {
        Error::Unreachable(Box::new(error.without_url()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppOnly;

    #[test]
    fn a_refusal_says_its_code_in_plain_words() {
        let said = |code| MintError::Refused { status: 403, code }.to_string();
        let refused = "X refused the app's consumer key and secret";
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
        };
        let expected = "Basic eHZ6MWV2RlM0d0VFUFRHRUZQSEJvZzpMOHFxOVBaeVJnNmllS0dFS2hab2xHQzB2SldMdzhpRUo4OERSZHlPZw==";
        assert_eq!(basic(&app).to_str().unwrap(), expected);
        assert!(basic(&app).is_sensitive());
    }
}
