//! What belongs to one process: granian's workers may be forked, and no tokio runtime survives a fork.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::{Builder, Handle, Runtime};

/// Exchanges are I/O and short bursts of parsing; the other cores belong to the other workers.
const WORKER_THREADS: usize = 1;

/// For names that are looked up, and for what goes on while a large event is worked on. By default tokio allows 512, and
/// each of them keeps memory of its own.
const MAX_BLOCKING_THREADS: usize = 16;
const BLOCKING_THREAD_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The id of this process. Asking the system each time takes as long as a dozen look-ups, and every call asks.
static PROCESS: AtomicU32 = AtomicU32::new(0);

fn process() -> u32 {
    PROCESS.load(Ordering::Relaxed)
}

/// To be called in each new process: see [`follow_forks`].
#[pyfunction]
fn note_process() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

/// Know this process, and its children as soon as they are forked. A fork that bypasses Python's hooks leaves an
/// interpreter that can't be used anyway.
pub(crate) fn follow_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    note_process();
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", wrap_pyfunction!(note_process, module)?)?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        os.call_method("register_at_fork", (), Some(&hooks))?;
    }
    Ok(())
}

/// A value that only the process that made it may drop: its destructor would wake tasks of a runtime whose threads and
/// lock holders do not exist in a forked child. The child leaks it instead.
pub(crate) struct OfProcess<T> {
    pid: u32,
    value: Option<T>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { pid: process(), value: Some(value) }
    }

    /// The value, unless this is another process.
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.pid == process())
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut().filter(|_| self.pid == process())
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.pid != process() {
            std::mem::forget(self.value.take());
        }
    }
}

/// A lock that a panic has not spoiled: what is behind it is replaced whole, or only appended to.
///
/// Every lock in this crate but one is only held while attached to the interpreter and without calling into it; so
/// `os.fork`, which needs the interpreter too, can't catch it locked. The one is a bridge's queue of tokens, which tokio's
/// thread takes too. A forked child whose copy is locked for ever would wait for it when its next event loop lets the
/// bridges of closed loops go.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime of this process, made at its first use.
pub(crate) fn runtime(_attached: Python<'_>) -> std::io::Result<Handle> {
    static RUNTIME: Mutex<Option<OfProcess<Runtime>>> = Mutex::new(None);
    let mut runtime = lock(&RUNTIME);
    if let Some(runtime) = runtime.as_ref().and_then(OfProcess::get) {
        return Ok(runtime.handle().clone());
    }
    let made = Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_THREAD_KEEP_ALIVE)
        .thread_name("llmgw-upstream")
        .enable_all()
        .build()?;
    let handle = made.handle().clone();
    *runtime = Some(OfProcess::new(made));
    Ok(handle)
}
