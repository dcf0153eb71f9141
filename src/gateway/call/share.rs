//! A call that is ready to be made: whoever asks the same at the same time shares it, and the first for whom X's quota
//! has a permit makes it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::quota::{Class, Exhausted, Patience, Permit, Wanted};
use crate::admission::{Held, Turn};
use crate::gateway::app::AppState;
use crate::gateway::app::flights::{Identity, Landed, Listing, Seat, Sending};
use crate::gateway::call::trace::{CallTrace, Course};
use crate::gateway::key::KnownKey;
use crate::gateway::usage::Counted;
use crate::gateway::{Error, Gateway};
use crate::model::usage::Saving;
use crate::model::{AccountRef, AuthKind, Endpoint};
use crate::upstream::{Answer, PREPAID, Room};

/// A call that is ready to be made.
#[derive(Clone)]
pub(in crate::gateway) struct Outgoing {
    pub(in crate::gateway) key: Arc<KnownKey>,
    /// The caller's address.
    pub(in crate::gateway) from: IpAddr,
    pub(in crate::gateway) endpoint: Endpoint,
    /// The account whose token signs; `None` for the app's credentials.
    pub(in crate::gateway) account: Option<AccountRef>,
    pub(in crate::gateway) body: Bytes,
    pub(in crate::gateway) posts: usize,
    pub(in crate::gateway) class: Class,
    pub(in crate::gateway) patience: Patience,
    /// Whether it may be shared with callers who ask the same.
    pub(in crate::gateway) is_shared: bool,
}

/// What a call needs besides its permit.
pub(in crate::gateway) enum Means<'a> {
    /// A relayed call: memory for body and answer, until it is used.
    Memory(Option<Held>),
    /// A part of a question.
    Gate(&'a Gate),
}

/// What the parts of a question wait for once they have a permit.
pub(in crate::gateway) struct Gate {
    /// Bytes for each answer as it comes.
    pub(in crate::gateway) room: usize,
    /// One for each answer that may be read at the same time.
    pub(in crate::gateway) slots: Arc<Semaphore>,
    /// When the part was sent, once it was.
    pub(in crate::gateway) sent: Arc<OnceLock<Instant>>,
}

/// How a caller takes part in a call.
#[derive(Eq, PartialEq)]
enum Boarded {
    Sends,
    /// Somebody else does.
    Joins,
}

/// What a call has besides its permit.
struct Prepared {
    space: Space,
    /// A part's place among the answers of its question.
    slot: Option<OwnedSemaphorePermit>,
    /// A part's turn among those of all questions.
    turn: Option<Turn>,
}

/// Memory for the answer to a call that is sent.
enum Space {
    Held(Held),
    UpTo(usize),
}

impl Means<'_> {
    /// Whether another caller's call is as good as one's own.
    fn accept(&self, landed: &Landed) -> bool {
        match (&landed.answer, self) {
            (Ok(answer), Means::Gate(gate)) => answer.wire.len() <= gate.room,
            (Ok(_), Means::Memory(_)) => true,
            // How large an answer may be depends on the question.
            (Err(Error::UpstreamTooLarge(_)), Means::Gate(_)) => false,
            (Err(error), _) => !is_of_its_caller(error),
        }
    }
}

impl Outgoing {
    pub(in crate::gateway) fn kind(&self) -> AuthKind {
        if self.account.is_some() { AuthKind::UserContext } else { AuthKind::AppOnly }
    }

    fn identity(&self, app: &AppState, means: &Means<'_>) -> Identity {
        Identity {
            endpoint: self.endpoint,
            account: self.account.clone(),
            changes: if self.account.is_some() { app.accounts.forgotten() } else { 0 },
            body: self.body.clone(),
            is_part: matches!(means, Means::Gate(_)),
        }
    }
}

impl Gateway {
    /// Makes a call, or joins an equal one in flight. If X refuses it for want of quota, because something else uses
    /// the quota too, it is made once more when there is quota again.
    pub(in crate::gateway) async fn share(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
        mut means: Means<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let answer = self.make_or_join(app, call, &mut means, trace).await?;
        if !app.waits_after(&answer) {
            return Ok(answer);
        }
        // Whoever waits for quota keeps no other part from being read.
        trace.slot = None;
        // Boxed, since it is seldom needed: each call's future would have to make room for it.
        match Box::pin(self.make_or_join(app, call, &mut means, trace)).await {
            Err(Error::QuotaExhausted { .. }) => Ok(answer),
            outcome => outcome,
        }
    }

