//! Questions of all kinds, drawn at random where a table of cases would miss some.

mod case;
mod dice;
mod fewest;
mod leaves;
mod merging;
mod planning;
mod reading;
mod rows;
mod sizes;

use time::OffsetDateTime;
use time::macros::datetime;

use crate::gateway::question::Limits;
use crate::gateway::question::merge::Merge;
use crate::gateway::question::text::JsonText;

const NOW: OffsetDateTime = datetime!(2026-06-15 12:34:56 UTC);
const LIMITS: Limits = Limits { posts: 10_000, days: 365 };

/// The answer as JSON, written in pieces as small as can be.
fn as_json(merge: &Merge) -> String {
    let mut text = JsonText::new(merge.clone(), None::<(&str, &())>);
    let mut out = Vec::new();
    let mut enough = 1;
    while text.write(&mut out, enough) {
        enough = out.len() + 1;
    }
    assert_eq!(text.left(), 0);
    String::from_utf8(out).unwrap()
}
