//! A handshake as an app and a browser go through it, step by step.

use std::collections::BTreeMap;

use reqwest::Url;

use crate::bench::{Answer, Bench, Signer};

pub const REQUEST_TOKEN: &str = "/oauth/request_token";
pub const AUTHORIZE: &str = "/oauth/authorize";
pub const ACCESS_TOKEN: &str = "/oauth/access_token";
pub const CALLBACK: &str = "http://127.0.0.1:9/back?state=a%20b";

/// A token and its secret.
pub type Token = (String, String);

/// The fields of a form or of a URL's query.
pub fn fields(text: &str) -> BTreeMap<String, String> {
    let query = text.split_once('?').map_or(text, |it| it.1);
    let url = Url::parse(&format!("http://x/?{query}")).unwrap();
    url.query_pairs().into_owned().collect()
}

/// A signer with a parameter of its own in the header.
pub fn signer_with(bench: &Bench, token: Option<Token>, name: &str, value: &str) -> Signer {
    let mut signer = Signer { token, ..bench.two_legged() };
    signer.more.push((name.to_owned(), value.to_owned()));
    signer
}

pub async fn begin(bench: &Bench, callback: &str) -> Answer {
    let signer = signer_with(bench, None, "oauth_callback", callback);
    bench.ask("POST", REQUEST_TOKEN).signed(&signer).send().await
}

pub fn token_of(answer: &Answer) -> Token {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fields = fields(&answer.text());
    (fields["oauth_token"].clone(), fields["oauth_token_secret"].clone())
}

pub async fn begun(bench: &Bench, callback: &str) -> Token {
    token_of(&begin(bench, callback).await)
}

pub async fn decide(bench: &Bench, token: &str, decision: &str, name: &str) -> Answer {
    let form = format!("oauth_token={token}&decision={decision}&screen_name={name}");
    bench.form(AUTHORIZE, &form).send().await
}

/// Lets the app in as that user, and gives the verifier.
pub async fn allowed(bench: &Bench, token: &str, name: &str) -> String {
    let answer = decide(bench, token, "allow", name).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    fields(answer.header("location"))["oauth_verifier"].clone()
}

pub async fn exchange(bench: &Bench, token: &Token, verifier: &str) -> Answer {
    let signer = signer_with(bench, Some(token.clone()), "oauth_verifier", verifier);
    bench.ask("POST", ACCESS_TOKEN).signed(&signer).send().await
}

/// The whole handshake.
pub async fn connect(bench: &Bench, name: &str) -> Token {
    let token = begun(bench, CALLBACK).await;
    let verifier = allowed(bench, &token.0, name).await;
    token_of(&exchange(bench, &token, &verifier).await)
}
