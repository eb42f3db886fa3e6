//! A rate in shared memory: two words that only ever grow, one compare-and-swap to charge and one to refund.
//!
//! [`gcra`] needs one number, the time at which the bucket will be empty. Here it is the difference of two: `empty =
//! charged − refunded`. A charge moves `charged`, a refund moves `refunded`, so neither can undo the other, and there
//! is no state in between that a killed process could leave behind.
//!
//! # A row that is freed meanwhile
//! The worker that frees a row clears its key, and then changes `charged`, unless that is another one than before. We
//! load `charged`, then look at the key, then compare and swap. So either our charge came first, and the row is not
//! freed; or the swap fails; or we see that the key has gone. `charged` never comes back to a value that it had: no
//! later owner's value can be mistaken for ours.
//!
//! Each step of [`Raise`] and [`Refund`] is one access to the memory. `tests.rs` runs these same steps in every
//! possible order.
//!
//! # What may be refunded
//! A request is charged an estimate, and gets back what it did not use. But what has drained in the meantime is gone:
//! given back too, it would let others use the same minute twice (reserve the whole limit, wait a minute, let another
//! reserve the whole limit, give the first one back, and a third gets in beside it). So a refund takes back only what
//! of *this* charge is surely still in the bucket. That is the larger of
//! * `cost − (now − charged at)`: even if nothing but this charge has drained since;
//! * `end − refunded − now`, at most `cost`, where `end` is the value that `charged` got by it: the bucket drains in
//!   the order in which it was filled, and each refund of another charge made this one drain at most that much earlier.
//!
//! # What holds
//! Call a charge less its refund its *net*. For any two times `s ≤ t` with a grant at `t`: the nets of all that was
//! granted from `s` to `t` are at most a minute's worth plus `t − s`. Proof:
//!
//! Let `P` be the sum of what may still be refunded of each charge, by the rule above. It is never more than the level
//! `L`. A charge raises both by its cost. A refund lowers `L` by itself and `P` by at least that. As time goes by, `L`
//! falls as fast as time, and so does `P`, by at least one charge that may no longer be refunded in full; if all of
//! them may, then the first of them ends at least its cost above `refunded + now`, the others follow without
//! overlapping up to `charged`, and so `P` is at most `charged − refunded − now`, which is `L`.
//!
//! Right after the grant at `t`, `L` is at most a minute. It is `L` just before `s`, plus what was charged since, less
//! what drained, at most `t − s`, less the refunds. Refunds of charges from before `s` are at most `P` just before `s`,
//! so at most `L` just before `s`: these two cancel out, or better. What is left are the nets: at most a minute plus `t
//! − s`.
//!
//! What is used beyond a charge is known only when the request has ended. It is put on top then, even beyond the brim,
//! and later requests wait until it has drained.
//!
//! The error: a nanosecond for each charge and refund (see [`gcra`]); and where a refund comes between two loads of a
//! charge whose caller has read the clock later, the difference of those two readings.

#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering::SeqCst;

use crate::gcra;
use crate::layout::Row;

/// How a charge went. Levels are in nanoseconds, see [`gcra`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Charge {
    /// It is in the bucket, and `end` is the place of its end, for [`refund`].
    Granted { end: u64, level: u64 },
    /// It does not fit on this level. Nothing has changed.
    Refused { level: u64 },
    /// The row is another descriptor's by now. Nothing has changed.
    Moved,
}

/// The level at a time.
pub(crate) fn level(row: Row<'_>, now: u64) -> u64 {
    empty_at(row).saturating_sub(now)
}

/// When the bucket will be empty.
pub(crate) fn empty_at(row: Row<'_>) -> u64 {
    // In this order: a refund that comes between the two loads makes the level too low by what is given back anyway.
    let charged = row.charged().load(SeqCst);
    charged.saturating_sub(row.refunded().load(SeqCst))
}

/// Put a charge into the bucket if it fits. `key`: whose row it must be; None for a row that is shared.
pub(crate) fn charge(row: Row<'_>, key: Option<u64>, now: u64, cost: u64) -> Charge {
    Raise::new(key, now, cost, Beyond::Refused).run(row)
}

/// Put what was used beyond the charge into the bucket, which may overflow: a debt.
pub(crate) fn owe(row: Row<'_>, key: Option<u64>, now: u64, debt: u64) -> Charge {
    Raise::new(key, now, debt, Beyond::Owed).run(row)
}