    async fn make_or_join(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
        means: &mut Means<'_>,
        trace: &mut CallTrace,
    ) -> Result<Answer, Error> {
        let mut is_shared = call.is_shared;
        loop {
            let seat = app.flights.seat(call.identity(app, means), is_shared);
            if self.board(app, call, means, &seat, trace).await? == Boarded::Sends {
                return self.land_own(seat, trace).await;
            }
            let begun = self.0.clock.instant();
            // Side by side: a call in flight goes on only as long as somebody drives it.
            let landing = async { Ok(seat.land().await) };
            let ((), landed) = tokio::try_join!(self.check_access(app, call), landing)?;
            let time = self.0.clock.instant().saturating_duration_since(begun);
            trace.course.progress.add_time(time);
            if !means.accept(&landed) {
                // The next call is one's own, so that nobody tries for ever.
                is_shared = false;
                continue;
            }
            if let Means::Gate(gate) = means {
                trace.slot = Arc::clone(&gate.slots).acquire_owned().await.ok();
            }
            self.note_joined(app, call, &landed, trace);
            return landed.answer.clone();
        }
    }

    /// Waits for the end of a call that this caller has sent.
    async fn land_own(&self, seat: Seat, trace: &mut CallTrace) -> Result<Answer, Error> {
        trace.saved = None;
        let landed = seat.land().await;
        trace.begun_at = Some(landed.begun_at);
        trace.waited += landed.waited;
        match Arc::try_unwrap(landed) {
            Ok(landed) => landed.answer,
            Err(landed) => landed.answer.clone(),
        }
    }

    /// Waits until the call is sent, by this caller once it has all that it needs, or by another: then this one has to
    /// go on with the call at once.
    async fn board(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
        means: &mut Means<'_>,
        seat: &Seat,
        trace: &mut CallTrace,
    ) -> Result<Boarded, Error> {
        if seat.has_departed() {
            return Ok(Boarded::Joins);
        }
        // Nobody waits for quota that cannot be used.
        if let Some(wait) = app.breaker(call.endpoint).wait() {
            return Err(app.is_down(call.endpoint, wait));
        }
        let mut permit = try_permit(app, call);
        if permit.is_none() {
            // Boxed, since few calls wait: each call's future would have to make room for it.
            permit = Box::pin(self.wait_for_permit(app, call, seat, trace)).await?;
        }
        let Some(permit) = permit else { return Ok(Boarded::Joins) };
        let prepared = tokio::select! {
            biased;
            prepared = self.prepare(app, call, means) => prepared,
            () = seat.departed() => return Ok(Boarded::Joins),
        };
        let Prepared { space, slot, turn } = prepared;
        let course = Arc::clone(&trace.course);
        let flight = |listing| -> Sending {
            let (gateway, app, call) = (self.clone(), Arc::clone(app), call.clone());
            Box::pin(fly(gateway, app, call, (space, turn), (permit, course), listing))
        };
        if !seat.depart(flight) {
            return Ok(Boarded::Joins);
        }
        trace.slot = slot;
        if let Means::Gate(gate) = means {
            let _ = gate.sent.set(self.0.clock.instant());
        }
        Ok(Boarded::Sends)
    }

    /// Waits for what a call needs beside its permit.
    async fn prepare(&self, app: &AppState, call: &Outgoing, means: &mut Means<'_>) -> Prepared {
        match means {
            Means::Memory(held) => {
                let held = match held.take() {
                    Some(held) => held,
                    // An earlier answer has it.
                    None => self.0.memory.hold(call.turn(), call.body.len() + PREPAID).await,
                };
                Prepared { space: Space::Held(held), slot: None, turn: None }
            }
            Means::Gate(gate) => {
                let slot = Arc::clone(&gate.slots).acquire_owned().await.ok();
                let turn = Some(app.question_turns.take(call.turn(), 1).await);
                Prepared { space: Space::UpTo(gate.room), slot, turn }
            }
        }
    }

    /// Waits for a permit; `None` if somebody else sends the call first.
    async fn wait_for_permit(
        &self,
        app: &Arc<AppState>,
        call: &Outgoing,
        seat: &Seat,
        trace: &mut CallTrace,
    ) -> Result<Option<Permit>, Error> {
        let begun = self.0.clock.instant();
        let permit = tokio::select! {
            biased;
            () = seat.departed() => Ok(None),
            permit = self.wait_if_allowed(app, call) => permit.map(Some),
        };
        trace.waited += self.0.clock.instant().saturating_duration_since(begun);
        permit
    }

    /// Nobody waits for what will be refused.
    async fn wait_if_allowed(&self, app: &Arc<AppState>, call: &Outgoing) -> Result<Permit, Error> {
        self.check_access(app, call).await?;
        let mut waited = Duration::default();
        self.wait_for_turn(app, call, &mut waited).await
    }

    /// A permit in the quota that X gives the app for such calls, for which it waits in its key's turn.
    pub(super) async fn take_permit(
        &self,
        app: &AppState,
        call: &Outgoing,
        waited: &mut Duration,
    ) -> Result<Permit, Error> {
        match try_permit(app, call) {
            Some(permit) => Ok(permit),
            None => self.wait_for_turn(app, call, waited).await,
        }
    }

