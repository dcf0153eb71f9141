//! The demo's front end: a page such as a customer's, which asks the gateway itself, and the page's own back end, which
//! holds a key and makes tokens. The page is that of `examples/browser/`.

mod sign_in;

pub use crate::pages::front::sign_in::SignInLink;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::gateway::{Error, Gateway, NewToken};
use crate::model::key::Kind;
use crate::model::{Origin, Secret};
use crate::pages::front::sign_in::PATH;
use crate::web::client_address::Client;
use crate::web::cross_origin;
use crate::web::host::Host;
use crate::web::problem::Problem;
use crate::wire::browser::CreatedToken;

const PAGE: &str = include_str!("../../../examples/browser/index.html");
const SCRIPT: &str = include_str!("../../../examples/browser/page.js");
const STYLE: &str = include_str!("../../../examples/browser/style.css");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the page may ask about its posts, as in `examples/browser/server.py`.
const METRICS: [&str; 6] =
    ["impressions", "engagements", "favorites", "retweets", "replies", "url_clicks"];

/// What the page's back end knows.
pub struct Front {
    /// Signs whoever runs the demo in to the console.
    pub sign_in: SignInLink,
    /// A key that makes tokens for these origins.
    pub key: Secret,
    /// The addresses by which browsers reach the page.
    pub origins: Vec<Origin>,
    /// The address by which browsers reach the gateway.
    pub gateway: String,
    /// The posts that the page shows.
    pub posts: Vec<String>,
}

/// The page, its parts, and the two routes of its back end.
pub(crate) fn routes(front: Front) -> Router<Host> {
    let front = Arc::new(front);
    let of_sign_in = Arc::clone(&front);
    let (of_page, of_token, of_settings) = (Arc::clone(&front), Arc::clone(&front), front);
    let file = |kind: &'static str, text: &'static str| {
        let front = Arc::clone(&of_page);
        get(async move || front.guarded(([(CONTENT_TYPE, kind)], text).into_response()))
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", PAGE))
        .route("/page.js", file("text/javascript; charset=utf-8", SCRIPT))
        .route("/style.css", file("text/css; charset=utf-8", STYLE))
        .route(
            PATH,
            get(
                async move |State(host): State<Host>,
                            Path(secret): Path<String>,
                            request: Request| {
                    let from = Client::address(&request);
                    of_sign_in.sign_in.follow(host.gateway(), &secret, from).await
                },
            )
            // Whoever only looks whether the link is there does not use it up.
            .head(async || StatusCode::NO_CONTENT),
        )
        .route("/page.json", get(async move || of_settings.settings()))
        .route(
            "/token",
            post(async move |State(host): State<Host>, request: Request| {
                let from = Client::address(&request);
                of_token.token(host.gateway(), request.headers(), from).await
            }),
        )
}

impl Front {
    fn settings(&self) -> Response {
        let told = json!({ "gateway": self.gateway, "posts": self.posts });
        self.guarded(Json(told).into_response())
    }

    /// A real back end first checks its own user's session, and which posts that user may see.
    async fn token(
        &self,
        gateway: &Gateway,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Response, Problem> {
        let is_own = headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin");
        let origin = cross_origin::origin(headers).and_then(|origin| Origin::parse(origin).ok());
        let Some(origin) = origin.filter(|origin| is_own && self.origins.contains(origin)) else {
            return Err(Error::OriginNotAllowed.into());
        };
        let key = gateway.check_key(self.key.expose(), Kind::Caller, from).await?;
        let new = NewToken {
            origins: Some(vec![origin]),
            question: self.question().to_string().into_bytes(),
            ..NewToken::default()
        };
        let created = CreatedToken::from(gateway.create_token(&key, new).await?);
        Ok(self.guarded((StatusCode::CREATED, Json(created)).into_response()))
    }

    fn question(&self) -> Value {
        json!({
            "tweet_ids": self.posts,
            "engagement_types": METRICS,
            "windows": ["totals", "28hr", { "last": "28d" }],
        })
    }

    /// Adds what the page's own back ends in `examples/browser/` send.
    fn guarded(&self, mut response: Response) -> Response {
        let gateway = &self.gateway;
        let policy = format!(
            "default-src 'none'; script-src 'self' {gateway}; connect-src 'self' {gateway}; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
