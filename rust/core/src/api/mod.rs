//! The APIs that clients speak. To an exchange an API is three things: a path under the upstream's base URL
//! ([`Api::path`]), the machine that the upstream's events go through ([`Api::machine`]), and the clean-up of an answer
//! that came whole ([`Api::clean`]).
//!
//! Chat completions are the native API: [`crate::request`] and [`crate::answer`] are about them. Each other API has a
//! file here, with its request and the rules for its answers. An API that is chat in other words converts its request and
//! puts its own machine around chat's.

pub mod completions;
pub mod convert;
mod dropped;
pub mod embeddings;
pub mod frames;
mod list;
pub mod messages;
pub mod native;
pub mod reply;
pub mod rerank;
pub mod responses;
mod tokens;
mod words;

use crate::answer::completion::{self, Cleaned};
use crate::answer::context::{AnswerContext, AnswerMode};
use crate::answer::error::StreamError;
use crate::answer::form::{self, Form};
use crate::answer::merge::Merger;
use crate::answer::stream::{StreamState, Transformer};
use crate::answer::summary::Summary;
use crate::sse::SseLimits;

use self::completions::TextChoice;
use self::convert::{Converter, Output};
use self::native::Native;
use self::native::relay::Relay;
use self::reply::Reply;

/// One of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// Chat completions.
    #[default]
    Chat,
    /// Text completions.
    Completions,
    /// Embeddings. Never streamed, never merged.
    Embeddings,
    /// Documents in the order of their relevance. Never streamed, never merged.
    Rerank,
    /// Another one, of client and upstream alike.
    Native(Native),
    /// How many tokens a Messages body has. Never streamed, never merged.
    CountTokens,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Rerank,
        Self::Native(Native::Messages),
        Self::Native(Native::Responses),
        Self::CountTokens,
    ];

    /// Where an upstream has it, under its base URL. None: an upstream has a URL of its own for it, if it has it.
    #[must_use]
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::Chat => Some("/chat/completions"),
            Self::Completions => Some("/completions"),
            Self::Embeddings => Some("/embeddings"),
            Self::Rerank => Some("/rerank"),
            Self::Native(_) | Self::CountTokens => None,
        }
    }

    /// Whether a stream that answers in this API is kept alive by an event of its own, where others have a comment.
    #[must_use]
    pub const fn has_pings(self, reply: &Reply) -> bool {
        matches!(self, Self::Native(Native::Messages)) || reply.has_pings()
    }

    /// Whether it is one of Anthropic's, which have headers of their own.
    #[must_use]
    pub const fn is_anthropics(self) -> bool {
        matches!(self, Self::Native(Native::Messages) | Self::CountTokens)
    }

    /// What the upstream's events go through.
    #[must_use]
    pub fn machine(self, mode: AnswerMode, context: AnswerContext, limits: SseLimits) -> Machine {
        let output = if let AnswerMode::Stream { .. } = mode { Output::Stream } else { Output::Whole };
        if mode != AnswerMode::Plain
            && let Some(converter) = Converter::new(&context, output, limits)
        {
            return Machine::Converted(Box::new(converter));
        }
        match (self, mode) {
            (Self::Chat, AnswerMode::Stream { include_usage }) => {
                Machine::Chat(Box::new(Transformer::new(context, include_usage, limits)))
            }
            (Self::Completions, AnswerMode::Stream { include_usage }) => {
                Machine::Completions(Box::new(Transformer::with_rules(context, include_usage, limits)))
            }
            (Self::Embeddings | Self::Rerank | Self::CountTokens, _) | (_, AnswerMode::Plain) => {
                Machine::Whole(Box::default(), None)
            }
            (Self::Native(api), AnswerMode::Stream { .. }) => {
                Machine::Native(Box::new(Relay::new(api, context, limits)))
            }
            // Only chat requests ask for it.
            (_, AnswerMode::Merged) => Machine::Merged(Box::new(Merger::new(context, limits))),
        }
    }

    /// Clean up an answer that was read whole, also where it is a stream that nobody asked for. (Text completions are
    /// never merged.)
    ///
    /// # Errors
    /// As [`Api::clean`].
    pub fn whole(
        self,
        body: &[u8],
        context: &AnswerContext,
        limits: SseLimits,
    ) -> Result<Cleaned, StreamError> {
        if let Some(converted) = convert::whole(body, context, limits) {
            return converted;
        }
        match (self, Form::of(body)) {
            (Self::Chat, Some(Form::Events)) => form::merged(body, context, limits),
            _ => self.clean(body, context),
        }
    }

    /// Clean up an answer that came whole.
    ///
    /// # Errors
    /// Where it is an error, or not an answer of this API.
    pub fn clean(self, body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
        match self {
            Self::Chat => completion::clean(body, context),
            Self::Completions => completions::clean(body, context),
            Self::Embeddings => embeddings::clean(body, context),
            Self::Rerank => rerank::clean(body, context),
            Self::Native(api) => native::clean(api, body, context),
            Self::CountTokens => native::count::clean(body, context),
        }
    }
}

