//! Authentication of callers: bearer tokens and OAuth 1.0a signatures are verified (reference 6.1, 6.2).

pub(super) mod credentials;
pub(super) mod signature;

use crate::model::AuthKind;
use crate::sandbox::auth::credentials::{Credentials, Signed};
use crate::sandbox::auth::signature::{base_string, body_hash, form_pairs, holds};
use crate::sandbox::http::call_log::BrokenBy;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::world::population::{App, Token, UserState};
use crate::sandbox::world::state::State;
use crate::sandbox::{Sandbox, Switches};

/// The tolerance for timestamps, either way. Unpublished; reference 6.2 proposes this one.
const CLOCK_TOLERANCE_S: u64 = 300;

/// An authenticated caller; apps and users are given by their places in the population.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub app: usize,
    /// The user whose token signed; without one the call is app-only.
    pub user: Option<usize>,
}

impl Caller {
    pub fn kind(self) -> AuthKind {
        if self.user.is_some() { AuthKind::UserContext } else { AuthKind::AppOnly }
    }
}

/// Why credentials were not accepted. Each family of endpoints has its own wording for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// No `Authorization`.
    Missing,
    /// A kind of credentials that is not accepted here.
    UnknownKind,
    BadSignature,
    ClockSkew,
    TokenNotFound,
    BearerNotFound,
    AppSuspended,
    Suspended,
    Locked,
}

impl Denied {
    /// The engagement endpoints' wording. It is a guess that the layer in front refuses a bad signature, with a code
    /// (reference 10.14).
    pub fn on_engagement(self, switches: &Switches) -> Refusal {
        match self {
            Denied::Missing | Denied::UnknownKind => errors::unknown_authorization(),
            Denied::TokenNotFound => errors::token_not_found(switches.revoked_wording),
            _ => self.on_api(),
        }
    }

    /// The wording of the token and account endpoints.
    pub fn on_api(self) -> Refusal {
        match self {
            Denied::Missing | Denied::UnknownKind => errors::coded(215),
            Denied::BadSignature => errors::coded(32),
            Denied::ClockSkew => errors::coded(135),
            Denied::TokenNotFound => errors::coded(89),
            Denied::BearerNotFound => errors::bearer_not_found(),
            Denied::AppSuspended => errors::coded(416),
            Denied::Suspended => errors::coded(64),
            Denied::Locked => errors::coded(326),
        }
    }
}

/// Finds out who made a request.
pub fn authenticate(sandbox: &Sandbox, arrival: &Arrival) -> Result<Caller, Denied> {
    match &arrival.credentials {
        Credentials::None => Err(Denied::Missing),
        Credentials::Unknown | Credentials::Basic { .. } => Err(Denied::UnknownKind),
        Credentials::Bearer(token) => bearer(sandbox, token),
        Credentials::OAuth(signed) => signature(sandbox, arrival, signed),
    }
}

fn bearer(sandbox: &Sandbox, token: &str) -> Result<Caller, Denied> {
    let state = sandbox.state();
    let population = sandbox.population();
    let is_its = |app: &usize| population.bearer(*app, state.bearer_generation(*app)) == token;
    let Some(app) = (0..population.apps.len()).find(is_its) else {
        let was_its = |app: usize| {
            (0..state.bearer_generation(app))
                .any(|generation| population.bearer(app, generation) == token)
        };
        if (0..population.apps.len()).any(was_its) {
            sandbox.calls().count_broken(BrokenBy::RotatedBearer);
        }
        return Err(Denied::BearerNotFound);
    };
    Ok(Caller { app, user: None })
}

fn signature(sandbox: &Sandbox, arrival: &Arrival, signed: &Signed) -> Result<Caller, Denied> {
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();
    if signs_elsewhere(arrival) {
        return Err(Denied::BadSignature);
    }
    let key = signed.get("oauth_consumer_key");
    let (app, its) = sandbox.population().find_app(key).ok_or(Denied::BadSignature)?;
    let holder = token_holder(sandbox, &state, app, signed)?;
    let token_secret = holder.as_ref().map_or("", |(_, token)| &token.secret);
    verify(sandbox, &mut state, arrival, signed, its, token_secret, now_s)?;
    let user = holder.map(|(user, _)| user);
    match user.map(|user| state.user_state(user)) {
        Some(UserState::Suspended) => Err(Denied::Suspended),
        Some(UserState::Locked) => Err(Denied::Locked),
        _ => Ok(Caller { app, user }),
    }
}

