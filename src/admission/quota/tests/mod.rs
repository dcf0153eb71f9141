//! Who gets how much of a quota, and how much of it is used.

mod world;

use crate::admission::quota::tests::world::{Caller, Process, World, X};
use crate::admission::quota::{Class, Division};
use crate::model::quota::Lease;

/// Nineteen callers that wait when they are refused, one of them with twice the weight, and a greedy one.
fn twenty(processes: usize) -> Vec<Caller> {
    let mut callers: Vec<Caller> =
        (0..18).map(|number| Caller::new(&format!("caller {number}"), 1, 4, false)).collect();
    callers.push(Caller::new("greedy", 1, 50, true));
    callers.push(Caller::new("double", 2, 8, false));
    for (number, caller) in callers.iter_mut().enumerate() {
        let all = caller.is_greedy || number % 5 == 0;
        caller.at = if all { (0..processes).collect() } else { vec![number % processes] };
    }
    callers
}

/// Greedy pages of a key, at the second process.
fn pages(key: &str, weight: u32) -> Caller {
    let mut pages = Caller::new(key, weight, 400, true);
    (pages.class, pages.at) = (Class::Page, vec![1]);
    pages
}

impl World {
    #[track_caller]
    fn is_fair(&self, tolerance: f64) {
        for (caller, share) in self.callers.iter().zip(self.shares()) {
            // Who never waits gets at most its part.
            let least = if caller.is_greedy { 0.0 } else { 1.0 - tolerance };
            assert!((least..=1.0 + tolerance).contains(&share), "{}: {share}", caller.key);
        }
    }

    #[track_caller]
    fn serves_those_who_come_back(&self) {
        for caller in self.callers.iter().filter(|caller| !caller.is_greedy) {
            let (returned, served) = caller.returned;
            assert!(served * 100 >= returned * 95, "{}: {served} of {returned}", caller.key);
        }
    }
}

#[tokio::test]
async fn keys_with_backlog_share_the_quota_by_weight_and_use_it_up() {
    for processes in [1, 3] {
        let mut world = World::new(X::new(600, 60, 20), processes, twenty(processes));
        world.run(60.0);
        world.begin();
        world.run(600.0);
        assert!((5820..=6060).contains(&world.calls), "{} of 6000 calls", world.calls);
        assert!(world.refusals <= 6, "{} refused", world.refusals);
        world.is_fair(0.05);
        world.serves_those_who_come_back();
    }
}

#[tokio::test]
async fn shares_hold_while_processes_die_the_database_is_away_and_others_use_the_quota() {
    let mut world = World::new(X::new(600, 60, 20), 3, twenty(3));
    world.run(60.0);
    world.begin();
    for minute in 0..6 {
        let victim = minute % 3;
        world.kill(victim);
        world.run(10.0);
        world.processes[victim] = Process::new(&world.clock, world.now);
        world.run(50.0);
    }
    // A process that has just begun does not know yet that calls are scarce.
    assert!(world.calls >= 3490 && world.refusals <= 18, "{} {}", world.calls, world.refusals);
    world.is_fair(0.1);

    world.begin();
    world.has_database = false;
    world.run(60.0);
    assert!(world.calls >= 582 && world.refusals == 0, "{} {}", world.calls, world.refusals);

    world.has_database = true;
    world.elsewhere = 200.0 / 60.0;
    world.run(60.0);
    world.begin();
    world.run(300.0);
    assert!(world.calls >= 1940 && world.refusals <= 4, "{} {}", world.calls, world.refusals);
    world.is_fair(0.1);
}

#[tokio::test]
async fn a_lone_key_may_use_a_window_at_once_and_then_waits_for_the_next() {
    let mut world = World::new(X::new(10, 3, 100), 1, vec![Caller::new("only", 1, 8, false)]);
    world.run(1.0);
    world.begin();
    world.run(12.0);
    let answered = world.callers[0].answered;
    assert!((38..=40).contains(&answered) && world.refusals == 0, "{answered} {}", world.refusals);
}

#[tokio::test]
async fn pages_at_one_process_leave_half_to_services_at_another() {
    let services = Caller::new("services", 1, 40, false);
    // By its weight, their key would have three quarters.
    let pages = pages("pages", 3);
    let mut world = World::new(X::new(600, 60, 20), 2, vec![services, pages]);
    world.run(120.0);
    world.begin();
    world.run(300.0);
    let [services, pages] = [0, 1].map(|caller: usize| world.callers[caller].answered);
    assert!(services >= 1450 && (1300..=1500).contains(&pages), "{services} {pages}");
    assert!(world.refusals <= 4, "{}", world.refusals);
}

#[tokio::test]
async fn a_service_that_calls_now_and_then_holds_the_pages_of_another_process_to_their_share() {
    let service = Caller::new("service", 1, 1, false);
    let pages = pages("pages", 1);
    let mut world = World::new(X::new(600, 60, 20), 2, vec![service, pages]);
    world.run(60.0);
    world.begin();
    world.run(300.0);
    let [_, pages] = [0, 1].map(|caller: usize| world.callers[caller].answered);
    assert!((1300..=1500).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_process_without_a_share_takes_an_equal_one_when_no_lease_can_be_had() {
    let mut world = World::new(X::new(600, 60, 20), 2, twenty(2));
    world.run(10.0);
    let pool = &world.processes[1].pool;
    let none = Division { due: 0.5, ..Division::default() };
    pool.set_share(none, &[Lease { share: 1.0, ..Lease::default() }]);
    assert!(pool.level().share.abs() < 1e-9);
    pool.share_equally_if_without(2);
    assert!((pool.lock().share_of_pages - 0.25).abs() < 1e-9);
    assert!((pool.level().share - 0.5).abs() < 1e-9);
    // Who has one keeps it.
    pool.share_equally_if_without(10);
    assert!((pool.level().share - 0.5).abs() < 1e-9);
}
