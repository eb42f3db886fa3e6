//! `llmgw._core`: the types that cross between Python and Rust, and nothing else. The interface with its documentation
//! is `python/llmgw/_core.pyi`; each class here is one of its classes.
//!
//! * `request`: scan and rewrite a body; `completions`, `embeddings`, `rerank`: one of that API; `facts`:
//!   what limits must know of any of them. `offline`: whole streams
//!   and answers without a socket.
//! * `exchange`: an upstream, an exchange with it, and the awaitable for its next block. In it `forward`: all its
//!   blocks, from there into the server's `send`; `bridge`: how a tokio task wakes an asyncio loop.
//! * `limits`: who may use how much. `observations`: what histograms count of a request.
//! * `gil`: when to let other Python threads run. `process`: what must not outlive a fork.
//! * `errors`: every Python exception is made there, and panics become one.

mod completions;
mod embeddings;
mod errors;
mod exchange;
mod facts;
mod gil;
mod limit_headers;
mod limits;
mod observations;
mod offline;
mod process;
mod request;
mod rerank;
mod route;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    process::follow_forks(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
    module.add("RequestError", py.get_type::<errors::RequestError>())?;
    module.add("UpstreamError", py.get_type::<errors::UpstreamError>())?;
    module.add("CoreError", py.get_type::<errors::CoreError>())?;
    module.add_class::<route::Route>()?;
    module.add_class::<request::Seal>()?;
    module.add_class::<request::ChatRequest>()?;
    module.add_class::<completions::CompletionRequest>()?;
    module.add_class::<embeddings::EmbeddingRequest>()?;
    module.add_class::<rerank::RerankRequest>()?;
    module.add_class::<facts::RequestFacts>()?;
    module.add_class::<request::PreparedRequest>()?;
    module.add_class::<exchange::Upstream>()?;
    module.add_class::<exchange::Exchange>()?;
    module.add_class::<exchange::ExchangeReport>()?;
    module.add_class::<exchange::forward::Forward>()?;
    module.add_class::<limits::LimitTable>()?;
    module.add_class::<limits::LimitPlan>()?;
    module.add_class::<limits::Reservation>()?;
    module.add_class::<limits::Refusal>()?;
    module.add_class::<observations::Observations>()?;
    module.add_function(wrap_pyfunction!(limit_headers::budget_headers, module)?)?;
    module.add_function(wrap_pyfunction!(limit_headers::limit_headers, module)?)?;
    module.add_function(wrap_pyfunction!(exchange::root_certificates, module)?)?;
    module.add_function(wrap_pyfunction!(route::dialect_for, module)?)?;
    module.add_function(wrap_pyfunction!(route::is_about_the_request, module)?)?;
    module.add_function(wrap_pyfunction!(request::responses_head, module)?)?;
    module.add_function(wrap_pyfunction!(offline::transform, module)?)?;
    module.add_function(wrap_pyfunction!(offline::merge, module)?)?;
    module.add_function(wrap_pyfunction!(offline::clean_completion, module)?)?;
    module.add_function(wrap_pyfunction!(offline::answer, module)?)?;
    module.add_function(wrap_pyfunction!(errors::_panic_for_tests, module)?)
}
