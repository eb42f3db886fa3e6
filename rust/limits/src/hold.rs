//! Concurrency and budgets: who has how much, in words that only their owner writes.
//!
//! There is no shared total, which a killed process could leave wrong. Each slot (worker process) has two words in the
//! row: `pending`, what it is about to take, and `held`, what it has. What is in use is the sum over all slots, and a
//! budget's `base`, its spend as the database has it. When a worker dies, its two words are set to 0, and nothing has
//! leaked.
//!
//! To take `amount`:
//! 1. publish it in our `pending`;
//! 2. read all slots, of each `pending` before `held`, and then `base`;
//! 3. if `base + Σ held + amount` exceeds the limit: withdraw, refused (if a second reading finds the same);
//! 4. if it fits only without the others' `pending`: the lowest slot of those waits until they have withdrawn or taken;
//!    a higher slot withdraws, waits until the lower one has decided, and begins again. So of two at the last unit,
//!    exactly one is served;
//! 5. else take it: raise our `held`, then clear our `pending`.
//!
//! To give back: lower `held`. To move a hold into the base: set `pending` to [`MOVING`], raise `base`, lower `held`,
//! clear `pending`. In between it counts twice; who would refuse because of it sees the mark, and waits for the
//! nanoseconds that this takes. (The base is what the database has, so it may also have what another worker has
//! committed and not moved yet. That counts twice until it has: a budget may refuse for that long, it never lets too
//! much in.)
//!
//! # Never too much
//! All accesses are sequentially consistent, so they are in one order. Look at any moment, at the holds that exist
//! then, and among them at the one, X, whose step 1 (the one that led to its step 5) came last. Every other hold Y was
//! published before that, and exists after X's reading; so during X's reading it is in Y's `pending`, or in Y's `held`,
//! or in the base. It is in `held` before it leaves `pending`, and in the base before it leaves `held`, and X reads in
//! that same order: it cannot have missed Y. So X counted all of them and itself, and found that they fit.
//!
//! What comes on top: use beyond a reservation, known only when the answer has ended ([`adjust`]).
//!
//! # Never refused for nothing
//! A refusal needs two readings in a row that find the same, and no hold on its way into the base. A single reading may
//! count twice what is given back in a slot that it has read, and taken in one that it has not.
//!
//! # Never stuck
//! Of those who wait for each other the lowest slot only waits for others to withdraw, and those do. One that is killed
//! in between is cleared by [`wipe`]; for one that is alive and does not run, the wait is bounded by the caller.
//!
//! # A row that is freed meanwhile
//! The worker that frees a row clears its key, then looks whether a slot has anything in it, and if so puts the key
//! back. We publish, then look at the key. One of the two sees the other.
//!
//! Each step of [`Acquire`] is one access to the memory. `tests.rs` runs these same steps in every possible order.

#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::layout::Row;

/// In a slot's `pending`: one of its holds is on its way into the base.
const MOVING: u64 = u64::MAX;

/// What is to be taken, by whom, and of how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    pub(crate) slot: usize,
    pub(crate) amount: u64,
    pub(crate) limit: u64,
    /// Whose row it must be; None for a row that is shared.
    pub(crate) key: Option<u64>,
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Go on.
    Next,
    /// Somebody else has to move first: let it. Go on after that, or [`Acquire::give_up`].
    Wait,
    Granted,
    /// So much is in use.
    Refused(Used),
    /// The row is another descriptor's by now. Nothing has changed.
    Moved,
}

/// One attempt to take something. Call [`Acquire::step`] until it says how it went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Acquire {
    ask: Ask,
    at: At,
    scan: Scan,
    /// What the last reading found in use, if that was too much.
    found: Option<Used>,
}

/// The next access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Publish,
    Key,
    Slots,
    Pending(usize),
    Held(usize),
    Base,
    Take,
    Clear,
    Withdraw(Step),
    /// Until this slot, a lower one, has decided.
    Behind(usize),
}

/// What has been read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Scan {
    slots: usize,
    held: u64,
    /// What others are about to take, and the first of them.
    others: u64,
    lowest: Option<usize>,
    /// Something was on its way into the base, and may have been counted twice.
    moving: bool,
}

impl Acquire {
    pub(crate) fn new(ask: Ask) -> Self {
        Self { ask, at: At::Publish, scan: Scan::default(), found: None }
    }

