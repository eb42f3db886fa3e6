//! Where things stand in the shared memory: a header, the states of the slots, an index, and the rows.
//!
//! | part | words |
//! | --- | --- |
//! | header | [`HEADER_WORDS`], named by [`Header`] |
//! | slots | one state each |
//! | index | a hash table of row numbers, at most half full; 0 is empty |
//! | rows | [`OVERFLOW_ROWS`] that full tables share, then one for each entry: [`ROW_HEAD_WORDS`], then two for each slot |
//!
//! A row is one descriptor's rate, concurrency or budget. Rows are handed out from the beginning. The file is sparse:
//! only what has been handed out takes space, and it is written before it is used, since a store to mapped memory for
//! which the disk has no room kills the process.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::mapped::WORD_BYTES;

/// Of a file of ours.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"llmgwlim");
/// Of this layout and of what its words mean. Another one is another file.
pub(crate) const VERSION: u64 = 1;

/// What a table may be made for, and what a file's header may claim.
pub(crate) const MAX_ENTRIES: usize = 1 << 20;
/// Worker processes of one machine.
pub(crate) const MAX_SLOTS: usize = 256;

/// Rows that descriptors share for which there is no room: half of them for rates, half for holds.
pub(crate) const OVERFLOW_ROWS: usize = 256;

const HEADER_WORDS: usize = 64;
const ROW_HEAD_WORDS: usize = 8;
const WORDS_PER_LINE: usize = 8;

/// The words of the header.
#[derive(Clone, Copy)]
pub(crate) enum Header {
    Magic,
    Version,
    Entries,
    Slots,
    /// Slots from here on were never claimed.
    SlotsHigh,
    /// Rows from here on were never used. Counted without the overflow rows.
    RowsHigh,
    /// The first row that was freed, plus one; the others follow in [`Row::next_free`].
    FreeHead,
    /// Not 0 while the directory is being changed, and afterwards if the worker that did it was killed.
    Changing,
    /// Rows in use.
    Used,
    /// How often a descriptor found no room.
    Overflowed,
    /// How many rows were ever freed. A plan that found no room looks again when this has grown.
    Freed,
    /// Where the search for idle rows goes on.
    IdleCursor,
    /// Rows from here on take no space yet. Counted without the overflow rows.
    RowsWritten,
}

/// How many entries and slots a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) entries: usize,
    pub(crate) slots: usize,
}

impl Shape {
    /// None where that is more than we would map, or nothing.
    pub(crate) fn checked(entries: usize, slots: usize) -> Option<Self> {
        let fits = (1..=MAX_ENTRIES).contains(&entries) && (1..=MAX_SLOTS).contains(&slots);
        fits.then_some(Self { entries, slots })
    }

    /// The shape that a header claims.
    pub(crate) fn of(words: &[AtomicU64]) -> Option<Self> {
        let number = |word: Header| usize::try_from(word.of(words).load(SeqCst)).ok();
        Self::checked(number(Header::Entries)?, number(Header::Slots)?)
    }

    /// How much of a file tells its shape.
    pub(crate) const HEAD_WORDS: usize = HEADER_WORDS;

    /// Say in a header, all zero so far, whose it is and of which shape.
    pub(crate) fn write(self, words: &[AtomicU64]) {
        Header::Version.of(words).store(VERSION, SeqCst);
        Header::Entries.of(words).store(self.entries as u64, SeqCst);
        Header::Slots.of(words).store(self.slots as u64, SeqCst);
        Header::Magic.of(words).store(MAGIC, SeqCst);
    }

    const fn slots_at(self) -> usize {
        let _ = self;
        HEADER_WORDS
    }

    const fn index_at(self) -> usize {
        self.slots_at() + self.slots.next_multiple_of(WORDS_PER_LINE)
    }

    const fn index_words(self) -> usize {
        (2 * self.entries).next_power_of_two()
    }

    const fn rows_at(self) -> usize {
        self.index_at() + self.index_words().next_multiple_of(WORDS_PER_LINE)
    }

    const fn row_words(self) -> usize {
        (ROW_HEAD_WORDS + 2 * self.slots).next_multiple_of(WORDS_PER_LINE)
    }

    /// All of it.
    pub(crate) const fn words(self) -> usize {
        self.rows_at() + (OVERFLOW_ROWS + self.entries) * self.row_words()
    }

    /// The bytes of what comes before the rows that are handed out.
    pub(crate) const fn head_bytes(self) -> Range<u64> {
        0..((self.rows_at() + OVERFLOW_ROWS * self.row_words()) * WORD_BYTES) as u64
    }

    /// The bytes of some rows, counted without the overflow rows.
    pub(crate) const fn bytes_of(self, rows: &Range<usize>) -> Range<u64> {
        let head = self.head_bytes().end;
        let row = (self.row_words() * WORD_BYTES) as u64;
        head + rows.start as u64 * row..head + rows.end as u64 * row
    }

    /// The states of the slots.
    pub(crate) fn slot(self, words: &[AtomicU64], slot: usize) -> &AtomicU64 {
        &words[self.slots_at() + slot]
    }

    pub(crate) fn index(self, words: &[AtomicU64]) -> &[AtomicU64] {
        &words[self.index_at()..][..self.index_words()]
    }

    pub(crate) fn row(self, words: &[AtomicU64], row: usize) -> Row<'_> {
        Row(&words[self.rows_at() + row * self.row_words()..][..self.row_words()])
    }
}

impl Header {
    pub(crate) fn of(self, words: &[AtomicU64]) -> &AtomicU64 {
        &words[self as usize]
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a [AtomicU64]);

impl<'a> Row<'a> {
    /// The digest of the descriptor; 0 where the row is free.
    pub(crate) fn key(self) -> &'a AtomicU64 {
        &self.0[0]
    }

    /// A rate: the sum of all charges, as a time. See [`crate::rate`].
    pub(crate) fn charged(self) -> &'a AtomicU64 {
        &self.0[1]
    }

    /// A rate: the sum of what was given back.
    pub(crate) fn refunded(self) -> &'a AtomicU64 {
        &self.0[2]
    }

    /// A budget: what was spent, as the database has it.
    pub(crate) fn base(self) -> &'a AtomicU64 {
        &self.0[3]
    }

    /// Before this time the row is not freed.
    pub(crate) fn keep_until(self) -> &'a AtomicU64 {
        &self.0[4]
    }

    /// Of a free row: the next one, plus one.
    pub(crate) fn next_free(self) -> &'a AtomicU64 {
        &self.0[5]
    }

    /// How many slots it has words for, at least; a few more where rows are rounded up to whole cache lines.
    pub(crate) fn slots(self) -> usize {
        (self.0.len() - ROW_HEAD_WORDS) / 2
    }

    /// What a slot is about to take. Only that slot writes it.
    pub(crate) fn pending(self, slot: usize) -> &'a AtomicU64 {
        &self.0[ROW_HEAD_WORDS + 2 * slot]
    }

    /// What a slot has. Only that slot writes it, or the worker that wipes it after the slot's own has died.
    pub(crate) fn held(self, slot: usize) -> &'a AtomicU64 {
        &self.0[ROW_HEAD_WORDS + 2 * slot + 1]
    }
}
