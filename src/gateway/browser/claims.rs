//! What a token says, and its text: sealed with the vault's active key, so that its holder can neither read nor alter
//! it, and nothing has to be stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::gateway::question::bounds::{BoundWindow, Bounds};
use crate::gateway::question::{Grouping, Span};
use crate::model::browser::PREFIX;
use crate::model::{GroupBy, Metric, Secret, UserId};
use crate::vault::{self, Seal, Vault};

/// The version of the sealed contents.
const VERSION: u8 = 1;
/// No token is longer, in bytes: its maker is told.
const LONGEST: usize = 8 * 1024;

/// Why a text is no token, in words for the log.
pub(super) const NO_TOKEN: &str = "it is not a token that this gateway has sealed";

/// What a token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Its name in logs.
    pub id: String,
    /// The id of the key that made it.
    pub key_id: String,
    /// In seconds since 1970.
    pub made_at: i64,
    /// In seconds since 1970.
    pub ends_at: i64,
    /// The maker's own name for its holder; empty for none.
    pub subject: String,
    /// Where it may be used.
    pub origins: Vec<Box<str>>,
    /// The oldest numbers that its holder accepts, in seconds.
    pub max_age: u32,
    /// The most questions of a minute; `None` for the usual number.
    pub per_minute: Option<u32>,
    /// The most calls to X that its questions take in all; `None` for any number.
    pub calls: Option<u32>,
    pub bounds: Bounds,
}

/// The contents as they are sealed. Names stand for themselves, so that a later version reads them alike.
#[derive(Deserialize, Serialize)]
struct Sealed<'a> {
    version: u8,
    id: &'a str,
    key_id: &'a str,
    made_at: i64,
    ends_at: i64,
    subject: &'a str,
    origins: Vec<&'a str>,
    max_age: u32,
    per_minute: Option<u32>,
    calls: Option<u32>,
    posts: Option<Vec<u64>>,
    author: Option<&'a str>,
    metrics: Option<Vec<&'a str>>,
    windows: Option<Vec<SealedWindow>>,
    groupings: Option<Vec<(&'a str, Vec<&'a str>)>>,
}

/// Times in seconds since 1970.
#[derive(Clone, Copy, Deserialize, Serialize)]
enum SealedWindow {
    Totals,
    TwentyEightHours,
    Last { hours: i64 },
    Range { start: i64, end: i64 },
}

impl Token {
    /// The maker's own name for its holder, if it has one.
    pub fn named_subject(&self) -> Option<&str> {
        Some(&*self.subject).filter(|subject| !subject.is_empty())
    }

    /// The token's text; `None` if it would be too long to be sent.
    pub(super) fn seal(&self, vault: &Vault) -> Result<Option<Secret>, vault::Error> {
        let author = self.bounds.author.map(|author| author.to_string());
        let sealed = Sealed::of(self, author.as_deref());
        let contents = postcard::to_allocvec(&sealed).map_err(|_| vault::Error::BadRing)?;
        let record = vault.seal(&Seal::browser_token(), &contents)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(record));
        Ok((text.len() <= LONGEST).then(|| Secret::new(text)))
    }

    /// Reads a token that this gateway's vault has sealed.
    pub(super) fn open(vault: &Vault, text: &str) -> Option<Token> {
        let text = text.strip_prefix(PREFIX).filter(|_| text.len() <= LONGEST)?;
        let record = URL_SAFE_NO_PAD.decode(text).ok()?;
        let contents = vault.open(&Seal::browser_token(), &record).ok()?;
        let (sealed, rest) = postcard::take_from_bytes::<Sealed<'_>>(&contents).ok()?;
        (sealed.version == VERSION && rest.is_empty()).then(|| Token::read(sealed))?
    }

    fn read(sealed: Sealed<'_>) -> Option<Token> {
        let metrics = sealed.metrics.map(|all| all.into_iter().map(Metric::from_name).collect());
        let windows = sealed.windows.map(|all| all.into_iter().map(window).collect());
        let groupings = sealed.groupings.map(|all| all.into_iter().map(grouping).collect());
        Some(Token {
            id: sealed.id.to_owned(),
            key_id: sealed.key_id.to_owned(),
            made_at: sealed.made_at,
            ends_at: sealed.ends_at,
            subject: sealed.subject.to_owned(),
            origins: sealed.origins.into_iter().map(Box::from).collect(),
            max_age: sealed.max_age,
            per_minute: sealed.per_minute,
            calls: sealed.calls,
            bounds: Bounds {
                posts: sealed.posts,
                author: whole(sealed.author.map(UserId::parse))?,
                metrics: whole(metrics)?,
                windows: whole(windows)?,
                groupings: whole(groupings)?,
            },
        })
    }
}

