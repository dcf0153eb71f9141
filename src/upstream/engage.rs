//! One engagement call: signed afresh for each attempt, retried within a budget, read whole.

use std::cell::RefCell;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, RETRY_AFTER};
use hyper::http::{HeaderValue, Response};
use hyper::{HeaderMap, StatusCode};

use crate::model::{AuthKind, Endpoint, Secret, key};
use crate::oauth1::{self, Credentials, Request};
use crate::upstream::pool::{Connections, Failure};
use crate::upstream::quotas::QUOTA_HEADERS;
use crate::upstream::said::said;
use crate::upstream::{Answer, Credential, Error, Progress, Room, Upstream, Verdict, body, odd};

/// Headers of an answer that callers may see, beside those by which clients pace themselves.
const RELAYED: [HeaderName; 3] = [CONTENT_TYPE, DATE, RETRY_AFTER];

/// How often a call may be tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MostTries {
    /// Over a new connection.
    One,
    Two,
}

/// A call on its way.
struct Sending<'a, 'r> {
    endpoint: Endpoint,
    body: &'a Bytes,
    credential: Credential<'a>,
    room: &'a mut Room<'r>,
    progress: &'a Progress,
    /// Whether a lost connection was replaced already.
    has_replaced: bool,
}

impl Credential<'_> {
    pub fn kind(self) -> AuthKind {
        match self {
            Credential::Bearer(_) | Credential::TwoLegged(_) => AuthKind::AppOnly,
            Credential::User(..) => AuthKind::UserContext,
        }
    }
}

impl Upstream {
    /// Posts `body` to `endpoint` and returns the upstream's whole answer, whatever its status.
    ///
    /// Retried at most once, within the retry budget: when no answer came, or 502, 503 or 504. After a refused time the
    /// call is signed once more with the clock corrected, and a lost kept connection is replaced once; neither draws on
    /// the budget. Never retried with another credential.
    pub async fn engage(
        &self,
        endpoint: Endpoint,
        body: &Bytes,
        credential: Credential<'_>,
        room: &mut Room<'_>,
        (progress, most): (&Progress, MostTries),
    ) -> Result<Answer, Error> {
        self.budget.deposit();
        let begun = self.clock.instant();
        let mut sending =
            Sending { endpoint, body, credential, room, progress, has_replaced: false };
        let outcome = match most {
            MostTries::One => self.send(&mut sending, Connections::New).await,
            MostTries::Two => self.try_twice(&mut sending).await,
        };
        let time = self.clock.instant().saturating_duration_since(begun);
        progress.add_time(time);
        self.meters.of(endpoint).seconds.record(time.as_secs_f64());
        outcome.map_err(Failure::into_error)
    }

    async fn try_twice(&self, sending: &mut Sending<'_, '_>) -> Result<Answer, Failure> {
        let used = self.skew.seconds();
        let first = self.attempt(sending).await;
        let again = match &first {
            // The upstream is healthy; every call signed with the old offset needs this once.
            Ok(answer) if answer.verdict == Verdict::ClockRejected => {
                self.skew.correct(&answer.headers, self.clock.now(), used)
            }
            Ok(answer) if !is_passing(answer.status) => false,
            Err(Failure::Final(_)) => false,
            _ => self.budget.withdraw(self.clock.instant()),
        };
        if !again {
            return first;
        }
        self.attempt(sending).await
    }

    /// One attempt, plus another on a new connection, once per call, if a kept connection was lost.
    async fn attempt(&self, sending: &mut Sending<'_, '_>) -> Result<Answer, Failure> {
        match self.send(sending, Connections::KeptOrNew).await {
            Err(Failure::Lost(_)) if !sending.has_replaced => {
                sending.has_replaced = true;
                self.meters.of(sending.endpoint).replaced.increment(1);
                // Boxed, since it is seldom needed and every call's future would have to make room for it.
                Box::pin(self.send(sending, Connections::New)).await
            }
            outcome => outcome,
        }
    }

    async fn send(
        &self,
        sending: &mut Sending<'_, '_>,
        connections: Connections,
    ) -> Result<Answer, Failure> {
        let Sending { endpoint, body, credential, ref mut room, progress, .. } = *sending;
        let begun = self.clock.instant();
        progress.begin_attempt();
        let authorization =
            self.authorization(&Request::post(self.relay.url(endpoint)), credential);
        let outcome =
            match self.relay.post(endpoint, authorization, body.clone(), connections).await {
                Ok((response, connection)) => {
                    progress.set_status(Some(response.status().as_u16()));
                    let answer = self.read(response, credential, room, progress).await;
                    if answer.is_ok() {
                        self.relay.put_back(connection);
                    }
                    answer.map_err(Failure::Final)
                }
                Err(failure) => Err(failure),
            };
        progress.end_attempt(self.clock.instant().saturating_duration_since(begun));
        self.meters.of(endpoint).count(outcome.as_ref().map(|answer| answer.status));
        outcome
    }

