//! A request as tests write it, and its complete answer.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::upstream::Signer;

/// A request under construction.
#[derive(Clone)]
pub struct Ask {
    http: reqwest::Client,
    origin: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(http: &reqwest::Client, origin: &str, method: &str, path: &str) -> Ask {
        Ask {
            http: http.clone(),
            origin: origin.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sets a header; an empty value removes it.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|header| header.0 != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Adds a header beside others of the same name.
    pub fn another(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn method(self, method: &str) -> Self {
        Ask { method: method.to_owned(), ..self }
    }

    /// The same request to another address.
    pub fn to(self, url: &str) -> Self {
        Ask { origin: url.to_owned(), path: String::new(), ..self }
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Signs a request that has neither query nor form.
    pub fn signed(self, signer: &Signer) -> Self {
        let header = signer.header(&self.method, &self.path, &[]);
        self.header("authorization", &header)
    }

    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let url = format!("{}{}", self.origin, self.path);
        let method: Method = self.method.parse().unwrap();
        let mut request = self.http.request(method, url).body(self.body);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, raw: response.bytes().await?.to_vec() })
    }
}

/// A complete answer, with its body as it was sent.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub raw: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |header| header.to_str().unwrap())
    }

    pub fn number(&self, name: &str) -> i64 {
        self.header(name).parse().unwrap_or_else(|_| panic!("{name} in {:?}", self.headers))
    }

    pub fn text(&self) -> String {
        if self.header("content-encoding") != "gzip" {
            return String::from_utf8(self.raw.clone()).unwrap();
        }
        let mut text = String::new();
        GzDecoder::new(&*self.raw).read_to_string(&mut text).unwrap();
        text
    }

    pub fn json(&self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// The grouping `g` of a successful answer.
    #[track_caller]
    pub fn g(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["g"].clone()
    }

    /// The answer is this refusal of the string family, and nothing else.
    #[track_caller]
    pub fn refuses(&self, status: u16, texts: &[&str]) {
        assert_eq!((self.status.as_u16(), self.json()), (status, json!({ "errors": texts })));
    }

    /// The answer is this refusal of the code family.
    #[track_caller]
    pub fn has_code(&self, status: u16, code: u32, message: &str) {
        let error = json!({ "code": code, "message": message });
        assert_eq!((self.status.as_u16(), self.json()), (status, json!({ "errors": [error] })));
    }
}
