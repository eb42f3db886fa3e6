//! OpenAI's Responses: the API of Codex.
//!
//! * [`request`]: a body in chat's words.
//! * [`tools`]: which function each tool became.
//! * [`writer`]: an answer in OpenAI's events, or as one response.

mod request;
pub mod tools;
mod writer;

use crate::seal::Seal;

use self::tools::ToolNames;

pub use request::{Head, Keeping, convert, convert_keeping, head};
pub use writer::ResponsesWriter;
pub(in crate::api) use writer::error_code;

/// How a sealed text begins; behind it is the text, still escaped.
const SEALED_TEXT: u8 = b't';

/// What the answer needs to know of the request.
#[derive(Clone, Debug)]
pub struct ResponsesReply {
    /// The model that the client asked for; the answer names it.
    pub model: String,
    /// Whether reasoning comes out as a summary (`reasoning.summary`).
    pub shows_reasoning: bool,
    /// Whether it comes out sealed (`include` has `reasoning.encrypted_content`).
    pub seals_reasoning: bool,
    /// Seals it: the sealed bytes are `t` and the text, still escaped.
    pub seal: Option<Seal>,
    /// What the tools became in the chat body.
    pub tools: ToolNames,
    /// The members that the response object repeats of the request, as JSON in one line without spaces, ready to be written
    /// between other members of an object: `"instructions":null,"tools":[],…`. Neither a comma before nor behind them.
    ///
    /// Always all of `background`, `instructions`, `max_output_tokens`, `metadata`, `parallel_tool_calls`,
    /// `previous_response_id`, `prompt_cache_key`, `reasoning`, `safety_identifier`, `service_tier`, `store`, `temperature`,
    /// `text`, `tool_choice`, `tools`, `top_logprobs`, `top_p`, `truncation` and `user`; what the request lacks is null or
    /// OpenAI's default.
    pub echo: Vec<u8>,
}
