//! A pool: the calls that count against one of X's quotas.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant as TokioInstant, timeout, timeout_at};

use crate::admission::quota::lanes::Class;
use crate::admission::quota::shares::{Division, Total, divide};
use crate::admission::quota::state::{Level, Portion, State, Waiter};
use crate::admission::quota::wanted::{Exhausted, Wanted, seconds_until};
use crate::model::Clock;
use crate::model::quota::{KeyUse, Lease, Mode, Quota, Report};

/// How long a pool with waiting calls rests at most: its state may change in ways that wake nobody.
const LONGEST_REST: Duration = Duration::from_millis(200);
/// A smaller share is as good as none.
const LEAST_SHARE: f64 = 0.001;

/// The calls that count against one of X's quotas.
pub struct Pool {
    clock: Arc<dyn Clock>,
    /// Since when local times are counted.
    begun: Instant,
    mode: Mode,
    state: Mutex<State<Permit>>,
    /// Wakes whoever gives out permits.
    wake: Arc<Notify>,
}

/// A permit for one call.
pub struct Permit {
    pool: Arc<Pool>,
    class: Class,
    progress: Progress,
    /// Whether the quota was only observed, and would have made the call wait.
    exceeds: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Progress {
    Granted,
    /// X may count it from now on.
    Sent,
    Finished,
}

impl Pool {
    /// Pages take at most `share_of_pages` while others call too, from 0 to 1.
    pub fn new(quota: Quota, share_of_pages: f64, clock: Arc<dyn Clock>) -> Arc<Pool> {
        let state = State::new(quota, share_of_pages, clock.now().unix_timestamp());
        let begun = clock.instant();
        let (state, wake) = (Mutex::new(state), Arc::default());
        Arc::new(Pool { clock, begun, mode: quota.mode, state, wake })
    }

    /// A permit, if nobody waits for one and there is one now.
    pub fn try_take(self: &Arc<Pool>, wanted: Wanted<'_>) -> Option<Permit> {
        let (weight, now) = (f64::from(wanted.weight), self.now());
        let mut state = self.lock();
        state.refresh(now);
        let is_free = state.is_free(wanted.class, now);
        if !is_free && self.mode == Mode::Enforce {
            return None;
        }
        state.lanes.pass(wanted.key, weight, wanted.class, now);
        state.spend(now);
        drop(state);
        Some(self.permit(wanted.class, !is_free))
    }

    /// Waits for a permit in the key's turn, after `try_take` gave none, or returns at once if there will be none in time.
    pub async fn wait_for_turn(self: &Arc<Pool>, wanted: Wanted<'_>) -> Result<Permit, Exhausted> {
        let waiting = match self.queue(wanted) {
            Queued::Exhausted(exhausted) => return Err(exhausted),
            Queued::Waits(waiting) => waiting,
        };
        // Boxed, since few calls wait: each call's future would have to make room for it.
        Box::pin(self.wait(wanted, waiting)).await
    }

    async fn wait(
        self: &Arc<Pool>,
        wanted: Wanted<'_>,
        (waiting, until): (oneshot::Receiver<Permit>, TokioInstant),
    ) -> Result<Permit, Exhausted> {
        let mut leaving = Leaving { pool: self, waiting };
        match timeout_at(until, &mut leaving.waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.refuse(wanted)),
        }
    }

    pub(super) fn queue(self: &Arc<Pool>, wanted: Wanted<'_>) -> Queued {
        let Wanted { key, class, .. } = wanted;
        let (weight, now) = (f64::from(wanted.weight), self.now());
        let mut state = self.lock();
        let (position, until) = (state.lanes.position(key, weight, class), wanted.patience.until());
        if state.expect_new(class, position, now) > seconds_until(until) {
            return Queued::Exhausted(state.refuse(wanted, now));
        }
        let (granted, waiting) = oneshot::channel();
        state.lanes.push(key, weight, class, Waiter { granted, until, class }, now);
        let is_driven = std::mem::replace(&mut state.is_driven, true);
        drop(state);
        if !is_driven {
            tokio::spawn(drive(Arc::downgrade(self), Arc::clone(&self.wake)));
        } else if class != Class::Page {
            // The rest may have been for pages, which have to wait longer.
            self.wake.notify_one();
        }
        Queued::Waits((waiting, until))
    }

    pub(super) fn refuse(&self, wanted: Wanted<'_>) -> Exhausted {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        state.refuse(wanted, now)
    }

    /// Gives permits to those whose turn it is; returns how long to rest, unless nobody waits any more.
    ///
    /// Only the driver notes that it ends: otherwise, a second one would begin beside it.
    pub(super) fn advance(self: &Arc<Pool>, is_driver: bool) -> Option<Duration> {
        loop {
            let now = self.now();
            let mut state = self.lock();
            state.refresh(now);
            // Not for each that leaves: thousands may at once.
            if std::mem::take(&mut state.has_leavers) {
                state.lanes.remove(|waiter| waiter.granted.is_closed());
            }
            if state.lanes.waiting() == 0 {
                state.is_driven &= !is_driver;
                return None;
            }
            let wait = state.wait_for(1.0, now);
            if wait > 0.0 {
                return Some(Duration::from_secs_f64(wait.min(LONGEST_REST.as_secs_f64())));
            }
            let Some(waiter) = state.lanes.pop() else { return Some(LONGEST_REST) };
            if waiter.granted.is_closed() {
                state.lanes.refund(waiter.class);
                continue;
            }
            state.spend(now);
            drop(state);
            // Whoever has left gives the permit back by dropping it, so nothing may be locked here.
            let _ = waiter.granted.send(self.permit(waiter.class, false));
        }
    }

