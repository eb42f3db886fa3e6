//! One worker's face of the shared memory: its slot, the directory, and what happens to the slots of dead workers.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::descriptor::Descriptor;
use crate::directory::Directory;
use crate::folder::{Folder, OpenError, Opened};
use crate::gcra;
use crate::hold::{self, Move};
use crate::layout::{Header, OVERFLOW_ROWS, Row, Shape};
use crate::mapped::Words;
use crate::rate;
use crate::reservation::Reservation;

/// What a slot's word says. In a file a lock says more: a live worker holds it.
const FREE: u64 = 0;
const CLAIMED: u64 = 1;
/// In memory of one process, where there are no locks: as if its worker had been killed.
const ABANDONED: u64 = 2;

/// One worker's face of a table. Every method may be called from any thread.
#[derive(Debug)]
pub struct Table {
    words: Arc<Words>,
    shape: Shape,
    slot: usize,
    backing: Backing,
    /// Threads of one process share a slot, so only one at a time may take something.
    acquiring: Mutex<()>,
    abandoned: AtomicBool,
}

#[derive(Debug)]
enum Backing {
    /// `slot`: the lock of our own, until we are abandoned. A lock belongs to an open file, which threads share: hence
    /// the mutex.
    File {
        folder: Folder,
        table: File,
        directory: Mutex<File>,
        slot: Mutex<Option<File>>,
    },
    Memory {
        directory: Arc<Mutex<()>>,
    },
}

/// What a budget has cost, as the database has it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Of which budget.
    pub descriptor: &'a str,
    /// How much.
    pub spent: u64,
    /// See [`Table::raise_base`].
    pub keep_until_ns: Option<u64>,
}

/// Why [`Table::store`] has changed nothing.
#[derive(Debug)]
pub enum StoreError {
    /// A reservation is open.
    NotSettled,
    /// The directory can't be locked.
    Io(io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is known of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// A budget's spend as the database has it.
    pub base: u64,
    /// What all workers hold of a concurrency limit or a budget.
    pub held: u64,
    /// When a rate's bucket will be empty; 0 if it never had anything in it.
    pub empty_at_ns: u64,
}

impl Table {
    /// The table of this machine in `folder`, which is made if need be, and a slot in it. A table that is there keeps
    /// its shape.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Path, entries: usize, slots: usize) -> Result<Self, OpenError> {
        let wanted = Shape::checked(entries, slots).ok_or(OpenError::Shape)?;
        let (folder, directory) = Folder::open(folder)?;
        let Opened { file, words, shape } = folder.table(wanted)?;
        if !folder.any_slot_is_live() {
            forget_bases(&words, shape);
        }
        for slot in 0..shape.slots {
            if let Some(lock) = folder.try_slot(slot)? {
                claim(&words, shape, slot);
                // From here on others may open it too.
                let _ = directory.unlock();
                let (directory, slot_lock) = (Mutex::new(directory), Mutex::new(Some(lock)));
                let backing = Backing::File { folder, table: file, directory, slot: slot_lock };
                return Ok(Self::new(Arc::new(words), shape, slot, backing));
            }
        }
        Err(OpenError::SlotsTaken { slots: shape.slots })
    }

