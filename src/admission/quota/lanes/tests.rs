//! Whose turn it is.

use super::*;

#[test]
fn what_an_idle_key_has_used_counts_until_the_window_ends() {
    let mut lanes: Lanes<()> = Lanes::new(0.5);
    let key: Arc<str> = "a".into();
    lanes.pass(&key, 1.0, Class::Relayed, 0.0);
    lanes.pass(&key, 1.0, Class::Relayed, 0.0);
    lanes.prune(100.0);
    assert!(lanes.by_key.is_empty(), "it is not active any more");
    lanes.pass(&key, 1.0, Class::Relayed, 200.0);
    let used = |lanes: &Lanes<()>| lanes.uses().iter().map(|one| one.calls).sum::<u32>();
    assert_eq!((used(&lanes), lanes.read_demand()[0].used), (3, 3));
    lanes.begin_window(1, None);
    assert_eq!(used(&lanes), 0);
}

/// The next calls by their numbers: those of pages are above 100.
fn order(lanes: &mut Lanes<u32>, count: usize) -> Vec<u32> {
    (0..count).filter_map(|_| lanes.pop()).collect()
}

#[test]
fn pages_take_at_most_their_share_while_anybody_else_waits() {
    for (share, most) in [(0.0, 0), (0.25, 5), (0.5, 10)] {
        let mut lanes: Lanes<u32> = Lanes::new(share);
        let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
        for number in 0..30 {
            lanes.push(&service, 1.0, Class::Part, number, 0.0);
            // A key with a hundred times the weight gets no more for its pages.
            lanes.push(&page, 100.0, Class::Page, 100 + number, 0.0);
        }
        let taken = order(&mut lanes, 20);
        let pages = taken.iter().filter(|number| **number >= 100).count();
        assert_eq!(pages, most, "{share}: {taken:?}");
        // Once nobody else waits, they get the rest.
        let rest = order(&mut lanes, 60);
        assert_eq!(taken.len() + rest.len(), 60);
        assert_eq!(lanes.waiting(), 0);
    }
}

#[test]
fn a_keys_own_services_come_before_its_pages() {
    let mut lanes: Lanes<u32> = Lanes::new(1.0);
    let key: Arc<str> = "both".into();
    for (number, class) in
        [(100, Class::Page), (1, Class::Part), (0, Class::Relayed), (101, Class::Page)]
    {
        lanes.push(&key, 1.0, class, number, 0.0);
    }
    assert_eq!(order(&mut lanes, 9), [0, 1, 100, 101]);
}

#[test]
fn pages_that_have_left_do_not_hold_up_others() {
    let mut lanes: Lanes<u32> = Lanes::new(0.5);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    for number in 0..4 {
        lanes.push(&page, 1.0, Class::Page, 100 + number, 0.0);
        lanes.push(&service, 1.0, Class::Part, number, 0.0);
    }
    lanes.remove(|number| *number < 2 || *number == 100);
    assert_eq!(lanes.waiting(), 5);
    let mut all = order(&mut lanes, 9);
    all.sort_unstable();
    assert_eq!((all, lanes.waiting()), (vec![2, 3, 101, 102, 103], 0));
}

