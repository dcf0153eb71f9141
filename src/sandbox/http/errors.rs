//! Every refusal: its status, its text and where the text comes from (reference 4).
//!
//! Three families: the endpoints' own errors are plain strings, those of the layer in front are objects with a code,
//! and the API of version 2 has problems with a type, a title and a detail, whose texts are `OBS`.
//! `DOC` and `OBS` texts are verbatim; predictions of reference 4.3 stand unmarked where the framework's wording is
//! known; what is invented here begins with `SIM:` on the wire.

use serde_json::{Value, json};

use crate::sandbox::{ForbiddenWording, RevokedWording};

/// A refused request: what goes out instead of an answer.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub body: Body,
}

/// The body of a refusal.
#[derive(Clone, Debug)]
pub enum Body {
    Nothing,
    Json(Value),
    /// Plain text declared as HTML, as in the handshake's answers (reference 6.4).
    Text(String),
    Xml(String),
}

impl Refusal {
    /// An error of the string family.
    pub fn texts(status: u16, texts: &[String]) -> Refusal {
        Refusal { status, body: Body::Json(json!({ "errors": texts })) }
    }

    fn text(status: u16, text: &str) -> Refusal {
        Refusal::texts(status, &[text.to_owned()])
    }

    /// An error of the code family.
    pub fn code(status: u16, code: u32, message: &str) -> Refusal {
        let body = json!({ "errors": [{ "code": code, "message": message }] });
        Refusal { status, body: Body::Json(body) }
    }

    /// A problem of version 2 in which the status says everything.
    fn blank(status: u16, title: &str) -> Refusal {
        let body =
            json!({ "title": title, "type": "about:blank", "status": status, "detail": title });
        Refusal { status, body: Body::Json(body) }
    }
}

/// The code family's table (reference 6.8), with the statuses seen on the wire.
const CODES: [(u32, u16, &str); 19] = [
    (32, 401, "Could not authenticate you."),
    (34, 404, "Sorry, that page does not exist."),
    (64, 403, "Your account is suspended and is not permitted to access this feature."),
    (87, 403, "Client is not permitted to perform this action."),
    (88, 429, "Rate limit exceeded."),
    (89, 401, "Invalid or expired token."),
    (92, 403, "SSL is required."),
    (99, 403, "Unable to verify your credentials"),
    (130, 503, "Over capacity."),
    (131, 500, "Internal error."),
    (135, 401, "Timestamp out of bounds."),
    (170, 403, "Missing required parameter: grant_type"),
    (215, 400, "Bad Authentication data."),
    (220, 403, "Your credentials do not allow access to this resource"),
    (261, 403, "Your App cannot perform write actions."),
    (
        326,
        403,
        "To protect our users from spam and other malicious activity, this account is temporarily locked.",
    ),
    (
        415,
        403,
        "Callback URL not approved for this client application. Approved callback URLs can be adjusted in your application settings",
    ),
    (416, 401, "Invalid / suspended App."),
    (417, 401, "Desktop applications only support the oauth_callback value 'oob'"),
];

/// The error with that code from the table, or with an invented text if it is not there.
pub fn coded(code: u32) -> Refusal {
    match CODES.iter().find(|entry| entry.0 == code) {
        // The one error with a label (reference 6.1).
        Some((99, status, message)) => {
            let error =
                json!({ "code": 99, "label": "authenticity_token_error", "message": message });
            Refusal { status: *status, body: Body::Json(json!({ "errors": [error] })) }
        }
        Some((code, status, message)) => Refusal::code(*status, *code, message),
        None => Refusal::code(400, code, "SIM: an error without a text here"),
    }
}

/// `DOC` 6.1: a revoked bearer token, whose text lacks the final dot.
pub fn bearer_not_found() -> Refusal {
    Refusal::code(401, 89, "Invalid or expired token")
}

/// `INF` 4.3: no such route; also a known path with another method.
pub fn no_route() -> Refusal {
    Refusal { status: 404, body: Body::Nothing }
}

/// `OBS` 4.1.
pub fn gzip_required() -> Refusal {
    let text = "This request requires gzip compression. Retry the request after setting \
                'Accept-Encoding' header in the request to 'gzip'.";
    Refusal::text(406, text)
}

/// `DOC` 4.1.
pub fn unknown_authorization() -> Refusal {
    Refusal::text(
        401,
        "Your account could not be authenticated. Reason: Unknown Authorization Type",
    )
}

