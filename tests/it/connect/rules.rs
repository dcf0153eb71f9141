//! The state of links and callbacks by the rules, which the histories track beside the gateways.

use tokio::task::JoinHandle;

use crate::http::Answer;

pub const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
pub const BROWSERS: usize = 3;
/// In place of a browser: some browser began, but the answer with its cookie was lost.
pub const LOST: usize = usize::MAX;

/// A link's state, by the rules.
pub struct Model {
    pub url: String,
    pub expires_s: i64,
    pub expected: Option<&'static str>,
    pub browser: Option<usize>,
    pub connected: Option<&'static str>,
}

/// A callback from X, which counts once.
pub struct Back {
    pub url: String,
    pub link: usize,
    pub browser: usize,
    /// The user who allowed it.
    pub user: Option<&'static str>,
    pub begun_s: i64,
    pub is_used: bool,
}

/// An exchange that X has answered, and whose answer is still on its way.
pub struct Held {
    pub asked: JoinHandle<reqwest::Result<Answer>>,
    pub replica: usize,
    pub link: usize,
    /// Who is connected once the answer arrives, unless somebody else is before that.
    pub user: &'static str,
}

/// Counts of what happened, over all histories.
#[derive(Debug, Default)]
pub struct Told {
    pub links: usize,
    pub connects: usize,
    pub crashes: usize,
    /// Crashes during a request, and how many of those requests got no answer.
    pub torn: usize,
    pub unanswered: usize,
    /// Exchanges whose answer was delayed, and how many of those answers never arrived.
    pub held: usize,
    pub lost: usize,
}
