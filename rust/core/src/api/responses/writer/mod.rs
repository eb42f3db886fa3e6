//! Chat frames into OpenAI's events, or into one response ("Answers to Responses" in the contract).
//!
//! An answer is a list of items: reasoning, messages, calls. Each is written once, into a buffer of its own, and what the
//! events say of it are pieces of that. The last event repeats all items, so they are kept to the end, and nothing else is.
//! A whole answer is the response of that last event.
//!
//! * [`draft`]: an item while it is written; [`message`], [`reasoning`], [`call`]: the kinds of them.
//! * [`input`], [`shell`]: what calls of tools that are no functions say.
//! * [`events`]: frames and numbers; [`response`]: the response object.
//!
//! Decisions where the contract is silent:
//! * One message or one piece of reasoning is open at a time: the next one ends it. Calls stay open to the end of the
//!   answer, for upstreams send the arguments of parallel calls in turns.
//! * Reasoning that is neither to be shown nor to be sealed has no item.
//! * A call without arguments has `{}`, as OpenAI's have.
//! * A failed response has no items: what a client has seen of them is not the answer.

mod call;
mod draft;
mod events;
mod input;
mod message;
mod reasoning;
mod response;
mod shell;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::answer::bounds::{Excess, MAX_RESPONSE_BYTES};
use crate::answer::context::AnswerContext;
use crate::answer::error::StreamError;
use crate::answer::summary::Summary;
use crate::answer::usage::Usage;
use crate::api::convert::Output;
use crate::api::frames::{CallDelta, Delta, FrameReader};
use crate::json::Text;

use self::call::Call;
use self::draft::{Draft, ItemStatus};
use self::events::Events;
use self::message::{Message, PartKind};
use self::reasoning::Reasoning;
pub(in crate::api) use self::response::error_code;
use self::response::{ResponseHead, Status};
use super::ResponsesReply;

/// Writes one answer.
#[derive(Debug)]
pub struct ResponsesWriter {
    frames: FrameReader,
    answer: Answer,
}

/// Everything of the writer but the reader of frames.
#[derive(Debug)]
struct Answer {
    reply: Arc<ResponsesReply>,
    head: ResponseHead,
    output: Output,
    events: Events,
    has_begun: bool,
    items: Vec<Item>,
    /// The place of the message or the reasoning that is open.
    speaking: Option<usize>,
    /// The places of calls, by their number in the chat answer.
    calls: Vec<usize>,
    /// The place of the item that grew last.
    last: usize,
    /// What all items come to.
    kept_bytes: usize,
}

#[derive(Debug)]
enum Item {
    Message(Message),
    Reasoning(Reasoning),
    Call(Box<Call>),
    /// Its whole JSON.
    Done(Vec<u8>),
}

impl ResponsesWriter {
    /// For an answer that is about to begin.
    #[must_use]
    pub fn new(reply: &Arc<ResponsesReply>, context: &AnswerContext, output: Output) -> Self {
        let answer = Answer {
            reply: Arc::clone(reply),
            head: ResponseHead::new(context),
            output,
            events: Events::new(output == Output::Stream),
            has_begun: false,
            items: Vec::new(),
            speaking: None,
            calls: Vec::new(),
            last: 0,
            kept_bytes: 0,
        };
        Self { frames: FrameReader::default(), answer }
    }

    /// Whole chat frames.
    ///
    /// # Errors
    /// Where there is more to be repeated at the end than [`MAX_RESPONSE_BYTES`].
    pub fn frames(&mut self, frames: &[u8], output: &mut Vec<u8>) -> Result<(), StreamError> {
        if frames.is_empty() {
            return Ok(());
        }
        let Self { frames: reader, answer } = self;
        answer.begin(output);
        reader.read(frames, |delta| answer.delta(delta, output))
    }

    /// The answer is complete.
    pub fn finish(&mut self, summary: &Summary, output: &mut Vec<u8>) {
        self.answer.begin(output);
        self.answer.finish(summary, output);
    }

    /// The answer broke off. Only a stream is told.
    pub fn fail(&mut self, error: &StreamError, output: &mut Vec<u8>) {
        self.answer.begin(output);
        self.answer.items = Vec::new();
        self.answer.respond(Status::Failed(error), None, output);
    }
}

