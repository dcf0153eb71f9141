//! Checking the key that somebody presents: whether it is proven, whether it has ended, and why it is refused.

use std::net::IpAddr;
use std::sync::Arc;

use crate::gateway::key::KnownKey;
use crate::gateway::{Error, Gateway, Wanted};
use crate::model::key::{Kind, Presented};
use crate::vault;

/// Why a presented key is not looked up at all.
pub(in crate::gateway) const MALFORMED: &str = "it is not a key of that kind";
pub(in crate::gateway) const TOO_MANY: &str = "too many wrong ones from this address";

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Refused {
    Unknown,
    WrongSecret,
    Revoked,
    Expired,
    /// A caller's key where an admin's is required.
    Caller,
}

impl Refused {
    const fn why(self) -> &'static str {
        match self {
            Refused::Unknown => "the key is unknown",
            Refused::WrongSecret => "the secret is wrong",
            Refused::Revoked => "the key has been revoked",
            Refused::Expired => "the key has expired",
            Refused::Caller => "the key is a caller's key",
        }
    }
}

impl Gateway {
    /// Checks the key presented from an address: its checksum without any look-up, then the cache, then the database.
    /// The error does not tell unknown, expired, revoked and altered keys apart; one whose prefix is of the other kind
    /// is not even looked up. An address with many wrong guesses has to wait before keys that are not known to exist
    /// are looked up.
    pub async fn check_key(
        &self,
        text: &str,
        kind: Kind,
        from: IpAddr,
    ) -> Result<Arc<KnownKey>, Error> {
        let presented = Presented::parse(text).filter(|presented| presented.kind == kind);
        let Some(presented) = presented else {
            self.record_refusal(Wanted::Call, MALFORMED, None, from);
            let other = Kind::of(text).filter(|presented| *presented != kind);
            return Err(other.map_or(Error::UnknownKey, |presented| Error::WrongKind { presented }));
        };
        if let Some(known) = self.peek_key(presented.id).await
            && let Ok(known) = self.judge(&presented, Some(known))
        {
            self.touch(&known);
            return Ok(known);
        }
        // Boxed, since it is seldom needed: each call's future would have to make room for it.
        Box::pin(self.check_doubtful(&presented, from)).await
    }

    async fn check_doubtful(
        &self,
        presented: &Presented<'_>,
        from: IpAddr,
    ) -> Result<Arc<KnownKey>, Error> {
        let checked = self.judge_doubtful(presented, from).await;
        let (why, error) = match checked {
            Ok(Ok(known)) => {
                self.touch(&known);
                return Ok(known);
            }
            Ok(Err(refused)) => (refused.why(), Error::UnknownKey),
            Err(error @ Error::TooManyGuesses) => (TOO_MANY, error),
            Err(error) => return Err(error),
        };
        self.record_key_refusal(Wanted::Call, why, presented, from);
        Err(error)
    }

    /// The key, or why it is not accepted. A wrong guess counts against the address.
    async fn judge_doubtful(
        &self,
        presented: &Presented<'_>,
        from: IpAddr,
    ) -> Result<Result<Arc<KnownKey>, Refused>, Error> {
        let (id, guesses) = (presented.id, self.0.strangers.of(presented.kind));
        if self.may_remember() && self.0.keys.is_absent(id) {
            return Ok(Err(Refused::Unknown));
        }
        let doubtful = !self.is_key_known(id);
        let guess = if doubtful { Some(guesses.begin(from).await?) } else { None };
        let judged = self.judge(presented, self.find_key(id).await?);
        if matches!(judged, Err(Refused::Unknown | Refused::WrongSecret)) {
            match guess {
                Some(guess) => guess.was_wrong(),
                None => guesses.begin(from).await?.was_wrong(),
            }
        }
        Ok(judged)
    }

    /// Notes a refusal. Made-up ids are not recorded one by one: there is no end to them.
    fn record_key_refusal(
        &self,
        wanted: Wanted,
        why: &'static str,
        presented: &Presented<'_>,
        from: IpAddr,
    ) {
        let key_id = Some(presented.id).filter(|id| self.is_key_known(id));
        self.record_refusal(wanted, why, key_id, from);
    }

    /// The key presented to sign in, if it is proven and has not ended. `sign_in` has already turned away addresses with
    /// many wrong guesses, and counts this one.
    pub(in crate::gateway) async fn find_sign_in_key(
        &self,
        presented: &Presented<'_>,
        from: IpAddr,
    ) -> Result<Option<Arc<KnownKey>>, Error> {
        let judged = match presented.kind {
            Kind::Admin => self.judge(presented, self.find_key(presented.id).await?),
            Kind::Caller => Err(Refused::Caller),
        };
        match judged {
            Ok(known) => {
                self.touch(&known);
                Ok(Some(known))
            }
            Err(refused) => {
                self.record_key_refusal(Wanted::SignIn, refused.why(), presented, from);
                Ok(None)
            }
        }
    }

    /// The key with that id, if it has not ended.
    pub(in crate::gateway) async fn find_usable_key(
        &self,
        id: &str,
        kind: Kind,
    ) -> Result<Option<Arc<KnownKey>>, Error> {
        let known = self.find_key(id).await?;
        Ok(known.filter(|known| known.key.role.kind() == kind && self.has_ended(known).is_none()))
    }

    /// The known key, if it is proven and has not ended.
    fn judge(
        &self,
        presented: &Presented<'_>,
        known: Option<Arc<KnownKey>>,
    ) -> Result<Arc<KnownKey>, Refused> {
        let known = known.ok_or(Refused::Unknown)?;
        let is_proven = vault::is_same(&vault::fingerprint(presented.proof), &known.fingerprint);
        if !is_proven || known.key.role.kind() != presented.kind {
            return Err(Refused::WrongSecret);
        }
        self.has_ended(&known).map_or(Ok(known), Err)
    }

    fn has_ended(&self, known: &KnownKey) -> Option<Refused> {
        let has_expired = known.key.expires_at.is_some_and(|expiry| expiry <= self.now());
        match known.key.revoked_at {
            Some(_) => Some(Refused::Revoked),
            None => has_expired.then_some(Refused::Expired),
        }
    }
}
