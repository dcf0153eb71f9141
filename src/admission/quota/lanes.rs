//! Waiting calls, one lane for each key. Lanes are served in turn by their weights; a key that was idle gains nothing by
//! it. Within a lane, relayed calls come before parts of questions, those before parts of pages' questions, and each of
//! these in the order of arrival. All pages together take at most a share while others call.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::admission::quota::lane::Lane;
use crate::admission::quota::pages::Pages;
use crate::model::quota::{Demand, KeyUse};

/// The most refused calls of a key whose turns are kept for them, and how many seconds each is kept.
const MOST_PROMISED: usize = 64;
const LATE: f64 = 5.0;
/// What the latest reading contributes to the average pace.
const NEWEST: f64 = 0.05;
const LEAST_PACE: f64 = 0.01;
/// How many seconds a key counts as active after its last call.
const ACTIVE: f64 = 60.0;

/// What a call is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A call that a caller has made itself.
    Relayed,
    /// A part of a question.
    Part,
    /// A part of a page's question.
    Page,
}

/// The lanes of one quota; `W` is what waits.
#[derive(Debug)]
pub(super) struct Lanes<W> {
    by_key: HashMap<Arc<str>, Lane<W>>,
    /// Lanes in which calls wait, by the virtual time at which the next call of each will have been paid for. By when it
    /// begins, keys that come and go among processes would gain.
    order: BTreeSet<(u64, Arc<str>)>,
    /// The virtual time of the latest call.
    now: u64,
    waiting: usize,
    pruned_at: f64,
    fractions: HashMap<Arc<str>, f64>,
    /// The quota's present window, and the calls made in it by keys that are not active any more.
    window: u64,
    past: HashMap<Arc<str>, u32>,
    pages: Pages,
}

impl<W> Lanes<W> {
    /// Without calls; pages take at most that share while others call.
    pub(super) fn new(share_of_pages: f64) -> Lanes<W> {
        Lanes {
            by_key: HashMap::new(),
            order: BTreeSet::new(),
            now: 0,
            waiting: 0,
            pruned_at: 0.0,
            fractions: HashMap::new(),
            window: 0,
            past: HashMap::new(),
            pages: Pages::new(share_of_pages),
        }
    }
}

impl<W> Lanes<W> {
    /// How many calls wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether fewer than two keys were active of late.
    pub(super) fn is_lone(&self) -> bool {
        self.by_key.len() < 2
    }

    /// Whether nobody waits before a new call; services do not wait for pages that have had their share.
    pub(super) fn is_free(&self, class: Class) -> bool {
        if class == Class::Page {
            self.waiting == 0 && self.pages.may_go(0)
        } else {
            self.waiting == 0 || (self.waiting == self.pages.waiting && !self.pages.may_go(0))
        }
    }

    /// Counts a call that need not wait.
    pub(super) fn pass(&mut self, key: &Arc<str>, weight: f64, class: Class, now: f64) {
        let (virtual_now, window) = (self.now, self.window);
        let lane = self.lane(key, weight, now);
        if class != Class::Page {
            lane.promised.pop_front();
        }
        let (before, has_pages) = (lane.paid, lane.waiting() > 0);
        lane.paid = lane.paid.max(virtual_now) + lane.cost();
        lane.count(window, class == Class::Page);
        let paid = lane.paid;
        self.now = paid - lane.cost();
        if has_pages {
            self.reorder(key, before, paid);
        }
        self.pages.count(class == Class::Page, 0);
    }

    /// Takes back a call that was not made after all.
    pub(super) fn refund(&mut self, class: Class) {
        if class == Class::Page {
            self.pages.refund();
        }
    }

    fn reorder(&mut self, key: &Arc<str>, before: u64, paid: u64) {
        self.order.remove(&(before, Arc::clone(key)));
        self.order.insert((paid, Arc::clone(key)));
    }

    pub(super) fn push(&mut self, key: &Arc<str>, weight: f64, class: Class, waiter: W, now: f64) {
        let virtual_now = self.now;
        let lane = self.lane(key, weight, now);
        let was_empty = lane.waiting() == 0;
        let had_pages_alone = !was_empty && lane.services() == 0;
        let next = lane.next(virtual_now);
        match class {
            Class::Relayed => lane.relayed.push_back(waiter),
            Class::Part => lane.parts.push_back(waiter),
            Class::Page => lane.pages.push_back(waiter),
        }
        if was_empty {
            lane.paid = next;
            self.order.insert((next, Arc::clone(key)));
        } else if had_pages_alone && class != Class::Page {
            // Pages may have been passed over for long, by which services gain nothing.
            let before = std::mem::replace(&mut lane.paid, next);
            self.reorder(key, before, next);
        }
        if class != Class::Page {
            self.lane(key, weight, now).promised.pop_front();
        }
        self.waiting += 1;
        self.pages.waiting += usize::from(class == Class::Page);
    }

