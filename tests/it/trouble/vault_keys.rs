//! Secrets sealed with a vault key that a gateway lacks: unavailable there, never taken for altered, and usable as
//! soon as it has the key.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use countersign::config::Config;
use countersign::gateway::{BearerSource, Error, NewLink, NewWebhook, RingFault, SignIn};
use countersign::model::{AccountState, Secret};
use serde_json::json;

use crate::database::{Database, on_both};
use crate::gateway::{TestGateway, settings};
use crate::http::Ask;
use crate::trouble::{eventually, id_of, mints, private, public, with_key};

const NEW: &str = "IB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=";
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Adds another vault key, and makes it the active one.
fn newer(config: &mut Config) {
    config.vault.keys.push(("newerkey".to_owned(), NEW.into()));
    "newerkey".clone_into(&mut config.vault.active);
}

/// A gateway beside one that has sealed alice's token with a key it lacks; it never forgets what does not exist.
pub async fn pair(database: &Database) -> (TestGateway, TestGateway) {
    let old = TestGateway::start_with(database, |config| {
        config.limits.negative_cache = Duration::from_hours(1);
    })
    .await;
    let new = TestGateway::build(old.sandbox.again(), &database.settings(), newer).await;
    old.connect(&["bob"]).await;
    old.inner.catch_up_once().await.unwrap();
    (old, new)
}

async fn reload(
    gateway: &TestGateway,
    database: &Database,
    change: impl FnOnce(&mut Config),
) -> Result<(), RingFault> {
    let mut config = settings(&gateway.sandbox, &database.settings());
    change(&mut config);
    gateway.inner.reload(&config).await.unwrap()
}

fn ready(gateway: &TestGateway) -> Ask {
    Ask::new(&gateway.http, &gateway.admin_url, "GET", "/readyz")
}

async fn state(gateway: &TestGateway, name: &str) -> AccountState {
    gateway.store.find_account("demo", gateway.id(name)).await.unwrap().unwrap().account.state
}

/// Alice's account in the state in which an old fault left it.
async fn quarantine(gateway: &TestGateway, reason: &str) {
    let stored = gateway.store.find_account("demo", gateway.id("alice")).await.unwrap().unwrap();
    let now = countersign::model::Clock::now(&*gateway.sandbox.clock);
    let state = AccountState::Quarantined;
    assert!(
        gateway.store.update_account_state(&stored, state, reason, "gateway", now).await.unwrap()
    );
    gateway.inner.catch_up_once().await.unwrap();
}

async fn what_a_missing_key_sealed_is_unavailable_until_the_key_is_there(database: Database) {
    let (old, new) = pair(&database).await;
    let key = new.new_key(|_| ()).await;
    let by_name = private(&old, "alice").header("countersign-account", "@alice");
    for call in [private(&old, "alice"), by_name.clone(), with_key(private(&old, "bob"), &key)] {
        let answer = call.send().await;
        answer.is_own(503, "vault_key_unavailable");
        assert_eq!(answer.header("retry-after"), "10");
        assert!(answer.text().contains("newerkey"), "{}", answer.text());
    }
    private(&old, "bob").send().await.is_relayed(200);
    let degraded = ready(&old).send().await;
    assert_eq!((degraded.status.as_u16(), &degraded.json()["status"]), (200, &json!("degraded")));
    assert!(
        degraded.json()["reasons"][0].as_str().unwrap().contains("newerkey"),
        "{}",
        degraded.text()
    );
    let metrics = Ask::new(&old.http, &old.admin_url, "GET", "/metrics");
    eventually(&metrics, |answer| answer.text().contains("countersign_vault_keys_missing 1")).await;
    let listed = old.inner.get_key(id_of(&key)).await.unwrap().unwrap_err();
    assert!(listed.why.contains("newerkey") && !listed.why.contains("changed"), "{}", listed.why);

    reload(&old, &database, newer).await.unwrap();
    for call in [private(&old, "alice"), by_name, with_key(private(&old, "bob"), &key)] {
        call.send().await.is_relayed(200);
    }
    assert_eq!(ready(&old).send().await.json(), json!({ "status": "ready", "reasons": [] }));
    assert_eq!(state(&old, "alice").await, AccountState::Active);
    assert_eq!(old.audited("account.quarantined").await, []);
}

async fn a_gateway_that_opens_nothing_is_not_ready(database: Database) {
    let (old, new) = pair(&database).await;
    let key = new.new_key(|_| ()).await;
    new.inner.rotate_vault("test").await.unwrap();
    with_key(private(&old, "bob"), &key).send().await.is_own(503, "vault_key_unavailable");
    let not_ready = eventually(&ready(&old), |answer| answer.status == 503).await;
    assert!(not_ready.text().contains("newerkey"), "{}", not_ready.text());
    reload(&old, &database, newer).await.unwrap();
    assert_eq!(ready(&old).send().await.status, 200);
}

