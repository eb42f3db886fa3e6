//! The protocol in every order in which its accesses can happen.
//!
//! Each actor below does one access to the memory at a time, by the same code that runs in production. [`explore`] goes
//! through every state that any order of them can lead to: in none more is taken than the limit, and from each an end
//! can be reached, in which everybody has been told yes or no.

use std::collections::HashSet;

use super::*;
use crate::explore::{self, World};
use crate::free::{self, Free};

const SLOTS: usize = 3;
const ROW_WORDS: usize = 8 + 2 * SLOTS + 2;
const KEY: u64 = 77;

/// What is in memory, between two accesses.
type Memory = [u64; ROW_WORDS];

/// Somebody who does one access at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Actor {
    Taker(Taker),
    Mover(Mover),
    Sweeper(Sweeper),
    Freer(Freer),
}

/// A worker with one request: takes, and gives back if told to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Taker {
    ask: Ask,
    gives_back: bool,
    state: Taking,
    /// At some moment since it began, the limit was too small for it.
    was_full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Taking {
    Trying(Acquire),
    Holding,
    GaveBack,
    Refused,
    Moved,
    Killed,
}

/// A worker that has held since the beginning what it now moves into the base.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mover {
    step: Move,
    done: bool,
}

/// Kills a worker at any moment, then clears what it had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sweeper {
    slot: usize,
    cleared: usize,
}

/// Frees the row, unless somebody has something in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Freer {
    Freeing(Free),
    Freed,
    Kept,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    memory: Memory,
    actors: Vec<Actor>,
    limit: u64,
}

impl State {
    fn new(actors: Vec<Actor>, limit: u64) -> Self {
        let mut memory = [0; ROW_WORDS];
        memory[0] = KEY;
        for actor in &actors {
            if let Actor::Mover(mover) = actor {
                memory[8 + 2 * mover.step.slot + 1] = mover.step.amount;
            }
        }
        Self { memory, actors, limit }
    }

    /// What has truly been taken and not given back.
    fn taken(&self) -> u64 {
        let taken = |actor: &Actor| match actor {
            Actor::Taker(Taker { ask, state: Taking::Holding, .. }) => ask.amount,
            // It has decided, and raises `held` now.
            Actor::Taker(Taker { ask, state: Taking::Trying(acquire), .. })
                if matches!(acquire.at, At::Take | At::Clear) =>
            {
                ask.amount
            }
            Actor::Mover(mover) => mover.step.amount,
            _ => 0,
        };
        self.actors.iter().map(taken).sum()
    }

    /// What each taker's verdict has to be compared with.
    fn look(&mut self) {
        let taken = self.taken();
        for actor in &mut self.actors {
            if let Actor::Taker(taker) = actor
                && matches!(taker.state, Taking::Trying(_))
            {
                taker.was_full |= taken + taker.ask.amount > taker.ask.limit;
            }
        }
    }
}

impl World for State {
    fn next(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for at in 0..self.actors.len() {
            let words = self.memory.map(AtomicU64::new);
            let mut actors = self.actors.clone();
            if act(&mut actors, at, Row(&words)) {
                let memory = words.map(AtomicU64::into_inner);
                let mut next = Self { memory, actors, limit: self.limit };
                next.look();
                all.push(next);
            }
        }
        all
    }

    fn check(&self, name: &str) {
        assert!(self.taken() <= self.limit, "{name}: {} taken: {self:#?}", self.taken());
    }
}

/// One access of one actor. False: it has nothing to do (any more).
fn act(actors: &mut [Actor], at: usize, row: Row<'_>) -> bool {
    let slots_high = AtomicU64::new(SLOTS as u64);
    match actors[at].clone() {
        Actor::Taker(mut taker) => {
            match &mut taker.state {
                Taking::Trying(acquire) => match acquire.step(row, &slots_high) {
                    Step::Next | Step::Wait => {}
                    Step::Granted => taker.state = Taking::Holding,
                    Step::Refused(_) => taker.state = Taking::Refused,
                    Step::Moved => taker.state = Taking::Moved,
                },
                Taking::Holding if taker.gives_back => {
                    adjust(row, taker.ask.slot, taker.ask.amount, 0);
                    taker.state = Taking::GaveBack;
                }
                _ => return false,
            }
            actors[at] = Actor::Taker(taker);
        }
        Actor::Mover(mut mover) => {
            if mover.done {
                return false;
            }
            mover.done = mover.step.step(row);
            actors[at] = Actor::Mover(mover);
        }
        Actor::Sweeper(mut sweeper) => {
            match sweeper.cleared {
                0 => kill(actors, sweeper.slot),
                1 => row.pending(sweeper.slot).store(0, SeqCst),
                2 => row.held(sweeper.slot).store(0, SeqCst),
                _ => return false,
            }
            sweeper.cleared += 1;
            actors[at] = Actor::Sweeper(sweeper);
        }
        Actor::Freer(freer) => {
            actors[at] = Actor::Freer(match freer {
                Freer::Freeing(mut free) => match free.step(row, SLOTS) {
                    free::Step::Next => Freer::Freeing(free),
                    free::Step::Freed => Freer::Freed,
                    free::Step::Kept => Freer::Kept,
                },
                Freer::Freed | Freer::Kept => return false,
            });
        }
    }
    true
}

