//! Places that keys share: free ones are dealt out round-robin among the waiting keys, in the order of their arrival,
//! so that no key's queue holds up another's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many places there are, and how unevenly they may be held.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Places for everybody together.
    pub total: usize,
    /// The most that one key may ever hold.
    pub each: usize,
    /// The most that one key may hold while another waits. A key's only turn may be larger, or it would never come.
    pub shared: usize,
}

impl Rules {
    /// This many places: a single key may take them all, and waiting keys take turns.
    pub fn of(total: usize) -> Rules {
        Rules { total, each: total, shared: total }
    }
}

/// A fair semaphore.
#[derive(Debug)]
pub struct Turns {
    rules: Rules,
    state: Mutex<State>,
}

/// Places that are held until this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    key: Arc<str>,
    places: usize,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Keys that hold anything.
    held: HashMap<Arc<str>, usize>,
    /// Keys that wait; the first is next.
    lanes: VecDeque<Lane>,
}

/// One key's queue.
#[derive(Debug)]
struct Lane {
    key: Arc<str>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    places: usize,
    wait: Wait,
    granted: oneshot::Sender<Turn>,
}

/// When a waiter's turn comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    /// Behind earlier waiters. `own` is what the growing turn already holds.
    InTurn { own: usize },
    /// Ahead of all others, since these may be waiting for what it holds.
    First,
}

impl Lane {
    fn first(&self) -> Option<(&Arc<str>, &Waiter)> {
        Some((&self.key, self.waiting.front()?))
    }
}

/// Whether a waiter may go ahead, and if not, why.
enum Verdict {
    Granted,
    /// Its key is at its limit or must let others go first; the next waiter may overtake it.
    Passed,
    /// Too few places are free, and no other waiter may overtake.
    NoRoom,
}

impl Turns {
    pub fn new(rules: Rules) -> Arc<Turns> {
        Arc::new(Turns { rules, state: Mutex::default() })
    }

