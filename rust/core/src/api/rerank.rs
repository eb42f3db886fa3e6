//! Rerank: a query and documents in, the documents' places by relevance out. Jina's API, which Cohere's is but for the
//! members around it; providers and servers of open models (DashScope, vLLM, `SiliconFlow`) have it too.
//!
//! `model`, `query` and `documents` are required; only the model's name is rewritten. The answer passes as it comes, with
//! the one change that [`super::list`] makes. Its tokens are in Jina's `usage.total_tokens`, or in Cohere's `meta`.

use crate::answer::completion::Cleaned;
use crate::answer::context::{AnswerContext, AnswerMode};
use crate::answer::error::StreamError;
use crate::request::error::RequestError;
use crate::request::facts::Facts;
use crate::request::rewrite::Plan;
use crate::request::scan::{Field, scan};
use crate::request::{ChatRequest, Rewrite, Route, TopLevel};

use super::list::{self, ListRules};

const FIELDS: [Field; 4] = [Field::Model, Field::Query, Field::Documents, Field::LlmgwThinking];

/// What one scan finds in a request body.
#[derive(Clone, Debug)]
pub struct RerankRequest {
    /// The model that the client asks for.
    pub model: String,
    /// What limits and prices need to know of it.
    pub facts: Facts,
    top: TopLevel,
}

impl RerankRequest {
    /// Check a body and find what the gateway needs to know of it.
    ///
    /// # Errors
    /// The first rule that it breaks: those of [`crate::request`], for the fields of this API.
    pub fn scan(body: &[u8]) -> Result<Self, RequestError> {
        let required = [Field::Model, Field::Query, Field::Documents];
        let ChatRequest { model, facts, top, .. } = scan(body, &FIELDS, &required)?;
        Ok(Self { model, facts: facts.of_no_answer(), top })
    }

    /// The body for the upstream of `route`, in pieces. `body` is the one that was scanned.
    #[must_use]
    pub fn splice(&self, body: &[u8], route: &Route) -> Rewrite {
        let mut plan = Plan::new(&self.top, body, Field::Documents);
        plan.keep(Field::Query);
        plan.model(&self.model, &route.upstream_model);
        plan.remove(Field::LlmgwThinking);
        plan.drop_fields(&route.drop);
        Rewrite { body: plan.pieces(), thinking: None, mode: AnswerMode::Plain, restored: 0 }
    }
}

const RULES: ListRules = ListRules { name: "list of rerank results", list: "results" };

/// Clean up an answer.
///
/// # Errors
/// Where it is an error, or no list of results.
pub fn clean(body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    list::clean_with(&RULES, body, context, |_| Ok(None))
}

#[cfg(test)]
mod tests;
