//! Anthropic's Messages: the API of Claude Code.
//!
//! * [`request`]: a body in chat's words.
//! * [`writer`]: an answer in Anthropic's events, or as one message.
//! * [`signature`]: what our signature of a thinking block says, written by the one and read by the other.

mod request;
mod signature;
mod writer;

use crate::named_enum;
use crate::seal::Seal;

pub use request::{Options, convert};
pub use writer::MessagesWriter;
pub(in crate::api) use writer::errors::type_of as error_type;

/// What the answer needs to know of the request.
#[derive(Clone, Debug)]
pub struct MessagesReply {
    /// The model that the client asked for; the answer names it.
    pub model: String,
    /// About how many tokens the request has, for `message_start`.
    pub input_tokens: u64,
    /// How the client wants to see reasoning.
    pub thinking: ShownThinking,
    /// Makes the signatures; none: thinking blocks get none.
    pub seal: Option<Seal>,
    /// `stop_sequences`: what an upstream says that it met counts only if it is one of them.
    pub stop_sequences: Vec<String>,
}

named_enum! {
    /// What becomes of reasoning in an answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ShownThinking {
        /// No thinking blocks: the client did not ask for any.
        Hidden = "hidden",
        /// A thinking block without its text, but with a signature (`thinking.display` of `omitted`).
        Omitted = "omitted",
        /// A thinking block.
        Summarized = "summarized",
    }
}
