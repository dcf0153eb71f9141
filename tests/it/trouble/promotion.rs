//! A standby is promoted: known callers do not notice, and changes are made again on the new primary.

use std::time::Duration;

use countersign::config;
use countersign::model::Secret;

use crate::database::{PrivatePostgres, settings};
use crate::gateway::TestGateway;
use crate::trouble::{at_once, eventually_status, id_of, private, public, with_key};
use crate::upstream::TestSandbox;

/// A gateway that knows both servers.
async fn between(first: &PrivatePostgres, second: &PrivatePostgres) -> TestGateway {
    let url = format!(
        "postgres://countersign@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable",
        first.port(),
        second.port()
    );
    let settings = config::Database {
        url: Secret::from(&*url),
        call_wait: Duration::from_secs(1),
        wait: Duration::from_secs(2),
        statement_timeout: Duration::from_secs(2),
        ..settings(&url)
    };
    TestGateway::build(TestSandbox::start().await, &settings, |_| ()).await
}

#[tokio::test]
async fn a_promotion_is_survived() {
    for hangs in [false, true] {
        let primary = PrivatePostgres::start_new();
        let standby = primary.start_standby();
        // The standby stands first, and is passed over.
        let gateway = between(&standby, &primary).await;
        let (known, unused) = (gateway.new_key(|_| ()).await, gateway.new_key(|_| ()).await);
        // What was written is on the standby once the primary waits for it.
        primary.run("alter system set synchronous_standby_names = '*'").await;
        primary.run("select pg_reload_conf()").await;
        let calls =
            [public(&gateway), private(&gateway, "alice"), with_key(public(&gateway), &known)];
        gateway.new_key(|_| ()).await;
        // Evicts what the gateway itself has changed and caches it again.
        for _ in 0..3 {
            for call in &calls {
                call.clone().send().await.is_relayed(200);
            }
            gateway.inner.catch_up_once().await.unwrap();
        }

        if hangs {
            primary.hang();
        } else {
            primary.stop();
        }
        for call in &calls {
            for answer in at_once(call, 50).await {
                answer.is_relayed(200);
            }
        }
        standby.promote();
        for call in &calls {
            for answer in at_once(call, 50).await {
                answer.is_relayed(200);
            }
        }
        let unknown = with_key(private(&gateway, "bob"), &unused);
        eventually_status(&unknown, 200).await.is_relayed(200);
        gateway.inner.revoke_key(id_of(&known), "test").await.unwrap().unwrap();
        with_key(public(&gateway), &known).send().await.is_own(401, "unknown_key");
        if hangs {
            primary.resume();
        } else {
            primary.start();
        }
        // The former primary knows nothing of the revocation.
        with_key(public(&gateway), &known).send().await.is_own(401, "unknown_key");
    }
}