    /// The `Authorization` header for one attempt: a new nonce and the corrected time.
    pub(super) fn authorization(
        &self,
        request: &Request<'_>,
        credential: Credential<'_>,
    ) -> HeaderValue {
        let (app, token) = match credential {
            Credential::Bearer(token) => return bearer(token),
            Credential::TwoLegged(app) => (app, None),
            Credential::User(app, token) => (
                app,
                Some(Credentials { key: token.token.expose(), secret: token.secret.expose() }),
            ),
        };
        let consumer = Credentials { key: &app.consumer_key, secret: app.consumer_secret.expose() };
        let time = u64::try_from(self.now().unix_timestamp()).unwrap_or_default();
        let header = oauth1::authorization(request, consumer, token, &nonce(), time);
        sensitive(&header)
    }

    async fn read(
        &self,
        response: Response<Incoming>,
        credential: Credential<'_>,
        room: &mut Room<'_>,
        progress: &Progress,
    ) -> Result<Answer, Error> {
        let (mut parts, incoming) = response.into_parts();
        self.skew.observe(&parts.headers, self.clock.now());
        // A body that has already arrived sets no timer.
        let total = self.limits.upstream_total;
        let collected = body::collect(incoming, &self.limits, room);
        let wire = match tokio::time::timeout(total, collected).await {
            Ok(wire) => wire?,
            Err(_) => return Err(Error::Timeout("the response did not end")),
        };
        let encoding = parts.headers.remove(CONTENT_ENCODING);
        let mut headers = relayed(parts.headers);
        let gzipped = encoding.as_ref().is_some_and(body::is_gzip);
        let mut unpacked = None;
        match &encoding {
            _ if gzipped => unpacked = Some(body::unpack(parts.status, &wire, &self.limits)?),
            // An encoding that nobody asked for: without the header the caller could not read the body.
            Some(other) if !body::is_plain(other) => {
                headers.insert(CONTENT_ENCODING, other.clone());
            }
            _ => body::require_complete(parts.status, &wire)?,
        }
        let text = unpacked.as_ref().map_or(&wire, |unpacked| &unpacked.start);
        let length = unpacked.as_ref().map_or(wire.len(), |unpacked| unpacked.length);
        if !parts.status.is_success() {
            progress.set_said(Some(said(text, length)));
        } else if !headers.contains_key(CONTENT_ENCODING) {
            let content_type = headers.get(CONTENT_TYPE);
            odd::require_object(content_type, text, length)
                .inspect_err(|_| progress.set_said(Some(said(text, length))))?;
        }
        let verdict = Verdict::of(parts.status, text, credential);
        Ok(Answer { status: parts.status, headers, wire, unpacked, verdict })
    }
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        let (Failure::Lost(error) | Failure::Retryable(error) | Failure::Final(error)) = self;
        error
    }
}

/// Whether the same request is likely to succeed a moment later.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

/// The first value of each header that callers may see.
fn relayed(headers: HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(8);
    // The iterator names a repeated header only once.
    for (name, value) in headers {
        let may_see = |name: &HeaderName| {
            RELAYED.contains(name) || QUOTA_HEADERS.as_flattened().contains(name)
        };
        if let Some(name) = name.filter(may_see) {
            kept.insert(name, value);
        }
    }
    kept
}

pub(super) fn bearer(token: &Secret) -> HeaderValue {
    sensitive(&format!("Bearer {}", token.expose()))
}

fn sensitive(text: &str) -> HeaderValue {
    // Tokens are checked when they are stored, so this holds for every credential that gets here.
    let mut value =
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"));
    value.set_sensitive(true);
    value
}

/// 43 base62 digits, which hold 256 bits. Random bytes are drawn for several nonces at once, since each draw is costly;
/// a nonce is not secret.
fn nonce() -> String {
    const LENGTH: usize = 43;
    thread_local! {
        static DIGITS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    DIGITS.with_borrow_mut(|digits| {
        while digits.len() < LENGTH {
            let mut bytes = [0; 1024];
            aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
            digits.extend(key::base62_digits(&bytes));
        }
        let nonce = digits.split_off(digits.len() - LENGTH);
        String::from_utf8(nonce).expect("base62 digits are ASCII")
    })
}
