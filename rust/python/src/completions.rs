//! `CompletionRequest`.

use std::sync::Arc;

use bytes::Bytes;
use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::api::Api;
use llmgw_core::api::completions as core;
use llmgw_core::api::reply::Reply;
use pyo3::prelude::*;

use crate::errors::guard;
use crate::gil::without_gil_if_large;
use crate::request::{Body, PreparedRequest, Route, assembled, scanned};

/// One scan of a text-completions body: what the gateway reads, and where it stands.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct CompletionRequest {
    body: Bytes,
    request: core::CompletionRequest,
}

#[pymethods]
impl CompletionRequest {
    #[new]
    fn new(py: Python<'_>, body: Body<'_>) -> PyResult<Self> {
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

    fn rewrite(&self, py: Python<'_>, route: &Route) -> PyResult<PreparedRequest> {
        guard(|| {
            let body = &self.body;
            let rewrite = without_gil_if_large(py, body.len(), || self.request.splice(body, &route.core));
            Ok(PreparedRequest {
                body: assembled(body, rewrite.body),
                api: Api::Completions,
                mode: rewrite.mode,
                thinking: None,
                upstream_model: route.core.upstream_model.clone(),
                reasoning_tags: ReasoningTags::None,
                keep_reasoning: false,
                provider: Arc::default(),
                restored: 0,
                reply: Reply::default(),
                dropped: Arc::default(),
            })
        })
    }
}
