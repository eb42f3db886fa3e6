//! All limits of one kind of request, and the one call that asks them all.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use crate::descriptor::Descriptor;
use crate::gcra;
use crate::hold::{self, Acquire, Ask, Step, Used};
use crate::layout::{Header, OVERFLOW_ROWS, Row};
use crate::rate::{self, Charge};
use crate::refusal::{Refusal, Verdict};
use crate::reservation::{Part, Reservation};
use crate::strictest::{Family, Strictest};
use crate::table::Table;

/// A concurrency limit's entry is kept for this long after its last use.
const KEEP_NS: u64 = 3_600_000_000_000;

/// How long to let others move first where only they can decide who gets the last unit. They need nanoseconds; it is longer
/// only where the system has put one of them to sleep in the middle, or somebody has killed it.
const PATIENCE: Duration = Duration::from_millis(5);
/// How often to look again before the system may run somebody else.
const SPINS: u32 = 64;

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

/// What became of a request.
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
}

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

/// Where a descriptor's row is, as far as we know.
#[derive(Debug)]
struct Place {
    name: Descriptor,
    /// The number of the row; of a shared row, above it how many rows had been freed when there was no room.
    known: AtomicU64,
}

/// A row, and whose it must be to be the right one; None: it is a shared row.
#[derive(Clone, Copy)]
struct At<'a> {
    number: usize,
    row: Row<'a>,
    key: Option<u64>,
}

const NOWHERE: u64 = u64::MAX;
const ROW_BITS: u32 = 32;

impl Place {
    fn new(name: Descriptor) -> Self {
        Self { name, known: AtomicU64::new(NOWHERE) }
    }

    /// The row that we know, which may be wrong by now, or else the right one.
    fn at<'t>(&self, table: &'t Table, keep_until: u64) -> At<'t> {
        let known = self.known.load(Relaxed);
        let number = usize::try_from(known & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        if known != NOWHERE && (number >= OVERFLOW_ROWS || known == self.shared(table)) {
            return self.row(table, number);
        }
        self.look_up(table, keep_until)
    }

    /// The row, after another one was found where we thought it to be.
    fn look_up<'t>(&self, table: &'t Table, keep_until: u64) -> At<'t> {
        let name = &self.name;
        let found = table.directory(|directory| directory.find_or_make(name.key, keep_until, name.is_user));
        // Without the lock there is no telling: the shared row is the safe choice.
        let number = found.ok().flatten();
        self.known.store(number.map_or_else(|| self.shared(table), |number| number as u64), Relaxed);
        self.row(table, number.unwrap_or(name.overflow))
    }

    /// What is remembered of a shared row.
    fn shared(&self, table: &Table) -> u64 {
        table.header(Header::Freed).load(Relaxed) << ROW_BITS | self.name.overflow as u64
    }

    fn row<'t>(&self, table: &'t Table, number: usize) -> At<'t> {
        let key = (number >= OVERFLOW_ROWS).then_some(self.name.key);
        At { number, row: table.row(number), key }
    }
}

impl PlannedRate {
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

    fn charge(&self, table: &Table, now: u64, cost: u64) -> (usize, Charge) {
        let mut at = self.place.at(table, now.saturating_add(KEEP_NS));
        loop {
            match rate::charge(at.row, at.key, now, cost) {
                Charge::Moved => at = self.place.look_up(table, now.saturating_add(KEEP_NS)),
                charged => return (at.number, charged),
            }
        }
    }

    fn level(&self, table: &Table, now: u64) -> u64 {
        rate::level(self.place.current(table, now.saturating_add(KEEP_NS)), now)
    }
}

impl Place {
    /// The right row, as far as a look can tell.
    fn current<'t>(&self, table: &'t Table, keep_until: u64) -> Row<'t> {
        let at = self.at(table, keep_until);
        if at.key.is_some_and(|key| at.row.key().load(SeqCst) != key) {
            return self.look_up(table, keep_until).row;
        }
        at.row
    }
}

impl PlannedHold {
    fn units(&self, estimate: &Estimate) -> u64 {
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

    /// Whether so much surely does not fit, without taking it: what is in use then.
    fn refuses(&self, table: &Table, now: u64, amount: u64) -> Option<Used> {
        let row = self.place.current(table, self.keep_until(now));
        let read = || hold::used(row, table.header(Header::SlotsHigh));
        let used = read();
        let fits = used.all().checked_add(amount).is_some_and(|wanted| wanted <= self.limit);
        // What changes while it is read is for `acquire` to find out.
        let is_sure = !fits && !used.moving && read() == used;
        is_sure.then_some(used)
    }

    /// Take so much: the number of the row. `Err`: what is in use.
    fn acquire(&self, table: &Table, now: u64, amount: u64) -> Result<usize, Used> {
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
                if waits == SPINS {
                    // If it was killed, this is what it takes. An error here leaves us waiting, which ends too.
                    let _ = table.sweep(None);
                }
                std::thread::yield_now();
            }
            done => return done,
        }
    }
}

impl Plan {
    /// Compile. Rates come before holds wherever a number says which limit is meant.
    #[must_use]
    pub fn new(table: Arc<Table>, rates: &[Rate], holds: &[Hold]) -> Self {
        let rates = rates.iter().map(|rate| PlannedRate {
            place: Place::new(Descriptor::of_rate(&rate.descriptor)),
            unit: rate.unit,
            limit: rate.limit_per_minute,
        });
        let holds = holds.iter().map(|hold| PlannedHold {
            place: Place::new(Descriptor::of_hold(&hold.descriptor)),
            unit: hold.unit,
            limit: hold.limit,
            keep_until_ns: hold.keep_until_ns,
        });
        Self { table, rates: rates.collect(), holds: holds.collect() }
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
                (row, Charge::Granted { end, level }) => {
                    taken.rates.push(Part { row, amount: cost, end, level });
                }
                (_, Charge::Refused { level }) => {
                    taken.undo();
                    return Decision::Refused(
                        self.refusal(now_ns, Verdict::of_rate(self, index, level, cost)),
                    );
                }
                (_, Charge::Moved) => {}
            }
        }
        Decision::Granted(taken)
    }

    /// Of each unit, what the strictest rate leaves now.
    #[must_use]
    pub fn strictest(&self, now_ns: u64) -> Strictest {
        self.strictest_of(self.rates.iter().map(|rate| rate.level(&self.table, now_ns)))
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
        Refusal { verdict, strictest: self.strictest(now) }
    }
}
