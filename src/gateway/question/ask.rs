//! What a question needs before its calls can be planned: whether the key may ask it, whose posts they are as far as
//! that is known, and whose tokens may be used.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::gateway::bearers::AppState;
use crate::gateway::keys::KnownKey;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::parts::Parts;
use crate::gateway::question::plan::{MOST_CANDIDATES, Plan, Reason, plan};
use crate::gateway::question::run::Answered;
use crate::gateway::question::{Limits, Question, Window};
use crate::gateway::{Error, Gateway, Problem};
use crate::model::{AccountRef, AccountState, Endpoint, UserId};
use crate::store::AccountFilter;

/// Numbers that an answer may hold; each takes some 32 bytes while it is put together.
const MOST_LEAVES: u64 = 2_000_000;
/// Posts of a part of an answer, where each has a few numbers.
const MOST_POSTS: usize = 250;

impl Gateway {
    /// Answers a question with as few calls as the rules allow, until `deadline`. Whoever gives `parts` is sent each post
    /// as soon as it is whole; what is returned is then without these.
    pub async fn answer_question(
        &self,
        key: &Arc<KnownKey>,
        body: &[u8],
        deadline: Duration,
        parts: Option<UnboundedSender<Merge>>,
    ) -> Result<Answered, Error> {
        let (app, question) = self.read_question(key, body)?;
        let plan = self.plan_for(key, app, &question).await?;
        let most = if question.window == Window::Totals { MOST_POSTS } else { 1 };
        let parts = parts.map(|it| Parts::new(it, most));
        self.ask_all(app, key, &question, plan, deadline, parts).await
    }

    /// The calls that would answer a question; none is made.
    pub async fn plan_question(&self, key: &Arc<KnownKey>, body: &[u8]) -> Result<Plan, Error> {
        let (app, question) = self.read_question(key, body)?;
        self.plan_for(key, app, &question).await
    }

    fn read_question(
        &self,
        key: &KnownKey,
        body: &[u8],
    ) -> Result<(&Arc<AppState>, Question), Error> {
        let limits = Limits {
            posts: self.0.limits.question_posts,
            days: self.0.limits.question_days,
            leaves: MOST_LEAVES,
        };
        let question = Question::read(body, &limits, self.0.upstream.now());
        let question = question.map_err(Error::InvalidRequest)?;
        let app = self.granted_app(key, question.window.endpoint())?;
        Ok((app, question))
    }

    async fn plan_for(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        question: &Question,
    ) -> Result<Plan, Error> {
        let is_private = question.window.endpoint() != Endpoint::Totals
            || question.metrics.iter().any(|it| it.is_private_on_totals());
        if !is_private {
            return Ok(plan(question, &HashMap::new(), &[]));
        }
        let allowed = self.allowed_accounts(key, app, question).await?;
        let learnt = app.learnt(&question.posts).await;
        let author = |it: &u64| question.owners.get(it).or_else(|| learnt.get(it)).copied();
        let authors: HashSet<UserId> = question.posts.iter().filter_map(author).collect();
        let is_known = question.posts.iter().all(|it| author(it).is_some());
        let mut usable = Vec::new();
        if !is_known {
            usable = self.candidates(app, allowed.as_deref()).await?;
        }
        let mut ended = HashSet::new();
        for author in authors {
            let may = allowed.as_ref().is_none_or(|it| it.contains(&author));
            let known = if may { self.known_account(app, author).await? } else { None };
            match known.map(|it| it.stored.account.state) {
                Some(AccountState::Active) if !usable.contains(&author) => usable.push(author),
                Some(AccountState::Active) | None => (),
                Some(_) => drop(ended.insert(author)),
            }
        }
        let mut plan = plan(question, &learnt, &usable);
        for missing in &mut plan.missing {
            if missing.author.is_some_and(|it| ended.contains(&it)) {
                missing.reason = Reason::AccountRevoked;
            }
        }
        Ok(plan)
    }

    /// The accounts whose tokens the key and the question allow; `None` for all of the app's.
    async fn allowed_accounts(
        &self,
        key: &KnownKey,
        app: &Arc<AppState>,
        question: &Question,
    ) -> Result<Option<Vec<UserId>>, Error> {
        let of_key = key.key.scopes.accounts.as_ref();
        let Some(named) = &question.accounts else { return Ok(of_key.cloned()) };
        let (mut allowed, mut problems) = (Vec::new(), Vec::new());
        for (index, named) in named.iter().enumerate() {
            let user_id = match named {
                AccountRef::Id(user_id) => Some(*user_id),
                AccountRef::ScreenName(name) => self.user_named(app, name).await?,
            };
            let user_id = user_id.filter(|it| of_key.is_none_or(|of_key| of_key.contains(it)));
            let known = match user_id {
                Some(user_id) => self.known_account(app, user_id).await?.map(|_| user_id),
                None => None,
            };
            allowed.extend(known);
            if known.is_none() {
                let detail = "there is no such account for this key";
                problems.push(Problem::at(&format!("/accounts/{index}"), detail));
            }
        }
        if problems.is_empty() { Ok(Some(allowed)) } else { Err(Error::InvalidRequest(problems)) }
    }

    /// Who may be tried for posts of unknown authors: active accounts, those that the question names first.
    async fn candidates(
        &self,
        app: &Arc<AppState>,
        allowed: Option<&[UserId]>,
    ) -> Result<Vec<UserId>, Error> {
        let Some(allowed) = allowed else {
            let filter = AccountFilter {
                app: Some(app.app.name.clone()),
                state: Some(AccountState::Active),
                after: None,
                limit: u32::try_from(MOST_CANDIDATES).unwrap_or(u32::MAX),
            };
            let listed = self.0.store.list_accounts(&filter).await?;
            return Ok(listed.into_iter().map(|it| it.user_id).collect());
        };
        let mut active = Vec::new();
        for user_id in allowed {
            let known = self.known_account(app, *user_id).await?;
            if known.is_some_and(|it| it.stored.account.state == AccountState::Active) {
                active.push(*user_id);
            }
            if active.len() == MOST_CANDIDATES {
                break;
            }
        }
        Ok(active)
    }
}

impl AppState {
    /// The authors of these posts, as far as answers have told them.
    async fn learnt(&self, posts: &[u64]) -> HashMap<u64, UserId> {
        let mut learnt = HashMap::new();
        for post in posts {
            if let Some(author) = self.authors.get(post).await {
                learnt.insert(*post, author);
            }
        }
        learnt
    }

    /// Whose posts these are known not to be, of those who may be tried.
    pub(super) fn known_foreign(
        &self,
        posts: &[u64],
        candidates: &[UserId],
    ) -> HashSet<(u64, UserId)> {
        let pairs = posts.iter().flat_map(|post| candidates.iter().map(|it| (*post, *it)));
        pairs.filter(|it| self.foreign.contains_key(it)).collect()
    }

    /// Remembers whose posts they are, and whose they are not; that never changes.
    pub(super) async fn learn(
        &self,
        learnt: HashMap<u64, UserId>,
        foreign: HashSet<(u64, UserId)>,
    ) {
        for (post, author) in learnt {
            self.authors.insert(post, author).await;
        }
        for pair in foreign {
            self.foreign.insert(pair, ()).await;
        }
    }
}
