//! What a request has taken, until it has ended and the database knows what it cost.

use std::sync::Arc;

use crate::gcra;
use crate::hold;
use crate::left::Left;
use crate::plan::{HoldUnit, Plan, RateUnit};
use crate::rate::{self, Charged};
use crate::strictest::Strictest;
use crate::table::Table;

/// What a request has taken of each limit of its plan: open, then settled (or cancelled), then stored.
///
/// Dropped in between, it gives back what it holds, since nobody is left who could. What rates were charged stays
/// charged, and drains within a minute: to take it back, one has to know the time.
#[derive(Debug)]
pub struct Reservation {
    plan: Arc<Plan>,
    now: u64,
    state: State,
    /// In the order of the plan; shorter while they are being taken.
    pub(crate) rates: Vec<Part>,
    pub(crate) holds: Vec<Part>,
}

/// What was taken of one limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) row: usize,
    /// Nanoseconds of a rate; units of a hold.
    pub(crate) amount: u64,
    /// Of a rate: see [`rate::Charged`].
    pub(crate) end: u64,
    /// Of a rate: its level right after the charge.
    pub(crate) level: u64,
}

impl Part {
    /// Of a rate, as it was charged at this time.
    fn charged(&self, at: u64) -> Charged {
        Charged { at, cost: self.amount, end: self.end }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Only budgets are held.
    Settled,
    /// Nothing is held.
    Closed,
}

/// [`Reservation::stored`] came before [`Reservation::settle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSettled;

impl Reservation {
    pub(crate) fn new(plan: Arc<Plan>, now: u64) -> Self {
        let rates = Vec::with_capacity(plan.rates.len());
        let holds = Vec::with_capacity(plan.holds.len());
        Self { plan, now, state: State::Open, rates, holds }
    }

    /// Of each unit, what the strictest rate left at the moment of the reservation.
    #[must_use]
    pub fn strictest(&self) -> Strictest {
        self.plan.strictest_of(self.rates.iter().map(|part| part.level))
    }

    /// Of the budgets that are told, the one of which the least is left now.
    #[must_use]
    pub fn least_left(&self) -> Option<Left<'_>> {
        self.plan.least_left(self.now)
    }

    /// The request has ended, and this is what it used: rates are corrected (what was reserved too much is given back
    /// as far as it has not drained, what was used beyond it is owed), its place among those at once is free, and its
    /// budgets hold what it used until [`Reservation::stored`]. Only the first call counts.
    pub fn settle(&mut self, now_ns: u64, tokens: u64, cost_nano: u64) {
        if self.state != State::Open || self.plan.table.is_abandoned() {
            return;
        }
        self.state = State::Settled;
        let plan = Arc::clone(&self.plan);
        for (rate, part) in plan.rates.iter().zip(&self.rates) {
            if rate.unit == RateUnit::Tokens {
                let cost = gcra::cost_ns(tokens, rate.limit);
                if cost > part.amount {
                    rate.owe(&plan.table, now_ns, cost - part.amount);
                } else {
                    rate::refund(
                        plan.table.row(part.row),
                        now_ns,
                        part.charged(self.now),
                        part.amount - cost,
                    );
                }
            }
        }
        for (hold, part) in plan.holds.iter().zip(&mut self.holds) {
            let used = match hold.unit {
                HoldUnit::Requests => 0,
                HoldUnit::Tokens => tokens,
                HoldUnit::Nano => cost_nano,
            };
            change(&plan, part, used);
        }
    }

    /// The request has ended without using anything: tokens, money and its place are given back. It was a request all
    /// the same, and stays counted as one.
    pub fn cancel(&mut self, now_ns: u64) {
        if self.state == State::Open {
            self.settle(now_ns, 0, 0);
            self.state = State::Closed;
        }
    }

    /// The database has what was used, and the budgets' bases have been raised: the budgets' holds are given back. From
    /// any thread; a second call changes nothing.
    ///
    /// # Errors
    /// The request has not been settled; nothing has changed.
    pub fn stored(&mut self) -> Result<(), NotSettled> {
        match self.state {
            State::Open => return Err(NotSettled),
            State::Settled => self.release_holds(),
            State::Closed => {}
        }
        self.state = State::Closed;
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What it still holds of each row of a table.
    pub(crate) fn held_in(&self, table: &Table) -> impl Iterator<Item = (usize, u64)> {
        let parts: &[Part] = if self.is_of(table) { &self.holds } else { &[] };
        parts.iter().filter(|part| part.amount > 0).map(|part| (part.row, part.amount))
    }

    /// What it held of a table has been given back; what it held elsewhere is given back now.
    pub(crate) fn was_moved_in(&mut self, table: &Table) {
        if self.is_of(table) {
            self.holds.clear();
        }
        self.release_holds();
        self.state = State::Closed;
    }

    fn is_of(&self, table: &Table) -> bool {
        std::ptr::eq(&raw const *self.plan.table, table)
    }

    /// Some limit has said no after all: as if nothing had been taken, the request neither.
    pub(crate) fn undo(&mut self) {
        for part in self.rates.iter().rev() {
            rate::refund(self.plan.table.row(part.row), self.now, part.charged(self.now), part.amount);
        }
        self.release_holds();
        self.state = State::Closed;
    }

    fn release_holds(&mut self) {
        let plan = Arc::clone(&self.plan);
        for part in self.holds.iter_mut().rev() {
            change(&plan, part, 0);
        }
    }
}

/// Hold another amount. Whose table was abandoned changes nothing: the slot may be another worker's by now.
fn change(plan: &Plan, part: &mut Part, amount: u64) {
    if !plan.table.is_abandoned() {
        hold::adjust(plan.table.row(part.row), plan.table.slot(), part.amount, amount);
    }
    part.amount = amount;
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.plan.table.is_abandoned() {
            return;
        }
        if self.state != State::Closed {
            self.release_holds();
        }
    }
}