    /// One access to the memory. `slots_high`: how many slots were ever claimed.
    #[inline]
    pub(crate) fn step(&mut self, row: Row<'_>, slots_high: &AtomicU64) -> Step {
        let own = self.ask.slot;
        match self.at {
            At::Publish => {
                row.pending(own).store(self.ask.amount, SeqCst);
                self.at = At::Key;
            }
            At::Key => {
                let moved = self.ask.key.is_some_and(|key| row.key().load(SeqCst) != key);
                self.at = if moved { At::Withdraw(Step::Moved) } else { At::Slots };
            }
            At::Slots => {
                // A slot that is claimed after this load reads our `pending`. The file may be damaged, so no more than
                // fit.
                let slots = usize::try_from(slots_high.load(SeqCst)).unwrap_or(0);
                self.scan = Scan { slots: slots.clamp(own + 1, row.slots()), ..Scan::default() };
                self.at = At::Pending(0);
            }
            At::Pending(slot) => {
                if slot != own {
                    let pending = row.pending(slot).load(SeqCst);
                    if pending == MOVING {
                        self.scan.moving = true;
                    } else if pending > 0 {
                        self.scan.others = self.scan.others.saturating_add(pending);
                        self.scan.lowest.get_or_insert(slot);
                    }
                }
                self.at = At::Held(slot);
            }
            At::Held(slot) => {
                self.scan.held = self.scan.held.saturating_add(row.held(slot).load(SeqCst));
                self.at = if slot + 1 < self.scan.slots { At::Pending(slot + 1) } else { At::Base };
            }
            At::Base => return self.decide(row.base().load(SeqCst)),
            At::Take => {
                row.held(own).fetch_add(self.ask.amount, SeqCst);
                self.at = At::Clear;
            }
            At::Clear => {
                row.pending(own).store(0, SeqCst);
                return Step::Granted;
            }
            At::Withdraw(then) => {
                row.pending(own).store(0, SeqCst);
                self.at = self.scan.lowest.map_or(At::Publish, At::Behind);
                return then;
            }
            At::Behind(lower) => {
                if row.pending(lower).load(SeqCst) > 0 {
                    return Step::Wait;
                }
                self.at = At::Publish;
            }
        }
        Step::Next
    }

    fn decide(&mut self, base: u64) -> Step {
        let used = Used { base, held: self.scan.held, moving: false };
        let wanted = used.all().saturating_add(self.ask.amount);
        if wanted > self.ask.limit {
            if self.scan.moving {
                self.found = None;
                self.at = At::Slots;
                return Step::Wait;
            }
            let again = self.found.replace(used) != Some(used);
            self.at = if again { At::Slots } else { At::Withdraw(Step::Refused(used)) };
            return Step::Next;
        }
        self.found = None;
        if wanted.saturating_add(self.scan.others) <= self.ask.limit {
            self.at = At::Take;
            return Step::Next;
        }
        if self.scan.lowest.is_some_and(|lowest| lowest < self.ask.slot) {
            self.at = At::Withdraw(Step::Wait);
            return Step::Next;
        }
        self.at = At::Slots;
        Step::Wait
    }

    /// After [`Step::Wait`], instead of going on: nothing is pending any more.
    pub(crate) fn give_up(self, row: Row<'_>) {
        row.pending(self.ask.slot).store(0, SeqCst);
    }
}

/// Moving what a slot holds into the base. Call [`Move::step`] until it says that it is done; nothing may be taken in
/// that slot and row meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    slot: usize,
    amount: u64,
    base: u64,
    at: u8,
}

impl Move {
    /// `amount` of what the slot holds. `base`: the base with it; one that is lower than what is there changes nothing.
    pub(crate) fn new(slot: usize, amount: u64, base: u64) -> Self {
        Self { slot, amount, base, at: 0 }
    }

    /// One access to the memory. Whether it was the last one.
    pub(crate) fn step(&mut self, row: Row<'_>) -> bool {
        match self.at {
            0 => row.pending(self.slot).store(MOVING, SeqCst),
            1 => _ = row.base().fetch_max(self.base, SeqCst),
            2 => lower(row, self.slot, self.amount),
            _ => row.pending(self.slot).store(0, SeqCst),
        }
        self.at += 1;
        self.at > 3
    }
}

/// Change what a slot holds by what was really used: more, even beyond the limit, or less.
pub(crate) fn adjust(row: Row<'_>, slot: usize, from: u64, to: u64) {
    if to >= from {
        row.held(slot).fetch_add(to - from, SeqCst);
    } else {
        lower(row, slot, from - to);
    }
}

/// Never below 0: should somebody have removed a lock's file, two workers share a slot, and one of them wipes what the
/// other has. Then some of it counts for nobody, and not for more than all there is.
fn lower(row: Row<'_>, slot: usize, by: u64) {
    let held = row.held(slot);
    let _ = held.fetch_update(SeqCst, SeqCst, |held| Some(held.saturating_sub(by)));
}

/// What is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Used {
    pub(crate) base: u64,
    pub(crate) held: u64,
    /// Something is on its way into the base, and may be in both.
    pub(crate) moving: bool,
}

impl Used {
    pub(crate) fn all(self) -> u64 {
        self.base.saturating_add(self.held)
    }
}

/// What is in use now. While others take and give back, some of it may be counted twice, nothing is missed.
pub(crate) fn used(row: Row<'_>, slots_high: &AtomicU64) -> Used {
    let slots = usize::try_from(slots_high.load(SeqCst)).unwrap_or(0).min(row.slots());
    let mut used = Used::default();
    for slot in 0..slots {
        used.moving |= row.pending(slot).load(SeqCst) == MOVING;
        used.held = used.held.saturating_add(row.held(slot).load(SeqCst));
    }
    used.base = row.base().load(SeqCst);
    used
}

/// Forget what a slot has and was about to take: its worker is dead.
pub(crate) fn wipe(row: Row<'_>, slot: usize) {
    for word in [row.pending(slot), row.held(slot)] {
        // Reading first leaves pages alone that were never touched.
        if word.load(SeqCst) != 0 {
            word.store(0, SeqCst);
        }
    }
}

/// Whether no slot has anything in this row, or is about to.
pub(crate) fn is_empty(row: Row<'_>, slots_high: &AtomicU64) -> bool {
    let slots = usize::try_from(slots_high.load(SeqCst)).unwrap_or(0).min(row.slots());
    (0..slots).all(|slot| row.pending(slot).load(SeqCst) == 0 && row.held(slot).load(SeqCst) == 0)
}
