//! Posts that are named by their authors: X's lists of them, page by page, if the app may read these; otherwise, the posts
//! that are known from what was asked before.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::gateway::account::known::KnownAccount;
use crate::gateway::app::AppState;
use crate::gateway::key::KnownKey;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::lookup::{FAILED, LookUp};
use crate::gateway::question::plan::{Missing, Reason};
use crate::gateway::question::{PostsOf, Question, Span};
use crate::gateway::{Detail, Error, Gateway};
use crate::model::{UserId, post};
use crate::store::Store;
use crate::upstream::{LookUpError, MOST_LISTED, PostPage, PostPageOf, UpstreamEffort, page_of};

/// The most pages of one list: those of X's limit, and some short ones where reposts are left out.
const MOST_PAGES: usize = 40;

/// Where an account's posts come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PostSource {
    /// X's list of them.
    X,
    /// What was asked before.
    Known,
}

impl PostSource {
    pub const ALL: [PostSource; 2] = [PostSource::X, PostSource::Known];

    pub const fn name(self) -> &'static str {
        match self {
            PostSource::X => "x",
            PostSource::Known => "known",
        }
    }
}

/// The posts of one account, as far as a question is about them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountPosts {
    pub account: UserId,
    pub source: PostSource,
    /// How many there are.
    pub posts: usize,
    /// Whether these are all that the question asks for.
    pub is_complete: bool,
}

/// The posts that a question's accounts have written.
#[derive(Default)]
pub(super) struct Listed {
    /// Account by account in the question's order, each account's newest first.
    pub(super) posts: Vec<u64>,
    pub(super) authors: HashMap<u64, UserId>,
    pub(super) accounts: Vec<AccountPosts>,
    /// The requests for X's lists.
    pub(super) made: Vec<LookUp>,
    pub(super) notes: Vec<String>,
}

/// X's list of one account's posts, as far as it has come.
#[derive(Default)]
struct List {
    posts: Vec<u64>,
    made: Vec<LookUp>,
    end: ListEnd,
}

/// How a list has ended.
#[derive(Default)]
enum ListEnd {
    /// With everything that was asked for.
    #[default]
    Complete,
    /// At the oldest post that X lists.
    AtLimit,
    NotListed(NotListed),
}

/// Why X's list of an account's posts was not read to its end.
#[derive(Debug, thiserror::Error)]
enum NotListed {
    #[error("apps.{0}.lookup is off")]
    Off(String),
    #[error("such lists are not read for a while after a failure")]
    Paused { left: Duration },
    #[error("no time was left")]
    Late,
    #[error(transparent)]
    LookUp(LookUpError),
    /// The app has no bearer token.
    #[error(transparent)]
    Token(Error),
}

impl Gateway {
    /// Replaces the accounts that a question names by their posts: those that X lists until `deadline`, or, for an account
    /// of which it does not list all, those that are known. An error if there are none because X was not asked.
    pub(super) async fn list_posts(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        question: &mut Question,
        deadline: Instant,
    ) -> Result<Listed, Error> {
        let Some(of) = question.posts_of.take() else { return Ok(Listed::default()) };
        let accounts = self.named_accounts(&caller.key, app, &of.accounts, "posts_of").await?;
        let list = |account: &Arc<KnownAccount>| {
            let user = account.stored.account.user_id;
            self.list_or_recall(app, caller, (user, &of), deadline)
        };
        let lists = join_all(accounts.iter().map(list)).await;
        let (mut listed, mut unread) = (Listed::default(), None);
        for (account, list) in accounts.iter().zip(lists) {
            let List { posts, made, end } = list?;
            listed.made.extend(made);
            match end {
                ListEnd::Complete => listed.add(account, PostSource::X, posts, true),
                ListEnd::AtLimit => {
                    listed.note(account, &format!("X lists the newest {MOST_LISTED} alone"));
                    listed.add(account, PostSource::X, posts, false);
                }
                ListEnd::NotListed(why) => {
                    let (count, text) =
                        (posts.len(), "that are known, since X's list was not read");
                    listed.note(account, &format!("the {count} {text}: {why}"));
                    listed.add(account, PostSource::Known, posts, false);
                    unread = unread.or(Some((account, why)));
                }
            }
        }
        if let Some((account, why)) = unread.filter(|_| listed.posts.is_empty()) {
            return Err(self.nothing_known(question, account, &why));
        }
        question.take_posts(&mut listed, self.0.limits.question_posts)?;
        Ok(listed)
    }

