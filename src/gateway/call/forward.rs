//! The main job: a call comes in with a key, goes out with the right credentials, and its answer goes back unchanged.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::admission::Held;
use crate::admission::quota::{Class, Patience};
use crate::gateway::app::AppState;
use crate::gateway::call::check::{Checked, check};
use crate::gateway::call::credential::choose;
use crate::gateway::call::share::{Means, Outgoing};
use crate::gateway::call::trace::CallTrace;
use crate::gateway::key::KnownKey;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::{AccountRef, AuthKind, Endpoint, Metric};
use crate::upstream::Answer;

/// A call from a caller whose key was checked.
pub struct RelayRequest<'a> {
    pub key: &'a Arc<KnownKey>,
    /// The sender's address.
    pub from: IpAddr,
    pub endpoint: Endpoint,
    /// `Countersign-Account`: a user id or `@screen_name`.
    pub account: Option<&'a str>,
    /// `Countersign-Auth`: `app` or `user`, or as answers say it, `app-only` or `user-context`.
    pub auth: Option<&'a str>,
    pub body: Bytes,
    /// How long it may wait for X's quota.
    pub patience: Patience,
    /// Whether it may be shared with callers who ask the same at the same time.
    pub is_shared: bool,
}

impl Gateway {
    /// Answers a call with the upstream's own answer, or says why it was not made. The credential is always the one
    /// that the table in `credential` names.
    ///
    /// The answer's body holds its memory until it is dropped.
    pub async fn forward(
        &self,
        call: &RelayRequest<'_>,
        held: Held,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let app = self.granted_app(call.key, call.endpoint)?;
        let endpoint = call.endpoint;
        let read = move |body: &[u8], now| check(endpoint, body, now);
        let checked =
            self.read_in_time(&call.body, read, |checked| checked.problems.is_empty()).await;
        let Requirements { named, kind, posts, metrics } =
            requirements(call, checked).map_err(Error::InvalidRequest)?;
        (trace.auth, trace.posts, trace.metrics) = (Some(kind), posts, metrics);
        let outgoing = Outgoing {
            key: Arc::clone(call.key),
            from: call.from,
            endpoint,
            account: named.filter(|_| kind == AuthKind::UserContext),
            body: call.body.clone(),
            posts: trace.posts,
            class: Class::Relayed,
            patience: call.patience,
            is_shared: call.is_shared,
        };
        let answer = self.share(app, &outgoing, Means::Memory(Some(held)), trace).await;
        trace.note_end(&answer);
        let pool = app.pools.of(endpoint, kind);
        trace.portion = pool.portion(&call.key.turn, call.key.key.limits.weight);
        answer
    }

    /// The app whose credentials the key may use on this endpoint.
    pub(in crate::gateway) fn granted_app(
        &self,
        key: &KnownKey,
        endpoint: Endpoint,
    ) -> Result<&Arc<AppState>, Error> {
        let scopes = &key.key.scopes;
        if scopes.endpoints.as_ref().is_some_and(|allowed| !allowed.contains(&endpoint)) {
            let allowed: Vec<&str> =
                scopes.endpoints.iter().flatten().map(|endpoint| endpoint.name()).collect();
            let detail = format!("{endpoint} is not one of its endpoints: {}", allowed.join(", "));
            return Err(Error::NotAllowed(detail));
        }
        self.app_of_key(key)
    }

    /// The app whose credentials the key uses.
    pub(in crate::gateway) fn app_of_key(&self, key: &KnownKey) -> Result<&Arc<AppState>, Error> {
        let app = key.key.scopes.app.as_deref().unwrap_or_default();
        self.0
            .apps
            .get(app)
            .ok_or_else(|| Error::NotAllowed(format!("its app {app} is no longer configured")))
    }
}

/// A call's account and credentials.
struct Requirements {
    named: Option<AccountRef>,
    kind: AuthKind,
    posts: usize,
    metrics: Vec<Metric>,
}

/// The account that a call names and the kind of credentials that it needs, or everything that is wrong with it.
fn requirements(call: &RelayRequest<'_>, checked: Checked) -> Result<Requirements, Vec<Detail>> {
    let (named, wanted, mut problems) = read_headers(call);
    let Checked { posts, metrics, problems: found } = checked;
    problems.extend(found);
    // Valid metrics and headers cannot bring back what the invalid ones rule out.
    let account_named = named.is_some() || call.account.is_some();
    match choose(call.endpoint, &metrics, account_named, wanted) {
        Ok(kind) if problems.is_empty() => return Ok(Requirements { named, kind, posts, metrics }),
        Ok(_) => (),
        Err(refusal) => problems.push(refusal.into()),
    }
    Err(problems)
}

/// The account and the kind of credentials that the caller's headers name, and what is wrong with the headers. A key
/// limited to one account names it implicitly.
fn read_headers(call: &RelayRequest<'_>) -> (Option<AccountRef>, Option<AuthKind>, Vec<Detail>) {
    let mut problems = Vec::new();
    let named = match (call.account, call.key.key.scopes.accounts.as_deref()) {
        (Some(text), _) => {
            let named = AccountRef::parse(text.trim());
            if named.is_none() {
                let detail = "must be a user id of 1 to 19 digits or @screen_name";
                problems.push(Detail::in_header("Countersign-Account", detail));
            }
            named
        }
        (None, Some([only])) => Some(AccountRef::Id(*only)),
        (None, _) => None,
    };
    let wanted = match call.auth.map(str::trim) {
        None => None,
        Some("app" | "app-only") => Some(AuthKind::AppOnly),
        Some("user" | "user-context") => Some(AuthKind::UserContext),
        Some(_) => {
            let detail = "must be app or user; app-only and user-context mean the same";
            problems.push(Detail::in_header("Countersign-Auth", detail));
            None
        }
    };
    (named, wanted, problems)
}
