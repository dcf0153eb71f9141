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

/// What one process may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Division {
    /// Its share, from 0 to 1.
    pub share: f64,
    /// The share that it can have in a moment: what the others' keys leave, and at least that of one key more.
    pub due: f64,
    /// For each key, the part of its weight that counts in this process; all of it for keys that are not named.
    pub fractions: HashMap<Arc<str>, f64>,
}

/// The part of `own` beside the leases of `others`, where `calls` can be made in a second, if that is known, and
/// `processes` are alive. The shares of all never exceed 1 together, since those of the others stay as they are
/// until each renews its own.
pub(super) fn divide(
    calls: Option<f64>,
    own: &[Demand],
    others: &[Lease],
    processes: usize,
) -> Division {
    let mut keys: BTreeMap<&Arc<str>, Key> = BTreeMap::new();
    let all = own.iter().map(|demand| (demand, true));
    let elsewhere = others.iter().flat_map(|lease| &lease.demand).map(|demand| (demand, false));
    for (demand, is_own) in all.chain(elsewhere) {
        let key = keys.entry(&demand.key).or_default();
        let wanted = f64::from(demand.calls);
        key.weight = key.weight.max(demand.weight);
        key.pace += demand.pace;
        key.evidence += demand.evidence * wanted;
        key.wanted += wanted;
        key.own += if is_own { wanted } else { 0.0 };
    }
    let calls = calls.unwrap_or_else(|| keys.values().map(|key| key.wanted).sum());
    let calls = calls.max(f64::EPSILON);
    let level = fair_level(calls, keys.values());
    let granted = |key: &Key| key.wanted.min(key.weight * level);
    let all: f64 = keys.values().map(granted).sum();
    let mine: f64 = keys.values().map(|key| granted(key) * key.own / key.wanted.max(1.0)).sum();
    let processes = f64::from(u32::try_from(processes.max(others.len() + 1)).unwrap_or(u32::MAX));
    let spare = (calls - all).max(0.0) / processes;
    let taken: f64 = others.iter().map(|lease| lease.share).sum();
    let all_keys = f64::from(u32::try_from(keys.len()).unwrap_or(u32::MAX));
    let fraction = |of: &Key| {
        // A key that has called only others yet may call this process next.
        let own = if of.own > 0.0 { of.own / of.wanted } else { 1.0 / (of.wanted + 1.0) };
        let fair = of.weight * level;
        let expected = fair * of.evidence / of.wanted;
        let correction = ((expected + DOUBT) / (of.pace + DOUBT)).clamp(LEAST, MOST);
        own * if of.wanted > fair { correction } else { 1.0 }
    };
    let fractions = keys.iter().map(|(key, of)| (Arc::clone(key), fraction(of))).collect();
    let wanted = ((mine + spare) / calls).clamp(0.0, 1.0);
    Division {
        share: wanted.min(1.0 - taken).max(0.0),
        due: (1.0 - (all - mine) / calls).max(wanted).max(1.0 / (all_keys + 1.0)).min(1.0),
        fractions,
    }
}

#[derive(Default)]
struct Key {
    weight: f64,
    wanted: f64,
    own: f64,
    pace: f64,
    /// By the calls wanted.
    evidence: f64,
}

/// The number of calls per weight that uses up `calls`, if no key gets more than it wants.
fn fair_level<'a>(calls: f64, keys: impl Iterator<Item = &'a Key>) -> f64 {
    let mut keys: Vec<&Key> = keys.collect();
    keys.sort_by(|a, b| (a.wanted / a.weight).total_cmp(&(b.wanted / b.weight)));
    let mut weights: f64 = keys.iter().map(|key| key.weight).sum();
    let mut left = calls;
    for key in keys {
        let level = left / weights;
        if key.wanted > key.weight * level {
            return level;
        }
        left -= key.wanted;
        weights -= key.weight;
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
                pace: 0.0,
                evidence: 0.0,
                used: 0,
                waiting: 0,
            })
            .collect()
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
            let found = divide(Some(calls), &demand(own), &others, 2).share;
            assert!((found - share).abs() < 1e-6, "{own:?} beside {other:?}: {found}");
        }
    }

    #[test]
    fn nobody_takes_what_others_still_hold() {
        let others = [Lease { share: 0.9, ..Lease::default() }];
        let own = demand(&[("a", 1.0, 100)]);
        assert!((divide(Some(10.0), &own, &others, 2).share - 0.1).abs() < 1e-6);
        let others = [Lease { share: 1.0, ..Lease::default() }];
        assert!(divide(Some(10.0), &own, &others, 2).share.abs() < 1e-6);
    }

    #[test]
    fn a_keys_weight_counts_where_its_calls_are() {
        let elsewhere = demand(&[("a", 1.0, 75), ("c", 1.0, 1)]);
        let others = [Lease { demand: elsewhere, ..Lease::default() }];
        let division = divide(Some(10.0), &demand(&[("a", 1.0, 25), ("b", 1.0, 5)]), &others, 2);
        let mut fractions: Vec<(&str, f64)> =
            division.fractions.iter().map(|(key, part)| (&**key, *part)).collect();
        fractions.sort_by_key(|(key, _)| *key);
        assert_eq!(fractions, [("a", 0.25), ("b", 1.0), ("c", 0.5)]);
    }
}
