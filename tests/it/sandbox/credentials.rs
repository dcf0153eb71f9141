//! Who may call: signatures, bearer tokens, and the error for each failure.

use std::num::NonZeroU64;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::sandbox::handshake::{ACCESS_TOKEN, CALLBACK, allowed, begun, exchange};
use crate::upstream::{HISTORICAL, LAST_28H, Signer, TOTALS, TestSandbox, VERIFY, body};

const NOT_AUTHENTICATED: &str = "Could not authenticate you.";
const UNKNOWN_TYPE: &str =
    "Your account could not be authenticated. Reason: Unknown Authorization Type";
const NOT_FOUND: &str = "Your account could not be authenticated. Reason: Access token not found";

fn favorites(sandbox: &TestSandbox) -> Value {
    body(&sandbox.ids("alice", 1), &["favorites"], &["tweet.id", "engagement.type"])
}

async fn status(sandbox: &TestSandbox, signer: &Signer) -> u16 {
    sandbox.post(TOTALS, &favorites(sandbox)).signed(signer).send().await.status.as_u16()
}

#[tokio::test]
async fn the_authors_signature_is_accepted_everywhere() {
    let sandbox = TestSandbox::start().await;
    for path in [TOTALS, LAST_28H, HISTORICAL] {
        assert_eq!(sandbox.own("alice", path, &favorites(&sandbox)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_signature_covers_the_host_header_without_a_default_port() {
    let sandbox = TestSandbox::start().await;
    for (origin, host) in [
        ("https://data-api.x.com", "data-api.x.com"),
        ("https://data-api.x.com", "Data-API.x.com:443"),
        ("http://sandbox.test", "sandbox.test:80"),
        ("https://data-api.x.com:8443", "data-api.x.com:8443"),
    ] {
        let signer = Signer { origin: origin.to_owned(), ..sandbox.signer("alice") };
        let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("host", host).signed(&signer);
        assert_eq!(ask.send().await.status, 200, "{origin} as {host}");
    }
    let signer = Signer { origin: "https://data-api.x.com".to_owned(), ..sandbox.signer("alice") };
    let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("host", "data-api.twitter.com");
    ask.signed(&signer).send().await.has_code(401, 32, NOT_AUTHENTICATED);
}

/// The schemes over which a signature counts for a request to that host with that header.
async fn schemes(sandbox: &TestSandbox, host: &str, name: &str, value: &str) -> Vec<&'static str> {
    let mut counting = Vec::new();
    for scheme in ["https", "http"] {
        let signer = Signer { origin: format!("{scheme}://{host}"), ..sandbox.signer("alice") };
        let ask = sandbox.post(TOTALS, &favorites(sandbox)).header("host", host);
        let answer = ask.header(name, value).signed(&signer).send().await;
        if answer.status == 200 {
            counting.push(scheme);
        } else {
            answer.has_code(401, 32, NOT_AUTHENTICATED);
        }
    }
    counting
}

#[tokio::test]
async fn a_signature_covers_the_scheme_by_which_the_client_came() {
    let sandbox = TestSandbox::start().await;
    let proto = "x-forwarded-proto";
    for (host, name, value, expected) in [
        ("sandbox.test", proto, "https", &["https"][..]),
        ("sandbox.test", proto, "HTTPS, http", &["https"]),
        ("sandbox.test", proto, "http", &["http"]),
        ("sandbox.test", "forwarded", "for=1;proto=https, for=2;proto=http", &["https"]),
        ("sandbox.test", "forwarded", "Proto=\"http\"", &["http"]),
        ("data-api.x.com", proto, "", &["https"]),
        ("data-api.twitter.com", "forwarded", "for=1", &["https"]),
        // TLS may end in front of it unseen.
        ("sandbox.test", proto, "", &["https", "http"]),
        ("sandbox.test", "forwarded", "for=1", &["https", "http"]),
        ("notx.com", proto, "", &["https", "http"]),
    ] {
        let counting = schemes(&sandbox, host, name, value).await;
        assert_eq!(counting, expected, "{host} with {name}: {value}");
    }
    sandbox.put("/sandbox/switches", json!({ "tls_in_front": true })).await;
    for value in ["", "http"] {
        assert_eq!(schemes(&sandbox, "sandbox.test", proto, value).await, ["https"]);
    }
}

#[tokio::test]
async fn an_independent_signer_is_understood() {
    let sandbox = TestSandbox::start().await;
    let (app, user) = (sandbox.app("demo"), sandbox.user("alice"));
    let now = u64::try_from(crate::upstream::NOW.unix_timestamp()).unwrap();
    let client = oauth1_request::Credentials::new(&*app.consumer_key, &*app.consumer_secret);
    let token = oauth1_request::Credentials::new(&*user.access_token, &*user.access_token_secret);
    let header = oauth1_request::Builder::new(client, oauth1_request::HMAC_SHA1)
        .token(token)
        .nonce("once")
        .timestamp(NonZeroU64::try_from(now).unwrap())
        .post(format!("http://{}{TOTALS}", sandbox.address), &());
    let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", &header);
    assert_eq!(ask.send().await.status, 200);
}

#[tokio::test]
async fn anything_wrong_in_a_signature_is_code_32() {
    let sandbox = TestSandbox::start().await;
    let good = || sandbox.signer("alice");
    let more = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let secret = |pair: (String, String)| (pair.0, "wrong".to_owned());
    let at = |timestamp: String| Signer { timestamp, ..good() };
    let now = crate::upstream::NOW.unix_timestamp();
    for (what, signer) in [
        ("token secret", Signer { token: good().token.map(secret), ..good() }),
        ("consumer secret", Signer { consumer: secret(good().consumer), ..good() }),
        ("consumer key", Signer { consumer: ("nobody".into(), good().consumer.1), ..good() }),
        ("method", Signer { method: "PLAINTEXT".into(), ..good() }),
        ("nonce", Signer { nonce: String::new(), ..good() }),
        ("timestamp", at("yesterday".into())),
        ("timestamp with a sign", at(format!("+{now}"))),
        ("timestamp below zero", at(format!("-{now}"))),
        ("timestamp with a leading zero", at(format!("0{now}"))),
        ("timestamp with a space", at(format!(" {now}"))),
        ("timestamp with a fraction", at(format!("{now}.0"))),
        ("timestamp in other digits", at("１７７３１７７３３０".into())),
        ("no timestamp", at(String::new())),
        ("version", Signer { more: more("oauth_version", "2.0"), ..good() }),
        (
            "body hash",
            Signer { more: more("oauth_body_hash", "H6T+kxBKjKq9x4xdwW20bwqOJfg="), ..good() },
        ),
        ("empty body hash", Signer { more: more("oauth_body_hash", ""), ..good() }),
    ] {
        let answer = sandbox.post(TOTALS, &favorites(&sandbox)).signed(&signer).send().await;
        assert_eq!(answer.status, 401, "{what}");
        answer.has_code(401, 32, NOT_AUTHENTICATED);
    }
}

#[tokio::test]
async fn extra_oauth_parameters_belong_to_the_base_string() {
    let sandbox = TestSandbox::start().await;
    let extra = ("oauth_anything".to_owned(), "some + value".to_owned());
    let plain = sandbox.signer("alice");
    let signer = Signer { more: [plain.more.clone(), vec![extra]].concat(), ..plain };
    assert_eq!(status(&sandbox, &signer).await, 200);

    let unsigned = sandbox.signer("alice").header("POST", TOTALS, &[]) + ", oauth_anything=\"x\"";
    let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", &unsigned);
    ask.send().await.has_code(401, 32, NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_protocol_parameter_comes_once_and_in_the_header() {
    let sandbox = TestSandbox::start().await;
    let body = favorites(&sandbox);
    let token = sandbox.user("alice").access_token.clone();
    for (signer, name, value) in [
        (sandbox.signer("alice"), "oauth_token", &*token),
        (sandbox.two_legged(), "oauth_token", &*token),
        (sandbox.signer("alice"), "oauth_version", "1.0"),
        (sandbox.signer("alice"), "oauth_anything", "x"),
    ] {
        let header = signer.header("POST", TOTALS, &[(name, value)]);
        let path = format!("{TOTALS}?{name}={value}");
        let ask = sandbox.post(&path, &body).header("authorization", &header);
        ask.send().await.has_code(401, 32, NOT_AUTHENTICATED);

        let ask = sandbox.form(TOTALS, &format!("{name}={value}"));
        let answer = ask.header("authorization", &header).send().await;
        answer.has_code(401, 32, NOT_AUTHENTICATED);
    }
    let twice = sandbox.signer("alice").header("POST", TOTALS, &[("oauth_token", &token)])
        + &format!(", oauth_token=\"{token}\"");
    let ask = sandbox.post(TOTALS, &body).header("authorization", &twice);
    ask.send().await.has_code(401, 32, NOT_AUTHENTICATED);

    let plain = [("other", "x")];
    let header = sandbox.signer("alice").header("POST", TOTALS, &plain);
    let ask = sandbox.post(&format!("{TOTALS}?other=x"), &body);
    assert_eq!(ask.header("authorization", &header).send().await.status, 200);
}

#[tokio::test]
async fn the_handshake_takes_a_parameter_from_one_place() {
    let sandbox = TestSandbox::start().await;
    let token = begun(&sandbox, CALLBACK).await;
    let verifier = allowed(&sandbox, &token.0, "alice").await;
    let signer = || Signer { token: Some(token.clone()), ..sandbox.two_legged() };
    for (name, value) in [("oauth_token", &*token.0), ("oauth_verifier", &*verifier)] {
        let more = vec![("oauth_verifier".to_owned(), verifier.clone())];
        let signer = Signer { more, ..signer() };
        let header = signer.header("POST", ACCESS_TOKEN, &[(name, value)]);
        let ask = sandbox.ask("POST", &format!("{ACCESS_TOKEN}?{name}={value}"));
        let answer = ask.header("authorization", &header).send().await;
        answer.has_code(401, 32, NOT_AUTHENTICATED);
    }
    assert_eq!(exchange(&sandbox, &token, &verifier).await.status, 200);
}

#[tokio::test]
async fn the_bodys_hash_is_accepted_and_checked() {
    let sandbox = TestSandbox::start().await;
    let body = favorites(&sandbox);
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, body.to_string().as_bytes());
    let more = vec![("oauth_body_hash".to_owned(), BASE64.encode(hash))];
    let hashed = || Signer { more: more.clone(), ..sandbox.signer("alice") };
    assert_eq!(sandbox.post(TOTALS, &body).signed(&hashed()).send().await.status, 200);

    sandbox.put("/sandbox/switches", json!({ "accept_body_hash": false })).await;
    let refused = sandbox.post(TOTALS, &body).signed(&hashed()).send().await;
    refused.has_code(401, 32, NOT_AUTHENTICATED);
}

#[tokio::test]
async fn a_nonce_is_taken_once() {
    let sandbox = TestSandbox::start().await;
    let signer = sandbox.signer("alice");
    assert_eq!(status(&sandbox, &signer).await, 200);
    assert_eq!(status(&sandbox, &signer).await, 401);
    let later = Signer { nonce: "another".into(), ..signer };
    assert_eq!(status(&sandbox, &later).await, 200);
    let forged = Signer {
        consumer: (later.consumer.0.clone(), "guess".into()),
        nonce: "mine".into(),
        ..later
    };
    assert_eq!(status(&sandbox, &forged).await, 401);
    let honest = Signer { nonce: "mine".into(), ..sandbox.signer("alice") };
    assert_eq!(status(&sandbox, &honest).await, 200, "a forger uses nothing up");
}

#[tokio::test]
async fn a_timestamp_may_be_off_by_300_seconds() {
    let sandbox = TestSandbox::start().await;
    let now = crate::upstream::NOW.unix_timestamp();
    for (off, good) in [(-301, false), (-300, true), (300, true), (301, false)] {
        let signer = Signer { timestamp: (now + off).to_string(), ..sandbox.signer("alice") };
        let answer = sandbox.post(TOTALS, &favorites(&sandbox)).signed(&signer).send().await;
        if good {
            assert_eq!(answer.status, 200, "{off}");
        } else {
            answer.has_code(401, 135, "Timestamp out of bounds.");
        }
    }
}

#[tokio::test]
async fn the_servers_clock_can_be_wrong_and_says_so() {
    let sandbox = TestSandbox::start().await;
    sandbox.put("/sandbox/switches", json!({ "clock_offset_s": 3600 })).await;
    let answer = sandbox.own("alice", TOTALS, &favorites(&sandbox)).await;
    answer.has_code(401, 135, "Timestamp out of bounds.");
    assert_eq!(answer.header("date"), "Tue, 10 Mar 2026 22:15:30 GMT");
}

#[tokio::test]
async fn other_kinds_of_credentials_are_unknown() {
    let sandbox = TestSandbox::start().await;
    for header in ["", "Digest x", "nonsense", &*sandbox.basic()] {
        let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", header);
        ask.send().await.refuses(401, &[UNKNOWN_TYPE]);
    }
    let bearer = sandbox.bearer();
    let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", &bearer);
    let both = ask.another("authorization", &bearer).send().await;
    both.refuses(401, &[UNKNOWN_TYPE]);
}

#[tokio::test]
async fn a_bearer_token_is_taken_verbatim() {
    let sandbox = TestSandbox::start().await;
    assert!(sandbox.bearer().contains("%2F") && sandbox.bearer().contains("%3D"));
    assert_eq!(sandbox.public(&favorites(&sandbox)).await.status, 200);
    for wrong in [sandbox.bearer().replace("%2F", "/"), "Bearer x".to_owned()] {
        let ask = sandbox.post(TOTALS, &favorites(&sandbox)).header("authorization", &wrong);
        ask.send().await.has_code(401, 89, "Invalid or expired token");
    }
}

#[tokio::test]
async fn two_legged_signatures_are_app_only() {
    let sandbox = TestSandbox::start().await;
    assert_eq!(status(&sandbox, &sandbox.two_legged()).await, 200);
    let impressions = body(&sandbox.ids("alice", 1), &["impressions"], &["tweet.id"]);
    let answer = sandbox.post(TOTALS, &impressions).signed(&sandbox.two_legged()).send().await;
    answer.refuses(403, &["Forbidden to access metrics: impressions"]);

    sandbox.put("/sandbox/switches", json!({ "two_legged_ok": false })).await;
    let answer =
        sandbox.post(TOTALS, &favorites(&sandbox)).signed(&sandbox.two_legged()).send().await;
    answer.refuses(401, &[UNKNOWN_TYPE]);
}

#[tokio::test]
async fn a_token_belongs_to_one_app() {
    let sandbox = TestSandbox::start().await;
    let (other, alice) = (sandbox.app("other"), sandbox.user("alice"));
    let consumer = (other.consumer_key.clone(), other.consumer_secret.clone());
    let crossed = Signer { consumer: consumer.clone(), ..sandbox.signer("alice") };
    let answer = sandbox.post(TOTALS, &favorites(&sandbox)).signed(&crossed).send().await;
    answer.refuses(401, &[NOT_FOUND]);

    let token = (alice.other_access_token.clone(), alice.other_access_token_secret.clone());
    let own = Signer { consumer, token: Some(token), ..sandbox.signer("alice") };
    assert_eq!(status(&sandbox, &own).await, 200);
}

#[tokio::test]
async fn a_user_can_be_revoked_suspended_locked_and_well_again() {
    let sandbox = TestSandbox::start().await;
    let path = format!("/sandbox/users/{}", sandbox.user("alice").user_id);
    let ask = async || sandbox.own("alice", TOTALS, &favorites(&sandbox)).await;

    sandbox.put(&path, json!({ "state": "revoked" })).await;
    ask().await.refuses(401, &[NOT_FOUND]);
    sandbox.put("/sandbox/switches", json!({ "revoked_wording": "code_family" })).await;
    ask().await.has_code(401, 89, "Invalid or expired token.");
    sandbox.put(&path, json!({ "state": "suspended" })).await;
    let suspended = "Your account is suspended and is not permitted to access this feature.";
    ask().await.has_code(403, 64, suspended);
    sandbox.put(&path, json!({ "state": "locked" })).await;
    let locked = "To protect our users from spam and other malicious activity, this account is temporarily locked.";
    ask().await.has_code(403, 326, locked);
    assert_eq!(sandbox.get("/sandbox/world").await["users"][0]["state"], "locked");
    sandbox.put(&path, json!({ "state": "active" })).await;
    assert_eq!(ask().await.status, 200);

    assert_eq!(sandbox.put(&path, json!({ "state": "happy" })).await.status, 400);
    assert_eq!(sandbox.put("/sandbox/users/1", json!({ "state": "active" })).await.status, 404);
}

#[tokio::test]
async fn an_app_can_be_off_the_list() {
    let sandbox = TestSandbox::start().await;
    sandbox.put("/sandbox/switches", json!({ "unlisted_apps": ["demo"] })).await;
    sandbox
        .public(&favorites(&sandbox))
        .await
        .refuses(403, &["Your application id is not authorized."]);
}

#[tokio::test]
async fn verify_credentials_tells_whose_token_it_is() {
    let sandbox = TestSandbox::start().await;
    for (name, protected) in [("alice", false), ("protected_pat", true)] {
        let answer = sandbox.ask("GET", VERIFY).signed(&sandbox.signer(name)).send().await;
        assert_eq!(answer.status, 200);
        let user = answer.json();
        assert_eq!(user["id_str"], *sandbox.user(name).user_id);
        assert_eq!(user["id"].to_string(), sandbox.user(name).user_id);
        assert_eq!(user["screen_name"], name);
        assert_eq!(user["protected"], protected);
        assert_eq!(user["status"]["id_str"], *sandbox.posts(name)[0].id);
        assert!(user.get("email").is_none());
    }
}

#[tokio::test]
async fn query_parameters_are_signed() {
    let sandbox = TestSandbox::start().await;
    let query = [("include_email", "true"), ("skip_status", "true")];
    let path = format!("{VERIFY}?include_email=true&skip_status=true");
    let header = sandbox.signer("alice").header("GET", VERIFY, &query);
    let answer = sandbox.ask("GET", &path).header("authorization", &header).send().await;
    assert_eq!(answer.json()["email"], "alice@example.com");
    assert!(answer.json().get("status").is_none());

    let header = sandbox.signer("alice").header("GET", VERIFY, &[]);
    let answer = sandbox.ask("GET", &path).header("authorization", &header).send().await;
    answer.has_code(401, 32, NOT_AUTHENTICATED);
}

#[tokio::test]
async fn verify_credentials_refuses_with_codes() {
    let sandbox = TestSandbox::start().await;
    let bare = sandbox.ask("GET", VERIFY).send().await;
    bare.has_code(400, 215, "Bad Authentication data.");
    let app_only =
        sandbox.ask("GET", VERIFY).header("authorization", &sandbox.bearer()).send().await;
    app_only.has_code(403, 220, "Your credentials do not allow access to this resource");
    let stranger = Signer { token: Some(("1-x".into(), "y".into())), ..sandbox.signer("alice") };
    let unknown = sandbox.ask("GET", VERIFY).signed(&stranger).send().await;
    unknown.has_code(401, 89, "Invalid or expired token.");
    let sam = sandbox.ask("GET", VERIFY).signed(&sandbox.signer("suspended_sam")).send().await;
    assert_eq!((sam.status.as_u16(), &sam.json()["errors"][0]["code"]), (403, &json!(64)));
    let posted = sandbox.ask("POST", VERIFY).send().await;
    posted.has_code(404, 34, "Sorry, that page does not exist.");
}
