//! Stored secrets that were changed or moved: refused, quarantined, and nobody else affected.

use std::fmt::Write as _;

use countersign::model::{App, Secret};
use countersign::store::StoredAccount;

use crate::database::{Database, Kind, on_both};
use crate::house::House;
use crate::trouble::{attempts, eventually_status, mints, private, public};

/// Bytes as both databases write them.
fn blob(database: &Database, bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    match database.kind {
        Kind::Sqlite => format!("x'{hex}'"),
        Kind::Postgres => format!("'\\x{hex}'::bytea"),
    }
}

async fn sealed(house: &House, app: &str, name: &str) -> StoredAccount {
    let id = house.id(name);
    house.store.find_account(app, id).await.unwrap().unwrap()
}

async fn set(database: &Database, house: &House, name: &str, column: &str, bytes: &[u8]) {
    let (bytes, id) = (blob(database, bytes), house.id(name));
    database
        .run(&format!(
            "update account set {column} = {bytes} where app = 'demo' and user_id = '{id}'"
        ))
        .await;
}

/// Alice's call is refused without a word to X, her account is quarantined, and the others go on.
async fn only_alice_is_quarantined(house: &House) {
    let before = attempts(house).await;
    let answer = private(house, "alice").send().await;
    answer.is_own(409, "account_not_active");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("quarantined since 2026-03-10T21:15:30Z"), "{detail}");
    assert!(detail.contains("import the token again"), "{detail}");
    assert_eq!(attempts(house).await, before);
    private(house, "bob").send().await.is_relayed(200);
    let key = house.new_admin_key().await;
    let path = "/admin/v1/accounts?state=quarantined&app=demo";
    let listed = house.admin(&key, "GET", path);
    let alice = house.id("alice").to_string();
    crate::trouble::eventually(&listed, |it| {
        it.json()["accounts"]
            .as_array()
            .is_some_and(|it| it.len() == 1 && it[0]["user_id"] == *alice)
    })
    .await;
}

async fn heal(house: &House) {
    house.connect(&["alice"]).await;
    eventually_status(&private(house, "alice"), 200).await;
    house.connect(&["alice"]).await;
}

/// Two apps with alice connected to both.
async fn two_apps(database: &Database) -> House {
    let bench = crate::bench::Bench::start().await;
    let other = bench.app("other").clone();
    let house = House::build(bench, &database.settings(), move |config| {
        let demo = config.apps.values().next().unwrap().clone();
        let app = App {
            name: "other".to_owned(),
            consumer_key: other.consumer_key,
            consumer_secret: Secret::new(other.consumer_secret),
            ..demo
        };
        config.apps.insert("other".to_owned(), app);
    })
    .await;
    let mut import = house.import_of("alice");
    let user = house.bench.user("alice");
    import.access_token = Secret::from(&*user.other_access_token);
    import.access_token_secret = Secret::from(&*user.other_access_token_secret);
    house.gateway.import_accounts(Some("other"), &[import], "test").await.unwrap();
    house
}