/// An upstream's bytes in, the client's out.
///
/// An enum instead of a trait object: each read calls it, and the calls can be inlined.
#[derive(Debug)]
pub enum Machine {
    /// Chat completions as they come.
    Chat(Box<Transformer>),
    /// Text completions as they come.
    Completions(Box<Transformer<TextChoice>>),
    /// Chat completions as they come, into another API's events or its one body.
    Converted(Box<Converter>),
    /// Another API's events as they come.
    Native(Box<Relay>),
    /// Events into one body, which comes out at the end.
    Merged(Box<Merger>),
    /// The account of a body that is complete, or that failed. It takes no events.
    Whole(Box<Summary>, Option<StreamError>),
}

impl Machine {
    /// Take in a piece of the event stream, at `None` its end; append what is finished.
    pub fn feed(&mut self, input: Option<&[u8]>, output: &mut Vec<u8>) -> StreamState {
        match (&mut *self, input) {
            (Self::Chat(transformer), Some(input)) => transformer.feed(input, output),
            (Self::Chat(transformer), None) => transformer.finish(output),
            (Self::Completions(transformer), Some(input)) => transformer.feed(input, output),
            (Self::Completions(transformer), None) => transformer.finish(output),
            (Self::Converted(converter), input) => converter.feed(input, output),
            (Self::Native(relay), input) => relay.feed(input, output),
            (Self::Merged(merger), input) => {
                let state = match input {
                    Some(input) => merger.feed(input),
                    None => merger.finish(),
                };
                if state == StreamState::Open { state } else { self.complete(output) }
            }
            (Self::Whole(_, None), _) => StreamState::Done,
            (Self::Whole(_, Some(_)), _) => StreamState::Failed,
        }
    }

    /// How many bytes of what was fed before the next piece may set to work.
    #[must_use]
    pub const fn backlog_bytes(&self) -> usize {
        match self {
            Self::Chat(transformer) => transformer.carried_bytes(),
            Self::Completions(transformer) => transformer.carried_bytes(),
            Self::Converted(converter) => converter.backlog_bytes(),
            Self::Native(relay) => relay.backlog_bytes(),
            Self::Merged(merger) => merger.fed_bytes(),
            Self::Whole(..) => 0,
        }
    }

    /// Put out the merged body and free the merger.
    fn complete(&mut self, output: &mut Vec<u8>) -> StreamState {
        let Self::Merged(merger) = std::mem::replace(self, Self::Whole(Box::default(), None)) else {
            return StreamState::Done;
        };
        let mut summary = merger.summary().clone();
        let (state, error) = match merger.into_completion() {
            Ok(body) => {
                // Nothing came out before it, so it is not copied.
                *output = body;
                (StreamState::Done, None)
            }
            Err(error) => {
                (summary.error, summary.complete) = (Some(error.kind), false);
                (StreamState::Failed, Some(error))
            }
        };
        *self = Self::Whole(Box::new(summary), error);
        state
    }

    /// The stream broke: append the frame that says so. Does nothing where a body was to come.
    pub fn fail(&mut self, error: StreamError, output: &mut Vec<u8>) {
        match self {
            Self::Chat(transformer) => transformer.fail(error, output),
            Self::Completions(transformer) => transformer.fail(error, output),
            Self::Converted(converter) => converter.break_off(error, output),
            Self::Native(relay) => relay.fail(error, output),
            Self::Merged(_) | Self::Whole(..) => {}
        }
    }

    /// Whether a stream comes out, which can carry an error frame.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Chat(_) | Self::Completions(_) | Self::Native(_) => true,
            Self::Converted(converter) => converter.is_stream(),
            Self::Merged(_) | Self::Whole(..) => false,
        }
    }

    /// The account so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        match self {
            Self::Chat(transformer) => transformer.summary(),
            Self::Completions(transformer) => transformer.summary(),
            Self::Converted(converter) => converter.summary(),
            Self::Native(relay) => relay.summary(),
            Self::Merged(merger) => merger.summary(),
            Self::Whole(summary, _) => summary,
        }
    }

    /// Why the answer failed.
    #[must_use]
    pub fn error(&self) -> Option<&StreamError> {
        match self {
            Self::Chat(transformer) => transformer.error(),
            Self::Completions(transformer) => transformer.error(),
            Self::Converted(converter) => converter.error(),
            Self::Native(relay) => relay.error(),
            Self::Merged(_) => None,
            Self::Whole(_, error) => error.as_ref(),
        }
    }
}