#[test]
fn what_pages_took_of_a_window_is_forgotten_with_it_and_counts_only_beside_others() {
    let mut lanes: Lanes<u32> = Lanes::new(0.5);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    // Nobody else wanted these.
    for _ in 0..100 {
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
    for number in 0..9 {
        lanes.push(&service, 1.0, Class::Part, number, 0.0);
        lanes.push(&page, 100.0, Class::Page, 100 + number, 0.0);
    }
    let pages = |taken: &[u32]| taken.iter().filter(|number| **number >= 100).count();
    assert_eq!(pages(&order(&mut lanes, 5)), 2);
    lanes.begin_window(1, None);
    assert_eq!(pages(&order(&mut lanes, 1)), 0, "the next of a window is a service's");
}

/// Pages that were passed over for long owe their key's services nothing.
#[test]
fn a_keys_services_gain_nothing_by_pages_that_had_to_wait() {
    let mut lanes: Lanes<u32> = Lanes::new(0.0);
    let (other, both): (Arc<str>, Arc<str>) = ("other".into(), "both".into());
    lanes.push(&both, 1.0, Class::Page, 1000, 0.0);
    for number in 0..300 {
        lanes.push(&other, 1.0, Class::Part, number, 0.0);
    }
    assert_eq!(order(&mut lanes, 200).len(), 200);
    for number in 0..50 {
        lanes.push(&both, 1.0, Class::Part, 2000 + number, 0.0);
    }
    let next = order(&mut lanes, 20);
    let others = next.iter().filter(|number| **number < 1000).count();
    assert!((9..=11).contains(&others), "{next:?}");
}

#[test]
fn services_are_not_told_to_wait_for_pages_that_may_not_go() {
    let mut lanes: Lanes<u32> = Lanes::new(0.25);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    for number in 0..500 {
        lanes.push(&page, 100.0, Class::Page, number, 0.0);
    }
    let expected = lanes.position(&service, 1.0, Class::Part);
    assert!(expected < 3.0, "{expected}");
    lanes.push(&service, 1.0, Class::Part, 1000, 0.0);
    assert!(lanes.position(&page, 100.0, Class::Page) >= 2000.0);
    assert!((lanes.portion(&service, 1.0) - 1.0).abs() < 1e-9);
    // Refused pages take nobody's place.
    for _ in 0..50 {
        lanes.promise(&page, 100.0, Class::Page, 0.0);
    }
    assert!(lanes.position(&page, 100.0, Class::Part) < 4.0);
}

#[test]
fn pages_leave_the_rest_of_a_window_to_others_who_call() {
    let mut lanes: Lanes<u32> = Lanes::new(0.5);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    lanes.begin_window(1, Some(5.0));
    lanes.pass(&service, 1.0, Class::Part, 0.0);
    for _ in 0..5 {
        assert!(lanes.is_free(Class::Page));
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
    assert!(!lanes.is_free(Class::Page));
    lanes.push(&page, 1.0, Class::Page, 100, 0.0);
    assert_eq!(lanes.pop(), None);
    assert!((lanes.windows_to_wait(Class::Page) - 1.0).abs() < 1e-9);
    // Services do not wait for them, whether of this key or of another.
    assert!(lanes.is_free(Class::Part) && lanes.is_free(Class::Relayed));
    lanes.pass(&page, 1.0, Class::Part, 0.0);
    lanes.push(&service, 1.0, Class::Part, 1, 0.0);
    assert_eq!(order(&mut lanes, 9), [1]);
    // The next window begins with what is known of this one.
    lanes.begin_window(2, Some(5.0));
    assert_eq!(order(&mut lanes, 9), [100]);
    for _ in 0..4 {
        assert!(lanes.is_free(Class::Page));
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
    assert!(!lanes.is_free(Class::Page));
    // Nobody else has called for a whole window.
    lanes.begin_window(3, Some(5.0));
    for _ in 0..10 {
        assert!(lanes.is_free(Class::Page));
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
}

/// A key with pages in its lane has its part of the calls, one service after the other.
#[test]
fn pages_that_wait_cost_their_keys_services_nothing() {
    let mut lanes: Lanes<u32> = Lanes::new(0.0);
    let (other, both): (Arc<str>, Arc<str>) = ("other".into(), "both".into());
    for number in 0..200 {
        lanes.push(&both, 1.0, Class::Page, 1000 + number, 0.0);
        lanes.push(&other, 1.0, Class::Part, number, 0.0);
    }
    let mut of_both = 0;
    lanes.push(&both, 1.0, Class::Part, 500, 0.0);
    for _ in 0..100 {
        if lanes.pop() == Some(500) {
            of_both += 1;
            lanes.push(&both, 1.0, Class::Part, 500, 0.0);
        }
    }
    assert!((49..=51).contains(&of_both), "{of_both}");
    // A refused one waits for services alone.
    let place = lanes.promise(&both, 1.0, Class::Part, 0.0);
    assert!(place < 5.0, "{place}");
}

#[test]
fn a_pages_call_that_was_not_made_is_given_back() {
    let mut lanes: Lanes<u32> = Lanes::new(0.5);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    lanes.begin_window(1, Some(2.0));
    lanes.pass(&service, 1.0, Class::Part, 0.0);
    for _ in 0..2 {
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
    assert!(!lanes.is_free(Class::Page));
    lanes.refund(Class::Part);
    assert!(!lanes.is_free(Class::Page));
    lanes.refund(Class::Page);
    assert!(lanes.is_free(Class::Page));
}
