//! Why there is no answer.

/// Why there is no answer. Sources never hold a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other answers occupy all the memory available for answers.
    #[error("no memory is left for the response")]
    NoMemory,
    #[error("X could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
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

/// Why the clients could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("could not set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} is not a usable URL")]
    Url(String),
}