    /// The same without asking X: the posts are those known, beside the number of posts that each page would be asked for.
    pub(super) async fn plan_lists(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        question: &mut Question,
    ) -> Result<(Vec<usize>, Listed), Error> {
        let Some(of) = question.posts_of.take() else { return Ok(Default::default()) };
        let accounts = self.named_accounts(key, app, &of.accounts, "posts_of").await?;
        let known =
            accounts.iter().map(|known| self.known_posts(known.stored.account.user_id, &of));
        let mut listed = Listed::default();
        for (account, known) in accounts.iter().zip(join_all(known).await) {
            listed.add(account, PostSource::Known, known?, false);
        }
        match (self.unread(app), accounts.first()) {
            (Some(why), Some(account)) if listed.posts.is_empty() => {
                return Err(self.nothing_known(question, account, &why));
            }
            (Some(why), _) => {
                listed
                    .notes
                    .push(format!("the posts are those known, since X is not asked: {why}"));
                question.take_posts(&mut listed, self.0.limits.question_posts)?;
                return Ok((Vec::new(), listed));
            }
            (None, _) => (),
        }
        let count = listed.posts.len();
        listed.notes.push(format!(
            "the calls after X's lists of posts are those for the {count} posts known so far; X may list others"
        ));
        if of.written.is_some() {
            listed.notes.push("X may list the posts of a range on further pages".to_owned());
        }
        question.take_posts(&mut listed, self.0.limits.question_posts)?;
        let pages = of.pages();
        Ok((accounts.iter().flat_map(|_| pages.iter().copied()).collect(), listed))
    }

    /// Why lists of users' posts are not read at present, if they are not.
    fn unread(&self, app: &AppState) -> Option<NotListed> {
        if !app.settings().lookup {
            return Some(NotListed::Off(app.name.clone()));
        }
        let until = app.list_pause.0.load(Ordering::Relaxed);
        let left = u64::try_from(until - self.0.upstream.now().unix_timestamp()).ok()?;
        (left > 0).then(|| NotListed::Paused { left: Duration::from_secs(left) })
    }

    /// X's list of an account's posts, or the posts that are known, and those that X has listed, if it ends early.
    async fn list_or_recall(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        (user, of): (UserId, &PostsOf),
        deadline: Instant,
    ) -> Result<List, Error> {
        let mut list = self.list_account(app, caller, (user, of), deadline).await;
        if let ListEnd::NotListed(_) = list.end {
            let known = self.known_posts(user, of).await?;
            let all: BTreeSet<u64> = known.into_iter().chain(list.posts).collect();
            list.posts = all.into_iter().rev().take(of.most()).collect();
        }
        Ok(list)
    }

    /// Reads X's list until there are as many posts as wanted.
    async fn list_account(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        (user, of): (UserId, &PostsOf),
        deadline: Instant,
    ) -> List {
        let (mut list, ids) = (List::default(), of.ids());
        let (mut next, mut asked): (Option<String>, _) = (None, 0);
        for _ in 0..MOST_PAGES {
            let most = of.most() - list.posts.len();
            let wanted = PostPageOf { user, ids: &ids, most, token: next.as_deref() };
            let (page, made) = self.read_page(app, caller, &wanted, deadline).await;
            list.made.extend(made);
            let page = match page {
                Ok(page) => page,
                Err(why) => return List { end: ListEnd::NotListed(why), ..list },
            };
            asked += page_of(most);
            list.posts.extend(page.posts);
            list.posts.truncate(of.most());
            next = page.next;
            if next.is_none() || list.posts.len() == of.most() {
                break;
            }
        }
        // What X leaves out counts, too: a list that ends here may not be the whole list.
        if of.last != Some(list.posts.len()) && (next.is_some() || asked >= MOST_LISTED) {
            list.end = ListEnd::AtLimit;
        }
        list
    }

