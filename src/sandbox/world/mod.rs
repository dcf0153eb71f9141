//! Who exists, what happened to their posts, and what has become of them since.

pub(super) mod grants;
pub(super) mod listing;
pub(super) mod numbers;
pub(super) mod population;
pub(super) mod quota;
pub(super) mod settings;
pub(super) mod state;
pub(super) mod switches;