    async fn wait_for_turn(
        &self,
        app: &AppState,
        call: &Outgoing,
        waited: &mut Duration,
    ) -> Result<Permit, Error> {
        let pool = app.pools.of(call.endpoint, call.kind());
        let begun = self.0.clock.instant();
        let taken = pool.wait_for_turn(call.wanted()).await;
        let wait = self.0.clock.instant().saturating_duration_since(begun);
        *waited += wait;
        app.pools.record_wait(wait);
        taken.map_err(|Exhausted { retry_after }| {
            app.pools.count_refusal();
            Error::QuotaExhausted { app: app.name.clone(), retry_after }
        })
    }

    /// An error if the call may not be made with its account. Whoever sends it checks that once more.
    async fn check_access(&self, app: &Arc<AppState>, call: &Outgoing) -> Result<(), Error> {
        if let Some(account) = &call.account {
            self.get_usable_account(&call.key, app, account, call.from).await?;
        }
        Ok(())
    }

    /// Counts a call that another one has saved.
    fn note_joined(&self, app: &AppState, call: &Outgoing, landed: &Landed, trace: &mut CallTrace) {
        let Course { account, since, progress } = &*trace.course;
        progress.set_status(landed.status);
        progress.set_said(landed.said.clone());
        if let (Some(signer), Some(known_since)) = (landed.account, landed.since) {
            let _ = account.set(signer);
            let _ = since.set(known_since);
        }
        trace.begun_at = Some(landed.begun_at);
        // A call that never got an answer was perhaps never sent.
        if landed.status.is_some() {
            trace.saved = Some(Saving::InFlight);
            let Outgoing { endpoint, posts, .. } = *call;
            let counted = Counted { account: landed.account, endpoint, auth: call.kind(), posts };
            self.count_saved(app, &call.key, counted, landed.status, Saving::InFlight);
        }
    }
}

impl Outgoing {
    /// In whose turn it waits for the gateway.
    fn turn(&self) -> &Arc<str> {
        self.key.turn_of(self.class == Class::Page)
    }

    fn wanted(&self) -> Wanted<'_> {
        let (key, weight) = (&self.key.turn, self.key.key.limits.weight);
        Wanted { key, weight, class: self.class, patience: self.patience }
    }
}

/// A permit that nobody else waits for.
fn try_permit(app: &AppState, call: &Outgoing) -> Option<Permit> {
    let permit = app.pools.of(call.endpoint, call.kind()).try_take(call.wanted())?;
    if permit.exceeds() {
        app.pools.count_excess();
    }
    Some(permit)
}

/// The call itself, which owns all that it needs: others may go on with it.
async fn fly(
    gateway: Gateway,
    app: Arc<AppState>,
    call: Outgoing,
    (space, _turn): (Space, Option<Turn>),
    (permit, course): (Permit, Arc<Course>),
    listing: Listing,
) -> Arc<Landed> {
    let (permit, begun_at) = (Some(permit), gateway.0.clock.instant());
    let mut trace = CallTrace { course, permit, ..CallTrace::default() };
    let answer = match space {
        Space::UpTo(bytes) => gateway.make(&app, &call, &mut Room::UpTo(bytes), &mut trace).await,
        Space::Held(mut held) => {
            let room = &mut Room::Grows(&mut held, call.body.len());
            match gateway.make(&app, &call, room, &mut trace).await {
                Ok(answer) => Ok(attach(answer, held).await),
                Err(error) => Err(error),
            }
        }
    };
    let (account, status) = (trace.account(), trace.effort().status);
    let said = trace.course.progress.said();
    let (since, waited) = (trace.since(), trace.waited);
    drop(listing);
    Arc::new(Landed { answer, account, status, said, since, begun_at, waited })
}

/// Has the answer's body hold the memory that it takes until it is dropped.
async fn attach(answer: Answer, mut held: Held) -> Answer {
    let kept = answer.unpacked.as_ref().map_or(0, |unpacked| unpacked.start.len());
    held.shrink_to(answer.wire.len() + kept);
    held.grow_first_to(answer.wire.len() + kept).await;
    Answer { wire: held.attach(answer.wire), ..answer }
}

/// Whether an error is about the caller who made the call, so that it says nothing to those who shared it.
fn is_of_its_caller(error: &Error) -> bool {
    !matches!(
        error,
        Error::UpstreamUnreachable(_)
            | Error::UpstreamDown { .. }
            | Error::UpstreamCutShort(_)
            | Error::UpstreamTooLarge(_)
            | Error::UpstreamTimeout(_)
            | Error::UpstreamOdd { .. }
            | Error::AppCredentialsRejected { .. }
    )
}
