//! What a key may do: every kind of scope against every way to name an account, on every endpoint.

use countersign::model::Endpoint;

use crate::bench::Bench;
use crate::database::on_both;
use crate::house::House;
use crate::relay::private;

/// A key's scopes; no accounts or no endpoints means all.
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

/// How an account is named, and whose that is.
const NAMED: [(&str, Option<&str>); 7] = [
    ("", None),
    ("alice's id", Some("alice")),
    ("@alice", Some("alice")),
    ("@ALICE", Some("alice")),
    ("bob's id", Some("bob")),
    ("@nobody", Some("nobody")),
    ("999", Some("nobody")),
];

/// What an answer must be: the user who signs, or the status and code of the refusal.
fn expected(
    key: &Scoped,
    endpoint: Endpoint,
    named: Option<&'static str>,
) -> Result<&'static str, (u16, &'static str)> {
    let only = if let [only] = key.accounts { Some(*only) } else { None };
    let connected: &[&str] = if key.app == "demo" { &["alice", "bob"] } else { &["alice"] };
    let its = |it: &&str| {
        connected.contains(it) && (key.accounts.is_empty() || key.accounts.contains(it))
    };
    if !key.endpoints.is_empty() && !key.endpoints.contains(&endpoint) {
        return Err((403, "not_allowed"));
    }
    let user = named.or(only).ok_or((400, "invalid_request"))?;
    Some(user).filter(its).ok_or((404, "account_not_found"))
}

/// A house with two apps; alice is connected to both, with a token for each.
pub(super) async fn with_two_apps(database: &crate::database::Database) -> House {
    let bench = Bench::start().await;
    let other = bench.app("other").clone();
    let house = House::build(bench, &database.settings(), |config| {
        let mut app = config.apps["demo"].clone();
        "other".clone_into(&mut app.name);
        app.consumer_key = other.consumer_key;
        app.consumer_secret = (&*other.consumer_secret).into();
        config.apps.insert("other".to_owned(), app);
    })
    .await;
    let alice = house.bench.user("alice");
    let mut import = house.import_of("alice");
    import.access_token = (&*alice.other_access_token).into();
    import.access_token_secret = (&*alice.other_access_token_secret).into();
    house.gateway.import_accounts(Some("other"), &[import], "test").await.unwrap();
    house
}

on_both! {
    async fn each_key_does_what_its_scopes_say_and_nothing_else(database: Database) {
        let house = with_two_apps(&database).await;
        let mut tokens = Vec::new();
        for key in &KEYS {
            let text = house.new_key(|it| {
                it.app = Some(key.app.to_owned());
                it.accounts = key.accounts.iter().map(|it| house.id(it)).collect();
                it.endpoints = key.endpoints.to_vec();
            }).await;
            for (header, named) in NAMED {
                let header = match header.split_once('\'') {
                    Some((name, _)) => house.bench.user(name).user_id.clone(),
                    None => header.to_owned(),
                };
                for endpoint in Endpoint::ALL {
                    let expected = expected(key, endpoint, named);
                    let body = private(&house, expected.unwrap_or("alice"));
                    let ask = house.call(endpoint, &body).header("authorization", &format!("Bearer {text}"));
                    let answer = ask.header("countersign-account", &header).send().await;
                    let case = format!("{} {:?} {:?} {header} {endpoint}", key.app, key.accounts, key.endpoints);
                    match expected {
                        Ok(user) => {
                            assert_eq!(answer.status, 200, "{case}: {}", answer.text());
                            let user = house.bench.user(user);
                            let its = if key.app == "demo" { &user.access_token } else { &user.other_access_token };
                            tokens.push((house.bench.app(key.app).consumer_key.clone(), its.clone()));
                        }
                        Err((status, code)) => {
                            assert_eq!((answer.status.as_u16(), answer.header("countersign-error")), (status, code), "{case}");
                            answer.is_own(status, code);
                        }
                    }
                }
            }
        }
        let arrived = house.arrived("/").await;
        let text = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
        let used: Vec<_> = arrived.iter().map(|it| (text(&it["consumer_key"]), text(&it["token"]))).collect();
        assert_eq!(used, tokens);
    }

    async fn a_key_limited_to_other_endpoints_is_told_which_are_its_own(database: Database) {
        let house = House::start(&database).await;
        let key = house.new_key(|it| it.endpoints = vec![Endpoint::TwentyEightHours, Endpoint::Historical]).await;
        let ask = house.call_as("alice", Endpoint::Totals, &private(&house, "alice"));
        let answer = ask.header("authorization", &format!("Bearer {key}")).send().await;
        answer.is_own(403, "not_allowed");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("totals is not one of its endpoints: 28hr, historical"), "{detail}");
    }
}
