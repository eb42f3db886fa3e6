//! `RerankRequest`.

use bytes::Bytes;
use llmgw_core::api::Api;
use llmgw_core::api::rerank as core;
use pyo3::prelude::*;

use crate::errors::guard;
use crate::facts::RequestFacts;
use crate::gil::without_gil_if_large;
use crate::request::{Body, PreparedRequest, scanned};
use crate::route::Route;

/// One scan of a rerank body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct RerankRequest {
    body: Bytes,
    request: core::RerankRequest,
}

#[pymethods]
impl RerankRequest {
    #[new]
    fn new(py: Python<'_>, body: Body) -> PyResult<Self> {
        let (body, request) = scanned(py, body, core::RerankRequest::scan)?;
        Ok(Self { body, request })
    }

    #[getter]
    fn model(&self) -> &str {
        &self.request.model
    }

    #[getter]
    fn facts(&self) -> RequestFacts {
        (&self.request.facts).into()
    }

    fn rewrite(&self, py: Python<'_>, route: &Route) -> PyResult<PreparedRequest> {
        guard(|| {
            let body = &self.body;
            let rewrite = without_gil_if_large(py, body.len(), || self.request.splice(body, &route.core));
            Ok(PreparedRequest::without_reasoning(Api::Rerank, body, rewrite, route))
        })
    }
}
