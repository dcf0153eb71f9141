//! Whose posts they are: what is remembered, what the database holds, and what is learnt. That is a fact about the post
//! and never changes, so it is shared by all apps and forgotten only where X says that it was learnt wrongly.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use moka::future::Cache;
use tracing::warn;

use crate::gateway::Gateway;
use crate::gateway::key::KnownKey;
use crate::gateway::question::Question;
use crate::model::UserId;
use crate::store;

/// Posts whose author is remembered.
const MOST: u64 = 100_000;

/// How long a post is not looked up again that X did not show.
const HIDDEN_FOR: Duration = Duration::from_mins(15);

/// How long an answer waits for what was learnt on its way to be stored; that then goes on without it.
const STORING: Duration = Duration::from_secs(1);

/// What is remembered of posts.
pub struct Authors {
    known: Cache<u64, UserId>,
    /// Who has not written a post.
    foreign: Cache<(u64, UserId), ()>,
    /// Looked up in vain: deleted, protected, or never there.
    hidden: Cache<u64, ()>,
}

impl Authors {
    pub fn new() -> Authors {
        Authors {
            known: Cache::new(MOST),
            foreign: Cache::new(MOST),
            hidden: Cache::builder().max_capacity(MOST).time_to_live(HIDDEN_FOR).build(),
        }
    }

    pub fn is_hidden(&self, post: u64) -> bool {
        self.hidden.contains_key(&post)
    }

    /// Remembers which of the posts that were looked up were not shown.
    pub async fn hide(&self, posts: &[u64], shown: &HashMap<u64, UserId>) {
        for post in posts.iter().filter(|it| !shown.contains_key(it)) {
            self.hidden.insert(*post, ()).await;
        }
    }

    /// Whose posts these are known not to be, of those who may be tried.
    pub fn known_foreign(&self, posts: &[u64], candidates: &[UserId]) -> HashSet<(u64, UserId)> {
        let pairs = posts.iter().flat_map(|post| candidates.iter().map(|it| (*post, *it)));
        pairs.filter(|it| self.foreign.contains_key(it)).collect()
    }

    pub async fn forget(&self, post: u64) {
        self.known.invalidate(&post).await;
    }

    pub fn forget_all(&self) {
        self.known.invalidate_all();
    }

    async fn remember(&self, authors: &HashMap<u64, UserId>) {
        for (post, author) in authors {
            self.known.insert(*post, *author).await;
        }
    }
}

/// What a key may know of posts' authors: where it is limited, which posts are its own accounts'. Of others it would
/// learn who else is connected.
pub fn told_to<'a>(
    key: &KnownKey,
    known: &'a HashMap<u64, UserId>,
) -> Cow<'a, HashMap<u64, UserId>> {
    let Some(own) = &key.key.scopes.accounts else { return Cow::Borrowed(known) };
    let told = known.iter().filter(|it| own.contains(it.1));
    Cow::Owned(told.map(|it| (*it.0, *it.1)).collect())
}

impl Gateway {
    /// The authors of a question's posts that the caller has not named, as far as memory or the database knows them.
    pub(super) async fn known_authors(&self, question: &Question) -> HashMap<u64, UserId> {
        let (mut known, mut others) = (HashMap::new(), Vec::new());
        if !question.needs_authors() {
            return known;
        }
        for post in question.posts.iter().filter(|it| !question.owners.contains_key(it)) {
            match self.0.authors.known.get(post).await {
                Some(author) => drop(known.insert(*post, author)),
                None => others.push(*post),
            }
        }
        if others.is_empty() {
            return known;
        }
        let before = self.0.feed.position();
        match self.0.store.find_authors(&others).await {
            Ok(found) => {
                // A change that was applied meanwhile may be newer than what was read.
                if self.0.feed.position() == before {
                    self.0.authors.remember(&found).await;
                }
                known.extend(found);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, "the authors of posts were not read");
            }
        }
        known
    }

    /// Forgets authors whose tokens X refuses for posts that were said to be theirs, here and on all replicas.
    pub(super) async fn unlearn(&self, wrong: HashSet<(u64, UserId)>) {
        if wrong.is_empty() {
            return;
        }
        let known = &self.0.authors.known;
        for (post, author) in &wrong {
            if known.get(post).await.is_some_and(|it| it == *author) {
                known.invalidate(post).await;
            }
        }
        let (store, now) = (self.0.store.clone(), self.now());
        let mut wrong = Vec::from_iter(wrong);
        // In one order, so that two replicas that forget the same wait for each other instead of deadlocking.
        wrong.sort_unstable();
        let removing = async move { store.remove_authors(&wrong, now).await };
        in_time(removing, "what was wrong of posts' authors is still stored").await;
    }

    /// Remembers whose posts they are, and whose they are not, and stores what is new of the former.
    pub(super) async fn learn(
        &self,
        mut learnt: HashMap<u64, UserId>,
        foreign: HashSet<(u64, UserId)>,
    ) {
        let authors = &self.0.authors;
        for pair in foreign {
            authors.foreign.insert(pair, ()).await;
        }
        learnt.retain(|post, _| !authors.known.contains_key(post));
        if learnt.is_empty() {
            return;
        }
        authors.remember(&learnt).await;
        let store = self.0.store.clone();
        let storing = async move { store.insert_authors(&learnt).await };
        in_time(storing, "the authors of posts are not stored").await;
    }
}

/// Writes to the database, which an answer waits for only so long; `failed` is said where it is not done by then.
async fn in_time(
    work: impl Future<Output = Result<(), store::Error>> + Send + 'static,
    failed: &'static str,
) {
    let writing = tokio::spawn(async move {
        if let Err(error) = work.await {
            warn!(error = &error as &dyn std::error::Error, "{failed}");
        }
    });
    if tokio::time::timeout(STORING, writing).await.is_err() {
        warn!("{failed} yet");
    }
}
