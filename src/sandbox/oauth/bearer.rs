//! Bearer tokens: minting them, and invalidating them in either of the two official ways (reference 6.1).

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::sandbox::Sandbox;
use crate::sandbox::auth::credentials::Credentials;
use crate::sandbox::auth::signature::{find, form_pairs, percent_decode};
use crate::sandbox::auth::{Denied, authenticate};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;

/// `DOC` 6.1, with a space.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// `POST /oauth2/token`: the app's one bearer token, the same until it is invalidated.
pub fn mint(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    typed(minted(sandbox, arrival))
}

/// `POST /oauth2/invalidate_token`: the next mint gives another.
pub fn invalidate(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    typed(invalidated(sandbox, arrival))
}

fn typed(outcome: Result<Reply, Refusal>) -> Reply {
    let mut reply = outcome.unwrap_or_else(Reply::from);
    reply.headers.insert(CONTENT_TYPE, JSON);
    reply
}

fn minted(sandbox: &Sandbox, arrival: &Arrival) -> Result<Reply, Refusal> {
    let app = app_of(sandbox, arrival)?;
    match find(&arrival.form(), "grant_type") {
        None => return Err(errors::coded(170)),
        Some("client_credentials") => (),
        Some(_) => return Err(errors::coded(99)),
    }
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();
    let switches = state.switches.clone();
    if !state.quotas.may_mint(app, &switches, now_s) {
        return Err(errors::coded(99));
    }
    let token = sandbox.population().bearer(app, state.bearer_generation(app));
    Ok(Reply::json(StatusCode::OK, &json!({ "token_type": "bearer", "access_token": token })))
}

fn invalidated(sandbox: &Sandbox, arrival: &Arrival) -> Result<Reply, Refusal> {
    let (app, named) = match &arrival.credentials {
        Credentials::OAuth(_) => {
            let caller = authenticate(sandbox, arrival).map_err(Denied::on_api)?;
            (caller.app, form_pairs(arrival.query.as_deref().unwrap_or_default()))
        }
        _ => (app_of(sandbox, arrival)?, arrival.form()),
    };
    let token = find(&named, "access_token").unwrap_or_default();
    let mut state = sandbox.state();
    let live = sandbox.population().bearer(app, state.bearer_generation(app));
    // The token has escapes of its own; some clients escape those again, others do not.
    if token != live && token != percent_decode(&live) {
        return Err(errors::coded(99));
    }
    state.replace_bearer(app);
    Ok(Reply::json(StatusCode::OK, &json!({ "access_token": live })))
}

fn app_of(sandbox: &Sandbox, arrival: &Arrival) -> Result<usize, Refusal> {
    let Credentials::Basic { key, secret } = &arrival.credentials else {
        return Err(errors::coded(99));
    };
    let found = sandbox.population().find_app(key);
    let (app, _) =
        found.filter(|(_, app)| app.consumer_secret == *secret).ok_or_else(|| errors::coded(99))?;
    Ok(app)
}
