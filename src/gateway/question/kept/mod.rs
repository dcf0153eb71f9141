//! Numbers of earlier answers, kept in memory for questions whose callers allow that: of each post, as they were
//! answered, and what tells no posts apart call by call.

mod gone;
mod new;
mod piece;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config;
use crate::gateway::app::AppState;
use crate::gateway::bounded::Bounded;
use crate::gateway::question::kept::gone::Gone;
pub(super) use crate::gateway::question::kept::new::{Answered, Begun, New};
use crate::gateway::question::kept::new::{NewContents, grain_of_posts, name_of};
pub(super) use crate::gateway::question::kept::piece::Unavailable;
use crate::gateway::question::kept::piece::{Allowed, By, Need, Origin, Piece, Tile, tiles};
use crate::gateway::question::part::{Cell, Grain};
use crate::gateway::question::plan::{Call, Signer};
use crate::gateway::question::remarks::Moment;
use crate::gateway::question::{Grouping, Span};
use crate::model::{AccountState, Endpoint, Freshness};

/// The most answers that are kept of one post: the latest.
const MOST_OF_A_POST: usize = 16;

/// Numbers of earlier answers.
pub(in crate::gateway) struct Kept {
    settings: config::Cache,
    entries: Bounded<[u8], Entry>,
    gone: Gone,
}

enum Entry {
    /// Of one post.
    Pieces(Vec<Piece>),
    /// The whole answer to a call whose groupings tell no posts apart.
    Answer { origin: Arc<Origin>, text: Bytes },
}

/// A call that needs not be made, or one for the posts for which it needs not be made.
#[derive(Debug)]
pub(super) struct KeptCall {
    pub(super) call: Call,
    pub(super) contents: Contents,
    /// How long ago the oldest of its numbers were asked for.
    pub(super) age: Duration,
    /// Whether X is asked once less for it: what is left of several calls may fit into one.
    pub(super) saves_call: bool,
}

/// The numbers of a call.
#[derive(Debug)]
pub(super) enum Contents {
    Posts(Vec<(u64, Vec<Tile>)>, Grain),
    Answer { origin: Arc<Origin>, text: Bytes },
}

/// The numbers of a call's posts, and the times that X gave for all of them.
pub(super) struct Numbers {
    pub(super) cells: Vec<(u64, Cell)>,
    pub(super) times: (Option<Moment>, Option<Moment>),
    /// Posts that X called unavailable.
    pub(super) unavailable: Vec<u64>,
    /// Whether X counted these in an error, too.
    pub(super) is_counted: bool,
}

/// What of some calls need not be asked for.
#[derive(Default)]
pub(super) struct Found {
    pub(super) calls: Vec<KeptCall>,
    /// The posts all of whose numbers are kept.
    pub(super) posts: HashSet<u64>,
    /// The places of calls whose whole answers are kept.
    pub(super) answered: HashSet<usize>,
}

impl Numbers {
    pub(super) fn of(call: &Call, posts: &[(u64, Vec<Tile>)], grain: Grain) -> Numbers {
        let tiles =
            || posts.iter().flat_map(|(post, tiles)| tiles.iter().map(|tile| (*post, tile)));
        let cells = tiles().flat_map(|(post, tile)| {
            tile.cells(&call.metrics, grain).into_iter().map(move |cell| (post, cell))
        });
        let starts = tiles().filter_map(|(_, tile)| tile.start());
        let ends = tiles().filter_map(|(_, tile)| tile.end());
        let start = starts.min_by_key(|moment| moment.at).cloned();
        let end = ends.max_by_key(|moment| moment.at).cloned();
        let unavailable = |(post, tile): (u64, &Tile)| Some((post, tile.unavailable()?));
        let gone: Vec<(u64, Unavailable)> = tiles().filter_map(unavailable).collect();
        Numbers {
            cells: cells.collect(),
            times: (start, end),
            is_counted: gone.iter().any(|(_, gone)| *gone == Unavailable::Counted),
            unavailable: gone.into_iter().map(|(post, _)| post).collect(),
        }
    }
}

impl Kept {
    /// `None` if nothing is to be kept.
    pub(in crate::gateway) fn new(settings: &config::Cache) -> Option<Kept> {
        let settings = settings.clone();
        let entries = Bounded::weighing(settings.bytes as u64);
        (!settings.fresh.is_zero()).then(|| Kept { settings, entries, gone: Gone::default() })
    }

