//! How access ends: `/settings/connected_apps`, where users revoke it, and `POST /1.1/oauth/invalidate_token`, with
//! which an app gives it up (reference 6.6).

use axum::http::StatusCode;
use serde_json::json;

use crate::sandbox::Sandbox;
use crate::sandbox::auth::signature::find;
use crate::sandbox::auth::{Denied, authenticate};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::oauth::pages;
use crate::sandbox::oauth::pages::{Connected, ConnectedApps, Owner};

pub const PATH: &str = "/settings/connected_apps";

/// `GET`: every user with the apps that have access.
pub fn list(sandbox: &Sandbox) -> Reply {
    let population = sandbox.population();
    let state = sandbox.state();
    let users = population.users.iter().enumerate().map(|(place, user)| {
        let apps = population.apps.iter().enumerate().map(|(index, app)| Connected {
            name: app.name,
            is_connected: state.grants.is_live(place, index),
        });
        Owner { screen_name: &user.screen_name, apps: apps.collect() }
    });
    pages::page(&ConnectedApps { path: PATH, users: users.collect() })
}

/// `POST` of the fields `screen_name` and `app`: the user revokes the app's access.
pub fn revoke(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    let form = arrival.form();
    let value = |name: &str| find(&form, name).unwrap_or_default();
    let population = sandbox.population();
    let user = population.find_named(value("screen_name"));
    let app = population.apps.iter().position(|app| app.name == value("app"));
    let (Some(user), Some(app)) = (user, app) else {
        return Refusal::texts(400, &[errors::invented("no such user or app")]).into();
    };
    sandbox.state().grants.withdraw(user, app);
    Reply::redirect(StatusCode::SEE_OTHER, PATH)
}

/// Invalidates the token that signs the request.
pub fn invalidate(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    invalidated(sandbox, arrival).unwrap_or_else(Reply::from)
}

fn invalidated(sandbox: &Sandbox, arrival: &Arrival) -> Result<Reply, Refusal> {
    let caller = authenticate(sandbox, arrival).map_err(Denied::on_api)?;
    let user = caller.user.ok_or_else(|| errors::coded(220))?;
    let mut state = sandbox.state();
    let token = state.grants.token(user, caller.app).map(|token| token.text.clone());
    state.grants.withdraw(user, caller.app);
    Ok(Reply::json(StatusCode::OK, &json!({ "access_token": token })))
}
