//! A handshake as an app and a browser carry it out, step by step.

use std::collections::BTreeMap;

use reqwest::Url;

use crate::http::Answer;
use crate::upstream::{Signer, TestSandbox};

pub const REQUEST_TOKEN: &str = "/oauth/request_token";
pub const AUTHORIZE: &str = "/oauth/authorize";
pub const ACCESS_TOKEN: &str = "/oauth/access_token";
pub const CALLBACK: &str = "http://127.0.0.1:9/back?state=a%20b";

/// A token and its secret.
pub type Token = (String, String);

/// The fields of a form or of a URL's query.
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let query = text.split_once('?').map_or(text, |halves| halves.1);
    let url = Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs().into_owned().collect()
}

/// A signer with an additional parameter in the header.
pub fn signer_with(sandbox: &TestSandbox, token: Option<Token>, name: &str, value: &str) -> Signer {
    let mut signer = Signer { token, ..sandbox.two_legged() };
    signer.more.push((name.to_owned(), value.to_owned()));
    signer
}

pub async fn begin(sandbox: &TestSandbox, callback: &str) -> Answer {
    let signer = signer_with(sandbox, None, "oauth_callback", callback);
    sandbox.ask("POST", REQUEST_TOKEN).signed(&signer).send().await
}

pub fn token_of(answer: &Answer) -> Token {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fields = fields(&answer.text());
    (fields["oauth_token"].clone(), fields["oauth_token_secret"].clone())
}

pub async fn begun(sandbox: &TestSandbox, callback: &str) -> Token {
    token_of(&begin(sandbox, callback).await)
}

pub async fn decide(sandbox: &TestSandbox, token: &str, decision: &str, name: &str) -> Answer {
    let form = format!("oauth_token={token}&decision={decision}&screen_name={name}");
    sandbox.form(AUTHORIZE, &form).send().await
}

/// Allows the app access as that user; gives the verifier.
pub async fn allowed(sandbox: &TestSandbox, token: &str, name: &str) -> String {
    let answer = decide(sandbox, token, "allow", name).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    fields(answer.header("location"))["oauth_verifier"].clone()
}

pub async fn exchange(sandbox: &TestSandbox, token: &Token, verifier: &str) -> Answer {
    let signer = signer_with(sandbox, Some(token.clone()), "oauth_verifier", verifier);
    sandbox.ask("POST", ACCESS_TOKEN).signed(&signer).send().await
}

/// The whole handshake.
pub async fn connect(sandbox: &TestSandbox, name: &str) -> Token {
    let token = begun(sandbox, CALLBACK).await;
    let verifier = allowed(sandbox, &token.0, name).await;
    token_of(&exchange(sandbox, &token, &verifier).await)
}
