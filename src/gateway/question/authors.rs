//! Posts' authors: cached, stored in the database, or learnt from answers. A post's author never changes, so all apps
//! share it, and it is forgotten only if X shows that it was wrong.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::gateway::Gateway;
use crate::gateway::bounded::Bounded;
use crate::gateway::key::KnownKey;
use crate::gateway::question::Question;
use crate::model::UserId;
use crate::store;

/// The most posts whose author is cached.
const MOST: u64 = 100_000;

/// How long a post that X did not show is not looked up again.
const HIDDEN_FOR: Duration = Duration::from_mins(15);

/// How long an answer waits for newly learnt authors to be stored; storing then goes on without it.
const STORING: Duration = Duration::from_secs(1);

/// Cached facts about posts' authors.
pub struct Authors {
    known: Bounded<u64, UserId>,
    /// Users who have not written a post.
    foreign: Bounded<(u64, UserId), ()>,
    /// Posts looked up in vain: deleted, protected or nonexistent.
    hidden: Bounded<u64, ()>,
}

impl Authors {
    pub fn new() -> Authors {
        Authors {
            known: Bounded::new(MOST),
            foreign: Bounded::new(MOST),
            hidden: Bounded::expiring(MOST, HIDDEN_FOR),
        }
    }

    pub fn is_hidden(&self, post: u64) -> bool {
        self.hidden.has(&post)
    }

    /// Remembers which of the posts that were looked up were not shown.
    pub async fn hide(&self, posts: &[u64], shown: &HashMap<u64, UserId>) {
        for post in posts.iter().filter(|post| !shown.contains_key(post)) {
            self.hidden.insert(post, Arc::new(())).await;
        }
    }

    /// Which of the candidates are known not to be the authors of these posts.
    pub fn known_foreign(&self, posts: &[u64], candidates: &[UserId]) -> HashSet<(u64, UserId)> {
        let pairs =
            posts.iter().flat_map(|post| candidates.iter().map(|candidate| (*post, *candidate)));
        pairs.filter(|pair| self.foreign.has(pair)).collect()
    }

    pub async fn forget(&self, post: u64) {
        self.known.remove(&post).await;
    }

    pub fn forget_all(&self) {
        self.known.clear();
    }

    pub async fn remember(&self, authors: &HashMap<u64, UserId>) {
        for (post, author) in authors {
            self.known.insert(post, Arc::new(*author)).await;
        }
    }
}

/// The authors that a key may learn: if it is limited, only its own accounts. Others would reveal who else is
/// connected.
pub fn visible_authors<'a>(
    key: &KnownKey,
    known: &'a HashMap<u64, UserId>,
) -> Cow<'a, HashMap<u64, UserId>> {
    let Some(own) = &key.key.scopes.accounts else { return Cow::Borrowed(known) };
    let visible = known.iter().filter(|(_, author)| own.contains(author));
    Cow::Owned(visible.map(|(post, author)| (*post, *author)).collect())
}

impl Gateway {
    /// The authors of a question's posts, where the caller has not named them and the cache or the database knows them.
    pub(super) async fn find_authors(&self, question: &Question) -> HashMap<u64, UserId> {
        let posts = question.posts_of_authors(self.0.upstream.now());
        self.known_authors(posts.filter(|post| !question.owners.contains_key(post))).await
    }

    /// The authors of posts, where the cache or the database knows them.
    pub(super) async fn known_authors(
        &self,
        posts: impl Iterator<Item = u64> + Send,
    ) -> HashMap<u64, UserId> {
        let (mut known, mut others) = (HashMap::new(), Vec::new());
        for post in posts {
            match self.0.authors.known.get(&post).await {
                Some(author) => drop(known.insert(post, *author)),
                None => others.push(post),
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
                warn!(error, "could not read the authors of posts");
            }
        }
        known
    }

    /// Forgets, on all replicas, authors whose tokens X refuses for posts that were thought to be theirs.
    pub(super) async fn forget_authors(&self, misattributed: HashSet<(u64, UserId)>) {
        if misattributed.is_empty() {
            return;
        }
        let known = &self.0.authors.known;
        for (post, author) in &misattributed {
            if known.get(post).await.is_some_and(|cached| *cached == *author) {
                known.remove(post).await;
            }
        }
        let (store, now) = (self.0.store.clone(), self.now());
        let mut misattributed = Vec::from_iter(misattributed);
        // In a fixed order, so that two replicas that forget the same posts wait for each other instead of deadlocking.
        misattributed.sort_unstable();
        let removing = async move { store.remove_authors(&misattributed, now).await };
        in_time(removing, "wrong authors of posts have not been removed").await;
    }

    /// Caches posts' authors and users who are not, and stores those authors that are new.
    pub(super) async fn learn_authors(
        &self,
        mut learnt: HashMap<u64, UserId>,
        foreign: HashSet<(u64, UserId)>,
    ) {
        let authors = &self.0.authors;
        for pair in foreign {
            authors.foreign.insert(&pair, Arc::new(())).await;
        }
        learnt.retain(|post, _| !authors.known.has(post));
        if learnt.is_empty() {
            return;
        }
        authors.remember(&learnt).await;
        let store = self.0.store.clone();
        let storing = async move { store.insert_authors(&learnt).await };
        in_time(storing, "the authors of posts have not been stored").await;
    }
}

/// Writes to the database; the answer waits only so long, and `failed` is logged if it is not done by then.
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
