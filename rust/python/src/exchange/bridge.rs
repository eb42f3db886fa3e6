//! How a tokio task wakes an asyncio loop: one queue, one socket pair and one reader callback per event loop.
//!
//! A waker holds a token and the queue, and no Python object: waking takes no GIL. The first token of a batch writes one
//! byte; the loop's reader callback, which is the [`Bridge`] itself, then resolves the futures of all tokens that have
//! gathered. So a hop costs the loop one wake-up for as many exchanges as were ready.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use pyo3::{PyTypeInfo, intern};

use crate::errors::{guard, runtime_error};
use crate::process::lock;

/// The bridges of all loops that have any. Python's own weak dictionary would do, for ten times the price of a look-up.
static BRIDGES: Mutex<Vec<Py<Bridge>>> = Mutex::new(Vec::new());

/// The Rust half: tokens of exchanges that have something to read.
struct ReadyQueue {
    state: Mutex<ReadyState>,
}

struct ReadyState {
    tokens: Vec<u64>,
    /// A byte is on its way, or being handled.
    signalled: bool,
    /// None once the loop is closed.
    writer: Option<UnixStream>,
}

impl ReadyQueue {
    fn push(&self, token: u64) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        // Nobody takes the tokens of a closed loop.
        let Some(writer) = &mut state.writer else { return };
        state.tokens.push(token);
        if !std::mem::replace(&mut state.signalled, true) {
            // At most one byte is ever on its way, so this neither blocks nor fails while the loop lives.
            let _ = writer.write(&[0]);
        }
    }

    fn take(&self) -> Vec<u64> {
        let mut state = lock(&self.state);
        state.signalled = false;
        std::mem::take(&mut state.tokens)
    }
}

struct LoopWaker {
    queue: Arc<ReadyQueue>,
    token: u64,
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.queue.push(self.token);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.push(self.token);
    }
}

/// The Python half: what the event loop calls when a byte has come.
///
/// Without `__traverse__`: it knows its loop weakly, and a future only until it is resolved or its task gives up.
#[pyclass(frozen, module = "llmgw._core")]
pub(super) struct Bridge {
    event_loop: Py<PyWeakrefReference>,
    queue: Arc<ReadyQueue>,
    reader: Mutex<Option<UnixStream>>,
    /// By exchange.
    waiting: Mutex<HashMap<u64, Waiting>>,
}

/// What waits for an exchange.
struct Waiting {
    /// The asyncio future that the reader's task is suspended on.
    future: Py<PyAny>,
    /// What is asked first; the future is resolved only where this says so.
    ready: Option<Arc<dyn Ready>>,
}

/// Takes what there is to read without the task that waits, as far as it can.
pub(super) trait Ready: Send + Sync {
    /// Something may be there to read. True: the task has to be woken.
    fn advance(&self, py: Python<'_>) -> bool;
}

/// `asyncio.get_running_loop()`.
fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()
}

impl Bridge {
    /// The running loop's bridge, made at its first exchange. Raises `RuntimeError` where no loop is running.
    pub(super) fn of_running_loop(py: Python<'_>) -> PyResult<Py<Self>> {
        let event_loop = running_loop(py)?;
        let known = lock(&BRIDGES)
            .iter()
            .find(|bridge| bridge.get().serves(&event_loop))
            .map(|known| known.clone_ref(py));
        known.map_or_else(|| Self::register(&event_loop), Ok)
    }

    /// A closed loop does not say so, so the bridges of closed loops are let go when a new loop gets its own: however many
    /// loops a process runs one after the other, one closed loop's socket pair is open at most.
    fn register(event_loop: &Bound<'_, PyAny>) -> PyResult<Py<Self>> {
        let py = event_loop.py();
        let bridge = Py::new(py, Self::new(event_loop)?)?;
        let reader_fd = lock(&bridge.get().reader).as_ref().map(AsRawFd::as_raw_fd);
        event_loop.call_method1(intern!(py, "add_reader"), (reader_fd, &bridge))?;
        // `is_closed` is Python code, so it is not called under the lock.
        let known: Vec<_> = lock(&BRIDGES).iter().map(|bridge| bridge.clone_ref(py)).collect();
        let closed: Vec<_> = known.into_iter().filter(|bridge| bridge.get().is_over(py)).collect();
        let mut bridges = lock(&BRIDGES);
        bridges.retain(|bridge| !closed.iter().any(|closed| closed.is(bridge)));
        bridges.push(bridge.clone_ref(py));
        drop(bridges);
        for bridge in &closed {
            bridge.get().release();
        }
        Ok(bridge)
    }

