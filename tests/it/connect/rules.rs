//! What links and ways back are by the rules, as the histories keep them beside the gateways.

use tokio::task::JoinHandle;

use crate::http::Answer;

pub const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
pub const BROWSERS: usize = 3;
/// Began with a link, and went with the answer that was to tell it so.
pub const LOST: usize = usize::MAX;

/// What a link is by the rules.
pub struct Model {
    pub url: String,
    pub expires_s: i64,
    pub expected: Option<&'static str>,
    pub browser: Option<usize>,
    pub connected: Option<&'static str>,
}

/// A way back from X, which counts once.
pub struct Back {
    pub url: String,
    pub link: usize,
    pub browser: usize,
    /// Who allowed it.
    pub user: Option<&'static str>,
    pub begun_s: i64,
    pub is_used: bool,
}

/// An exchange that X has answered, and whose answer is still on its way.
pub struct Held {
    pub asked: JoinHandle<reqwest::Result<Answer>>,
    pub replica: usize,
    pub link: usize,
    /// Who connects once the answer arrives, if nobody else does before.
    pub user: &'static str,
}

/// What happened, over all histories.
#[derive(Debug, Default)]
pub struct Told {
    pub links: usize,
    pub connects: usize,
    pub crashes: usize,
    /// Crashes at any moment of a request, and how many of these were not answered any more.
    pub torn: usize,
    pub unanswered: usize,
    /// Exchanges whose answer waited, and how many of these it did not reach any more.
    pub held: usize,
    pub lost: usize,
}
