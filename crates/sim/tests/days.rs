//! Days of calls in virtual time: whatever happens, what must hold holds.

use sim::world::World;

/// Days of each test, which run side by side; `make sim` plays more.
const DAYS: u64 = 50;

/// Plays days from this seed on, which must be good and not idle.
fn play(first: u64) {
    let (mut calls, mut crashes) = (0, 0);
    for seed in first..first + DAYS {
        let day = World::play(seed);
        let some: Vec<_> = day.complaints.iter().take(5).collect();
        assert!(day.complaints.is_empty(), "seed {seed}: {some:#?}");
        calls += day.calls;
        crashes += day.crashes;
    }
    assert!(calls > 1_000 && crashes > 10, "{calls} calls and {crashes} crashes try nothing");
}

#[test]
fn nothing_that_must_hold_is_broken_on_fifty_days() {
    play(0);
}

#[test]
fn nothing_that_must_hold_is_broken_on_fifty_other_days() {
    play(50);
}

#[test]
fn nothing_that_must_hold_is_broken_on_a_third_fifty_days() {
    play(100);
}

#[test]
fn nothing_that_must_hold_is_broken_on_a_fourth_fifty_days() {
    play(150);
}

#[test]
fn same_seed_gives_the_same_day() {
    assert_eq!(World::play(7), World::play(7));
}
