//! Dividing a quota among processes by what each key wants in each of them. A pure function of what they have written
//! down, so that each of them can compute its own part.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::quota::{Demand, Lease};

/// How far a key's weight is corrected if it got more, or less, than its part.
const LEAST: f64 = 0.5;
const MOST: f64 = 2.0;
/// Calls per second that matter little for that.
const DOUBT: f64 = 0.02;

/// Calls per second that pages can have in all processes where none have called yet.
const LITTLE: f64 = 0.1;

/// What one process may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Division {
    /// Its share, from 0 to 1.
    pub share: f64,
    /// The share that it can have in a moment: what the others' keys leave, and at least that of one key more.
    pub due: f64,
    /// The share that its pages can have while anybody else calls: their part of what pages can have.
    pub share_of_pages: f64,
    /// For each key, the part of its weight that counts in this process; all of it for keys that are not named.
    pub fractions: HashMap<Arc<str>, f64>,
}

/// What there is to divide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    /// Calls that can be made in a second, if that is known.
    pub(super) calls: Option<f64>,
    /// Processes that are alive.
    pub(super) processes: usize,
    /// The most that pages take of it while anybody else calls, from 0 to 1.
    pub(super) share_of_pages: f64,
}

/// The part of `own` beside the leases of `others`. The shares of all never exceed 1 together, since those of the others
/// stay as they are until each renews its own.
pub(super) fn divide(total: Total, own: &[Demand], others: &[Lease]) -> Division {
    let mut keys: BTreeMap<&Arc<str>, Key> = BTreeMap::new();
    let all = own.iter().map(|demand| (demand, true));
    let elsewhere = others.iter().flat_map(|lease| &lease.demand).map(|demand| (demand, false));
    for (demand, is_own) in all.chain(elsewhere) {
        let key = keys.entry(&demand.key).or_default();
        key.weight = key.weight.max(demand.weight);
        key.pace += demand.pace;
        key.evidence += demand.evidence * f64::from(demand.calls);
        key.asked += f64::from(demand.calls);
        key.services.add(demand.calls.saturating_sub(demand.for_pages), is_own);
        key.pages.add(demand.for_pages.saturating_sub(demand.held), is_own);
        key.all_pages.add(demand.for_pages, is_own);
    }
    let sum = |of: fn(&Key) -> f64| keys.values().map(of).sum::<f64>();
    let (services, pages) = (sum(|key| key.services.wanted), sum(|key| key.pages.wanted));
    let calls = total.calls.unwrap_or(services + pages).max(f64::EPSILON);
    if services > 0.0 && total.share_of_pages < 1.0 {
        let most = (calls * total.share_of_pages / pages.max(f64::EPSILON)).min(1.0);
        for key in keys.values_mut() {
            key.pages.shrink(most);
        }
    }
    let level = fair_level(calls, keys.values().map(|key| (key.wanted(), key.weight)));
    let all: f64 = keys.values().map(|key| key.granted(level)).sum();
    let mine: f64 = keys.values().map(|key| key.granted_own(level)).sum();
    let processes = total.processes.max(others.len() + 1);
    let processes = f64::from(u32::try_from(processes).unwrap_or(u32::MAX));
    let spare = (calls - all).max(0.0) / processes;
    let taken: f64 = others.iter().map(|lease| lease.share).sum();
    let all_keys = f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX));
    let fraction = |of: &Key| {
        let wanted = of.wanted();
        // A key that has called only others yet may call this process next.
        let has_called = of.services.own + of.pages.own > 0.0;
        let own = if has_called {
            of.granted_own(level) / of.granted(level)
        } else {
            1.0 / (wanted + 1.0)
        };
        let fair = of.weight * level;
        let expected = fair * of.evidence / of.asked;
        let correction = ((expected + DOUBT) / (of.pace + DOUBT)).clamp(LEAST, MOST);
        own * if wanted > fair { correction } else { 1.0 }
    };
    let fractions = keys.iter().map(|(key, of)| (Arc::clone(key), fraction(of))).collect();
    let wanted = ((mine + spare) / calls).clamp(0.0, 1.0);
    Division {
        share: wanted.min(1.0 - taken).max(0.0),
        due: (1.0 - (all - mine) / calls).max(wanted).max(1.0 / (all_keys + 1.0)).min(1.0),
        share_of_pages: total.share_of_pages
            * part_of_pages(calls * total.share_of_pages, keys.values(), processes),
        fractions,
    }
}

