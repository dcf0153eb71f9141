//! The two listeners as strangers meet them: slow, large, ambiguous and unauthorised requests, and shutdown.

use std::ops::{Deref, DerefMut};

use countersign::config::Config;

use crate::database::{Database, Kind, fresh};
use crate::gateway::TestGateway;

mod accounts;
mod drain;
mod keys;
mod names;
mod paths;
mod places;
pub mod raw;
mod refusals;
mod roles;
mod room;
mod slow;
mod smuggling;
mod traces;

/// A gateway that owns its database, for tests of behaviour that does not depend on the kind.
struct Own {
    gateway: TestGateway,
    _database: Database,
}

async fn own(change: impl FnOnce(&mut Config)) -> Own {
    let database = fresh(Kind::Sqlite).await;
    Own { gateway: TestGateway::start_with(&database, change).await, _database: database }
}

impl Deref for Own {
    type Target = TestGateway;

    fn deref(&self) -> &TestGateway {
        &self.gateway
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut TestGateway {
        &mut self.gateway
    }
}