    /// Waits for this many places. More than [`Rules::total`] or [`Rules::each`] are never granted.
    pub async fn take(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Turn {
        self.wait(key, places, Wait::InTurn { own: 0 }).await
    }

    /// Waits for this many places ahead of all others: for work already under way.
    pub async fn take_first(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Turn {
        self.wait(key, places, Wait::First).await
    }

    /// Takes this many places, if they are free now.
    pub fn try_take(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Option<Turn> {
        self.try_hold(key, places, Wait::InTurn { own: 0 }).then(|| self.turn(key, places))
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    async fn wait(self: &Arc<Turns>, key: &Arc<str>, places: usize, wait: Wait) -> Turn {
        if self.try_hold(key, places, wait) {
            return self.turn(key, places);
        }
        let (granted, waiting) = oneshot::channel();
        self.lock().queue(key, Waiter { places, wait, granted });
        self.advance();
        let mut waiting = Waiting { turns: self, granted: waiting };
        // The sender is kept until it sends.
        (&mut waiting.granted).await.expect("whoever waits is granted a turn in the end")
    }

    /// Takes these places if they are free and no earlier waiter comes first; returns whether it did.
    fn try_hold(&self, key: &Arc<str>, places: usize, wait: Wait) -> bool {
        let mut state = self.lock();
        let is_first = state.lanes.is_empty() || wait == Wait::First;
        let is_granted = is_first
            && matches!(state.judge(self.rules, key, places, wait, false), Verdict::Granted);
        if is_granted {
            state.hold(key, places);
        }
        is_granted
    }

    /// Grants what can be granted now.
    fn advance(self: &Arc<Turns>) {
        let granted = self.lock().deal(self.rules);
        for (key, waiter) in granted {
            // A waiter that has gone gives its turn back by dropping it, so nothing may be locked here.
            let _ = waiter.granted.send(self.turn(&key, waiter.places));
        }
    }

    fn release(self: &Arc<Turns>, key: &Arc<str>, places: usize) {
        let anybody_waits = {
            let mut state = self.lock();
            state.release(key, places);
            !state.lanes.is_empty()
        };
        if anybody_waits {
            self.advance();
        }
    }

    fn turn(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Turn {
        Turn { turns: Arc::clone(self), key: Arc::clone(key), places }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    pub fn places(&self) -> usize {
        self.places
    }

    pub fn is_of(&self, turns: &Arc<Turns>) -> bool {
        Arc::ptr_eq(&self.turns, turns)
    }

    /// Waits for the missing places, behind earlier waiters.
    pub async fn grow_to(&mut self, places: usize) {
        self.grow(places, Wait::InTurn { own: self.places }).await;
    }

    /// The same ahead of all waiters: for work already under way, since they may be waiting for what it holds.
    pub async fn grow_first_to(&mut self, places: usize) {
        self.grow(places, Wait::First).await;
    }

    async fn grow(&mut self, places: usize, wait: Wait) {
        let Some(missing) = places.checked_sub(self.places).filter(|missing| *missing > 0) else {
            return;
        };
        let mut more = self.turns.wait(&self.key, missing, wait).await;
        self.places += std::mem::take(&mut more.places);
    }

    /// Takes the missing places, if they are free now.
    pub fn try_grow_to(&mut self, places: usize) -> bool {
        let missing = places.saturating_sub(self.places);
        let has_grown = missing == 0
            || self.turns.try_hold(&self.key, missing, Wait::InTurn { own: self.places });
        if has_grown {
            self.places += missing;
        }
        has_grown
    }

    /// Releases what is held beyond this many places.
    pub fn shrink_to(&mut self, places: usize) {
        if places < self.places {
            self.turns.release(&self.key, self.places - places);
            self.places = places;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// Leaves the queue when it is dropped.
struct Waiting<'a> {
    turns: &'a Arc<Turns>,
    granted: oneshot::Receiver<Turn>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.granted.is_terminated() {
            return;
        }
        self.granted.close();
        self.turns.lock().drop_abandoned();
        self.turns.advance();
    }
}

impl State {
    fn judge(
        &self,
        rules: Rules,
        key: &Arc<str>,
        places: usize,
        wait: Wait,
        others_wait: bool,
    ) -> Verdict {
        let held = self.held.get(key).copied().unwrap_or_default();
        let after = held.saturating_add(places);
        let lets_others_go = match wait {
            Wait::InTurn { own } => others_wait && after > rules.shared && held > own,
            Wait::First => false,
        };
        if after > rules.each || lets_others_go {
            Verdict::Passed
        } else if self.taken.saturating_add(places) > rules.total {
            Verdict::NoRoom
        } else {
            Verdict::Granted
        }
    }

    /// Dequeues the waiters whose turn has come. A key that was served goes behind the others.
    fn deal(&mut self, rules: Rules) -> Vec<(Arc<str>, Waiter)> {
        let (mut granted, mut at) = (Vec::new(), 0);
        let mut others_count = true;
        loop {
            let Some((key, waiter)) = self.lanes.get(at).and_then(Lane::first) else {
                // If each key lets the others go first, none would ever go.
                if at == 0 || !std::mem::take(&mut others_count) {
                    return granted;
                }
                at = 0;
                continue;
            };
            let others_wait = others_count && self.lanes.len() > 1;
            match self.judge(rules, key, waiter.places, waiter.wait, others_wait) {
                Verdict::Granted => {
                    granted.extend(self.serve(at));
                    (at, others_count) = (0, true);
                }
                Verdict::Passed => at += 1,
                Verdict::NoRoom => return granted,
            }
        }
    }

    fn serve(&mut self, at: usize) -> Option<(Arc<str>, Waiter)> {
        let mut lane = self.lanes.remove(at)?;
        let (key, waiter) = (Arc::clone(&lane.key), lane.waiting.pop_front()?);
        self.hold(&key, waiter.places);
        if !lane.waiting.is_empty() {
            self.lanes.push_back(lane);
        }
        Some((key, waiter))
    }

    fn queue(&mut self, key: &Arc<str>, waiter: Waiter) {
        let place = self.lanes.iter().position(|lane| lane.key == *key);
        let lane = place.and_then(|at| self.lanes.remove(at));
        let mut lane =
            lane.unwrap_or_else(|| Lane { key: Arc::clone(key), waiting: VecDeque::new() });
        if waiter.wait == Wait::First {
            lane.waiting.push_front(waiter);
            self.lanes.push_front(lane);
        } else {
            lane.waiting.push_back(waiter);
            self.lanes.insert(place.unwrap_or(self.lanes.len()), lane);
        }
    }

    fn drop_abandoned(&mut self) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|waiter| !waiter.granted.is_closed());
        }
        self.lanes.retain(|lane| !lane.waiting.is_empty());
    }

    fn hold(&mut self, key: &Arc<str>, places: usize) {
        if places == 0 {
            return;
        }
        self.taken += places;
        *self.held.entry(Arc::clone(key)).or_default() += places;
    }

    fn release(&mut self, key: &Arc<str>, places: usize) {
        self.taken -= places;
        if let Some(held) = self.held.get_mut(key) {
            *held -= places;
            if *held == 0 {
                self.held.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
