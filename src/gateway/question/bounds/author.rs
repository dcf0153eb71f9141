//! Tokens for all posts of an author: a post counts as theirs if that is known, or a look-up finds it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::gateway::app::AppState;
use crate::gateway::browser::calls::Spending;
use crate::gateway::key::KnownKey;
use crate::gateway::question::Question;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::lookup::LookUp;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::UserId;

/// The most posts of one look-up, and of those of which a page's question may have the author found out.
const MOST_LOOKED_UP: usize = 100;

impl Gateway {
    /// Counts a look-up for pages, or refuses it.
    pub(in crate::gateway) fn begin_page_look_up(
        &self,
        app: &AppState,
        key: &KnownKey,
    ) -> Result<(), Error> {
        Ok(self.0.page_limiter.begin_look_up(&app.name, &key.key.id)?)
    }

    /// Refuses posts that are not known to be by the author for whom the token is, and makes the author the
    /// owner of the others. Returns the look-ups that this took, which end at `deadline`, and for which it needs calls.
    pub(in crate::gateway) async fn require_author(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        (author, question): (UserId, &mut Question),
        (spending, deadline): (&mut Spending, Instant),
    ) -> Result<Vec<LookUp>, Error> {
        let mut known = self.known_authors(question.posts.iter().copied()).await;
        let is_unknown = |post: &u64| !known.contains_key(post) && !self.0.authors.is_hidden(*post);
        let unknown: Vec<u64> =
            question.posts.iter().copied().filter(is_unknown).take(MOST_LOOKED_UP).collect();
        let mut made = Vec::new();
        if !unknown.is_empty() && app.settings().lookup {
            self.begin_page_look_up(app, &caller.key)?;
            spending.need(1)?;
            let found = self.look_up_all(app, caller, vec![unknown], deadline).await;
            if !found.made.iter().any(|made| made.effort.status == Some(200)) {
                return Err(Error::Busy("the posts' author cannot be found out now".to_owned()));
            }
            known.extend(&found.authors);
            let is_theirs = |(_, found): &(u64, UserId)| *found == author;
            let (theirs, others) = found.authors.into_iter().partition(is_theirs);
            self.learn_authors(theirs, HashSet::new()).await;
            // Pages choose which posts are looked up: strangers' posts are not worth a row each.
            self.0.authors.remember(&others).await;
            made = found.made;
        }
        let others = others(&question.posts, &known, author);
        if !others.is_empty() {
            return Err(Error::Beyond(others));
        }
        question.owners = question.posts.iter().map(|post| (*post, author)).collect();
        Ok(made)
    }
}

/// The places of posts that are not known to be by this author.
fn others(posts: &[u64], known: &HashMap<u64, UserId>, author: UserId) -> Vec<Detail> {
    let is_other = |post: &u64| known.get(post) != Some(&author);
    let places = posts.iter().enumerate().filter(|(_, post)| is_other(post)).take(MOST_LOOKED_UP);
    let detail = "is not known to be by the author for whom this token is";
    places.map(|(index, _)| Detail::at(&format!("/tweet_ids/{index}"), detail)).collect()
}