    /// A table that only this process has, for tests and simulations.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn in_memory(entries: usize, slots: usize) -> Result<Self, OpenError> {
        let shape = Shape::checked(entries, slots).ok_or(OpenError::Shape)?;
        let words = Words::of_process(shape.words())
            .map_err(|source| OpenError::Io { path: "memory".into(), source })?;
        shape.write(&words);
        claim(&words, shape, 0);
        Ok(Self::new(Arc::new(words), shape, 0, Backing::Memory { directory: Arc::default() }))
    }

    /// Another worker's face of the same memory.
    ///
    /// # Errors
    /// [`OpenError::SlotsTaken`]; also where the table is a file's: open it once more instead.
    pub fn another_slot(&self) -> Result<Self, OpenError> {
        let taken = OpenError::SlotsTaken { slots: self.shape.slots };
        let Backing::Memory { directory } = &self.backing else { return Err(taken) };
        let _lock = lock(directory);
        let state = |slot: &usize| self.shape.slot(&self.words, *slot).load(SeqCst);
        let slot = (0..self.shape.slots).find(|slot| state(slot) == FREE).ok_or(taken)?;
        claim(&self.words, self.shape, slot);
        let backing = Backing::Memory { directory: Arc::clone(directory) };
        Ok(Self::new(Arc::clone(&self.words), self.shape, slot, backing))
    }

    fn new(words: Arc<Words>, shape: Shape, slot: usize, backing: Backing) -> Self {
        let acquiring = Mutex::new(());
        Self { words, shape, slot, backing, acquiring, abandoned: AtomicBool::new(false) }
    }

    /// Our slot.
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.shape.slots
    }

    /// How many entries there may be.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.shape.entries
    }

    /// How many there are.
    #[must_use]
    pub fn entries_used(&self) -> u64 {
        self.header(Header::Used).load(SeqCst)
    }

    /// How often a descriptor found no room, and got an entry that it shares with others.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.header(Header::Overflowed).load(SeqCst)
    }

    /// Free the slots of dead workers, with all that these had; how many. With `now_ns` also some of the entries that
    /// nobody has used for an hour. To be called now and then.
    ///
    /// # Errors
    /// The system can't open or lock a file.
    pub fn sweep(&self, now_ns: Option<u64>) -> Result<usize, OpenError> {
        let mut freed = 0;
        for slot in (0..self.slots_high()).filter(|slot| *slot != self.slot) {
            freed += usize::from(self.sweep_slot(slot)?);
        }
        if let Some(now) = now_ns {
            let _ = self.directory(|directory| directory.free_idle(now));
        }
        Ok(freed)
    }

    fn sweep_slot(&self, slot: usize) -> Result<bool, OpenError> {
        let state = self.shape.slot(&self.words, slot);
        match &self.backing {
            Backing::File { folder, .. } => {
                if state.load(SeqCst) == FREE {
                    return Ok(false);
                }
                // While we hold it nobody claims the slot.
                let Some(_lock) = folder.try_slot(slot)? else { return Ok(false) };
                wipe(&self.words, self.shape, slot);
                state.store(FREE, SeqCst);
                Ok(true)
            }
            Backing::Memory { directory } => {
                let _lock = lock(directory);
                let dead = state.load(SeqCst) == ABANDONED;
                if dead {
                    wipe(&self.words, self.shape, slot);
                    state.store(FREE, SeqCst);
                }
                Ok(dead)
            }
        }
    }

    /// What a budget has cost, as the database knows it. It only ever rises: a lower number than before changes
    /// nothing. `keep_until_ns`: until when the entry is kept at least; by default for ever.
    ///
    /// # Errors
    /// The directory can't be locked.
    pub fn raise_base(&self, descriptor: &str, base: u64, keep_until_ns: Option<u64>) -> io::Result<()> {
        let name = Descriptor::of_hold(descriptor);
        let keep = keep_until_ns.unwrap_or(u64::MAX);
        self.directory(|directory| {
            let row = directory.find_or_make(name.key, keep, name.is_user).unwrap_or(name.overflow);
            self.row(row).base().fetch_max(base, SeqCst);
        })
    }

    /// A rate is at least as full as this: `level_ns` until it is empty again, a minute at most. For whoever has
    /// counted it elsewhere until now. A descriptor without room for an entry of its own is left alone.
    ///
    /// # Errors
    /// The directory can't be locked.
    pub fn fill_rate(&self, descriptor: &str, now_ns: u64, level_ns: u64) -> io::Result<()> {
        let name = Descriptor::of_rate(descriptor);
        let keep = now_ns.saturating_add(gcra::PERIOD_NS);
        self.directory(|directory| {
            // Under the lock no row is freed.
            if let Some(row) = directory.find_or_make(name.key, keep, name.is_user) {
                rate::fill(self.row(row), now_ns, level_ns);
            }
        })
    }

    /// The database has what these requests used: raise the bases to what it says, and give the budgets' holds back, so
    /// that at no moment anything counts twice. Instead of [`Table::raise_base`] and [`Reservation::stored`].
    ///
    /// # Errors
    /// The directory can't be locked, or a reservation has not been settled; nothing has changed.
    pub fn store(&self, bases: &[Base<'_>], reservations: &mut [&mut Reservation]) -> Result<(), StoreError> {
        if reservations.iter().any(|reservation| reservation.is_open()) {
            return Err(StoreError::NotSettled);
        }
        let mut held = HashMap::<usize, u64>::new();
        for (row, amount) in reservations.iter().flat_map(|reservation| reservation.held_in(self)) {
            let sum = held.entry(row).or_default();
            *sum = sum.saturating_add(amount);
        }
        let turn = self.acquiring();
        self.directory(|directory| {
            for base in bases {
                let name = Descriptor::of_hold(base.descriptor);
                let keep = base.keep_until_ns.unwrap_or(u64::MAX);
                let row = directory.find_or_make(name.key, keep, name.is_user).unwrap_or(name.overflow);
                let mut step = Move::new(self.slot, held.remove(&row).unwrap_or(0), base.spent);
                while !step.step(self.row(row)) {}
            }
        })?;
        drop(turn);
        for (row, amount) in held {
            hold::adjust(self.row(row), self.slot, amount, 0);
        }
        for reservation in reservations {
            reservation.was_moved_in(self);
        }
        Ok(())
    }

    /// What is known of a descriptor; None if it has no entry.
    #[must_use]
    pub fn usage(&self, descriptor: &str) -> Option<Usage> {
        let key = Descriptor::of_hold(descriptor).key;
        // Where it is already, no lock is needed: answers ask for it.
        let known = Directory::unlocked(&self.words, self.shape).find(key);
        let found = known.or_else(|| self.directory(|directory| directory.find(key)).ok().flatten())?;
        let row = self.row(found);
        let used = hold::used(row, self.header(Header::SlotsHigh));
        Some(Usage { base: used.base, held: used.held, empty_at_ns: rate::empty_at(row) })
    }

    /// Leave everything as a killed worker leaves it: what we have stays until another worker sweeps. For tests and
    /// simulations. This face must not be used any more; reservations that are dropped give nothing back.
    pub fn abandon(&self) {
        self.abandoned.store(true, SeqCst);
        match &self.backing {
            Backing::File { slot, .. } => drop(lock(slot).take()),
            Backing::Memory { .. } => self.shape.slot(&self.words, self.slot).store(ABANDONED, SeqCst),
        }
    }

    /// Whether [`Table::abandon`] was called.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(SeqCst)
    }

    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        self.shape.row(&self.words, row)
    }

    pub(crate) fn header(&self, word: Header) -> &AtomicU64 {
        word.of(&self.words)
    }

    fn slots_high(&self) -> usize {
        usize::try_from(self.header(Header::SlotsHigh).load(SeqCst)).unwrap_or(0).min(self.shape.slots)
    }

    /// Only one thread at a time may take something.
    pub(crate) fn acquiring(&self) -> MutexGuard<'_, ()> {
        lock(&self.acquiring)
    }

    /// Work on the directory, under its lock.
    pub(crate) fn directory<T>(&self, work: impl FnOnce(Directory<'_>) -> T) -> io::Result<T> {
        match &self.backing {
            Backing::File { table, directory, .. } => {
                let file = lock(directory);
                file.lock()?;
                let done = work(Directory::new(&self.words, self.shape, Some(table)));
                file.unlock()?;
                Ok(done)
            }
            Backing::Memory { directory } => {
                let _lock = lock(directory);
                Ok(work(Directory::new(&self.words, self.shape, None)))
            }
        }
    }
}