    /// Takes the call whose turn it is.
    pub(super) fn pop(&mut self) -> Option<W> {
        let is_for_pages = self.pages.may_go(self.waiting);
        let has_turn = |key: &str| {
            is_for_pages || self.by_key.get(key).is_some_and(|lane| lane.services() > 0)
        };
        let (paid, key) = self.order.iter().find(|(_, key)| has_turn(key))?.clone();
        self.order.remove(&(paid, Arc::clone(&key)));
        let lane = self.by_key.get_mut(&key)?;
        let is_page = lane.services() == 0;
        let waiter = lane.relayed.pop_front().or_else(|| lane.parts.pop_front());
        let waiter = waiter.or_else(|| lane.pages.pop_front());
        lane.count(self.window, is_page);
        self.pages.count(is_page, self.waiting);
        self.pages.waiting -= usize::from(is_page && waiter.is_some());
        self.now = self.now.max(paid);
        if lane.waiting() > 0 {
            lane.paid = paid + lane.cost();
            self.order.insert((lane.paid, key));
        }
        self.waiting -= usize::from(waiter.is_some());
        waiter
    }

    /// Removes the calls for which this holds.
    pub(super) fn remove(&mut self, is_gone: impl Fn(&W) -> bool) {
        for (key, lane) in &mut self.by_key {
            let before = lane.waiting();
            lane.relayed.retain(|waiter| !is_gone(waiter));
            lane.parts.retain(|waiter| !is_gone(waiter));
            let pages = lane.pages.len();
            lane.pages.retain(|waiter| !is_gone(waiter));
            self.pages.waiting -= pages - lane.pages.len();
            self.waiting -= before - lane.waiting();
            if before > 0 && lane.waiting() == 0 {
                self.order.remove(&(lane.paid, Arc::clone(key)));
                // The call that has left was not made.
                lane.paid = lane.paid.saturating_sub(lane.cost());
            }
        }
    }

    /// How many calls of all keys come, one after the other, before the one that this key would add, and that itself.
    pub(super) fn position(&self, key: &Arc<str>, weight: f64, class: Class) -> f64 {
        let new = Lane::new(weight, self.fraction(key));
        let lane = self.by_key.get(key).unwrap_or(&new);
        let ahead = match class {
            Class::Relayed => lane.relayed.len(),
            Class::Part => lane.services(),
            Class::Page => lane.waiting(),
        };
        let calls = self.calls_until(key, lane, ahead, class);
        if class == Class::Page { self.pages.slowed(calls, self.waiting) } else { calls }
    }

    /// The calls up to the one of this lane that comes after `ahead` others.
    fn calls_until(&self, key: &Arc<str>, lane: &Lane<W>, ahead: usize, class: Class) -> f64 {
        let waiting = if class == Class::Page { lane.waiting() } else { lane.services() };
        let first = if waiting > 0 { lane.paid } else { lane.next(self.now) };
        #[expect(clippy::cast_precision_loss, reason = "virtual times differ by less than 2^52")]
        let distance = first.saturating_sub(self.now) as f64 + calls(ahead) * lane.cost_of_call();
        let others = self.by_key.iter().filter(|(other, _)| *other != key);
        let (mut services, mut pages) = (calls(ahead + 1), 0.0);
        for (_, other) in others {
            let most = distance / other.cost_of_call();
            let before = calls(other.services() + other.promised.len()).min(most);
            services += before;
            pages += calls(other.pages.len()).min(most - before);
        }
        // Whoever waits that is no page has at most so many pages before it.
        let most = if class == Class::Page { pages } else { self.pages.most_beside(services) };
        services + pages.min(most)
    }

    /// This key's part of the quota, among those that wait now.
    pub(super) fn portion(&self, key: &Arc<str>, weight: f64) -> f64 {
        let others = self.order.iter().filter(|(_, other)| other != key);
        let others = others.filter_map(|(_, other)| self.by_key.get(other));
        let others: f64 = others.filter(|other| other.services() > 0).map(Lane::weight).sum();
        let mine = self.by_key.get(key).map_or(weight, Lane::weight);
        mine / (mine + others)
    }

    /// Notes that a call of this key was refused, and returns its place: behind those that wait and those that were
    /// refused before.
    ///
    /// A page's call has no place: there is no end to pages, and services would have to wait for them.
    pub(super) fn promise(&mut self, key: &Arc<str>, weight: f64, class: Class, now: f64) -> f64 {
        if class == Class::Page {
            let lane = self.lane(key, weight, now);
            lane.refused = lane.refused.saturating_add(1);
            lane.for_pages = lane.for_pages.saturating_add(1);
            return self.position(key, weight, class);
        }
        let virtual_now = self.now;
        let lane = self.lane(key, weight, now);
        lane.refused = lane.refused.saturating_add(1);
        let is_late = |(paid, at): &(u64, f64)| *paid <= virtual_now && at + LATE < now;
        while lane.promised.front().is_some_and(is_late) {
            lane.promised.pop_front();
        }
        let (waiting, promised) = (lane.services(), lane.promised.len());
        let last = match lane.promised.back() {
            Some((last, _)) => *last,
            None if waiting > 0 => lane.paid + lane.cost() * (waiting as u64 - 1),
            // Pages alone: it takes the place of the first.
            None if lane.waiting() > 0 => lane.paid.saturating_sub(lane.cost()),
            None => lane.paid.max(virtual_now),
        };
        let paid = last.max(virtual_now) + lane.cost();
        if promised < MOST_PROMISED {
            // The time is set once it is known.
            lane.promised.push_back((paid, f64::INFINITY));
        }
        let lane = self.by_key.get(key).expect("it was just found");
        let ahead = waiting + promised.min(MOST_PROMISED - 1);
        self.calls_until(key, lane, ahead, class)
    }

