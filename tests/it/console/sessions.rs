//! Signing in and out, and what ends a session.

use std::net::Ipv4Addr;

use countersign::gateway::SignIn;
use countersign::model::Endpoint;
use countersign::model::key::{Kind, compose};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use time::Duration;
use tokio::task::JoinSet;

use crate::console::{COOKIE, SIGN_IN, Visitor, is_page};
use crate::database::{Database, newest, on_both};
use crate::gateway::TestGateway;
use crate::http::Ask;
use crate::upstream::body;

const ACCOUNTS: &str = "/console/accounts";

async fn is_in(visitor: &Visitor<'_>) -> bool {
    let answer = visitor.open(ACCOUNTS).await;
    if answer.status == 303 {
        assert_eq!(answer.header("location"), "/console/sign-in?next=%2Fconsole%2Faccounts");
        return false;
    }
    is_page(&answer, 200);
    true
}

/// How many entries of an action the audit log has.
async fn audited(gateway: &TestGateway, action: &str) -> usize {
    let entries = gateway.store.list_audit(&newest(1000)).await.unwrap();
    entries.iter().filter(|entry| entry.action == action && entry.actor.starts_with("key:")).count()
}

async fn an_admin_key_opens_the_console(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let stranger = Visitor::stranger(&gateway);
    assert!(!is_in(&stranger).await);
    is_page(&stranger.open(SIGN_IN).await, 200);
    let admin = gateway.new_admin_key().await;
    for wrong in ["", "csa_", &gateway.key, &admin[..admin.len() - 1], "nobody"] {
        let answer = stranger.send(SIGN_IN, &[("key", wrong)]).await;
        is_page(&answer, 403);
        assert!(
            answer.text().contains("This admin key is not valid")
                && answer.header("set-cookie").is_empty()
        );
    }
    let visitor = Visitor::with_key(&gateway, &admin).await;
    assert!(
        visitor.cookie.starts_with(&format!("{COOKIE}="))
            && visitor.cookie.len() == COOKIE.len() + 1 + 43,
        "{}",
        visitor.cookie
    );
    assert!(is_in(&visitor).await);
    assert!(!admin.contains(&visitor.cookie[COOKIE.len() + 1..]));
    let again = Visitor::with_key(&gateway, &admin).await;
    assert_ne!(again.cookie, visitor.cookie, "each sign-in has a session of its own");
    assert_eq!(audited(&gateway, "console.signed_in").await, 2);
    let next = [("key", &*admin), ("next", "/console/accounts?state=revoked")];
    assert_eq!(
        stranger.send(SIGN_IN, &next).await.header("location"),
        "/console/accounts?state=revoked"
    );
    for elsewhere in [
        "https://evil.example/",
        "//evil.example/console/",
        "/console\\evil",
        "/console/\r\nset-cookie: a=b",
        "/v1",
    ] {
        let answer = stranger.send(SIGN_IN, &[("key", &*admin), ("next", elsewhere)]).await;
        assert_eq!(answer.header("location"), "/console/start", "{elsewhere}");
    }
    for cookie in ["", "x", &"A".repeat(43), "../../etc"] {
        let forged = Visitor::with_cookie(&gateway, &format!("{COOKIE}={cookie}"));
        assert!(!is_in(&forged).await, "{cookie}");
    }
}

async fn a_session_ends_when_it_is_idle_or_old(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    for _ in 0..24 {
        gateway.sandbox.clock.forward(Duration::minutes(29));
        assert!(is_in(&visitor).await);
    }
    gateway.sandbox.clock.forward(Duration::minutes(25));
    assert!(!is_in(&visitor).await, "after twelve hours");
    let idle = Visitor::admin(&gateway).await;
    gateway.sandbox.clock.forward(Duration::minutes(30));
    assert!(!is_in(&idle).await, "after half an hour");
}

async fn signing_out_ends_one_session_or_all_of_the_key(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let (one, two, three) = (
        Visitor::with_key(&gateway, &key).await,
        Visitor::with_key(&gateway, &key).await,
        Visitor::with_key(&gateway, &key).await,
    );
    let other = Visitor::admin(&gateway).await;
    let answer = one.send("/console/sign-out", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, SIGN_IN));
    assert!(answer.header("set-cookie").contains("Max-Age=0"), "{}", answer.header("set-cookie"));
    assert!(!is_in(&one).await && is_in(&two).await && is_in(&three).await);
    two.send("/console/sign-out", &[("everywhere", "true")]).await;
    assert!(!is_in(&two).await && !is_in(&three).await && is_in(&other).await);
    assert_eq!(
        (
            audited(&gateway, "console.signed_out").await,
            audited(&gateway, "console.signed_out_everywhere").await
        ),
        (1, 1)
    );
}

