//! Making a token for a page, by a key that may.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use crate::gateway::browser::claims::Token;
use crate::gateway::key::KnownKey;
use crate::gateway::question::Limits;
use crate::gateway::question::bounds::Bounds;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::browser::{LEEWAY, LONGEST_LIFE, USUAL_LIFE, check_subject};
use crate::model::key::{Right, Scopes};
use crate::model::{Endpoint, Origin, Secret, UserId};
use crate::vault;

const ID_DIGITS: usize = 10;
/// The oldest numbers that a page may accept.
const MOST_AGE: Duration = Duration::from_hours(24);
/// By how much the stored need of a vault key is ahead, so that it is seldom written.
const AHEAD: i64 = 30;

/// A token to make.
#[derive(Clone, Debug, Default)]
pub struct NewToken {
    /// The maker's own name for its holder.
    pub subject: Option<String>,
    /// Where it may be used; all of the key's origins unless said.
    pub origins: Option<Vec<Origin>>,
    /// Ten minutes unless said.
    pub expires_in: Option<Duration>,
    /// The oldest numbers that the page accepts; none that were kept unless said.
    pub max_age: Option<Duration>,
    /// The most questions of a minute, with it and by its holder; the usual number unless said.
    pub per_minute: Option<u32>,
    /// The most calls to X that its questions take in all; any number unless said.
    pub calls: Option<u32>,
    /// The JSON that says what the page may ask.
    pub question: Vec<u8>,
}

/// A token that was made, whose text is not stored.
pub struct CreatedToken {
    pub text: Secret,
    pub id: String,
    pub expires_in: Duration,
    /// When the page should ask for the next one.
    pub renew_in: Duration,
    pub expires_at: OffsetDateTime,
}

/// Until when tokens need the active vault key, as far as that is stored; in seconds since 1970.
#[derive(Default)]
pub(in crate::gateway) struct SealNeeded(AtomicI64);

impl SealNeeded {
    /// Forgets it, since another vault key is the active one now.
    pub(in crate::gateway) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Gateway {
    /// Makes a token that is worth less than the key: for pages of some of its origins, and for one question alone.
    pub async fn create_token(&self, key: &KnownKey, new: NewToken) -> Result<CreatedToken, Error> {
        key.require(Right::Browser)?;
        let now = self.now();
        let bounds = self.check_new_token(key, &new, now)?;
        self.check_author(key, bounds.author).await?;
        let expires_in = new.expires_in.unwrap_or(USUAL_LIFE);
        let origins = new.origins.unwrap_or_else(|| key.key.scopes.origins.clone());
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let made_at = now.unix_timestamp();
        let digits = vault::random_digits::<ID_DIGITS>().map(char::from);
        let token = Token {
            id: format!("bt_{}", String::from_iter(digits)),
            key_id: key.key.id.clone(),
            made_at,
            ends_at: made_at.saturating_add(seconds(expires_in)),
            subject: new.subject.unwrap_or_default(),
            origins: origins.iter().map(|origin| origin.as_str().into()).collect(),
            max_age: new.max_age.map_or(0, |age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX)),
            per_minute: new.per_minute,
            calls: new.calls,
            bounds,
        };
        self.note_seal_needed(token.ends_at.saturating_add(seconds(LEEWAY)), made_at).await?;
        let Some(text) = token.seal(&self.0.vault)? else {
            let detail = "makes the token longer than a request may be; name fewer posts";
            return Err(Detail::at("/question", detail).into());
        };
        metrics::counter!("countersign_browser_tokens_total").increment(1);
        let margin = (expires_in / 10).min(Duration::from_mins(1)).as_secs();
        Ok(CreatedToken {
            text,
            id: token.id,
            expires_in,
            renew_in: Duration::from_secs((expires_in.as_secs() - margin).max(1)),
            expires_at: OffsetDateTime::from_unix_timestamp(token.ends_at).unwrap_or(now),
        })
    }

    fn check_new_token(
        &self,
        key: &KnownKey,
        new: &NewToken,
        now: OffsetDateTime,
    ) -> Result<Bounds, Error> {
        let (mut wrong, mut beyond) = (Vec::new(), Vec::new());
        if let Some(Err(detail)) = new.subject.as_deref().map(check_subject) {
            wrong.push(Detail::at("/subject", detail));
        }
        let is_life = |life: Duration| life >= Duration::from_secs(1) && life <= LONGEST_LIFE;
        if new.expires_in.is_some_and(|life| !is_life(life)) {
            wrong.push(Detail::at("/expires_in", "must be from 1s to 1h"));
        }
        if new.max_age.is_some_and(|age| age > MOST_AGE) {
            wrong.push(Detail::at("/max_age", "must be at most 24h"));
        }
        for (name, most) in [("per_minute", new.per_minute), ("calls", new.calls)] {
            if most == Some(0) {
                wrong.push(Detail::at(&format!("/limits/{name}"), "must be at least 1"));
            }
        }
        if new.origins.as_ref().is_some_and(Vec::is_empty) {
            wrong.push(Detail::at("/origins", "is empty; leave it out for all of the key's"));
        }
        for (index, origin) in new.origins.iter().flatten().enumerate() {
            if !key.key.scopes.origins.contains(origin) {
                let at = format!("/origins/{index}");
                beyond.push(Detail::at(&at, "is none of the origins that the key has"));
            }
        }
        let limits =
            Limits { posts: self.0.limits.question_posts, days: self.0.limits.question_days };
        let bounds = Bounds::read(&new.question, &limits, now).map_err(|problems| {
            wrong.extend(problems.into_iter().map(|problem| problem.within("/question")));
        });
        if !wrong.is_empty() {
            return Err(Error::InvalidRequest(wrong));
        }
        let bounds = bounds.map_err(|()| Error::InvalidRequest(Vec::new()))?;
        let may = |endpoint: Endpoint| {
            key.key.scopes.endpoints.as_ref().is_none_or(|all| all.contains(&endpoint))
        };
        for (index, window) in bounds.windows.iter().flatten().enumerate() {
            if !may(window.endpoint()) {
                let detail = format!("needs {}, which the key may not call", window.endpoint());
                beyond.push(Detail::at(&format!("/question/windows/{index}"), detail));
            }
        }
        if beyond.is_empty() { Ok(bounds) } else { Err(Error::Beyond(beyond)) }
    }

    /// The author is a connected account that the key may use.
    async fn check_author(&self, key: &KnownKey, author: Option<UserId>) -> Result<(), Error> {
        let Some(author) = author else { return Ok(()) };
        let Scopes { app, accounts, .. } = &key.key.scopes;
        let may = accounts.as_ref().is_none_or(|accounts| accounts.contains(&author));
        let app = self.get_app(app.as_deref().unwrap_or_default())?;
        if may && self.find_account(app, author).await?.is_some() {
            return Ok(());
        }
        Err(Detail::at("/question/author", "there is no such account for this key").into())
    }

    /// Stores until when tokens need the active vault key, if that is not known to be stored.
    async fn note_seal_needed(&self, until: i64, now: i64) -> Result<(), Error> {
        let needed = &self.0.seal_needed.0;
        if needed.load(Ordering::Relaxed) >= until {
            return Ok(());
        }
        let longest = i64::try_from((LONGEST_LIFE + LEEWAY).as_secs()).unwrap_or(i64::MAX);
        let ahead =
            until.saturating_add(AHEAD).min(now.saturating_add(longest).saturating_add(AHEAD));
        self.0.store.extend_token_seal(&self.0.vault.active_id(), ahead).await?;
        needed.fetch_max(ahead, Ordering::Relaxed);
        Ok(())
    }
}
