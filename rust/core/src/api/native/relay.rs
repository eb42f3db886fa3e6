//! An upstream's events as they come, for a client of the same API.
//!
//! Out goes every frame that says something, byte for byte, as soon as its blank line is there. Comments end here: the
//! client gets our own heartbeats. The events that open a stream are held until one says something: an upstream that is
//! overloaded may say so only then, and another one can still be asked.

use crate::answer::context::AnswerContext;
use crate::answer::error::{StreamError, StreamErrorKind};
use crate::answer::stream::StreamState;
use crate::answer::summary::Summary;
use crate::json::Text;
use crate::refusal::Refusal;
use crate::sse::SseLimits;

use super::events::{Account, Step, document, members, text};
use super::frames::{Frames, said};
use super::{Native, failure, messages, responses};

/// What opens a stream is held up to this: a response repeats its request's instructions and tools.
const MAX_OPENING_HELD_BYTES: usize = 1024 * 1024;

/// What chat streams end with, and some streams of responses too.
const DONE: &[u8] = b"[DONE]";

/// One answer on its way.
#[derive(Debug)]
pub struct Relay {
    frames: Frames,
    inner: Inner,
}

/// All but the frames, so that one may be borrowed while the other works.
#[derive(Debug)]
struct Inner {
    reader: Reader,
    context: AnswerContext,
    account: Account,
    held: Vec<u8>,
    state: StreamState,
    error: Option<StreamError>,
}

#[derive(Debug)]
enum Reader {
    Messages(messages::Reader),
    Responses(responses::Reader),
}

impl Relay {
    /// For an answer that is about to begin.
    #[must_use]
    pub fn new(api: Native, context: AnswerContext, limits: SseLimits) -> Self {
        let reader = match api {
            Native::Messages => Reader::Messages(messages::Reader::default()),
            Native::Responses => Reader::Responses(responses::Reader::default()),
        };
        let account = Account::new(context.keep_reasoning);
        let (held, state, error) = (Vec::new(), StreamState::Open, None);
        Self { frames: Frames::new(limits), inner: Inner { reader, context, account, held, state, error } }
    }

    /// Take in what was read, at `None` the end; append the frames that it completes. Ignored once the state is final.
    pub fn feed(&mut self, input: Option<&[u8]>, output: &mut Vec<u8>) -> StreamState {
        let Self { frames, inner } = self;
        if inner.state != StreamState::Open {
            return inner.state;
        }
        if let Some(input) = input {
            let read = frames.read(input, |frame| {
                inner.frame(frame, output);
                inner.state == StreamState::Open
            });
            if read.is_err() {
                inner.fail(StreamError::new(StreamErrorKind::EventTooLarge), output);
            }
        } else {
            if let Some(rest) = frames.rest() {
                inner.rest(&rest, output);
            }
            if inner.state == StreamState::Open {
                inner.fail(StreamError::new(StreamErrorKind::Truncated), output);
            }
        }
        inner.state
    }

    /// The stream broke: append the API's own event that says so. Ignored once the state is final.
    pub fn fail(&mut self, error: StreamError, output: &mut Vec<u8>) {
        if self.inner.state == StreamState::Open {
            self.inner.fail(error, output);
        }
    }

    /// How many bytes of what was fed before the next piece may set to work.
    #[must_use]
    pub const fn backlog_bytes(&self) -> usize {
        self.frames.carried_bytes()
    }

    /// The account so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.inner.account.summary
    }

    /// Why the answer failed.
    #[must_use]
    pub const fn error(&self) -> Option<&StreamError> {
        self.inner.error.as_ref()
    }
}

impl Inner {
    fn frame(&mut self, frame: &[u8], output: &mut Vec<u8>) {
        let Some(said) = said(frame) else { return };
        if *said.data == *DONE {
            // Whatever it ended is over; where that had no end of its own, it was cut.
            self.fail(StreamError::new(StreamErrorKind::Truncated), output);
            return;
        }
        match self.read(said.event_type, &said.data) {
            Ok(Step::Opening) if self.account.summary.frames == 0 => {
                self.held.extend_from_slice(frame);
                if self.held.len() > MAX_OPENING_HELD_BYTES {
                    self.put_out(&[], output);
                }
            }
            Ok(step) => {
                self.put_out(frame, output);
                if step == Step::Last {
                    self.account.complete();
                    self.state = StreamState::Done;
                }
            }
            Err(error) => self.fail(error, output),
        }
    }

    /// The frame that a stream's end left without its blank line: it counts if it is whole.
    fn rest(&mut self, frame: &[u8], output: &mut Vec<u8>) {
        if said(frame).is_some_and(|said| document(&said.data).is_ok()) {
            self.frame(frame, output);
        }
    }

    fn put_out(&mut self, frame: &[u8], output: &mut Vec<u8>) {
        output.append(&mut self.held);
        output.extend_from_slice(frame);
        self.account.summary.frames += 1;
    }

    fn read(&mut self, event_type: &[u8], data: &[u8]) -> Result<Step, StreamError> {
        let not_one = || StreamError::not_a("event");
        if simdutf8::basic::from_utf8(data).is_err() {
            return Err(not_one());
        }
        let event = document(data).map_err(|_| not_one())?;
        let names = ["type", "error", "response"];
        let [kind, error, response] = members(data, event, names).map_err(|_| not_one())?;
        let kind = text(data, kind).map(Text::decode);
        let kind = kind.unwrap_or_else(|| String::from_utf8_lossy(event_type));
        let step = match &mut self.reader {
            Reader::Messages(reader) => reader.event(&kind, data, event, &mut self.account),
            Reader::Responses(reader) => reader.event(&kind, data, event, &mut self.account),
        };
        let step = step.map_err(|_| not_one())?;
        // An event of another API, or no event but an error of a server in front of it.
        let is_foreign = kind.is_empty() || matches!(&*kind, "message" | "response");
        match step {
            Some(step) if !is_foreign => Ok(step),
            None if error.is_none() && response.is_some() => {
                let [error] =
                    response.map_or(Ok([None]), |it| members(data, it, ["error"])).unwrap_or([None]);
                Err(self.told(responses::failure(data, error)))
            }
            None => Err(self.told(Refusal::read(data))),
            Some(_) => Err(match Refusal::find(data) {
                Some(refusal) => self.told(refusal),
                None => not_one(),
            }),
        }
    }

    fn told(&self, refusal: Refusal) -> StreamError {
        StreamError::told(refusal, &self.context.secret)
    }

    fn fail(&mut self, error: StreamError, output: &mut Vec<u8>) {
        let context = &self.context;
        match &self.reader {
            Reader::Messages(_) => failure::message(&error, &context.request_id, output),
            Reader::Responses(reader) => {
                output.append(&mut self.held);
                failure::response(&error, reader, context.created_s, output);
            }
        }
        self.held = Vec::new();
        self.account.summary.error = Some(error.kind);
        (self.error, self.state) = (Some(error), StreamState::Failed);
    }
}
