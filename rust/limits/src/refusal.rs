//! Which limit said no, and when it will not.

use crate::gcra;
use crate::hold::Used;
use crate::plan::{HoldUnit, Plan};
use crate::strictest::Strictest;

/// When to ask again for a place among those at once: nobody knows when one of them will end.
const PLACE_RETRY_NS: u64 = 1_000_000_000;

/// A limit that says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which: the rates of the plan come first, then its holds.
    pub index: usize,
    /// A rate, not a hold.
    pub is_rate: bool,
    /// When to ask again; None where waiting does not help: a budget (until its window ends), a request that is larger
    /// than the limit, a limit of 0.
    pub retry_after_ns: Option<u64>,
    /// Its number.
    pub limit: u64,
    /// What it would still let through.
    pub remaining: u64,
    /// Of a budget: its base, what has been spent for good. The rest of what is in use is held by requests that are
    /// under way, and may yet come back in part.
    pub spent: u64,
}

/// Nothing was taken of any limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of several that say no, the one that will do so for the longest.
    pub verdict: Verdict,
    /// Of each unit, what the strictest rate leaves.
    pub strictest: Strictest,
    /// What [`Plan::least_left`] was, as a header says it.
    pub least_left: Option<String>,
}

impl Verdict {
    pub(crate) fn of_rate(plan: &Plan, index: usize, level: u64, cost: u64) -> Self {
        let limit = plan.rates[index].limit;
        let remaining = gcra::remaining(level, limit);
        Self { index, is_rate: true, retry_after_ns: gcra::wait_ns(level, cost), limit, remaining, spent: 0 }
    }

    pub(crate) fn of_hold(plan: &Plan, index: usize, used: Used) -> Self {
        let hold = &plan.holds[index];
        let is_place = hold.unit == HoldUnit::Requests && hold.limit > 0;
        Self {
            index: plan.rates.len() + index,
            is_rate: false,
            retry_after_ns: is_place.then_some(PLACE_RETRY_NS),
            limit: hold.limit,
            remaining: hold.limit.saturating_sub(used.all()),
            spent: used.base,
        }
    }

    /// The one that says no for longer; of equal ones the first.
    pub(crate) fn stricter(self, other: Self) -> Self {
        let forever = |verdict: &Self| verdict.retry_after_ns.map_or(u128::MAX, u128::from);
        if forever(&other) > forever(&self) { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_says_no_for_longest_is_told() {
        let verdict = |index, retry_after_ns| Verdict {
            index,
            is_rate: true,
            retry_after_ns,
            limit: 1,
            remaining: 0,
            spent: 0,
        };
        for (name, waits, expected) in [
            ("the longer wait", [Some(5), Some(7), Some(6)], 1),
            ("of equal ones the first", [Some(5), Some(7), Some(7)], 1),
            ("what no waiting helps", [Some(u64::MAX), None, Some(6)], 1),
            ("of several such the first", [Some(1), None, None], 1),
        ] {
            let verdicts = waits.into_iter().enumerate().map(|(index, wait)| verdict(index, wait));
            assert_eq!(verdicts.reduce(Verdict::stricter).unwrap().index, expected, "{name}");
        }
    }
}