impl Answer {
    /// The events that come before all others, once.
    fn begin(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.event("response.created", Status::InProgress, None, output);
            self.event("response.in_progress", Status::InProgress, None, output);
        }
    }

    #[inline]
    fn delta(&mut self, delta: Delta<'_>, output: &mut Vec<u8>) -> Result<(), StreamError> {
        match delta {
            Delta::Text(text) => self.say(PartKind::Text, text, output),
            Delta::Refusal(text) => self.say(PartKind::Refusal, text, output),
            Delta::Reasoning(text) => self.reason(text, output),
            Delta::Call(call) => self.call(&call, output),
            Delta::StopSequence(_) => {}
        }
        if self.kept_bytes > MAX_RESPONSE_BYTES { Err(Excess::Response.into()) } else { Ok(()) }
    }

    fn say(&mut self, part: PartKind, text: &[u8], output: &mut Vec<u8>) {
        self.kept_bytes += text.len();
        if !matches!(self.speaking(), Some(Item::Message(_))) {
            self.end_speech(ItemStatus::Completed, output);
            let draft = self.draft("message", "msg_");
            let message = Message::open(draft, part, &mut self.events, output);
            self.speaking = Some(self.add(Item::Message(message)));
        }
        let speaking = self.speaking.and_then(|place| self.items.get_mut(place));
        if let Some(Item::Message(message)) = speaking {
            message.grow(part, text, &mut self.events, output);
        }
    }

    fn reason(&mut self, text: &[u8], output: &mut Vec<u8>) {
        let summary = self.reply.shows_reasoning;
        let seal = self.reply.seal.as_ref().filter(|_| self.reply.seals_reasoning);
        if !summary && seal.is_none() {
            return;
        }
        if !matches!(self.speaking(), Some(Item::Reasoning(_))) {
            let seal = seal.cloned();
            self.end_speech(ItemStatus::Completed, output);
            let draft = self.draft("reasoning", "rs_");
            let reasoning = Reasoning::open(draft, summary, seal, &mut self.events, output);
            self.speaking = Some(self.add(Item::Reasoning(reasoning)));
        }
        let speaking = self.speaking.and_then(|place| self.items.get_mut(place));
        if let Some(Item::Reasoning(reasoning)) = speaking {
            self.kept_bytes += reasoning.grow(text, &mut self.events, output);
        }
    }

    fn call(&mut self, call: &CallDelta<'_>, output: &mut Vec<u8>) {
        self.kept_bytes += call.arguments.len();
        let known = usize::try_from(call.index).ok().and_then(|number| self.calls.get(number).copied());
        // The transformer numbers calls from 0 without a gap, so one that is not known is the next one.
        let place = known.unwrap_or_else(|| self.open_call(call, output));
        self.last = place;
        if let Some(Item::Call(open)) = self.items.get_mut(place) {
            open.grow(call.arguments, &mut self.events, output);
        }
    }

    fn open_call(&mut self, call: &CallDelta<'_>, output: &mut Vec<u8>) -> usize {
        self.end_speech(ItemStatus::Completed, output);
        let function = call.name.map(Text::decode).unwrap_or_default();
        let reply = Arc::clone(&self.reply);
        let tool = reply.tools.called(&function);
        let (kind, prefix) = call::words(tool.kind);
        let draft = self.draft(kind, prefix);
        let open = Call::open(draft, tool, call, &mut self.events, output);
        let place = self.add(Item::Call(Box::new(open)));
        self.calls.push(place);
        place
    }

    /// The item that texts go to.
    fn speaking(&self) -> Option<&Item> {
        self.items.get(self.speaking?)
    }

    fn end_speech(&mut self, status: ItemStatus, output: &mut Vec<u8>) {
        if let Some(place) = self.speaking.take() {
            self.close(place, status, output);
        }
    }

    /// The next item, of this type.
    fn draft(&self, kind: &str, id_prefix: &str) -> Draft {
        let index = self.items.len();
        Draft::new(index, &self.head.item_id(id_prefix, index), kind)
    }

    /// Returns its place.
    fn add(&mut self, item: Item) -> usize {
        self.kept_bytes += item.bytes();
        self.items.push(item);
        self.last = self.items.len() - 1;
        self.last
    }

    fn close(&mut self, place: usize, status: ItemStatus, output: &mut Vec<u8>) {
        let Some(slot) = self.items.get_mut(place) else { return };
        let (events, before) = (&mut self.events, slot.bytes());
        let json = match std::mem::replace(slot, Item::Done(Vec::new())) {
            Item::Message(message) => message.close(status, events, output),
            Item::Reasoning(reasoning) => reasoning.close(events, output),
            Item::Call(call) => call.close(status, events, output),
            Item::Done(json) => json,
        };
        // A seal is as long as what it holds, and a third more.
        self.kept_bytes += json.len().saturating_sub(before);
        *slot = Item::Done(json);
    }

    fn finish(&mut self, summary: &Summary, output: &mut Vec<u8>) {
        let status = Status::of(summary);
        for place in 0..self.items.len() {
            let is_cut = matches!(status, Status::Incomplete(_)) && place == self.last;
            let status = if is_cut { ItemStatus::Incomplete } else { ItemStatus::Completed };
            self.close(place, status, output);
        }
        self.respond(status, summary.usage, output);
    }

    /// The end: the last event, or the body.
    fn respond(&mut self, status: Status<'_>, usage: Option<Usage>, output: &mut Vec<u8>) {
        match self.output {
            Output::Stream => self.event(status.event(), status, usage, output),
            Output::Whole => self.head.write(&self.reply, status, whole(&self.items), usage, output),
        }
    }

    /// An event with the response in it.
    fn event(&mut self, name: &str, status: Status<'_>, usage: Option<Usage>, output: &mut Vec<u8>) {
        let Self { events, head, reply, items, .. } = self;
        events.write_with(name, output, |output| {
            output.extend_from_slice(b"\"response\":");
            head.write(reply, status, whole(items), usage, output);
        });
    }
}

/// The items that are whole.
fn whole(items: &[Item]) -> impl Iterator<Item = &[u8]> {
    items.iter().filter_map(|item| if let Item::Done(json) = item { Some(&json[..]) } else { None })
}

impl Item {
    /// What is written of it so far.
    fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.draft().bytes(),
            Self::Reasoning(reasoning) => reasoning.draft().bytes(),
            Self::Call(call) => call.draft().bytes(),
            Self::Done(json) => json.len(),
        }
    }
}
