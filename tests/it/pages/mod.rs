//! Pages in browsers that ask with tokens: how tokens are made, what they are good for, how they end, and which pages
//! may read what.

mod authors;
mod bounds;
mod browsers;
mod client;
mod cross_origin;
mod examples;
mod keys;
mod life;
mod limits;
mod minting;
mod quota;
mod subjects;
mod told;

use countersign::model::Origin;
use countersign::model::key::{Right, Scopes};
use serde_json::{Value, json};

use crate::database::Database;
use crate::gateway::{ORIGIN, TestGateway};
use crate::http::{Answer, Ask};

const MINT: &str = "/v1/browser-tokens";
const ASK: &str = "/v1/engagement";
/// Another origin of the key.
const SECOND: &str = "https://second.example.com";

/// A gateway, and a key that makes tokens for pages.
struct Pages {
    gateway: TestGateway,
    key: String,
}

impl Pages {
    async fn start(database: &Database) -> Pages {
        Pages::of(TestGateway::start(database).await).await
    }

    async fn of(gateway: TestGateway) -> Pages {
        let key = page_key(&gateway).await;
        gateway.inner.catch_up_once().await.unwrap();
        Pages { gateway, key }
    }

    fn posts(&self) -> Vec<String> {
        self.gateway.sandbox.ids("alice", 3)
    }

    /// What the tokens of most tests are good for.
    fn question(&self) -> Value {
        json!({
            "tweet_ids": self.posts(),
            "engagement_types": ["favorites", "retweets"],
            "windows": ["totals"],
        })
    }

    fn mint_with(&self, key: &str, body: &Value) -> Ask {
        let ask = self.gateway.ask("POST", MINT).header("content-type", "application/json");
        ask.header("authorization", &format!("Bearer {key}")).body(body.to_string())
    }

    async fn mint(&self, body: &Value) -> Answer {
        self.mint_with(&self.key, body).send().await
    }

    /// The text of a token made with these members.
    async fn token(&self, body: &Value) -> String {
        let made = self.mint(body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["token"].as_str().unwrap().to_owned()
    }

    /// A token for the usual question.
    async fn plain_token(&self) -> String {
        self.token(&json!({ "question": self.question() })).await
    }

    /// A page's question with a token, as a browser sends it.
    fn ask(&self, token: &str, body: &Value) -> Ask {
        ask_at(&self.gateway, token, body)
    }
}

/// The same at another replica.
fn ask_at(gateway: &TestGateway, token: &str, body: &Value) -> Ask {
    let ask = gateway.ask("POST", ASK).header("authorization", &format!("Bearer {token}"));
    let ask = ask.header("content-type", "application/json").header("origin", ORIGIN);
    ask.header("sec-fetch-site", "cross-site").body(body.to_string())
}

/// A key that makes tokens for pages of two origins.
async fn page_key(gateway: &TestGateway) -> String {
    page_key_with(gateway, |_| ()).await
}

/// The same with scopes that are changed.
async fn page_key_with(gateway: &TestGateway, change: impl FnOnce(&mut Scopes)) -> String {
    let origins = || [ORIGIN, SECOND].map(|origin| Origin::parse(origin).unwrap()).to_vec();
    gateway
        .new_key(|key| {
            key.scopes.rights = [Right::Browser].into();
            key.scopes.origins = origins();
            change(&mut key.scopes);
        })
        .await
}

/// The pointers of a refusal's problems, or the headers that they name.
fn places(answer: &Answer) -> Vec<String> {
    let problems = answer.json()["problems"].as_array().unwrap().clone();
    let place = |problem: &Value| {
        let named = problem["pointer"].as_str().or(problem["header"].as_str());
        named.unwrap_or_default().to_owned()
    };
    problems.iter().map(place).collect()
}