    /// What this process has to write down of the quota, with the share that it has now. Demand is that since the last
    /// such draft.
    pub fn draft_lease(&self) -> Lease {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        let [minute, _] = &state.windows;
        Lease {
            share: state.share,
            reported: minute.reported(),
            made: whole(minute.made()),
            in_flight: state.in_flight,
            demand: state.lanes.read_demand(),
        }
    }

    /// What this process may use beside the leases of others, if that many processes are alive.
    pub fn divide(&self, own: &Lease, others: &[Lease], processes: usize) -> Division {
        let now = self.now();
        let state = self.lock();
        let total = Total {
            calls: state.calls_per_second(now),
            processes,
            share_of_pages: state.lanes.share_of_pages(),
        };
        divide(total, &own.demand, others)
    }

    /// Uses that from now on, and what the others know.
    pub fn set_share(&self, division: Division, others: &[Lease]) {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        let in_flight = others.iter().map(|lease| lease.in_flight).fold(0, u32::saturating_add);
        state.others_in_flight = (!others.is_empty()).then_some(in_flight);
        let (terms, at) = (state.terms(), state.x_clock.at(now));
        let [minute, _] = &mut state.windows;
        for reported in others.iter().filter_map(|lease| lease.reported) {
            minute.learn(reported, terms, at);
        }
        let made = |lease: &Lease| Some((lease.reported?.reset?, f64::from(lease.made)));
        minute.share_with(&others.iter().filter_map(made).collect::<Vec<_>>(), at);
        (state.share, state.due_share) = (division.share, division.due);
        state.share_of_pages = division.share_of_pages;
        let demand = || others.iter().flat_map(|lease| &lease.demand);
        if demand().any(|demand| demand.calls > demand.for_pages) {
            state.lanes.note_services_elsewhere();
        }
        state.lanes.divide_weights(division.fractions);
        state.others = others.to_vec();
    }

    /// Takes an equal share if the present one allows no calls, since no lease can be renewed for long.
    pub fn share_equally_if_without(&self, processes: usize) {
        let mut state = self.lock();
        if state.share < LEAST_SHARE {
            state.share = 1.0 / f64::from(u32::try_from(processes).unwrap_or(u32::MAX));
            state.share_of_pages = state.share * state.lanes.share_of_pages();
        }
    }

    /// The quota per minute, or the one with headers of X's other APIs if X reports only that.
    pub fn level(&self) -> Level {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        state.level(now)
    }

    /// The same, and what each key uses of it in all processes, the largest first: in this one now, in the others when
    /// leases were last renewed.
    pub fn level_and_uses(&self) -> (Level, Vec<KeyUse>) {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        (state.level(now), state.uses())
    }

    /// A key's part of the quota among those that wait, if the quota is known.
    pub fn portion(&self, key: &Arc<str>, weight: u32) -> Option<Portion> {
        let now = self.now();
        let mut state = self.lock();
        state.refresh(now);
        let part = state.lanes.portion(key, f64::from(weight));
        let level = state.level(now);
        let limit = whole(level.limit? * part);
        let (left, reset) = (whole(level.left * part), whole(level.reset.ceil()));
        Some(Portion { limit, left, reset })
    }

    fn permit(self: &Arc<Pool>, class: Class, exceeds: bool) -> Permit {
        Permit { pool: Arc::clone(self), class, progress: Progress::Granted, exceeds }
    }

    /// Seconds since the pool began.
    pub(super) fn now(&self) -> f64 {
        self.clock.instant().saturating_duration_since(self.begun).as_secs_f64()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<Permit>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) enum Queued {
    Waits((oneshot::Receiver<Permit>, TokioInstant)),
    Exhausted(Exhausted),
}

impl Permit {
    /// Whether the quota was only observed, and would have made the call wait.
    pub fn exceeds(&self) -> bool {
        self.exceeds
    }

    /// Notes that the call is being sent.
    pub fn send(&mut self) {
        self.progress = Progress::Sent;
    }

    /// Learns from the call's answer, if X gave one, and from how many attempts may have reached X.
    pub fn finish(mut self, report: Option<&Report>, attempts: u32) {
        self.progress = Progress::Finished;
        self.pool.lock().learn(report, attempts, self.pool.now());
        self.advance();
    }

    fn advance(&self) {
        let has_waiting = self.pool.lock().lanes.waiting() > 0;
        if has_waiting {
            self.pool.advance(false);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        match self.progress {
            Progress::Finished => return,
            // X may have counted it.
            Progress::Sent => state.learn(None, 1, 0.0),
            Progress::Granted => state.refund(self.class),
        }
        drop(state);
        self.advance();
    }
}

/// Leaves the queue when it is dropped.
struct Leaving<'a> {
    pool: &'a Arc<Pool>,
    waiting: oneshot::Receiver<Permit>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.waiting.is_terminated() {
            self.waiting.close();
            self.pool.lock().has_leavers = true;
        }
    }
}

/// Gives out permits as they become free, as long as anybody waits.
async fn drive(pool: Weak<Pool>, wake: Arc<Notify>) {
    loop {
        let Some(rest) = pool.upgrade().and_then(|pool| pool.advance(true)) else { return };
        let _ = timeout(rest, wake.notified()).await;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(calls: f64) -> u32 {
    calls.max(0.0) as u32
}
