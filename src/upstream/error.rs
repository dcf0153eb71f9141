//! Why there is no answer.

use std::error::Error as StdError;

/// Why there is no answer. Sources never hold a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other answers occupy all the memory available for answers.
    #[error("no memory is left for the response")]
    NoMemory,
    #[error("X could not be reached")]
    Unreachable(#[source] Box<dyn StdError + Send + Sync>),
    /// Its certificate has expired, is not valid yet, is for another name, or was issued by nobody who is trusted.
    #[error("X's certificate is not accepted")]
    Untrusted(#[source] Box<dyn StdError + Send + Sync>),
    #[error("X's response was cut short: {0}")]
    CutShort(&'static str),
    #[error("X's response is too large: {0}")]
    TooLarge(&'static str),
    #[error("X did not answer in time: {0}")]
    Timeout(&'static str),
    /// A description of the answer that contains nothing secret.
    #[error("not a response that X documents: {0}")]
    Odd(String),
}

impl Error {
    /// A connection that failed for this reason.
    pub(super) fn of_connection(error: Box<dyn StdError + Send + Sync>) -> Error {
        let is_certificate = |cause: &(dyn StdError + 'static)| {
            matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
        };
        if causes(&*error).any(is_certificate) {
            Error::Untrusted(error)
        } else {
            Error::Unreachable(error)
        }
    }
}

/// An error, its cause, the cause of that, and so on.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    // rustls' error comes wrapped in nested I/O errors, each of whose source is that of the error it wraps.
    std::iter::successors(Some(error), |&current| {
        match current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => current.source(),
        }
    })
}

/// Why the clients could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("could not set up TLS")]
    Tls(#[source] Box<dyn StdError + Send + Sync>),
    #[error("{0} is not a usable URL")]
    Url(String),
}
