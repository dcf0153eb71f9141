//! X, callers and processes in invented time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::sleep;

use crate::admission::quota::pool::Queued;
use crate::admission::quota::{Class, Exhausted, Patience, Permit, Pool, Wanted};
use crate::model::quota::{Lease, Quota, Report, Reported};
use crate::model::{Clock, SystemClock};

/// The step of invented time.
const STEP: Duration = Duration::from_millis(5);
const LATENCY: f64 = 0.15;
const PATIENCE: f64 = 10.0;

pub(super) struct HandClock {
    begun: (OffsetDateTime, Instant),
    passed: Mutex<Duration>,
}

impl HandClock {
    pub(super) fn new() -> Arc<HandClock> {
        let begun = (datetime!(2026-03-10 21:15:17.3 UTC), SystemClock.instant());
        Arc::new(HandClock { begun, passed: Mutex::default() })
    }

    fn forward(&self, by: Duration) {
        *self.passed.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        self.begun.0 + *self.passed.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        self.begun.1 + *self.passed.lock().unwrap()
    }
}

/// X's counters, in fixed windows.
pub(super) struct X {
    per_window: u32,
    window: i64,
    per_second: u32,
    used: BTreeMap<(i64, i64), u32>,
    /// Its clock, compared with ours.
    ahead: f64,
}

impl Process {
    pub(super) fn new(clock: &Arc<HandClock>, now: f64) -> Process {
        let pool = Pool::new(Quota::default(), 0.5, clock.clone());
        // Nobody but the world gives out permits.
        pool.lock().is_driven = true;
        Process { pool, lease: Lease::default(), renewed: now - 10.0, is_alive: true }
    }
}

impl X {
    pub(super) fn new(per_window: u32, window: i64, per_second: u32) -> X {
        X { per_window, window, per_second, used: BTreeMap::new(), ahead: 0.0 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "seconds")]
    fn seconds(&self, at: f64) -> i64 {
        (at + self.ahead).floor() as i64
    }

    fn count(&mut self, at: f64) -> Report {
        let second = self.seconds(at);
        let mut windows = [None; 3];
        let mut is_refusal = false;
        for (permit, (length, limit)) in
            [(1, self.per_second), (self.window, self.per_window)].into_iter().enumerate()
        {
            let window = second.div_euclid(length);
            let used = self.used.entry((length, window)).or_default();
            *used += 1;
            is_refusal |= *used > limit;
            windows[permit] = Some(Reported {
                limit: Some(limit),
                remaining: Some(limit.saturating_sub(*used)),
                reset: Some((window + 1) * length),
            });
        }
        Report { date: Some(second), windows, is_refusal, retry_after: None }
    }
}

/// A caller with some calls at once, each begun when the one before has ended.
pub(super) struct Caller {
    pub(super) key: Arc<str>,
    pub(super) weight: u32,
    pub(super) class: Class,
    /// The processes that it calls in turn.
    pub(super) at: Vec<usize>,
    pub(super) calls: usize,
    /// Whether it comes back at once when it is refused.
    pub(super) is_greedy: bool,
    /// When its next calls begin.
    ready: Vec<f64>,
    /// Calls that wait: since when, and in which process.
    waiting: Vec<(f64, usize, oneshot::Receiver<Permit>)>,
    pub(super) answered: u32,
    refused: u32,
    /// After a refusal: how many came back, and how many of these got a permit.
    pub(super) returned: (u32, u32),
    /// Calls that were refused before.
    returning: usize,
}

impl Caller {
    pub(super) fn new(name: &str, weight: u32, workers: usize, is_greedy: bool) -> Caller {
        Caller {
            key: name.into(),
            weight,
            class: Class::Relayed,
            at: vec![0],
            calls: 0,
            is_greedy,
            ready: vec![0.0; workers],
            waiting: Vec::new(),
            answered: 0,
            refused: 0,
            returned: (0, 0),
            returning: 0,
        }
    }
}

/// A call under way.
struct Sent {
    pub(super) at: f64,
    /// The caller's index; `None` for another program's.
    caller: Option<usize>,
    permit: Option<Permit>,
    report: Option<Report>,
}

