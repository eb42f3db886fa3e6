//! Charges, refunds and the freeing of a row in every order in which their accesses can happen. See `hold/tests.rs`,
//! which is made alike.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::explore::{self, World};
use crate::free::{self, Free};

const ROW_WORDS: usize = 8;
const KEY: u64 = 77;
const LATER_KEY: u64 = 78;
const NOW: u64 = 1_000 * gcra::PERIOD_NS;
/// Of an entry that has been idle for long.
const OLD: u64 = NOW / 2;
/// A third of what fits, and a bit.
const THIRD: u64 = gcra::PERIOD_NS / 3;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Actor {
    Charger(Charger),
    Freer(Freer),
}

/// A request: charges, then gives some of it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Charger {
    key: u64,
    now: u64,
    cost: u64,
    unused: u64,
    state: Charging,
    /// At some moment since it began, the rate was too full for it.
    was_full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Charging {
    Raising(Raise),
    Refunding(Refund),
    /// What stays of its charge.
    Done(u64),
    Refused,
    Moved,
}

/// Frees the row, if it is idle, and gives it to another descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Freer {
    Look,
    Freeing(Free),
    GiveAway,
    Given,
    Kept,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    memory: [u64; ROW_WORDS],
    actors: Vec<Actor>,
}

impl Charger {
    /// What it has in the bucket.
    fn net(&self) -> u64 {
        match self.state {
            Charging::Refunding(_) => self.cost,
            Charging::Done(net) => net,
            _ => 0,
        }
    }
}

impl State {
    fn new(actors: Vec<Actor>) -> Self {
        let mut memory = [0; ROW_WORDS];
        (memory[0], memory[1], memory[2]) = (KEY, OLD + 9, 9);
        let mut first = Self { memory, actors };
        first.look();
        first
    }

    fn chargers(&self) -> impl Iterator<Item = &Charger> {
        self.actors.iter().filter_map(|actor| match actor {
            Actor::Charger(charger) => Some(charger),
            Actor::Freer(_) => None,
        })
    }

    /// What is truly in the bucket of a key.
    fn charged(&self, key: u64) -> u64 {
        self.chargers().filter(|charger| charger.key == key).map(Charger::net).sum()
    }

    fn look(&mut self) {
        let charged = [self.charged(KEY), self.charged(LATER_KEY)];
        for actor in &mut self.actors {
            if let Actor::Charger(charger) = actor
                && matches!(charger.state, Charging::Raising(_))
            {
                let there = charged[usize::from(charger.key == LATER_KEY)];
                charger.was_full |= there + charger.cost > gcra::PERIOD_NS;
            }
        }
    }
}

impl World for State {
    fn next(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for at in 0..self.actors.len() {
            let words = self.memory.map(AtomicU64::new);
            if let Some(actor) = act(self.actors[at].clone(), Row(&words)) {
                let mut next = self.clone();
                next.actors[at] = actor;
                next.memory = words.map(AtomicU64::into_inner);
                next.look();
                all.push(next);
            }
        }
        all
    }

    fn check(&self, name: &str) {
        // Who reads the clock later may be wrong by how much later that is.
        let times = || self.chargers().map(|charger| charger.now);
        let apart = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        for key in [KEY, LATER_KEY] {
            assert!(self.charged(key) <= gcra::PERIOD_NS + apart, "{name}: {self:#?}");
        }
    }
}

