//! Two replicas behind PgBouncer, in both of its modes: the feed is polled, and each obeys the other's changes.

use countersign::config::Pooler;

use crate::database::{Kind, fresh};
use crate::gateway::TestGateway;
use crate::pgbouncer::PgBouncer;
use crate::trouble::replicas::changes_arrive;
use crate::upstream::TestSandbox;

#[tokio::test]
async fn another_replicas_changes_are_obeyed_behind_a_pooler() {
    for (pooler, mode, size) in
        [(Pooler::Session, "session", 20), (Pooler::Transaction, "transaction", 2)]
    {
        let database = fresh(Kind::Postgres).await;
        let bouncer = PgBouncer::before(&database, mode, size, "");
        let settings = bouncer.settings(&database, pooler);
        let one = TestGateway::build(TestSandbox::start().await, &settings, |_| ()).await;
        let two = TestGateway::build(one.sandbox.again(), &settings, |_| ()).await;
        changes_arrive(&one, &two).await;
        changes_arrive(&two, &one).await;
    }
}
