//! The pages with which a user connects an account (reference 6.4): a link's page, the way to X, and the way back.
//!
//! The proof that a browser has to bring back is in its cookie; no page, URL or log of ours ever holds a token.

pub mod view;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cookie::SameSite;
use serde::Deserialize;
use time::Duration;
use time::macros::format_description;
use tracing::warn;

use crate::gateway::{Callback, Error, Finished, LinkState};
use crate::model::handshake::{NotConnected, is_link_id};
use crate::pages::parts::STYLE;
use crate::web::client_address::Client;
use crate::web::cookie::PageCookie;
use crate::web::host::Host;
use crate::web::html;
use crate::web::html::{Face, is_same_origin, page};
use crate::web::problem::Problem;
use crate::wire::rfc3339;

/// Lax, since the browser comes back from X, another site. A day is longer than any link needs to be connected.
const COOKIE: PageCookie = PageCookie {
    name: "countersign-connect",
    same_site: SameSite::Lax,
    max_age: Some(Duration::DAY),
};

/// The root and policy that all pages of a handshake share.
pub(crate) const FACE: Face = Face { root: "/connect", policy: html::POLICY, problem_page };

/// Far more than needed: X's tokens and verifiers have about 30 characters.
const MOST_RETURNED: usize = 250;
const FROM_THE_LINK: &str = "Open the link that you received again, and press its button.";

/// The parameters with which X sends a browser back (reference 6.4).
#[derive(Deserialize)]
pub(crate) struct Returned {
    oauth_token: Option<String>,
    oauth_verifier: Option<String>,
    denied: Option<String>,
}

/// The link id in a path, or any text in its place.
pub(crate) struct Linked(String);

/// The cookie: the link that this browser began with last, and the proof that it was this browser.
struct Browser {
    link: String,
    proof: String,
}