/// Fill the bucket up to a level, if it is not as full already.
pub(crate) fn fill(row: Row<'_>, now: u64, level: u64) {
    let _ = Raise::new(None, now, level.min(gcra::PERIOD_NS), Beyond::Filled).run(row);
}

/// A charge that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Charged {
    /// When.
    pub(crate) at: u64,
    pub(crate) cost: u64,
    /// The value that `charged` got by it.
    pub(crate) end: u64,
}

/// Give back up to `unused` of a charge: what of it has not drained yet. How much that was.
///
/// Needs no key: a row is freed only when all its charges have drained long ago, and then this gives back nothing.
pub(crate) fn refund(row: Row<'_>, now: u64, charged: Charged, unused: u64) -> u64 {
    let mut refund = Refund::new(now, charged, unused);
    loop {
        if let Some(back) = refund.step(row) {
            return back;
        }
    }
}

/// What a cost is, and what happens to what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Beyond {
    Refused,
    Owed,
    /// It is a level, to be reached.
    Filled,
}

/// A charge under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Raise {
    key: Option<u64>,
    now: u64,
    cost: u64,
    beyond: Beyond,
    at: At,
    charged: u64,
    refunded: u64,
}

/// The next access of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Charged,
    Refunded,
    Key,
    Swap,
}

impl Raise {
    fn new(key: Option<u64>, now: u64, cost: u64, beyond: Beyond) -> Self {
        Self { key, now, cost, beyond, at: At::Charged, charged: 0, refunded: 0 }
    }

    fn run(mut self, row: Row<'_>) -> Charge {
        loop {
            if let Some(charge) = self.step(row) {
                return charge;
            }
        }
    }

    /// One access to the memory. How it went, after the last one.
    #[inline]
    fn step(&mut self, row: Row<'_>) -> Option<Charge> {
        match self.at {
            At::Charged => {
                self.charged = row.charged().load(SeqCst);
                self.at = At::Refunded;
            }
            At::Refunded => {
                // A refund after this load makes the level too high, never too low: `charged` is compared below.
                self.refunded = row.refunded().load(SeqCst);
                self.at = At::Key;
            }
            At::Key => {
                if self.key.is_some_and(|key| row.key().load(SeqCst) != key) {
                    return Some(Charge::Moved);
                }
                self.at = At::Swap;
            }
            At::Swap => return self.swap(row),
        }
        None
    }

    fn swap(&mut self, row: Row<'_>) -> Option<Charge> {
        let before = self.charged.saturating_sub(self.refunded).saturating_sub(self.now);
        let level = match self.beyond {
            Beyond::Owed => gcra::indebted(before, self.cost),
            Beyond::Filled => before.max(self.cost),
            Beyond::Refused => match before.checked_add(self.cost) {
                Some(level) if level <= gcra::PERIOD_NS => level,
                _ => return Some(Charge::Refused { level: before }),
            },
        };
        let end = self.now.saturating_add(level).saturating_add(self.refunded);
        match row.charged().compare_exchange(self.charged, end, SeqCst, SeqCst) {
            Ok(_) => Some(Charge::Granted { end, level }),
            Err(now_there) => {
                self.charged = now_there;
                self.at = At::Refunded;
                None
            }
        }
    }
}

/// A refund under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Refund {
    now: u64,
    charged: Charged,
    unused: u64,
    /// As loaded, once it has been.
    refunded: Option<u64>,
}

impl Refund {
    fn new(now: u64, charged: Charged, unused: u64) -> Self {
        Self { now, charged, unused, refunded: None }
    }

    /// One access to the memory. How much was given back, after the last one.
    #[inline]
    fn step(&mut self, row: Row<'_>) -> Option<u64> {
        let Some(refunded) = self.refunded else {
            self.refunded = Some(row.refunded().load(SeqCst));
            return None;
        };
        let back = self.unused.min(self.undrained(refunded));
        if back == 0 {
            return Some(0);
        }
        match row.refunded().compare_exchange(refunded, refunded.saturating_add(back), SeqCst, SeqCst) {
            Ok(_) => Some(back),
            Err(now_there) => {
                self.refunded = Some(now_there);
                None
            }
        }
    }

    /// What of the charge is surely still in the bucket.
    fn undrained(&self, refunded: u64) -> u64 {
        let Charged { at, cost, end } = self.charged;
        let if_alone = cost.saturating_sub(self.now.saturating_sub(at));
        let in_turn = end.saturating_sub(refunded).saturating_sub(self.now).min(cost);
        if_alone.max(in_turn)
    }
}
