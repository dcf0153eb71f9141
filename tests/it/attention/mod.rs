//! Why calls fail, and what needs attention: in the list of calls, on the overview, and as events.

mod causes;
mod events;
mod failures;
mod lately;
mod states;

use countersign::model::Endpoint;
use serde_json::{Value, json};

use crate::gateway::TestGateway;
use crate::http::Answer;

impl TestGateway {
    /// What needs attention, as `/admin/v1/overview` tells it.
    async fn attention(&self, admin: &str) -> Vec<Value> {
        let answer = self.admin(admin, "GET", "/admin/v1/overview").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["attention"].as_array().unwrap().clone()
    }

    /// The causes of what needs attention.
    async fn causes(&self, admin: &str) -> Vec<String> {
        let items = self.attention(admin).await;
        items.iter().map(|item| item["cause"].as_str().unwrap().to_owned()).collect()
    }

    async fn list_calls(&self, admin: &str, query: &str) -> Vec<Value> {
        let answer = self.admin(admin, "GET", &format!("/admin/v1/calls{query}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["calls"].as_array().unwrap().clone()
    }

    /// Asks for public numbers of a post of alice's.
    async fn ask_publicly(&self) -> Answer {
        self.call(Endpoint::Totals, &one_post(self, "alice", "favorites")).send().await
    }

    /// Asks for private numbers of a post of alice's, with her token.
    async fn ask_privately(&self) -> Answer {
        let body = one_post(self, "alice", "impressions");
        self.call_as("alice", Endpoint::Totals, &body).send().await
    }
}

fn one_post(gateway: &TestGateway, name: &str, metric: &str) -> Value {
    json!({
        "tweet_ids": gateway.sandbox.ids(name, 1),
        "engagement_types": [metric],
        "groupings": { "g": { "group_by": ["tweet.id"] } },
    })
}
