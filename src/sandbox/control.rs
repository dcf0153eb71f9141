//! The sandbox's own interface under `/sandbox`: it lists the world and recorded calls, and orders faults.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::Endpoint;
use crate::sandbox::engagement::unlimited;
use crate::sandbox::http::call_log::Call;
use crate::sandbox::http::faults::{Fault, Ordered};
use crate::sandbox::http::reply::accepts_gzip;
use crate::sandbox::world::listing;
use crate::sandbox::world::population::UserState;
use crate::sandbox::{Sandbox, Switches, World};

type Problem = (StatusCode, Json<Value>);
type Answer = Result<Json<Value>, Problem>;

/// Every route of the interface.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/world", get(list_world))
        .route("/sandbox/answer/{endpoint}", post(answer_unlimited))
        .route("/sandbox/calls", get(list_calls))
        .route("/sandbox/counts", get(count_calls))
        .route("/sandbox/switches", get(find_switches).put(change_switches))
        .route("/sandbox/faults", get(list_faults).put(replace_faults))
        .route("/sandbox/users/{user_id}", put(change_user))
        .route("/sandbox/apps/{name}/rotate_bearer", post(rotate_bearer))
        .route("/sandbox/reset", post(reset))
}

async fn list_world(State(sandbox): State<Sandbox>) -> Json<World> {
    Json(listing::list(&sandbox))
}

async fn answer_unlimited(
    State(sandbox): State<Sandbox>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let endpoint = Endpoint::from_name(&endpoint).ok_or_else(|| missing("no such endpoint"))?;
    let reply = unlimited::reply(&sandbox, endpoint, &body).compressed(accepts_gzip(&headers));
    Ok(reply.into_response(sandbox.now()))
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    path: String,
}

async fn list_calls(State(sandbox): State<Sandbox>, Query(which): Query<Which>) -> Json<Vec<Call>> {
    Json(sandbox.calls().list(&which.path))
}

async fn count_calls(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!(sandbox.calls().counts()))
}

async fn find_switches(State(sandbox): State<Sandbox>) -> Json<Switches> {
    Json(sandbox.state().switches.clone())
}

/// Sets the named switches and leaves the others as they are.
async fn change_switches(State(sandbox): State<Sandbox>, body: Bytes) -> Answer {
    let changes: Value = read(&body)?;
    let mut state = sandbox.state();
    let switches = state.switches.with(&changes).map_err(|problems| complaint(&problems))?;
    state.switches = switches.clone();
    Ok(Json(json!(switches)))
}

async fn list_faults(State(sandbox): State<Sandbox>) -> Json<Vec<Ordered>> {
    Json(sandbox.faults().list())
}

async fn replace_faults(State(sandbox): State<Sandbox>, body: Bytes) -> Answer {
    let faults: Vec<Fault> = read(&body)?;
    if let Some(text) = faults.iter().find_map(Fault::complaint) {
        return Err(complaint(&text));
    }
    sandbox.faults().replace(faults);
    Ok(Json(json!(sandbox.faults().list())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    state: UserState,
}

async fn change_user(
    State(sandbox): State<Sandbox>,
    Path(user_id): Path<String>,
    body: Bytes,
) -> Answer {
    let change: Change = read(&body)?;
    let users = &sandbox.population().users;
    let place = users.iter().position(|user| user.id.to_string() == user_id);
    let place = place.ok_or_else(|| missing("no such user"))?;
    sandbox.state().set_user_state(place, change.state);
    Ok(Json(json!({ "user_id": user_id, "state": change.state })))
}

/// Invalidates the app's bearer token; the next mint gives another.
async fn rotate_bearer(State(sandbox): State<Sandbox>, Path(name): Path<String>) -> Answer {
    let place = sandbox.population().apps.iter().position(|app| app.name == name);
    let place = place.ok_or_else(|| missing("no such app"))?;
    sandbox.state().replace_bearer(place);
    Ok(Json(json!({ "name": name })))
}

async fn reset(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}

/// Reads JSON whatever its declared type, since `curl -d` declares a form.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| complaint(&error.to_string()))
}

fn complaint(text: &str) -> Problem {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": text })))
}

fn missing(text: &str) -> Problem {
    (StatusCode::NOT_FOUND, Json(json!({ "error": text })))
}
