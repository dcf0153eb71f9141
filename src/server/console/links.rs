//! `/console/links`.

use axum::http::StatusCode;
use axum::response::Response;

use crate::console::admin::links::{self as pages, Made};
use crate::console::admin::{Chrome, time};
use crate::gateway::CreatedLink;
use crate::server::pages::page;

/// The page of a link that was just made; `back` is where its maker goes on to.
pub(super) fn shown_once(chrome: &Chrome<'_>, created: CreatedLink, back: String) -> Response {
    let CreatedLink { link, url } = created;
    let made = Made {
        url: url.expose().to_owned(),
        app: link.app,
        label: link.label,
        user: link.expected_user.map(|it| it.to_string()),
        expires_at: time(link.expires_at),
        back,
    };
    page(StatusCode::OK, pages::made(chrome, &made))
}
