//! What the ledger and the metrics want to know of one answer, gathered while it passes through.

use crate::error::StreamErrorKind;
use crate::turn::ToolTurn;

/// Token counts as the upstream gave them. Absent members stay `None`: nothing is ever computed or guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `prompt_tokens`.
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`, reasoning included.
    pub completion_tokens: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`, else `reasoning_tokens` (Moonshot, Azure).
    pub reasoning_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`, else `cached_tokens` (Moonshot), else `prompt_cache_hit_tokens` (DeepSeek).
    pub cached_tokens: Option<u64>,
}

/// Where the token counts of an answer come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The upstream's usage of a whole answer.
    Upstream,
    /// The upstream's usage so far, of an answer that broke off.
    Partial,
    /// The upstream never said.
    None,
}

impl UsageSource {
    /// The name in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Partial => "partial",
            Self::None => "none",
        }
    }
}

/// A running account of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The model that really answered, by its own word.
    pub model: Option<String>,
    /// The first choice's finish reason.
    pub finish_reason: Option<String>,
    /// The last usage seen (cumulative ones replace each other).
    pub usage: Option<Usage>,
    /// Whether any reasoning text came.
    pub reasoning_seen: bool,
    /// Frames that went to the client (a whole answer counts as one).
    pub frames: u64,
    /// Whether the answer came to its proper end.
    pub complete: bool,
    /// What went wrong.
    pub error: Option<StreamErrorKind>,
    /// The choices that reasoned and called tools, where that is kept and the answer is complete.
    pub tool_turns: Vec<ToolTurn>,
}

impl Summary {
    /// Where [`Summary::usage`] comes from.
    #[must_use]
    pub fn usage_source(&self) -> UsageSource {
        match (self.usage, self.complete) {
            (None, _) => UsageSource::None,
            (Some(_), true) => UsageSource::Upstream,
            (Some(_), false) => UsageSource::Partial,
        }
    }
}
