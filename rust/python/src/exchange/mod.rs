//! `Upstream`, `Exchange`, `ExchangeReport`, and the awaitable that `Exchange.next_block` returns.

mod bridge;
#[macro_use]
mod coroutine;
pub(crate) mod forward;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use llmgw_core::answer::context::AnswerContext;
use llmgw_core::api::Api;
use llmgw_core::api::native::Native;
use llmgw_core::sse::SseLimits;
use llmgw_core::turn::key::scope_of;
use llmgw_upstream::http::header::{HeaderName, HeaderValue};
use llmgw_upstream::{
    self as upstream, ErrorKind, ExchangeRequest, Heartbeat, Report, Timeouts, UpstreamConfig,
};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{guard, runtime_error, stop_iteration, upstream_error, value_error};
use crate::process::{OfProcess, lock, runtime};
use crate::request::{ChatRequest, PreparedRequest};

use self::bridge::{Bridge, Ready};
use self::forward::Forward;

/// One provider endpoint with its pooled client.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Upstream {
    config: UpstreamConfig,
    client: Mutex<OfProcess<upstream::Upstream>>,
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| value_error(format!("{name} must be a positive number of seconds")))
}

fn connect(config: &UpstreamConfig) -> PyResult<upstream::Upstream> {
    upstream::Upstream::new(config.clone()).map_err(|error| value_error(error.to_string()))
}

#[pymethods]
impl Upstream {
    #[new]
    #[pyo3(signature = (base_url, *, rerank_url=None, messages_url=None, responses_url=None, api_key=None,
                        connect_timeout_s, first_event_timeout_s, idle_timeout_s, total_timeout_s,
                        max_event_bytes=SseLimits::DEFAULT_BYTES,
                        max_answer_bytes=UpstreamConfig::DEFAULT_ANSWER_BYTES))]
    #[expect(clippy::too_many_arguments, reason = "Python names each")]
    fn new(
        base_url: String,
        rerank_url: Option<String>,
        messages_url: Option<String>,
        responses_url: Option<String>,
        api_key: Option<String>,
        connect_timeout_s: f64,
        first_event_timeout_s: f64,
        idle_timeout_s: f64,
        total_timeout_s: f64,
        max_event_bytes: usize,
        max_answer_bytes: usize,
    ) -> PyResult<Self> {
        let timeouts = Timeouts {
            connect: seconds("connect_timeout_s", connect_timeout_s)?,
            first_event: seconds("first_event_timeout_s", first_event_timeout_s)?,
            idle: seconds("idle_timeout_s", idle_timeout_s)?,
            total: seconds("total_timeout_s", total_timeout_s)?,
        };
        let config = UpstreamConfig {
            base_url,
            api_urls: [
                (Api::Rerank, rerank_url),
                (Api::Native(Native::Messages), messages_url),
                (Api::Native(Native::Responses), responses_url),
            ]
            .into_iter()
            .filter_map(|(api, url)| Some((api, url?)))
            .collect(),
            api_key,
            timeouts,
            limits: SseLimits { max_line_bytes: max_event_bytes, max_event_bytes },
            max_answer_bytes,
        };
        guard(|| Ok(Self { client: Mutex::new(OfProcess::new(connect(&config)?)), config }))
    }

    #[pyo3(signature = (request, *, request_id, heartbeat_s, heartbeat_line=false, total_timeout_s=None,
                        headers=Vec::new(), trace=Vec::new()),
           text_signature = "($self, request, *, request_id, heartbeat_s, heartbeat_line=False, \
                             total_timeout_s=None, headers=(), trace=())")]
    #[expect(clippy::too_many_arguments, reason = "Python names each")]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 extracts a sequence only into an owned one")]
    fn start(
        &self,
        py: Python<'_>,
        request: &PreparedRequest,
        request_id: String,
        heartbeat_s: f64,
        heartbeat_line: bool,
        total_timeout_s: Option<f64>,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
        trace: Vec<(PyBackedBytes, PyBackedBytes)>,
    ) -> PyResult<Exchange> {
        let heartbeat = seconds("heartbeat_s", heartbeat_s)?;
        let total = total_timeout_s.map(|left_s| seconds("total_timeout_s", left_s)).transpose()?;
        let client = self.client()?;
        if !client.speaks(request.api) {
            return Err(value_error("this upstream has no URL for requests of this API"));
        }
        let is_native = matches!(request.api, Api::Native(_) | Api::CountTokens);
        let mut headers = if is_native { passed_on(&headers) } else { Vec::new() };
        headers.extend(passed_on(&trace));
        guard(|| {
            let bridge = Bridge::of_running_loop(py)?;
            let created_s = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            let provider = Arc::clone(&request.provider);
            let request = ExchangeRequest {
                body: request.body.clone(),
                api: request.api,
                headers,
                mode: request.mode,
                context: AnswerContext {
                    request_id,
                    model: request.upstream_model.clone(),
                    created_s,
                    reasoning_tags: request.reasoning_tags,
                    keep_reasoning: request.keep_reasoning,
                    reply: request.reply.clone(),
                    vectors: request.vectors,
                    ..AnswerContext::default()
                },
                heartbeat,
                heartbeat_form: if heartbeat_line { Heartbeat::Line } else { Heartbeat::Block },
                total,
            };
            let exchange = client.start(&runtime(py)?, request);
            let (waker, token) = bridge.get().waker();
            Ok(Exchange { inner: OfProcess::new(exchange), bridge, waker, token, provider })
        })
    }
}

