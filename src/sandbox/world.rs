//! The world as it is listed for people and tests, secrets included: it is a sandbox.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::{Endpoint, Metric, post};
use crate::sandbox::Sandbox;
use crate::sandbox::answer::{MOST_VIDEO_AGE, is_older_than};
use crate::sandbox::population::{Post, UserState};

/// Everything that exists.
#[derive(Clone, Debug, Serialize)]
pub struct World {
    pub apps: Vec<WorldApp>,
    pub users: Vec<WorldUser>,
}

/// An app with its present bearer token.
#[derive(Clone, Debug, Serialize)]
pub struct WorldApp {
    pub name: String,
    pub consumer_key: String,
    pub consumer_secret: String,
    pub bearer_token: String,
}

/// A user, with tokens for the app `demo` and for the app `other`.
#[derive(Clone, Debug, Serialize)]
pub struct WorldUser {
    pub user_id: String,
    pub screen_name: String,
    /// `active`, `protected`, `suspended`, `locked` or `revoked`.
    pub state: String,
    pub access_token: String,
    pub access_token_secret: String,
    pub other_access_token: String,
    pub other_access_token_secret: String,
    /// Newest first.
    pub posts: Vec<WorldPost>,
}

/// A post and what totals would tell of it, whatever its state.
#[derive(Clone, Debug, Serialize)]
pub struct WorldPost {
    pub id: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// `active` or `deleted`.
    pub state: String,
    pub totals: BTreeMap<&'static str, u64>,
}

/// Lists the world as of now.
pub fn list(sandbox: &Sandbox) -> World {
    let population = sandbox.population();
    let (generations, states): (Vec<u64>, Vec<UserState>) = {
        let state = sandbox.state();
        (
            (0..population.apps.len()).map(|it| state.bearer_generation(it)).collect(),
            (0..population.users.len()).map(|it| state.user_state(it)).collect(),
        )
    };
    let apps = population.apps.iter().enumerate().zip(generations);
    let apps = apps.map(|((place, app), generation)| WorldApp {
        name: app.name.to_owned(),
        consumer_key: app.consumer_key.clone(),
        consumer_secret: app.consumer_secret.clone(),
        bearer_token: population.bearer(place, generation),
    });
    let now = sandbox.now();
    let users = population.users.iter().zip(states).map(|(user, state)| {
        let token = |app: usize| {
            user.tokens.get(app).map(|it| (it.text.clone(), it.secret.clone())).unwrap_or_default()
        };
        let (access_token, access_token_secret) = token(0);
        let (other_access_token, other_access_token_secret) = token(1);
        WorldUser {
            user_id: user.id.to_string(),
            screen_name: user.screen_name.clone(),
            state: state.name().to_owned(),
            access_token,
            access_token_secret,
            other_access_token,
            other_access_token_secret,
            posts: user.posts.iter().map(|it| listed(sandbox, *it, now)).collect(),
        }
    });
    World { apps: apps.collect(), users: users.collect() }
}

fn listed(sandbox: &Sandbox, it: Post, now: OffsetDateTime) -> WorldPost {
    let story = sandbox.population().story(it.id);
    let created_at = post::created_at(it.id);
    let hours = story.hours_until(now);
    let total = |metric: Metric| match metric {
        Metric::VideoViews if is_older_than(it.id, MOST_VIDEO_AGE, now) => 0,
        _ => story.sum(metric, hours.clone()),
    };
    let metrics = Metric::ALL.into_iter().filter(|it| it.is_served_by(Endpoint::Totals));
    WorldPost {
        id: it.id.to_string(),
        created_at: created_at.and_then(|it| it.format(&Rfc3339).ok()).unwrap_or_default(),
        state: if it.is_deleted { "deleted" } else { "active" }.to_owned(),
        totals: metrics.map(|it| (it.name(), total(it))).collect(),
    }
}
