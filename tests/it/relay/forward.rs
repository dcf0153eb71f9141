//! Which credentials sign a call, and what reaches the upstream.

use countersign::model::Endpoint;

use crate::bench::body;
use crate::database::on_both;
use crate::house::House;

on_both! {
    async fn public_totals_go_out_with_the_bearer(database: Database) {
        let house = House::start(&database).await;
        let body = body(&house.bench.ids("alice", 2), &["favorites"], &["tweet.id", "engagement.type"]);
        let answer = house.call(Endpoint::Totals, &body).send().await;
        answer.is_relayed(200);
        assert_eq!(answer.header("countersign-auth"), "app-only");
        assert_eq!(answer.json(), house.bench.public(&body).await.json());
        let arrived = house.arrived("/insights/").await;
        assert_eq!(arrived[0]["auth_kind"], "bearer");
        assert_eq!(arrived[0]["body"], body.to_string());
    }

    async fn private_totals_are_signed_with_the_authors_token(database: Database) {
        let house = House::start(&database).await;
        let body = body(&house.bench.ids("alice", 2), &["impressions"], &["tweet.id", "engagement.type"]);
        let answer = house.call_as("alice", Endpoint::Totals, &body).send().await;
        answer.is_relayed(200);
        assert_eq!(answer.header("countersign-auth"), "user-context");
        let arrived = house.arrived("/insights/").await;
        assert_eq!(arrived[0]["auth_kind"], "user");
        assert_eq!(arrived[0]["token"], house.bench.user("alice").access_token);
    }
}