/// This process's part of what pages can have, where that is so many calls: by what the pages of each key want and its
/// weight, as though they were alone.
fn part_of_pages<'a>(
    calls: f64,
    keys: impl Iterator<Item = &'a Key> + Clone,
    processes: f64,
) -> f64 {
    let pages = keys.clone().map(|key| (key.all_pages.wanted, key.weight));
    let level = fair_level(calls, pages);
    let (mut all, mut own) = (0.0, 0.0);
    for key in keys {
        let granted = key.all_pages.wanted.min(key.weight * level);
        all += granted;
        own += key.all_pages.own_of(granted);
    }
    // A little more, so that pages may begin to call this process.
    (own + LITTLE / processes) / (all + LITTLE)
}

#[derive(Default)]
struct Key {
    weight: f64,
    services: Wish,
    /// Without those that are held.
    pages: Wish,
    /// With them: what others then have of this window is not theirs.
    all_pages: Wish,
    pace: f64,
    /// By the calls asked for.
    evidence: f64,
    asked: f64,
}

/// Calls that are wanted in all processes, and of these those in this one.
#[derive(Default)]
struct Wish {
    wanted: f64,
    own: f64,
}

impl Wish {
    fn add(&mut self, calls: u32, is_own: bool) {
        self.wanted += f64::from(calls);
        self.own += if is_own { f64::from(calls) } else { 0.0 };
    }

    fn shrink(&mut self, to: f64) {
        self.wanted *= to;
        self.own *= to;
    }

    /// This process's part of what is granted of it.
    fn own_of(&self, granted: f64) -> f64 {
        if self.wanted > 0.0 { granted * self.own / self.wanted } else { 0.0 }
    }
}

impl Key {
    fn wanted(&self) -> f64 {
        self.services.wanted + self.pages.wanted
    }

    /// The calls that it gets, with so many for each unit of weight.
    fn granted(&self, level: f64) -> f64 {
        self.wanted().min(self.weight * level)
    }

    /// Those of them for this process: services come before pages.
    fn granted_own(&self, level: f64) -> f64 {
        let granted = self.granted(level);
        let services = self.services.wanted.min(granted);
        self.services.own_of(services) + self.pages.own_of(granted - services)
    }
}

