//! Signing in and out.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use cookie::SameSite;
use serde::Deserialize;

use crate::gateway::{Session, SignIn};
use crate::pages::console::address::{ROOT, SIGN_IN, START, see_other, with_query};
use crate::pages::console::form;
use crate::pages::console::layout;
use crate::web::client_address::Client;
use crate::web::cookie::PageCookie;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::page;
use crate::web::problem::Problem;

/// The session's secret; it ends with the browser, if not before.
pub(in crate::pages) const COOKIE: PageCookie =
    PageCookie { name: "countersign-console", same_site: SameSite::Strict, max_age: None };

/// Bytes of the address to go on to: more than the longest link to a query takes.
const MOST_NEXT: usize = 16 * 1024;

/// The page to go on to.
#[derive(Deserialize)]
pub(crate) struct SignInQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Fields {
    key: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct SignOutFields {
    #[serde(default)]
    everywhere: bool,
}

/// Redirects from a page that requires a session to the sign-in page.
pub(super) fn redirect(uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or(ROOT, |path| path.as_str());
    let next = if path == ROOT { "" } else { path };
    see_other(&with_query(SIGN_IN, &[("next", next)]))
}

pub(crate) async fn show(Query(query): Query<SignInQuery>) -> Response {
    page(StatusCode::OK, layout::sign_in(onward(&query.next), None))
}

/// Gives the browser its cookie, or says why not.
pub(crate) async fn sign_in(
    State(host): State<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let address = Client::address(&request);
    let fields: Fields = form::read(&host, request).await?;
    let next = onward(&fields.next);
    let gateway = host.gateway();
    let (secret, key) = match gateway.sign_in(fields.key.trim(), address).await? {
        SignIn::Begun(secret, key) => (secret, key),
        SignIn::Refused => {
            let error = "This admin key is not valid, or has expired or been revoked. Admin keys start with csa_.";
            return Ok(page(StatusCode::FORBIDDEN, layout::sign_in(next, Some(error))));
        }
        SignIn::TooMany => {
            let error = "Too many attempts from your address. Wait a minute.";
            let refused = page(StatusCode::TOO_MANY_REQUESTS, layout::sign_in(next, Some(error)));
            return Ok(([(RETRY_AFTER, "60")], refused).into_response());
        }
    };
    let cookie = COOKIE.set(secret.expose(), gateway.console_url());
    let next = if next == ROOT { layout::home(&key.key) } else { next };
    // Newcomers are led to their first call.
    let is_new = next == ROOT && gateway.get_first_steps().await.is_ok_and(|steps| !steps.has_call);
    let next = if is_new { START } else { next };
    Ok((cookie, see_other(next)).into_response())
}

/// Ends this session, or all that were begun with the same key.
pub(crate) async fn sign_out(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: SignOutFields = form::read(&host, request).await?;
    host.gateway().sign_out(&session, fields.everywhere).await?;
    let cookie = COOKIE.remove(host.gateway().console_url());
    Ok((cookie, see_other(SIGN_IN)).into_response())
}

/// The page to go on to, if it is one of the console's and not too long; else the overview.
fn onward(next: &str) -> &str {
    let is_own = next.len() <= MOST_NEXT
        && next.starts_with(ROOT)
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { next } else { ROOT }
}
