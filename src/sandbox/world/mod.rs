//! The world: users and apps, the numbers of their posts, and everything that changes at run time.

pub(super) mod grants;
pub(super) mod listing;
pub(super) mod numbers;
pub(super) mod population;
pub(super) mod quota;
pub(super) mod settings;
pub(super) mod state;
pub(super) mod switches;
