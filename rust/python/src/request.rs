//! `Route`, `ChatRequest`, `PreparedRequest`, `dialect_for`.

use ::bytes::Bytes;
use llmgw_core::dialect::Dialect;
use llmgw_core::request::{self as core, AnswerMode, UpstreamStream};
use llmgw_core::think::ReasoningTags;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::bytes::without_gil_if_large;
use crate::errors::{guard, request_error};

/// The thinking dialect that the pattern table gives for an upstream model's name.
#[pyfunction]
pub(crate) fn dialect_for(upstream_model: &str) -> &'static str {
    Dialect::for_model(upstream_model).as_str()
}

/// How requests for one configured model are rewritten.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Route {
    route: core::Route,
    reasoning_tags: ReasoningTags,
}

#[pymethods]
impl Route {
    #[new]
    #[pyo3(signature = (upstream_model, *, dialect=None, upstream_stream="auto", drop=Vec::new(), reasoning_tags=None),
           text_signature = "(upstream_model, *, dialect=None, upstream_stream='auto', drop=(), reasoning_tags=None)")]
    fn new(
        upstream_model: String,
        dialect: Option<&str>,
        upstream_stream: &str,
        drop: Vec<String>,
        reasoning_tags: Option<&str>,
    ) -> PyResult<Self> {
        let dialect = match dialect {
            Some(name) => {
                name.parse::<Dialect>().map_err(|unknown| PyValueError::new_err(unknown.to_string()))?
            }
            None => Dialect::for_model(&upstream_model),
        };
        let upstream_stream = match upstream_stream {
            "auto" => UpstreamStream::Auto,
            "always" => UpstreamStream::Always,
            "never" => UpstreamStream::Never,
            _ => return Err(PyValueError::new_err("upstream_stream is one of auto, always, never")),
        };
        let reasoning_tags = crate::bytes::reasoning_tags(reasoning_tags)?;
        Ok(Self { route: core::Route { upstream_model, dialect, upstream_stream, drop }, reasoning_tags })
    }

    #[getter]
    fn upstream_model(&self) -> &str {
        &self.route.upstream_model
    }

    #[getter]
    fn dialect(&self) -> &'static str {
        self.route.dialect.as_str()
    }
}

/// One scan of a chat-completions body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct ChatRequest {
    /// Not copied: the scan and the rewrite both read Python's bytes.
    body: Py<PyBytes>,
    request: core::ChatRequest,
}

#[pymethods]
impl ChatRequest {
    #[new]
    fn new(py: Python<'_>, body: Bound<'_, PyBytes>) -> PyResult<Self> {
        guard(|| {
            let bytes = body.as_bytes();
            let request = without_gil_if_large(py, bytes.len(), || core::ChatRequest::scan(bytes));
            let request = request.map_err(|error| request_error(py, &error))?;
            Ok(Self { body: body.unbind(), request })
        })
    }

    #[getter]
    fn model(&self) -> &str {
        &self.request.model
    }

    #[getter]
    fn stream(&self) -> bool {
        self.request.stream
    }

    #[getter]
    fn include_usage(&self) -> bool {
        self.request.include_usage
    }

    #[getter]
    fn thinking(&self) -> Option<bool> {
        self.request.thinking()
    }

    #[getter]
    fn first_image(&self) -> Option<&str> {
        self.request.first_image.as_deref()
    }

    fn rewrite(&self, py: Python<'_>, route: &Route) -> PyResult<PreparedRequest> {
        guard(|| {
            let body = self.body.bind(py).as_bytes();
            let rewrite = without_gil_if_large(py, body.len(), || self.request.rewrite(body, &route.route));
            // The one copy of a body on its way: the splice, or this. Python's bytes are not lent to tokio, since
            // their last reference would then be dropped on a thread that must never wait for the interpreter.
            let body = rewrite.body.map_or_else(|| Bytes::copy_from_slice(body), Bytes::from);
            Ok(PreparedRequest {
                body,
                mode: rewrite.mode,
                thinking: rewrite.thinking.map(|outcome| outcome.to_string()),
                upstream_model: route.route.upstream_model.clone(),
                reasoning_tags: route.reasoning_tags,
            })
        })
    }
}

/// A rewritten body, ready to be sent.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct PreparedRequest {
    /// Shared with every exchange that sends it: a retry copies nothing.
    pub(crate) body: Bytes,
    pub(crate) mode: AnswerMode,
    thinking: Option<String>,
    pub(crate) upstream_model: String,
    pub(crate) reasoning_tags: ReasoningTags,
}

#[pymethods]
impl PreparedRequest {
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    #[getter]
    fn mode(&self) -> &'static str {
        match self.mode {
            AnswerMode::Stream { .. } => "stream",
            AnswerMode::Merged => "merged",
            AnswerMode::Plain => "plain",
        }
    }

    #[getter]
    fn thinking(&self) -> Option<&str> {
        self.thinking.as_deref()
    }
}
