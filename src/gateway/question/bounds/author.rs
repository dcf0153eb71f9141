//! Tokens for all posts of an author: a post counts as theirs if that is known, or a look-up finds it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::gateway::app::AppState;
use crate::gateway::question::Question;
use crate::gateway::question::caller::Caller;
use crate::gateway::question::lookup::{Found, LookUp};
use crate::gateway::{Detail, Error, Gateway};
use crate::model::UserId;

/// The most posts of one look-up, and of those of which a page's question may have the author found out.
const MOST_LOOKED_UP: usize = 100;

impl Gateway {
    /// Refuses posts that are not known to be by the author for whom the caller's token is, and makes the author the
    /// owner of the others. Returns the look-ups that this took, which end at `deadline`.
    pub(in crate::gateway) async fn require_author(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        question: &mut Question,
        deadline: Instant,
    ) -> Result<Vec<LookUp>, Error> {
        let Some(author) = caller.token.as_ref().and_then(|token| token.bounds.author) else {
            return Ok(Vec::new());
        };
        let mut known = self.known_authors(question.posts.iter().copied()).await;
        let is_unknown = |post: &u64| !known.contains_key(post) && !self.0.authors.is_hidden(*post);
        let unknown: Vec<u64> =
            question.posts.iter().copied().filter(is_unknown).take(MOST_LOOKED_UP).collect();
        let mut made = Vec::new();
        if !unknown.is_empty() && self.may_look_up(app) {
            let counted = self.0.page_limiter.begin_look_up(&app.name);
            counted.map_err(|retry_after| Error::BrowserLimited { retry_after })?;
            let found: Found = self.look_up_all(app, &caller.key, vec![unknown], deadline).await;
            known.extend(&found.authors);
            self.learn_authors(found.authors, std::collections::HashSet::new()).await;
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
