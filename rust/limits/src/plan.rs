//! All limits of one kind of request, and the one call that asks them all.

use std::sync::Arc;

use crate::gcra;
use crate::left::Left;
use crate::planned::{PlannedHold, PlannedRate};
use crate::refusal::{Refusal, Verdict};
use crate::reservation::{Part, Reservation};
use crate::strictest::{Family, Strictest};
use crate::table::Table;

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Requests a minute.
    Requests,
    /// Tokens a minute, of input and output.
    Tokens,
}

/// What a hold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldUnit {
    /// Requests at once. Given back when the request ends.
    Requests,
    /// A budget of tokens. Held until the database has what was used.
    Tokens,
    /// A budget of money, in 10⁻⁹ of the currency's unit; held like tokens.
    Nano,
}

/// A rate: so much a minute.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Whose; see [`crate`].
    pub descriptor: String,
    /// Of what.
    pub unit: RateUnit,
    /// How much. 0 refuses all.
    pub limit_per_minute: u64,
}

/// So much at once, or so much altogether.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Whose; see [`crate`].
    pub descriptor: String,
    /// Of what.
    pub unit: HoldUnit,
    /// How much. Of a budget this is compared with its base and all holds.
    pub limit: u64,
    /// Until when a budget's entry is kept at least, with its base; None: for ever. See [`Table::raise_base`].
    pub keep_until_ns: Option<u64>,
}

/// What a request is expected to use, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Tokens of what the model reads.
    pub input_tokens: u64,
    /// Tokens of what it writes.
    pub output_tokens: u64,
    /// What both cost, in 10⁻⁹ of the currency's unit.
    pub cost_nano: u64,
}

/// The verdict on a request.
#[derive(Debug)]
pub enum Decision {
    /// It may go on.
    Granted(Reservation),
    /// Some limit says no, and nothing has been taken of any.
    Refused(Refusal),
}

/// The limits of a request, compiled: made once for a key, a model and a user, used by any number of requests at once.
#[derive(Debug)]
pub struct Plan {
    pub(crate) table: Arc<Table>,
    pub(crate) rates: Box<[PlannedRate]>,
    pub(crate) holds: Box<[PlannedHold]>,
    told: Box<[Told]>,
}

/// A budget that answers tell of.
#[derive(Debug)]
struct Told {
    budget: PlannedHold,
    words: String,
}

impl Plan {
    /// Compile. Rates come before holds wherever a number says which limit is meant.
    #[must_use]
    pub fn new(table: Arc<Table>, rates: &[Rate], holds: &[Hold]) -> Self {
        let rates = rates.iter().map(PlannedRate::new);
        let holds = holds.iter().map(PlannedHold::new);
        Self { table, rates: rates.collect(), holds: holds.collect(), told: Box::default() }
    }

    /// The same, whose answers tell of these budgets too, whether or not they are among its holds: see [`Plan::least_left`].
    /// Each with what stands behind the number.
    #[must_use]
    pub fn telling(self, budgets: Vec<(Hold, String)>) -> Self {
        let told = budgets.into_iter().map(|(hold, words)| Told { budget: PlannedHold::new(&hold), words });
        Self { told: told.collect(), ..self }
    }

    /// Whether its table was abandoned, so that it must not be used any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.table.is_abandoned()
    }

    /// Take what a request needs of every limit, or nothing of any. `now_ns`: of the machine's monotonic clock.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, now_ns: u64, estimate: &Estimate) -> Decision {
        let table = &*self.table;
        if let Some(refusal) = self.refused(now_ns, estimate) {
            return Decision::Refused(refusal);
        }
        // From here on every part that was taken is in the reservation, which gives it back if it is dropped.
        let mut taken = Reservation::new(Arc::clone(self), now_ns);
        for (index, hold) in self.holds.iter().enumerate() {
            let amount = hold.units(estimate);
            match hold.acquire(table, now_ns, amount) {
                Ok(row) => taken.holds.push(Part { row, amount, end: 0, level: 0 }),
                Err(used) => {
                    taken.undo();
                    return Decision::Refused(self.refusal(now_ns, Verdict::of_hold(self, index, used)));
                }
            }
        }
        for (index, rate) in self.rates.iter().enumerate() {
            let cost = gcra::cost_ns(rate.units(estimate), rate.limit);
            match rate.charge(table, now_ns, cost) {
                Ok(part) => taken.rates.push(part),
                Err(level) => {
                    taken.undo();
                    return Decision::Refused(
                        self.refusal(now_ns, Verdict::of_rate(self, index, level, cost)),
                    );
                }
            }
        }
        Decision::Granted(taken)
    }

    /// Of each unit, what the strictest rate leaves now.
    #[must_use]
    pub fn strictest(&self, now_ns: u64) -> Strictest {
        self.strictest_of(self.rates.iter().map(|rate| rate.level(&self.table, now_ns)))
    }

    /// Of the budgets that are told, the one of which the least is left now.
    #[must_use]
    pub fn least_left(&self, now_ns: u64) -> Option<Left<'_>> {
        let left = self.told.iter().map(|Told { budget, words }| Left {
            limit: budget.limit,
            left: budget.left(&self.table, now_ns),
            is_money: budget.unit == HoldUnit::Nano,
            words,
        });
        left.reduce(Left::least)
    }

    /// The same for levels that are known, one for each rate.
    pub(crate) fn strictest_of(&self, levels: impl Iterator<Item = u64>) -> Strictest {
        let mut strictest = Strictest::default();
        for (rate, level) in self.rates.iter().zip(levels) {
            strictest.consider(rate.unit, Family::at(rate.limit, level));
        }
        strictest
    }

    /// A look at all limits that takes nothing: what says no for the longest.
    fn refused(&self, now: u64, estimate: &Estimate) -> Option<Refusal> {
        let rates = self.rates.iter().enumerate().filter_map(|(index, rate)| {
            let cost = gcra::cost_ns(rate.units(estimate), rate.limit);
            let level = rate.level(&self.table, now);
            let fits = level.checked_add(cost).is_some_and(|raised| raised <= gcra::PERIOD_NS);
            (!fits).then(|| Verdict::of_rate(self, index, level, cost))
        });
        let holds = self.holds.iter().enumerate().filter_map(|(index, hold)| {
            let used = hold.refuses(&self.table, now, hold.units(estimate))?;
            Some(Verdict::of_hold(self, index, used))
        });
        let verdict = rates.chain(holds).reduce(Verdict::stricter)?;
        Some(self.refusal(now, verdict))
    }

    fn refusal(&self, now: u64, verdict: Verdict) -> Refusal {
        let least_left = self.least_left(now).map(|left| left.to_string());
        Refusal { verdict, strictest: self.strictest(now), least_left }
    }
}
