//! The files: a folder for each boot of the machine, in it the table and the locks.
//!
//! ```text
//! FOLDER/BOOT-ID/table           the shared memory (see layout)
//! FOLDER/BOOT-ID/directory.lock  held to change the directory, and to make the table
//! FOLDER/BOOT-ID/slot-N.lock     the worker of slot N holds it as long as it lives
//! ```
//! The locks are the kernel's (`flock`): it lets go of a lock when the process that holds it ends, however it ends. The
//! times in the table count from the boot, so another boot has another folder; an older one is removed if no slot of it
//! is locked.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

use crate::layout::{Header, MAGIC, MAX_SLOTS, Shape, VERSION};
use crate::mapped::{WORD_BYTES, Words};

const TABLE: &str = "table";
const DIRECTORY_LOCK: &str = "directory.lock";
/// Where a system has no id of its boot. Then a table is only used again while somebody uses it.
const UNKNOWN_BOOT: &str = "boot";

/// Why a table could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The system refused.
    Io {
        /// What could not be made, opened, locked or mapped.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// As many workers as the table has slots are alive.
    SlotsTaken {
        /// How many.
        slots: usize,
    },
    /// The table is damaged or of another version of llmgw, and workers that are alive use it.
    Unusable {
        /// The table.
        path: PathBuf,
    },
    /// So many entries or slots can't be.
    Shape,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::SlotsTaken { slots } => write!(f, "all {slots} slots are taken by live workers"),
            Self::Unusable { path } => write!(
                f,
                "{}: damaged or of another version of llmgw, and live workers use it; stop them first",
                path.display()
            ),
            Self::Shape => write!(f, "a table has 1 to 1048576 entries and 1 to {MAX_SLOTS} slots"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, OpenError>;

/// Which path an error is about.
trait About<T> {
    fn about(self, path: &Path) -> Result<T>;
}

impl<T> About<T> for io::Result<T> {
    fn about(self, path: &Path) -> Result<T> {
        self.map_err(|source| OpenError::Io { path: path.to_owned(), source })
    }
}

/// The folder of this boot.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Made if it does not exist. With the directory's lock, held.
    pub(crate) fn open(parent: &Path) -> Result<(Self, File)> {
        make_folder(parent)?;
        let boot = boot_id();
        let folder = Self { path: parent.join(boot.as_deref().unwrap_or(UNKNOWN_BOOT)) };
        loop {
            make_folder(&folder.path)?;
            let path = folder.path.join(DIRECTORY_LOCK);
            let lock = match open_lock(&path) {
                // Another boot's worker (of a machine that shares the folder) has just removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.about(&path)?,
            };
            lock.lock().about(&path)?;
            let ours = lock.metadata().about(&path)?;
            if fs::metadata(&path).is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                folder.remove_other_boots(parent);
                return Ok((folder, lock));
            }
        }
    }

    /// The table, made if there is none, or if the one that is there can't be used and nobody uses it. With the lock
    /// held.
    pub(crate) fn table(&self, wanted: Shape) -> Result<Opened> {
        let path = self.path.join(TABLE);
        let found = read_table(&path)?;
        let live = || self.any_slot_is_live();
        match found {
            Found::Good(opened) if boot_id().is_some() || live() => Ok(opened),
            Found::Bad if live() => Err(OpenError::Unusable { path }),
            _ => make_table(&path, wanted),
        }
    }

    /// The lock of a slot, unless a live worker holds it.
    pub(crate) fn try_slot(&self, slot: usize) -> Result<Option<File>> {
        let path = self.slot_path(slot);
        let file = open_lock(&path).about(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
        }
    }

    fn slot_path(&self, slot: usize) -> PathBuf {
        self.path.join(format!("slot-{slot}.lock"))
    }

    /// Whether a worker uses the table.
    pub(crate) fn any_slot_is_live(&self) -> bool {
        (0..MAX_SLOTS).any(|slot| {
            let file = File::open(self.slot_path(slot));
            // A lock that can't be asked counts as held.
            file.is_ok_and(|file| file.try_lock_shared().is_err())
        })
    }

    /// Best effort: what can't be removed is in nobody's way.
    fn remove_other_boots(&self, parent: &Path) {
        let Ok(folders) = fs::read_dir(parent) else { return };
        for path in folders.flatten().map(|folder| folder.path()).filter(|path| *path != self.path) {
            let Ok(lock) = File::open(path.join(DIRECTORY_LOCK)) else { continue };
            let other = Self { path };
            if lock.try_lock().is_ok() && !other.any_slot_is_live() {
                let _ = fs::remove_dir_all(&other.path);
            }
        }
    }
}

/// A table, its file and its shape.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) words: Words,
    pub(crate) shape: Shape,
}

/// What is where the table should be.
enum Found {
    Nothing,
    Bad,
    Good(Opened),
}

fn read_table(path: &Path) -> Result<Found> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        opened => opened.about(path)?,
    };
    let Ok(head) = Words::of_file(&file, Shape::HEAD_WORDS) else { return Ok(Found::Bad) };
    let ours =
        Header::Magic.of(&head).load(SeqCst) == MAGIC && Header::Version.of(&head).load(SeqCst) == VERSION;
    let Some(shape) = Shape::of(&head).filter(|_| ours) else { return Ok(Found::Bad) };
    let words = Words::of_file(&file, shape.words());
    Ok(words.map_or(Found::Bad, |words| Found::Good(Opened { file, words, shape })))
}

/// In a file of its own that then takes the name: a worker that has mapped the one before keeps it whole.
fn make_table(path: &Path, shape: Shape) -> Result<Opened> {
    let new = path.with_extension("new");
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).clone();
    let file = options.open(&new).about(&new)?;
    file.set_len((shape.words() * WORD_BYTES) as u64).about(&new)?;
    write_zeros(&file, shape.head_bytes()).about(&new)?;
    let words = Words::of_file(&file, shape.words()).about(&new)?;
    shape.write(&words);
    fs::rename(&new, path).about(path)?;
    Ok(Opened { file, words, shape })
}

/// Take space on the disk, or say that there is none.
pub(crate) fn write_zeros(file: &File, bytes: Range<u64>) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = bytes.start;
    while at < bytes.end {
        let length = usize::try_from(bytes.end - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).about(path)
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// What Linux calls this boot. Elsewhere None.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = id.trim();
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain.then(|| id.to_owned())
}
