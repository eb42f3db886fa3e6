//! OpenAI's Responses: the API of Codex.
//!
//! * [`request`]: a body in chat's words.
//! * [`writer`]: an answer in OpenAI's events, or as one response.

mod request;
mod writer;

use crate::seal::Seal;

pub use request::convert;
pub use writer::ResponsesWriter;

/// What the answer needs to know of the request.
#[derive(Clone, Debug)]
pub struct ResponsesReply {
    /// The model that the client asked for; the answer names it.
    pub model: String,
    /// Whether reasoning comes out as a summary (`reasoning.summary`).
    pub shows_reasoning: bool,
    /// Whether it comes out sealed (`include` has `reasoning.encrypted_content`).
    pub seals_reasoning: bool,
    /// Seals it.
    pub seal: Option<Seal>,
}
