//! What the answer to a converted request needs to know of it.

use std::sync::Arc;

use crate::request::media::Modality;

use super::messages::MessagesReply;
use super::responses::ResponsesReply;

/// In which API's words the client is answered. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Reply {
    /// Those in which the upstream was asked.
    #[default]
    AsAsked,
    /// Anthropic's Messages.
    Messages(Arc<MessagesReply>),
    /// OpenAI's Responses.
    Responses(Arc<ResponsesReply>),
}

impl Reply {
    /// Whether a stream of this API is kept alive by an event of its own, where others have a comment.
    #[must_use]
    pub const fn has_pings(&self) -> bool {
        matches!(self, Self::Messages(_))
    }
}

/// A request of another API in chat's words.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The chat-completions body.
    pub chat: Vec<u8>,
    /// How the answer is to be written.
    pub reply: Reply,
    /// What of the request has no counterpart in a chat body and was left out, each kind once, in the order of appearance:
    /// `tools.web_search_20250305`, `input.web_search_call`. ASCII letters, digits, `.`, `_`, `-`.
    pub dropped: Vec<String>,
    /// What its content parts hold beside text, and where in the client's own body the first of each kind is. Of a kind that
    /// is not listed, the place in the chat body is the best that is known.
    pub media: Vec<(Modality, String)>,
    /// The user whom the body names, where the chat body does not: see [`crate::request::facts::Facts::user`].
    pub user: Option<String>,
    /// Where the conversation is kept: its items so far, as JSON with commas between them. The answer's come behind them.
    pub kept_items: Option<Vec<u8>>,
}
