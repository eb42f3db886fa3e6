//! Bodies of other APIs, known by a field that no body of the scanned one has.
//!
//! Clients are configured with one path and post another API's bodies there (Cursor: Responses). "`messages` is required"
//! tells their users nothing.

use super::ChatRequest;
use super::refusal::Refusal;

/// A field by which another API's bodies are known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    field: &'static str,
    /// Whose field it is, and where it is served.
    belongs: &'static str,
    /// Whether a body with it is no chat completion, even where it has `messages`.
    pub(super) is_certain: bool,
}

const MESSAGES_API: &str = "is a field of the Messages API: POST /v1/messages serves that; \
                            in a chat completion, instructions are a message of role `system`, and stop sequences are `stop`";

/// An Anthropic client's body has `messages` too, but its system prompt would be lost without a word.
const FIELDS: [Foreign; 7] = [
    Foreign {
        field: "messages",
        belongs: "chat completions do: POST /v1/chat/completions serves those",
        is_certain: false,
    },
    Foreign {
        field: "prompt",
        belongs: "text completions do: POST /v1/completions serves those",
        is_certain: false,
    },
    Foreign {
        field: "input",
        belongs: "bodies of embeddings (POST /v1/embeddings) and of the Responses API (POST /v1/responses) do",
        is_certain: false,
    },
    Foreign {
        field: "documents",
        belongs: "bodies of rerank do: POST /v1/rerank serves those",
        is_certain: false,
    },
    Foreign { field: "system", belongs: MESSAGES_API, is_certain: true },
    Foreign { field: "stop_sequences", belongs: MESSAGES_API, is_certain: true },
    Foreign { field: "anthropic_version", belongs: MESSAGES_API, is_certain: true },
];

impl Foreign {
    /// The one of this name.
    pub(super) fn named(name: &[u8]) -> Option<&'static Self> {
        FIELDS.iter().find(|foreign| foreign.field.as_bytes() == name)
    }

    /// A required field is missing, and this one is there.
    pub(super) fn instead_of(&self, missing: &str, offset: usize) -> Refusal {
        let joint = if self.is_certain { "which" } else { "as" };
        let rule = format!("is required; the body has `{}`, {joint} {}", self.field, self.belongs);
        Refusal::missing(missing, rule, offset)
    }

    /// A chat completion can't have it.
    pub(super) fn in_a_chat(&self, offset: usize) -> Refusal {
        Refusal::wrong_api(self.field, self.belongs, offset)
    }
}

impl ChatRequest {
    /// Why a body of the Responses API is none: it has another API's fields, or it has those and lacks `input`.
    pub(crate) fn refuse_other_than_responses(&self, has_input: bool, end: usize) -> Option<Refusal> {
        let (foreign, offset) = self.foreign?;
        if foreign.is_certain {
            return Some(foreign.in_a_chat(offset));
        }
        if !has_input {
            return Some(foreign.instead_of("input", end));
        }
        (foreign.field == "messages").then(|| foreign.in_a_chat(offset))
    }
}