/// Checks the time, the signature, the nonce, and that the app is in good standing.
pub fn verify(
    sandbox: &Sandbox,
    state: &mut State,
    arrival: &Arrival,
    signed: &Signed,
    app: &App,
    token_secret: &str,
    now_s: i64,
) -> Result<(), Denied> {
    let timestamp = signed.get("oauth_timestamp");
    let sent_s = seconds(timestamp).ok_or(Denied::BadSignature)?;
    if sent_s.abs_diff(now_s) > CLOCK_TOLERANCE_S {
        let right_s = sandbox.true_time().unix_timestamp();
        if sent_s.abs_diff(right_s) <= CLOCK_TOLERANCE_S {
            sandbox.calls().count_broken(BrokenBy::ClockOffset);
        }
        return Err(Denied::ClockSkew);
    }

    let nonce = signed.get("oauth_nonce");
    if nonce.is_empty()
        || !is_well_formed(arrival, signed)
        || !is_signed(arrival, signed, &state.switches, &app.consumer_secret, token_secret)
        || !body_is_as_hashed(arrival, signed, &state.switches)
    {
        return Err(Denied::BadSignature);
    }
    // After the signature: otherwise anybody could use up somebody else's nonces.
    let token = signed.get("oauth_token");
    if !state.is_fresh([&app.consumer_key, token, timestamp, nonce], now_s) {
        return Err(Denied::BadSignature);
    }
    if state.switches.suspended_apps.iter().any(|name| name == app.name) {
        return Err(Denied::AppSuspended);
    }
    Ok(())
}

/// The user whose live token it is, if it was given to that app.
fn token_holder(
    sandbox: &Sandbox,
    state: &State,
    app: usize,
    signed: &Signed,
) -> Result<Option<(usize, Token)>, Denied> {
    let token = signed.get("oauth_token");
    if token.is_empty() {
        return if state.switches.two_legged_ok { Ok(None) } else { Err(Denied::UnknownKind) };
    }
    // Its numeric prefix is the user's id (reference 6.4).
    let id = token.split_once('-').and_then(|(id, _)| id.parse().ok());
    let user = id.and_then(|id| sandbox.population().find_user(id)).ok_or(Denied::TokenNotFound)?;
    let its = state.grants.token(user, app).filter(|latest| latest.text == token);
    let its = its.ok_or(Denied::TokenNotFound)?.clone();
    if !state.grants.is_live(user, app) {
        sandbox.calls().count_broken(BrokenBy::RevokedToken);
        return Err(Denied::TokenNotFound);
    }
    Ok(Some((user, its)))
}

/// A timestamp, which is a positive integer (RFC 5849 section 3.3): without a sign or leading zeros, so that one time
/// has one text.
fn seconds(timestamp: &str) -> Option<i64> {
    let is_plain = !timestamp.starts_with('0') && timestamp.bytes().all(|b| b.is_ascii_digit());
    timestamp.parse().ok().filter(|_| is_plain)
}

fn is_well_formed(arrival: &Arrival, signed: &Signed) -> bool {
    let version = !signed.has("oauth_version") || signed.get("oauth_version") == "1.0";
    let is_known = version && signed.get("oauth_signature_method") == "HMAC-SHA1";
    is_known && !repeats(arrival, signed)
}

/// Whether a protocol parameter comes twice, in one place or in two, which RFC 5849 section 3.1 forbids.
fn repeats(arrival: &Arrival, signed: &Signed) -> bool {
    let in_header = signed.0.iter().map(|(name, _)| name.clone());
    let mut names: Vec<String> = in_header.chain(protocol_parameters(arrival)).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair.first() == pair.last())
}

/// Protocol parameters beside the header, which RFC 5849 section 3.5 forbids. The handshake is exempt: X's own samples
/// send `oauth_callback` and `oauth_verifier` in the query or the body (reference 6.4).
fn signs_elsewhere(arrival: &Arrival) -> bool {
    protocol_parameters(arrival).next().is_some()
}

/// The names of the protocol parameters in the query and in the form body, repetitions included.
fn protocol_parameters(arrival: &Arrival) -> impl Iterator<Item = String> {
    let query = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let names = query.into_iter().chain(arrival.form()).map(|(name, _)| name);
    names.filter(|name| name.starts_with("oauth_"))
}

/// Whether it signs the URL with a scheme by which the client may have come.
fn is_signed(
    arrival: &Arrival,
    signed: &Signed,
    switches: &Switches,
    consumer_secret: &str,
    token_secret: &str,
) -> bool {
    let mut parameters = signed.0.clone();
    parameters.extend(form_pairs(arrival.query.as_deref().unwrap_or_default()));
    parameters.extend(arrival.form());
    arrival.schemes(switches.tls_in_front).iter().any(|scheme| {
        let url = arrival.signed_url(scheme);
        let base = base_string(&arrival.method, &url, &parameters);
        holds(&base, consumer_secret, token_secret, signed.get("oauth_signature"))
    })
}

/// Ruby clients send the body's hash; whether X checks it is unknown (reference 6.2).
fn body_is_as_hashed(arrival: &Arrival, signed: &Signed, switches: &Switches) -> bool {
    !signed.has("oauth_body_hash")
        || (switches.accept_body_hash && signed.get("oauth_body_hash") == body_hash(&arrival.body))
}
