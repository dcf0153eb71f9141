//! Who may see the console, and change something with it: from our own pages, under our own name, signed in.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::gateway::Session;
use crate::model::permission::{self, Access, Area};
use crate::pages::console::address::{ROOT, own_origin, see_other};
use crate::pages::console::layout::{self, Chrome, Section};
use crate::pages::console::sign_in;
use crate::web::client_address::Client;
use crate::web::host::Host;
use crate::web::html::{Face, is_same_origin, page};
use crate::web::problem::Problem;

/// Only our own scripts, styles and pictures, forms only to ourselves, and never in a frame.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The root and policy that all pages of the console share.
pub(crate) const FACE: Face = Face { root: "/console", policy: POLICY, problem_page };

/// The page for a problem that no handler has answered.
pub(crate) fn problem_page(problem: &Problem) -> String {
    let detail = layout::sentence(problem.words().1);
    let (title, what, advice) = match problem.status() {
        StatusCode::NOT_FOUND if problem.is_gateway_error() => {
            ("Not found", detail, "It may have been removed.")
        }
        // The API routes that the detail lists do not help somebody who looks for a page.
        StatusCode::NOT_FOUND => {
            let advice = "Check the address, or start from the console.";
            ("Not found", "This page does not exist.".to_owned(), advice)
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let what = "This page does not accept this kind of request.".to_owned();
            ("Not possible", what, "Continue from the console.")
        }
        status if status.is_server_error() => {
            ("Temporarily unavailable", detail, "Try again in a moment.")
        }
        _ => ("Not done", detail, "Go back and correct it."),
    };
    layout::trouble(title, &[what], advice)
}

/// No other site may send a form here, and pages are served under our own name alone: otherwise anyone with a name that
/// points to this machine could read them.
pub(crate) async fn require_own_site(
    State(host): State<Host>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let Some(own) = own_origin(headers, host.gateway().console_url()) else {
        let what = "The console is only available at loopback addresses and at admin.public_url.";
        let advice = "Set admin.public_url to the address that browsers use.";
        let text = layout::trouble("Wrong address", &[what.to_owned()], advice);
        return page(StatusCode::MISDIRECTED_REQUEST, text);
    };
    if !request.method().is_safe() && !is_same_origin(headers, Some(&own)) {
        let what = "This request came from another site, so nothing was changed.";
        let text = layout::trouble("Not done", &[what.to_owned()], "Continue from the console.");
        return page(StatusCode::FORBIDDEN, text);
    }
    next.run(request).await
}

/// Requires a session of somebody to whom that area is open: to view it, or in full for whatever is not only viewed.
pub(crate) async fn require_session(
    State((host, area)): State<(Host, Area)>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = Client::address(&request);
    let session = match session(&host, request.headers(), address).await {
        Ok(Some(session)) => session,
        Ok(None) if request.method().is_safe() => {
            return sign_in::redirect(request.uri());
        }
        Ok(None) => {
            let what = "You are signed out, so nothing was changed.";
            let text = layout::trouble("Signed out", &[what.to_owned()], "Sign in again.");
            return page(StatusCode::UNAUTHORIZED, text);
        }
        Err(problem) => return problem.into_response(),
    };
    let needed = if request.method().is_safe() { Access::View } else { Access::Full };
    if session.access(area) >= needed {
        request.extensions_mut().insert(session);
        return next.run(request).await;
    }
    let home = layout::home(&session.key.key);
    if request.uri().path() == ROOT && needed == Access::View && home != ROOT {
        return see_other(home);
    }
    forbidden(&session, needed)
}

fn forbidden(session: &Session, needed: Access) -> Response {
    let title = if needed == Access::View { "Not for your key" } else { "Not done" };
    let outcome = if needed == Access::View { "" } else { " Nothing was changed." };
    let why = permission::refusal(&session.key.key);
    let what = format!("Your key may not do this: {why}.{outcome}");
    page(StatusCode::FORBIDDEN, layout::trouble(title, &[what], "Ask an admin with full access."))
}

pub(crate) async fn session(
    host: &Host,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<Session>, Problem> {
    let gateway = host.gateway();
    match sign_in::COOKIE.value(headers, gateway.console_url()) {
        Some(secret) => Ok(gateway.find_session(&secret, address).await?),
        None => Ok(None),
    }
}

/// The frame of a page.
pub(crate) fn chrome<'a>(
    session: &'a Session,
    section: Section,
    done: Option<&'a str>,
) -> Chrome<'a> {
    let key = &session.key.key;
    Chrome {
        section,
        sections: layout::sections(key),
        key_name: &key.name,
        role: key.role,
        may_act: session.access(Area::Administration) == Access::Full,
        done,
    }
}
