//! The settings from which a sandbox is created.

use time::OffsetDateTime;

use crate::sandbox::world::switches::Switches;

/// The settings from which a sandbox is created.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides ids, names, secrets and numbers.
    pub seed: u64,
    /// Ordinary, active users besides the protected and the suspended one.
    pub users: usize,
    pub posts_per_user: usize,
    /// How many users, from the first, have one post more, which is older than any video may be.
    pub ancient_authors: usize,
    /// When the world began, if not just now. Posts that its users have written since are there too.
    pub born: Option<OffsetDateTime>,
    pub switches: Switches,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seed: 1,
            users: 6,
            posts_per_user: 40,
            ancient_authors: 1,
            born: None,
            switches: Switches::default(),
        }
    }
}
