//! The gateway's own errors about keys and tokens in browsers.

use std::time::Duration;

use crate::api::openapi::problems::Sample;
use crate::gateway::{Detail, Error, PageLimit};

/// Of everything that takes a key.
pub(super) fn of_leaks() -> Vec<Sample> {
    vec![Error::KeyLeaked.into()]
}

/// Of what takes tokens.
pub(super) fn of_tokens() -> Vec<Sample> {
    vec![
        Error::TokenInvalid.into(),
        Error::TokenExpired.into(),
        Error::TokenWithdrawn.into(),
        Error::OriginNotAllowed.into(),
        Error::from(PageLimit::Token.after(Duration::from_secs(17))).into(),
        beyond("/tweet_ids/3", "is none of the posts that this token is for"),
    ]
}

/// Of what makes tokens.
pub(super) fn of_new_tokens() -> Vec<Sample> {
    let why = "it may not make tokens for browsers; a key created with `--browser` may";
    vec![
        Error::NotAllowed(why.to_owned()).into(),
        beyond("/origins/0", "is none of the origins that the key has"),
    ]
}

fn beyond(pointer: &str, detail: &str) -> Sample {
    let problem = Error::Beyond(vec![Detail::at(pointer, detail)]).into();
    Sample { name: "not_allowed_beyond".to_owned(), problem }
}
