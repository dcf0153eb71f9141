//! The pages of lists, and the parameters that ask for one.

use axum::Json;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

pub(crate) const MOST_ITEMS: u32 = 1000;

pub(crate) const ITEMS: u32 = 100;

/// How many items of a listing to return at most: 1 to 1000, by default 100.
pub(crate) struct Limit(pub(crate) u32);

impl Default for Limit {
    fn default() -> Limit {
        Limit(ITEMS)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        let limit = String::deserialize(deserializer)?.parse().ok();
        let limit = limit.filter(|limit| (1..=MOST_ITEMS).contains(limit)).map(Limit);
        let expected = format!("must be a whole number from 1 to {MOST_ITEMS}");
        limit.ok_or_else(|| D::Error::custom(expected))
    }
}

/// The `next` of the page before, in a listing with numbered items.
pub(crate) struct Before(pub(crate) i64);

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Before, D::Error> {
        let id = String::deserialize(deserializer)?.parse().map(Before);
        id.map_err(|_| D::Error::custom("must be the next of the page before"))
    }
}

/// A page of a listing, under `name`. `next` is where the next page begins: after the last item, if this page is full.
pub(crate) fn page<T, W: From<T> + Serialize, N: Serialize>(
    name: &str,
    items: Vec<T>,
    limit: &Limit,
    place: impl Fn(&T) -> N,
) -> Json<Value> {
    let next = last_of_full(&items, limit.0).map(place);
    let items: Vec<W> = items.into_iter().map(W::from).collect();
    Json(json!({ name: items, "next": next }))
}

/// The item after which the next page begins; `None` when this page has room left, so that it is the last.
pub(crate) fn last_of_full<T>(items: &[T], limit: u32) -> Option<&T> {
    items.last().filter(|_| items.len() == limit as usize)
}
