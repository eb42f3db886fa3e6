//! `Route`, and what is known of an upstream by the name of its model or by a status.

use std::sync::Arc;

use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::api::native::Native;
use llmgw_core::dialect::{Dialect, UnknownDialect};
use llmgw_core::request::refused::{Refused, Refuses};
use llmgw_core::request::{self as core, ThinkingModes, UpstreamStream};
use pyo3::prelude::*;

use crate::errors::value_error;

/// The thinking dialect that the pattern table gives for an upstream model's name.
#[pyfunction]
pub(crate) fn dialect_for(upstream_model: &str) -> &'static str {
    Dialect::for_model(upstream_model).as_str()
}

/// Whether an upstream that answers with this status refuses what the client asked for.
#[pyfunction]
pub(crate) const fn is_about_the_request(status: u16) -> bool {
    llmgw_upstream::is_about_the_request(status)
}

/// How requests for one configured model are rewritten.
#[pyclass(frozen, module = "llmgw._core")]
pub(crate) struct Route {
    pub(crate) core: core::Route,
    pub(crate) reasoning_tags: ReasoningTags,
    /// Whose reasoning its answers have.
    pub(crate) provider: Arc<str>,
    /// What its upstream is asked in, beside chat.
    pub(crate) speaks: Vec<Native>,
}

#[pymethods]
impl Route {
    #[new]
    #[pyo3(signature = (upstream_model, *, dialect=None, upstream_stream="auto", drop=Vec::new(), reasoning_tags=None,
                        thinking_on=true, thinking_off=true, restore_reasoning=false, refuses=Vec::new(),
                        provider="", speaks=Vec::new()),
           text_signature = "(upstream_model, *, dialect=None, upstream_stream='auto', drop=(), reasoning_tags=None, \
                             thinking_on=True, thinking_off=True, restore_reasoning=False, refuses=(), \
                             provider='', speaks=())")]
    #[allow(clippy::too_many_arguments, reason = "keyword arguments of one Python constructor")]
    fn new(
        upstream_model: String,
        dialect: Option<&str>,
        upstream_stream: &str,
        drop: Vec<String>,
        reasoning_tags: Option<&str>,
        thinking_on: bool,
        thinking_off: bool,
        restore_reasoning: bool,
        refuses: Vec<String>,
        provider: &str,
        speaks: Vec<String>,
    ) -> PyResult<Self> {
        let dialect = match dialect {
            Some(name) => name.parse().map_err(|unknown: UnknownDialect| value_error(unknown.to_string()))?,
            None => Dialect::for_model(&upstream_model),
        };
        let upstream_stream = UpstreamStream::ALL
            .into_iter()
            .find(|known| known.as_str() == upstream_stream)
            .ok_or_else(|| value_error("upstream_stream is one of auto, always, never"))?;
        let reasoning_tags = self::reasoning_tags(reasoning_tags)?;
        let thinking_modes = ThinkingModes { on: thinking_on, off: thinking_off };
        let refuses = refuses.into_iter().map(|name| refused(&name)).collect::<PyResult<Refuses>>()?;
        let speaks = speaks.into_iter().map(|name| native_api(&name)).collect::<PyResult<_>>()?;
        let core = core::Route {
            upstream_model,
            dialect,
            thinking_modes,
            restore_reasoning,
            upstream_stream,
            drop,
            refuses,
        };
        Ok(Self { core, reasoning_tags, provider: provider.into(), speaks })
    }

    #[getter]
    fn upstream_model(&self) -> &str {
        &self.core.upstream_model
    }

    #[getter]
    fn dialect(&self) -> &'static str {
        self.core.dialect.as_str()
    }

    #[getter]
    fn restore_reasoning(&self) -> bool {
        self.core.restore_reasoning
    }

    #[getter]
    fn speaks(&self) -> Vec<&'static str> {
        self.speaks.iter().map(|api| api.as_str()).collect()
    }

    #[getter]
    fn refuses(&self) -> Vec<&'static str> {
        let refuses = self.core.refuses;
        Refused::ALL.into_iter().filter(|&one| refuses.has(one)).map(Refused::as_str).collect()
    }
}

/// What a Python caller calls an API that an upstream may have beside chat.
fn native_api(name: &str) -> PyResult<Native> {
    let known = Native::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or_else(|| value_error("an upstream speaks messages, responses, or neither"))
}

/// What a Python caller calls a thing that an upstream refuses.
fn refused(name: &str) -> PyResult<Refused> {
    let known = Refused::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or_else(|| {
        let names = Refused::ALL.map(Refused::as_str).join(", ");
        value_error(format!("what an upstream refuses is one of {names}"))
    })
}

/// What a Python caller calls the way in which an upstream marks reasoning inside of content.
pub(crate) fn reasoning_tags(name: Option<&str>) -> PyResult<ReasoningTags> {
    match name {
        None => Ok(ReasoningTags::None),
        Some(name) if name == ReasoningTags::Think.as_str() => Ok(ReasoningTags::Think),
        Some(_) => Err(value_error("reasoning_tags is think or None")),
    }
}