    /// How long after its end a range no longer changes; zero for never.
    pub(super) fn closed_after(&self) -> Duration {
        self.settings.closed_after
    }

    /// Keeps that, unless the account whose token signed is no longer as it was.
    pub(super) async fn keep(&self, app: &AppState, new: New) {
        let New { signer, origin, contents } = new;
        if usable(app, signer).await != Some(origin.by) {
            return;
        }
        let origin = Arc::new(origin);
        let (posts, unavailable) = match contents {
            NewContents::Posts(posts) => (posts, None),
            NewContents::Unavailable(posts, how) => {
                (posts.into_iter().map(|post| (post, Arc::default())).collect(), Some(how))
            }
            NewContents::Answer(name, text) => {
                let name = in_app(app, b'a', &name);
                let bytes = origin.bytes() + text.len();
                let entry = Arc::new(Entry::Answer { origin, text });
                return self.entries.insert_weighing(&*name, entry, bytes).await;
            }
        };
        let share = origin.bytes() / posts.len().max(1);
        for (post, cells) in posts {
            let origin = Arc::clone(&origin);
            self.keep_of_post(app, post, Piece { origin, cells, unavailable, share }).await;
        }
    }

    async fn keep_of_post(&self, app: &AppState, post: u64, piece: Piece) {
        let name = in_app(app, b'p', &post.to_be_bytes());
        let mut pieces = match self.entries.get(&*name).await.as_deref() {
            Some(Entry::Pieces(pieces)) => pieces.clone(),
            _ => Vec::new(),
        };
        pieces.retain(|older| !piece.replaces(older));
        let surplus = (pieces.len() + 1).saturating_sub(MOST_OF_A_POST);
        pieces.drain(..surplus);
        pieces.push(piece);
        let bytes = pieces.iter().map(Piece::bytes).sum();
        self.entries.insert_weighing(&*name, Arc::new(Entry::Pieces(pieces)), bytes).await;
    }

    /// Keeps nothing any more of posts that X calls unavailable.
    pub(super) async fn forget(&self, app: &AppState, posts: &[u64], now: Instant) {
        if posts.is_empty() {
            return;
        }
        self.gone.insert(posts, now);
        for post in posts {
            self.entries.remove(&*in_app(app, b'p', &post.to_be_bytes())).await;
        }
    }

    /// Whether that may still be given: the account is as it was, and no post was called unavailable meanwhile.
    pub(super) async fn holds(&self, app: &AppState, kept: &KeptCall) -> bool {
        let KeptCall { call, contents, .. } = kept;
        let by = usable(app, call.signer).await;
        match contents {
            Contents::Answer { origin, .. } => {
                by == Some(origin.by)
                    && self.gone.are_there(call.posts.iter().copied(), origin.asked_at)
            }
            Contents::Posts(posts, _) => {
                let tiles = || {
                    posts.iter().flat_map(|(post, tiles)| tiles.iter().map(|tile| (*post, tile)))
                };
                tiles().all(|(_, tile)| by == Some(tile.origin().by))
                    && tiles().all(|(post, tile)| self.is_there(post, tile))
            }
        }
    }

    /// What of these calls need not be asked for, since the caller accepts what is kept.
    pub(super) async fn find(
        &self,
        app: &AppState,
        (calls, groupings): (&[Call], &[Grouping]),
        freshness: Freshness,
        now: Instant,
    ) -> Found {
        let allowed = Allowed { now, max_age: freshness.max_age, fresh: self.settings.fresh };
        let mut found = Found::default();
        if grain_of_posts(groupings).is_none() {
            for (place, call) in calls.iter().enumerate() {
                if let Some(kept) = self.answer(app, (call, groupings), &allowed).await {
                    found.answered.insert(place);
                    found.calls.push(kept);
                }
            }
        }
        if found.calls.is_empty() {
            self.find_posts(app, (calls, groupings), &allowed, &mut found).await;
        }
        found
    }