/// A part that is there and could be read, or that is not there.
#[expect(clippy::option_option, reason = "a part that cannot be read spoils the whole")]
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(read) => read.map(Some),
        None => Some(None),
    }
}

impl<'a> Sealed<'a> {
    /// `author` is the text of the bounds' author.
    fn of(token: &'a Token, author: Option<&'a str>) -> Sealed<'a> {
        let Bounds { posts, author: _, metrics, windows, groupings } = &token.bounds;
        let window = |window: &BoundWindow| match window {
            BoundWindow::Totals => SealedWindow::Totals,
            BoundWindow::TwentyEightHours => SealedWindow::TwentyEightHours,
            BoundWindow::Last { hours } => SealedWindow::Last { hours: *hours },
            BoundWindow::Range(Span { start, end }) => {
                SealedWindow::Range { start: start.unix_timestamp(), end: end.unix_timestamp() }
            }
        };
        let grouping = |grouping: &'a Grouping| {
            (&*grouping.name, grouping.group_by.iter().map(|level| level.name()).collect())
        };
        Sealed {
            version: VERSION,
            id: &token.id,
            key_id: &token.key_id,
            made_at: token.made_at,
            ends_at: token.ends_at,
            subject: &token.subject,
            origins: token.origins.iter().map(|origin| &**origin).collect(),
            max_age: token.max_age,
            per_minute: token.per_minute,
            calls: token.calls,
            posts: posts.clone(),
            author,
            metrics: metrics.as_ref().map(|all| all.iter().map(|metric| metric.name()).collect()),
            windows: windows.as_ref().map(|all| all.iter().map(window).collect()),
            groupings: groupings.as_ref().map(|all| all.iter().map(grouping).collect()),
        }
    }
}

fn window(sealed: SealedWindow) -> Option<BoundWindow> {
    let time = |at: i64| OffsetDateTime::from_unix_timestamp(at).ok();
    Some(match sealed {
        SealedWindow::Totals => BoundWindow::Totals,
        SealedWindow::TwentyEightHours => BoundWindow::TwentyEightHours,
        SealedWindow::Last { hours } => BoundWindow::Last { hours },
        SealedWindow::Range { start, end } => {
            BoundWindow::Range(Span { start: time(start)?, end: time(end)? })
        }
    })
}

fn grouping((name, levels): (&str, Vec<&str>)) -> Option<Grouping> {
    let group_by = levels.into_iter().map(GroupBy::from_name).collect::<Option<_>>()?;
    Some(Grouping { name: name.to_owned(), group_by })
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::config;

    fn vault() -> Vault {
        let key = ("testkey1".to_owned(), Secret::new(STANDARD.encode([7; 32])));
        Vault::new(&config::Vault { keys: vec![key], active: "testkey1".to_owned() }).unwrap()
    }

    fn token() -> Token {
        Token {
            id: "bt_1".to_owned(),
            key_id: "aaaaaaaaaaaa".to_owned(),
            made_at: 1,
            ends_at: 2,
            subject: String::new(),
            origins: vec!["https://app.example.com".into()],
            max_age: 60,
            per_minute: Some(3),
            calls: None,
            bounds: Bounds {
                posts: None,
                author: UserId::parse("7"),
                metrics: Some(vec![Metric::Impressions]),
                windows: Some(vec![BoundWindow::Last { hours: 24 }]),
                groupings: None,
            },
        }
    }

    /// The text of a token with these contents, sealed for that place.
    fn sealed(place: &Seal, contents: &[u8]) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(vault().seal(place, contents).unwrap()))
    }

    #[test]
    fn only_whole_contents_of_this_version_sealed_as_a_token_are_one() {
        let (vault, token) = (vault(), token());
        let text = token.seal(&vault).unwrap().unwrap();
        assert_eq!(Token::open(&vault, text.expose()), Some(token.clone()));
        let contents = postcard::to_allocvec(&Sealed::of(&token, Some("7"))).unwrap();
        let place = Seal::browser_token();
        assert_eq!(Token::open(&vault, &sealed(&place, &contents)), Some(token.clone()));
        let later = postcard::to_allocvec(&Sealed { version: 2, ..Sealed::of(&token, Some("7")) });
        let odd = Sealed { metrics: Some(vec!["likes"]), ..Sealed::of(&token, Some("7")) };
        for (place, contents) in [
            (&Seal::probe(), contents.clone()),
            (&place, [&contents[..], &[0]].concat()),
            (&place, contents[..contents.len() - 1].to_vec()),
            (&place, later.unwrap()),
            (&place, postcard::to_allocvec(&odd).unwrap()),
            (&place, Vec::new()),
        ] {
            assert_eq!(Token::open(&vault, &sealed(place, &contents)), None, "{contents:?}");
        }
    }
}