/// Those that can stand in a request.
fn passed_on(headers: &[(PyBackedBytes, PyBackedBytes)]) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(name, value): &(PyBackedBytes, PyBackedBytes)| {
        Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
    };
    headers.iter().filter_map(header).collect()
}

impl Upstream {
    /// The client of this process: a forked child gets its own pool, for its own runtime.
    fn client(&self) -> PyResult<upstream::Upstream> {
        let mut client = lock(&self.client);
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let own = connect(&self.config)?;
        *client = OfProcess::new(own.clone());
        Ok(own)
    }
}

/// What is kept of a turn: its key, hints to that, its reasoning.
type Turn<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>);

/// One request to a provider and its answer.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Exchange {
    inner: OfProcess<upstream::Exchange>,
    bridge: Py<Bridge>,
    waker: Waker,
    token: u64,
    /// Whose reasoning the answer has.
    provider: Arc<str>,
}

#[pymethods]
impl Exchange {
    fn next_block(slf: Py<Self>) -> NextBlock {
        NextBlock { exchange: slf }
    }

    fn forward(slf: Py<Self>, send: Py<PyAny>) -> Forward {
        Forward::new(slf, send)
    }

    fn abort(&self) -> PyResult<()> {
        guard(|| {
            self.here()?.abort();
            Ok(())
        })
    }

    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        guard(|| {
            let exchange = self.here()?;
            // It may have to wait for the read that is being fed.
            py.detach(|| exchange.drain());
            Ok(())
        })
    }

    #[getter]
    fn finished(&self) -> PyResult<bool> {
        guard(|| self.is_finished())
    }

    fn report(&self) -> PyResult<ExchangeReport> {
        guard(|| Ok(ExchangeReport(self.here()?.report())))
    }

    fn turns<'py>(&self, py: Python<'py>, request: &ChatRequest, client: &[u8]) -> PyResult<Vec<Turn<'py>>> {
        guard(|| {
            let scope = scope_of(client, &self.provider);
            let report = self.here()?.report();
            let turns = &report.summary.turns;
            Ok(turns
                .iter()
                .map(|turn| {
                    let keys = request.turn_keys(py, &scope, &turn.said);
                    let hints = keys.hints.iter().map(|hint| PyBytes::new(py, hint)).collect();
                    let reasoning = turn.reasoning.as_deref().map(|text| PyBytes::new(py, text));
                    (PyBytes::new(py, &keys.own), hints, reasoning)
                })
                .collect())
        })
    }
}

impl Exchange {
    fn here(&self) -> PyResult<&upstream::Exchange> {
        self.inner.get().ok_or_else(|| runtime_error("this exchange was started before a fork"))
    }

