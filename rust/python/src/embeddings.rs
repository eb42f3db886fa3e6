//! `EmbeddingRequest`.

use bytes::Bytes;
use llmgw_core::api::Api;
use llmgw_core::api::embeddings as core;
use pyo3::prelude::*;

use crate::errors::guard;
use crate::facts::RequestFacts;
use crate::gil::without_gil_if_large;
use crate::request::{Body, PreparedRequest, scanned};
use crate::route::Route;

/// One scan of an embeddings body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct EmbeddingRequest {
    body: Bytes,
    request: core::EmbeddingRequest,
}

#[pymethods]
impl EmbeddingRequest {
    #[new]
    fn new(py: Python<'_>, body: Body) -> PyResult<Self> {
        let (body, request) = scanned(py, body, core::EmbeddingRequest::scan)?;
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
            let prepared = PreparedRequest::without_reasoning(Api::Embeddings, body, rewrite, route);
            Ok(PreparedRequest { vectors: self.request.vectors, ..prepared })
        })
    }
}
