//! What a key may do: every kind of scope, every way to name an account, every endpoint.

use countersign::gateway::ImportEvents;
use countersign::model::Endpoint;
use countersign::model::key::Scopes;

use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::relay::private;
use crate::upstream::TestSandbox;

/// A key's scopes; no accounts or no endpoints means all of them.
struct Scoped {
    app: &'static str,
    accounts: &'static [&'static str],
    endpoints: &'static [Endpoint],
}

const KEYS: [Scoped; 6] = {
    use Endpoint::{Historical, Totals, TwentyEightHours};
    [
        Scoped { app: "demo", accounts: &[], endpoints: &[] },
        Scoped { app: "demo", accounts: &["alice"], endpoints: &[] },
        Scoped { app: "demo", accounts: &["alice", "bob"], endpoints: &[] },
        Scoped { app: "demo", accounts: &["bob"], endpoints: &[Totals] },
        Scoped { app: "demo", accounts: &[], endpoints: &[TwentyEightHours, Historical] },
        Scoped { app: "other", accounts: &[], endpoints: &[] },
    ]
};

/// How an account is named, and which user that is.
const NAMED: [(&str, Option<&str>); 7] = [
    ("", None),
    ("alice's id", Some("alice")),
    ("@alice", Some("alice")),
    ("@ALICE", Some("alice")),
    ("bob's id", Some("bob")),
    ("@nobody", Some("nobody")),
    ("999", Some("nobody")),
];

/// The expected answer: the user who signs, or the status and code of the refusal.
fn expected(
    key: &Scoped,
    endpoint: Endpoint,
    named: Option<&'static str>,
) -> Result<&'static str, (u16, &'static str)> {
    let only = if let [only] = key.accounts { Some(*only) } else { None };
    let connected: &[&str] = if key.app == "demo" { &["alice", "bob"] } else { &["alice"] };
    let its = |name: &&str| {
        connected.contains(name) && (key.accounts.is_empty() || key.accounts.contains(name))
    };
    if !key.endpoints.is_empty() && !key.endpoints.contains(&endpoint) {
        return Err((403, "not_allowed"));
    }
    let user = named.or(only).ok_or((400, "invalid_request"))?;
    Some(user).filter(its).ok_or((404, "account_not_found"))
}

/// A gateway with two apps; alice is connected to both, with a token for each.
pub(super) async fn with_two_apps(database: &crate::database::Database) -> TestGateway {
    let sandbox = TestSandbox::start().await;
    let other = sandbox.app("other").clone();
    let gateway = TestGateway::build(sandbox, &database.settings(), |config| {
        let mut app = config.apps["demo"].clone();
        "other".clone_into(&mut app.name);
        app.consumer_key = other.consumer_key;
        app.consumer_secret = (&*other.consumer_secret).into();
        config.apps.insert("other".to_owned(), app);
    })
    .await;
    let alice = gateway.sandbox.user("alice");
    let mut import = gateway.import_of("alice");
    import.access_token = (&*alice.other_access_token).into();
    import.access_token_secret = (&*alice.other_access_token_secret).into();
    gateway
        .inner
        .import_accounts(Some("other"), &[import], ImportEvents::Each, "test", |_| ())
        .await
        .unwrap();
    gateway
}

async fn each_key_does_what_its_scopes_say_and_nothing_else(database: Database) {
    let gateway = with_two_apps(&database).await;
    let mut tokens = Vec::new();
    for key in &KEYS {
        let text = gateway
            .new_key(|new| {
                let ids = key.accounts.iter().map(|name| gateway.id(name)).collect();
                new.scopes = Scopes {
                    app: Some(key.app.to_owned()),
                    accounts: Some(ids).filter(|ids: &Vec<_>| !ids.is_empty()),
                    endpoints: Some(key.endpoints.to_vec()).filter(|all| !all.is_empty()),
                    ..Scopes::default()
                };
            })
            .await;
        for (header, named) in NAMED {
            let header = match header.split_once('\'') {
                Some((name, _)) => gateway.sandbox.user(name).user_id.clone(),
                None => header.to_owned(),
            };
            for endpoint in Endpoint::ALL {
                let expected = expected(key, endpoint, named);
                let body = private(&gateway, expected.unwrap_or("alice"));
                let ask = gateway
                    .call(endpoint, &body)
                    .header("authorization", &format!("Bearer {text}"));
                let answer = ask.header("countersign-account", &header).send().await;
                let case = format!(
                    "{} {:?} {:?} {header} {endpoint}",
                    key.app, key.accounts, key.endpoints
                );
                match expected {
                    Ok(user) => {
                        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                        let user = gateway.sandbox.user(user);
                        let its = if key.app == "demo" {
                            &user.access_token
                        } else {
                            &user.other_access_token
                        };
                        tokens
                            .push((gateway.sandbox.app(key.app).consumer_key.clone(), its.clone()));
                    }
                    Err((status, code)) => {
                        assert_eq!(
                            (answer.status.as_u16(), answer.header("countersign-error")),
                            (status, code),
                            "{case}"
                        );
                        answer.is_own(status, code);
                    }
                }
            }
        }
    }
    let arrived = gateway.arrived("/").await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let used: Vec<_> =
        arrived.iter().map(|call| (text(&call["consumer_key"]), text(&call["token"]))).collect();
    assert_eq!(used, tokens);
}

async fn a_key_limited_to_other_endpoints_is_told_which_are_its_own(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway
        .new_key(|key| {
            key.scopes.endpoints = Some(vec![Endpoint::TwentyEightHours, Endpoint::Historical]);
        })
        .await;
    let ask = gateway.call_as("alice", Endpoint::Totals, &private(&gateway, "alice"));
    let answer = ask.header("authorization", &format!("Bearer {key}")).send().await;
    answer.is_own(403, "not_allowed");
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("totals is not one of its endpoints: 28hr, historical"), "{detail}");
}

on_both!(
    each_key_does_what_its_scopes_say_and_nothing_else,
    a_key_limited_to_other_endpoints_is_told_which_are_its_own
);
