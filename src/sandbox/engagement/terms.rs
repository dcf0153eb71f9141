//! The terms on which a request is answered.

use std::collections::{HashMap, HashSet};

use crate::model::{AuthKind, Metric};
use crate::sandbox::auth::Caller;
use crate::sandbox::engagement::body::Limits;

/// The terms on which a request is answered.
pub enum Terms {
    /// The endpoint's own terms, for a caller.
    Of(Caller),
    /// Without limits and ownership, but with exceptions.
    Lifted(Except),
}

impl Terms {
    pub fn kind(&self) -> AuthKind {
        match self {
            Terms::Of(caller) => caller.kind(),
            Terms::Lifted(_) => AuthKind::UserContext,
        }
    }

    pub fn limits(&self) -> Limits {
        match self {
            Terms::Of(_) => Limits::Kept,
            Terms::Lifted(_) => Limits::Lifted,
        }
    }

    /// Whether that number is part of the answer.
    pub fn include(&self, post: u64, metric: Metric) -> bool {
        match self {
            Terms::Of(_) => true,
            Terms::Lifted(except) => !except.names(post, metric),
        }
    }
}

/// Numbers that are left out, by post and metric, as though they had not been requested.
#[derive(Default)]
pub struct Except {
    pub(in crate::sandbox) by_post: HashMap<u64, HashSet<Metric>>,
}

impl Except {
    pub fn names(&self, post: u64, metric: Metric) -> bool {
        self.by_post.get(&post).is_some_and(|metrics| metrics.contains(&metric))
    }
}
