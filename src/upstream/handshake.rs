//! The three-legged flow's calls (reference 6.4): a request token, and its exchange for a user's access token.

use std::borrow::Cow;
use std::collections::BTreeMap;

use form_urlencoded::parse;
use hyper::{HeaderMap, StatusCode};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH};
use zeroize::Zeroizing;

use crate::model::account::is_screen_name;
use crate::model::{App, Secret, UserId};
use crate::oauth1::{Request, percent_encode};
use crate::upstream::failure::Failure;
use crate::upstream::{Credential, Error, Token, Upstream};

/// Why a step of a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("X has not approved this callback URL for the app")]
    CallbackNotApproved,
    #[error("X rejected the signature's timestamp")]
    ClockRejected,
    #[error("X has suspended the app")]
    AppSuspended,
    #[error("X rejected the app's consumer key and secret")]
    AppRejected,
    #[error("X no longer accepts the request token or the verifier")]
    NotValid,
    #[error("X cannot do this now: it answered {0}")]
    Busy(StatusCode),
    #[error("X's response cannot be trusted: {0}")]
    Odd(&'static str),
    #[error(transparent)]
    Upstream(#[from] Error),
}

/// X's answer for a request token that the user approved.
pub struct Granted {
    pub token: Token,
    pub user_id: UserId,
    /// Left out by older versions of X's answer.
    pub screen_name: Option<String>,
}

impl Upstream {
    /// Asks for a request token. `callback` is the URL that X sends the user back to, or `oob` for a PIN.
    pub async fn request_token(&self, app: &App, callback: &str) -> Result<Token, HandshakeError> {
        let url = format!("{}/oauth/request_token", self.api_url);
        let signed = Request { callback: Some(callback), ..Request::post(&url) };
        let used = self.skew.seconds();
        let (mut status, headers, mut body) =
            self.step(&signed, Credential::TwoLegged(app)).await?;
        // Retrying does no harm: an unused request token expires by itself.
        if status != StatusCode::OK
            && matches!(refusal(status, &body), HandshakeError::ClockRejected)
            && self.skew.correct(&headers, self.clock.now(), used)
        {
            (status, _, body) = self.step(&signed, Credential::TwoLegged(app)).await?;
        }
        match status {
            StatusCode::OK => read_request_token(&body),
            _ => Err(refusal(status, &body)),
        }
    }

    /// The page on which X asks the user to approve a request token.
    pub fn authorize_url(&self, request_token: &Secret) -> String {
        let token = percent_encode(request_token.expose());
        format!("{}/oauth/authorize?oauth_token={token}", self.api_url)
    }

    /// Exchanges a request token that the user approved. Never retried: X takes a verifier only once.
    pub async fn access_token(
        &self,
        app: &App,
        request_token: &Token,
        verifier: &str,
    ) -> Result<Granted, HandshakeError> {
        let url = format!("{}/oauth/access_token", self.api_url);
        let signed = Request { verifier: Some(verifier), ..Request::post(&url) };
        let (status, _, body) = self.step(&signed, Credential::User(app, request_token)).await?;
        match status {
            StatusCode::OK => read_granted(&body),
            _ => Err(match refusal(status, &body) {
                // X has many ways to say that a token or a verifier is not valid (reference 6.4).
                HandshakeError::AppRejected if !Failure::read(&body).has_code(32) => {
                    HandshakeError::NotValid
                }
                other => other,
            }),
        }
    }

    async fn step(
        &self,
        signed: &Request<'_>,
        credential: Credential<'_>,
    ) -> Result<(StatusCode, HeaderMap, Zeroizing<Vec<u8>>), Error> {
        let authorization = self.authorization(signed, credential);
        let request = self.tokens.post(signed.url).header(AUTHORIZATION, authorization);
        self.ask(request.header(CONTENT_LENGTH, 0)).await
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> HandshakeError {
    let failure = Failure::read(body);
    // X gives no code when an app has no callback URL at all.
    let has_no_callback = failure.says("desktop applications only support");
    if failure.has_code(415) || failure.has_code(417) || has_no_callback {
        HandshakeError::CallbackNotApproved
    } else if failure.has_code(135) {
        HandshakeError::ClockRejected
    } else if failure.has_code(416) {
        HandshakeError::AppSuspended
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        HandshakeError::AppRejected
    } else if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        HandshakeError::Busy(status)
    } else {
        HandshakeError::Odd("its status is not one that this step can have")
    }
}

fn read_request_token(body: &[u8]) -> Result<Token, HandshakeError> {
    let fields = fields(body)?;
    // Without it X would not send the user back to the requested callback.
    match fields.get("oauth_callback_confirmed").map(|value| &**value) {
        Some("true") => token(&fields),
        _ => Err(HandshakeError::Odd("it does not confirm the callback")),
    }
}

fn read_granted(body: &[u8]) -> Result<Granted, HandshakeError> {
    let fields = fields(body)?;
    let (token, odd) = (token(&fields)?, HandshakeError::Odd);
    let prefix = token.token.expose().split_once('-').and_then(|(id, _)| UserId::parse(id));
    let user_id = prefix.ok_or(odd("its access token does not begin with a user id"))?;
    if fields.get("user_id").is_some_and(|id| UserId::parse(id) != Some(user_id)) {
        return Err(odd("its access token is another user's"));
    }
    let screen_name = fields.get("screen_name").map(ToString::to_string);
    if screen_name.as_deref().is_some_and(|name| !is_screen_name(name)) {
        return Err(odd("its screen name is not valid"));
    }
    Ok(Granted { token, user_id, screen_name })
}

type Fields<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

fn fields(body: &[u8]) -> Result<Fields<'_>, HandshakeError> {
    let mut fields = Fields::new();
    for (name, value) in parse(body.trim_ascii()) {
        if fields.insert(name, value).is_some() {
            return Err(HandshakeError::Odd("a field occurs twice"));
        }
    }
    Ok(fields)
}

fn token(fields: &Fields<'_>) -> Result<Token, HandshakeError> {
    let part = |name: &str| {
        let text = fields.get(name).map(|value| &**value).unwrap_or_default();
        let plain =
            (1..=250).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        plain.then(|| Secret::from(text)).ok_or(HandshakeError::Odd("it has no token"))
    };
    Ok(Token { token: part("oauth_token")?, secret: part("oauth_token_secret")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_texts_say_what_is_wrong() {
        use HandshakeError as It;
        let unapproved = r#"<?xml version="1.0" encoding="UTF-8"?><errors><error code="415">Callback URL not approved</error></errors>"#;
        let none = "<hash><error>Desktop applications only support the oauth_callback value 'oob'</error></hash>";
        let is = |status: u16, body: &str, wanted: fn(&It) -> bool| {
            let status = StatusCode::from_u16(status).unwrap();
            wanted(&refusal(status, body.as_bytes()))
        };
        assert!(is(403, unapproved, |error| matches!(error, It::CallbackNotApproved)));
        assert!(is(403, r#"{"errors":[{"code":415}]}"#, |error| matches!(
            error,
            It::CallbackNotApproved
        )));
        assert!(is(401, none, |error| matches!(error, It::CallbackNotApproved)));
        let coded = |code: i64| format!("<errors><error code=\"{code}\">x</error></errors>");
        assert!(is(401, &coded(135), |error| matches!(error, It::ClockRejected)));
        assert!(is(401, &coded(416), |error| matches!(error, It::AppSuspended)));
        assert!(is(401, &coded(32), |error| matches!(error, It::AppRejected)));
        assert!(is(503, "<html>", |error| matches!(error, It::Busy(_))));
        assert!(is(404, "<html>", |error| matches!(error, It::Odd(_))));
    }

    #[test]
    fn only_a_whole_answer_is_a_request_token() {
        let right = "oauth_token=a-1&oauth_token_secret=s%2B&oauth_callback_confirmed=true\n";
        let token = read_request_token(right.as_bytes()).ok().unwrap();
        assert_eq!((token.token.expose(), token.secret.expose()), ("a-1", "s+"));
        for wrong in [
            "",
            "<html>Over capacity</html>",
            r#"{"oauth_token":"a","oauth_token_secret":"s","oauth_callback_confirmed":"true"}"#,
            "oauth_token=a&oauth_token_secret=s",
            "oauth_token=a&oauth_token_secret=s&oauth_callback_confirmed=false",
            "oauth_token=a&oauth_token_secret=s&oauth_callback_confirmed=tru",
            "oauth_token=a&oauth_callback_confirmed=true",
            "oauth_token=&oauth_token_secret=s&oauth_callback_confirmed=true",
            "oauth_token=a&oauth_token=b&oauth_token_secret=s&oauth_callback_confirmed=true",
            "oauth_token=a%0Ab&oauth_token_secret=s&oauth_callback_confirmed=true",
        ] {
            assert!(read_request_token(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_users_own_token_is_granted() {
        let read = |body: &str| read_granted(body.as_bytes());
        let whole = read("oauth_token=12-x&oauth_token_secret=s&user_id=12&screen_name=al_1").ok();
        let whole = whole.unwrap();
        assert_eq!(
            (whole.user_id.to_string(), whole.screen_name.as_deref()),
            ("12".to_owned(), Some("al_1"))
        );
        assert!(read("oauth_token=12-x&oauth_token_secret=s").ok().unwrap().screen_name.is_none());
        for wrong in [
            "oauth_token=12-x",
            "oauth_token=x&oauth_token_secret=s&user_id=12&screen_name=a",
            "oauth_token=12-x&oauth_token_secret=s&user_id=13&screen_name=a",
            "oauth_token=12-x&oauth_token_secret=s&user_id=&screen_name=a",
            "oauth_token=12-x&oauth_token_secret=s&user_id=12&screen_name=%3Cb%3E",
            "oauth_token=12-x&oauth_token_secret=s&user_id=12&user_id=12&screen_name=a",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
