//! Upstreams that speak a client's API themselves: Anthropic's Messages, OpenAI's Responses.
//!
//! Bytes pass untouched. Of a request only the model's name, the thinking switch, lost reasoning, and what only llmgw can
//! read are spliced ([`request`]). An answer goes out as it comes, whole events only, and is read on the side
//! ([`relay::Relay`], [`clean`]) for what the ledger wants to know, for errors, and for the reasoning of later turns.

pub mod count;
mod events;
mod failure;
mod frames;
mod kept;
mod messages;
pub mod relay;
pub mod request;
mod responses;

#[cfg(test)]
mod tests;

use crate::answer::completion::Cleaned;
use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::named_enum;
use crate::refusal::Refusal;

named_enum! {
    /// An API that a client and an upstream may have in common, beside chat.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Native {
        /// Anthropic's Messages.
        Messages = "messages",
        /// OpenAI's Responses.
        Responses = "responses",
    }
}

impl Native {
    /// What an answer of it is called in an error's message.
    const fn answer(self) -> &'static str {
        match self {
            Self::Messages => "message",
            Self::Responses => "response",
        }
    }
}

/// Read an answer that came whole. Its bytes stay as they are.
///
/// # Errors
/// Where it is an error, or not an answer of this API.
pub fn clean(api: Native, body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    let not_one = || match Refusal::find(body) {
        Some(refusal) => StreamError::told(refusal, &context.secret),
        None => StreamError::not_a(api.answer()),
    };
    if simdutf8::basic::from_utf8(body).is_err() {
        return Err(StreamError::not_a(api.answer()));
    }
    let summary = match api {
        Native::Messages => messages::whole(body, context.keep_reasoning).ok_or_else(not_one)?,
        Native::Responses => match responses::whole(body, context.keep_reasoning) {
            Some(responses::Whole::Answer(summary)) => summary,
            Some(responses::Whole::Failed(refusal)) => {
                return Err(StreamError::told(refusal, &context.secret));
            }
            None => return Err(not_one()),
        },
    };
    Ok(Cleaned { body: None, summary })
}