async fn a_session_ends_with_its_key(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.new_admin_key().await;
    let visitor = Visitor::with_key(&gateway, &key).await;
    assert!(is_in(&visitor).await);
    gateway.inner.revoke_key(&key, "test").await.unwrap().unwrap();
    assert!(!is_in(&visitor).await);
}

async fn a_session_that_was_made_or_changed_in_the_database_opens_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    assert!(is_in(&visitor).await);
    let other = gateway.new_admin_key().await;
    database.run(&format!("update session set key_id = '{}'", &other[4..16])).await;
    assert!(!is_in(&visitor).await);
}

async fn a_key_that_only_looks_sees_pages_and_changes_nothing(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let key = gateway.auditor_key().await;
    let visitor = Visitor::with_key(&gateway, &key).await;
    let path = format!("/console/accounts/demo/{}", gateway.id("alice"));
    let page = visitor.open(&path).await;
    is_page(&page, 200);
    assert!(page.text().contains("(read-only)") && !page.text().contains("Verify now"));
    let refused = visitor.send(&format!("{path}/verify"), &[]).await;
    is_page(&refused, 403);
    assert!(refused.text().contains("Nothing was changed"));
    assert_eq!(gateway.admin(&key, "GET", "/admin/v1/accounts").send().await.status, 200);
    let refused = gateway
        .admin(&key, "POST", &format!("/admin/v1/accounts/{}/verify", gateway.id("alice")))
        .send()
        .await;
    refused.is_own(403, "not_allowed");
    assert!(gateway.arrived(crate::upstream::VERIFY).await.is_empty());
    assert_eq!(visitor.send("/console/sign-out", &[]).await.status, 303);
    assert!(!is_in(&visitor).await);
}

async fn forms_of_other_sites_and_other_names_are_refused(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let visitor = Visitor::admin(&gateway).await;
    let path = format!("/console/accounts/demo/{}/verify", gateway.id("alice"));
    let own = gateway.admin_url.clone();
    for (site, origin, expected) in [
        ("cross-site", "https://evil.example", 403),
        ("same-site", "https://evil.example", 403),
        ("cross-site", &*own, 403),
        ("same-origin", "https://evil.example", 403),
        ("none", "null", 403),
        ("same-origin", &*own, 303),
        ("same-origin", "null", 303),
    ] {
        let ask = Ask::new(&visitor.http, &gateway.admin_url, "POST", &path)
            .header("cookie", &visitor.cookie);
        let ask = ask.header("sec-fetch-site", site).header("origin", origin);
        let answer = ask.header("content-type", "application/x-www-form-urlencoded").send().await;
        assert_eq!(answer.status, expected, "{site} {origin}: {}", answer.text());
    }
    for name in
        ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example:1"]
    {
        let answer = visitor.ask("GET", ACCOUNTS).header("host", name).send().await;
        is_page(&answer, 421);
    }
    let framed = visitor.open(ACCOUNTS).await;
    assert_eq!(framed.header("access-control-allow-origin"), "");
}

async fn too_many_wrong_keys_from_an_address_have_to_wait(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let stranger = Visitor::stranger(&gateway);
    // Text that cannot be a key is rejected without counting as an attempt, and locks nobody out.
    for _ in 0..30 {
        assert_eq!(stranger.send(SIGN_IN, &[("key", "csa_wrong")]).await.status, 403);
    }
    for _ in 0..20 {
        let (_, unknown) =
            compose(Kind::Admin, b"UnknownKey01UnknownKey01UnknownKey01UnknownKey01Unknown");
        assert_eq!(stranger.send(SIGN_IN, &[("key", unknown.expose())]).await.status, 403);
    }
    let answer = stranger.send(SIGN_IN, &[("key", &gateway.new_admin_key().await)]).await;
    is_page(&answer, 429);
    assert_eq!(answer.header("retry-after"), "60");
}

