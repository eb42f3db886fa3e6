//! A rate in shared memory: two words that only ever grow, one compare-and-swap to charge and one to refund.
//!
//! [`gcra`](crate::gcra) needs one number, the time at which the bucket will be empty. Here it is the difference of two:
//! `empty = charged − refunded`. A charge moves `charged`, a refund moves `refunded`, so neither can undo the other, and
//! there is no state in between that a killed process could leave behind.
//!
//! # What may be refunded
//! A request is charged an estimate, and gets back what it did not use. But what has drained in the meantime is gone: given
//! back too, it would let others use the same minute twice (reserve the whole limit, wait a minute, let another reserve
//! the whole limit, give the first one back, and a third gets in beside it). So a refund takes back only what is still in
//! the bucket of *this* charge. The bucket drains in the order in which it was filled; a charge that ended at `charged = end`
//! has been drained completely at the time `end − refunded`, where `refunded` is today's: each refund of another charge
//! made this one drain at most that much earlier. Therefore at most `end − refunded − now` is given back.
//!
//! # What holds
//! Call a charge less its refund its *net*. For any two times `s ≤ t` with a grant at `t`: the nets of all that was granted
//! from `s` to `t` are at most a minute's worth plus `t − s`.
//!
//! Think of the bucket's content as layers, one for each charge, which drain from the bottom. Right after the grant the level
//! is at most a minute: that is what was allowed. So what was charged from `s` on is at most that, plus what has left the
//! bucket of those layers since: by draining, at most `t − s`; or by refunds, and those count in no net. A refund of a layer
//! from before `s` takes from that layer only what is still in it (that is the rule above), so it makes no room that a later
//! layer's draining has not paid for.
//!
//! What is used beyond a charge is known only when the request has ended. It is put on top then, even beyond the brim, and
//! later requests wait until it has drained.
//!
//! The error: a nanosecond for each charge and refund (see [`gcra`]); and where a refund comes between two loads of a
//! charge whose caller has read the clock later, the difference of those two readings.

use std::sync::atomic::Ordering::SeqCst;

use crate::gcra;
use crate::layout::Row;

/// How a charge went. Levels are in nanoseconds, see [`gcra`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    raise(row, key, now, |level| {
        level.checked_add(cost).filter(|raised| *raised <= gcra::PERIOD_NS).ok_or(level)
    })
}

/// Put what was used beyond the charge into the bucket, which may overflow: a debt.
pub(crate) fn owe(row: Row<'_>, key: Option<u64>, now: u64, debt: u64) -> Charge {
    raise(row, key, now, |level| Ok(gcra::indebted(level, debt)))
}

/// Fill the bucket up to a level, if it is not as full already.
pub(crate) fn fill(row: Row<'_>, now: u64, level: u64) {
    let _ = raise(row, None, now, |known| Ok(known.max(level.min(gcra::PERIOD_NS))));
}

fn raise(row: Row<'_>, key: Option<u64>, now: u64, to: impl Fn(u64) -> Result<u64, u64>) -> Charge {
    let mut charged = row.charged().load(SeqCst);
    loop {
        // A refund after this load makes the level too high, never too low: `charged` is compared below.
        let refunded = row.refunded().load(SeqCst);
        // After the load of `charged`, which whoever frees the row changes after its key: see `directory`.
        if key.is_some_and(|key| row.key().load(SeqCst) != key) {
            return Charge::Moved;
        }
        let level = match to(charged.saturating_sub(refunded).saturating_sub(now)) {
            Ok(level) => level,
            Err(level) => return Charge::Refused { level },
        };
        let end = now.saturating_add(level).saturating_add(refunded);
        match row.charged().compare_exchange_weak(charged, end, SeqCst, SeqCst) {
            Ok(_) => return Charge::Granted { end, level },
            Err(now_there) => charged = now_there,
        }
    }
}

/// Give back up to `unused` of the charge that ended at `end`: what of it has not drained yet. How much that was.
///
/// Needs no key: a row is freed only when all its charges have drained long ago, and then this gives back nothing.
pub(crate) fn refund(row: Row<'_>, now: u64, end: u64, unused: u64) -> u64 {
    let mut refunded = row.refunded().load(SeqCst);
    loop {
        let back = unused.min(end.saturating_sub(refunded).saturating_sub(now));
        if back == 0 {
            return 0;
        }
        match row.refunded().compare_exchange_weak(refunded, refunded + back, SeqCst, SeqCst) {
            Ok(_) => return back,
            Err(now_there) => refunded = now_there,
        }
    }
}
