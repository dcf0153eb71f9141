//! Places that keys share: free ones are dealt out round and round among the keys that wait, in the order in which these
//! came, so that no key's queue holds up another's.

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
    /// The most that one key may hold while another waits. One turn alone may be larger: else it would never come.
    pub shared: usize,
}

impl Rules {
    /// This many places, which a key alone may take and which keys that wait take in turn.
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
    /// What the turn that is to grow holds already.
    own: usize,
    granted: oneshot::Sender<Turn>,
}

impl Lane {
    fn first(&self) -> Option<(&Arc<str>, &Waiter)> {
        Some((&self.key, self.waiting.front()?))
    }
}

/// What stands in a waiter's way.
enum Verdict {
    Granted,
    /// Its key has to wait for itself or for others; whoever comes next may go first.
    Passed,
    /// Too few places are free, and nobody overtakes.
    NoRoom,
}

impl Turns {
    pub fn new(rules: Rules) -> Arc<Turns> {
        Arc::new(Turns { rules, state: Mutex::default() })
    }

    /// Waits for this many places. More than [`Rules::total`] or [`Rules::each`] never come.
    pub async fn take(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Turn {
        self.wait(key, places, 0).await
    }

    /// Takes this many places, if they are free now.
    pub fn try_take(self: &Arc<Turns>, key: &Arc<str>, places: usize) -> Option<Turn> {
        self.try_hold(key, places, 0).then(|| self.turn(key, places))
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    async fn wait(self: &Arc<Turns>, key: &Arc<str>, places: usize, own: usize) -> Turn {
        if self.try_hold(key, places, own) {
            return self.turn(key, places);
        }
        let (granted, waiting) = oneshot::channel();
        self.lock().queue(key, Waiter { places, own, granted });
        self.advance();
        let mut waiting = Waiting { turns: self, granted: waiting };
        // The sender is kept until it sends.
        (&mut waiting.granted).await.expect("whoever waits is granted a turn in the end")
    }

    /// Whether these places were free and nobody waited for them; they are taken then.
    fn try_hold(&self, key: &Arc<str>, places: usize, own: usize) -> bool {
        let mut state = self.lock();
        let others_wait = !state.lanes.is_empty();
        let is_granted = !others_wait
            && matches!(state.judge(self.rules, key, places, own, false), Verdict::Granted);
        if is_granted {
            state.hold(key, places);
        }
        is_granted
    }

    /// Grants what can be granted now.
    fn advance(self: &Arc<Turns>) {
        let granted = self.lock().deal(self.rules);
        for (key, waiter) in granted {
            // Whoever does not wait any more gives it back by dropping it, so nothing may be locked here.
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

    /// Waits for as many places more as are missing.
    pub async fn grow_to(&mut self, places: usize) {
        let Some(missing) = places.checked_sub(self.places).filter(|it| *it > 0) else { return };
        let mut more = self.turns.wait(&self.key, missing, self.places).await;
        self.places += std::mem::take(&mut more.places);
    }

    /// Takes as many places more as are missing, if they are free now.
    pub fn try_grow_to(&mut self, places: usize) -> bool {
        let missing = places.saturating_sub(self.places);
        let has_grown = missing == 0 || self.turns.try_hold(&self.key, missing, self.places);
        if has_grown {
            self.places += missing;
        }
        has_grown
    }

    /// Gives back what is held beyond this.
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
        self.turns.lock().forget_the_gone();
        self.turns.advance();
    }
}

impl State {
    fn judge(
        &self,
        rules: Rules,
        key: &Arc<str>,
        places: usize,
        own: usize,
        others_wait: bool,
    ) -> Verdict {
        let held = self.held.get(key).copied().unwrap_or_default();
        let after = held.saturating_add(places);
        if after > rules.each || (others_wait && after > rules.shared && held > own) {
            Verdict::Passed
        } else if self.taken.saturating_add(places) > rules.total {
            Verdict::NoRoom
        } else {
            Verdict::Granted
        }
    }

    /// Takes the waiters out of their queues whose turn it is. A key that was served goes behind the others.
    fn deal(&mut self, rules: Rules) -> Vec<(Arc<str>, Waiter)> {
        let (mut granted, mut at) = (Vec::new(), 0);
        while let Some((key, waiter)) = self.lanes.get(at).and_then(Lane::first) {
            let others_wait = self.lanes.len() > 1;
            match self.judge(rules, key, waiter.places, waiter.own, others_wait) {
                Verdict::Granted => {
                    granted.extend(self.serve(at));
                    at = 0;
                }
                Verdict::Passed => at += 1,
                Verdict::NoRoom => break,
            }
        }
        granted
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
        if let Some(lane) = self.lanes.iter_mut().find(|it| it.key == *key) {
            lane.waiting.push_back(waiter);
        } else {
            let key = Arc::clone(key);
            self.lanes.push_back(Lane { key, waiting: VecDeque::from([waiter]) });
        }
    }

    fn forget_the_gone(&mut self) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|it| !it.granted.is_closed());
        }
        self.lanes.retain(|it| !it.waiting.is_empty());
    }

    fn hold(&mut self, key: &Arc<str>, places: usize) {
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
