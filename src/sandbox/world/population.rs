//! The population: apps, users, their tokens and posts, invented from the seed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::model::post;
use crate::sandbox::world::numbers::{Story, draw};
use crate::sandbox::world::settings::Settings;

const APPS: [&str; 2] = ["demo", "other"];
const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];
/// The ids of users whom the manual names, whatever the seed.
const KNOWN: [(&str, u64); 2] = [("alice", 7_588_892), ("bob", 98_316_042)];
const ALPHANUMERICS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The newest post of each user is about this old when the sandbox starts.
const NEWEST: Duration = Duration::hours(2);
const OLDEST: Duration = Duration::days(364);
/// About how long a user waits before the next post, once the world is born.
const BETWEEN: Duration = Duration::hours(20);
/// The most posts of a user since then: those of 20 years.
const MOST_SINCE: i64 = 8_766;
/// Older than any video may be (reference 2).
const ANCIENT: Duration = Duration::days(1900);

/// The state of a user, as X sees it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    Active,
    /// The author's posts are for followers: never available (reference 2.2).
    Protected,
    Suspended,
    Locked,
    /// The user has revoked the apps' access.
    Revoked,
}

impl UserState {
    pub const fn name(self) -> &'static str {
        match self {
            UserState::Active => "active",
            UserState::Protected => "protected",
            UserState::Suspended => "suspended",
            UserState::Locked => "locked",
            UserState::Revoked => "revoked",
        }
    }

    /// Whether numbers of such a user's posts are available.
    pub fn shows_posts(self) -> bool {
        !matches!(self, UserState::Protected | UserState::Suspended)
    }
}

/// An app as it was registered; its bearer token changes and is in `state`.
pub struct App {
    pub name: &'static str,
    pub consumer_key: String,
    pub consumer_secret: String,
}

/// A user; the tokens that apps have for them are in `grants`.
pub struct User {
    pub id: u64,
    pub screen_name: String,
    pub first_state: UserState,
    /// The user's posts, newest first.
    pub posts: Vec<Post>,
}

/// An access token and its secret.
#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub secret: String,
}

/// A post, with the place of its author among the users.
#[derive(Clone, Copy)]
pub struct Post {
    pub id: u64,
    pub author: usize,
    pub is_deleted: bool,
}

/// Everything that is invented from a seed.
pub struct Population {
    pub seed: u64,
    pub apps: Vec<App>,
    pub users: Vec<User>,
    by_post_id: HashMap<u64, Post>,
    by_user_id: HashMap<u64, usize>,
}

impl Population {
    /// Invents a population as of `now`. User ids, names and secrets follow from the seed; posts are dated from the birth.
    pub fn new(settings: &Settings, now: OffsetDateTime) -> Population {
        let seed = settings.seed;
        let ordinary = (0..settings.users).map(|index| {
            let name =
                NAMES.get(index).map_or_else(|| format!("user{}", index + 1), ToString::to_string);
            (name, UserState::Active)
        });
        let others =
            [("protected_pat", UserState::Protected), ("suspended_sam", UserState::Suspended)];
        let users: Vec<User> = ordinary
            .chain(others.map(|(name, state)| (name.to_owned(), state)))
            .enumerate()
            .map(|(index, (name, state))| {
                let born = settings.born.map_or(now, |born| born.min(now));
                let posts = posts(settings, index, &name, (born, now));
                user(seed, name, state, posts)
            })
            .collect();
        let posts =
            users.iter().flat_map(|user| &user.posts).map(|post| (post.id, *post)).collect();
        let places = users.iter().enumerate().map(|(place, user)| (user.id, place)).collect();
        Population {
            seed,
            apps: APPS.map(|name| app(seed, name)).into(),
            by_user_id: places,
            by_post_id: posts,
            users,
        }
    }

    pub fn find_app(&self, consumer_key: &str) -> Option<(usize, &App)> {
        self.apps.iter().enumerate().find(|(_, app)| app.consumer_key == consumer_key)
    }

    pub fn find_user(&self, id: u64) -> Option<usize> {
        self.by_user_id.get(&id).copied()
    }

    pub fn find_named(&self, screen_name: &str) -> Option<usize> {
        self.users.iter().position(|user| user.screen_name == screen_name)
    }

    /// The token that an app has for a user, after `generation` earlier ones.
    pub fn token(&self, user: usize, app: usize, generation: u64) -> Token {
        let app = self.apps.get(app).map_or("", |app| app.name);
        let (id, name) = self.users.get(user).map_or((0, ""), |user| (user.id, &user.screen_name));
        let salt = match generation {
            0 => format!("{name}, {app}"),
            _ => format!("{name}, {app}, {generation}"),
        };
        let digits = |what: &str, length| self.digits(&format!("{what} of {salt}"), length);
        Token { text: format!("{id}-{}", digits("token", 40)), secret: digits("token secret", 45) }
    }

