//! Work that would hold up all other streams.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Up to here, work takes a few milliseconds at most.
const LARGE_BYTES: usize = 1024 * 1024;

/// Do it here; where it is about so many bytes that it takes long, another thread looks after the other tasks meanwhile.
pub(crate) fn aside_if<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let can_move = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if bytes > LARGE_BYTES && can_move() { block_in_place(work) } else { work() }
}
