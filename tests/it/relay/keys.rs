//! Who may call: how a key is presented, and that all rejected keys look alike.

use countersign::model::key::{Kind as KeyKind, RANDOM_LENGTH, compose};
use serde_json::json;
use time::Duration;

use crate::database::{Database, Kind, fresh, on_both};
use crate::gateway::TestGateway;
use crate::http::{Answer, Ask};
use crate::relay::public;
use crate::upstream::TOTALS;

/// A valid call with another key, or with none if `key` is empty.
fn with_key(gateway: &TestGateway, header: &str, key: &str) -> Ask {
    let ask = gateway.call(countersign::model::Endpoint::Totals, &public(gateway));
    let ask = ask.header("authorization", "").header("x-request-id", "same");
    ask.header(header, key)
}

fn bearer(gateway: &TestGateway, key: &str) -> Ask {
    with_key(gateway, "authorization", &format!("Bearer {key}"))
}

/// Everything by which a caller could tell answers apart.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let told = |name: &str| !["date", "server-timing"].contains(&name);
    let headers = answer.headers.iter().filter(|(name, _)| told(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (answer.status.as_u16(), headers.collect(), answer.raw.clone())
}

async fn keys_that_are_not_accepted_look_alike_to_the_last_byte(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let expired =
        gateway.new_key(|key| key.expires_in = Some(std::time::Duration::from_mins(1))).await;
    bearer(&gateway, &expired).send().await.is_relayed(200);
    let revoked = gateway.new_key(|_| ()).await;
    bearer(&gateway, &revoked).send().await.is_relayed(200);
    gateway.inner.revoke_key(&revoked[4..16], "test").await.unwrap().unwrap();
    bearer(&gateway, &gateway.key).send().await.is_relayed(200);
    let arrived = gateway.arrived("/").await;
    gateway.sandbox.clock.forward(Duration::seconds(60));

    let (_, unknown) = compose(KeyKind::Caller, &[b'a'; RANDOM_LENGTH]);
    let mut digits = [b'b'; RANDOM_LENGTH];
    digits[..12].copy_from_slice(&gateway.key.as_bytes()[4..16]);
    let (_, other_secret) = compose(KeyKind::Caller, &digits);
    let mut wrong_sum = gateway.key.clone();
    let last = wrong_sum.pop().unwrap();
    wrong_sum.push(if last == 'x' { 'y' } else { 'x' });
    let presented = [
        expired,
        revoked,
        unknown.expose().to_owned(),
        other_secret.expose().to_owned(),
        wrong_sum,
        gateway.key[..65].to_owned(),
        format!("{}x", gateway.key),
        "csk_".to_owned(),
        "x".to_owned(),
        gateway.key.to_uppercase(),
    ];
    let first = bearer(&gateway, &presented[0]).send().await;
    first.is_own(401, "unknown_key");
    assert_eq!(first.header("www-authenticate"), "Bearer realm=\"countersign\"");
    for key in &presented {
        assert_eq!(visible(&bearer(&gateway, key).send().await), visible(&first), "{key}");
        let named = with_key(&gateway, "x-api-key", key).send().await;
        assert_eq!(visible(&named), visible(&first), "{key}");
    }
    let odd = with_key(&gateway, "x-api-key", "csk_é").send().await;
    assert_eq!(visible(&odd), visible(&first));
    assert_eq!(gateway.arrived("/").await, arrived, "nothing of it reached the upstream");
    bearer(&gateway, &gateway.key).send().await.is_relayed(200);
}

async fn a_key_of_the_other_kind_is_told_to_be_one_whether_it_works_or_not(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let (works, revoked) = (gateway.new_admin_key().await, gateway.new_admin_key().await);
    gateway.inner.revoke_key(&revoked, "test").await.unwrap().unwrap();
    let (_, unknown) = compose(KeyKind::Admin, &[b'a'; RANDOM_LENGTH]);
    let admins = [
        works.clone(),
        revoked,
        unknown.expose().to_owned(),
        works[..65].to_owned(),
        "csa_".to_owned(),
    ];
    let arrived = gateway.arrived("/").await;
    // From here on, a look-up of any key that is not cached fails.
    database.run("alter table key rename to hidden").await;
    let (_, stranger) = compose(KeyKind::Caller, &[b'a'; RANDOM_LENGTH]);
    let looked_up = bearer(&gateway, stranger.expose()).send().await;
    assert!(looked_up.status.is_server_error(), "{}", looked_up.text());
    let first = bearer(&gateway, &works).send().await;
    first.is_own(401, "unknown_key");
    let detail = first.json()["detail"].to_string();
    assert!(detail.contains("this is an admin key") && detail.contains("csk_"), "{detail}");
    for key in &admins {
        for (header, value) in
            [("authorization", format!("Bearer {key}")), ("x-api-key", key.clone())]
        {
            let refused = with_key(&gateway, header, &value).send().await;
            assert_eq!(visible(&refused), visible(&first), "{key}");
        }
        let question = gateway.ask("POST", "/v1/engagement").body("{}");
        let refused = question.header("authorization", &format!("Bearer {key}")).send().await;
        refused.is_own(401, "unknown_key");
        assert_eq!(refused.json()["detail"], first.json()["detail"]);
    }
    for key in [&*gateway.key, stranger.expose(), "csk_"] {
        let refused = gateway.admin(key, "GET", "/admin/v1/keys").send().await;
        refused.is_own(401, "unknown_key");
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("this is a caller's key") && detail.contains("csa_"), "{detail}");
    }
    assert_eq!(gateway.arrived("/").await, arrived, "nothing of it reached the upstream");
}

