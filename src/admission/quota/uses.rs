//! Who uses a quota: what each key uses in this process, and what the leases of the others say.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::quota::{KeyUse, Lease};

/// What each key uses in all processes, the largest first. In leases, calls of a window that ends at another time than
/// `reset` do not count.
pub(super) fn add_up(own: Vec<KeyUse>, others: &[Lease], reset: Option<i64>) -> Vec<KeyUse> {
    let elsewhere = others.iter().flat_map(|lease| {
        let end = lease.reported.and_then(|reported| reported.reset);
        let is_same = end.is_none() || end == reset;
        lease.demand.iter().map(move |demand| KeyUse {
            key: Arc::clone(&demand.key),
            calls: if is_same { demand.used } else { 0 },
            waiting: demand.waiting,
        })
    });
    let mut by_key: HashMap<Arc<str>, KeyUse> = HashMap::new();
    for one in own.into_iter().chain(elsewhere) {
        let empty = || KeyUse { key: Arc::clone(&one.key), calls: 0, waiting: 0 };
        let all = by_key.entry(Arc::clone(&one.key)).or_insert_with(empty);
        all.calls = all.calls.saturating_add(one.calls);
        all.waiting = all.waiting.saturating_add(one.waiting);
    }
    let mut uses: Vec<KeyUse> = by_key.into_values().collect();
    uses.retain(|one| one.calls > 0 || one.waiting > 0);
    uses.sort_by(|a, b| {
        let place = |one: &KeyUse| Reverse((one.calls, one.waiting));
        place(a).cmp(&place(b)).then_with(|| a.key.cmp(&b.key))
    });
    uses
}
