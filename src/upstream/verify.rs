//! Asking X which user an access token belongs to.

use hyper::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use crate::model::account::is_screen_name;
use crate::model::{App, UserId};
use crate::oauth1::Request;
use crate::upstream::{Credential, Error, Token, Upstream, Verdict};

const VERIFY_PATH: &str = "/1.1/account/verify_credentials.json";

/// Why an account could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("X answered the check with status {0}")]
    Odd(u16),
    #[error(transparent)]
    Upstream(#[from] Error),
}

/// The user whom the token belongs to, as X describes them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    pub user_id: UserId,
    pub screen_name: String,
    /// A protected user's posts never yield metrics (reference 2.2).
    pub protected: bool,
}

#[derive(Deserialize)]
struct Verified {
    id_str: String,
    screen_name: String,
    #[serde(default)]
    protected: bool,
}

impl Upstream {
    /// Asks X which user the token belongs to. The inner `Err` is what the answer says about the credentials.
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
}

fn read_profile(body: &[u8]) -> Option<Profile> {
    let verified: Verified = serde_json::from_slice(body).ok()?;
    let user_id = UserId::parse(&verified.id_str)?;
    is_screen_name(&verified.screen_name).then_some(Profile {
        user_id,
        screen_name: verified.screen_name,
        protected: verified.protected,
    })
}
