//! Where a plan has found a row, so that the next request needs neither the directory nor its lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::descriptor::Descriptor;
use crate::layout::{Header, OVERFLOW_ROWS, Row};
use crate::table::Table;

/// Where a descriptor's row is, as far as we know.
#[derive(Debug)]
pub(crate) struct Place {
    name: Descriptor,
    /// The number of the row; of a shared row, above it how many rows had been freed when there was no room.
    known: AtomicU64,
}

/// A row, and whose it must be to be the right one; None: it is a shared row.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) number: usize,
    pub(crate) row: Row<'a>,
    pub(crate) key: Option<u64>,
}

const NOWHERE: u64 = u64::MAX;
const ROW_BITS: u32 = 32;

impl Place {
    pub(crate) fn new(name: Descriptor) -> Self {
        Self { name, known: AtomicU64::new(NOWHERE) }
    }

    /// The row that we know, which may be wrong by now, or else the right one.
    pub(crate) fn at<'t>(&self, table: &'t Table, keep_until: u64) -> At<'t> {
        let known = self.known.load(Relaxed);
        let number = usize::try_from(known & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        if known != NOWHERE && (number >= OVERFLOW_ROWS || known == self.shared(table)) {
            return self.row(table, number);
        }
        self.look_up(table, keep_until)
    }

    /// The row, after another one was found where we thought it to be.
    pub(crate) fn look_up<'t>(&self, table: &'t Table, keep_until: u64) -> At<'t> {
        let name = &self.name;
        let found = table.directory(|directory| directory.find_or_make(name.key, keep_until, name.is_user));
        // Without the lock nothing can be looked up: the shared row is the safe choice.
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

    /// The right row, as far as a look can tell.
    pub(crate) fn current<'t>(&self, table: &'t Table, keep_until: u64) -> Row<'t> {
        let at = self.at(table, keep_until);
        if at.key.is_some_and(|key| at.row.key().load(SeqCst) != key) {
            return self.look_up(table, keep_until).row;
        }
        at.row
    }
}