/// What one more access makes of an actor. None: it has ended.
fn act(actor: Actor, row: Row<'_>) -> Option<Actor> {
    match actor {
        Actor::Charger(mut charger) => {
            match &mut charger.state {
                Charging::Raising(raise) => match raise.step(row) {
                    None => {}
                    Some(Charge::Granted { end, .. }) => {
                        let granted = Charged { at: charger.now, cost: charger.cost, end };
                        charger.state =
                            Charging::Refunding(Refund::new(charger.now, granted, charger.unused));
                    }
                    Some(Charge::Refused { .. }) => charger.state = Charging::Refused,
                    Some(Charge::Moved) => charger.state = Charging::Moved,
                },
                Charging::Refunding(refund) => {
                    if let Some(back) = refund.step(row) {
                        charger.state = Charging::Done(charger.cost - back);
                    }
                }
                Charging::Done(_) | Charging::Refused | Charging::Moved => return None,
            }
            Some(Actor::Charger(charger))
        }
        Actor::Freer(freer) => Some(Actor::Freer(match freer {
            Freer::Look => {
                let charged = row.charged().load(SeqCst);
                if charged > OLD + 9 { Freer::Kept } else { Freer::Freeing(Free::new(KEY, charged)) }
            }
            Freer::Freeing(mut free) => match free.step(row, 0) {
                free::Step::Next => Freer::Freeing(free),
                free::Step::Freed => Freer::GiveAway,
                free::Step::Kept => Freer::Kept,
            },
            Freer::GiveAway => {
                row.key().store(LATER_KEY, SeqCst);
                Freer::Given
            }
            Freer::Given | Freer::Kept => return None,
        })),
    }
}

fn charger(key: u64, cost: u64, unused: u64) -> Actor {
    charger_at(NOW, key, cost, unused)
}

fn charger_at(now: u64, key: u64, cost: u64, unused: u64) -> Actor {
    let state = Charging::Raising(Raise::new(Some(key), now, cost, Beyond::Refused));
    Actor::Charger(Charger { key, now, cost, unused, state, was_full: false })
}

#[test]
fn no_charge_and_no_refund_is_lost_and_no_refusal_is_wrong() {
    for (name, costs) in [
        ("two that fit", vec![(THIRD, 0), (THIRD, THIRD)]),
        ("two that fit, and both give back", vec![(THIRD, THIRD), (THIRD, 9)]),
        ("two that do not", vec![(2 * THIRD, 0), (2 * THIRD, 0)]),
        ("two that do not, of which one gives back", vec![(2 * THIRD, 2 * THIRD), (2 * THIRD, THIRD)]),
        ("three of which two fit", vec![(THIRD + 9, 0), (THIRD + 9, 0), (THIRD + 9, 0)]),
        ("three, all give back", vec![(2 * THIRD, THIRD), (2 * THIRD, THIRD), (2 * THIRD, 2 * THIRD)]),
    ] {
        let actors = costs.into_iter().map(|(cost, unused)| charger(KEY, cost, unused)).collect();
        for end in explore::explore(name, State::new(actors)) {
            let words = end.memory.map(AtomicU64::new);
            assert_eq!(level(Row(&words), NOW), end.charged(KEY), "{name}: {end:#?}");
            for charger in end.chargers() {
                assert!(charger.state != Charging::Refused || charger.was_full, "{name}: {end:#?}");
                assert!(charger.state == Charging::Refused || charger.net() == charger.cost - charger.unused);
            }
        }
    }
}

#[test]
fn clocks_apart_are_wrong_by_no_more_than_they_are_apart() {
    for (name, apart) in [("a millisecond", 1_000_000), ("a third of a minute", THIRD)] {
        let actors = vec![
            charger(KEY, 2 * THIRD, 2 * THIRD),
            charger_at(NOW + apart, KEY, 2 * THIRD, 0),
            charger_at(NOW + apart, KEY, THIRD, 0),
        ];
        explore::explore(name, State::new(actors));
    }
}

#[test]
fn a_row_that_is_freed_and_given_away_takes_no_charge_of_its_former_owner() {
    let actors = vec![
        charger(KEY, THIRD, 0),
        charger(KEY, THIRD, THIRD),
        charger(LATER_KEY, 2 * THIRD, 0),
        Actor::Freer(Freer::Look),
    ];
    let mut outcomes = HashSet::new();
    for end in explore::explore("freed", State::new(actors)) {
        let words = end.memory.map(AtomicU64::new);
        let row = Row(&words);
        let (owner, other) = if row.key().load(SeqCst) == KEY { (KEY, LATER_KEY) } else { (LATER_KEY, KEY) };
        assert_eq!(level(row, NOW), end.charged(owner), "{end:#?}");
        assert_eq!(end.charged(other), 0, "{end:#?}");
        outcomes.insert((owner, end.charged(owner)));
    }
    assert!(outcomes.contains(&(KEY, THIRD)) && outcomes.contains(&(LATER_KEY, 2 * THIRD)), "{outcomes:?}");
}