fn kill(actors: &mut [Actor], slot: usize) {
    for actor in actors {
        match actor {
            Actor::Taker(taker) if taker.ask.slot == slot => taker.state = Taking::Killed,
            Actor::Mover(mover) if mover.step.slot == slot => mover.done = true,
            _ => {}
        }
    }
}

fn taker(slot: usize, amount: u64, limit: u64) -> Actor {
    let ask = Ask { slot, amount, limit, key: Some(KEY) };
    let state = Taking::Trying(Acquire::new(ask));
    Actor::Taker(Taker { ask, gives_back: false, state, was_full: false })
}

fn returner(slot: usize, amount: u64, limit: u64) -> Actor {
    match taker(slot, amount, limit) {
        Actor::Taker(taker) => Actor::Taker(Taker { gives_back: true, ..taker }),
        other => other,
    }
}

fn mover(slot: usize, amount: u64) -> Actor {
    Actor::Mover(Mover { step: Move::new(slot, amount, amount), done: false })
}

fn sweeper(slot: usize) -> Actor {
    Actor::Sweeper(Sweeper { slot, cleared: 0 })
}

fn explore(name: &str, actors: Vec<Actor>, limit: u64) -> Vec<State> {
    let mut first = State::new(actors, limit);
    first.look();
    explore::explore(name, first)
}

fn granted(state: &State) -> usize {
    let granted = |actor: &&Actor| {
        matches!(actor, Actor::Taker(Taker { state: Taking::Holding | Taking::GaveBack, .. }))
    };
    state.actors.iter().filter(granted).count()
}

#[test]
fn of_those_at_the_last_units_exactly_so_many_are_served_as_fit() {
    for (name, amounts, limit, expected) in [
        ("two at the last unit", vec![(0, 1), (1, 1)], 1, 1..=1),
        ("the same, other slots", vec![(2, 1), (1, 1)], 1, 1..=1),
        ("two, and room for both", vec![(0, 1), (1, 1)], 2, 2..=2),
        ("three at the last unit", vec![(0, 1), (1, 1), (2, 1)], 1, 1..=1),
        ("three at the last two", vec![(0, 1), (1, 1), (2, 1)], 2, 2..=2),
        ("one larger than the limit is in nobody's way", vec![(0, 9), (1, 1), (2, 1)], 2, 2..=2),
        ("the same, from a higher slot", vec![(0, 1), (1, 1), (2, 9)], 2, 2..=2),
        ("unequal ones, of which any but all fit", vec![(0, 3), (1, 2), (2, 1)], 5, 2..=2),
        ("nothing of nothing", vec![(0, 0), (1, 0)], 0, 2..=2),
    ] {
        let actors = amounts.into_iter().map(|(slot, amount)| taker(slot, amount, limit)).collect();
        for end in explore(name, actors, limit) {
            assert!(expected.contains(&granted(&end)), "{name}: {end:#?}");
            assert_eq!(end.memory[8..].iter().sum::<u64>(), end.taken(), "{name}: {end:#?}");
        }
    }
}

#[test]
fn a_refusal_always_was_right_at_some_moment() {
    for (name, actors, limit) in [
        ("one gives back", vec![returner(0, 1, 1), taker(1, 1, 1)], 1),
        ("two give back", vec![returner(0, 1, 1), returner(1, 1, 1), taker(2, 1, 1)], 1),
        ("all give back", vec![returner(0, 1, 2), returner(1, 1, 2), returner(2, 1, 2)], 2),
        ("one moves into the base", vec![mover(0, 1), taker(1, 1, 2)], 2),
        ("one moves, two take", vec![mover(1, 1), taker(0, 1, 2), taker(2, 1, 2)], 2),
        ("one moves, one gives back", vec![mover(0, 2), returner(1, 1, 3), taker(2, 1, 3)], 3),
    ] {
        for end in explore(name, actors, limit) {
            for actor in &end.actors {
                if let Actor::Taker(Taker { state: Taking::Refused, was_full, .. }) = actor {
                    assert!(was_full, "{name}: {end:#?}");
                }
            }
            assert_eq!(end.memory[3] + end.memory[8..].iter().sum::<u64>(), end.taken(), "{name}: {end:#?}");
        }
    }
}

