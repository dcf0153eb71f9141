//! What an answer says about the credentials that the call used (reference 4.1, 4.2, 6.8).

use hyper::StatusCode;

use crate::upstream::Credential;
use crate::upstream::failure::Failure;

/// Which party is at fault for an answer, as far as the gateway has to act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing is known against the credentials.
    Fine,
    /// The bearer token is not valid any more; a new one may be.
    BearerRejected,
    /// The user's token is not valid any more.
    AccountRevoked,
    /// X has suspended or locked the user.
    AccountBlocked,
    /// The app's keys are wrong, or X has suspended the app.
    AppRejected,
    /// X has not enabled the app for these endpoints.
    AppNotEnabled,
    /// The signature's time was refused.
    ClockRejected,
}

impl Verdict {
    /// Reads an answer; only failures are examined.
    pub(super) fn of(status: StatusCode, text: &[u8], credential: Credential<'_>) -> Verdict {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Verdict::Fine;
        }
        let failure = Failure::read(text);
        let user = matches!(credential, Credential::User(..));
        let unauthorized = status == StatusCode::UNAUTHORIZED;
        if failure.has_code(135) {
            Verdict::ClockRejected
        } else if failure.has_code(32) || failure.has_code(99) || failure.has_code(416) {
            Verdict::AppRejected
        } else if failure.says("application id is not authorized") {
            Verdict::AppNotEnabled
        } else if user && (failure.has_code(64) || failure.has_code(326)) {
            Verdict::AccountBlocked
        } else if user
            && (failure.has_code(89) || unauthorized && failure.says("access token not found"))
        {
            Verdict::AccountRevoked
        } else if matches!(credential, Credential::Bearer(_)) && unauthorized {
            Verdict::BearerRejected
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{App, AppOnly, Secret};
    use crate::upstream::Token;

    #[test]
    fn whose_fault_an_answer_shows() {
        let app = App {
            name: "main".to_owned(),
            consumer_key: "key".to_owned(),
            consumer_secret: Secret::from("secret"),
            bearer_token: None,
            app_only: AppOnly::Bearer,
            lookup: false,
            account_limit: None,
            quota: crate::model::quota::Quota::default(),
        };
        let token = Token { token: Secret::from("7-t"), secret: Secret::from("s") };
        let (bearer, user) = (Secret::from("b"), Credential::User(&app, &token));
        let (bearer, two_legged) = (Credential::Bearer(&bearer), Credential::TwoLegged(&app));
        let coded = |code: i64| format!(r#"{{"errors":[{{"code":{code},"message":"x"}}]}}"#);
        let gone = r#"{"errors":["Your account could not be authenticated. Reason: Access token not found"]}"#;
        for (status, body, credential, expected) in [
            (200, coded(89), user, Verdict::Fine),
            (401, coded(89), user, Verdict::AccountRevoked),
            (403, coded(89), user, Verdict::AccountRevoked),
            (401, gone.to_owned(), user, Verdict::AccountRevoked),
            (403, coded(64), user, Verdict::AccountBlocked),
            (403, coded(326), user, Verdict::AccountBlocked),
            (401, coded(32), user, Verdict::AppRejected),
            (401, coded(416), user, Verdict::AppRejected),
            (403, coded(99), bearer, Verdict::AppRejected),
            (
                403,
                r#"{"errors":["Your application id is not authorized."]}"#.to_owned(),
                bearer,
                Verdict::AppNotEnabled,
            ),
            (401, coded(135), user, Verdict::ClockRejected),
            (401, coded(89), bearer, Verdict::BearerRejected),
            (401, gone.to_owned(), bearer, Verdict::BearerRejected),
            (403, coded(64), bearer, Verdict::Fine),
            (401, coded(89), two_legged, Verdict::Fine),
            (
                403,
                r#"{"errors":["Forbidden to access tweets: 1"]}"#.to_owned(),
                user,
                Verdict::Fine,
            ),
            (
                401,
                r#"<errors><error code="89">x</error></errors>"#.to_owned(),
                user,
                Verdict::AccountRevoked,
            ),
            (401, "<html>".to_owned(), user, Verdict::Fine),
            (401, String::new(), user, Verdict::Fine),
            (401, r#"{"errors":[7,null,{"message":"no code"}]}"#.to_owned(), user, Verdict::Fine),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                Verdict::of(status, body.as_bytes(), credential),
                expected,
                "{status} {body}"
            );
        }
    }
}
