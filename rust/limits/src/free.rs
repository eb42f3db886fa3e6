//! Taking a row away from a descriptor that does not use it, while nobody can be kept from just beginning to.
//!
//! First the key is cleared, then `charged` is changed unless it is another one than before, then every slot's words
//! are looked at. A worker that has begun something before it could see that the key is gone is noticed by one of the
//! two, and the key is put back. One that begins later sees it: see [`rate`](crate::rate) and [`hold`](crate::hold),
//! whose tests run these steps between their own.

use std::sync::atomic::Ordering::SeqCst;

use crate::layout::Row;

/// Under way. Call [`Free::step`] until it says how it went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Free {
    key: u64,
    charged: u64,
    at: At,
}

/// The next access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    ClearKey,
    Change,
    Pending(usize),
    Held(usize),
    PutBack,
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Next,
    /// The row is nobody's.
    Freed,
    /// Somebody uses it after all.
    Kept,
}

impl Free {
    /// Of a row with this key, which had this `charged` when it was found idle.
    pub(crate) fn new(key: u64, charged: u64) -> Self {
        Self { key, charged, at: At::ClearKey }
    }

    /// One access to the memory, at most. `slots`: how many there are.
    pub(crate) fn step(&mut self, row: Row<'_>, slots: usize) -> Step {
        let look = |slot: usize| if slot < slots { Some(At::Pending(slot)) } else { None };
        let next = match self.at {
            At::ClearKey => {
                row.key().store(0, SeqCst);
                Some(At::Change)
            }
            At::Change => {
                let changed = row.charged().compare_exchange(
                    self.charged,
                    self.charged.wrapping_add(1),
                    SeqCst,
                    SeqCst,
                );
                if changed.is_ok() { look(0) } else { Some(At::PutBack) }
            }
            At::Pending(slot) if row.pending(slot).load(SeqCst) == 0 => Some(At::Held(slot)),
            At::Held(slot) if row.held(slot).load(SeqCst) == 0 => look(slot + 1),
            At::Pending(_) | At::Held(_) => Some(At::PutBack),
            At::PutBack => {
                row.key().store(self.key, SeqCst);
                return Step::Kept;
            }
        };
        let Some(next) = next else { return Step::Freed };
        self.at = next;
        Step::Next
    }
}
