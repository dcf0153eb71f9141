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
    lanes.begin_window(1);
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
fn what_pages_have_used_is_forgotten_with_the_window() {
    let mut lanes: Lanes<u32> = Lanes::new(0.5);
    let (service, page): (Arc<str>, Arc<str>) = ("service".into(), "page".into());
    for _ in 0..100 {
        lanes.pass(&page, 1.0, Class::Page, 0.0);
    }
    for number in 0..4 {
        lanes.push(&service, 1.0, Class::Part, number, 0.0);
        lanes.push(&page, 1.0, Class::Page, 100 + number, 0.0);
    }
    assert_eq!(order(&mut lanes, 2), [0, 1], "they have had more than their share");
    lanes.begin_window(1);
    assert!(order(&mut lanes, 2).iter().any(|number| *number >= 100));
}