/// `DOC` 4.1 as text, or `OBS` 6.6 with a code.
pub fn token_not_found(wording: RevokedWording) -> Refusal {
    let text = "Your account could not be authenticated. Reason: Access token not found";
    match wording {
        RevokedWording::StringFamily => Refusal::text(401, text),
        RevokedWording::CodeFamily => coded(89),
    }
}

/// `OBS` 4.1; the status and the capital are guesses.
pub fn app_not_listed() -> Refusal {
    Refusal::text(403, "Your application id is not authorized.")
}

/// A missing callback; X's wording is not known.
pub fn callback_missing() -> Refusal {
    Refusal::code(400, 38, "SIM: oauth_callback parameter is missing.")
}

/// `OBS` 6.4: a callback that is not in the app's settings, in XML whatever was asked for.
pub fn callback_not_approved() -> Refusal {
    let text = "Callback URL not approved for this client application. Approved callback URLs can be adjusted in your \
                application settings";
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    let body = format!("{xml}<errors><error code=\"415\">{text}</error></errors>");
    Refusal { status: 403, body: Body::Xml(body) }
}

/// `OBS` 6.4: an app without callbacks in its settings, in the older form.
pub fn no_callbacks(path: &str) -> Refusal {
    let text = "Desktop applications only support the oauth_callback value 'oob'";
    let body = format!("<hash><error>{text}</error><request>{path}</request></hash>");
    Refusal { status: 401, body: Body::Xml(body) }
}

/// `OBS` 6.4: nothing says which handshake an exchange is about.
pub fn no_request_token() -> Refusal {
    Refusal { status: 401, body: Body::Text("Reverse auth credentials are invalid".to_owned()) }
}

/// `OBS` 6.4; that it means an unknown request token is a guess.
pub fn request_token_missing() -> Refusal {
    Refusal { status: 401, body: Body::Text("Request token missing".to_owned()) }
}

/// `OBS` 6.4: a request token that was used or is not allowed yet, or the verifier of another one.
pub fn exchange_unavailable() -> Refusal {
    let text = "This feature is temporarily unavailable";
    Refusal { status: 401, body: Body::Text(text.to_owned()) }
}

/// Only `rate limit` is known of this text (4.1).
pub fn too_many_calls() -> Refusal {
    Refusal::text(429, "SIM: rate limit exceeded")
}

/// `INF` 4.3, Jackson's wording, for a stray word in the JSON.
pub fn unrecognized_token(word: &str) -> Refusal {
    let text = format!(
        "Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token \
         'null', 'true' or 'false')"
    );
    Refusal::text(400, &text)
}

/// Any other malformed JSON.
pub fn malformed(reason: &str) -> Refusal {
    Refusal::text(400, &format!("SIM: malformed JSON: {reason}"))
}

/// `INF` 4.3.
pub fn field_required(field: &str) -> String {
    format!("{field}: field is required")
}

/// `INF` 4.3.
pub fn wrong_size(field: &str, size: usize, most: usize) -> String {
    format!("{field}: size [{size}] is not between 1 and {most}")
}

/// `INF` 4.3.
pub fn not_a_number(field: &str, value: &str) -> String {
    format!("{field}: '{value}' is not a valid Long")
}

/// `OBS` 4.1.
pub fn unsupported_group_bys(names: &[String]) -> String {
    format!(
        "One or more of the groupBys you have specified are not supported: ({}). \
         Please adjust your request and try again.",
        names.join(", ")
    )
}

/// Marks an invented text.
pub fn invented(text: &str) -> String {
    format!("SIM: {text}")
}

/// A window outside the rules of 1.5.
pub fn bad_window(reason: &str) -> Refusal {
    Refusal::text(400, &invented(reason))
}

/// `OBS` 4.1; the status is a guess.
pub fn forbidden_metrics(names: &[String]) -> Refusal {
    Refusal::text(403, &format!("Forbidden to access metrics: {}", names.join(", ")))
}

/// `DOC` 4.1.
pub fn unavailable_text(count: usize) -> String {
    format!("{count} Tweet ID(s) are unavailable")
}

/// `DOC` 4.1: all posts are unavailable.
pub fn all_unavailable(ids: &[String]) -> Refusal {
    let texts = [unavailable_text(ids.len())];
    let body = json!({ "errors": texts, "unavailable_tweet_ids": ids });
    Refusal { status: 400, body: Body::Json(body) }
}

