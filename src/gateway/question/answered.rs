//! The outcome of a question, and the calls that it took.

use std::time::Duration;

use crate::admission::Held;
use crate::gateway::question::listing::AccountPosts;
use crate::gateway::question::lookup::LookUp;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::plan::{Call, Missing};
use crate::gateway::question::top::Ranked;
use crate::model::usage::Saving;
use crate::upstream::UpstreamEffort;

/// The outcome of a question.
pub struct Answered {
    /// The answer in the upstream's shape.
    pub merged: Merge,
    /// The memory that it occupies until it is written.
    pub held: Held,
    /// The accounts whose posts the question names, with where these come from.
    pub posts_of: Vec<AccountPosts>,
    /// The posts that were kept because of their numbers, the first one first.
    pub top: Vec<Ranked>,
    /// Look-ups made before the calls.
    pub lookups: Vec<LookUp>,
    /// Calls in the order in which they ended.
    pub calls: Vec<FinishedCall>,
    pub missing: Vec<Missing>,
    /// What of the question was read otherwise than it was written, in words.
    pub notes: Vec<String>,
}

/// A call that was made, or saved.
pub struct FinishedCall {
    pub call: Call,
    /// The status of the upstream's last answer, if there was one.
    pub status: Option<u16>,
    pub effort: UpstreamEffort,
    /// Why no request was needed, if none was.
    pub saved: Option<Saving>,
    /// For how long the oldest of its numbers were kept.
    pub age: Option<Duration>,
}
