//! `Upstream`, `Exchange`, `Summary`, and the awaitable behind `Exchange.next_block`.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llmgw_core::request::AnswerContext;
use llmgw_core::sse::SseLimits;
use llmgw_upstream::{self as core, ExchangeRequest, Report, Timeouts, UpstreamConfig};
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::bridge::Bridge;
use crate::errors::{guard, upstream_error};
use crate::process::{OfProcess, runtime};
use crate::request::PreparedRequest;

/// One provider endpoint with its pooled client.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Upstream(OfProcess<core::Upstream>);

#[pymethods]
impl Upstream {
    #[new]
    #[pyo3(signature = (base_url, *, api_key=None, connect_timeout_s=5.0, first_event_timeout_s=60.0,
                        idle_timeout_s=60.0, total_timeout_s=900.0, max_event_bytes=16_777_216,
                        max_answer_bytes=67_108_864))]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments, in Python")]
    fn new(
        base_url: String,
        api_key: Option<String>,
        connect_timeout_s: f64,
        first_event_timeout_s: f64,
        idle_timeout_s: f64,
        total_timeout_s: f64,
        max_event_bytes: usize,
        max_answer_bytes: usize,
    ) -> PyResult<Self> {
        let timeouts = Timeouts {
            connect: duration("connect_timeout_s", connect_timeout_s)?,
            first_event: duration("first_event_timeout_s", first_event_timeout_s)?,
            idle: duration("idle_timeout_s", idle_timeout_s)?,
            total: duration("total_timeout_s", total_timeout_s)?,
        };
        let limits = SseLimits { max_line_bytes: max_event_bytes, max_event_bytes };
        let config = UpstreamConfig { base_url, api_key, timeouts, limits, max_answer_bytes };
        guard(|| match core::Upstream::new(config) {
            Ok(upstream) => Ok(Self(OfProcess::new(upstream))),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        })
    }

    #[pyo3(signature = (request, *, request_id, heartbeat_s=15.0))]
    fn start(
        &self,
        py: Python<'_>,
        request: &PreparedRequest,
        request_id: String,
        heartbeat_s: f64,
    ) -> PyResult<Exchange> {
        guard(|| {
            let upstream = self.0.get().ok_or_else(forked)?;
            let created_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let request = ExchangeRequest {
                body: request.body.clone(),
                mode: request.mode,
                context: AnswerContext { request_id, model: request.upstream_model.clone(), created_s },
                heartbeat: duration("heartbeat_s", heartbeat_s)?,
            };
            let (bridge, running_loop) = Bridge::of_running_loop(py)?;
            let create_future = running_loop.getattr(intern!(py, "create_future"))?.unbind();
            let (number, waker) = bridge.get().waker();
            let exchange = OfProcess::new(upstream.start(&runtime(py)?, request));
            Ok(Exchange { exchange, bridge, create_future, number, waker })
        })
    }
}

fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{name} must be a number of seconds, zero or more")))
}

fn forked() -> PyErr {
    PyRuntimeError::new_err("made before a fork: make upstreams in the process that uses them")
}

/// One request to a provider and its answer.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Exchange {
    /// Dropped with this object, and so aborted.
    exchange: OfProcess<core::Exchange>,
    bridge: Py<Bridge>,
    /// The loop's.
    create_future: Py<PyAny>,
    number: u64,
    waker: Waker,
}

impl Exchange {
    fn poll_block(&self, py: Python<'_>) -> PyResult<Poll<Option<Py<PyBytes>>>> {
        let exchange = self.exchange.get().ok_or_else(forked)?;
        match exchange.poll_block(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Ok(Poll::Pending),
            // The one copy of a block on its way to the client's socket that is ours.
            Poll::Ready(Ok(block)) => Ok(Poll::Ready(block.map(|block| PyBytes::new(py, &block).unbind()))),
            Poll::Ready(Err(error)) => Err(upstream_error(py, &error)),
        }
    }

    fn stop(&self) {
        if let Some(exchange) = self.exchange.get() {
            exchange.abort();
        }
    }
}

#[pymethods]
impl Exchange {
    fn next_block(slf: Py<Self>) -> NextBlock {
        NextBlock { exchange: slf }
    }

    fn abort(&self) -> PyResult<()> {
        guard(|| {
            self.stop();
            Ok(())
        })
    }

    fn summary(&self) -> PyResult<Summary> {
        guard(|| Ok(Summary(self.exchange.get().ok_or_else(forked)?.report())))
    }
}

/// What `Exchange.next_block` returns: an awaitable that is its own iterator.
///
/// A block that is ready ends the iteration at once, without a turn of the loop. Else an asyncio future is yielded to
/// the awaiting task, as `Future.__await__` would, and the exchange is polled again once the bridge has resolved it.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct NextBlock {
    exchange: Py<Exchange>,
}

#[pymethods]
impl NextBlock {
    const fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    const fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let exchange = self.exchange.get();
        guard(|| match exchange.poll_block(py)? {
            Poll::Ready(block) => Err(PyStopIteration::new_err((block,))),
            Poll::Pending => {
                let future = exchange.create_future.call0(py)?;
                future.setattr(py, intern!(py, "_asyncio_future_blocking"), true)?;
                exchange.bridge.get().wait(exchange.number, future.clone_ref(py));
                Ok(future)
            }
        })
    }

    /// The task that awaits was cancelled (or something else is thrown into it): nobody wants the answer any more.
    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        drop(traceback);
        self.close();
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    /// The awaiting coroutine was closed.
    fn close(&self) {
        let exchange = self.exchange.get();
        exchange.bridge.get().forget(exchange.number);
        exchange.stop();
    }
}

/// What is known of an exchange.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Summary(Report);

#[pymethods]
impl Summary {
    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.summary.model.as_deref()
    }

    #[getter]
    fn finish_reason(&self) -> Option<&str> {
        self.0.summary.finish_reason.as_deref()
    }

    #[getter]
    fn prompt_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.prompt_tokens
    }

    #[getter]
    fn completion_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.completion_tokens
    }

    #[getter]
    fn reasoning_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.reasoning_tokens
    }

    #[getter]
    fn cached_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.cached_tokens
    }

    #[getter]
    fn usage_source(&self) -> &'static str {
        self.0.summary.usage_source().as_str()
    }

    #[getter]
    const fn reasoning_seen(&self) -> bool {
        self.0.summary.reasoning_seen
    }

    #[getter]
    const fn frames(&self) -> u64 {
        self.0.summary.frames
    }

    #[getter]
    fn error_kind(&self) -> Option<&'static str> {
        self.0.error_kind.map(|kind| kind.as_str())
    }

    #[getter]
    fn first_event_s(&self) -> Option<f64> {
        self.0.first_event.map(|first_event| first_event.as_secs_f64())
    }

    #[getter]
    fn total_s(&self) -> f64 {
        self.0.total.as_secs_f64()
    }
}
