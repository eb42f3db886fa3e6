//! How much structure one answer may have. The upstream's bytes are capped elsewhere ([`crate::sse::SseLimits`], the cap
//! of a whole answer); these are the caps of what costs more than the bytes that it came in.
//!
//! With them, reading an answer takes time in proportion to its length, and what is kept of it no more than a small
//! multiple of that.

use super::error::{StreamError, StreamErrorKind};

/// Choices of one answer. OpenAI's largest `n`.
pub const MAX_CHOICES: usize = 128;

/// Choices of one answer of the text API, where each of a list of prompts has its own.
pub const MAX_TEXT_CHOICES: usize = 2048;

/// Tool calls of one answer, all choices together. Models call a few dozen functions at once at most.
pub const MAX_TOOL_CALLS: usize = 1024;

/// Ids and names of one answer's tool calls together, and what waits for a name, in bytes: they are kept for as long as
/// the stream runs.
pub const MAX_CALL_NAME_BYTES: usize = 1024 * 1024;

/// The usage of an answer, which is kept until its end, with what is around it in its chunk.
pub const MAX_USAGE_BYTES: usize = 64 * 1024;

/// What waits while the arguments of another tool call are not whole, where an API has one block open at a time.
pub const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// What an event may grow by where bytes that are not UTF-8 are replaced.
pub const MAX_REPLACED_BYTES: usize = 64 * 1024;

/// Members without a rule of their own that merging keeps of one answer, in all its objects together.
pub const MAX_EXTRAS: usize = 1024;

/// A finish reason, which is held until its choice has come to its end.
pub const MAX_HELD_REASON_BYTES: usize = 1024;

/// A finish reason, as ledger and metrics get it. The longest known one has 28 bytes.
pub const MAX_FINISH_REASON_BYTES: usize = 64;

/// An answer's id and the model that it names, as traces get them.
pub const MAX_ANSWER_NAME_BYTES: usize = 128;

/// Lists within lists of content parts, where text is looked for. Mistral's reasoning is a list within a list.
pub const MAX_PART_DEPTH: usize = 4;

/// An answer of the Responses API, whose last event repeats all of it: so it is kept until then. A million tokens have about
/// 4 MB.
pub const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// Which of the caps an answer has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// [`MAX_CHOICES`], [`MAX_TEXT_CHOICES`]
    Choices {
        /// The cap.
        limit: usize,
    },
    /// [`MAX_TOOL_CALLS`]
    ToolCalls,
    /// [`MAX_CALL_NAME_BYTES`]
    CallNames,
    /// [`MAX_HELD_REASON_BYTES`]
    FinishReason,
    /// [`MAX_USAGE_BYTES`]
    Usage,
    /// [`MAX_EXTRAS`]
    Extras,
    /// [`MAX_RESPONSE_BYTES`]
    Response,
    /// [`MAX_WAITING_BYTES`]
    Waiting,
}

impl Excess {
    fn sentence(self) -> String {
        match self {
            Self::Choices { limit } => format!("The upstream's answer has more than {limit} choices."),
            Self::ToolCalls => format!("The upstream's answer has more than {MAX_TOOL_CALLS} tool calls."),
            Self::CallNames => {
                format!(
                    "The upstream's tool calls have more than {MAX_CALL_NAME_BYTES} bytes of ids and names."
                )
            }
            Self::FinishReason => {
                format!("The upstream's finish reason has more than {MAX_HELD_REASON_BYTES} bytes.")
            }
            Self::Usage => format!("The upstream's usage has more than {MAX_USAGE_BYTES} bytes."),
            Self::Waiting => {
                format!(
                    "The upstream's answer has more than {MAX_WAITING_BYTES} bytes behind a tool call that is not complete."
                )
            }
            Self::Extras => {
                format!("The upstream's answer has more than {MAX_EXTRAS} members that are not known here.")
            }
            Self::Response => {
                format!("The upstream's answer has more than {MAX_RESPONSE_BYTES} bytes of items.")
            }
        }
    }
}

impl From<Excess> for StreamError {
    fn from(excess: Excess) -> Self {
        Self { kind: StreamErrorKind::InvalidEvent, message: excess.sentence(), status: None, code: None }
    }
}

/// What a stream's tool calls amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many there are.
    pub count: usize,
    /// The bytes of their ids and names.
    pub name_bytes: usize,
}

impl Calls {
    /// Count what one choice has now in place of what it had `before`.
    pub(crate) fn replace(&mut self, before: Self, now: Self) -> Result<(), Excess> {
        self.count = self.count + now.count - before.count;
        self.name_bytes = self.name_bytes + now.name_bytes - before.name_bytes;
        if self.count > MAX_TOOL_CALLS {
            return Err(Excess::ToolCalls);
        }
        if self.name_bytes > MAX_CALL_NAME_BYTES { Err(Excess::CallNames) } else { Ok(()) }
    }
}
