//! What the answer side needs to know of the request.

use super::think::ReasoningTags;
use crate::api::reply::Reply;
use crate::secret::Secret;

/// What the client gets, and how the upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// SSE from the upstream, SSE to the client.
    Stream {
        /// Whether the client asked for the usage chunk.
        include_usage: bool,
    },
    /// SSE from the upstream, one JSON to the client.
    Merged,
    /// One JSON from the upstream, one JSON to the client.
    Plain,
}

impl AnswerMode {
    /// The name on the Python side.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream { .. } => "stream",
            Self::Merged => "merged",
            Self::Plain => "plain",
        }
    }
}

/// How the client wants the numbers of an embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vectors {
    /// It does not say, or in a form that only the upstream knows.
    #[default]
    AsTheyCome,
    /// As a list of numbers.
    Floats,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

/// What the answer side needs to know about the request.
#[derive(Clone, Debug, Default)]
pub struct AnswerContext {
    /// Stands in for an `id` that the upstream did not give.
    pub request_id: String,
    /// The upstream's model, where the answer names none.
    pub model: String,
    /// Unix seconds, where the answer has no `created`.
    pub created_s: u64,
    /// Whether reasoning is inline in the answer's content.
    pub reasoning_tags: ReasoningTags,
    /// Whether to gather [`super::summary::Summary::turns`].
    pub keep_reasoning: bool,
    /// In which API's words the client is answered.
    pub reply: Reply,
    /// Of embeddings.
    pub vectors: Vectors,
    /// The upstream's key, which none of its errors may show.
    pub secret: Secret,
}
