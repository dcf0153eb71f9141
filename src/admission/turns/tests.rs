//! Who gets a turn, and when.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;

type Waits<'a> = Pin<Box<dyn Future<Output = Turn> + Send + 'a>>;

/// Requests places; gives the turn if it was granted at once.
fn request<'a>(turns: &'a Arc<Turns>, key: &str, places: usize) -> Result<Turn, Waits<'a>> {
    let key: Arc<str> = key.into();
    let mut waits: Waits = Box::pin(async move { turns.take(&key, places).await });
    now(&mut waits).ok_or(waits)
}

fn taken(turns: &Arc<Turns>, key: &str, places: usize) -> Turn {
    request(turns, key, places).ok().expect("the places are free")
}

fn waiting<'a>(turns: &'a Arc<Turns>, key: &str, places: usize) -> Waits<'a> {
    request(turns, key, places).expect_err("the places are taken")
}

fn now(waits: &mut Waits) -> Option<Turn> {
    match waits.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

#[test]
fn keys_are_served_round_and_round() {
    let turns = Turns::new(Rules { total: 1, each: 1, shared: 1 });
    let first = taken(&turns, "greedy", 1);
    let mut greedy: Vec<Waits> = (0..3).map(|_| waiting(&turns, "greedy", 1)).collect();
    let mut one = waiting(&turns, "one", 1);
    let mut two = waiting(&turns, "two", 1);
    drop(first);
    // It came first, so its first waiter goes before the others', and its second after them.
    let turn = now(&mut greedy[0]).expect("the first that waited");
    drop(turn);
    let turn = now(&mut one).expect("the next key");
    assert!(now(&mut two).is_none() && now(&mut greedy[1]).is_none());
    drop(turn);
    drop(now(&mut two).expect("the key after that"));
    drop(now(&mut greedy[1]).expect("the first key again"));
    drop(now(&mut greedy[2]).expect("and again, as nobody else waits"));
    assert_eq!(turns.taken(), 0);
}

#[test]
fn a_key_alone_takes_all_and_beside_others_its_share() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let all: Vec<Turn> = (0..8).map(|_| taken(&turns, "greedy", 1)).collect();
    let mut more = waiting(&turns, "greedy", 1);
    let mut others: Vec<Waits> = (0..4).map(|_| waiting(&turns, "other", 1)).collect();
    drop(all);
    assert!(others.iter_mut().all(|other| now(other).is_some()));
    assert!(now(&mut more).is_some());
    assert_eq!(turns.taken(), 0);
}

#[test]
fn beyond_its_share_a_key_lets_others_go_first() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let held = taken(&turns, "greedy", 5);
    let mut large = waiting(&turns, "other", 4);
    // Three are free, but the key holds more than its share and somebody else waits.
    let mut more = waiting(&turns, "greedy", 1);
    assert!(now(&mut more).is_none() && now(&mut large).is_none());
    drop(held);
    let _large = now(&mut large).expect("what waited first");
    assert!(now(&mut more).is_some());
}

#[test]
fn a_turn_larger_than_the_share_comes_when_its_key_holds_nothing_else() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let other = taken(&turns, "other", 1);
    let mut whole = waiting(&turns, "large", 8);
    // Nobody overtakes the large one, or it would wait for ever.
    let mut small = waiting(&turns, "other", 1);
    assert!(now(&mut small).is_none());
    drop(other);
    let whole = now(&mut whole).expect("the whole");
    assert!(now(&mut small).is_none());
    drop(whole);
    assert!(now(&mut small).is_some());
}

#[test]
fn no_key_ever_holds_more_than_its_own_limit() {
    let turns = Turns::new(Rules { total: usize::MAX, each: 2, shared: usize::MAX });
    let first = taken(&turns, "greedy", 2);
    let mut more = waiting(&turns, "greedy", 1);
    let _other = taken(&turns, "other", 1);
    assert!(now(&mut more).is_none());
    drop(first);
    assert!(now(&mut more).is_some());
}

#[test]
fn whoever_stops_waiting_holds_nobody_up() {
    let turns = Turns::new(Rules { total: 4, each: 4, shared: 4 });
    let held = taken(&turns, "a", 2);
    let large = waiting(&turns, "b", 4);
    let mut small = waiting(&turns, "c", 1);
    assert!(now(&mut small).is_none());
    drop(large);
    let small = now(&mut small).expect("the large one has gone");
    // Nor is a turn lost if its waiter has gone by the time it is granted.
    let granted = waiting(&turns, "b", 3);
    drop((held, small));
    drop(granted);
    assert_eq!(turns.taken(), 0);
    drop(taken(&turns, "c", 4));
}

#[test]
fn a_turn_grows_and_shrinks() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let mut turn = taken(&turns, "a", 1);
    let other = taken(&turns, "b", 3);
    {
        let mut grows: Pin<Box<dyn Future<Output = ()>>> = Box::pin(turn.grow_to(6));
        let mut context = Context::from_waker(Waker::noop());
        assert!(grows.as_mut().poll(&mut context).is_pending());
        // It grows beyond the share, since it is all that its key holds.
        let _waits = waiting(&turns, "b", 8);
        drop(other);
        assert!(grows.as_mut().poll(&mut context).is_ready());
    }
    assert_eq!((turn.places(), turns.taken()), (6, 6));
    turn.shrink_to(2);
    assert_eq!((turn.places(), turns.taken()), (2, 2));
    drop(turn);
    assert_eq!(turns.taken(), 0);
}

#[test]
fn work_that_is_under_way_grows_before_others_begin() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let held = taken(&turns, "other", 4);
    let mut turn = taken(&turns, "a", 1);
    let mut large = waiting(&turns, "large", 8);
    assert!(turn.try_grow_to(1) && !turn.try_grow_to(2), "others wait");
    {
        let mut grows: Pin<Box<dyn Future<Output = ()>>> = Box::pin(turn.grow_first_to(2));
        assert!(grows.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
    {
        let mut grows: Pin<Box<dyn Future<Output = ()>>> = Box::pin(turn.grow_first_to(8));
        let mut context = Context::from_waker(Waker::noop());
        assert!(grows.as_mut().poll(&mut context).is_pending());
        drop(held);
        assert!(grows.as_mut().poll(&mut context).is_ready());
    }
    assert!(now(&mut large).is_none());
    drop(turn);
    assert!(now(&mut large).is_some());
}

#[test]
fn keys_beyond_their_share_do_not_wait_for_one_another() {
    let turns = Turns::new(Rules { total: 8, each: 8, shared: 4 });
    let held = (taken(&turns, "a", 1), taken(&turns, "b", 1), taken(&turns, "c", 4));
    let mut one = waiting(&turns, "a", 4);
    let mut two = waiting(&turns, "b", 4);
    drop(held.2);
    let first = now(&mut one).expect("six are free");
    assert!(now(&mut two).is_none());
    drop(first);
    assert!(now(&mut two).is_some());
}
