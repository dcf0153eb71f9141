//! Looking up posts' authors, a hundred posts at a time, if the app may do so and the authors are unknown. A failure
//! costs nothing but the knowledge: candidates are tried for the posts that stay unknown.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::warn;

use crate::gateway::app::AppState;
use crate::gateway::app::bearer::BearerSource;
use crate::gateway::app::pauses::LookupPause;
use crate::gateway::question::caller::Caller;
use crate::gateway::{Error, Gateway};
use crate::model::UserId;
use crate::upstream::{AuthorsOf, LookUpError, Resource, UpstreamEffort};

/// How long look-ups pause for an app that X does not allow to look posts up. Quota is back within that, too.
const REFUSED: Duration = Duration::minutes(15);
/// How long look-ups pause after any other failure.
pub(super) const FAILED: Duration = Duration::minutes(1);

/// A look-up that was made.
pub struct LookUp {
    pub posts: Vec<u64>,
    pub effort: UpstreamEffort,
}

/// The authors that look-ups found, and the look-ups themselves.
#[derive(Default)]
pub struct Found {
    pub authors: HashMap<u64, UserId>,
    /// Look-ups in the order in which they ended.
    pub made: Vec<LookUp>,
}

impl Gateway {
    pub(super) fn may_look_up(&self, app: &AppState) -> bool {
        let now = self.0.upstream.now().unix_timestamp();
        app.settings().lookup && app.lookup_pause.0.load(Ordering::Relaxed) <= now
    }

    /// Makes look-ups side by side until `deadline`; none is begun later.
    pub(super) async fn look_up_all(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        lookups: Vec<Vec<u64>>,
        deadline: Instant,
    ) -> Found {
        let mut found = Found::default();
        let mut waiting = lookups.into_iter();
        let mut in_flight = JoinSet::new();
        let (mut time_up, mut is_over) = (pin!(sleep_until(deadline)), false);
        loop {
            while !is_over
                && in_flight.len() < self.0.limits.question_calls
                && let Some(posts) = waiting.next()
            {
                let (gateway, app, caller) = (self.clone(), Arc::clone(app), caller.clone());
                let look_up = async move { gateway.look_up(&app, &caller, posts, deadline).await };
                in_flight.spawn(look_up);
            }
            let joined = tokio::select! {
                biased;
                () = &mut time_up, if !is_over => {
                    is_over = true;
                    continue;
                }
                joined = in_flight.join_next() => joined,
            };
            match joined {
                Some(Ok(Some((made, authors)))) => {
                    found.made.push(made);
                    found.authors.extend(authors);
                }
                Some(_) => (),
                None => return found,
            }
        }
    }

    /// Makes one look-up, unless another has paused look-ups meanwhile, or time is up.
    async fn look_up(
        &self,
        app: &Arc<AppState>,
        caller: &Caller,
        posts: Vec<u64>,
        deadline: Instant,
    ) -> Option<(LookUp, HashMap<u64, UserId>)> {
        let _slot = timeout_at(deadline, app.question_turns.take(caller.turn(), 1)).await.ok()?;
        if !self.may_look_up(app) {
            return None;
        }
        let (mut effort, begun) = (UpstreamEffort::default(), self.0.clock.instant());
        let wanted = AuthorsOf(&posts);
        let requested = self.request_with_bearer(app, &wanted, &mut effort);
        let outcome = timeout_at(deadline, requested).await;
        let authors = match outcome {
            Ok(Ok(Ok(authors))) => {
                self.0.authors.hide(&posts, &authors).await;
                authors
            }
            Ok(Ok(Err(error))) => self.pause_lookups(app, self.pause_after(&error), &error),
            Ok(Err(error)) => self.pause_lookups(app, FAILED, &error),
            // Either the caller was impatient or X was slow; no pause follows.
            Err(_) => {
                effort.time = self.0.clock.instant().saturating_duration_since(begun);
                HashMap::new()
            }
        };
        caller.made.add(effort.attempts);
        (effort.attempts > 0).then_some((LookUp { posts, effort }, authors))
    }

    /// Asks with the app's bearer token, and once more with a newer one if X no longer accepts it. The outer error is
    /// that of minting a token.
    pub(super) async fn request_with_bearer<R: Resource>(
        &self,
        app: &Arc<AppState>,
        wanted: &R,
        effort: &mut UpstreamEffort,
    ) -> Result<Result<R::Found, LookUpError>, Error> {
        let upstream = &self.0.upstream;
        let settings = app.settings();
        if let (BearerSource::Configured, Some(token)) =
            (BearerSource::of(&settings), &settings.bearer_token)
        {
            return Ok(upstream.look_up(wanted, token, effort).await);
        }
        let bearer = self.get_bearer(app).await?;
        match upstream.look_up(wanted, &bearer.token, effort).await {
            Err(LookUpError::BearerRejected) => {
                let renewed = self.renew_bearer(app, bearer.generation).await?;
                Ok(upstream.look_up(wanted, &renewed.token, effort).await)
            }
            outcome => Ok(outcome),
        }
    }

    pub(super) fn pause_after(&self, error: &LookUpError) -> Duration {
        match error {
            LookUpError::Forbidden | LookUpError::BearerRejected => REFUSED,
            LookUpError::Quota { until: Some(until) } => {
                (*until - self.0.upstream.now()).clamp(Duration::SECOND, REFUSED)
            }
            LookUpError::NotShown => Duration::ZERO,
            LookUpError::Quota { until: None } | LookUpError::Odd(_) | LookUpError::Upstream(_) => {
                FAILED
            }
        }
    }

    /// Pauses the app's look-ups, and returns no authors.
    fn pause_lookups(
        &self,
        app: &AppState,
        pause: Duration,
        error: &(dyn std::error::Error + 'static),
    ) -> HashMap<u64, UserId> {
        if self.pause(&app.lookup_pause, pause) {
            let (app, pause) = (&app.name, pause.whole_seconds());
            warn!(
                error,
                app, pause, "posts could not be looked up; look-ups pause for this many seconds"
            );
        }
        HashMap::new()
    }

    /// Pauses the app's lists of users' posts.
    pub(super) fn pause_lists(
        &self,
        app: &AppState,
        pause: Duration,
        error: &(dyn std::error::Error + 'static),
    ) {
        if !pause.is_zero() && self.pause(&app.list_pause, pause) {
            let (app, pause) = (&app.name, pause.whole_seconds());
            warn!(
                error,
                app, pause, "posts could not be listed; lists pause for this many seconds"
            );
        }
    }

    /// Returns whether nothing was paused before: requests in flight at the same time would log the same.
    fn pause(&self, pause: &LookupPause, length: Duration) -> bool {
        let now = self.0.upstream.now().unix_timestamp();
        pause.0.fetch_max(now + length.whole_seconds(), Ordering::Relaxed) <= now
    }
}
