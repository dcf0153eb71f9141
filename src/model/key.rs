//! The keys of callers and admins: their format, their checksum, and what they may be used for.

use std::collections::BTreeSet;
use std::fmt;

use time::OffsetDateTime;

use crate::model::{Endpoint, Origin, Secret, UserId};

const ID_LENGTH: usize = 12;
/// 43 base62 digits hold 256 bits.
const SECRET_LENGTH: usize = 43;
pub const CHECK_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many random base62 digits a new key takes.
pub const RANDOM_LENGTH: usize = ID_LENGTH + SECRET_LENGTH;

/// Which listener a key opens, as its prefix shows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// An internal service, on the callers' listener.
    Caller,
    /// A person or script that administers, on the operators' listener.
    Admin,
}

impl Kind {
    /// The kind of key whose prefix `text` has.
    pub fn of(text: &str) -> Option<Kind> {
        [Kind::Caller, Kind::Admin].into_iter().find(|kind| text.starts_with(kind.prefix()))
    }

    pub const fn prefix(self) -> &'static str {
        match self {
            Kind::Caller => "csk_",
            Kind::Admin => "csa_",
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Caller => "caller",
            Kind::Admin => "admin",
        }
    }
}

/// What the holder of a key is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Role {
    /// An internal service.
    #[default]
    Caller,
    /// An admin who may do everything.
    Owner,
    /// An admin who may see everything and change nothing.
    Auditor,
    /// Somebody who explores posts and sees usage, and nothing else.
    Analyst,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Caller, Role::Owner, Role::Auditor, Role::Analyst];

    pub const fn kind(self) -> Kind {
        match self {
            Role::Caller => Kind::Caller,
            Role::Owner | Role::Auditor | Role::Analyst => Kind::Admin,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Role::Caller => "caller",
            Role::Owner => "owner",
            Role::Auditor => "auditor",
            Role::Analyst => "analyst",
        }
    }

    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Something that a key may do besides what its role permits, if it was created with that right.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Right {
    /// Create links with which users connect the accounts that the key may name.
    CreateLinks,
    /// Make tokens for pages of its origins.
    Browser,
    /// Be sent by a browser from another site, where anybody who uses the page can read it.
    InBrowsers,
    /// Explore posts in the console.
    Explore,
}

impl Right {
    pub const ALL: [Right; 4] =
        [Right::CreateLinks, Right::Browser, Right::InBrowsers, Right::Explore];

    /// The rights that a key of that role may be created with.
    pub const fn of(role: Role) -> &'static [Right] {
        match role {
            Role::Caller => &[Right::CreateLinks, Right::Browser, Right::InBrowsers],
            Role::Auditor => &[Right::Explore],
            Role::Owner | Role::Analyst => &[],
        }
    }

    /// The name in JSON, in forms, in the database and in seals. Its flag has `-` for `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Right::CreateLinks => "create_links",
            Right::Browser => "browser",
            Right::InBrowsers => "in_browsers",
            Right::Explore => "explore",
        }
    }

    /// What the key may do, in lists.
    pub const fn words(self) -> &'static str {
        match self {
            Right::CreateLinks => "create links",
            Right::Browser => "make tokens for browsers",
            Right::InBrowsers => "be sent by browsers",
            Right::Explore => "explore posts in the console",
        }
    }

    /// What the key may do, where the right is chosen.
    pub const fn about(self) -> &'static str {
        match self {
            Right::CreateLinks => "create links with which users connect these accounts",
            Right::Browser => "make tokens for pages of the origins below",
            Right::InBrowsers => {
                "be sent by browsers from other sites, although whoever opens the page can read it"
            }
            Right::Explore => "explore posts in the console, which uses X's quota",
        }
    }

    pub fn from_name(name: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.name() == name)
    }
}

/// A key as presented, its checksum already right: `csk_<12 id>_<43 secret><6 checksum>`.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    pub kind: Kind,
    pub id: &'a str,
    /// Everything that proves the key: the whole text.
    pub proof: &'a str,
}