async fn a_ring_that_does_not_fit_is_not_taken(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let lacking = reload(&gateway, &database, |config| {
        config.vault.keys = vec![("newerkey".to_owned(), NEW.into())];
        "newerkey".clone_into(&mut config.vault.active);
    });
    let fault = lacking.await.unwrap_err();
    assert!(matches!(fault, RingFault::Lacks(_)), "{fault}");
    for part in ["testkey1", &format!("key {}", id_of(&gateway.key)), "account demo/", "and 3 more"]
    {
        assert!(fault.to_string().contains(part), "{part}: {fault}");
    }
    assert!(ready(&gateway).send().await.text().contains("could not be applied in full"));

    let other = reload(&gateway, &database, |config| config.vault.keys[0].1 = NEW.into()).await;
    assert_eq!(other, Err(RingFault::Replaced("testkey1".to_owned())));
    private(&gateway, "alice").send().await.is_relayed(200);
    let key = gateway.new_key(|_| ()).await;
    with_key(private(&gateway, "alice"), &key).send().await.is_relayed(200);
    reload(&gateway, &database, |_| ()).await.unwrap();
    assert_eq!(ready(&gateway).send().await.json()["status"], "ready");
}

async fn a_ring_with_another_key_under_a_missing_id_is_not_taken(database: Database) {
    let (old, _new) = pair(&database).await;
    let wrong = reload(&old, &database, |config| {
        newer(config);
        config.vault.keys[1].1 = "QB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgE=".into();
    });
    let fault = wrong.await.unwrap_err().to_string();
    assert!(fault.contains("cannot be opened") && fault.contains("newerkey"), "{fault}");
    private(&old, "alice").send().await.is_own(503, "vault_key_unavailable");
    assert_eq!(state(&old, "alice").await, AccountState::Active);
}

async fn an_account_quarantined_because_it_did_not_open_is_healed_once_it_does(database: Database) {
    let gateway = TestGateway::start(&database).await;
    for reason in [
        "the stored token cannot be opened or is not this user's",
        "the stored token cannot be opened",
    ] {
        quarantine(&gateway, reason).await;
        private(&gateway, "alice").send().await.is_relayed(200);
        assert_eq!(state(&gateway, "alice").await, AccountState::Active);
    }
    let healed = gateway.audited("account.recovered").await;
    assert_eq!(healed.len(), 2);
    assert!(healed[0].2.contains("can be opened again"), "{healed:?}");

    for reason in [
        "X says that the token belongs to another user",
        "X said twice that the token belongs to another user",
    ] {
        quarantine(&gateway, reason).await;
        private(&gateway, "alice").send().await.is_own(409, "account_not_active");
        assert_eq!(state(&gateway, "alice").await, AccountState::Quarantined);
        gateway.connect(&["alice"]).await;
    }
    assert_eq!(gateway.audited("account.recovered").await.len(), 2);
}

async fn a_healed_account_is_told_to_webhooks(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let new = NewWebhook { url: "https://hooks.example.com/".to_owned(), app: None };
    let (webhook, _) = gateway.inner.add_webhook(new, "test").await.unwrap();
    quarantine(&gateway, "the stored token cannot be opened or is not this user's").await;
    private(&gateway, "alice").send().await.is_relayed(200);
    let backlog = gateway.inner.get_webhook(&webhook.id).await.unwrap().1;
    assert_eq!(backlog.waiting, 2, "that it was quarantined, and that it works again");
}

async fn a_bearer_token_sealed_elsewhere_is_left_as_it_is(database: Database) {
    let (old, new) = pair(&database).await;
    public(&new).send().await.is_relayed(200);
    let stored = old.store.find_bearer("demo").await.unwrap().unwrap();
    public(&old).send().await.is_own(503, "vault_key_unavailable");
    assert!(old.store.find_bearer("demo").await.unwrap().unwrap() == stored);
    reload(&old, &database, newer).await.unwrap();
    public(&old).send().await.is_relayed(200);
    assert_eq!(mints(&old).await, 1);
}

async fn links_and_webhooks_and_sessions_sealed_elsewhere_are_unavailable(database: Database) {
    let (old, new) = pair(&database).await;
    let link = NewLink { label: "one".to_owned(), ..NewLink::default() };
    let link = new.inner.create_link(link, "test").await.unwrap();
    let id = link.url.expose().rsplit('/').next().unwrap();
    let hook = NewWebhook { url: "https://hooks.example.com/".to_owned(), app: None };
    let (webhook, _) = new.inner.add_webhook(hook, "test").await.unwrap();
    let admin = old.new_admin_key().await;
    new.inner.catch_up_once().await.unwrap();
    let SignIn::Begun(session, _) = new.inner.sign_in(&admin, ADDRESS).await.unwrap() else {
        panic!()
    };

    let unavailable =
        |error: Error| assert!(matches!(error, Error::VaultKeyUnavailable(_)), "{error}");
    unavailable(old.inner.get_invitation(id, None, ADDRESS).await.err().unwrap());
    unavailable(old.inner.test_webhook(&webhook.id, "test").await.unwrap_err());
    unavailable(old.inner.rotate_webhook(&webhook.id, None, "test").await.err().unwrap());
    unavailable(old.inner.find_session(session.expose(), ADDRESS).await.err().unwrap());
    reload(&old, &database, newer).await.unwrap();
    old.inner.get_invitation(id, None, ADDRESS).await.unwrap();
    assert!(old.inner.find_session(session.expose(), ADDRESS).await.unwrap().is_some());
}

