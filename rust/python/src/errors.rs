//! Errors of the Rust side as Python exceptions, and panics as one of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use llmgw_core::request::error::RequestError as CoreRequestError;
use llmgw_upstream::{Cause, ExchangeError};
use pyo3::exceptions::{PyException, PyRuntimeError, PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The types themselves, apart because the macro leaves them undocumented.
#[allow(missing_docs, reason = "create_exception! makes structs without a place for a comment")]
mod types {
    use super::PyException;

    pyo3::create_exception!(
        llmgw._core,
        RequestError,
        PyException,
        "The request body breaks a rule of the contract."
    );
    pyo3::create_exception!(
        llmgw._core,
        UpstreamError,
        PyException,
        "The exchange failed before anything was shown."
    );
    pyo3::create_exception!(llmgw._core, CoreError, PyException, "A defect in the Rust core (a panic).");
}

pub(crate) use types::{CoreError, RequestError, UpstreamError};

/// Every entry that does real work goes through here: a panic becomes a `CoreError` that costs one request.
///
/// What the panic says stays on stderr, where Rust's hook prints it: it may hold a piece of a request.
pub(crate) fn guard<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_panic| Err(CoreError::new_err("the Rust core panicked")))
}

/// An argument that can't be used.
pub(crate) fn value_error(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

/// A call that can't be made: not here, not now, or not twice.
pub(crate) fn runtime_error(message: &'static str) -> PyErr {
    PyRuntimeError::new_err(message)
}

/// The end of an awaitable, with what it gives.
pub(crate) fn stop_iteration(block: Option<Py<PyBytes>>) -> PyErr {
    PyStopIteration::new_err((block,))
}

pub(crate) fn request_error(py: Python<'_>, error: &CoreRequestError) -> PyErr {
    let exception = RequestError::new_err(error.message.clone());
    let value = exception.value(py);
    let set = || {
        value.setattr("code", error.code.as_str())?;
        value.setattr("message", &error.message)?;
        value.setattr("param", &error.param)?;
        value.setattr("offset", error.offset)
    };
    set().err().unwrap_or(exception)
}

/// Also an account of a failure that is told in-band, and so never raised.
pub(crate) fn upstream_error(py: Python<'_>, error: &ExchangeError) -> PyErr {
    let exception = UpstreamError::new_err(error.to_string());
    let value = exception.value(py);
    let set = || {
        value.setattr("kind", error.kind.as_str())?;
        value.setattr("status", error.status)?;
        value.setattr("retry_after_s", error.retry_after_s)?;
        value.setattr("message", &error.message)?;
        value.setattr("code", &error.code)?;
        value.setattr("cause", error.cause.map(Cause::as_str))
    };
    set().err().unwrap_or(exception)
}

/// Panic on purpose, so that a test can see what it turns into.
#[pyfunction]
#[allow(clippy::panic, reason = "that is what it is for")]
pub(crate) fn _panic_for_tests() -> PyResult<()> {
    guard(|| panic!("on purpose"))
}
