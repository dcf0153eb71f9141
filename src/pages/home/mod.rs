//! `/` of both listeners: what this is, and where to go.

use std::sync::LazyLock;

use askama::Template;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::api::openapi::Api;
use crate::pages::parts::text;
use crate::web::fixed::Fixed;

static CALLERS: LazyLock<Fixed> = LazyLock::new(|| html(false));
static OPERATORS: LazyLock<Fixed> = LazyLock::new(|| html(true));

#[derive(Template)]
#[template(path = "pages/home/home.html", config = ".askama.toml")]
struct HomePage {
    for_operators: bool,
}

pub(crate) fn page(api: Api, headers: &HeaderMap) -> Response {
    match api {
        Api::Callers => CALLERS.answer(headers),
        Api::Operators => OPERATORS.answer(headers),
    }
}

fn html(for_operators: bool) -> Fixed {
    Fixed::new("text/html; charset=utf-8", &text(&HomePage { for_operators }))
}
