//! `transform`, `merge`, `clean_completion`, `answer`: the answer side without a socket, for tests and benches.

#![allow(clippy::needless_pass_by_value, reason = "PyO3 extracts a sequence only into an owned one")]

use llmgw_core::answer::completion;
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::merge::Merger;
use llmgw_core::answer::stream::Transformer;
use llmgw_core::api::Api;
use llmgw_core::sse::SseLimits;
use llmgw_upstream::ExchangeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{guard, upstream_error};
use crate::gil::without_gil_if_large;
use crate::request::ChatRequest;
use crate::route::reasoning_tags;

fn total_size(chunks: &[PyBackedBytes]) -> usize {
    chunks.iter().map(|chunk| chunk.len()).sum()
}

fn context(request_id: &str, model: &str, created_s: u64, tags: Option<&str>) -> PyResult<AnswerContext> {
    Ok(AnswerContext {
        request_id: request_id.to_owned(),
        model: model.to_owned(),
        created_s,
        reasoning_tags: reasoning_tags(tags)?,
        ..AnswerContext::default()
    })
}

/// A whole stream, in the given pieces, through the stream transformer: normalised SSE.
#[pyfunction]
#[pyo3(signature = (chunks, *, include_usage, request_id="req", model="model", created_s=0, reasoning_tags=None))]
pub(crate) fn transform<'py>(
    py: Python<'py>,
    chunks: Vec<PyBackedBytes>,
    include_usage: bool,
    request_id: &str,
    model: &str,
    created_s: u64,
    reasoning_tags: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context(request_id, model, created_s, reasoning_tags)?;
    guard(|| {
        let output = without_gil_if_large(py, total_size(&chunks), || {
            let mut transformer = Transformer::new(context, include_usage, SseLimits::default());
            let mut output = Vec::new();
            for chunk in &chunks {
                transformer.feed(chunk, &mut output);
            }
            transformer.finish(&mut output);
            output
        });
        Ok(PyBytes::new(py, &output))
    })
}

/// A whole stream merged into one `chat.completion`.
#[pyfunction]
#[pyo3(signature = (chunks, *, request_id="req", model="model", created_s=0, reasoning_tags=None))]
pub(crate) fn merge<'py>(
    py: Python<'py>,
    chunks: Vec<PyBackedBytes>,
    request_id: &str,
    model: &str,
    created_s: u64,
    reasoning_tags: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context(request_id, model, created_s, reasoning_tags)?;
    guard(|| {
        let completion = without_gil_if_large(py, total_size(&chunks), || {
            let mut merger = Merger::new(context, SseLimits::default());
            for chunk in &chunks {
                merger.feed(chunk);
            }
            merger.finish();
            merger.into_completion()
        });
        let completion = completion.map_err(|error| upstream_error(py, &ExchangeError::from(&error)))?;
        Ok(PyBytes::new(py, &completion))
    })
}

/// The clean-up of a not-streaming answer.
#[pyfunction]
#[pyo3(signature = (body, *, request_id="req", model="model", created_s=0, reasoning_tags=None))]
pub(crate) fn clean_completion<'py>(
    py: Python<'py>,
    body: Bound<'py, PyBytes>,
    request_id: &str,
    model: &str,
    created_s: u64,
    reasoning_tags: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context(request_id, model, created_s, reasoning_tags)?;
    guard(|| {
        let bytes = body.as_bytes();
        let cleaned = without_gil_if_large(py, bytes.len(), || completion::clean(bytes, &context));
        let cleaned = cleaned.map_err(|error| upstream_error(py, &ExchangeError::from(&error)))?;
        Ok(cleaned.body.map_or(body, |cleaned| PyBytes::new(py, &cleaned)))
    })
}

/// A whole chat stream as the answer to `request`, in the words of its API.
#[pyfunction]
#[pyo3(signature = (request, chunks, *, stream=true, request_id="req", model="model", created_s=0, reasoning_tags=None))]
#[expect(clippy::too_many_arguments, reason = "Python names each")]
pub(crate) fn answer<'py>(
    py: Python<'py>,
    request: &ChatRequest,
    chunks: Vec<PyBackedBytes>,
    stream: bool,
    request_id: &str,
    model: &str,
    created_s: u64,
    reasoning_tags: Option<&str>,
) -> PyResult<Bound<'py, PyBytes>> {
    let reply = request.reply.clone();
    let context = AnswerContext { reply, ..context(request_id, model, created_s, reasoning_tags)? };
    guard(|| {
        let answered = without_gil_if_large(py, total_size(&chunks), || {
            let mode = if stream { AnswerMode::Stream { include_usage: true } } else { AnswerMode::Merged };
            let mut machine = Api::Chat.machine(mode, context, SseLimits::default());
            let mut output = Vec::new();
            for chunk in chunks.iter().map(|chunk| Some(&**chunk)).chain([None]) {
                machine.feed(chunk, &mut output);
            }
            machine.error().filter(|_| !stream).map_or(Ok(output), |error| Err(ExchangeError::from(error)))
        });
        let answered = answered.map_err(|error| upstream_error(py, &error))?;
        Ok(PyBytes::new(py, &answered))
    })
}