    /// Finds the posts all of whose numbers are kept.
    async fn find_posts(
        &self,
        app: &AppState,
        (calls, groupings): (&[Call], &[Grouping]),
        allowed: &Allowed,
        found: &mut Found,
    ) {
        // Hours without days cannot be put together: X gives them in either of two forms.
        let grains: Option<Vec<Grain>> = groupings.iter().map(Grouping::grain).collect();
        let Some(grain) = grains.and_then(|grains| grains.into_iter().max()) else { return };
        let (mut of_calls, mut lacking) = (Vec::new(), HashSet::new());
        for call in calls {
            let mut posts: Vec<(u64, Vec<Tile>)> = Vec::new();
            // Whose posts a candidate's call is for, it is to find out.
            let is_settled = !matches!(call.signer, Signer::Candidate(_));
            if let Some(by) = usable(app, call.signer).await.filter(|_| is_settled) {
                let span = call.span.map(Span::widened);
                let (endpoint, metrics) = (call.endpoint, &*call.metrics);
                let need = Need { endpoint, by, metrics, span, grain, allowed };
                for post in call.posts.iter().filter(|post| !lacking.contains(*post)) {
                    posts.extend(self.tiles(app, *post, &need).await.map(|tiles| (*post, tiles)));
                }
            }
            if posts.len() < call.posts.len() {
                let has: HashSet<u64> = posts.iter().map(|(post, _)| *post).collect();
                lacking.extend(call.posts.iter().copied().filter(|post| !has.contains(post)));
            }
            of_calls.push(posts);
        }
        for (call, mut posts) in calls.iter().zip(of_calls) {
            posts.retain(|(post, _)| !lacking.contains(post));
            found.posts.extend(posts.iter().map(|(post, _)| *post));
            for posts in by_hours(call, posts) {
                let origins = posts.iter().flat_map(|(_, tiles)| tiles).map(Tile::origin);
                let age = origins.map(|origin| allowed.age(origin)).max().unwrap_or_default();
                let ids = posts.iter().map(|(post, _)| *post).collect();
                let call = Call { posts: ids, ..call.clone() };
                let contents = Contents::Posts(posts, grain);
                found.calls.push(KeptCall { call, contents, age, saves_call: false });
            }
        }
    }

    async fn tiles(&self, app: &AppState, post: u64, need: &Need<'_>) -> Option<Vec<Tile>> {
        let entry = self.entries.get(&*in_app(app, b'p', &post.to_be_bytes())).await?;
        let Entry::Pieces(pieces) = &*entry else { return None };
        let tiles = tiles(pieces, need)?;
        let has_numbers = |tile: &Tile| {
            !tile.cells(need.metrics, need.grain).is_empty() || tile.unavailable().is_some()
        };
        let is_good = |tile: &Tile| has_numbers(tile) && self.is_there(post, tile);
        tiles.iter().all(is_good).then_some(tiles)
    }

    async fn answer(
        &self,
        app: &AppState,
        (call, groupings): (&Call, &[Grouping]),
        allowed: &Allowed,
    ) -> Option<KeptCall> {
        let entry = self.entries.get(&*in_app(app, b'a', &name_of(call, groupings))).await?;
        let Entry::Answer { origin, text } = &*entry else { return None };
        let contents = Contents::Answer { origin: Arc::clone(origin), text: text.clone() };
        let (call, age) = (call.clone(), allowed.age(origin));
        let kept = KeptCall { call, contents, age, saves_call: false };
        (allowed.allows(origin) && self.holds(app, &kept).await).then_some(kept)
    }

    /// Whether X has not called a post unavailable since these numbers of it were asked for.
    fn is_there(&self, post: u64, tile: &Tile) -> bool {
        tile.unavailable().is_some() || self.gone.are_there([post], tile.origin().asked_at)
    }
}

/// Posts whose numbers are of the same hours: those of the last 28 may be of different ones.
fn by_hours(call: &Call, posts: Vec<(u64, Vec<Tile>)>) -> Vec<Vec<(u64, Vec<Tile>)>> {
    let mut groups: BTreeMap<_, Vec<(u64, Vec<Tile>)>> = BTreeMap::new();
    for (post, tiles) in posts {
        let first = tiles.first().filter(|_| call.endpoint == Endpoint::TwentyEightHours);
        let hours = first
            .map(|tile| [tile.start(), tile.end()].map(|moment| moment.map(|moment| moment.at)));
        groups.entry(hours).or_default().push((post, tiles));
    }
    groups.into_values().collect()
}

/// Whose credentials sign, if they are usable: whether they are, the change feed tells within a second.
async fn usable(app: &AppState, signer: Signer) -> Option<By> {
    let Some(user) = signer.account() else { return Some(By::App) };
    let known = app.accounts.peek(&user).await?;
    let account = &known.stored.account;
    let is_usable = account.state == AccountState::Active && known.token.is_some();
    is_usable.then(|| By::Account(user, account.since()))
}

/// A name of an app's own.
fn in_app(app: &AppState, kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind], app.name.as_bytes(), &[0], name].concat()
}