/// The number of calls per weight that uses up `calls`, if nobody gets more than it wants: each is given by what it wants
/// and its weight.
fn fair_level(calls: f64, wishes: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut wishes: Vec<(f64, f64)> = wishes.collect();
    wishes.sort_by(|(a, a_weight), (b, b_weight)| (a / a_weight).total_cmp(&(b / b_weight)));
    let mut weights: f64 = wishes.iter().map(|(_, weight)| weight).sum();
    let mut left = calls;
    for (wanted, weight) in wishes {
        let level = left / weights;
        if wanted > weight * level {
            return level;
        }
        left -= wanted;
        weights -= weight;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(of: &[(&str, f64, u32)]) -> Vec<Demand> {
        of.iter()
            .map(|(key, weight, calls)| Demand {
                key: (*key).into(),
                weight: *weight,
                calls: *calls,
                for_pages: 0,
                held: 0,
                pace: 0.0,
                evidence: 0.0,
                used: 0,
                waiting: 0,
            })
            .collect()
    }

    fn of(calls: f64) -> Total {
        Total { calls: Some(calls), processes: 2, share_of_pages: 0.5 }
    }

    fn for_pages(key: &str, calls: u32) -> Demand {
        Demand { for_pages: calls, ..demand(&[(key, 1.0, calls)]).remove(0) }
    }

    #[test]
    fn pages_have_at_most_their_share_while_services_call() {
        let pages = |key: &str, calls: u32| vec![for_pages(key, calls)];
        for (own, other, share, share_of_pages) in [
            // The services of a key come before its pages, wherever both call.
            (pages("a", 90), demand(&[("a", 1.0, 8)]), 0.2, 0.495),
            (pages("a", 90), demand(&[("a", 1.0, 80)]), 0.0, 0.495),
            (pages("a", 90), demand(&[("b", 1.0, 80)]), 0.5, 0.495),
            // What services do not want is divided equally, as ever.
            (pages("a", 90), demand(&[("b", 1.0, 1)]), 0.7, 0.495),
            // Pages that are held leave the rest to services, and keep what they had of their own part.
            (
                vec![Demand { held: 90, ..for_pages("a", 90) }],
                demand(&[("b", 1.0, 80)]),
                0.0,
                0.495,
            ),
            // Nobody else calls.
            (pages("a", 30), pages("b", 90), 0.5, 0.25),
            (vec![], pages("a", 90), 0.0, 0.005),
        ] {
            let others = [Lease { demand: other, ..Lease::default() }];
            let found = divide(of(10.0), &own, &others);
            assert!((found.share - share).abs() < 0.01, "{own:?} beside {others:?}: {found:?}");
            let difference = found.share_of_pages - share_of_pages;
            assert!(difference.abs() < 0.01, "{own:?} beside {others:?}: {found:?}");
        }
    }

    #[test]
    fn pages_do_not_add_to_the_weight_of_their_key() {
        for held in [0, 400] {
            let long = |demand: Demand| Demand { evidence: 1.0, pace: 5.0, ..demand };
            let busy = Demand { calls: 440, held, ..for_pages("a", 400) };
            let own = [long(busy), long(demand(&[("b", 1.0, 80)]).remove(0))];
            let division = divide(of(10.0), &own, &[]);
            for key in ["a", "b"] {
                let fraction = division.fractions[key];
                assert!((fraction - 1.0).abs() < 0.01, "{key}: {fraction}");
            }
        }
    }

    #[test]
    fn a_quota_is_divided_by_what_keys_want_and_their_weights() {
        for (calls, own, other, share) in [
            (10.0, &[("a", 1.0, 100)][..], &[("b", 1.0, 100)][..], 0.5),
            (10.0, &[("a", 3.0, 100)], &[("b", 1.0, 100)], 0.75),
            (10.0, &[("a", 1.0, 2)], &[("b", 1.0, 100)], 0.2),
            // What nobody wants is divided equally.
            (10.0, &[("a", 1.0, 2)], &[("b", 1.0, 4)], 0.4),
            (10.0, &[], &[], 0.5),
            (10.0, &[], &[("b", 1.0, 100)], 0.0),
            // A key in both processes counts once.
            (10.0, &[("a", 1.0, 50)], &[("a", 1.0, 50), ("b", 1.0, 100)], 0.25),
            (10.0, &[("a", 1.0, 30), ("b", 1.0, 100)], &[("a", 1.0, 10)], 0.875),
            (0.0, &[("a", 1.0, 5)], &[("b", 1.0, 500)], 0.5),
        ] {
            let others = [Lease { demand: demand(other), ..Lease::default() }];
            let found = divide(of(calls), &demand(own), &others).share;
            assert!((found - share).abs() < 1e-6, "{own:?} beside {other:?}: {found}");
        }
    }

    #[test]
    fn nobody_takes_what_others_still_hold() {
        let others = [Lease { share: 0.9, ..Lease::default() }];
        let own = demand(&[("a", 1.0, 100)]);
        assert!((divide(of(10.0), &own, &others).share - 0.1).abs() < 1e-6);
        let others = [Lease { share: 1.0, ..Lease::default() }];
        assert!(divide(of(10.0), &own, &others).share.abs() < 1e-6);
    }

    #[test]
    fn a_keys_weight_counts_where_its_calls_are() {
        let elsewhere = demand(&[("a", 1.0, 75), ("c", 1.0, 1)]);
        let others = [Lease { demand: elsewhere, ..Lease::default() }];
        let division = divide(of(10.0), &demand(&[("a", 1.0, 25), ("b", 1.0, 5)]), &others);
        let mut fractions: Vec<(&str, f64)> =
            division.fractions.iter().map(|(key, part)| (&**key, *part)).collect();
        fractions.sort_by_key(|(key, _)| *key);
        assert_eq!(fractions, [("a", 0.25), ("b", 1.0), ("c", 0.5)]);
    }
}
