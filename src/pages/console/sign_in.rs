//! Signing in and out.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::gateway::{Session, SignIn};
use crate::pages::console::address::{ROOT, SIGN_IN, see_other, with_query};
use crate::pages::console::form;
use crate::pages::console::layout;
use crate::web::client_address::Client;
use crate::web::extract::Query;
use crate::web::host::Host;
use crate::web::html::{is_secure, page};
use crate::web::problem::Problem;

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
    let secret = match gateway.sign_in(fields.key.trim(), address).await? {
        SignIn::Begun(secret) => secret,
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
    let mut response = see_other(next);
    let cookie = cookie(gateway.console_url(), secret.expose(), "");
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Ends this session, or all that were begun with the same key.
pub(crate) async fn sign_out(
    State(host): State<Host>,
    Extension(session): Extension<Session>,
    request: Request,
) -> Result<Response, Problem> {
    let fields: SignOutFields = form::read(&host, request).await?;
    host.gateway().sign_out(&session, fields.everywhere).await?;
    let mut response = see_other(SIGN_IN).into_response();
    let cookie = cookie(host.gateway().console_url(), "", "; Max-Age=0");
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `__Host-` keeps other hosts of the domain from setting it; without TLS, on this machine alone, browsers refuse that.
pub(super) fn cookie_name(public_url: Option<&str>) -> &'static str {
    if is_secure(public_url) { "__Host-countersign-console" } else { "countersign-console" }
}

/// A cookie without a lifetime, which ends with the browser, if not before.
fn cookie(public_url: Option<&str>, secret: &str, age: &str) -> HeaderValue {
    let secure = if is_secure(public_url) { "; Secure" } else { "" };
    let name = cookie_name(public_url);
    let text = format!("{name}={secret}; Path=/{age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("a session's secret has letters and digits alone")
}

/// The page to go on to, if it is one of the console's; else the overview.
fn onward(next: &str) -> &str {
    let is_own =
        next.starts_with(ROOT) && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own { next } else { ROOT }
}