    fn new(event_loop: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let state = ReadyState { tokens: Vec::new(), signalled: false, writer: Some(writer) };
        Ok(Self {
            event_loop: PyWeakrefReference::new(event_loop)?.unbind(),
            queue: Arc::new(ReadyQueue { state: Mutex::new(state) }),
            reader: Mutex::new(Some(reader)),
            waiting: Mutex::new(HashMap::new()),
        })
    }

    fn serves(&self, event_loop: &Bound<'_, PyAny>) -> bool {
        self.event_loop.bind(event_loop.py()).upgrade().is_some_and(|own| own.is(event_loop))
    }

    /// Whether the loop is closed or gone.
    fn is_over(&self, py: Python<'_>) -> bool {
        self.event_loop.bind(py).upgrade().is_none_or(|event_loop| {
            event_loop
                .call_method0(intern!(py, "is_closed"))
                .and_then(|closed| closed.extract())
                .unwrap_or(false)
        })
    }

    /// Close both ends, and let go of futures that nothing will resolve (they hold the loop).
    fn release(&self) {
        let mut state = lock(&self.queue.state);
        (state.writer, state.tokens) = (None, Vec::new());
        drop(state);
        *lock(&self.reader) = None;
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        drop(waiting);
    }

    /// A waker for one exchange, and the token that it pushes.
    pub(super) fn waker(&self) -> (Waker, u64) {
        static NEXT_TOKEN: AtomicU64 = AtomicU64::new(0);
        let token = NEXT_TOKEN.fetch_add(1, Ordering::Relaxed);
        (Waker::from(Arc::new(LoopWaker { queue: Arc::clone(&self.queue), token })), token)
    }

    /// The future to suspend on until the token's waker is called.
    ///
    /// To be called after the waker has been registered: a wake-up in between waits in the queue, and the queue is only
    /// drained by this thread.
    pub(super) fn wait<'py>(
        &self,
        py: Python<'py>,
        token: u64,
        ready: Option<Arc<dyn Ready>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = running_loop(py)?;
        if !self.serves(&event_loop) {
            return Err(runtime_error("this exchange was started on another event loop"));
        }
        let other = lock(&self.waiting).get(&token).map(|other| other.future.clone_ref(py));
        if let Some(other) = other
            && !other.bind(py).call_method0(intern!(py, "done"))?.is_truthy()?
        {
            return Err(runtime_error("another task is waiting for this exchange's next block"));
        }
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        // What `Future.__await__` does before it yields itself: asyncio's sign that the task is to be suspended on it.
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        let waiting = Waiting { future: future.clone().unbind(), ready };
        let replaced = lock(&self.waiting).insert(token, waiting);
        drop(replaced);
        Ok(future)
    }

    /// Nothing waits for the token any more.
    pub(super) fn forget(&self, token: u64) {
        let waiting = lock(&self.waiting).remove(&token);
        drop(waiting);
    }

    fn drain(&self, py: Python<'_>) {
        // Before the tokens are taken: a byte written after that means tokens that are still in the queue.
        if let Some(reader) = lock(&self.reader).as_mut() {
            let _ = reader.read(&mut [0; 8]);
        }
        for token in self.queue.take() {
            // One that fails must not strand the others of its batch.
            if let Err(error) = self.wake(py, token) {
                error.write_unraisable(py, None);
            }
        }
    }

    fn wake(&self, py: Python<'_>, token: u64) -> PyResult<()> {
        let ready = lock(&self.waiting).get(&token).and_then(|waiting| waiting.ready.clone());
        if ready.is_some_and(|ready| !ready.advance(py)) {
            return Ok(());
        }
        let Some(waiting) = lock(&self.waiting).remove(&token) else { return Ok(()) };
        let future = waiting.future.bind(py);
        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Bridge {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        guard(|| {
            self.drain(py);
            Ok(())
        })
    }

    /// asyncio's debug mode logs slow callbacks by their `repr`.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<{} waiting={}>", Self::type_object(py).name()?, lock(&self.waiting).len()))
    }
}
