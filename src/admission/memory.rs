//! The one memory budget for answers while they are read, merged and sent. Memory is reserved before it is used; when
//! none is left, work waits.

use std::sync::Arc;

use bytes::Bytes;

use crate::admission::turns::{Rules, Turn, Turns};

/// The most bytes that a small hold may have.
const SMALL: usize = 256 * 1024;
/// An eighth of the budget is for small holds only, so that calls do not queue behind questions. A small hold for which
/// it has no room left queues with the large ones.
const FOR_SMALL_ONES: usize = 8;

/// The memory budget; cheap to clone.
#[derive(Clone, Debug)]
pub struct Memory {
    small: Arc<Turns>,
    large: Arc<Turns>,
    most: usize,
}

/// Memory reserved from the budget until this is dropped.
#[derive(Debug)]
pub struct Held {
    memory: Memory,
    key: Arc<str>,
    turn: Turn,
}

struct Attached<T> {
    bytes: Bytes,
    _with: T,
}

impl<T> AsRef<[u8]> for Attached<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// A budget of this many bytes.
    pub fn new(bytes: usize) -> Memory {
        let for_small_ones = bytes / FOR_SMALL_ONES;
        let most = bytes - for_small_ones;
        // Nobody waits for the small holds' memory, so each key is limited to its share from the start.
        let share = for_small_ones / 2;
        let small = Turns::new(Rules { total: for_small_ones, each: share, shared: share });
        let large = Turns::new(Rules { total: most, each: most, shared: most / 2 });
        Memory { small, large, most }
    }

    /// The most bytes that a single hold can have.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How much is held.
    pub fn held(&self) -> usize {
        self.small.taken() + self.large.taken()
    }

    /// Waits for memory in `key`'s turn. More than [`Memory::most`] is never granted.
    pub async fn hold(&self, key: &Arc<str>, bytes: usize) -> Held {
        let turn = match self.small(key, bytes) {
            Some(turn) => turn,
            None => self.large.take(key, bytes).await,
        };
        Held { memory: self.clone(), key: Arc::clone(key), turn }
    }

    /// A turn from the memory kept for small holds, if enough is left.
    fn small(&self, key: &Arc<str>, bytes: usize) -> Option<Turn> {
        if bytes <= SMALL { self.small.try_take(key, bytes) } else { None }
    }
}

impl Held {
    pub fn bytes(&self) -> usize {
        self.turn.places()
    }

    /// Waits in its turn until this much is held.
    pub async fn grow_to(&mut self, bytes: usize) {
        if !self.grows_small(bytes) {
            if self.is_large() {
                self.turn.grow_to(bytes).await;
            } else {
                self.turn = self.memory.large.take(&self.key, bytes).await;
            }
        }
    }

    /// The same ahead of all that wait: for answers being read, since others may be waiting for the memory these hold.
    pub async fn grow_first_to(&mut self, bytes: usize) {
        if !self.grows_small(bytes) {
            if !self.is_large() {
                self.turn = self.memory.large.take_first(&self.key, bytes).await;
            }
            self.turn.grow_first_to(bytes).await;
        }
    }

    fn grows_small(&mut self, bytes: usize) -> bool {
        bytes <= self.bytes()
            || (!self.is_large() && bytes <= SMALL && self.turn.try_grow_to(bytes))
    }

    fn is_large(&self) -> bool {
        self.turn.is_of(&self.memory.large)
    }

    /// Bytes that keep this hold until the last clone of them is dropped.
    pub fn attach(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Attached { bytes, _with: self })
    }

    /// Bytes that keep others, and the hold of those, until the last clone is dropped.
    pub fn beside(bytes: Bytes, others: Bytes) -> Bytes {
        Bytes::from_owner(Attached { bytes, _with: others })
    }

    /// Releases what is held beyond this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.turn.shrink_to(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<T>(waits: impl Future<Output = T>) -> Option<T> {
        match std::pin::pin!(waits).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn small_holds_never_wait_behind_large_ones() {
        let (memory, key) = (Memory::new(64 << 20), Arc::<str>::from("a"));
        let all = now(memory.hold(&key, memory.most())).expect("all of it");
        assert!(now(memory.hold(&key, SMALL + 1)).is_none());
        let small = now(memory.hold(&key, SMALL)).expect("a small hold");
        assert_eq!(memory.held(), memory.most() + SMALL);
        drop((all, small));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_hold_that_grows_large_leaves_the_small_ones() {
        let (memory, key) = (Memory::new(64 << 20), Arc::<str>::from("a"));
        let mut held = now(memory.hold(&key, 1)).unwrap();
        now(held.grow_to(memory.most())).expect("nothing else is held");
        assert_eq!((held.bytes(), memory.held()), (memory.most(), memory.most()));
        held.shrink_to(10);
        now(held.grow_to(5)).unwrap();
        assert_eq!((held.bytes(), memory.held()), (10, 10));
    }

    #[test]
    fn no_key_takes_all_that_is_kept_for_small_holds() {
        let memory = Memory::new(64 << 20);
        let (greedy, other) = (Arc::<str>::from("greedy"), Arc::<str>::from("other"));
        let _all = now(memory.hold(&other, memory.most())).unwrap();
        let held: Vec<Held> =
            std::iter::from_fn(|| now(memory.hold(&greedy, SMALL))).take(1000).collect();
        assert_eq!(held.len(), 16);
        let mut call = now(memory.hold(&other, 1024)).expect("another key's");
        now(call.grow_to(SMALL)).expect("and it may grow");
        assert!(now(call.grow_to(SMALL + 1)).is_none());
    }

    #[test]
    fn bytes_hold_their_memory_until_the_last_of_them_goes() {
        let (memory, key) = (Memory::new(64 << 20), Arc::<str>::from("a"));
        let bytes = now(memory.hold(&key, 5)).unwrap().attach(Bytes::from_static(b"12345"));
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&*part, memory.held()), (&b"23"[..], 5));
        drop(part);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_large_hold_that_shrank_grows_again_where_it_is() {
        let (memory, key) = (Memory::new(64 << 20), Arc::<str>::from("a"));
        let mut held = now(memory.hold(&key, memory.most())).unwrap();
        held.shrink_to(1);
        now(held.grow_to(2)).unwrap();
        now(held.grow_to(memory.most())).unwrap();
        assert_eq!(memory.held(), memory.most());
        drop(held);
        assert_eq!(memory.held(), 0);
    }
}
