//! `CompletionRequest`.

use bytes::Bytes;
use llmgw_core::api::Api;
use llmgw_core::api::completions as core;
use pyo3::prelude::*;

use crate::errors::guard;
use crate::facts::RequestFacts;
use crate::gil::without_gil_if_large;
use crate::request::{Body, PreparedRequest, scanned};
use crate::route::Route;

/// One scan of a text-completions body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct CompletionRequest {
    body: Bytes,
    request: core::CompletionRequest,
}

#[pymethods]
impl CompletionRequest {
    #[new]
    fn new(py: Python<'_>, body: Body) -> PyResult<Self> {
        let (body, request) = scanned(py, body, core::CompletionRequest::scan)?;
        Ok(Self { body, request })
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
    fn facts(&self) -> RequestFacts {
        (&self.request.facts).into()
    }

    fn rewrite(&self, py: Python<'_>, route: &Route) -> PyResult<PreparedRequest> {
        guard(|| {
            let body = &self.body;
            let rewrite = without_gil_if_large(py, body.len(), || self.request.splice(body, &route.core));
            Ok(PreparedRequest::without_reasoning(Api::Completions, body, rewrite, route))
        })
    }
}