    /// Sets the time that was promised to the call that was refused last.
    pub(super) fn set_promised_time(&mut self, key: &Arc<str>, at: f64) {
        let lane = self.by_key.get_mut(key);
        if let Some((_, time)) = lane.and_then(|lane| lane.promised.back_mut()) {
            *time = at.min(*time);
        }
    }

    /// What each active key has wanted since this was last read.
    pub(super) fn read_demand(&mut self) -> Vec<Demand> {
        let (window, past, are_held) = (self.window, &self.past, self.pages.are_held());
        let demand = self.by_key.iter_mut().map(|(key, lane)| {
            let (made, refused, for_pages) = (lane.made, lane.refused, lane.for_pages);
            (lane.made, lane.refused, lane.for_pages) = (0, 0, 0);
            lane.pace += (f64::from(made) - lane.pace) * NEWEST;
            lane.evidence += (1.0 - lane.evidence) * NEWEST;
            let waiting = whole(lane.waiting());
            let for_pages = for_pages.saturating_add(whole(lane.pages.len()));
            let held = if are_held { for_pages } else { 0 };
            let calls = waiting.saturating_add(made).saturating_add(refused);
            let (weight, pace, evidence) = (lane.own_weight, lane.pace, lane.evidence);
            let used = lane.used(window).saturating_add(past.get(key).copied().unwrap_or_default());
            let key = Arc::clone(key);
            Demand { key, weight, calls, for_pages, held, pace, evidence, used, waiting }
        });
        let is_active = |demand: &Demand| demand.calls > 0 || demand.pace > LEAST_PACE;
        let mut active: Vec<Demand> = demand.filter(is_active).collect();
        active.sort_by(|a, b| a.key.cmp(&b.key));
        active
    }

    /// Sets which part of each key's weight counts in this process; all of it for keys that are not named.
    pub(super) fn divide_weights(&mut self, fractions: HashMap<Arc<str>, f64>) {
        self.fractions = fractions;
        for (key, lane) in &mut self.by_key {
            lane.fraction = self.fractions.get(key).copied().unwrap_or(1.0);
        }
    }

    /// The most that pages take while others call, from 0 to 1.
    pub(super) fn share_of_pages(&self) -> f64 {
        self.pages.share()
    }

    /// Notes that services have called another process that uses the quota.
    pub(super) fn note_services_elsewhere(&mut self) {
        self.pages.note_others();
    }

    /// How many windows end before a new call of a page is made.
    pub(super) fn windows_to_wait(&self, class: Class) -> f64 {
        if class == Class::Page { self.pages.windows_to_wait() } else { 0.0 }
    }

    /// Counts the calls of another window from now on, if it has begun. If others call, pages can make so many of them, if
    /// that is known.
    pub(super) fn begin_window(&mut self, window: u64, for_pages: Option<f64>) {
        self.pages.set_most(for_pages);
        if self.window != window {
            self.window = window;
            self.past.clear();
            self.pages.begin_window();
        }
    }

    /// What each key has used of the present window, and what waits.
    pub(super) fn uses(&self) -> Vec<KeyUse> {
        let active = self.by_key.iter().map(|(key, lane)| KeyUse {
            key: Arc::clone(key),
            calls: lane.used(self.window),
            waiting: whole(lane.waiting()),
        });
        let past = self.past.iter();
        let past =
            past.map(|(key, calls)| KeyUse { key: Arc::clone(key), calls: *calls, waiting: 0 });
        active.chain(past).collect()
    }

    /// Forgets keys that are not active any more, but for what they have used.
    pub(super) fn prune(&mut self, now: f64) {
        if now - self.pruned_at >= 1.0 {
            self.pruned_at = now;
            let (window, past) = (self.window, &mut self.past);
            self.by_key.retain(|key, lane| {
                let is_active = lane.waiting() > 0 || now - lane.used_at < ACTIVE;
                let used = lane.used(window);
                if !is_active && used > 0 {
                    *past.entry(Arc::clone(key)).or_default() += used;
                }
                is_active
            });
        }
    }

    fn fraction(&self, key: &str) -> f64 {
        self.fractions.get(key).copied().unwrap_or(1.0)
    }

    fn lane(&mut self, key: &Arc<str>, weight: f64, now: f64) -> &mut Lane<W> {
        if !self.by_key.contains_key(key) {
            let fraction = self.fraction(key);
            self.by_key.insert(Arc::clone(key), Lane::new(weight, fraction));
        }
        let lane = self.by_key.get_mut(key).expect("it was just inserted");
        (lane.own_weight, lane.used_at) = (weight, now);
        lane
    }
}

fn calls(count: usize) -> f64 {
    f64::from(whole(count))
}

fn whole(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
