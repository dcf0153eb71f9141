//! Connecting again while calls are in flight: each is signed with one consistent token, and is refused only if X
//! has replaced that token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::model::Endpoint;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::connect::browser::Browser;
use crate::connect::{fault, path_of, private, say, start_gateway};
use crate::database::{Database, on_both};
use crate::gateway::TestGateway;
use crate::http::Answer;
use crate::upstream::{Signer, TOTALS};

/// A deadline for tests that fail; no test measures time.
const PATIENCE: Duration = Duration::from_secs(30);
const CALLERS: usize = 8;
const TIMES: usize = 12;

/// Carol revokes the app's access and connects once more; gives her new token.
async fn connect_again(gateway: &TestGateway) -> (String, String) {
    let form = gateway.sandbox.form("/settings/connected_apps", "screen_name=carol&app=demo");
    assert_eq!(form.send().await.status, 303);
    connect(gateway).await
}

async fn connect(gateway: &TestGateway) -> (String, String) {
    let (link, mut browser) = (gateway.link().await, Browser::new());
    let back = gateway.allow(&mut browser, &link, "carol").await;
    browser.follow(&back).await.goes_to(path_of(&link));
    browser.open(&link).await.is_page(200, &["as @carol"]);
    let world = gateway.sandbox.get("/sandbox/world").await;
    let carol =
        world["users"].as_array().unwrap().iter().find(|user| user["screen_name"] == "carol");
    let text = |name: &str| carol.unwrap()[name].as_str().unwrap().to_owned();
    (text("access_token"), text("access_token_secret"))
}

/// The signature in an `Authorization`.
fn signature(authorization: &str) -> &str {
    let rest = authorization.split_once("oauth_signature=\"").unwrap().1;
    rest.split('"').next().unwrap()
}

/// Whether the call that arrived is signed with the secret that belongs to its token.
fn is_whole(gateway: &TestGateway, call: &Value, token: &(String, String)) -> bool {
    let text = |name: &str| call[name].as_str().unwrap().to_owned();
    let signer = Signer {
        token: Some(token.clone()),
        nonce: text("nonce"),
        timestamp: text("timestamp"),
        ..gateway.sandbox.two_legged()
    };
    let sent = call["header_values"]["authorization"].as_str().unwrap();
    signature(sent) == signature(&signer.header("POST", TOTALS, &[]))
}

/// Relayed, or refused because X said that the token is no longer valid.
#[track_caller]
fn is_answer(answer: &Answer) -> bool {
    if answer.status == 200 {
        answer.is_relayed(200);
        return true;
    }
    let code = answer.header("countersign-error");
    assert!(["", "account_not_active"].contains(&code), "{}", answer.text());
    false
}

/// How many calls X accepted and refused. Each is signed with one of the tokens, and the latest is never refused.
fn count_by_outcome(
    gateway: &TestGateway,
    arrived: &[Value],
    tokens: &[(String, String)],
) -> (usize, usize) {
    let (mut by_latest, mut by_replaced) = (0, 0);
    for call in arrived {
        let place = tokens.iter().position(|token| call["token"] == token.0).unwrap();
        assert!(is_whole(gateway, call, &tokens[place]), "{call}");
        let others = tokens.iter().enumerate().filter(|numbered| numbered.0 != place);
        assert!(!others.into_iter().any(|other| is_whole(gateway, call, other.1)));
        if call["status"] == 200 {
            by_latest += 1;
        } else {
            assert!(place + 1 < tokens.len(), "refused with the latest token: {call}");
            by_replaced += 1;
        }
    }
    (by_latest, by_replaced)
}

async fn calls_in_flight_use_one_token_or_the_other_whole(database: Database) {
    let gateway = start_gateway(&database).await;
    let mut tokens = vec![connect(&gateway).await];
    let carol = gateway.id("carol");
    let limited =
        format!("Bearer {}", gateway.new_key(|key| key.scopes.accounts = Some(vec![carol])).await);
    let before = gateway.store.find_account("demo", carol).await.unwrap().unwrap();
    let ask = gateway
        .call_as("carol", Endpoint::Totals, &private(&gateway, "carol"))
        .header("authorization", &limited)
        // Each caller makes calls of its own.
        .header("cache-control", "no-cache");
    ask.clone().send().await.is_relayed(200);

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (stop, ask) = (Arc::clone(&stop), ask.clone());
        callers.spawn(async move {
            let mut answers = [0, 0];
            while !stop.load(Ordering::Relaxed) {
                answers[usize::from(is_answer(&ask.clone().send().await))] += 1;
            }
            answers
        });
    }
    for _ in 0..TIMES {
        // X refused two calls with the previous token, but its answers arrive after the next token is stored.
        gateway.order(json!([fault(TOTALS, &json!({ "kind": "hold", "times": 2 }))])).await;
        let held = async {
            while gateway.fired().await != [2] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, held).await.expect("nobody calls any more");
        gateway.sandbox.clock.forward(time::Duration::seconds(1));
        tokens.push(connect_again(&gateway).await);
        ask.clone().send().await.is_relayed(200);
        gateway.order(json!([])).await;
    }
    stop.store(true, Ordering::Relaxed);
    let answers = callers.join_all().await;
    let (refused, relayed) =
        answers.iter().fold((0, 0), |sum, pair| (sum.0 + pair[0], sum.1 + pair[1]));

    let arrived = gateway.arrived(TOTALS).await;
    let (by_latest, by_replaced) = count_by_outcome(&gateway, &arrived, &tokens);
    say(&format!(
        "{} arrived: {by_latest} taken, {by_replaced} refused; of the callers {relayed} relayed, {refused} not",
        arrived.len()
    ));
    assert!(by_latest > 2 * TIMES && relayed > TIMES, "{by_latest} {relayed}");
    let used =
        tokens.iter().filter(|token| arrived.iter().any(|call| call["token"] == token.0)).count();
    assert_eq!((tokens.len(), used), (TIMES + 1, TIMES + 1));

    let after = gateway.store.find_account("demo", carol).await.unwrap().unwrap();
    assert_ne!(before.sealed_token, after.sealed_token);
    assert_eq!(before.account.connected_at, after.account.connected_at);
    assert_eq!(after.account.state, countersign::model::AccountState::Active);
    assert_eq!(gateway.audited("account.connected").await.len(), TIMES + 1);
    ask.send().await.is_relayed(200);
}

async fn who_connects_again_without_revoking_keeps_the_token_and_no_call_is_refused(
    database: Database,
) {
    let gateway = start_gateway(&database).await;
    let first = connect(&gateway).await;
    let ask = gateway.call_as("carol", Endpoint::Totals, &private(&gateway, "carol"));
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (stop, ask) = (Arc::clone(&stop), ask.clone());
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                ask.clone().send().await.is_relayed(200);
            }
        });
    }
    for _ in 0..TIMES {
        assert_eq!(connect(&gateway).await, first);
    }
    stop.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let arrived = gateway.arrived(TOTALS).await;
    assert!(arrived.len() > TIMES, "{}", arrived.len());
    assert!(arrived.iter().all(|call| call["status"] == 200 && is_whole(&gateway, call, &first)));
}

on_both!(
    calls_in_flight_use_one_token_or_the_other_whole,
    who_connects_again_without_revoking_keeps_the_token_and_no_call_is_refused
);
