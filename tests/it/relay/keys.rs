//! Who may call: how a key is presented, and that all keys that are not accepted look alike.

use countersign::model::key::{Kind as KeyKind, RANDOM_LENGTH, compose};
use serde_json::json;
use time::Duration;

use crate::bench::{Answer, Ask, TOTALS};
use crate::database::{Database, Kind, fresh, on_both};
use crate::house::House;
use crate::relay::public;

/// A good call with another key, or with none when `key` is empty.
fn with_key(house: &House, header: &str, key: &str) -> Ask {
    let ask = house.call(countersign::model::Endpoint::Totals, &public(house));
    let ask = ask.header("authorization", "").header("x-request-id", "same");
    ask.header(header, key)
}

fn bearer(house: &House, key: &str) -> Ask {
    with_key(house, "authorization", &format!("Bearer {key}"))
}

/// What a caller can tell answers apart by.
fn visible(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let told = |name: &str| !["date", "server-timing"].contains(&name);
    let headers = answer.headers.iter().filter(|(name, _)| told(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (answer.status.as_u16(), headers.collect(), answer.raw.clone())
}

async fn keys_that_are_not_accepted_look_alike_to_the_last_byte(database: Database) {
    let house = House::start(&database).await;
    let expired = house.new_key(|it| it.expires_in = Some(std::time::Duration::from_mins(1))).await;
    bearer(&house, &expired).send().await.is_relayed(200);
    let revoked = house.new_key(|_| ()).await;
    bearer(&house, &revoked).send().await.is_relayed(200);
    house.gateway.revoke_key(&revoked[4..16], "test").await.unwrap().unwrap();
    bearer(&house, &house.key).send().await.is_relayed(200);
    let arrived = house.arrived("/").await;
    house.bench.clock.forward(Duration::seconds(60));

    let (_, unknown) = compose(KeyKind::Caller, &[b'a'; RANDOM_LENGTH]);
    let mut digits = [b'b'; RANDOM_LENGTH];
    digits[..12].copy_from_slice(&house.key.as_bytes()[4..16]);
    let (_, other_secret) = compose(KeyKind::Caller, &digits);
    let mut wrong_sum = house.key.clone();
    let last = wrong_sum.pop().unwrap();
    wrong_sum.push(if last == 'x' { 'y' } else { 'x' });
    let admin = house.new_admin_key().await;
    let presented = [
        expired,
        revoked,
        unknown.expose().to_owned(),
        other_secret.expose().to_owned(),
        wrong_sum,
        admin,
        house.key[..65].to_owned(),
        format!("{}x", house.key),
        "csk_".to_owned(),
        "x".to_owned(),
        house.key.to_uppercase(),
        house.key.replace("csk_", "csa_"),
    ];
    let first = bearer(&house, &presented[0]).send().await;
    first.is_own(401, "unknown_key");
    assert_eq!(first.header("www-authenticate"), "Bearer realm=\"countersign\"");
    for key in &presented {
        assert_eq!(visible(&bearer(&house, key).send().await), visible(&first), "{key}");
        let named = with_key(&house, "x-api-key", key).send().await;
        assert_eq!(visible(&named), visible(&first), "{key}");
    }
    let odd = with_key(&house, "x-api-key", "csk_é").send().await;
    assert_eq!(visible(&odd), visible(&first));
    assert_eq!(house.arrived("/").await, arrived, "nothing of it reached the upstream");
    bearer(&house, &house.key).send().await.is_relayed(200);
}

async fn a_key_expires_at_its_time_and_not_before(database: Database) {
    let house = House::start(&database).await;
    let key = house.new_key(|it| it.expires_in = Some(std::time::Duration::from_hours(1))).await;
    house.bench.clock.forward(Duration::seconds(3599));
    bearer(&house, &key).send().await.is_relayed(200);
    house.bench.clock.forward(Duration::seconds(1));
    bearer(&house, &key).send().await.is_own(401, "unknown_key");
}

on_both!(
    keys_that_are_not_accepted_look_alike_to_the_last_byte,
    a_key_expires_at_its_time_and_not_before
);

#[tokio::test]
async fn a_key_comes_in_either_header() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    for (header, value) in [
        ("authorization", format!("Bearer {}", house.key)),
        ("authorization", format!("bearer {}", house.key)),
        ("authorization", format!("BEARER   {}", house.key)),
        ("x-api-key", house.key.clone()),
    ] {
        with_key(&house, header, &value).send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn without_a_key_the_answer_says_how_to_send_one() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    let oauth = house.bench.signer("alice").header("POST", TOTALS, &[]);
    for authorization in ["", "Bearer", &house.key, "Basic YTpi", &oauth] {
        let answer = with_key(&house, "authorization", authorization).send().await;
        answer.is_own(401, "missing_key");
        let detail = answer.json()["detail"].to_string();
        assert!(
            detail.contains("Authorization: Bearer csk_…") && detail.contains("X-Api-Key: csk_…")
        );
    }
    for path in ["?api_key=", "?key=", "?access_token=", "?x-api-key="] {
        let path = format!("{TOTALS}{path}{}", house.key);
        let ask = Ask::new(&house.http, &house.url, "POST", &path).body(public(&house).to_string());
        ask.header("content-type", "application/json").send().await.is_own(401, "missing_key");
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn an_authorization_of_somebody_elses_stands_beside_x_api_key() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    for other in ["Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi", "Negotiate abc"] {
        let ask = with_key(&house, "x-api-key", &house.key).header("authorization", other);
        ask.send().await.is_relayed(200);
    }
    let same = format!("Bearer {}", house.key);
    with_key(&house, "x-api-key", &house.key)
        .header("authorization", &same)
        .send()
        .await
        .is_relayed(200);
}

#[tokio::test]
async fn two_keys_in_one_request_are_refused_whichever_is_good() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    let second = house.new_key(|_| ()).await;
    let good = format!("Bearer {}", house.key);
    for (first, another, header) in [
        (("authorization", &*good), ("authorization", "Bearer x"), "Authorization"),
        (("authorization", "Basic YTpi"), ("authorization", &*good), "Authorization"),
        (("authorization", &*good), ("authorization", &*good), "Authorization"),
        (("x-api-key", &*house.key), ("x-api-key", "x"), "X-Api-Key"),
        (("x-api-key", &*second), ("authorization", &*good), "X-Api-Key"),
        (("x-api-key", "x"), ("authorization", &*good), "X-Api-Key"),
    ] {
        let answer = with_key(&house, first.0, first.1).another(another.0, another.1).send().await;
        answer.is_own(400, "invalid_request");
        assert_eq!(answer.json()["problems"][0]["header"], header, "{first:?} {another:?}");
        assert!(!answer.text().contains(&house.key[16..]), "a key is not repeated");
    }
    assert!(house.arrived("/").await.is_empty());
}

#[tokio::test]
async fn each_listener_takes_its_own_kind_of_keys() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    let admin = house.new_admin_key().await;
    house.admin(&admin, "GET", "/admin/v1/keys").send().await.is_relayed(200);
    house.admin(&house.key, "GET", "/admin/v1/keys").send().await.is_own(401, "unknown_key");
    house.admin(&admin, "GET", TOTALS).send().await.is_own(404, "not_found");
    house.ask("GET", "/admin/v1/keys").send().await.is_own(404, "not_found");
    bearer(&house, &admin).send().await.is_own(401, "unknown_key");
    let twice = house.admin(&admin, "GET", "/admin/v1/keys").another("authorization", "Bearer x");
    twice.send().await.is_own(400, "invalid_request");
    assert_eq!(house.arrived("/").await, Vec::<serde_json::Value>::from([]));
    let body = json!({ "name": "new", "app": "demo" }).to_string();
    let ask = house.admin(&house.key, "POST", "/admin/v1/keys");
    ask.header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .is_own(401, "unknown_key");
}
