//! How a tokio task wakes an asyncio loop: once for everything that is ready, and without the interpreter.
//!
//! Futures of the Rust side are polled on the loop's own thread, from an object's `__next__`. Where one is pending, an
//! asyncio future is handed to the task that awaits. The waker knows nothing of it: it pushes a number to the loop's
//! queue and, if the queue was empty, writes one byte to a socket. The loop reads that socket like any other; its
//! callback takes the whole queue and resolves the asyncio futures that those numbers stand for.
//!
//! So a tokio thread never waits for the interpreter, never drops a Python object, and any number of streams that get
//! ready in one turn of the loop cost one wake-up.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The numbers of those who were woken since the loop looked last.
struct Queue {
    woken: Mutex<Vec<u64>>,
    bell: UnixStream,
}

/// Wakes whoever waits under one number.
struct Ring {
    queue: Arc<Queue>,
    number: u64,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut woken = lock(&self.queue.woken);
        woken.push(self.number);
        if woken.len() == 1 {
            // A full socket already rings. A closed one has nobody behind it.
            let _ = (&self.queue.bell).write(&[1]);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One loop's end of the bridge; the loop calls it when the bell rings.
///
/// The loop holds it as a reader's callback and [`Bridge::of_running_loop`] weakly by loop, so that it goes, and closes
/// its sockets, with the loop.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Bridge {
    queue: Arc<Queue>,
    ear: UnixStream,
    /// The asyncio futures of those who wait. Only touched on the loop's thread.
    waiting: Mutex<HashMap<u64, Py<PyAny>>>,
    next_number: AtomicU64,
}

impl Bridge {
    /// The bridge of the loop that runs on this thread, and the loop.
    ///
    /// Raises RuntimeError where none runs, OSError where there are no file descriptors left.
    pub(crate) fn of_running_loop(py: Python<'_>) -> PyResult<(Py<Self>, Bound<'_, PyAny>)> {
        static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static BRIDGES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let running = GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()?;
        let bridges = BRIDGES.get_or_try_init(py, || {
            py.import("weakref")?.getattr("WeakKeyDictionary")?.call0().map(Bound::unbind)
        })?;
        let bridges = bridges.bind(py);
        let known = bridges.call_method1(intern!(py, "get"), (&running,))?;
        if let Ok(bridge) = known.cast_into::<Self>() {
            return Ok((bridge.unbind(), running));
        }
        let bridge = Py::new(py, Self::new()?)?;
        let ear = bridge.get().ear.as_raw_fd();
        running.call_method1(intern!(py, "add_reader"), (ear, &bridge))?;
        bridges.set_item(&running, &bridge)?;
        Ok((bridge, running))
    }

    fn new() -> std::io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self {
            queue: Arc::new(Queue { woken: Mutex::new(Vec::new()), bell }),
            ear,
            waiting: Mutex::new(HashMap::new()),
            next_number: AtomicU64::new(0),
        })
    }

    /// A number to wait under, and the waker that wakes it.
    pub(crate) fn waker(&self) -> (u64, Waker) {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        (number, Waker::from(Arc::new(Ring { queue: Arc::clone(&self.queue), number })))
    }

    /// Resolve this asyncio future once the number is woken. On the loop's thread.
    pub(crate) fn wait(&self, number: u64, future: Py<PyAny>) {
        let replaced = lock(&self.waiting).insert(number, future);
        drop(replaced);
    }

    /// Nobody waits under this number any more.
    pub(crate) fn forget(&self, number: u64) {
        let removed = lock(&self.waiting).remove(&number);
        drop(removed);
    }

    fn silence(&self) {
        let mut bytes = [0; 64];
        loop {
            match (&self.ear).read(&mut bytes) {
                Ok(read) if read == bytes.len() => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

#[pymethods]
impl Bridge {
    /// The bell rang.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        // First the bell, then the queue: who comes between them finds the queue not empty and is taken along.
        self.silence();
        let woken = std::mem::take(&mut *lock(&self.queue.woken));
        for number in woken {
            let Some(future) = lock(&self.waiting).remove(&number) else { continue };
            let future = future.bind(py);
            if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                future.call_method1(intern!(py, "set_result"), (py.None(),))?;
            }
        }
        Ok(())
    }
}