impl<'a> Presented<'a> {
    /// Reads a key; `None` when the form or the checksum is wrong, which needs no database to know.
    pub fn parse(text: &'a str) -> Option<Presented<'a>> {
        let kind = Kind::of(text)?;
        let (id, rest) = text.get(kind.prefix().len()..)?.split_once('_')?;
        let is_base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if id.len() != ID_LENGTH
            || rest.len() != SECRET_LENGTH + CHECK_LENGTH
            || !is_base62(id)
            || !is_base62(rest)
        {
            return None;
        }
        let (body, check) = text.split_at_checked(text.len() - CHECK_LENGTH)?;
        (check.as_bytes() == checksum(body)).then_some(Presented { kind, id, proof: text })
    }
}

/// Composes a new key from random base62 digits; returns its id and its whole text.
pub fn compose(kind: Kind, digits: &[u8; RANDOM_LENGTH]) -> (String, Secret) {
    let digits = std::str::from_utf8(digits).expect("base62 digits are ASCII");
    let (id, secret) = digits.split_at(ID_LENGTH);
    let mut text = format!("{}{id}_{secret}", kind.prefix());
    text.extend(checksum(&text).map(char::from));
    (id.to_owned(), Secret::new(text))
}

/// Turns random bytes into base62 digits, skipping those that would favour some digits.
pub fn base62_digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes
        .iter()
        .filter_map(|byte| (*byte < 248).then(|| BASE62.get(usize::from(byte % 62)).copied())?)
}

/// The last digits of a key's text, by which a made-up or mistyped key is recognised without a look-up.
pub fn checksum(body: &str) -> [u8; CHECK_LENGTH] {
    let mut left = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECK_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((left % 62) as usize).copied().unwrap_or(b'0');
        left /= 62;
    }
    digits
}

/// What a caller's key may be used for; an admin key has none of these.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scopes {
    /// The app whose credentials it uses.
    pub app: Option<String>,
    /// The accounts it may name, or `None` for all of the app's.
    pub accounts: Option<Vec<UserId>>,
    /// The endpoints it may call, or `None` for all.
    pub endpoints: Option<Vec<Endpoint>>,
    pub rights: BTreeSet<Right>,
    /// The origins of pages for which it may make tokens, each once and in order.
    pub origins: Vec<Origin>,
}

/// The most origins of a key.
pub const MOST_ORIGINS: usize = 20;

/// How much a caller's key may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyLimits {
    /// Its part of X's quota, compared with other keys of the app; 1 to [`MOST_WEIGHT`].
    pub weight: u32,
    /// Requests per minute, over all replicas.
    pub per_minute: Option<u32>,
    /// Requests that one replica handles at once.
    pub at_once: Option<u32>,
}

/// The largest weight of a key.
pub const MOST_WEIGHT: u32 = 1000;

impl Default for KeyLimits {
    fn default() -> KeyLimits {
        KeyLimits { weight: 1, per_minute: None, at_once: None }
    }
}

/// What may be shown of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    pub id: String,
    pub role: Role,
    pub name: String,
    pub scopes: Scopes,
    pub limits: KeyLimits,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
    /// To the hour.
    pub last_used_at: Option<OffsetDateTime>,
}

/// What is known of a key whose row this program cannot read, because it names an endpoint of a later version, say, or
/// something else has changed it. Such a key is refused, and can be revoked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unreadable {
    pub id: String,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub revoked_at: Option<OffsetDateTime>,
    /// What is wrong with it.
    pub why: String,
}

impl Unreadable {
    /// The id of a key in a listing, whether it can be read or not.
    pub fn id_of(listed: &Result<Key, Unreadable>) -> &str {
        listed.as_ref().map_or_else(|unreadable| &unreadable.id, |key| &key.id)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_reads_back() {
        let digits: Vec<u8> = base62_digits(&[7; RANDOM_LENGTH]).collect();
        let (id, key) = compose(Kind::Caller, &digits.try_into().unwrap());
        let read = Presented::parse(key.expose()).unwrap();
        assert_eq!((read.kind, read.id, key.expose().len()), (Kind::Caller, &*id, 66));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let (_, key) = compose(Kind::Admin, &[b'x'; RANDOM_LENGTH]);
        for at in 0..key.expose().len() {
            let mut text = key.expose().as_bytes().to_vec();
            text[at] = if text[at] == b'q' { b'r' } else { b'q' };
            assert!(Presented::parse(std::str::from_utf8(&text).unwrap()).is_none(), "at {at}");
        }
        for wrong in ["", "csk_", "csk_é", "Bearer x", &key.expose()[..65]] {
            assert!(Presented::parse(wrong).is_none());
        }
    }
}