/// The page for a problem that no handler here has answered.
fn problem_page(problem: &Problem) -> String {
    let (title, what, advice) = match problem.status() {
        StatusCode::NOT_FOUND => {
            ("Not found", "There is no page at this address.", "Open the link that you received.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ("Not possible", "This page does not accept this kind of request.", FROM_THE_LINK)
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Temporarily unavailable", "The server is shutting down.", "Try again in a moment.")
        }
        _ => (
            "Temporarily unavailable",
            "The server cannot do this right now.",
            "Try again in a moment.",
        ),
    };
    view::trouble(title, what, advice)
}

pub(crate) async fn style() -> Response {
    html::style(STYLE)
}

/// The link's page, which invites the user, or says how connecting ended.
pub(crate) async fn show(
    State(host): State<Host>,
    Linked(link): Linked,
    request: Request,
) -> Response {
    let from = Client::address(&request);
    let browser = Browser::of(request.headers(), host.gateway().public_url());
    let proof = browser.as_ref().map(|browser| &*browser.proof);
    match host.gateway().get_invitation(&link, proof, from).await {
        Ok(link_page) => page(
            StatusCode::OK,
            match &link_page.state {
                LinkState::Connected(screen_name) => view::connected(&link_page.link, screen_name),
                LinkState::Open(last_end) => {
                    let form = format_description!(
                        "[hour]:[minute] UTC on [day] [month repr:long] [year]"
                    );
                    let at = link_page.link.expires_at;
                    let expires_at = (rfc3339(at), at.format(form).unwrap_or_default());
                    let expires_at = (&*expires_at.0, &*expires_at.1);
                    let name = link_page.expected_name.as_deref();
                    let action = format!("/connect/{link}/begin");
                    view::invitation(&link_page.link, name, *last_end, &action, expires_at)
                }
            },
        ),
        Err(error) => trouble(error),
    }
}

/// Handles the button: gives this browser its cookie and sends it on to X.
pub(crate) async fn begin(
    State(host): State<Host>,
    Linked(link): Linked,
    request: Request,
) -> Response {
    let (headers, from) = (request.headers(), Client::address(&request));
    if !is_same_origin(headers, host.gateway().public_url()) {
        let text =
            view::trouble("Not started", "This request came from another site.", FROM_THE_LINK);
        return page(StatusCode::FORBIDDEN, text);
    }
    let public_url = host.gateway().public_url();
    let browser = Browser::of(headers, public_url);
    let proof = browser.as_ref().map(|browser| &*browser.proof);
    let begun = match host.gateway().begin_link(&link, proof, from).await {
        Ok(begun) => begun,
        Err(error) => return trouble(error),
    };
    let response = match begun.authorize_url {
        Ok(url) => see_other(url),
        // The link's own page says why, and lets the user try again.
        Err(Error::NotConnected(_)) => see_other(format!("/connect/{link}")),
        Err(error) => trouble(error),
    };
    let cookie = COOKIE.set(&format!("{link}.{}", begun.browser.expose()), public_url);
    (cookie, response).into_response()
}

/// The button's address opened with `GET`, as browsers do with the address of a page that they show.
pub(crate) async fn back(Linked(link): Linked) -> Response {
    if is_link_id(&link) {
        see_other(format!("/connect/{link}"))
    } else {
        trouble(NotConnected::LinkUnknown.into())
    }
}

/// Where X sends the browser back to. It goes on to a clean URL at once.
pub(crate) async fn callback(
    State(host): State<Host>,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Response {
    let returned = returned.ok().and_then(|Query(returned)| returned.plain());
    let Some(returned) = &returned else {
        let what = "Your browser came back from X without a valid response.";
        return page(StatusCode::BAD_REQUEST, view::trouble("Not connected", what, FROM_THE_LINK));
    };
    let callback = match returned {
        (token, Some(verifier)) => Callback::Allowed { token, verifier },
        (token, None) => Callback::Denied { token },
    };
    let Some(browser) = Browser::of(&headers, host.gateway().public_url()) else {
        return trouble(NotConnected::OtherBrowser.into());
    };
    match host.gateway().finish_link(callback, &browser.proof).await {
        Ok(Finished { return_to: Ok(Some(url)), .. }) => see_other(url),
        Ok(Finished { return_to: Ok(None) | Err(Error::NotConnected(_)), link }) => {
            see_other(format!("/connect/{}", link.expose()))
        }
        // The handshake is unknown, or not known any more: the link's own page says how it ended.
        Err(Error::NotConnected(_)) => see_other(format!("/connect/{}", browser.link)),
        Ok(Finished { return_to: Err(error), .. }) | Err(error) => trouble(error),
    }
}

impl Returned {
    /// The request token, and the verifier if the user allowed it; `None` when that is not what X sends.
    fn plain(self) -> Option<(String, Option<String>)> {
        let (token, verifier) = match (self.oauth_token, self.oauth_verifier, self.denied) {
            (Some(token), Some(verifier), None) => (token, Some(verifier)),
            (None, None, Some(token)) => (token, None),
            _ => return None,
        };
        let is_plain = |text: &String| {
            (1..=MOST_RETURNED).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        (is_plain(&token) && verifier.iter().all(is_plain)).then_some((token, verifier))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Linked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Linked, Response> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(link)| Linked(link)).map_err(|_| trouble(NotConnected::LinkUnknown.into()))
    }
}

impl Browser {
    fn of(headers: &HeaderMap, public_url: Option<&str>) -> Option<Browser> {
        let value = COOKIE.value(headers, public_url)?;
        let (link, proof) = value.split_once('.')?;
        is_link_id(link).then(|| Browser { link: link.to_owned(), proof: proof.to_owned() })
    }
}

fn see_other(url: String) -> Response {
    html::see_other(url).unwrap_or_else(|| trouble(NotConnected::OddAnswer.into()))
}

/// Any failure as a page: what happened and what to do.
fn trouble(error: Error) -> Response {
    let (title, what, advice) = match &error {
        // Somebody has connected with it: a title that denies that would alarm them.
        Error::NotConnected(end @ NotConnected::LinkUsed) => {
            ("Already used", end.what(), end.advice())
        }
        Error::NotConnected(end) => ("Not connected", end.what(), end.advice()),
        Error::TooManyGuesses => (
            "Too many attempts",
            "There were too many attempts from your address with unknown links.",
            "Wait a minute, then open the link that you received.",
        ),
        _ => (
            "Temporarily unavailable",
            "The server cannot do this right now.",
            "Try again in a moment.",
        ),
    };
    let text = view::trouble(title, what, advice);
    let problem = Problem::from(error);
    if let Some(cause) = problem.causes() {
        warn!(code = problem.code(), cause, "a page could not be shown");
    }
    page(problem.status(), text)
}
