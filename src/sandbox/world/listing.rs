//! The listing of the world for people and tests. It includes secrets: it is a sandbox.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::{Endpoint, Metric, post};
use crate::sandbox::Sandbox;
use crate::sandbox::engagement::numbers::{MOST_VIDEO_AGE, is_older_than};
use crate::sandbox::world::population::Post;

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
    /// The names of the apps with access to the user; the tokens of others are invalid.
    pub connected_apps: Vec<&'static str>,
    /// The user's posts, newest first.
    pub posts: Vec<WorldPost>,
}

/// A post with its totals, whatever its state.
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
    let now = sandbox.now();
    let state = sandbox.state();
    let apps = population.apps.iter().enumerate().map(|(place, app)| WorldApp {
        name: app.name.to_owned(),
        consumer_key: app.consumer_key.clone(),
        consumer_secret: app.consumer_secret.clone(),
        bearer_token: population.bearer(place, state.bearer_generation(place)),
    });
    let users = population.users.iter().enumerate().map(|(place, user)| {
        let token = |app: usize| {
            let token = state.grants.token(place, app);
            token.map(|token| (token.text.clone(), token.secret.clone())).unwrap_or_default()
        };
        let connected = population.apps.iter().enumerate();
        let connected = connected.filter(|(app, _)| state.grants.is_live(place, *app));
        let (access_token, access_token_secret) = token(0);
        let (other_access_token, other_access_token_secret) = token(1);
        WorldUser {
            user_id: user.id.to_string(),
            screen_name: user.screen_name.clone(),
            state: state.listed_state(place).name().to_owned(),
            access_token,
            access_token_secret,
            other_access_token,
            other_access_token_secret,
            connected_apps: connected.map(|(_, app)| app.name).collect(),
            posts: Vec::new(),
        }
    });
    let mut world = World { apps: apps.collect(), users: users.collect() };
    // Computing the numbers takes a while, and calls need not wait for it.
    drop(state);
    for (listed, user) in world.users.iter_mut().zip(&population.users) {
        listed.posts = user.posts.iter().map(|post| listed_post(sandbox, *post, now)).collect();
    }
    world
}

fn listed_post(sandbox: &Sandbox, post: Post, now: OffsetDateTime) -> WorldPost {
    let story = sandbox.population().story(post.id);
    let created_at = post::created_at(post.id);
    let hours = story.hours_until(now);
    let total = |metric: Metric| match metric {
        Metric::VideoViews if is_older_than(post.id, MOST_VIDEO_AGE, now) => 0,
        _ => story.sum(metric, hours.clone()),
    };
    let metrics = Metric::ALL.into_iter().filter(|metric| metric.is_served_by(Endpoint::Totals));
    WorldPost {
        id: post.id.to_string(),
        created_at: created_at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default(),
        state: if post.is_deleted { "deleted" } else { "active" }.to_owned(),
        totals: metrics.map(|metric| (metric.name(), total(metric))).collect(),
    }
}

impl Sandbox {
    /// Everything that exists, secrets included, as of now.
    pub fn world(&self) -> World {
        list(self)
    }
}