#[test]
fn a_worker_killed_at_any_moment_leaves_nothing() {
    for (name, actors, limit) in [
        ("a higher slot", vec![taker(0, 1, 1), taker(1, 1, 1), sweeper(1)], 1),
        ("a lower slot", vec![taker(0, 1, 1), taker(1, 1, 1), sweeper(0)], 1),
        ("the middle one", vec![taker(0, 1, 2), taker(1, 1, 2), taker(2, 1, 2), sweeper(1)], 2),
        ("one that gives back", vec![returner(0, 1, 1), taker(1, 1, 1), sweeper(0)], 1),
        ("one that moves", vec![mover(0, 1), taker(1, 1, 2), sweeper(0)], 2),
    ] {
        for end in explore(name, actors, limit) {
            let live = |actor: &&Actor| {
                matches!(
                    actor,
                    Actor::Taker(Taker { state: Taking::Holding | Taking::Refused | Taking::GaveBack, .. })
                )
            };
            let undecided =
                |actor: &Actor| matches!(actor, Actor::Taker(Taker { state: Taking::Trying(_), .. }));
            assert!(!end.actors.iter().any(undecided), "{name}: {end:#?}");
            assert!(end.actors.iter().filter(live).count() >= 1, "{name}");
            // What is left is the survivors', and what the mover had brought into the base.
            let held: u64 = end.memory[8..].iter().sum();
            let survivors: u64 = end.actors.iter().filter_map(holding).sum();
            assert_eq!(held, survivors, "{name}: {end:#?}");
        }
    }
}

fn holding(actor: &Actor) -> Option<u64> {
    match actor {
        Actor::Taker(Taker { ask, state: Taking::Holding, .. }) => Some(ask.amount),
        _ => None,
    }
}

#[test]
fn a_row_is_never_freed_under_somebody_who_has_something_in_it() {
    for (name, others) in [
        ("one takes", vec![taker(0, 1, 1)]),
        ("one takes and gives back", vec![returner(2, 1, 1)]),
        ("two take", vec![taker(0, 1, 2), taker(1, 1, 2)]),
    ] {
        let actors = others.into_iter().chain([Actor::Freer(Freer::Freeing(Free::new(KEY, 0)))]).collect();
        let mut outcomes = HashSet::new();
        for end in explore(name, actors, 2) {
            let freed = end.actors.contains(&Actor::Freer(Freer::Freed));
            let held: u64 = end.memory[8..].iter().sum();
            assert!(!(freed && held > 0), "{name}: {end:#?}");
            assert_eq!(end.memory[0], if freed { 0 } else { KEY }, "{name}");
            outcomes.insert(freed);
        }
        assert_eq!(outcomes.len(), 2, "{name}: both must be possible, or this shows nothing");
    }
}

#[test]
fn in_lockstep_everybody_is_told_soon() {
    for (name, amounts, limit) in [
        ("two at the last unit", vec![(0, 1), (1, 1)], 1),
        ("three at the last two", vec![(0, 1), (1, 1), (2, 1)], 2),
        ("three of which no two fit", vec![(0, 2), (1, 3), (2, 2)], 3),
    ] {
        let mut actors: Vec<_> = amounts.iter().map(|(slot, amount)| taker(*slot, *amount, limit)).collect();
        let words = State::new(actors.clone(), limit).memory.map(AtomicU64::new);
        let mut rounds = 0;
        while (0..actors.len()).filter(|at| act(&mut actors, *at, Row(&words))).count() > 0 {
            rounds += 1;
            assert!(rounds < 200, "{name}: {actors:#?}");
        }
    }
}

#[test]
fn the_explorer_finds_what_a_naive_protocol_does() {
    // Without publishing first, two read that the last unit is free, and both take it.
    let blind = |slot| {
        let ask = Ask { slot, amount: 1, limit: 1, key: None };
        let mut acquire = Acquire::new(ask);
        acquire.at = At::Slots;
        Actor::Taker(Taker { ask, gives_back: false, state: Taking::Trying(acquire), was_full: false })
    };
    let both = std::panic::catch_unwind(|| explore("naive", vec![blind(0), blind(1)], 1));
    assert!(both.is_err());
}