    /// Makes one request for a page, in the key's turn.
    async fn read_page(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        wanted: &PostPageOf<'_>,
        deadline: Instant,
    ) -> (Result<PostPage, NotListed>, Option<LookUp>) {
        let turn = timeout_at(deadline, app.question_turns.take(caller.turn(), 1)).await;
        let Ok(_turn) = turn else { return (Err(NotListed::Late), None) };
        if let Some(why) = self.unread(app) {
            return (Err(why), None);
        }
        let (mut effort, begun) = (UpstreamEffort::default(), self.0.clock.instant());
        let requested = self.request_with_bearer(app, wanted, &mut effort);
        let outcome = match timeout_at(deadline, requested).await {
            Ok(Ok(outcome)) => outcome.map_err(|error| {
                self.pause_lists(app, self.pause_after(&error), &error);
                NotListed::LookUp(error)
            }),
            Ok(Err(error)) => {
                self.pause_lists(app, FAILED, &error);
                Err(NotListed::Token(error))
            }
            Err(_) => {
                effort.time = self.0.clock.instant().saturating_duration_since(begun);
                Err(NotListed::Late)
            }
        };
        caller.made.add(effort.attempts);
        let posts = outcome.as_ref().map(|page| page.posts.clone()).unwrap_or_default();
        let made = (effort.attempts > 0).then_some(LookUp { posts, effort });
        (outcome, made)
    }

    /// The posts of an account that are known, newest first.
    async fn known_posts(&self, user: UserId, of: &PostsOf) -> Result<Vec<u64>, Error> {
        let find =
            |store: Store| async move { Ok(store.find_posts_of(user, of.ids(), of.most()).await?) };
        Ok(self.read_patiently(find).await?)
    }

    /// There are no posts to ask about, since X has not listed any.
    fn nothing_known(&self, question: &Question, account: &KnownAccount, why: &NotListed) -> Error {
        let name = &account.stored.account.screen_name;
        let reason = match why {
            NotListed::Off(app) => {
                let detail = format!(
                    "no posts of @{name} are known, and X is not asked for them, since apps.{app}.lookup is off; name tweet_ids"
                );
                return Error::InvalidRequest(vec![Detail::at("/posts_of", detail)]);
            }
            NotListed::Token(error) => return error.clone(),
            NotListed::Late => Reason::Deadline,
            NotListed::LookUp(LookUpError::Quota { .. }) => Reason::Quota,
            NotListed::LookUp(LookUpError::NotShown) => Reason::Unavailable,
            NotListed::LookUp(_) | NotListed::Paused { .. } => Reason::UpstreamError,
        };
        let retry_after = match why {
            NotListed::Paused { left } => Some(*left),
            NotListed::LookUp(error) => self.pause_after(error).try_into().ok(),
            _ => None,
        };
        let detail = format!("X has not listed the posts of @{name}, and none are known: {why}");
        let author = Some(account.stored.account.user_id);
        let entry = Missing::whole(Vec::new(), question.metrics.clone(), reason);
        let missing = vec![Missing { author, detail, ..entry }];
        Error::NothingAnswered { missing, reason, retry_after }
    }
}

impl Listed {
    fn add(
        &mut self,
        account: &KnownAccount,
        source: PostSource,
        posts: Vec<u64>,
        is_complete: bool,
    ) {
        let account = account.stored.account.user_id;
        self.accounts.push(AccountPosts { account, source, posts: posts.len(), is_complete });
        self.authors.extend(posts.iter().map(|post| (*post, account)));
        self.posts.extend(posts);
    }

    fn note(&mut self, account: &KnownAccount, text: &str) {
        self.notes.push(format!("posts of @{}: {text}", account.stored.account.screen_name));
    }
}

impl PostsOf {
    /// The most posts of each account.
    pub(super) fn most(&self) -> usize {
        self.last.unwrap_or(MOST_LISTED)
    }

    /// The ids that its posts may have.
    fn ids(&self) -> RangeInclusive<u64> {
        match self.written {
            Some(Span { start, end }) => {
                post::first_id_at(start)..=post::first_id_at(end).saturating_sub(1)
            }
            None => 0..=post::LARGEST_ID,
        }
    }

    /// How many requests X's lists of its accounts take at least.
    pub(super) fn pages(&self) -> Vec<usize> {
        let last = if self.written.is_some() { 1 } else { self.most() };
        let pages = (0..last).step_by(page_of(MOST_LISTED)).map(|from| page_of(last - from));
        pages.collect()
    }
}

impl Question {
    /// Asks about these posts, of at most `most`, by these authors.
    fn take_posts(&mut self, listed: &mut Listed, most: usize) -> Result<(), Error> {
        if listed.posts.len() > most {
            let count = listed.posts.len();
            let detail = format!(
                "holds {count} posts; limits.question_posts allows {most}: choose a shorter range, fewer accounts, or last"
            );
            return Err(Error::InvalidRequest(vec![Detail::at("/written", detail)]));
        }
        self.posts = std::mem::take(&mut listed.posts);
        self.owners.clone_from(&listed.authors);
        Ok(())
    }
}
