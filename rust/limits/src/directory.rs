//! Which row is whose. All of it happens under the directory's lock, which a request needs only for a descriptor that
//! its plan has not met yet; a plan remembers the row, and sees by the row's key whether it is still right.
//!
//! The worker that holds the lock may be killed between any two stores. So [`Header::Changing`] is set around every
//! change, and a worker that finds it set makes index and free list anew from the rows' keys, which are the truth.

use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::folder;
use crate::free::{Free, Step};
use crate::hold;
use crate::layout::{Header, OVERFLOW_ROWS, Row, Shape};
use crate::rate;

/// A rate that was full has drained for this long when its row may be freed.
const IDLE_NS: u64 = 3_600_000_000_000;

/// How many rows one search for idle ones looks at.
const MAX_ROWS_PER_SWEEP: usize = 4096;

/// This part of the rows is kept for what the operator named, so that users, of whom strangers can invent any number,
/// can't crowd it out: one in so many.
const KEPT_FROM_USERS: usize = 8;

/// So many rows are given space at a time.
const ROWS_PER_WRITE: usize = 64;

/// The directory, while its lock is held.
#[derive(Clone, Copy)]
pub(crate) struct Directory<'a> {
    words: &'a [AtomicU64],
    shape: Shape,
    /// Where the words are, unless they are this process's own.
    file: Option<&'a File>,
}

impl<'a> Directory<'a> {
    /// Without the lock, only to [`Directory::find`]. While somebody else changes the directory, a key that is there
    /// may not be found; what is found had that key a moment ago.
    pub(crate) fn unlocked(words: &'a [AtomicU64], shape: Shape) -> Self {
        Self { words, shape, file: None }
    }

    /// To be called with the lock held.
    pub(crate) fn new(words: &'a [AtomicU64], shape: Shape, file: Option<&'a File>) -> Self {
        let directory = Self { words, shape, file };
        if directory.word(Header::Changing).load(SeqCst) != 0 {
            directory.rebuild();
        }
        directory
    }

    /// The row of a key.
    pub(crate) fn find(self, key: u64) -> Option<usize> {
        self.position(key).ok()
    }

    /// The row of a key, made if there is none and there is room. `keep_until`: until when it is kept at least.
    pub(crate) fn find_or_make(self, key: u64, keep_until: u64, is_user: bool) -> Option<usize> {
        if let Some(row) = self.find(key) {
            self.row(row).keep_until().fetch_max(keep_until, SeqCst);
            return Some(row);
        }
        let kept = if is_user { self.shape.entries / KEPT_FROM_USERS } else { 0 };
        if self.number(Header::Used).saturating_add(kept) >= self.shape.entries {
            self.word(Header::Overflowed).fetch_add(1, SeqCst);
            return None;
        }
        self.changing(|| {
            let Some(number) = self.take_free_row() else {
                self.word(Header::Overflowed).fetch_add(1, SeqCst);
                return None;
            };
            let row = self.row(number);
            row.base().store(0, SeqCst);
            row.keep_until().store(keep_until, SeqCst);
            row.key().store(key, SeqCst);
            self.word(Header::Used).fetch_add(1, SeqCst);
            self.enter(key, number);
            Some(number)
        })
    }

    /// Free rows that nobody needs any more, looking at some of them at each call. How many were freed.
    pub(crate) fn free_idle(self, now: u64) -> usize {
        let high = self.number(Header::RowsHigh).min(self.shape.entries);
        let from = self.number(Header::IdleCursor);
        let from = if from < high { from } else { 0 };
        let to = high.min(from + MAX_ROWS_PER_SWEEP);
        self.word(Header::IdleCursor).store(to as u64, SeqCst);
        (OVERFLOW_ROWS + from..OVERFLOW_ROWS + to).filter(|row| self.free_if_idle(*row, now)).count()
    }

    fn free_if_idle(self, number: usize, now: u64) -> bool {
        let row = self.row(number);
        let key = row.key().load(SeqCst);
        let charged = row.charged().load(SeqCst);
        let idle = rate::empty_at(row).saturating_add(IDLE_NS) < now && row.keep_until().load(SeqCst) < now;
        if key == 0 || !idle || !hold::is_empty(row, self.word(Header::SlotsHigh)) {
            return false;
        }
        self.changing(|| {
            let slots = self.number(Header::SlotsHigh).min(self.shape.slots);
            let mut free = Free::new(key, charged);
            loop {
                match free.step(row, slots) {
                    Step::Next => {}
                    Step::Freed => break,
                    Step::Kept => return false,
                }
            }
            self.leave(key, number);
            row.next_free().store(self.word(Header::FreeHead).swap(number as u64, SeqCst), SeqCst);
            self.word(Header::Used).fetch_sub(1, SeqCst);
            self.word(Header::Freed).fetch_add(1, SeqCst);
            true
        })
    }

