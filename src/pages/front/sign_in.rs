//! A link that signs in to a demo's console, once: whoever runs the demo need not copy its admin key. Browsers give cookies
//! to every port of a host, so the front end can set the console's.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};

use crate::gateway::{Gateway, SignIn};
use crate::model::Secret;
use crate::pages::console::sign_in::COOKIE;
use crate::web::problem::Problem;

/// The path of such links.
pub(super) const PATH: &str = "/console/{secret}";
pub struct SignInLink {
    secret: Secret,
    admin_key: Secret,
    /// The console's address.
    console: String,
    is_used: AtomicBool,
}

impl SignInLink {
    /// A link with a new secret, for the holder of this admin key, to the console at that address.
    pub fn new(secret: Secret, admin_key: Secret, console: String) -> SignInLink {
        SignInLink { secret, admin_key, console, is_used: AtomicBool::new(false) }
    }

    /// The link's path at the front end, for whoever runs the demo alone.
    pub fn path(&self) -> String {
        PATH.replace("{secret}", self.secret.expose())
    }

    /// Signs in if nobody has followed the link before; else the console asks for a key.
    pub(super) async fn follow(
        &self,
        gateway: &Gateway,
        secret: &str,
        from: IpAddr,
    ) -> Result<Response, Problem> {
        // Of keyed hashes, how long it takes to compare them tells nothing of the texts.
        let hasher = RandomState::new();
        let [given, known] = [secret, self.secret.expose()].map(|text| hasher.hash_one(text));
        let is_first = given == known && !self.is_used.swap(true, Ordering::AcqRel);
        let onward = [
            (LOCATION, &*self.console),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        let mut response = (StatusCode::SEE_OTHER, onward).into_response();
        if is_first {
            let begun = gateway.sign_in(self.admin_key.expose(), from).await;
            // Who was not let in may try again.
            self.is_used.store(matches!(begun, Ok(SignIn::Begun(..))), Ordering::Release);
            if let SignIn::Begun(session, _) = begun? {
                let cookie = COOKIE.set(session.expose(), gateway.console_url());
                response = (cookie, response).into_response();
            }
        }
        Ok(response)
    }
}
