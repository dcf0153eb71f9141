//! Mints that are refused, hang, break or are given up by the caller who began them.

use std::time::Duration;

use serde_json::json;

use crate::database::{Database, Kind, fresh, on_both};
use crate::house::House;
use crate::trouble::{at_once, attempts, mints, public, rotate_bearer};

fn refused() -> serde_json::Value {
    json!([{ "kind": "status", "status": 403, "code": 99, "path": "/oauth2/token" }])
}

async fn a_refused_mint_is_the_apps_fault_and_is_not_repeated_by_each_caller(database: Database) {
    let house = House::start(&database).await;
    house.order(refused()).await;
    for answer in at_once(&public(&house), 20).await {
        answer.is_own(503, "app_credentials_rejected");
        assert_eq!(answer.header("retry-after"), "10");
        assert!(answer.json()["detail"].as_str().unwrap().contains("countersign check"));
    }
    assert_eq!(house.fired().await, [1]);
    assert_eq!(attempts(&house).await, 0);

    house.bench.clock.forward(time::Duration::seconds(4));
    assert_eq!(public(&house).send().await.header("retry-after"), "6");
    assert_eq!(house.fired().await, [1]);
    house.bench.clock.forward(time::Duration::seconds(6));
    house.order(json!([])).await;
    public(&house).send().await.is_relayed(200);
}

async fn a_bearer_rejected_again_and_again_is_not_minted_again_and_again(database: Database) {
    let house = House::start(&database).await;
    public(&house).send().await.is_relayed(200);
    house
        .order(json!([{ "kind": "status", "status": 401, "code": 89, "path": "/insights/" }]))
        .await;
    public(&house).send().await.is_relayed(401);
    assert_eq!((house.fired().await, mints(&house).await), (vec![2], 2));
    for answer in at_once(&public(&house), 10).await {
        answer.is_own(503, "app_credentials_rejected");
        assert_eq!(answer.header("retry-after"), "10");
    }
    assert_eq!(mints(&house).await, 2);
    house.bench.clock.forward(time::Duration::seconds(10));
    public(&house).send().await.is_relayed(401);
    assert_eq!(mints(&house).await, 3);
    house.order(json!([])).await;
    public(&house).send().await.is_relayed(200);
}

on_both!(
    a_refused_mint_is_the_apps_fault_and_is_not_repeated_by_each_caller,
    a_bearer_rejected_again_and_again_is_not_minted_again_and_again
);

/// With the database that goes when it is dropped.
async fn house() -> (Database, House) {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start(&database).await;
    (database, house)
}

#[tokio::test]
async fn callers_who_wait_share_a_mint_that_hangs() {
    let database = fresh(Kind::Sqlite).await;
    let house = House::start_with(&database, |config| {
        config.limits.upstream_first_byte = Duration::from_secs(2);
    })
    .await;
    house.order(json!([{ "kind": "hang", "path": "/oauth2/token" }])).await;
    for answer in at_once(&public(&house), 20).await {
        answer.is_own(504, "upstream_timeout");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(house.fired().await, [1], "nobody waits for a second one");
    house.order(json!([])).await;
    public(&house).send().await.is_relayed(200);
}

#[tokio::test]
async fn a_mint_that_breaks_is_the_upstreams_fault() {
    for (fault, code) in [
        (json!({ "kind": "status", "status": 503 }), "upstream_odd"),
        (json!({ "kind": "html" }), "upstream_odd"),
        (
            json!({ "kind": "status", "status": 200, "headers": { "content-encoding": "br" } }),
            "upstream_odd",
        ),
        (
            json!({ "kind": "status", "status": 302, "headers": { "location": "/oauth2/token" } }),
            "upstream_odd",
        ),
        (
            json!({ "kind": "status", "status": 200, "body": { "token_type": "mac", "access_token": "x" } }),
            "upstream_odd",
        ),
        (json!({ "kind": "reset" }), "upstream_unreachable"),
        (json!({ "kind": "cut_body" }), "upstream_cut_short"),
    ] {
        let (_database, house) = house().await;
        let mut fault = fault;
        fault["path"] = json!("/oauth2/token");
        house.order(json!([fault])).await;
        let answer = public(&house).send().await;
        answer.is_own(502, code);
        assert_eq!(answer.header("retry-after"), "1", "{fault}");
        assert!(house.fired().await[0] >= 1, "{fault}");
        house.order(json!([])).await;
        public(&house).send().await.is_relayed(200);
    }
}

#[tokio::test]
async fn a_mint_that_x_puts_off_says_until_when() {
    for status in [429, 503] {
        let (_database, house) = house().await;
        let headers = json!({ "retry-after": "7" });
        house.order(json!([{ "kind": "status", "status": status, "headers": headers, "path": "/oauth2/token" }])).await;
        let answer = public(&house).send().await;
        answer.is_own(502, "upstream_odd");
        assert_eq!(answer.header("retry-after"), "7");
    }
}

#[tokio::test]
async fn an_answer_that_is_gzipped_unasked_is_read() {
    let (_database, house) = house().await;
    house
        .order(json!([{ "kind": "gzip", "path": "/oauth2/" }, { "kind": "gzip", "path": "/1.1/" }]))
        .await;
    public(&house).send().await.is_relayed(200);
    let key = house.new_admin_key().await;
    let path = format!("/admin/v1/accounts/{}/verify", house.id("alice"));
    let verified = house.admin(&key, "POST", &path).send().await;
    assert_eq!(verified.json()["works"], true, "{}", verified.text());
    assert_eq!(house.fired().await, [1, 1]);
}

#[tokio::test]
async fn a_token_that_decompresses_without_end_is_too_large() {
    let (_database, house) = house().await;
    house.order(json!([{ "kind": "gzip_bomb", "mb": 1, "path": "/oauth2/token" }])).await;
    public(&house).send().await.is_own(502, "upstream_too_large");
    assert_eq!(house.fired().await, [1]);
}

#[tokio::test]
async fn a_renewal_that_breaks_may_be_tried_again_at_once() {
    let (_database, house) = house().await;
    public(&house).send().await.is_relayed(200);
    rotate_bearer(&house).await;
    house
        .order(json!([{ "kind": "status", "status": 503, "times": 1, "path": "/oauth2/token" }]))
        .await;
    public(&house).send().await.is_own(502, "upstream_odd");
    assert_eq!(house.fired().await, [1]);
    public(&house).send().await.is_relayed(200);
}

#[tokio::test]
async fn a_mint_outlives_the_caller_who_began_it() {
    let (_database, house) = house().await;
    public(&house).send().await.is_relayed(200);
    rotate_bearer(&house).await;
    house.order(json!([{ "kind": "hold", "path": "/oauth2/token" }])).await;
    let caller = tokio::spawn(public(&house).send());
    while house.fired().await != [1] {
        tokio::task::yield_now().await;
    }
    caller.abort();
    house.order(json!([])).await;
    for answer in at_once(&public(&house), 10).await {
        answer.is_relayed(200);
    }
    assert_eq!(mints(&house).await, 2, "the first and the one that was begun");
}
