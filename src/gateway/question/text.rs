//! An answer as JSON in the upstream's shape, written piece by piece: what is written is freed.

use bytes::Bytes;
use serde::Serialize;

use crate::gateway::question::merge::Merge;
use crate::gateway::question::tree::{Step, Walk};

/// Writes an answer, with one of the gateway's own members at its end.
pub struct JsonText {
    /// The text before the numbers that is not written yet.
    head: Bytes,
    walk: Walk,
    /// The text after the numbers.
    tail: Bytes,
    /// Whether the next entry is the first of its object.
    is_first: bool,
}

const NEVER_FAILS: &str = "strings, numbers and lists of them can be written to memory";

impl JsonText {
    /// Prepares to write an answer; `last` is the object's last member, with its name.
    pub fn new(merged: Merge, last: Option<(&str, &impl Serialize)>) -> JsonText {
        let is_bare = merged.grouping_count() == 0;
        let (remarks, walk) = merged.into_walk();
        let mut head = serde_json::to_vec(&remarks).expect(NEVER_FAILS);
        head.pop();
        let is_first = head.len() == 1;
        let mut tail = Vec::new();
        if let Some((name, value)) = last {
            if !(is_first && is_bare) {
                tail.push(b',');
            }
            key(&mut tail, &name);
            serde_json::to_writer(&mut tail, value).expect(NEVER_FAILS);
        }
        tail.push(b'}');
        JsonText { head: head.into(), walk, tail: tail.into(), is_first }
    }

    /// How many numbers are still to be written.
    pub fn left(&self) -> usize {
        self.walk.left()
    }

    /// Continues writing until `out` has `enough` bytes; false at the end of the answer.
    pub fn write(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        copy(&mut self.head, out, enough);
        while out.len() < enough {
            match self.walk.step() {
                Some(Step::Close) => {
                    out.push(b'}');
                    self.is_first = false;
                }
                Some(step) => {
                    if !self.is_first {
                        out.push(b',');
                    }
                    self.is_first = open(out, &step);
                }
                None => {
                    copy(&mut self.tail, out, enough);
                    break;
                }
            }
        }
        !self.tail.is_empty()
    }
}

/// Moves text to `out` until it has `enough` bytes.
fn copy(text: &mut Bytes, out: &mut Vec<u8>, enough: usize) {
    let room = enough.saturating_sub(out.len()).min(text.len());
    out.extend_from_slice(&text.split_to(room));
}

/// Writes a key and what it opens; returns whether that is an object.
fn open(out: &mut Vec<u8>, step: &Step<'_>) -> bool {
    match step {
        Step::Grouping(name) => key(out, name),
        Step::Open(text) | Step::Number(text, _) => key(out, text),
        Step::Close => (),
    }
    if let Step::Number(_, value) = step {
        out.push(b'"');
        out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes());
        out.push(b'"');
        return false;
    }
    out.push(b'{');
    true
}

fn key(out: &mut Vec<u8>, name: &impl Serialize) {
    serde_json::to_writer(&mut *out, name).expect(NEVER_FAILS);
    out.push(b':');
}