async fn whoever_goes_away_while_his_key_is_looked_up_does_not_count(database: Database) {
    let gateway = TestGateway::start(&database).await;
    let address = Ipv4Addr::LOCALHOST.into();
    let mut keys = Vec::new();
    for _ in 0..30 {
        keys.push(gateway.new_admin_key().await);
    }
    // A look-up that takes longer than one poll of whether it is finished.
    let count = "with recursive it(n) as (select 1 union all select n + 1 from it where n < 50000) select count(*) from it";
    database.run(&format!("alter table key rename to quick; create view key as select * from quick where ({count}) > 0")).await;
    for key in &keys {
        tokio::select! {
            biased;
            _ = gateway.inner.sign_in(key, address) => (),
            () = std::future::ready(()) => (),
        }
    }
    database.run("drop view key; alter table quick rename to key").await;
    let signed_in = gateway.inner.sign_in(&gateway.new_admin_key().await, address).await.unwrap();
    assert!(matches!(signed_in, SignIn::Begun(..)));
}

async fn a_thousand_sign_ins_at_once_are_in_nobodys_way(database: Database) {
    allow_many_files();
    let gateway = TestGateway::start(&database).await;
    let (admin, stranger) = (gateway.new_admin_key().await, Visitor::stranger(&gateway));
    let asked = body(&gateway.sandbox.ids("alice", 2), &["favorites"], &["tweet.id"]);
    let (mut tries, mut calls) = (JoinSet::new(), JoinSet::new());
    for number in 0..1000 {
        let (_, unknown) =
            compose(Kind::Admin, format!("{number:055}").as_bytes().try_into().unwrap());
        tries.spawn(stranger.form(SIGN_IN, &[("key", unknown.expose())]).send());
        if number % 20 == 0 {
            // One key that is cached, and one that has to be looked up.
            let new = format!("Bearer {}", gateway.new_key(|_| ()).await);
            let call = gateway.call(Endpoint::Totals, &asked);
            calls.spawn(call.clone().send());
            calls.spawn(call.header("authorization", &new).send());
        }
    }
    let here = reqwest::Client::builder()
        .no_proxy()
        .local_address(Some(Ipv4Addr::new(127, 0, 0, 2).into()));
    let here = here.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let elsewhere = Visitor { http: here, ..Visitor::stranger(&gateway) };
    let answer = elsewhere.send(SIGN_IN, &[("key", &admin)]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/console/"));
    for answer in calls.join_all().await {
        answer.is_relayed(200);
    }
    let answers = tries.join_all().await;
    let refused = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(
        (refused(403), refused(429)),
        (20, 980),
        "no more are looked up at once than in turn"
    );
    let cookie = answer.header("set-cookie").split(';').next().unwrap();
    assert!(is_in(&Visitor::with_cookie(&gateway, cookie)).await);
    is_page(&stranger.send(SIGN_IN, &[("key", &admin)]).await, 429);
}

on_both!(
    an_admin_key_opens_the_console,
    a_session_ends_when_it_is_idle_or_old,
    signing_out_ends_one_session_or_all_of_the_key,
    a_session_ends_with_its_key,
    a_session_that_was_made_or_changed_in_the_database_opens_nothing,
    a_key_that_only_looks_sees_pages_and_changes_nothing,
    forms_of_other_sites_and_other_names_are_refused,
    too_many_wrong_keys_from_an_address_have_to_wait,
    whoever_goes_away_while_his_key_is_looked_up_does_not_count,
    a_thousand_sign_ins_at_once_are_in_nobodys_way
);

/// Both ends of each connection are in this process.
fn allow_many_files() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
}

#[tokio::test]
async fn behind_tls_the_cookie_is_for_this_host_alone() {
    let database = crate::database::fresh(crate::database::Kind::Sqlite).await;
    let url = "https://admin.example.com";
    let gateway =
        TestGateway::start_with(&database, |config| config.admin.public_url = Some(url.to_owned()))
            .await;
    let key = gateway.new_admin_key().await;
    let ask = Ask::new(&Visitor::stranger(&gateway).http, &gateway.admin_url, "POST", SIGN_IN)
        .header("host", "admin.example.com");
    let ask = ask.header("origin", url).header("content-type", "application/x-www-form-urlencoded");
    let answer = ask.body(format!("key={key}")).send().await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-countersign-console="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/"), "{cookie}");
}
