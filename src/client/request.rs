//! Requests to one gateway, with one key.

use crate::client::answer::{self, Answer, Form};
use crate::client::error::Error;
use crate::client::question::Question;
use crate::config;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use std::time::Duration;
use zeroize::Zeroizing;

const CONNECT: Duration = Duration::from_secs(10);

/// A client of one gateway, with one key.
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: HeaderValue,
    patience: Duration,
}

impl Client {
    /// `patience` is how long the gateway may stay silent.
    pub fn new(settings: &config::Client, patience: Duration) -> Result<Client, Error> {
        let is_tls = settings.url.starts_with("https:");
        let builder = reqwest::Client::builder()
            .https_only(is_tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT.min(patience))
            .read_timeout(patience)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        // Without TLS no certificates are needed, and a machine may have none.
        let builder = if is_tls { builder } else { builder.tls_certs_only([]) };
        let http = builder.build().map_err(|error| Error::unreachable(&settings.url, &error))?;
        let text = Zeroizing::new(format!("Bearer {}", settings.key.expose()));
        let mut key = HeaderValue::from_str(&text).expect("a key is of letters, digits and _");
        key.set_sensitive(true);
        Ok(Client { http, url: settings.url.clone(), key, patience })
    }

    /// Sends a question; its answer is read with `Answer::next`. The gateway takes at most `deadline`.
    pub async fn ask(
        &self,
        question: &Question,
        form: Form,
        deadline: Option<Duration>,
    ) -> Result<Answer, Error> {
        let path = format!("/v1/engagement{}", form.query());
        let response = self.post(&path, question, form, deadline).await?;
        Answer::begin(response, form, &self.url, self.patience)
    }

    /// The calls that the question would take, as JSON; none is made.
    pub async fn plan(&self, question: &Question) -> Result<Vec<u8>, Error> {
        let mut response = self.post("/v1/engagement/plan", question, Form::Json, None).await?;
        Form::Json.require(&response, &self.url)?;
        let mut plan = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            plan.extend_from_slice(&chunk);
        }
        Ok(plan)
    }

    /// Posts a question and returns a successful response, its body still to be read.
    async fn post(
        &self,
        path: &str,
        question: &Question,
        form: Form,
        deadline: Option<Duration>,
    ) -> Result<reqwest::Response, Error> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.url))
            .header(AUTHORIZATION, self.key.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, form.media_type())
            .body(question.body());
        if let Some(deadline) = deadline {
            let deadline = humantime::format_duration(deadline).to_string();
            request = request.header("countersign-deadline", deadline);
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        if response.status() == StatusCode::OK {
            Ok(response)
        } else {
            Err(self.refused(response).await)
        }
    }

    /// The error that an unsuccessful response stands for.
    async fn refused(&self, response: reqwest::Response) -> Error {
        let (status, media_type) = (response.status().as_u16(), answer::media_type(&response));
        let odd =
            Error::odd(&self.url, format!("it answered with status {status} and {media_type}"));
        if media_type != "application/problem+json" {
            return odd;
        }
        match response.bytes().await {
            Ok(body) => serde_json::from_slice(&body)
                .map_or(odd, |problem| Error::Refused(Box::new(problem))),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        Error::failed(&self.url, self.patience, error)
    }
}