async fn sessions_and_links_outlive_the_key_that_sealed_them(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    let SignIn::Begun(session, _) = gateway.inner.sign_in(&admin, ADDRESS).await.unwrap() else {
        panic!()
    };
    reload(&gateway, &database, newer).await.unwrap();
    gateway.inner.rotate_vault("test").await.unwrap();
    let status = gateway.inner.get_vault_status().await.unwrap();
    assert_eq!(status.records.keys().collect::<Vec<_>>(), ["newerkey"]);
    reload(&gateway, &database, |config| {
        newer(config);
        config.vault.keys.remove(0);
    })
    .await
    .unwrap();
    assert!(gateway.inner.find_session(session.expose(), ADDRESS).await.unwrap().is_some());
    private(&gateway, "alice").send().await.is_relayed(200);
}

async fn a_key_is_revoked_without_the_key_that_sealed_it(database: Database) {
    let (old, new) = pair(&database).await;
    let key = new.new_key(|_| ()).await;
    let call = with_key(private(&new, "bob"), &key);
    call.clone().send().await.is_relayed(200);
    let revoked = old.inner.revoke_key(id_of(&key), "test").await.unwrap().unwrap_err();
    assert!(revoked.revoked_at.is_some());
    eventually(&call, |answer| answer.status == 401).await;
    // Nothing is left that the others could not open, and its row brings nothing back.
    let status = new.inner.get_vault_status().await.unwrap();
    assert_eq!(status.unopened, [] as [String; 0]);
    database
        .run(&format!("update key set revoked_at = null where key_id = '{}'", id_of(&key)))
        .await;
    let again = TestGateway::build(new.sandbox.again(), &database.settings(), newer).await;
    with_key(private(&again, "bob"), &key).send().await.is_own(401, "unknown_key");
}

async fn revoking_seals_with_the_key_that_sealed(database: Database) {
    let old = TestGateway::start(&database).await;
    let key = old.new_key(|_| ()).await;
    let new = TestGateway::build(old.sandbox.again(), &database.settings(), newer).await;
    new.inner.revoke_key(id_of(&key), "test").await.unwrap().unwrap();
    let listed = old.inner.get_key(id_of(&key)).await.unwrap().unwrap();
    assert!(listed.revoked_at.is_some(), "the gateway without the new key still reads its row");
}

async fn an_apps_credentials_are_replaced_while_it_serves(database: Database) {
    let gateway = TestGateway::start_with(&database, |config| {
        let app = config.apps.get_mut("demo").unwrap();
        app.consumer_secret = Secret::from("wrongwrongwrong");
        app.bearer_token = Some(Secret::from("wrong"));
    })
    .await;
    private(&gateway, "alice").send().await.is_relayed(401);
    public(&gateway).send().await.is_relayed(401);
    reload(&gateway, &database, |_| ()).await.unwrap();
    private(&gateway, "alice").send().await.is_relayed(200);
    public(&gateway).send().await.is_relayed(200);
    assert_eq!(mints(&gateway).await, 1, "no bearer token is configured any more");
    let bearer = gateway.sandbox.app("demo").bearer_token.clone();
    let with_bearer = |config: &mut Config| {
        config.apps.get_mut("demo").unwrap().bearer_token = Some(Secret::new(bearer));
    };
    reload(&gateway, &database, with_bearer).await.unwrap();
    public(&gateway).send().await.is_relayed(200);
    let sources: Vec<_> = gateway.inner.apps().map(|app| app.1).collect();
    assert_eq!(sources, [BearerSource::Configured]);
}

on_both!(
    what_a_missing_key_sealed_is_unavailable_until_the_key_is_there,
    a_gateway_that_opens_nothing_is_not_ready,
    a_ring_that_does_not_fit_is_not_taken,
    a_ring_with_another_key_under_a_missing_id_is_not_taken,
    an_account_quarantined_because_it_did_not_open_is_healed_once_it_does,
    a_healed_account_is_told_to_webhooks,
    a_bearer_token_sealed_elsewhere_is_left_as_it_is,
    links_and_webhooks_and_sessions_sealed_elsewhere_are_unavailable,
    sessions_and_links_outlive_the_key_that_sealed_them,
    a_key_is_revoked_without_the_key_that_sealed_it,
    revoking_seals_with_the_key_that_sealed,
    an_apps_credentials_are_replaced_while_it_serves
);