    fn word(self, word: Header) -> &'a AtomicU64 {
        word.of(self.words)
    }

    fn number(self, word: Header) -> usize {
        usize::try_from(self.word(word).load(SeqCst)).unwrap_or(usize::MAX)
    }

    fn row(self, row: usize) -> Row<'a> {
        self.shape.row(self.words, row)
    }

    fn changing<T>(self, change: impl FnOnce() -> T) -> T {
        let word = self.word(Header::Changing);
        word.store(1, SeqCst);
        let done = change();
        word.store(0, SeqCst);
        done
    }

    /// A row that was freed, or one that was never used.
    fn take_free_row(self) -> Option<usize> {
        let head = self.number(Header::FreeHead);
        // Only a damaged list has a row in it that is somebody's.
        if self.is_row(head) && self.row(head).key().load(SeqCst) == 0 {
            let next = self.row(head).next_free().load(SeqCst);
            self.word(Header::FreeHead).store(next, SeqCst);
            return Some(head);
        }
        let high = self.number(Header::RowsHigh);
        if high >= self.shape.entries || !self.has_space(high) {
            return None;
        }
        self.word(Header::RowsHigh).store(high as u64 + 1, SeqCst);
        Some(OVERFLOW_ROWS + high)
    }

    /// Whether a row that was never used has space in the file. A disk that is full leaves the table as full as it is.
    fn has_space(self, row: usize) -> bool {
        let Some(file) = self.file else { return true };
        if row < self.number(Header::RowsWritten) {
            return true;
        }
        let rows = row..self.shape.entries.min(row + ROWS_PER_WRITE);
        let written = folder::write_zeros(file, self.shape.bytes_of(&rows)).is_ok();
        if written {
            self.word(Header::RowsWritten).store(rows.end as u64, SeqCst);
        }
        written
    }

    fn is_row(self, number: usize) -> bool {
        (OVERFLOW_ROWS..OVERFLOW_ROWS + self.shape.entries).contains(&number)
    }

    /// The row of a key, or else the place in the index where it belongs. Linear probing; the index is half empty.
    fn position(self, key: u64) -> Result<usize, usize> {
        let index = self.shape.index(self.words);
        let mut at = self.home(key);
        for _ in 0..index.len() {
            let number = usize::try_from(index[at].load(SeqCst)).unwrap_or(0);
            if !self.is_row(number) {
                return Err(at);
            }
            if self.row(number).key().load(SeqCst) == key {
                return Ok(number);
            }
            at = self.after(at);
        }
        Err(at)
    }

    /// Where the search for a key begins. A key is a digest, so its low bits are as good as any.
    #[allow(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
    fn home(self, key: u64) -> usize {
        key as usize & (self.shape.index(self.words).len() - 1)
    }

    fn after(self, at: usize) -> usize {
        (at + 1) & (self.shape.index(self.words).len() - 1)
    }

    fn enter(self, key: u64, number: usize) {
        // The row has its key already, but is not in the index: this finds the end of its run.
        if let Err(at) = self.position(key) {
            self.shape.index(self.words)[at].store(number as u64, SeqCst);
        }
    }

    /// Take a row out of the index, and move up those behind it that are not at home.
    fn leave(self, key: u64, number: usize) {
        let index = self.shape.index(self.words);
        let mut hole = self.home(key);
        while index[hole].load(SeqCst) != number as u64 {
            if index[hole].load(SeqCst) == 0 {
                return;
            }
            hole = self.after(hole);
        }
        let mut at = self.after(hole);
        loop {
            let word = index[at].load(SeqCst);
            let Some(other) = usize::try_from(word).ok().filter(|other| self.is_row(*other)) else { break };
            let from = self.home(self.row(other).key().load(SeqCst));
            // It may move into the hole unless its home is behind the hole.
            let mask = index.len() - 1;
            if (at.wrapping_sub(from) & mask) >= (at.wrapping_sub(hole) & mask) {
                index[hole].store(word, SeqCst);
                hole = at;
            }
            at = self.after(at);
        }
        index[hole].store(0, SeqCst);
    }

    /// Make index, free list and count anew.
    fn rebuild(self) {
        self.changing(|| {
            for word in self.shape.index(self.words) {
                word.store(0, SeqCst);
            }
            let high = self.number(Header::RowsHigh).min(self.shape.entries);
            let mut used = 0;
            let mut free = 0;
            for number in OVERFLOW_ROWS..OVERFLOW_ROWS + high {
                let row = self.row(number);
                let key = row.key().load(SeqCst);
                if key == 0 {
                    row.next_free().store(free, SeqCst);
                    free = number as u64;
                } else {
                    self.enter(key, number);
                    used += 1;
                }
            }
            self.word(Header::FreeHead).store(free, SeqCst);
            self.word(Header::RowsHigh).store(high as u64, SeqCst);
            self.word(Header::Used).store(used, SeqCst);
        });
    }
}

#[cfg(test)]
mod tests;
