//! A link that signs in to a demo's console, once: whoever runs the demo need not copy its admin key. Browsers give cookies
//! to every port of a host, so the front end can set the console's.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};

use crate::gateway::{Gateway, SignIn};
use crate::model::Secret;
use crate::pages::console::sign_in::COOKIE;
use crate::vault;
use crate::web::problem::Problem;

/// The path of such links.
pub(super) const PATH: &str = "/console/{secret}";
/// 95 bits: whoever guesses has as long as the demo runs.
const DIGITS: usize = 16;

pub struct SignInLink {
    secret: Secret,
    admin_key: Secret,
    /// The console's address.
    console: String,
    is_used: AtomicBool,
}

impl SignInLink {
    /// A new link, for the holder of this admin key, to the console at that address.
    pub fn new(admin_key: &str, console: String) -> SignInLink {
        let digits = vault::random_digits::<DIGITS>();
        let secret = Secret::from(&*String::from_utf8_lossy(&digits));
        SignInLink {
            secret,
            admin_key: Secret::from(admin_key),
            console,
            is_used: AtomicBool::new(false),
        }
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
        let [given, known] = [secret, self.secret.expose()].map(vault::fingerprint);
        let is_first = given == known && !self.is_used.swap(true, Ordering::AcqRel);
        let onward = [
            (LOCATION, &*self.console),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ];
        let mut response = (StatusCode::SEE_OTHER, onward).into_response();
        if is_first
            && let SignIn::Begun(session) = gateway.sign_in(self.admin_key.expose(), from).await?
        {
            let cookie = COOKIE.set(session.expose(), gateway.console_url());
            response = (cookie, response).into_response();
        }
        Ok(response)
    }
}
