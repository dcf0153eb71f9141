//! A slow database: what is not cached is looked up until the deadline that the caller has named, by a few at a time.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign::config;
use countersign::model::Secret;
use countersign::model::key::Kind as Holder;
use countersign::sandbox::Settings;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::database::{Connected, Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::postgres_relay::Relay;
use crate::question::question;
use crate::trouble::strangers::unknown_key;
use crate::trouble::{PATIENCE, at_once, public, with_key};
use crate::upstream::{TestSandbox, small};

/// Longer than any test takes.
const LONG: &str = "60s";

/// With waits that a busy machine does not exhaust, and that a test can sit out.
fn settings_of(database: &Database) -> config::Database {
    config::Database { call_wait: Duration::from_secs(1), ..database.settings() }
}

/// A gateway with carol and dave not connected, and all that a question about bob's posts needs in memory.
async fn warm(settings: &config::Database) -> TestGateway {
    let sandbox = TestSandbox::start_with(Settings { users: 4, ..small() }).await;
    let gateway = TestGateway::build(sandbox, settings, |_| ()).await;
    warm_up(&gateway).await;
    gateway
}

/// What the gateway itself has changed is forgotten first.
async fn warm_up(gateway: &TestGateway) {
    gateway.inner.catch_up_once().await.unwrap();
    assert_eq!(asks(gateway).send().await.status, 200);
}

fn asks(gateway: &TestGateway) -> Ask {
    asks_for(gateway, &question(&gateway.sandbox.ids("bob", 2), &["favorites"]))
}

fn asks_for(gateway: &TestGateway, question: &Value) -> Ask {
    let ask = gateway.ask("POST", "/v1/engagement").header("content-type", "application/json");
    ask.body(question.to_string())
}

fn until(ask: &Ask, deadline: &str) -> Ask {
    ask.clone().header("countersign-deadline", deadline)
}

fn is_told_to_wait(answer: &Answer) {
    answer.is_own(503, "store_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}

/// Readers of a table, or of all of SQLite's, wait until it is dropped.
enum Stalled {
    Postgres { _lock: Connected },
    Sqlite(Child),
}

impl Stalled {
    async fn readers(database: &Database, table: &str) -> Stalled {
        match database.kind {
            Kind::Postgres => Stalled::Postgres { _lock: database.lock(table).await },
            Kind::Sqlite => {
                let log = database.folder().join("test.db-shm");
                // Readers that are at work must come to their end first.
                let locking = tokio::task::spawn_blocking(move || lock_readers_out(&log));
                Stalled::Sqlite(locking.await.unwrap())
            }
        }
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        if let Stalled::Sqlite(child) = self {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Takes the locks of readers of the write-ahead log, which those of the same process would not heed.
fn lock_readers_out(log: &Path) -> Child {
    const SCRIPT: &str = "import fcntl, sys
file = open(sys.argv[1], 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX, 5, 123)
print('locked', flush=True)
sys.stdin.read()";
    let mut child = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    child
}

/// All at once, so that patient ones and others wait for the same look-up.
async fn only_the_patient_wait(ask: &Ask, each: usize, stalled: Stalled) {
    let (mut patient, mut others) = (JoinSet::new(), JoinSet::new());
    for _ in 0..each {
        others.spawn(ask.clone().send());
        patient.spawn(until(ask, LONG).send());
    }
    for answer in others.join_all().await {
        is_told_to_wait(&answer);
    }
    // Nor does anybody who joins the look-up of those who wait.
    is_told_to_wait(&tokio::time::timeout(PATIENCE, ask.clone().send()).await.unwrap());
    assert!(patient.try_join_next().is_none(), "an answer from nowhere");
    drop(stalled);
    let answers = tokio::time::timeout(PATIENCE, patient.join_all()).await.unwrap();
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["countersign"]["complete"], true, "{}", answer.text());
    }
}

async fn a_key_is_looked_up_until_the_callers_deadline(database: Database) {
    let gateway = warm(&settings_of(&database)).await;
    let cold = gateway.new_key(|_| ()).await;
    warm_up(&gateway).await;
    let stalled = Stalled::readers(&database, "key").await;
    is_told_to_wait(&with_key(public(&gateway), &cold).send().await);
    only_the_patient_wait(&with_key(asks(&gateway), &cold), 4, stalled).await;
}

async fn an_account_is_looked_up_until_the_callers_deadline(database: Database) {
    let gateway = warm(&settings_of(&database)).await;
    let posts = gateway.sandbox.ids("carol", 2);
    let carol = gateway.id("carol").to_string();
    let owners: Value = posts.iter().map(|post| (post.clone(), json!(carol))).collect();
    let by_owner = json!({ "owners": owners });
    let by_id = json!({ "owners": owners, "accounts": [carol] });
    let by_name = json!({ "owners": owners, "accounts": ["@carol"] });
    // Which of any number of authors have accounts is looked up for each question.
    for (named, each) in [(by_owner, 1), (by_id, 4), (by_name, 4)] {
        // Nothing is remembered of an account that changes.
        gateway.connect(&["carol"]).await;
        warm_up(&gateway).await;
        let mut wanted = question(&posts, &["impressions"]);
        wanted.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
        let stalled = Stalled::readers(&database, "account").await;
        only_the_patient_wait(&asks_for(&gateway, &wanted), each, stalled).await;
    }
}

async fn a_deadline_that_passes_is_the_end_of_a_look_up(database: Database) {
    let gateway = warm(&settings_of(&database)).await;
    let cold = with_key(asks(&gateway), &gateway.new_key(|_| ()).await);
    warm_up(&gateway).await;
    let _stalled = Stalled::readers(&database, "key").await;
    let refused = tokio::time::timeout(PATIENCE, until(&cold, "2s").send()).await;
    is_told_to_wait(&refused.expect("an end"));
    // A look-up is as long as anybody's if the deadline is sooner.
    is_told_to_wait(&until(&cold, "1ms").send().await);
}

on_both!(
    a_key_is_looked_up_until_the_callers_deadline,
    an_account_is_looked_up_until_the_callers_deadline,
    a_deadline_that_passes_is_the_end_of_a_look_up,
);

#[tokio::test]
async fn those_who_wait_leave_connections_to_others() {
    let database = fresh(Kind::Postgres).await;
    let gateway = warm(&settings_of(&database)).await;
    let cold = [gateway.new_key(|_| ()).await, gateway.new_key(|_| ()).await];
    warm_up(&gateway).await;
    let locked = database.lock("key").await;
    // Whose key may not exist is not waited for.
    let unknown = with_key(asks(&gateway), &unknown_key(Holder::Caller, 7));
    let refused = tokio::time::timeout(PATIENCE, until(&unknown, LONG).send()).await;
    is_told_to_wait(&refused.expect("no wait"));
    let mut asked = JoinSet::new();
    for key in &cold {
        asked.spawn(until(&with_key(asks(&gateway), key), LONG).send());
    }
    // One connection of five is theirs.
    let first = tokio::time::timeout(PATIENCE, asked.join_next()).await.unwrap();
    is_told_to_wait(&first.unwrap().unwrap());
    for answer in at_once(&until(&asks(&gateway), LONG), 20).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    gateway.store.ping().await.unwrap();
    assert!(gateway.store.find_account("demo", gateway.id("alice")).await.unwrap().is_some());
    assert!(asked.try_join_next().is_none());
    drop(locked);
    let last = tokio::time::timeout(PATIENCE, asked.join_next()).await.unwrap();
    assert_eq!(last.unwrap().unwrap().status, 200);
}

/// Each answer takes longer than a look-up may, although the database is well.
#[tokio::test]
async fn a_database_that_is_far_away_serves_those_who_wait() {
    let database = fresh(Kind::Postgres).await;
    let relay = Relay::before(&database).await;
    let settings = config::Database {
        url: Secret::from(&*relay.url),
        call_wait: Duration::from_millis(500),
        ..database.settings()
    };
    let gateway = warm(&settings).await;
    let cold = with_key(asks(&gateway), &gateway.new_key(|_| ()).await);
    warm_up(&gateway).await;
    relay.slow_down(Duration::from_millis(600));
    is_told_to_wait(&cold.clone().send().await);
    assert_eq!(until(&cold, LONG).send().await.status, 200);
}
