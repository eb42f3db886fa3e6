//! `Exchange.forward`: the blocks of a stream, from the slot into the ASGI server's `send`.
//!
//! A block costs the event loop no step of a task. The task waits on one future for the whole of the stream; when there
//! is something to read, the loop's bridge calls `send` itself, and the future is only resolved where the task is needed:
//! for the last block, because `send` has to wait, or because something failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator};

use crate::errors::{guard, runtime_error, stop_iteration};
use crate::process::lock;

use super::Exchange;
use super::bridge::Ready;

/// What `await exchange.forward(send)` drives: an awaitable, and its own iterator with a generator's methods.
///
/// Without `__traverse__`: the task that waits on it is held only until `Phase::Over`, which every end leads to, and the
/// server's `send` knows nothing of it. `tests/live/test_leaks.py` counts.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Forward {
    exchange: Py<Exchange>,
    send: Py<PyAny>,
    /// Odd while `send` waits.
    writes: AtomicU64,
    phase: Mutex<Phase>,
}

enum Phase {
    /// Blocks go out as they come.
    Running,
    /// `send` waits.
    Blocked {
        /// The iterator of what it returned.
        write: Py<PyIterator>,
        /// What that has yielded, until the task waits on it.
        on: Option<Py<PyAny>>,
    },
    /// For the task: the last block or None.
    Ended(PyResult<Option<Py<PyBytes>>>),
    /// The task has it.
    Over,
}

impl Ready for Py<Forward> {
    fn advance(&self, py: Python<'_>) -> bool {
        let forward = self.get();
        match forward.replace(Phase::Running) {
            Phase::Running => {
                let Some(phase) =
                    guard(|| Ok(forward.pump(py))).unwrap_or_else(|error| Some(Phase::Ended(Err(error))))
                else {
                    return false;
                };
                forward.replace(phase);
            }
            other => {
                forward.replace(other);
            }
        }
        true
    }
}

impl Forward {
    pub(super) fn new(exchange: Py<Exchange>, send: Py<PyAny>) -> Self {
        Self { exchange, send, writes: AtomicU64::new(0), phase: Mutex::new(Phase::Running) }
    }

    /// Only for a moment, and never while Python runs: see `process`.
    fn replace(&self, phase: Phase) -> Phase {
        std::mem::replace(&mut lock(&self.phase), phase)
    }

    /// Send what is there. None: there is no more for now.
    fn pump(&self, py: Python<'_>) -> Option<Phase> {
        let exchange = self.exchange.get();
        loop {
            let block = match exchange.poll_block(py) {
                Ok(Poll::Pending) => return None,
                Ok(Poll::Ready(Some(block))) => block,
                Ok(Poll::Ready(None)) => return Some(Phase::Ended(Ok(None))),
                Err(error) => return Some(Phase::Ended(Err(error))),
            };
            match exchange.is_finished() {
                Ok(false) => {}
                Ok(true) => return Some(Phase::Ended(Ok(Some(block.unbind())))),
                Err(error) => return Some(Phase::Ended(Err(error))),
            }
            self.writes.fetch_add(1, Ordering::Relaxed);
            let write = match self.write(&block) {
                Ok(write) => write,
                Err(error) => return Some(Phase::Ended(Err(error))),
            };
            match step(&write) {
                Ok(None) => {
                    self.writes.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Some(on)) => {
                    return Some(Phase::Blocked { write: write.unbind(), on: Some(on.unbind()) });
                }
                Err(error) => return Some(Phase::Ended(Err(error))),
            }
        }
    }

    /// `send` the block; the iterator of what that returns.
    fn write<'py>(&self, block: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyIterator>> {
        let py = block.py();
        let message = PyDict::new(py);
        message.set_item(intern!(py, "type"), intern!(py, "http.response.body"))?;
        message.set_item(intern!(py, "body"), block)?;
        message.set_item(intern!(py, "more_body"), true)?;
        let awaitable = self.send.bind(py).call1((message,))?;
        match awaitable.cast_into::<PyIterator>() {
            // granian's awaitables are their own iterators.
            Ok(iterator) => Ok(iterator),
            Err(other) => {
                let iterator = other.into_inner().call_method0(intern!(py, "__await__"))?;
                Ok(iterator.cast_into::<PyIterator>()?)
            }
        }
    }

    /// A step of the task: what it has to wait on, or the end.
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        loop {
            let next = match this.replace(Phase::Running) {
                Phase::Running => match this.pump(py) {
                    Some(phase) => phase,
                    None => return this.exchange.get().wait(py, Some(Arc::new(slf.clone().unbind()))),
                },
                Phase::Blocked { write, on: Some(on) } => {
                    this.replace(Phase::Blocked { write, on: None });
                    return Ok(on.into_bound(py));
                }
                Phase::Blocked { write, on: None } => match step(write.bind(py)) {
                    Ok(None) => {
                        this.writes.fetch_add(1, Ordering::Relaxed);
                        Phase::Running
                    }
                    Ok(Some(on)) => Phase::Blocked { write, on: Some(on.unbind()) },
                    Err(error) => Phase::Ended(Err(error)),
                },
                Phase::Ended(outcome) => {
                    this.replace(Phase::Over);
                    return Err(stop_iteration(outcome?));
                }
                Phase::Over => {
                    this.replace(Phase::Over);
                    return Err(runtime_error("this awaitable has ended"));
                }
            };
            this.replace(next);
        }
    }

    fn give_up(&self) {
        self.exchange.get().give_up();
        self.replace(Phase::Over);
    }
}

/// Go on with a write: what it waits on, or nothing where it is done.
fn step<'py>(write: &Bound<'py, PyIterator>) -> PyResult<Option<Bound<'py, PyAny>>> {
    write.clone().next().transpose()
}

coroutine!(Forward {
    #[getter]
    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
});
