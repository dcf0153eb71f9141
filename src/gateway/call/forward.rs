//! The main job: a call comes in with a key, goes out with the right credentials, and its answer goes back unchanged.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::admission::quota::{Class, Exhausted, Patience, Permit, Portion, Wanted};
use crate::admission::{Attempts, Held};
use crate::gateway::app::AppState;
use crate::gateway::app::bearer::BearerSource;
use crate::gateway::call::check::{Checked, check};
use crate::gateway::call::credential::choose;
use crate::gateway::key::KnownKey;
use crate::gateway::usage::Counted;
use crate::gateway::{Detail, Error, Gateway};
use crate::model::{AccountRef, AuthKind, Endpoint, Metric, UserId};
use crate::upstream;
use crate::upstream::{Answer, Credential, MostTries, Room, UpstreamEffort, Verdict};

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
    pub class: Class,
    /// How long it may wait for X's quota.
    pub patience: Patience,
}

/// What is learnt about a call on its way, for the log line, the metrics and the answer's headers.
#[derive(Default)]
pub struct CallTrace {
    pub key: Option<Arc<KnownKey>>,
    pub account: Option<UserId>,
    pub auth: Option<AuthKind>,
    /// The number of posts in the call.
    pub posts: usize,
    pub metrics: Vec<Metric>,
    pub effort: UpstreamEffort,
    /// How long the call waited for X's quota.
    pub waited: Duration,
    /// The key's part of X's quota, if that is known.
    pub portion: Option<Portion>,
    /// The permit in X's quota that the next request takes, if it has one already.
    pub(in crate::gateway) permit: Option<Permit>,
}

impl Gateway {
    /// Answers a call with the upstream's own answer, or says why it was not made. The credential is always the one
    /// that the table in `credential` names.
    ///
    /// The answer's body holds its memory until it is dropped.
    pub async fn forward(
        &self,
        call: &RelayRequest<'_>,
        mut held: Held,
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
        let room = &mut Room::Grows(&mut held, call.body.len());
        let answer = match (kind, named) {
            (AuthKind::UserContext, Some(named)) => {
                self.call_as_user(app, &named, call, room, trace).await
            }
            _ => self.call_as_app(app, call, room, trace).await,
        }?;
        let kept = answer.unpacked.as_ref().map_or(0, |unpacked| unpacked.start.len());
        held.shrink_to(answer.wire.len() + kept);
        held.grow_first_to(answer.wire.len() + kept).await;
        Ok(Answer { wire: held.attach(answer.wire), ..answer })
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
        let app = scopes.app.as_deref().unwrap_or_default();
        self.0
            .apps
            .get(app)
            .ok_or_else(|| Error::NotAllowed(format!("its app {app} is no longer configured")))
    }

    pub(in crate::gateway) async fn call_as_user(
        &self,
        app: &Arc<AppState>,
        named: &AccountRef,
        call: &RelayRequest<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let seen = app.accounts.forgotten();
        let known = self.get_usable_account(call.key, app, named, call.from).await?;
        trace.account = Some(known.stored.account.user_id);
        let token = known.token.as_ref().ok_or(Error::AccountNotFound)?;
        let settings = app.settings();
        let credential = Credential::User(&settings, token);
        let answer = self.engage(app, call, credential, room, trace).await?;
        if matches!(answer.verdict, Verdict::AccountRevoked | Verdict::AccountBlocked) {
            self.investigate(app, &known).await;
        } else if answer.status.is_success() && app.accounts.forgotten() != seen {
            self.recheck(app, known.clone());
        }
        Ok(answer)
    }

    pub(in crate::gateway) async fn call_as_app(
        &self,
        app: &Arc<AppState>,
        call: &RelayRequest<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let settings = app.settings();
        match (BearerSource::of(&settings), &settings.bearer_token) {
            (BearerSource::TwoLegged, _) => {
                self.engage(app, call, Credential::TwoLegged(&settings), room, trace).await
            }
            (BearerSource::Configured, Some(token)) => {
                self.engage(app, call, Credential::Bearer(token), room, trace).await
            }
            _ => {
                let bearer = self.get_bearer(app).await?;
                let answer =
                    self.engage(app, call, Credential::Bearer(&bearer.token), room, trace).await?;
                match answer.verdict {
                    // Boxed, since it is seldom needed: each call's future would have to make room for it.
                    Verdict::BearerRejected => {
                        Box::pin(self.call_with_newer(
                            app,
                            bearer.generation,
                            answer,
                            call,
                            room,
                            trace,
                        ))
                        .await
                    }
                    _ => Ok(answer),
                }
            }
        }
    }