/// `DOC` and, by author, `OBS` 4.1. `foreign` holds an author and the ids asked for, in order.
pub fn forbidden_posts(foreign: &[(u64, Vec<String>)], wording: ForbiddenWording) -> Refusal {
    let texts: Vec<String> = match wording {
        ForbiddenWording::Current => {
            let ids: Vec<&str> =
                foreign.iter().flat_map(|(_, ids)| ids).map(String::as_str).collect();
            vec![format!("Forbidden to access tweets: {}", ids.join(", "))]
        }
        ForbiddenWording::PerAuthor => {
            let text = |(author, ids): &(u64, Vec<String>)| {
                format!("Forbidden to access tweets for author id {author}: {}", ids.join(", "))
            };
            foreign.iter().map(text).collect()
        }
    };
    Refusal::texts(403, &texts)
}

/// `DOC` 4.1; the text in the parentheses is unknown.
pub fn too_old_for_impressions(cutoff: &str) -> String {
    format!("Impressions & engagements for tweets older than 90 days ({cutoff}) are not supported")
}

/// `OBS` 4.1.
pub fn internal() -> Refusal {
    Refusal::text(500, "internal server error")
}

/// Version 2: credentials that are not accepted, for whatever reason.
pub fn unauthorized() -> Refusal {
    Refusal::blank(401, "Unauthorized")
}

/// Version 2: the quota is spent.
pub fn too_many_requests() -> Refusal {
    Refusal::blank(429, "Too Many Requests")
}

/// Version 2: an app without access to it.
pub fn client_forbidden(client_id: u64) -> Refusal {
    let detail = "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a \
                  Twitter developer App that is attached to a Project. You can create a project via the developer \
                  portal.";
    let body = json!({
        "client_id": client_id.to_string(),
        "detail": detail,
        "registration_url": "https://developer.twitter.com/en/docs/projects/overview",
        "title": "Client Forbidden",
        "required_enrollment": "Appropriate Level of API Access",
        "reason": "client-not-enrolled",
        "type": "https://api.twitter.com/2/problems/client-forbidden",
    });
    Refusal { status: 403, body: Body::Json(body) }
}

/// Version 2: an invalid parameter, with the values it was given.
pub fn invalid_parameter(name: &str, values: &[String], message: &str) -> Value {
    json!({ "parameters": { name: values }, "message": message })
}

/// Version 2: all invalid parameters.
pub fn invalid_request(mistakes: &[Value]) -> Refusal {
    let body = json!({
        "errors": mistakes,
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    });
    Refusal { status: 400, body: Body::Json(body) }
}

/// Version 2, beside the posts that were found: no such post.
pub fn post_not_found(id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Could not find tweet with ids: [{id}]."),
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": "ids",
        "resource_id": id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    })
}

/// Version 2, beside the posts that were found: a post that the app may not see.
pub fn post_not_authorized(id: &str) -> Value {
    json!({
        "resource_id": id,
        "parameter": "ids",
        "resource_type": "tweet",
        "section": "data",
        "title": "Authorization Error",
        "value": id,
        "detail": format!("Sorry, you are not authorized to see the Tweet with ids: [{id}]."),
        "type": "https://api.twitter.com/2/problems/not-authorized-for-resource",
    })
}

/// Version 2, instead of a user's posts: no such user.
pub fn user_not_found(id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("Could not find user with id: [{id}]."),
        "title": "Not Found Error",
        "resource_type": "user",
        "parameter": "id",
        "resource_id": id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    })
}

/// Version 2, instead of a user's posts: a user whose posts are for followers.
pub fn user_not_authorized(id: &str) -> Value {
    json!({
        "resource_id": id,
        "parameter": "id",
        "resource_type": "user",
        "section": "data",
        "title": "Authorization Error",
        "value": id,
        "detail": format!("Sorry, you are not authorized to see the user with id: [{id}]."),
        "type": "https://api.twitter.com/2/problems/not-authorized-for-resource",
    })
}

/// Version 2, instead of a user's posts: a suspended user.
pub fn user_suspended(id: &str) -> Value {
    json!({
        "value": id,
        "detail": format!("User has been suspended: [{id}]."),
        "title": "Forbidden",
        "resource_type": "user",
        "parameter": "id",
        "resource_id": id,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    })
}
