//! `POST /sandbox/answer/{endpoint}`: an endpoint's answer without limits and ownership, as the truth for tests.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::{Endpoint, Metric};
use crate::sandbox::Sandbox;
use crate::sandbox::engagement::answer;
use crate::sandbox::engagement::body::{fields, post_id};
use crate::sandbox::engagement::terms::{Except, Terms};
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;

/// An exception: the numbers of all these types for all these posts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    tweet_ids: Vec<Value>,
    engagement_types: Vec<String>,
}

/// Answers, or refuses a request that is itself invalid.
pub fn reply(sandbox: &Sandbox, endpoint: Endpoint, body: &[u8]) -> Reply {
    match answer_unlimited(sandbox, endpoint, body) {
        Ok(body) => Reply::json(StatusCode::OK, &Value::Object(body)),
        Err(refusal) => refusal.into(),
    }
}

fn answer_unlimited(
    sandbox: &Sandbox,
    endpoint: Endpoint,
    body: &[u8],
) -> Result<Map<String, Value>, Refusal> {
    let mut fields = fields(body)?;
    let parts = fields.remove("except").unwrap_or_else(|| Value::Array(Vec::new()));
    let except = except(parts).map_err(|text| Refusal::texts(400, &[errors::invented(&text)]))?;
    answer(sandbox, &fields, endpoint, &Terms::Lifted(except))
}

fn except(parts: Value) -> Result<Except, String> {
    let parts: Vec<Part> =
        serde_json::from_value(parts).map_err(|error| format!("except: {error}"))?;
    let mut except = Except::default();
    for part in parts {
        let metric = |name: &String| {
            Metric::from_name(name).ok_or_else(|| format!("except: no such type as '{name}'"))
        };
        let metrics: Vec<Metric> =
            part.engagement_types.iter().map(metric).collect::<Result<_, _>>()?;
        for item in &part.tweet_ids {
            let id = post_id(item).and_then(|id| u64::try_from(id).ok());
            let id = id.ok_or_else(|| format!("except: {item} is no id"))?;
            except.by_post.entry(id).or_default().extend(&metrics);
        }
    }
    Ok(except)
}
