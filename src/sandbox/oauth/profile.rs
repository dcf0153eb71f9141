//! `GET /1.1/account/verify_credentials.json`: whose token this is (reference 6.5).

use axum::http::StatusCode;
use serde_json::{Value, json};
use time::macros::format_description;

use crate::model::post;
use crate::sandbox::Sandbox;
use crate::sandbox::auth::signature::form_pairs;
use crate::sandbox::auth::{Denied, authenticate};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::world::population::{User, UserState};

pub fn reply(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    match profile(sandbox, arrival) {
        Ok(body) => Reply::json(StatusCode::OK, &body),
        Err(refusal) => refusal.into(),
    }
}

fn profile(sandbox: &Sandbox, arrival: &Arrival) -> Result<Value, Refusal> {
    let caller = authenticate(sandbox, arrival).map_err(Denied::on_api)?;
    let place = caller.user.ok_or_else(|| errors::coded(220))?;
    let user = sandbox.population().users.get(place).ok_or_else(|| errors::coded(220))?;
    let is_protected = sandbox.state().user_state(place) == UserState::Protected;
    let parameters = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let is_set = |name: &str| {
        parameters.iter().any(|(key, value)| key == name && matches!(&**value, "true" | "t" | "1"))
    };

    let mut body = json!({
        "id": user.id,
        "id_str": user.id.to_string(),
        "name": user.screen_name,
        "screen_name": user.screen_name,
        "created_at": "Wed Oct 21 23:53:04 +0000 2015",
        "protected": is_protected,
        "verified": false,
        "followers_count": user.id % 10_000,
        "friends_count": user.id % 1_000,
        "statuses_count": user.posts.len(),
    });
    if let Some(fields) = body.as_object_mut() {
        if is_set("include_email") {
            fields.insert("email".into(), format!("{}@example.com", user.screen_name).into());
        }
        if !is_set("skip_status") {
            fields.insert("status".into(), newest(user));
        }
    }
    Ok(body)
}

fn newest(user: &User) -> Value {
    let form = format_description!(
        "[weekday repr:short] [month repr:short] [day] [hour]:[minute]:[second] +0000 [year]"
    );
    let Some(post) = user.posts.iter().find(|post| !post.is_deleted) else {
        return Value::Null;
    };
    let at = post::created_at(post.id).and_then(|at| at.format(form).ok());
    json!({ "id": post.id, "id_str": post.id.to_string(), "created_at": at })
}
