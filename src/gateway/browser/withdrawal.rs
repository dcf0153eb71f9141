//! Withdrawing tokens before they end: all of a key's, or those of one subject. Tokens are stored nowhere, so what is
//! remembered is the time up to which those made are refused.

use std::collections::HashMap;

use arc_swap::ArcSwapOption;
use time::OffsetDateTime;

use crate::gateway::key::whole_second;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::browser::{LEEWAY, LONGEST_LIFE, check_subject};
use crate::model::key::{Key, Right};
use crate::store::{self, StoredKey, Withdrawal};

/// The most subjects of a key that can be withdrawn one by one within the longest life of a token.
const MOST_SUBJECTS: i64 = 200;
/// The most withdrawals held in memory, at some 200 bytes each.
const MOST: u32 = 100_000;

/// By key and subject, the time up to which tokens made are refused, in seconds since 1970.
type Times = HashMap<Box<str>, HashMap<Box<str>, i64>>;

/// What was withdrawn and may still live.
#[derive(Default)]
pub(in crate::gateway) struct Withdrawals(ArcSwapOption<Times>);

/// A withdrawal that has been made.
#[derive(Clone, Debug)]
pub struct Withdrawn {
    pub key: Key,
    /// `None` for all of the key's tokens.
    pub subject: Option<String>,
    /// Tokens made later are good.
    pub tokens_after: OffsetDateTime,
    /// Whether any question is on record that was asked with the subject's tokens. If not, its name may be misspelt.
    pub has_asked: bool,
}

impl Withdrawals {
    /// Whether a token of that key and subject, made at that time, was withdrawn.
    pub(in crate::gateway) fn cover(&self, key_id: &str, subject: &str, made_at: i64) -> bool {
        let times = self.0.load();
        let Some(of_key) = times.as_ref().and_then(|times| times.get(key_id)) else { return false };
        ["", subject].iter().any(|whose| of_key.get(*whose).is_some_and(|until| made_at <= *until))
    }
}

impl Gateway {
    /// Withdraws the tokens that a key has made, or those of one subject; the key is given by its id, its name if it is
    /// not revoked, or its whole text.
    pub async fn withdraw_tokens(
        &self,
        named: &str,
        subject: Option<String>,
        actor: &str,
    ) -> Result<Withdrawn, Error> {
        self.withdraw(self.find_named_key(named).await?, subject, actor).await
    }

    /// The same for a key given by its id alone.
    pub async fn withdraw_tokens_by_id(
        &self,
        id: &str,
        subject: Option<String>,
        actor: &str,
    ) -> Result<Withdrawn, Error> {
        self.withdraw(self.get_stored_key(id).await?, subject, actor).await
    }

    async fn withdraw(
        &self,
        stored: StoredKey,
        subject: Option<String>,
        actor: &str,
    ) -> Result<Withdrawn, Error> {
        if let Some(Err(wrong)) = subject.as_deref().map(check_subject) {
            return Err(Detail::at("/subject", wrong).into());
        }
        let key = self.trusted(stored).map_err(|unreadable| {
            let why = format!("its tokens are refused already: {}", unreadable.why);
            Error::from(Detail::at("", why))
        })?;
        if !key.scopes.rights.contains(&Right::Browser) {
            return Err(
                Detail::at("", "the key makes no tokens; there are none to withdraw").into()
            );
        }
        if let Some(subject) = &subject {
            let (of_key, all) = self.0.store.count_other_withdrawals(&key.id, subject).await?;
            if of_key >= MOST_SUBJECTS || all >= i64::from(MOST / 2) {
                let detail = "so many subjects' tokens were withdrawn of late that no more are noted one by one; withdraw all of the key's, without a subject";
                return Err(Detail::at("/subject", detail).into());
            }
        }
        let now = whole_second(self.now());
        let whose = subject.as_ref().map_or("all".to_owned(), |subject| format!("of {subject:?}"));
        let detail = format!("key {:?}: {whose}", key.name);
        let withdrawal = Withdrawal {
            key_id: key.id.clone(),
            subject: subject.clone().unwrap_or_default(),
            tokens_after: now.unix_timestamp(),
        };
        self.0.store.insert_withdrawal(&withdrawal, &detail, actor, now).await?;
        let has_asked = match &subject {
            Some(subject) => self.has_asked(&key.id, subject).await,
            None => true,
        };
        // The withdrawal stands: if it cannot be read now, it is once the database answers.
        self.0.browsers_due.note();
        let _ = self.learn_due_browsers().await;
        Ok(Withdrawn { key, subject, tokens_after: now, has_asked })
    }

    /// Reads what was withdrawn.
    pub(in crate::gateway) async fn learn_withdrawals(&self) -> Result<(), store::Error> {
        let known = self.0.withdrawals.0.load();
        // Whoever has just withdrawn it may have a clock that is behind ours.
        let at_least = self.now().unix_timestamp() - 1;
        let is_first = known.is_none();
        let mut times = Times::new();
        for Withdrawal { key_id, subject, tokens_after } in
            self.0.store.list_withdrawals(MOST).await?
        {
            let before = known.as_ref().and_then(|known| known.get(&*key_id)?.get(&*subject));
            let until = match before {
                Some(before) if *before >= tokens_after => *before,
                _ if is_first => tokens_after,
                _ => tokens_after.max(at_least),
            };
            times.entry(key_id.into()).or_default().insert(subject.into(), until);
        }
        self.0.withdrawals.0.store(Some(times.into()));
        Ok(())
    }

    /// Forgets withdrawals of tokens that have ended meanwhile, and which vault keys are needed for such.
    pub(in crate::gateway) async fn prune_tokens(&self) -> Result<(), store::Error> {
        let now = self.now().unix_timestamp();
        // Twice as long as needed, since the clocks of other replicas may be behind ours.
        let longest = i64::try_from((LONGEST_LIFE + LEEWAY).as_secs()).unwrap_or(i64::MAX);
        self.0.store.prune_tokens(now - 2 * longest, now - longest).await
    }
}
