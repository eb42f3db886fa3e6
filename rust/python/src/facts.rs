//! `RequestFacts`.

use llmgw_core::request::facts::Facts;
use pyo3::prelude::*;

/// What limits, budgets and prices need to know of a request, of whichever API. It holds nothing of the body.
#[pyclass(frozen, get_all, module = "llmgw._core")]
pub(crate) struct RequestFacts {
    text_bytes: usize,
    images: usize,
    max_output_tokens: Option<u64>,
    choices: u64,
    user: Option<String>,
}

impl From<&Facts> for RequestFacts {
    fn from(facts: &Facts) -> Self {
        Self {
            text_bytes: facts.text_bytes,
            images: facts.images,
            max_output_tokens: facts.max_output_tokens,
            choices: facts.choices(),
            user: facts.user.clone(),
        }
    }
}
