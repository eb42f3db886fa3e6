//! Who may use how much: rates, concurrency and budgets, exact over all workers of a machine.
//!
//! The workers share one mapped file. No lock is on the way of a request, and no process depends on another: a rate is
//! two words and a compare-and-swap (`rate`); a concurrency limit or a budget is two words for each worker, which only
//! that worker writes (`hold`). A worker that is killed leaves words behind that the next sweep clears, so nothing
//! leaks. Each of those modules says why it is right, and what it may be wrong by:
//!
//! * a rate never lets more through than its limit, at once or over time, but for a nanosecond's worth of each charge;
//! * concurrency and budgets never let in more than their limit, not by one unit;
//! * what a request uses beyond its reservation is known only when it has ended. A rate owes it then, a budget has
//!   spent it.
//!
//! # Words
//! A [`Table`] is one worker's face of the shared memory. A *descriptor* names what is limited (`rpm:key:7`), and has
//! one *row* there, which the `directory` finds. A [`Plan`] is the compiled list of limits of one kind of request.
//! [`Plan::reserve`] takes what a request needs of all of them, or nothing: a [`Reservation`] or a [`Refusal`].
//!
//! Times are nanoseconds of the machine's monotonic clock, and passed in: a jump of the wall clock changes nothing, and
//! a test can choose them. A call that is given an earlier time than the one before is wrong by that difference, and no
//! more.
//!
//! # Where to read
//! `gcra` is the arithmetic, `rate` and `hold` the two protocols, `layout` and `mapped` the memory, `directory` and
//! `free` who has which row, `folder` the files, `table` slots and sweeps, `plan`, `planned` and `reservation` a
//! request's way through all of it.

mod descriptor;
mod directory;
#[cfg(test)]
mod explore;
mod folder;
mod free;
pub mod gcra;
pub mod headers;
mod hold;
mod layout;
mod left;
mod mapped;
mod place;
mod plan;
mod planned;
mod rate;
mod refusal;
mod reservation;
mod strictest;
mod table;

pub use folder::OpenError;
pub use left::Left;
pub use plan::{Decision, Estimate, Hold, HoldUnit, Plan, Rate, RateUnit};
pub use refusal::{Refusal, Verdict};
pub use reservation::{NotSettled, Reservation};
pub use strictest::{Family, Strictest};
pub use table::{Base, StoreError, Table, Usage};