impl Drop for Table {
    /// Nothing of ours is open any more: each reservation knows its table.
    fn drop(&mut self) {
        if !self.is_abandoned() {
            self.shape.slot(&self.words, self.slot).store(FREE, SeqCst);
        }
    }
}

/// Make a slot ours, of which nobody alive has anything.
fn claim(words: &[AtomicU64], shape: Shape, slot: usize) {
    Header::SlotsHigh.of(words).fetch_max(slot as u64 + 1, SeqCst);
    wipe(words, shape, slot);
    shape.slot(words, slot).store(CLAIMED, SeqCst);
}

fn wipe(words: &[AtomicU64], shape: Shape, slot: usize) {
    for row in rows(words, shape) {
        hold::wipe(row, slot);
    }
}

/// Nobody uses the table, so whoever opens it now reads what budgets have cost from the database anew: somebody may have
/// set that lower meanwhile, and a base can only be raised.
fn forget_bases(words: &[AtomicU64], shape: Shape) {
    for row in rows(words, shape) {
        // As in `hold::wipe`.
        if row.base().load(SeqCst) != 0 {
            row.base().store(0, SeqCst);
        }
    }
}

/// All that were ever used.
fn rows(words: &[AtomicU64], shape: Shape) -> impl Iterator<Item = Row<'_>> {
    let high = usize::try_from(Header::RowsHigh.of(words).load(SeqCst)).unwrap_or(0).min(shape.entries);
    (0..OVERFLOW_ROWS + high).map(move |row| shape.row(words, row))
}

/// A lock that a panic has not spoiled: what is behind it is changed in ways that may break off anywhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