/// A process, and when its lease was last renewed.
pub(super) struct Process {
    pub(super) pool: Arc<Pool>,
    lease: Lease,
    renewed: f64,
    pub(super) is_alive: bool,
}

pub(super) struct World {
    pub(super) clock: Arc<HandClock>,
    pub(super) processes: Vec<Process>,
    x: X,
    pub(super) callers: Vec<Caller>,
    sent: VecDeque<Sent>,
    pub(super) now: f64,
    pub(super) calls: u32,
    pub(super) refusals: u32,
    dice: u64,
    /// Whether leases can be renewed.
    pub(super) has_database: bool,
    /// Calls a second of another program with the same credentials.
    pub(super) elsewhere: f64,
    owed_elsewhere: f64,
}

impl World {
    pub(super) fn new(x: X, processes: usize, callers: Vec<Caller>) -> World {
        let clock = HandClock::new();
        let now = clock.now().unix_timestamp_nanos();
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds do not matter")]
        let now = now as f64 / 1e9;
        World {
            processes: (0..processes).map(|_| Process::new(&clock, now)).collect(),
            clock,
            x,
            callers,
            sent: VecDeque::new(),
            now,
            calls: 0,
            refusals: 0,
            dice: 1,
            has_database: true,
            elsewhere: 0.0,
            owed_elsewhere: 0.0,
        }
    }

    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.now + seconds;
        while self.now < end {
            self.clock.forward(STEP);
            self.now += STEP.as_secs_f64();
            self.arrive();
            for process in self.processes.iter().filter(|process| process.is_alive) {
                if process.pool.lock().lanes.waiting() > 0 {
                    process.pool.advance(false);
                }
            }
            (0..self.processes.len()).for_each(|process| self.renew(process));
            (0..self.callers.len()).for_each(|caller| self.ask(caller));
            self.owed_elsewhere += self.elsewhere * STEP.as_secs_f64();
            if self.owed_elsewhere >= 1.0 {
                self.owed_elsewhere -= 1.0;
                self.sent.push_back(Sent {
                    at: self.now,
                    caller: None,
                    permit: None,
                    report: None,
                });
            }
        }
    }

    /// Renews a process's lease once a second, each at another time.
    fn renew(&mut self, index: usize) {
        let now = self.now;
        if self.processes.len() < 2 || !self.has_database {
            return;
        }
        let is_alive = |process: &&Process| process.is_alive;
        let alive = self.processes.iter().filter(is_alive).count();
        let others = self.processes.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<Lease> = others
            .filter(|(_, other)| now - other.renewed <= 3.0)
            .map(|(_, other)| other.lease.clone())
            .collect();
        let process = &mut self.processes[index];
        if !process.is_alive || now - process.renewed < 1.0 + 0.013 * calls(index) {
            return;
        }
        process.renewed = now;
        let draft = process.pool.draft_lease();
        let division = process.pool.divide(&draft, &others, alive);
        process.lease = Lease { share: division.share, ..draft };
        process.pool.set_share(division, &others);
    }

    /// Calls reach X, and answers come back.
    fn arrive(&mut self) {
        for sent in &mut self.sent {
            if sent.report.is_none() && sent.at + LATENCY / 2.0 <= self.now {
                let counted = self.x.count(self.now);
                if sent.caller.is_some() {
                    self.calls += 1;
                    self.refusals += u32::from(counted.is_refusal);
                }
                sent.report = Some(counted);
            }
        }
        while self.sent.front().is_some_and(|sent| sent.at + LATENCY <= self.now) {
            let Some(Sent { caller: Some(caller), permit, report, .. }) = self.sent.pop_front()
            else {
                continue;
            };
            let is_refusal = report.is_some_and(|report| report.is_refusal);
            if let Some(permit) = permit {
                permit.finish(report.as_ref(), 1);
            }
            let caller = &mut self.callers[caller];
            if is_refusal {
                caller.refused += 1;
            } else {
                caller.answered += 1;
            }
            caller.ready.push(self.now);
        }
    }

    fn ask(&mut self, index: usize) {
        let now = self.now;
        let waiting = std::mem::take(&mut self.callers[index].waiting);
        for (since, at, mut permit) in waiting {
            match permit.try_recv() {
                Ok(permit) => self.send(index, permit),
                Err(TryRecvError::Empty) if now - since < PATIENCE => {
                    self.callers[index].waiting.push((since, at, permit));
                }
                Err(_) => {
                    drop(permit);
                    let pool = &self.processes[at].pool;
                    pool.lock().lanes.remove(|waiter| waiter.granted.is_closed());
                    let Exhausted { retry_after } = pool.refuse(wanted(&self.callers[index]));
                    self.callers[index].ready.push(now + retry_after.as_secs_f64());
                }
            }
        }
        let due = self.callers[index].ready.iter().filter(|at| **at <= now).count();
        self.callers[index].ready.retain(|at| *at > now);
        (0..due).for_each(|_| self.call(index));
    }

    fn call(&mut self, index: usize) {
        let now = self.now;
        let caller = &mut self.callers[index];
        let came_back = caller.returning.min(1);
        caller.returning -= came_back;
        caller.calls += 1;
        let living: Vec<usize> =
            caller.at.iter().copied().filter(|at| self.processes[*at].is_alive).collect();
        // While its only process is dead, a caller calls another.
        let at = living.get(caller.calls % living.len().max(1)).copied();
        let at = at.unwrap_or((caller.at[0] + 1) % self.processes.len());
        let pool = &self.processes[at].pool;
        let wanted = wanted(caller);
        if let Some(permit) = pool.try_take(wanted) {
            caller.count_return(came_back, true);
            return self.send(index, permit);
        }
        match pool.queue(wanted) {
            Queued::Waits((permit, _)) => {
                caller.waiting.push((now, at, permit));
                caller.count_return(came_back, true);
            }
            Queued::Exhausted(Exhausted { retry_after }) => {
                caller.count_return(came_back, false);
                let wait = if caller.is_greedy { 0.02 } else { retry_after.as_secs_f64() };
                caller.returning += usize::from(!caller.is_greedy);
                caller.ready.push(now + wait);
            }
        }
    }

    fn send(&mut self, caller: usize, mut permit: Permit) {
        permit.send();
        // A call leaves up to 5 ms late.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let late = f64::from(u32::try_from(self.dice >> 40).unwrap() % 5) / 1000.0;
        let (at, caller) = (self.now + late, Some(caller));
        self.sent.push_back(Sent { at, caller, permit: Some(permit), report: None });
    }

    /// Kills a process: those who wait there call again elsewhere.
    pub(super) fn kill(&mut self, victim: usize) {
        self.processes[victim].is_alive = false;
        for caller in &mut self.callers {
            let before = caller.waiting.len();
            caller.waiting.retain(|(_, at, _)| *at != victim);
            caller.ready.extend(vec![self.now; before - caller.waiting.len()]);
        }
    }

    /// Counts anew from now on.
    pub(super) fn begin(&mut self) {
        (self.calls, self.refusals) = (0, 0);
        for caller in &mut self.callers {
            (caller.answered, caller.refused, caller.returned) = (0, 0, (0, 0));
        }
    }

    pub(super) fn shares(&self) -> Vec<f64> {
        let all: u32 = self.callers.iter().map(|caller| caller.answered).sum();
        let weights: u32 = self.callers.iter().map(|caller| caller.weight).sum();
        let share = |caller: &Caller| {
            let fair = f64::from(all) * f64::from(caller.weight) / f64::from(weights);
            f64::from(caller.answered) / fair
        };
        self.callers.iter().map(share).collect()
    }
}

impl Caller {
    fn count_return(&mut self, came_back: usize, is_served: bool) {
        if came_back > 0 {
            self.returned.0 += 1;
            self.returned.1 += u32::from(is_served);
        }
    }
}

fn wanted(caller: &Caller) -> Wanted<'static> {
    // Keys live as long as the test.
    let key: &'static Arc<str> = Box::leak(Box::new(Arc::clone(&caller.key)));
    let end = sleep(Duration::from_secs_f64(PATIENCE)).deadline();
    let patience = Patience { longest: None, end };
    Wanted { key, weight: caller.weight, class: caller.class, patience }
}

pub(super) fn calls(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
