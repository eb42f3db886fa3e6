//! One limit of a plan: what a request needs of it, and how it gets that.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use crate::descriptor::Descriptor;
use crate::hold::{self, Acquire, Ask, Step, Used};
use crate::layout::{Header, Row};
use crate::place::Place;
use crate::plan::{Estimate, Hold, HoldUnit, Rate, RateUnit};
use crate::rate::{self, Charge};
use crate::reservation::Part;
use crate::table::Table;

/// A concurrency limit's entry is kept for this long after its last use.
const KEEP_NS: u64 = 3_600_000_000_000;

/// How long to let others move first where only they can decide who gets the last unit. They need nanoseconds; it is
/// longer only where the system has put one of them to sleep in the middle, or somebody has killed it.
const PATIENCE: Duration = Duration::from_millis(5);
/// How often to look again before the system may run somebody else.
const SPINS: u32 = 64;

#[derive(Debug)]
pub(crate) struct PlannedRate {
    place: Place,
    pub(crate) unit: RateUnit,
    pub(crate) limit: u64,
}

#[derive(Debug)]
pub(crate) struct PlannedHold {
    place: Place,
    pub(crate) unit: HoldUnit,
    pub(crate) limit: u64,
    keep_until_ns: Option<u64>,
}

impl PlannedRate {
    pub(crate) fn new(rate: &Rate) -> Self {
        let place = Place::new(Descriptor::of_rate(&rate.descriptor));
        Self { place, unit: rate.unit, limit: rate.limit_per_minute }
    }

    /// What an estimate is in this rate's units. More output than fits is cut: it can be settled, but never reserved.
    pub(crate) fn units(&self, estimate: &Estimate) -> u64 {
        match self.unit {
            RateUnit::Requests => 1,
            RateUnit::Tokens => {
                let all = estimate.input_tokens.saturating_add(estimate.output_tokens);
                if all <= self.limit { all } else { estimate.input_tokens.max(self.limit) }
            }
        }
    }

    /// Owe what was used beyond a charge.
    pub(crate) fn owe(&self, table: &Table, now: u64, debt: u64) {
        let mut at = self.place.at(table, now.saturating_add(KEEP_NS));
        while rate::owe(at.row, at.key, now, debt) == Charge::Moved {
            at = self.place.look_up(table, now.saturating_add(KEEP_NS));
        }
    }

    /// Charge so much. `Err`: the level on which it does not fit.
    pub(crate) fn charge(&self, table: &Table, now: u64, cost: u64) -> Result<Part, u64> {
        let mut at = self.place.at(table, now.saturating_add(KEEP_NS));
        loop {
            match rate::charge(at.row, at.key, now, cost) {
                Charge::Granted { end, level } => {
                    return Ok(Part { row: at.number, amount: cost, end, level });
                }
                Charge::Refused { level } => return Err(level),
                Charge::Moved => at = self.place.look_up(table, now.saturating_add(KEEP_NS)),
            }
        }
    }

    /// Its level now.
    pub(crate) fn level(&self, table: &Table, now: u64) -> u64 {
        rate::level(self.place.current(table, now.saturating_add(KEEP_NS)), now)
    }
}

impl PlannedHold {
    pub(crate) fn new(hold: &Hold) -> Self {
        let place = Place::new(Descriptor::of_hold(&hold.descriptor));
        Self { place, unit: hold.unit, limit: hold.limit, keep_until_ns: hold.keep_until_ns }
    }

    /// What an estimate is in this hold's units.
    pub(crate) fn units(&self, estimate: &Estimate) -> u64 {
        match self.unit {
            HoldUnit::Requests => 1,
            HoldUnit::Tokens => estimate.input_tokens.saturating_add(estimate.output_tokens),
            HoldUnit::Nano => estimate.cost_nano,
        }
    }

    fn keep_until(&self, now: u64) -> u64 {
        match self.unit {
            HoldUnit::Requests => now.saturating_add(KEEP_NS),
            HoldUnit::Tokens | HoldUnit::Nano => self.keep_until_ns.unwrap_or(u64::MAX),
        }
    }

    /// What it would still let through.
    pub(crate) fn left(&self, table: &Table, now: u64) -> u64 {
        let row = self.place.current(table, self.keep_until(now));
        self.limit.saturating_sub(hold::used(row, table.header(Header::SlotsHigh)).all())
    }

    /// Whether so much surely does not fit, without taking it: what is in use then.
    pub(crate) fn refuses(&self, table: &Table, now: u64, amount: u64) -> Option<Used> {
        let row = self.place.current(table, self.keep_until(now));
        let read = || hold::used(row, table.header(Header::SlotsHigh));
        let used = read();
        let fits = used.all().checked_add(amount).is_some_and(|wanted| wanted <= self.limit);
        // What changes while it is read is for `acquire` to find out.
        let is_sure = !fits && !used.moving && read() == used;
        is_sure.then_some(used)
    }

    /// Take so much: the number of the row. `Err`: what is in use.
    pub(crate) fn acquire(&self, table: &Table, now: u64, amount: u64) -> Result<usize, Used> {
        let keep_until = self.keep_until(now);
        let mut at = self.place.at(table, keep_until);
        loop {
            let ask = Ask { slot: table.slot(), amount, limit: self.limit, key: at.key };
            match take(table, at.row, ask) {
                Step::Granted => {
                    if self.unit == HoldUnit::Requests
                        && at.row.keep_until().load(Relaxed) < keep_until - KEEP_NS / 2
                    {
                        at.row.keep_until().fetch_max(keep_until, SeqCst);
                    }
                    return Ok(at.number);
                }
                Step::Refused(used) => return Err(used),
                Step::Moved => at = self.place.look_up(table, keep_until),
                // Patience has ended: somebody is about to take it, and does not run.
                Step::Next | Step::Wait => return Err(Used { held: self.limit, ..Used::default() }),
            }
        }
    }
}

/// Run the protocol of [`hold`] to its end, or to the end of our patience.
fn take(table: &Table, row: Row<'_>, ask: Ask) -> Step {
    let _turn = table.acquiring();
    let slots_high = table.header(Header::SlotsHigh);
    let mut acquire = Acquire::new(ask);
    let mut waits = 0;
    let mut since = None;
    loop {
        match acquire.step(row, slots_high) {
            Step::Next => {}
            Step::Wait => {
                waits += 1;
                if waits < SPINS {
                    std::hint::spin_loop();
                    continue;
                }
                if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    acquire.give_up(row);
                    return Step::Wait;
                }
                if waits.is_power_of_two() {
                    // If it was killed, this is what it takes. An error here leaves us waiting, which ends too.
                    let _ = table.sweep(None);
                }
                std::thread::yield_now();
            }
            done => return done,
        }
    }
}
