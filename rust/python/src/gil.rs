//! When to let other Python threads run.

use pyo3::prelude::*;

/// Below this, letting other Python threads run costs more than the work itself.
const LARGE_BYTES: usize = 64 * 1024;

pub(crate) fn without_gil_if_large<T: Send>(
    py: Python<'_>,
    size: usize,
    work: impl FnOnce() -> T + Send,
) -> T {
    if size > LARGE_BYTES { py.detach(work) } else { work() }
}
