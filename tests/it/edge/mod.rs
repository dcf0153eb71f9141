//! The two listeners as strangers meet them: slow, large, ambiguous and unauthorised requests, and the end of a server.

use std::ops::{Deref, DerefMut};

use countersign::config::Config;

use crate::database::{Database, Kind, fresh};
use crate::house::House;

mod accounts;
mod drain;
mod keys;
mod names;
mod paths;
mod places;
pub mod raw;
mod refusals;
mod room;
mod slow;
mod smuggling;
mod traces;

/// A house that keeps its database, for tests of what does not depend on the kind.
struct Own {
    house: House,
    _database: Database,
}

async fn own(change: impl FnOnce(&mut Config)) -> Own {
    let database = fresh(Kind::Sqlite).await;
    Own { house: House::start_with(&database, change).await, _database: database }
}

impl Deref for Own {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut House {
        &mut self.house
    }
}