    /// Calls with newer bearer tokens than the one that was `rejected`: twice at most, since what another replica has
    /// stored may be outdated too.
    async fn call_with_newer(
        &self,
        app: &Arc<AppState>,
        mut rejected: i64,
        mut answer: Answer,
        call: &RelayRequest<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        for is_last in [false, true] {
            let renewed = match self.renew_bearer(app, rejected).await {
                Ok(renewed) => renewed,
                Err(Error::AppCredentialsRejected { .. }) if is_last => break,
                Err(error) => return Err(error),
            };
            rejected = renewed.generation;
            answer =
                self.engage(app, call, Credential::Bearer(&renewed.token), room, trace).await?;
            if answer.verdict != Verdict::BearerRejected {
                break;
            }
        }
        Ok(answer)
    }

    /// Makes one upstream call once X's quota has a permit for it, and records its cost in the trace. If X refuses it
    /// all the same, because something else uses the quota too, it is made once more when there is quota again.
    async fn engage(
        &self,
        app: &AppState,
        call: &RelayRequest<'_>,
        credential: Credential<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let kind = credential.kind();
        // Nobody waits for quota that cannot be used.
        if let Some(wait) = app.breaker(call.endpoint).wait() {
            return Err(app.is_down(call.endpoint, wait));
        }
        let permit = match trace.permit.take() {
            Some(permit) => permit,
            None => self.take_permit(app, call, kind, &mut trace.waited).await?,
        };
        let answer = self.request(app, call, credential, room, trace, permit).await?;
        // A part of a question waits without keeping others from their calls.
        if !app.waits_after(&answer) || call.class == Class::Part {
            return Ok(answer);
        }
        match self.take_permit(app, call, kind, &mut trace.waited).await {
            // Boxed, since it is seldom needed: each call's future would have to make room for it.
            Ok(permit) => Box::pin(self.request(app, call, credential, room, trace, permit)).await,
            Err(_) => Ok(answer),
        }
    }

    async fn request(
        &self,
        app: &AppState,
        call: &RelayRequest<'_>,
        credential: Credential<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
        mut permit: Permit,
    ) -> Result<Answer, Error> {
        let account = trace.account.filter(|_| credential.kind() == AuthKind::UserContext);
        let (auth, posts) = (credential.kind(), trace.posts);
        let counted = Counted { account, endpoint: call.endpoint, auth, posts };
        let mut counting = self.count(app, call.key, counted, &mut trace.effort)?;
        let effort = &mut *counting.effort;
        let before = effort.attempts;
        // Last of all, since a probe that is not made keeps the next one waiting.
        let trial = app.breaker(call.endpoint).begin(&call.key.turn);
        let trial = trial.map_err(|retry_after| app.is_down(call.endpoint, retry_after))?;
        permit.send();
        let most = if trial.is_probe() { MostTries::One } else { MostTries::Two };
        let (endpoint, body) = (call.endpoint, &call.body);
        let answered =
            self.0.upstream.engage(endpoint, body, credential, room, (effort, most)).await;
        let report = answered.as_ref().ok().map(Answer::report);
        // What did not reach X, X did not count.
        let is_unreached = matches!(answered, Err(upstream::Error::Unreachable(_)));
        let made = effort.attempts - before;
        let counted = if is_unreached { made.saturating_sub(1) } else { made };
        permit.finish(report.as_ref(), counted);
        let failed = made.saturating_sub(u32::from(!has_failed(&answered)));
        if let Some(turned) = trial.finish(Attempts { made, failed }) {
            app.report_breaker(call.endpoint, turned);
        }
        if call.class == Class::Relayed {
            trace.portion = app
                .pools
                .of(call.endpoint, auth)
                .portion(&call.key.turn, call.key.key.limits.weight);
        }
        let answer = answered?;
        counting.bytes = answer.wire.len();
        app.judge(credential, &answer);
        Ok(answer)
    }

    /// Waits for a permit in the quota that X gives the app for such calls, and adds the time to `waited`.
    pub(in crate::gateway) async fn take_permit(
        &self,
        app: &AppState,
        call: &RelayRequest<'_>,
        kind: AuthKind,
        waited: &mut Duration,
    ) -> Result<Permit, Error> {
        let RelayRequest { class, patience, endpoint, .. } = *call;
        let pool = app.pools.of(endpoint, kind);
        let key = &call.key.turn;
        let weight = call.key.key.limits.weight;
        let call = Wanted { key, weight, class, patience };
        if let Some(permit) = pool.try_take(call) {
            if permit.exceeds() {
                app.pools.count_excess();
            }
            return Ok(permit);
        }
        let begun = self.0.clock.instant();
        let taken = pool.wait_for_turn(call).await;
        let wait = self.0.clock.instant().saturating_duration_since(begun);
        *waited += wait;
        app.pools.record_wait(wait);
        taken.map_err(|Exhausted { retry_after }| {
            app.pools.count_refusal();
            Error::QuotaExhausted { app: app.name.clone(), retry_after }
        })
    }
}

/// Whether X, or the way to it, was at fault.
fn has_failed(answered: &Result<Answer, upstream::Error>) -> bool {
    match answered {
        Ok(answer) => answer.status.is_server_error(),
        Err(error) => matches!(
            error,
            upstream::Error::Unreachable(_)
                | upstream::Error::CutShort(_)
                | upstream::Error::Timeout(_)
        ),
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
