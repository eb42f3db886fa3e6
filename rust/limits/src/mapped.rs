//! Memory that processes share, as words of 64 bits that are only ever touched atomically. The only unsafe code here.
//!
//! If another process writes there what is damaged or hostile, a word is still a number and nothing else: no pointer,
//! no length that is trusted, no type with invalid values.
#![allow(
    unsafe_code,
    reason = "a mapping is a pointer; this module makes it a slice of atomics, and nothing else does"
)]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

/// How many bytes a word takes.
pub(crate) const WORD_BYTES: usize = size_of::<AtomicU64>();

/// A mapping of `words` words. It stays mapped until this is dropped; the file may be closed before.
#[derive(Debug)]
pub(crate) struct Words {
    map: MmapRaw,
    words: usize,
}

impl Words {
    /// The first `words` words of a file that others map as well. It must be that long, else reading faults.
    pub(crate) fn of_file(file: &File, words: usize) -> io::Result<Self> {
        if file.metadata()?.len() < (words * WORD_BYTES) as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its mapping"));
        }
        let map = MmapOptions::new().len(words * WORD_BYTES).map_raw(file)?;
        Ok(Self { map, words })
    }

    /// Memory of this process (and of forked children, which share it), all zero.
    pub(crate) fn of_process(words: usize) -> io::Result<Self> {
        Ok(Self { map: MmapRaw::from(MmapMut::map_anon(words * WORD_BYTES)?), words })
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    #[allow(clippy::cast_ptr_alignment, reason = "a mapping starts at a page")]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `words * WORD_BYTES` long, readable and writable, lives as long as `self`, and starts
        // at a page, so it is aligned. Any bits are a valid `AtomicU64`. Nothing in this process refers to the mapping
        // but through this slice, so all its accesses are atomic; other processes run this same code. The file is never
        // truncated: what replaces it is another file (see `folder`).
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.words) }
    }
}
