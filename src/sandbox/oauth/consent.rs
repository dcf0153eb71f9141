//! The page that users see: `/oauth/authorize`, where one of them authorises the app or refuses (reference 6.4).
//!
//! `/oauth/authenticate` does the same and always asks, as X does since 2017. Nobody is ever logged in here, so
//! `force_login` changes nothing, and `screen_name` is the user chosen at first.

use axum::http::StatusCode;

use crate::sandbox::Sandbox;
use crate::sandbox::auth::signature::{Pairs, find, form_pairs};
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::oauth::callback;
use crate::sandbox::oauth::handshake::Step;
use crate::sandbox::oauth::pages;
use crate::sandbox::oauth::pages::{Choice, Consent};
use crate::sandbox::world::state::State;

/// `GET`: the page that asks.
pub fn ask(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    let query = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let now_s = sandbox.now().unix_timestamp();
    consent(sandbox, &mut sandbox.state(), arrival, &query, now_s)
}

/// `POST` of the fields `oauth_token`, `decision` (`allow` or `cancel`) and, to allow, `screen_name`.
pub fn decide(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    let form = arrival.form();
    let token = value(&form, "oauth_token");
    let population = sandbox.population();
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();
    let Some(handshake) = state.handshakes.find_asking(token, now_s) else {
        return pages::invalid_token();
    };
    let app = handshake.app;
    let name = population.apps.get(app).map_or("", |app| app.name);
    match (value(&form, "decision"), population.find_named(value(&form, "screen_name"))) {
        ("cancel", _) => {
            handshake.step = Step::Over;
            let back = callback::with_query(&handshake.callback, &format!("denied={token}"));
            pages::refused(name, (!handshake.is_by_pin()).then_some(&*back))
        }
        ("allow", Some(user)) => {
            let verifier = handshake.allow(population, user);
            let added = format!("oauth_token={token}&oauth_verifier={verifier}");
            let back = callback::with_query(&handshake.callback, &added);
            let is_by_pin = handshake.is_by_pin();
            state.grants.give(population, user, app);
            if is_by_pin {
                pages::pin(name, &verifier)
            } else {
                Reply::redirect(StatusCode::FOUND, &back)
            }
        }
        _ => {
            let mut page = consent(sandbox, &mut state, arrival, &form, now_s);
            page.status = StatusCode::BAD_REQUEST;
            page
        }
    }
}

/// The page for the handshake, and with the user, that `fields` name.
fn consent(
    sandbox: &Sandbox,
    state: &mut State,
    arrival: &Arrival,
    fields: &Pairs,
    now_s: i64,
) -> Reply {
    let token = value(fields, "oauth_token");
    let Some(handshake) = state.handshakes.find_asking(token, now_s) else {
        return pages::invalid_token();
    };
    let (app, callback) = (handshake.app, handshake.callback.clone());
    let is_by_pin = handshake.is_by_pin();
    let population = sandbox.population();
    let chosen = value(fields, "screen_name").trim_start_matches('@');
    let users = population.users.iter().enumerate().map(|(place, user)| Choice {
        screen_name: &user.screen_name,
        state: state.user_state(place).name(),
        is_connected: state.grants.is_live(place, app),
        is_chosen: user.screen_name.eq_ignore_ascii_case(chosen),
    });
    pages::page(&Consent {
        app: population.apps.get(app).map_or("", |app| app.name),
        path: &arrival.path,
        token,
        callback: (!is_by_pin).then_some(&*callback),
        complaint: arrival.method == "POST",
        users: users.collect(),
    })
}

fn value<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    find(pairs, name).unwrap_or_default()
}
