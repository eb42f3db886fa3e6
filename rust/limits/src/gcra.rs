//! The arithmetic of a rate: the generic cell rate algorithm, in nanoseconds.
//!
//! A rate of `limit` units a minute is a bucket that holds one minute's worth and drains in real time. What is in it is
//! its *level*, in nanoseconds until it is empty: a charge of `cost` units raises the level by `cost × 60 s / limit`,
//! and is allowed if the level is then at most [`PERIOD_NS`]. So the whole limit may be used at once, no window edge
//! lets twice of it through, and one number says all: the time at which the bucket will be empty.
//!
//! A charge is rounded down to a nanosecond, so that `limit` charges of one unit fit at once, for any limit. That is
//! the error of this module: with a limit of `limit` units a minute, each charge may be `limit / 60,000,000,000` of a
//! unit short.

/// What the bucket holds: one minute.
pub const PERIOD_NS: u64 = 60_000_000_000;

/// What is used beyond the limit is a debt, which later requests wait for: no longer than this, however large it was.
pub const MAX_DEBT_NS: u64 = 3_600_000_000_000;

/// By how much `units` raise the level, never by nothing unless they are none. A limit of 0 lets nothing through.
#[must_use]
pub fn cost_ns(units: u64, limit: u64) -> u64 {
    if units == 0 {
        return 0;
    }
    if limit == 0 {
        return u64::MAX;
    }
    let cost = u128::from(units) * u128::from(PERIOD_NS) / u128::from(limit);
    u64::try_from(cost).unwrap_or(u64::MAX).max(1)
}

/// How many units fit on top of a level.
#[must_use]
pub fn remaining(level_ns: u64, limit: u64) -> u64 {
    let room = PERIOD_NS.saturating_sub(level_ns);
    let units = u128::from(room) * u128::from(limit) / u128::from(PERIOD_NS);
    u64::try_from(units).unwrap_or(u64::MAX)
}

/// How long until a charge fits on top of a level; None where it never will.
#[must_use]
pub fn wait_ns(level_ns: u64, cost_ns: u64) -> Option<u64> {
    (cost_ns <= PERIOD_NS).then(|| level_ns.saturating_add(cost_ns).saturating_sub(PERIOD_NS))
}

/// The level that a debt leaves: as it was, raised by what is owed, but not beyond [`MAX_DEBT_NS`] above the limit.
#[must_use]
pub fn indebted(level_ns: u64, debt_ns: u64) -> u64 {
    level_ns.saturating_add(debt_ns).min(PERIOD_NS + MAX_DEBT_NS).max(level_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs() {
        for (units, limit, expected) in [
            (0, 5, 0),
            (0, 0, 0),
            (1, 0, u64::MAX),
            (1, 60, 1_000_000_000),
            (1, 7, 8_571_428_571),
            (7, 7, PERIOD_NS),
            (8, 7, 68_571_428_571),
            (1, u64::MAX, 1),
            (u64::MAX, 1, u64::MAX),
        ] {
            assert_eq!(cost_ns(units, limit), expected, "{units} of {limit}");
        }
    }

    #[test]
    fn the_whole_limit_fits_at_once_and_not_one_more() {
        for limit in [1, 2, 3, 5, 7, 11, 13, 60, 1_000, 7_001, 99_991] {
            let cost = cost_ns(1, limit);
            assert!(limit * cost <= PERIOD_NS, "{limit} fit");
            assert!((limit + 1) * cost > PERIOD_NS, "{limit} and one more do not");
        }
    }

    #[test]
    fn remainders_and_waits() {
        for (level, limit, left) in
            [(0, 60, 60), (1, 60, 59), (PERIOD_NS, 60, 0), (2 * PERIOD_NS, 60, 0), (0, 0, 0)]
        {
            assert_eq!(remaining(level, limit), left, "{level} of {limit}");
        }
        for (level, cost, wait) in [
            (0, PERIOD_NS, Some(0)),
            (0, PERIOD_NS + 1, None),
            (PERIOD_NS, 1_000, Some(1_000)),
            (u64::MAX, 1, Some(u64::MAX - PERIOD_NS)),
        ] {
            assert_eq!(wait_ns(level, cost), wait, "{cost} on {level}");
        }
    }

    #[test]
    fn a_debt_is_capped_and_never_lowers_the_level() {
        assert_eq!(indebted(5, 7), 12);
        assert_eq!(indebted(PERIOD_NS, u64::MAX), PERIOD_NS + MAX_DEBT_NS);
        assert_eq!(indebted(PERIOD_NS + MAX_DEBT_NS + 9, 1), PERIOD_NS + MAX_DEBT_NS + 9);
    }
}
