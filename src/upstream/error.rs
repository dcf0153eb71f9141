//! Why there is no answer.

/// Why there is no answer. Sources never hold a header or a body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other answers occupy all the memory available for answers.
    #[error("there is no memory left for the answer")]
    NoMemory,
    #[error("X could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("X's answer was cut short: {0}")]
    CutShort(&'static str),
    #[error("X's answer is too large: {0}")]
    TooLarge(&'static str),
    #[error("X did not answer in time: {0}")]
    Timeout(&'static str),
    /// A description of the answer that contains nothing secret.
    #[error("an answer that X does not give: {0}")]
    Odd(String),
}

/// Why the clients could not be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the TLS client could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} is not a URL that can be called")]
    Url(String),
}
