//! The credentials of a call.

use crate::model::{App, Secret};

/// A user's access token, opened. It lives here and in `gateway`, and nowhere else.
pub struct Token {
    pub token: Secret,
    pub secret: Secret,
}

/// The credentials that a call is made with.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    Bearer(&'a Secret),
    TwoLegged(&'a App),
    User(&'a App, &'a Token),
}
