//! The calls of apps: `POST /oauth/request_token` and `POST /oauth/access_token` (reference 6.4).

use crate::sandbox::Sandbox;
use crate::sandbox::auth::credentials::{Credentials, Signed};
use crate::sandbox::auth::signature::form_pairs;
use crate::sandbox::auth::{Denied, verify};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::oauth::callback;
use crate::sandbox::oauth::handshake::Step;
use crate::sandbox::world::population::App;

/// Begins a handshake. `x_auth_access_type` is accepted and has no effect.
pub fn request_token(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    begun(sandbox, arrival).unwrap_or_else(Reply::from)
}

/// Ends a handshake that a user has allowed.
pub fn access_token(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    exchanged(sandbox, arrival).unwrap_or_else(Reply::from)
}

fn begun(sandbox: &Sandbox, arrival: &Arrival) -> Result<Reply, Refusal> {
    let (signed, app, its) = signer(sandbox, arrival)?;
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();
    verify(sandbox, &mut state, arrival, signed, its, "", now_s).map_err(Denied::on_api)?;

    let callback =
        parameter(arrival, signed, "oauth_callback").ok_or_else(errors::callback_missing)?;
    callback::check(&callback, state.switches.callbacks.as_deref(), &arrival.path)?;
    let (token, secret) = state.handshakes.begin(sandbox.population(), app, callback, now_s);
    Ok(Reply::form(&[
        ("oauth_token", &token),
        ("oauth_token_secret", &secret),
        ("oauth_callback_confirmed", "true"),
    ]))
}

fn exchanged(sandbox: &Sandbox, arrival: &Arrival) -> Result<Reply, Refusal> {
    let (signed, app, its) = signer(sandbox, arrival)?;
    let token = parameter(arrival, signed, "oauth_token").ok_or_else(errors::no_request_token)?;
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();

    let known = state.handshakes.find(&token).filter(|handshake| handshake.app == app);
    let known = known.ok_or_else(errors::request_token_missing)?;
    let (secret, is_expired) = (known.secret.clone(), known.is_expired(now_s));
    let step = known.step.clone();
    verify(sandbox, &mut state, arrival, signed, its, &secret, now_s).map_err(Denied::on_api)?;
    if is_expired {
        return Err(errors::coded(89));
    }
    let Step::Allowed { user, verifier } = step else {
        return Err(errors::exchange_unavailable());
    };
    // A user can revoke the access before the app fetches its token.
    if parameter(arrival, signed, "oauth_verifier") != Some(verifier)
        || !state.grants.is_live(user, app)
    {
        return Err(errors::exchange_unavailable());
    }
    state.handshakes.end(&token);

    let grant = state.grants.token(user, app).ok_or_else(errors::exchange_unavailable)?;
    let user = sandbox.population().users.get(user).ok_or_else(errors::exchange_unavailable)?;
    Ok(Reply::form(&[
        ("oauth_token", &grant.text),
        ("oauth_token_secret", &grant.secret),
        ("user_id", &user.id.to_string()),
        ("screen_name", &user.screen_name),
    ]))
}

/// The signature's parameters, and the app that it names.
fn signer<'a>(
    sandbox: &'a Sandbox,
    arrival: &'a Arrival,
) -> Result<(&'a Signed, usize, &'a App), Refusal> {
    let Credentials::OAuth(signed) = &arrival.credentials else {
        return Err(Denied::Missing.on_api());
    };
    let found = sandbox.population().find_app(signed.get("oauth_consumer_key"));
    let (place, app) = found.ok_or_else(|| Denied::BadSignature.on_api())?;
    Ok((signed, place, app))
}

/// A parameter from the header, the query or the body, unless it is empty: X's own samples use all three.
fn parameter(arrival: &Arrival, signed: &Signed, name: &str) -> Option<String> {
    let header = signed.0.clone();
    let query = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let all = header.into_iter().chain(query).chain(arrival.form());
    all.filter(|(key, _)| key == name).map(|(_, value)| value).find(|value| !value.is_empty())
}
