//! `GET /2/users/{id}/tweets`: a user's posts, newest first and page by page, with the app's bearer token, by the rules of
//! version 2 of X's API (reference 8.2).

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::post;
use crate::sandbox::Sandbox;
use crate::sandbox::auth::signature::form_pairs;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::lookup::{
    FIELDS, choice_mistakes, counted, is_id, listed_in, parameter_mistakes,
};
use crate::sandbox::world::population::{User, UserState};
use crate::sandbox::world::quota::Quotas;

/// The newest posts of a user, beyond which X lists none.
const MOST_LISTED: usize = 3200;
const PAGE: RangeInclusive<usize> = 5..=100;
/// The length of a page for those who ask for none.
const USUAL_PAGE: usize = 10;
/// What page tokens begin with.
const TOKEN: &str = "7140dibdnow9c7btw";
/// Known parameters. Of the fields only `author_id` has an effect; the rest of objects is omitted.
const PARAMETERS: [&str; 14] = [
    "max_results",
    "pagination_token",
    "since_id",
    "until_id",
    "start_time",
    "end_time",
    "exclude",
    "expansions",
    "tweet.fields",
    "post.fields",
    "media.fields",
    "poll.fields",
    "place.fields",
    "user.fields",
];
/// What can be left out. The sandbox's users neither repost nor reply.
const KINDS: [&str; 2] = ["retweets", "replies"];

/// The id in a path such as `/2/users/12/tweets`.
pub fn user_of(path: &str) -> Option<&str> {
    path.strip_prefix("/2/users/")?.strip_suffix("/tweets").filter(|id| !id.contains('/'))
}

/// Answers with a page.
pub fn reply(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    counted(sandbox, arrival, Quotas::list_posts, || {
        let id = user_of(&arrival.path).unwrap_or_default();
        read(arrival, id).map(|query| listed(sandbox, id, &query))
    })
}

/// A request in good form.
struct Query {
    most: usize,
    /// The last post of the page before.
    after: Option<u64>,
    /// The smallest and the largest id.
    ids: RangeInclusive<u64>,
    with_author: bool,
}

fn read(arrival: &Arrival, id: &str) -> Result<Query, Refusal> {
    let given = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let value =
        |name: &str| given.iter().find(|(given, _)| given == name).map(|(_, value)| &**value);
    let mut mistakes = parameter_mistakes(&given, &PARAMETERS);
    let mut mistake = |name: &str, value: &str, why: &str| {
        let text = format!("The `{name}` query parameter value [{value}] {why}");
        mistakes.push(errors::invalid_parameter(name, &[value.to_owned()], &text));
    };
    if !is_id(id) {
        mistake("id", id, "is not valid");
    }
    let mut read = Query {
        most: USUAL_PAGE,
        after: None,
        ids: 0..=u64::MAX,
        with_author: listed_in(&given, "tweet.fields").iter().any(|field| field == "author_id"),
    };
    if let Some(text) = value("max_results") {
        match text.parse() {
            Ok(most) if PAGE.contains(&most) => read.most = most,
            _ => mistake("max_results", text, "is not between 5 and 100"),
        }
    }
    if let Some(text) = value("pagination_token") {
        read.after = text.strip_prefix(TOKEN).and_then(|id| u64::from_str_radix(id, 16).ok());
        if read.after.is_none() {
            mistake("pagination_token", text, "is not valid");
        }
    }
    let (mut first, mut last) = (0, u64::MAX);
    for name in ["since_id", "until_id"] {
        match value(name).map(|text| (text, text.parse::<u64>())) {
            Some((text, Ok(id))) if is_id(text) && name == "since_id" => first = id + 1,
            Some((text, Ok(id))) if is_id(text) => last = id.saturating_sub(1),
            Some((text, _)) => mistake(name, text, "is not valid"),
            None => (),
        }
    }
    for name in ["start_time", "end_time"] {
        match value(name).map(|text| (text, OffsetDateTime::parse(text, &Rfc3339))) {
            Some((_, Ok(at))) if name == "start_time" => first = first.max(post::first_id_at(at)),
            Some((_, Ok(at))) => last = last.min(post::first_id_at(at).saturating_sub(1)),
            Some((text, Err(_))) => mistake(name, text, "is not a valid RFC3339 date-time"),
            None => (),
        }
    }
    read.ids = first..=last;
    mistakes.extend(choice_mistakes("exclude", &listed_in(&given, "exclude"), &KINDS));
    mistakes.extend(choice_mistakes("tweet.fields", &listed_in(&given, "tweet.fields"), &FIELDS));
    if mistakes.is_empty() { Ok(read) } else { Err(errors::invalid_request(&mistakes)) }
}

/// A page, or why there is none: X says so with status 200.
fn listed(sandbox: &Sandbox, id: &str, query: &Query) -> Value {
    let refused = |error: Value| json!({ "errors": [error] });
    let place = id.parse().ok().and_then(|id| sandbox.population().find_user(id));
    let user = place.and_then(|place| Some((place, sandbox.population().users.get(place)?)));
    let Some((place, user)) = user else { return refused(errors::user_not_found(id)) };
    match sandbox.state().user_state(place) {
        UserState::Protected => return refused(errors::user_not_authorized(id)),
        UserState::Suspended => return refused(errors::user_suspended(id)),
        UserState::Active | UserState::Locked | UserState::Revoked => (),
    }
    let mut posts = user.posts.iter().filter(|post| !post.is_deleted).map(|post| post.id);
    page(user, &mut posts, query)
}

fn page(user: &User, posts: &mut dyn Iterator<Item = u64>, query: &Query) -> Value {
    let mut ids: Vec<u64> = posts.collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids.truncate(MOST_LISTED);
    ids.retain(|id| query.ids.contains(id) && query.after.is_none_or(|after| *id < after));
    let is_last = ids.len() <= query.most;
    ids.truncate(query.most);
    let mut meta = Map::from_iter([("result_count".to_owned(), json!(ids.len()))]);
    let (Some(newest), Some(oldest)) = (ids.first(), ids.last()) else {
        return json!({ "meta": meta });
    };
    meta.insert("newest_id".to_owned(), json!(newest.to_string()));
    meta.insert("oldest_id".to_owned(), json!(oldest.to_string()));
    if !is_last {
        meta.insert("next_token".to_owned(), json!(format!("{TOKEN}{oldest:x}")));
    }
    let post = |id: &u64| {
        let (id, text) = (id.to_string(), format!("A post by {}", user.screen_name));
        if query.with_author {
            json!({ "id": id, "text": text, "author_id": user.id.to_string() })
        } else {
            json!({ "id": id, "text": text })
        }
    };
    json!({ "data": ids.iter().map(post).collect::<Vec<_>>(), "meta": meta })
}