async fn a_key_expires_at_its_time_and_not_before(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key =
        gateway.new_key(|key| key.expires_in = Some(std::time::Duration::from_hours(1))).await;
    gateway.sandbox.clock.forward(Duration::seconds(3599));
    bearer(&gateway, &key).send().await.is_relayed(200);
    gateway.sandbox.clock.forward(Duration::seconds(1));
    bearer(&gateway, &key).send().await.is_own(401, "unknown_key");
}

on_both!(
    keys_that_are_not_accepted_look_alike_to_the_last_byte,
    a_key_of_the_other_kind_is_told_to_be_one_whether_it_works_or_not,
    a_key_expires_at_its_time_and_not_before
);

#[tokio::test]
async fn a_key_comes_in_either_header() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for (header, value) in [
        ("authorization", format!("Bearer {}", gateway.key)),
        ("authorization", format!("bearer {}", gateway.key)),
        ("authorization", format!("BEARER   {}", gateway.key)),
        ("x-api-key", gateway.key.clone()),
    ] {
        with_key(&gateway, header, &value).send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn without_a_key_the_answer_says_how_to_send_one() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let oauth = gateway.sandbox.signer("alice").header("POST", TOTALS, &[]);
    for authorization in ["", "Bearer", &gateway.key, "Basic YTpi", &oauth] {
        let answer = with_key(&gateway, "authorization", authorization).send().await;
        answer.is_own(401, "missing_key");
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("Authorization: Bearer csk_…") && detail.contains("X-Api-Key: csk_…")
        );
    }
    for path in ["?api_key=", "?key=", "?access_token=", "?x-api-key="] {
        let path = format!("{TOTALS}{path}{}", gateway.key);
        let ask =
            Ask::new(&gateway.http, &gateway.url, "POST", &path).body(public(&gateway).to_string());
        ask.header("content-type", "application/json").send().await.is_own(401, "missing_key");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn an_authorization_of_somebody_elses_stands_beside_x_api_key() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    for other in ["Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi", "Negotiate abc"] {
        let ask = with_key(&gateway, "x-api-key", &gateway.key).header("authorization", other);
        ask.send().await.is_relayed(200);
    }
    let same = format!("Bearer {}", gateway.key);
    with_key(&gateway, "x-api-key", &gateway.key)
        .header("authorization", &same)
        .send()
        .await
        .is_relayed(200);
}

#[tokio::test]
async fn two_keys_in_one_request_are_refused_whichever_is_good() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let second = gateway.new_key(|_| ()).await;
    let good = format!("Bearer {}", gateway.key);
    for (first, another, header) in [
        (("authorization", &*good), ("authorization", "Bearer x"), "Authorization"),
        (("authorization", "Basic YTpi"), ("authorization", &*good), "Authorization"),
        (("authorization", &*good), ("authorization", &*good), "Authorization"),
        (("x-api-key", &*gateway.key), ("x-api-key", "x"), "X-Api-Key"),
        (("x-api-key", &*second), ("authorization", &*good), "X-Api-Key"),
        (("x-api-key", "x"), ("authorization", &*good), "X-Api-Key"),
    ] {
        let answer =
            with_key(&gateway, first.0, first.1).another(another.0, another.1).send().await;
        answer.is_own(400, "invalid_request");
        assert_eq!(answer.json()["problems"][0]["header"], header, "{first:?} {another:?}");
        assert!(!answer.text().contains(&gateway.key[16..]), "a key is not repeated");
    }
    assert!(gateway.arrived("/").await.is_empty());
}

#[tokio::test]
async fn each_listener_takes_its_own_kind_of_keys() {
    let database = fresh(Kind::Sqlite).await;
    let gateway = TestGateway::start(&database).await;
    let admin = gateway.new_admin_key().await;
    gateway.admin(&admin, "GET", "/admin/v1/keys").send().await.is_relayed(200);
    gateway.admin(&gateway.key, "GET", "/admin/v1/keys").send().await.is_own(401, "unknown_key");
    gateway.admin(&admin, "GET", TOTALS).send().await.is_own(404, "not_found");
    gateway.ask("GET", "/admin/v1/keys").send().await.is_own(404, "not_found");
    bearer(&gateway, &admin).send().await.is_own(401, "unknown_key");
    let twice = gateway.admin(&admin, "GET", "/admin/v1/keys").another("authorization", "Bearer x");
    twice.send().await.is_own(400, "invalid_request");
    assert_eq!(gateway.arrived("/").await, Vec::<serde_json::Value>::from([]));
    let body = json!({ "name": "new", "app": "demo" }).to_string();
    let ask = gateway.admin(&gateway.key, "POST", "/admin/v1/keys");
    ask.header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .is_own(401, "unknown_key");
}
