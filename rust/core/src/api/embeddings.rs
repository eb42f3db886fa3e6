//! Embeddings: texts or tokens in, vectors out.
//!
//! `model` and `input` are required; only the model's name is rewritten, and `encoding_format` where the upstream refuses
//! `base64` ([`Refused::Base64Embeddings`]). OpenAI's SDKs ask for that by default, and decode it themselves.
//!
//! The answer passes as it comes, with the one change that [`super::list`] makes, unless a vector is in another form than
//! the one that was asked for: see [`vectors`]. A request without `encoding_format` asks for none.

mod base64;
mod vectors;

use crate::answer::completion::Cleaned;
use crate::answer::context::{AnswerContext, AnswerMode, Vectors};
use crate::answer::error::StreamError;
use crate::request::error::RequestError;
use crate::request::facts::Facts;
use crate::request::refused::Refused;
use crate::request::rewrite::Plan;
use crate::request::scan::{Field, scan};
use crate::request::{ChatRequest, Rewrite, Route, TopLevel};

use super::list::{self, ListRules};

const FIELDS: [Field; 4] = [Field::Model, Field::Input, Field::EncodingFormat, Field::LlmgwThinking];

const BASE64: &str = "base64";
const FLOAT: &str = "float";

/// What one scan finds in a request body.
#[derive(Clone, Debug)]
pub struct EmbeddingRequest {
    /// The model that the client asks for.
    pub model: String,
    /// The form in which the client wants its vectors.
    pub vectors: Vectors,
    /// What limits and prices need to know of it.
    pub facts: Facts,
    top: TopLevel,
}

impl EmbeddingRequest {
    /// Check a body and find what the gateway needs to know of it.
    ///
    /// # Errors
    /// The first rule that it breaks: those of [`crate::request`], for the fields of this API.
    pub fn scan(body: &[u8]) -> Result<Self, RequestError> {
        let ChatRequest { model, facts, top, .. } = scan(body, &FIELDS, &[Field::Model, Field::Input])?;
        let format = top.field(Field::EncodingFormat).and_then(|member| member.value.as_text(body));
        let vectors = match format {
            Some(format) if format.is(BASE64) => Vectors::Base64,
            Some(format) if format.is(FLOAT) => Vectors::Floats,
            _ => Vectors::AsTheyCome,
        };
        Ok(Self { model, vectors, facts: facts.of_no_answer(), top })
    }

    /// The body for the upstream of `route`, in pieces. `body` is the one that was scanned.
    #[must_use]
    pub fn splice(&self, body: &[u8], route: &Route) -> Rewrite {
        let mut plan = Plan::new(&self.top, body, Field::Input);
        plan.model(&self.model, &route.upstream_model);
        plan.remove(Field::LlmgwThinking);
        plan.drop_fields(&route.drop);
        if route.refuses.has(Refused::Base64Embeddings) {
            plan.respell(Field::EncodingFormat, BASE64, FLOAT);
        }
        Rewrite { body: plan.pieces(), thinking: None, mode: AnswerMode::Plain, restored: 0 }
    }
}

const RULES: ListRules = ListRules { name: "list of embeddings", list: "data" };

/// Clean up an answer.
///
/// # Errors
/// Where it is an error or no list of embeddings, or where a vector can't be read in the form in which it has come.
pub fn clean(body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    list::clean_with(&RULES, body, context, |list| {
        vectors::converted(body, list, context.vectors).map_err(|_| StreamError::not_a(RULES.name))
    })
}

#[cfg(test)]
mod tests;
