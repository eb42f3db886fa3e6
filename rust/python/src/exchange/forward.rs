//! `Exchange.forward`: the blocks of a stream, from the slot into the ASGI server's `send`.
//!
//! A block costs the event loop no step of a task. The task waits on one future for the whole of the stream; when there
//! is something to read, the loop's bridge calls `send` itself, and the future is only resolved where the task is needed:
//! for the last block, because `send` has to wait, or because something failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator};

use crate::errors::guard;

use super::Exchange;
use super::bridge::Ready;

/// What `await exchange.forward(send)` drives: an awaitable, and its own iterator with a generator's methods.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Forward {
    exchange: Py<Exchange>,
    send: Py<PyAny>,
    /// Odd while `send` waits.
    writes: AtomicU64,
    state: Mutex<State>,
}

enum State {
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
        match forward.replace(State::Running) {
            State::Running => {
                let Some(state) =
                    guard(|| Ok(forward.pump(py))).unwrap_or_else(|error| Some(State::Ended(Err(error))))
                else {
                    return false;
                };
                forward.replace(state);
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
        Self { exchange, send, writes: AtomicU64::new(0), state: Mutex::new(State::Running) }
    }

    /// Only for a moment, and never while Python runs: see `process`.
    fn replace(&self, state: State) -> State {
        std::mem::replace(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), state)
    }

    /// Send what is there. None: there is no more for now.
    fn pump(&self, py: Python<'_>) -> Option<State> {
        let exchange = self.exchange.get();
        loop {
            let block = match exchange.poll_block(py) {
                Ok(Poll::Pending) => return None,
                Ok(Poll::Ready(Some(block))) => block,
                Ok(Poll::Ready(None)) => return Some(State::Ended(Ok(None))),
                Err(error) => return Some(State::Ended(Err(error))),
            };
            match exchange.is_finished() {
                Ok(false) => {}
                Ok(true) => return Some(State::Ended(Ok(Some(block.unbind())))),
                Err(error) => return Some(State::Ended(Err(error))),
            }
            self.writes.fetch_add(1, Ordering::Relaxed);
            let write = match self.write(&block) {
                Ok(write) => write,
                Err(error) => return Some(State::Ended(Err(error))),
            };
            match step(&write) {
                Ok(None) => {
                    self.writes.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Some(on)) => {
                    return Some(State::Blocked { write: write.unbind(), on: Some(on.unbind()) });
                }
                Err(error) => return Some(State::Ended(Err(error))),
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
            let next = match this.replace(State::Running) {
                State::Running => match this.pump(py) {
                    Some(state) => state,
                    None => return this.exchange.get().wait(py, Some(Arc::new(slf.clone().unbind()))),
                },
                State::Blocked { write, on: Some(on) } => {
                    this.replace(State::Blocked { write, on: None });
                    return Ok(on.into_bound(py));
                }
                State::Blocked { write, on: None } => match step(write.bind(py)) {
                    Ok(None) => {
                        this.writes.fetch_add(1, Ordering::Relaxed);
                        State::Running
                    }
                    Ok(Some(on)) => State::Blocked { write, on: Some(on.unbind()) },
                    Err(error) => State::Ended(Err(error)),
                },
                State::Ended(outcome) => {
                    this.replace(State::Over);
                    return Err(PyStopIteration::new_err((outcome?,)));
                }
                State::Over => {
                    this.replace(State::Over);
                    return Err(PyRuntimeError::new_err("this awaitable has ended"));
                }
            };
            this.replace(next);
        }
    }

    fn give_up(&self) {
        self.exchange.get().give_up();
        self.replace(State::Over);
    }
}

/// Go on with a write: what it waits on, or nothing where it is done.
fn step<'py>(write: &Bound<'py, PyIterator>) -> PyResult<Option<Bound<'py, PyAny>>> {
    write.clone().next().transpose()
}

#[pymethods]
impl Forward {
    #[getter]
    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn __await__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        guard(|| Self::step(slf))
    }

    #[pyo3(name = "send")]
    fn send_value<'py>(slf: &Bound<'py, Self>, _value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        guard(|| Self::step(slf))
    }

    /// `CancelledError`, above all: the exchange dies here and now, and the exception goes on its way.
    #[pyo3(signature = (exception, value=None, traceback=None))]
    fn throw(
        &self,
        exception: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        // Part of the old three-argument form; the exception brings its own.
        drop(traceback);
        guard(|| {
            self.give_up();
            Ok(())
        })?;
        Err(PyErr::from_value(value.unwrap_or(exception)))
    }

    fn close(&self) -> PyResult<()> {
        guard(|| {
            self.give_up();
            Ok(())
        })
    }
}
