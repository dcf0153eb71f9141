//! The three-legged flow (reference 6.4): a handshake from its request token to its access token.
//!
//! `exchange` has the calls of apps, `consent` the page for users in between, `callback` the rules for their return.

use std::collections::HashMap;

use crate::sandbox::oauth::callback;
use crate::sandbox::world::population::Population;

/// How long a request token can be used. Unpublished; reference 6.4 proposes this time.
const LIFETIME_S: i64 = 15 * 60;
/// Once so many are kept, expired ones are dropped.
const MOST_KEPT: usize = 10_000;

/// A flow that an app has begun.
pub struct Handshake {
    pub app: usize,
    pub secret: String,
    /// A URL, or `oob`.
    pub callback: String,
    pub step: Step,
    /// Its number, from which its verifier follows.
    number: u64,
    begun_s: i64,
}

/// How far a handshake came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    Asking,
    /// The user authorised the app, which has not fetched its token yet.
    Allowed {
        user: usize,
        verifier: String,
    },
    /// Refused, or exchanged: its request token is used.
    Over,
}

/// Every handshake, by its request token.
#[derive(Default)]
pub struct Handshakes {
    begun: u64,
    kept: HashMap<String, Handshake>,
}

impl Handshakes {
    /// Returns a new request token and its secret.
    pub fn begin(
        &mut self,
        population: &Population,
        app: usize,
        callback: String,
        now_s: i64,
    ) -> (String, String) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.retain(|_, handshake| !handshake.is_expired(now_s));
        }
        self.begun += 1;
        let number = self.begun;
        let token = population.digits(&format!("request token {number}"), 27);
        let secret = population.digits(&format!("request token secret {number}"), 32);
        let (step, begun_s) = (Step::Asking, now_s);
        let handshake = Handshake { app, secret: secret.clone(), callback, step, number, begun_s };
        self.kept.insert(token.clone(), handshake);
        (token, secret)
    }

    pub fn find(&mut self, token: &str) -> Option<&mut Handshake> {
        self.kept.get_mut(token)
    }

    /// Invalidates a request token.
    pub fn end(&mut self, token: &str) {
        if let Some(handshake) = self.find(token) {
            handshake.step = Step::Over;
        }
    }

    /// The handshake that a user can still decide on.
    pub fn find_asking(&mut self, token: &str, now_s: i64) -> Option<&mut Handshake> {
        self.find(token)
            .filter(|handshake| handshake.step == Step::Asking && !handshake.is_expired(now_s))
    }
}

impl Handshake {
    pub fn is_expired(&self, now_s: i64) -> bool {
        now_s - self.begun_s >= LIFETIME_S
    }

    /// Whether there is no callback: the user reads a PIN off the page and types it into the app.
    pub fn is_by_pin(&self) -> bool {
        self.callback == callback::BY_PIN
    }

    /// Notes that the user authorised the app, and returns the verifier.
    pub(super) fn allow(&mut self, population: &Population, user: usize) -> String {
        let verifier = if self.is_by_pin() {
            population.pin(self.number)
        } else {
            population.digits(&format!("verifier {}", self.number), 32)
        };
        self.step = Step::Allowed { user, verifier: verifier.clone() };
        verifier
    }
}