on_both! {
    async fn tokens_moved_between_users_are_refused(database: Database) {
        let house = House::start(&database).await;
        let bob = sealed(&house, "demo", "bob").await;
        set(&database, &house, "alice", "sealed_token", &bob.sealed_token).await;
        set(&database, &house, "alice", "sealed_token_secret", &bob.sealed_token_secret).await;
        only_alice_is_quarantined(&house).await;
    }

    async fn a_secret_alone_that_was_moved_is_refused(database: Database) {
        let house = House::start(&database).await;
        let bob = sealed(&house, "demo", "bob").await;
        set(&database, &house, "alice", "sealed_token_secret", &bob.sealed_token_secret).await;
        only_alice_is_quarantined(&house).await;
        heal(&house).await;
        private(&house, "alice").send().await.is_relayed(200);
    }

    async fn tokens_moved_between_columns_are_refused(database: Database) {
        let house = House::start(&database).await;
        let alice = sealed(&house, "demo", "alice").await;
        set(&database, &house, "alice", "sealed_token", &alice.sealed_token_secret).await;
        set(&database, &house, "alice", "sealed_token_secret", &alice.sealed_token).await;
        only_alice_is_quarantined(&house).await;
        heal(&house).await;
        private(&house, "alice").send().await.is_relayed(200);
    }

    async fn tokens_moved_between_apps_are_refused(database: Database) {
        let house = two_apps(&database).await;
        let other = sealed(&house, "other", "alice").await;
        set(&database, &house, "alice", "sealed_token", &other.sealed_token).await;
        set(&database, &house, "alice", "sealed_token_secret", &other.sealed_token_secret).await;
        only_alice_is_quarantined(&house).await;
        let key = house.new_key(|it| it.app = Some("other".to_owned())).await;
        let answer = crate::trouble::with_key(private(&house, "alice"), &key).send().await;
        answer.is_relayed(200);
    }

    async fn a_flipped_bit_anywhere_in_a_record_is_refused(database: Database) {
        let house = House::start(&database).await;
        for column in ["sealed_token", "sealed_token_secret"] {
            let stored = sealed(&house, "demo", "alice").await;
            let record = if column == "sealed_token" { stored.sealed_token } else { stored.sealed_token_secret };
            // Version, nonce, ciphertext, tag; another key's id names a key that this gateway may lack.
            for place in [0, 9, 21, record.len() - 16, record.len() - 1] {
                let stored = sealed(&house, "demo", "alice").await;
                let mut record =
                    if column == "sealed_token" { stored.sealed_token } else { stored.sealed_token_secret };
                record[place] ^= 1;
                set(&database, &house, "alice", column, &record).await;
                only_alice_is_quarantined(&house).await;
                heal(&house).await;
            }
        }
    }

    async fn records_cut_or_emptied_are_refused(database: Database) {
        let house = House::start(&database).await;
        let record = sealed(&house, "demo", "alice").await.sealed_token;
        for length in [0, 1, 20, record.len() - 1] {
            set(&database, &house, "alice", "sealed_token", &record[..length]).await;
            only_alice_is_quarantined(&house).await;
            heal(&house).await;
        }
    }

    async fn a_record_put_back_heals_by_a_check(database: Database) {
        let house = House::start(&database).await;
        let alice = sealed(&house, "demo", "alice").await;
        set(&database, &house, "alice", "sealed_token", b"nonsense").await;
        only_alice_is_quarantined(&house).await;
        let key = house.new_admin_key().await;
        let path = format!("/admin/v1/accounts/{}/verify", house.id("alice"));
        let verify = house.admin(&key, "POST", &path);
        assert_eq!(verify.clone().send().await.json()["state"], "quarantined");
        set(&database, &house, "alice", "sealed_token", &alice.sealed_token).await;
        assert_eq!(verify.send().await.json()["works"], true);
        private(&house, "alice").send().await.is_relayed(200);
    }

    async fn a_bearer_of_another_app_is_refused_and_minted_anew(database: Database) {
        let house = two_apps(&database).await;
        public(&house).send().await.is_relayed(200);
        let key = house.new_key(|it| it.app = Some("other".to_owned())).await;
        crate::trouble::with_key(public(&house), &key).send().await.is_relayed(200);
        assert_eq!(mints(&house).await, 2);
        let other = house.store.find_bearer("other").await.unwrap().unwrap();
        let bytes = blob(&database, &other.sealed_token);
        database.run(&format!("update bearer set sealed_token = {bytes} where app = 'demo'")).await;

        let again = House::build(house.bench.again(), &database.settings(), |_| ()).await;
        public(&again).send().await.is_relayed(200);
        let arrived = again.arrived("/insights/").await;
        assert_eq!(arrived.last().unwrap()["token"], *again.bench.app("demo").bearer_token);
        assert_eq!(mints(&again).await, 3);
    }
}
