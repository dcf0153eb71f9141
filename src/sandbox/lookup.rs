//! `GET /2/tweets`: posts and their authors by id, with the app's bearer token, by the rules of version 2 of X's API.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::sandbox::auth::authenticate;
use crate::sandbox::auth::credentials::Credentials;
use crate::sandbox::auth::signature::form_pairs;
use crate::sandbox::http::errors;
use crate::sandbox::http::errors::Refusal;
use crate::sandbox::http::reply::Reply;
use crate::sandbox::http::request::Arrival;
use crate::sandbox::world::population::Post;
use crate::sandbox::world::quota::{Allowance, Quotas};
use crate::sandbox::{LookupForm, Sandbox, Switches};

const MOST_IDS: usize = 100;
/// Known parameters. Of the expansions only `author_id` has an effect, and the fields of added objects have none.
const PARAMETERS: [&str; 8] = [
    "ids",
    "expansions",
    "tweet.fields",
    "post.fields",
    "media.fields",
    "poll.fields",
    "place.fields",
    "user.fields",
];
/// The fields of a post that may be requested. The sandbox has its id, its text and its author; it omits the rest.
pub(in crate::sandbox) const FIELDS: [&str; 22] = [
    "attachments",
    "author_id",
    "context_annotations",
    "conversation_id",
    "created_at",
    "edit_controls",
    "edit_history_tweet_ids",
    "entities",
    "geo",
    "id",
    "in_reply_to_user_id",
    "lang",
    "non_public_metrics",
    "organic_metrics",
    "possibly_sensitive",
    "promoted_metrics",
    "public_metrics",
    "referenced_tweets",
    "reply_settings",
    "source",
    "text",
    "withheld",
];

/// Answers a look-up.
pub fn reply(sandbox: &Sandbox, arrival: &Arrival) -> Reply {
    counted(sandbox, arrival, Quotas::look_up, || {
        let form = sandbox.state().switches.lookup_form;
        read(arrival, form).map(|query| found(sandbox, &query, form))
    })
}

/// How a request is counted, by the app that sends it and the time in seconds since 1970.
type Count = fn(&mut Quotas, usize, &Switches, i64) -> Allowance;

/// Answers an app that may look posts up, if it has quota left. Every answer to such an app has rate headers.
pub(in crate::sandbox) fn counted(
    sandbox: &Sandbox,
    arrival: &Arrival,
    count: Count,
    answer: impl FnOnce() -> Result<Value, Refusal>,
) -> Reply {
    let allowance = match admit(sandbox, arrival, count) {
        Ok(allowance) => allowance,
        Err(refusal) => return refusal.into(),
    };
    let answer = if allowance.is_spent { Err(errors::too_many_requests()) } else { answer() };
    let mut reply = match answer {
        Ok(body) => Reply::json(StatusCode::OK, &body),
        Err(refusal) => refusal.into(),
    };
    allowance.write(&mut reply.headers);
    reply
}

/// X accepts users' tokens as well, which see more; here they are refused, so that none is sent without need.
fn admit(sandbox: &Sandbox, arrival: &Arrival, count: Count) -> Result<Allowance, Refusal> {
    if !matches!(arrival.credentials, Credentials::Bearer(_)) {
        return Err(errors::unauthorized());
    }
    let caller = authenticate(sandbox, arrival).map_err(|_| errors::unauthorized())?;
    let now_s = sandbox.now().unix_timestamp();
    let mut state = sandbox.state();
    let switches = state.switches.clone();
    let app = sandbox.population().apps.get(caller.app);
    if app.is_some_and(|app| switches.unlisted_lookup_apps.iter().any(|name| name == app.name)) {
        return Err(errors::client_forbidden(caller.app as u64 + 1));
    }
    Ok(count(&mut state.quotas, caller.app, &switches, now_s))
}

/// A look-up in good form.
struct Query {
    ids: Vec<String>,
    /// Whether the author's id was requested as a field.
    with_author: bool,
    /// Whether it was requested as an expansion.
    with_user: bool,
}

/// In the newer form `tweet.fields` has no effect; nor have unknown fields of either form, except that the older one is
/// known to refuse them.
fn read(arrival: &Arrival, form: LookupForm) -> Result<Query, Refusal> {
    let given = form_pairs(arrival.query.as_deref().unwrap_or_default());
    let ids = listed_in(&given, "ids");
    let fields = match form {
        LookupForm::Tweet => listed_in(&given, "tweet.fields"),
        LookupForm::Post | LookupForm::Includes => Vec::new(),
    };
    let mut mistakes = parameter_mistakes(&given, &PARAMETERS);
    let invalid_id = |text: &String| errors::invalid_parameter("ids", &ids, text);
    mistakes.extend(id_mistakes(&ids).iter().map(invalid_id));
    mistakes.extend(choice_mistakes("tweet.fields", &fields, &FIELDS));
    if !mistakes.is_empty() {
        return Err(errors::invalid_request(&mistakes));
    }
    let is_author = |name: &String| name == "author_id";
    let with_user = listed_in(&given, "expansions").iter().any(is_author);
    Ok(Query { ids, with_author: fields.iter().any(is_author), with_user })
}

