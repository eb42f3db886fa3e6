//! A chat answer in another API's words: the transformer's frames go into that API's writer, as they come.
//!
//! A whole answer takes the same way, so that it can't differ from a stream: it is fed as a stream of one chunk, and the
//! writer puts out one body at its end.

use crate::answer::completion::Cleaned;
use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::form::{Form, as_events};
use crate::answer::stream::{StreamState, Transformer};
use crate::answer::summary::Summary;
use crate::spare;
use crate::sse::SseLimits;

use super::messages::MessagesWriter;
use super::reply::Reply;
use super::responses::ResponsesWriter;

/// Whether events or one body comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The API's events.
    Stream,
    /// One body, at the end.
    Whole,
}

/// A chat stream in, another API's answer out.
#[derive(Debug)]
pub struct Converter {
    transformer: Transformer,
    writer: Writer,
    output: Output,
    /// Chat frames on their way to the writer.
    frames: Vec<u8>,
    /// Of a whole answer: how much was fed, for its end writes it all out.
    fed_bytes: usize,
    /// What the writer could not take.
    error: Option<StreamError>,
    state: StreamState,
}

impl Converter {
    /// For an answer that is about to begin. None where the reply is in chat's own words.
    #[must_use]
    pub fn new(context: &AnswerContext, output: Output, limits: SseLimits) -> Option<Self> {
        let writer = Writer::new(context, output)?;
        let transformer = Transformer::new(context.clone(), false, limits);
        let (frames, error, state) = (Vec::new(), None, StreamState::Open);
        Some(Self { transformer, writer, output, frames, fed_bytes: 0, error, state })
    }

    /// Take in what was read, at `None` the end; append what it completes.
    pub fn feed(&mut self, input: Option<&[u8]>, output: &mut Vec<u8>) -> StreamState {
        if self.state != StreamState::Open {
            return self.state;
        }
        if self.output == Output::Whole {
            self.fed_bytes += input.map_or(0, <[u8]>::len);
        }
        self.state = match input {
            Some(input) => self.transformer.feed(input, &mut self.frames),
            None => self.transformer.finish(&mut self.frames),
        };
        let written = self.writer.frames(&self.frames, output);
        spare::clear(&mut self.frames);
        if let Err(error) = written {
            self.fail(error);
        }
        match self.state {
            StreamState::Open => {}
            StreamState::Done => self.writer.finish(self.transformer.summary(), output),
            StreamState::Failed => self.tell(output),
        }
        self.state
    }

    /// The stream broke: append the API's own error event. Ignored once the state is final.
    pub fn break_off(&mut self, error: StreamError, output: &mut Vec<u8>) {
        if self.state == StreamState::Open {
            self.fail(error);
            self.tell(output);
        }
    }

    fn fail(&mut self, error: StreamError) {
        self.transformer.fail(error.clone(), &mut self.frames);
        spare::clear(&mut self.frames);
        (self.error, self.state) = (Some(error), StreamState::Failed);
    }

    fn tell(&mut self, output: &mut Vec<u8>) {
        if self.output == Output::Stream
            && let Some(error) = self.error.as_ref().or_else(|| self.transformer.error())
        {
            self.writer.fail(error, output);
        }
    }

    /// Whether a stream comes out.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.output == Output::Stream
    }

    /// How many bytes of what was fed before the next piece may set to work.
    #[must_use]
    pub const fn backlog_bytes(&self) -> usize {
        self.transformer.carried_bytes() + self.fed_bytes
    }

    /// The account so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        self.transformer.summary()
    }

    /// Why the answer failed.
    #[must_use]
    pub fn error(&self) -> Option<&StreamError> {
        self.error.as_ref().or_else(|| self.transformer.error())
    }
}

/// An answer that was read whole, in the words of the reply.
///
/// # Errors
/// Where it is an error, or no chat completion.
pub(super) fn whole(
    body: &[u8],
    context: &AnswerContext,
    limits: SseLimits,
) -> Option<Result<Cleaned, StreamError>> {
    let mut converter = Converter::new(context, Output::Whole, limits)?;
    let mut answer = Vec::new();
    if Form::of(body) == Some(Form::Events) {
        converter.feed(Some(body), &mut answer);
    } else {
        converter.feed(Some(&as_events(body)), &mut answer);
    }
    converter.feed(None, &mut answer);
    Some(match converter.error() {
        Some(error) => Err(error.clone()),
        None => Ok(Cleaned { body: Some(answer), summary: converter.summary().clone() }),
    })
}

/// The writers. Each takes chat frames, then either the end or an error.
#[derive(Debug)]
enum Writer {
    Messages(Box<MessagesWriter>),
    Responses(Box<ResponsesWriter>),
}

impl Writer {
    fn new(context: &AnswerContext, output: Output) -> Option<Self> {
        Some(match &context.reply {
            Reply::AsAsked => return None,
            Reply::Messages(reply) => Self::Messages(Box::new(MessagesWriter::new(reply, context, output))),
            Reply::Responses(reply) => {
                Self::Responses(Box::new(ResponsesWriter::new(reply, context, output)))
            }
        })
    }

    fn frames(&mut self, frames: &[u8], output: &mut Vec<u8>) -> Result<(), StreamError> {
        match self {
            Self::Messages(writer) => writer.frames(frames, output),
            Self::Responses(writer) => writer.frames(frames, output),
        }
    }

    fn finish(&mut self, summary: &Summary, output: &mut Vec<u8>) {
        match self {
            Self::Messages(writer) => writer.finish(summary, output),
            Self::Responses(writer) => writer.finish(summary, output),
        }
    }

    fn fail(&mut self, error: &StreamError, output: &mut Vec<u8>) {
        match self {
            Self::Messages(writer) => writer.fail(error, output),
            Self::Responses(writer) => writer.fail(error, output),
        }
    }
}