    pub fn find_post(&self, id: i64) -> Option<Post> {
        self.by_post_id.get(&u64::try_from(id).ok()?).copied()
    }

    /// The bearer token of an app after `generation` rotations. Its escapes are part of it (reference 6.1).
    pub fn bearer(&self, app: usize, generation: u64) -> String {
        let name = self.apps.get(app).map_or("", |app| app.name);
        let salt = format!("bearer of {name}, {generation}");
        let digits = |part: &str, length| self.digits(&format!("{salt}: {part}"), length);
        format!(
            "AAAAAAAAAAAAAAAAAAAAA{}%2F{}%3D{}",
            digits("first", 10),
            digits("second", 22),
            digits("third", 48)
        )
    }

    /// Seven digits, as a handshake without a callback shows them.
    pub fn pin(&self, handshake: u64) -> String {
        (1_000_000 + named(self.seed, &format!("pin {handshake}")) % 9_000_000).to_string()
    }

    /// Letters and digits that follow from the seed and a name.
    pub fn digits(&self, name: &str, length: usize) -> String {
        alphanumeric(self.seed, name, length)
    }

    pub fn story(&self, post: u64) -> Story {
        Story::new(self.seed, post)
    }
}

fn app(seed: u64, name: &'static str) -> App {
    App {
        name,
        consumer_key: alphanumeric(seed, &format!("consumer key of {name}"), 25),
        consumer_secret: alphanumeric(seed, &format!("consumer secret of {name}"), 50),
    }
}

fn user(seed: u64, screen_name: String, first_state: UserState, posts: Vec<Post>) -> User {
    let known = KNOWN.iter().find(|(name, _)| *name == screen_name);
    let id = known.map_or_else(
        || 1_000_000_000 + named(seed, &format!("id of {screen_name}")) % 900_000_000_000,
        |(_, id)| *id,
    );
    User { id, screen_name, first_state, posts }
}

fn posts(
    settings: &Settings,
    author: usize,
    name: &str,
    (born, now): (OffsetDateTime, OffsetDateTime),
) -> Vec<Post> {
    let count = settings.posts_per_user;
    let salt = named(settings.seed, &format!("posts of {name}"));
    let ages = (0..count).map(|index| age(salt, index, count));
    let ancient = (author < settings.ancient_authors).then_some(ANCIENT);
    let mut posts = later_posts(salt, author, (born, now));
    for (index, age) in ages.chain(ancient).enumerate() {
        let sequence = draw(salt, index as u64) >> 42;
        let is_deleted = index % 11 == 3 && index < count;
        posts.push(Post { id: post::first_id_at(born - age) + sequence, author, is_deleted });
    }
    posts
}

/// What a user has posted since the world was born, newest first.
fn later_posts(
    salt: u64,
    author: usize,
    (born, now): (OffsetDateTime, OffsetDateTime),
) -> Vec<Post> {
    let begin = |number: i64| born + BETWEEN * i32::try_from(number).unwrap_or(i32::MAX);
    let post = |number: i64| {
        let drawn = draw(salt, number.unsigned_abs() << 32);
        let late = BETWEEN * f64::from(u32::try_from(drawn % 1_000).unwrap_or_default()) / 1_000.0;
        let at = begin(number) + late;
        (at <= now).then(|| Post {
            id: post::first_id_at(at) + (drawn >> 42),
            author,
            is_deleted: false,
        })
    };
    let count = ((now - born).whole_seconds() / BETWEEN.whole_seconds() + 1).min(MOST_SINCE);
    (0..count).rev().filter_map(post).collect()
}

/// The age of the post at `index`, newest first: ages grow with the cube, to cover every scale from hours to months.
fn age(salt: u64, index: usize, count: usize) -> Duration {
    let cube = |number: usize| i64::try_from(number * number * number).unwrap_or(i64::MAX);
    let steps = cube(count.saturating_sub(1).max(1));
    let span = (OLDEST - NEWEST).whole_seconds();
    let at = |index: usize| span / steps * cube(index);
    let gap = at(index) - at(index.saturating_sub(1));
    let early = i64::try_from(draw(salt, !(index as u64)) % 1_000).unwrap_or_default();
    NEWEST + Duration::seconds(at(index)) - Duration::milliseconds(gap * early / 4)
}

/// A number for a name.
fn named(seed: u64, name: &str) -> u64 {
    name.bytes().fold(draw(seed, name.len() as u64), |mixed, byte| draw(mixed, u64::from(byte)))
}

fn alphanumeric(seed: u64, salt: &str, length: usize) -> String {
    let key = named(seed, salt);
    let digit = |at: usize| {
        let place = usize::try_from(draw(key, at as u64) % 62).unwrap_or_default();
        ALPHANUMERICS.get(place).copied().map_or('0', char::from)
    };
    (0..length).map(digit).collect()
}
