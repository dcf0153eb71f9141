//! Access rules: which metrics a caller may request with which credentials, and whose posts (reference 2).

use crate::model::{AuthKind, Endpoint, Metric};
use crate::sandbox::auth::Caller;
use crate::sandbox::engagement::body::Request;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::world::population::Post;
use crate::sandbox::{Sandbox, Switches};

/// The requested metrics, or a refusal with the names of those not available here with these credentials.
pub fn allowed_metrics(
    request: &Request,
    endpoint: Endpoint,
    kind: AuthKind,
    switches: &Switches,
) -> Result<Vec<Metric>, Refusal> {
    let is_allowed = |metric: &Metric| {
        let is_alias = *metric == Metric::MediaClicks;
        metric.is_served_by(endpoint)
            && (!is_alias || switches.accept_media_clicks_alias)
            && match kind {
                AuthKind::UserContext => true,
                AuthKind::AppOnly => endpoint == Endpoint::Totals && metric.is_public(),
            }
    };
    let named = request.metrics.iter();
    let found: Vec<_> = named
        .map(|name| Metric::from_name(name).filter(is_allowed).ok_or_else(|| name.clone()))
        .collect();
    let refused: Vec<String> = found.iter().filter_map(|result| result.clone().err()).collect();
    if refused.is_empty() {
        Ok(found.into_iter().flatten().collect())
    } else {
        Err(errors::forbidden_metrics(&refused))
    }
}

/// The posts that exist and can be seen, and the ids of the others. If none are left, the request fails.
pub fn available_posts(
    sandbox: &Sandbox,
    post_ids: &[i64],
) -> Result<(Vec<Post>, Vec<String>), Refusal> {
    let state = sandbox.state();
    let mut posts = Vec::new();
    let mut unavailable = Vec::new();
    for id in post_ids {
        let found = sandbox.population().find_post(*id);
        match found.filter(|post| !post.is_deleted && state.user_state(post.author).shows_posts()) {
            Some(post) => posts.push(post),
            None => unavailable.push(id.to_string()),
        }
    }
    if posts.is_empty() && !unavailable.is_empty() {
        Err(errors::all_unavailable(&unavailable))
    } else {
        Ok((posts, unavailable))
    }
}

/// With a user's token, a single post of somebody else makes the whole request fail (reference 2.2).
pub fn refuse_foreign(
    sandbox: &Sandbox,
    caller: Caller,
    posts: &[Post],
    switches: &Switches,
) -> Result<(), Refusal> {
    let Some(user) = caller.user else { return Ok(()) };
    let mut foreign: Vec<(u64, Vec<String>)> = Vec::new();
    for post in posts.iter().filter(|post| post.author != user) {
        let author = sandbox.population().users.get(post.author).map_or(0, |author| author.id);
        match foreign.iter_mut().find(|entry| entry.0 == author) {
            Some((_, ids)) => ids.push(post.id.to_string()),
            None => foreign.push((author, vec![post.id.to_string()])),
        }
    }
    if foreign.is_empty() {
        Ok(())
    } else {
        Err(errors::forbidden_posts(&foreign, switches.forbidden_wording))
    }
}