/// The items of a parameter that is a list.
pub(in crate::sandbox) fn listed_in(given: &[(String, String)], name: &str) -> Vec<String> {
    let values = given.iter().filter(|pair| pair.0 == name && !pair.1.is_empty());
    values.flat_map(|pair| pair.1.split(',')).map(str::to_owned).collect()
}

/// Parameters that are not among the known ones, or given twice.
pub(in crate::sandbox) fn parameter_mistakes(
    given: &[(String, String)],
    known: &[&str],
) -> Vec<Value> {
    let mut mistakes = Vec::new();
    for (place, (name, value)) in given.iter().enumerate() {
        let text = if !known.contains(&&**name) {
            format!("The query parameter [{name}] is not one of [{}]", known.join(","))
        } else if given.iter().take(place).any(|earlier| earlier.0 == *name) {
            format!("Duplicate parameters are not allowed: the `{name}` query parameter")
        } else {
            continue;
        };
        mistakes.push(errors::invalid_parameter(name, std::slice::from_ref(value), &text));
    }
    mistakes
}

/// Items of a parameter that it cannot have.
pub(in crate::sandbox) fn choice_mistakes(
    name: &str,
    items: &[String],
    known: &[&str],
) -> Vec<Value> {
    let unknown = items.iter().filter(|item| !known.contains(&&***item));
    let mistake = |item: &String| {
        let known = known.join(",");
        let text = format!("The `{name}` query parameter value [{item}] is not one of [{known}]");
        errors::invalid_parameter(name, items, &text)
    };
    unknown.map(mistake).collect()
}

/// Whether a text has the form of an id: 1 to 19 digits.
pub(in crate::sandbox) fn is_id(text: &str) -> bool {
    (1..=19).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn id_mistakes(ids: &[String]) -> Vec<String> {
    let not_valid = |id: &String| format!("The `ids` query parameter value [{id}] is not valid");
    match ids.len() {
        0 => vec!["The `ids` query parameter can not be empty".to_owned()],
        1..=MOST_IDS => ids.iter().filter(|id| !is_id(id)).map(not_valid).collect(),
        count => vec![format!(
            "The number of values in the `ids` query parameter list [{count}] is not between 1 and {MOST_IDS}"
        )],
    }
}

/// Posts that exist go to `data`, the rest to `errors`, and authors to `includes` if they are expanded; each is left
/// out if it would be empty.
fn found(sandbox: &Sandbox, query: &Query, form: LookupForm) -> Value {
    let state = sandbox.state();
    let (mut data, mut missing, mut users) = (Vec::new(), Vec::new(), Vec::new());
    for id in &query.ids {
        let post = id.parse().ok().and_then(|id| sandbox.population().find_post(id));
        match post.filter(|post| !post.is_deleted) {
            Some(post) if state.user_state(post.author).shows_posts() => {
                data.push(listed(sandbox, post, query, form));
                let user = query.with_user.then(|| profile(sandbox, post)).flatten();
                users.extend(user.filter(|user| !users.contains(user)));
            }
            // Posts of suspended authors are treated like those of protected ones.
            Some(_) => missing.push(errors::post_not_authorized(id)),
            None => missing.push(errors::post_not_found(id)),
        }
    }
    let includes = (!users.is_empty()).then(|| json!({ "users": users }));
    let some = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
    let parts = [("data", some(data)), ("includes", includes), ("errors", some(missing))];
    let parts = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?)));
    parts.collect::<Map<_, _>>().into()
}

fn listed(sandbox: &Sandbox, post: Post, query: &Query, form: LookupForm) -> Value {
    let author = sandbox.population().users.get(post.author);
    let name = author.map_or("", |author| &author.screen_name);
    let mut listed = json!({ "id": post.id.to_string(), "text": format!("A post by {name}") });
    let shown = match form {
        LookupForm::Includes if query.with_user => Some(("username", name.to_owned())),
        LookupForm::Includes => None,
        LookupForm::Tweet | LookupForm::Post => author
            .filter(|_| query.with_author || query.with_user)
            .map(|author| ("author_id", author.id.to_string())),
    };
    if let (Some((field, value)), Some(fields)) = (shown, listed.as_object_mut()) {
        fields.insert(field.into(), value.into());
    }
    listed
}

/// A post's author as an included object, with the fields that users have without being asked for more.
fn profile(sandbox: &Sandbox, post: Post) -> Option<Value> {
    let author = sandbox.population().users.get(post.author)?;
    let name = &author.screen_name;
    Some(json!({ "id": author.id.to_string(), "name": name, "username": name }))
}
