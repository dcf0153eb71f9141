//! Sending a call that has its permit: with which credentials, and what its answer says of them.

use std::sync::Arc;

use crate::admission::Attempts;
use crate::gateway::app::AppState;
use crate::gateway::app::bearer::BearerSource;
use crate::gateway::call::share::Outgoing;
use crate::gateway::call::trace::CallTrace;
use crate::gateway::usage::Counted;
use crate::gateway::{Error, Gateway};
use crate::model::{AccountRef, AuthKind};
use crate::upstream;
use crate::upstream::{Answer, Credential, MostTries, Room, Verdict};

impl Gateway {
    /// Makes a call whose permit the trace has.
    pub(super) async fn make(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        match &call.account {
            Some(account) => self.call_as_user(app, account, call, room, trace).await,
            None => self.call_as_app(app, call, room, trace).await,
        }
    }

    async fn call_as_user(
        &self,
        app: &Arc<AppState>,
        named: &AccountRef,
        call: &Outgoing,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let seen = app.accounts.forgotten();
        let known = self.get_usable_account(&call.key, app, named, call.from).await?;
        let _ = trace.course.account.set(known.stored.account.user_id);
        let _ = trace.course.since.set(known.stored.account.since());
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

    async fn call_as_app(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
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
        call: &Outgoing,
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

    /// Makes one upstream call once X's quota has a permit for it, and records its cost in the trace.
    async fn engage(
        &self,
        app: &AppState,
        call: &Outgoing,
        credential: Credential<'_>,
        room: &mut Room<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let mut permit = match trace.permit.take() {
            Some(permit) => permit,
            None => self.take_permit(app, call, &mut trace.waited).await?,
        };
        let progress = &trace.course.progress;
        let account = trace.account().filter(|_| credential.kind() == AuthKind::UserContext);
        let (auth, posts) = (credential.kind(), call.posts);
        let counted = Counted { account, endpoint: call.endpoint, auth, posts };
        let mut counting = self.count(app, &call.key, counted, progress)?;
        let before = progress.effort().attempts;
        // Last of all, since a probe that is not made keeps the next one waiting.
        let trial = app.breaker(call.endpoint).begin(&call.key.turn);
        let trial = trial.map_err(|retry_after| app.is_down(call.endpoint, retry_after))?;
        permit.send();
        let most = if trial.is_probe() { MostTries::One } else { MostTries::Two };
        let (endpoint, body) = (call.endpoint, &call.body);
        let answered =
            self.0.upstream.engage(endpoint, body, credential, room, (progress, most)).await;
        let report = answered.as_ref().ok().map(Answer::report);
        // What did not reach X, X did not count.
        let is_unreached = matches!(answered, Err(upstream::Error::Unreachable(_)));
        let made = progress.effort().attempts - before;
        let counted = if is_unreached { made.saturating_sub(1) } else { made };
        permit.finish(report.as_ref(), counted);
        let failed = made.saturating_sub(u32::from(!has_failed(&answered)));
        if let Some(turned) = trial.finish(Attempts { made, failed }) {
            app.report_breaker(call.endpoint, turned);
        }
        let answer = answered?;
        counting.bytes = answer.wire.len();
        app.judge(credential, &answer);
        Ok(answer)
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
