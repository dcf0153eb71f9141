//! Checking the token that a page presents. It needs no query once its key is known, and says of each refusal what the
//! page can do about it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::admission::PageQuestion;
use crate::gateway::browser::claims::{NO_TOKEN, Token};
use crate::gateway::key::KnownKey;
use crate::gateway::key::strangers::network;
use crate::gateway::{Error, Gateway, Wanted};
use crate::model::Freshness;
use crate::model::key::{Kind, Right};

/// A page that asks with a token which is good.
#[derive(Clone)]
pub struct TokenHolder {
    /// The key that made the token.
    pub key: Arc<KnownKey>,
    pub token: Arc<Token>,
}

/// A token that is not accepted, as far as it could be opened.
pub struct RefusedToken {
    pub error: Error,
    pub token: Option<Arc<Token>>,
}

impl Token {
    /// What of a question may be answered by what is known already.
    pub fn freshness(&self) -> Freshness {
        let max_age = Duration::from_secs(self.max_age.into());
        Freshness { max_age, is_own: false }
    }
}

/// Whether a text looks like an origin, and may be repeated.
fn is_shown(origin: &str) -> bool {
    const LONGEST: usize = 200;
    origin.len() <= LONGEST && origin.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Gateway {
    /// Checks a token: its seal, its end, its key, whether it was withdrawn, and the origin that the browser names, in
    /// that order.
    pub async fn check_token(
        &self,
        text: &str,
        origin: Option<&str>,
        from: IpAddr,
    ) -> Result<TokenHolder, RefusedToken> {
        let Some(token) = Token::open(&self.0.vault, text).map(Arc::new) else {
            self.record_page_refusal(NO_TOKEN, None, origin, from);
            return Err(RefusedToken { error: Error::TokenInvalid, token: None });
        };
        match self.check_opened(&token, origin, from).await {
            Ok(key) => Ok(TokenHolder { key, token }),
            Err(error) => Err(RefusedToken { error: error.for_page(), token: Some(token) }),
        }
    }

    /// From when a token is refused for its age, in seconds since 1970.
    pub(in crate::gateway) fn refused_from(&self, token: &Token) -> i64 {
        let leeway = i64::try_from(self.0.browser.leeway.as_secs()).unwrap_or_default();
        token.ends_at.saturating_add(leeway).saturating_add(1)
    }

    async fn check_opened(
        &self,
        token: &Token,
        origin: Option<&str>,
        from: IpAddr,
    ) -> Result<Arc<KnownKey>, Error> {
        if self.now().unix_timestamp() >= self.refused_from(token) {
            return Err(Error::TokenExpired);
        }
        if !self.may_remember() {
            self.0.browsers_due.note();
        }
        self.learn_due_browsers().await?;
        let key = self.find_usable_key(&token.key_id, Kind::Caller).await?;
        let key = key.filter(|known| known.key.scopes.rights.contains(&Right::Browser));
        let is_withdrawn =
            || self.0.withdrawals.cover(&token.key_id, &token.subject, token.made_at);
        let Some(key) = key.filter(|_| !is_withdrawn()) else {
            let why = "the token or its key was withdrawn";
            self.record_page_refusal(why, Some(&token.key_id), origin, from);
            return Err(Error::TokenWithdrawn);
        };
        let is_named = |named: &str| {
            token.origins.iter().any(|origin| **origin == *named)
                && key.key.scopes.origins.iter().any(|origin| origin.as_str() == named)
        };
        if !origin.is_some_and(is_named) {
            let why = "the token is for pages of other origins";
            self.record_page_refusal(why, Some(&token.key_id), origin, from);
            return Err(Error::OriginNotAllowed);
        }
        self.check_limits(token, from)?;
        self.touch(&key);
        Ok(key)
    }

    /// Counts a question against the limits of its token, of the token's holder and of the address.
    fn check_limits(&self, token: &Token, from: IpAddr) -> Result<(), Error> {
        let settings = &self.0.browser;
        let question = PageQuestion {
            token: &token.id,
            key_id: &token.key_id,
            subject: &token.subject,
            address: network(from),
            most_of_token: token.per_minute.unwrap_or(settings.per_minute),
            most_of_address: settings.address_per_minute,
        };
        Ok(self.0.page_limiter.begin(&question)?)
    }

    /// Notes that a browser sent a key from a page, and returns why it is refused.
    pub fn refuse_leaked(&self, known: &KnownKey, origin: Option<&str>, from: IpAddr) -> Error {
        let why = "a browser sent it from another site: it has leaked";
        let origin = origin.filter(|origin| is_shown(origin));
        self.record_refusal_at(Wanted::Call, why, Some(&known.key.id), origin, from);
        Error::KeyLeaked
    }

    /// Notes that a page was refused, with the origin that its browser named.
    pub fn record_page_refusal(
        &self,
        why: &'static str,
        key_id: Option<&str>,
        origin: Option<&str>,
        from: IpAddr,
    ) {
        let origin = origin.filter(|origin| is_shown(origin));
        if let Some(origin) = origin {
            self.0.refused_origins.count(origin);
        }
        self.record_refusal_at(Wanted::Page, why, key_id, origin, from);
    }
}