    /// What is there to read, if anything. None: the end.
    fn poll_block<'py>(&self, py: Python<'py>) -> PyResult<Poll<Option<Bound<'py, PyBytes>>>> {
        match self.here()?.poll_block(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Ok(Poll::Pending),
            // The second and last copy of an answer's bytes on its way: from the slot into Python's bytes.
            Poll::Ready(Ok(block)) => Ok(Poll::Ready(block.map(|block| PyBytes::new(py, &block)))),
            Poll::Ready(Err(error)) => Err(upstream_error(py, &error)),
        }
    }

    fn is_finished(&self) -> PyResult<bool> {
        Ok(self.here()?.is_finished())
    }

    /// The future to suspend on until there is something to read; with `ready`, until that needs its task.
    fn wait<'py>(&self, py: Python<'py>, ready: Option<Arc<dyn Ready>>) -> PyResult<Bound<'py, PyAny>> {
        self.bridge.get().wait(py, self.token, ready)
    }

    /// The task that waited was cancelled, or its coroutine closed.
    fn give_up(&self) {
        if let Some(exchange) = self.inner.get() {
            exchange.abort();
        }
        self.bridge.get().forget(self.token);
    }
}

/// What `await exchange.next_block()` drives: an awaitable, and its own iterator with a generator's methods.
///
/// Without `__traverse__`: an exchange holds only its loop's bridge, which holds none of those who wait beyond their wake.
#[pyclass(frozen, module = "llmgw._core")]
struct NextBlock {
    exchange: Py<Exchange>,
}

impl NextBlock {
    fn step<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let exchange = slf.get().exchange.get();
        match exchange.poll_block(py)? {
            Poll::Pending => exchange.wait(py, None),
            Poll::Ready(block) => Err(stop_iteration(block.map(Bound::unbind))),
        }
    }

    fn give_up(&self) {
        self.exchange.get().give_up();
    }
}

coroutine!(NextBlock {});

/// The roots that `Upstream` trusts for `https`, in DER, one behind the other.
#[pyfunction]
pub(crate) fn root_certificates(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, &llmgw_upstream::root_certificates_der())
}

/// What is known of an exchange.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct ExchangeReport(Report);

#[pymethods]
impl ExchangeReport {
    #[getter]
    fn complete(&self) -> bool {
        self.0.summary.complete
    }

    #[getter]
    fn finish_reason(&self) -> Option<&str> {
        self.0.summary.finish_reason.as_deref()
    }

    #[getter]
    fn answer_id(&self) -> Option<&str> {
        self.0.summary.id.as_deref()
    }

    #[getter]
    fn answer_model(&self) -> Option<&str> {
        self.0.summary.model.as_deref()
    }

    #[getter]
    fn prompt_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.in_parts().prompt_tokens
    }

    #[getter]
    fn completion_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.in_parts().completion_tokens
    }

    #[getter]
    fn reasoning_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.in_parts().reasoning_tokens
    }

    #[getter]
    fn cached_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.in_parts().cached_tokens
    }

    #[getter]
    fn cache_write_tokens(&self) -> Option<u64> {
        self.0.summary.usage?.in_parts().cache_write_tokens
    }

    #[getter]
    fn output_bytes(&self) -> u64 {
        self.0.summary.output_bytes
    }

    #[getter]
    fn unmetered_bytes(&self) -> u64 {
        self.0.summary.unmetered_bytes()
    }

    #[getter]
    fn usage_source(&self) -> &'static str {
        self.0.summary.usage_source().as_str()
    }

    #[getter]
    fn reasoning_seen(&self) -> bool {
        self.0.summary.reasoning_seen
    }

    #[getter]
    fn error_kind(&self) -> Option<&'static str> {
        self.0.error_kind().map(ErrorKind::as_str)
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let error = self.0.error.as_ref()?;
        Some(upstream_error(py, error).into_value(py).into_bound(py).into_any())
    }

    #[getter]
    fn first_event_s(&self) -> Option<f64> {
        self.0.first_event.map(|first_event| first_event.as_secs_f64())
    }
}
