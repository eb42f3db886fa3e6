//! An upstream's event stream in, the contract's frames out ("Answers, streaming" in the contract).
//!
//! Each event is read as spans; where the contract has nothing to say about it, its very bytes go out. Where it has,
//! the few spans in question are edited and the rest stays. What is decided once for a whole stream (roles sent,
//! finish reasons given, the numbering of tool calls, the usage to come) lives here.
//!
//! Decisions where the contract is silent:
//! * Comments, `id:`, `retry:` and event types of the upstream end here. So does a chunk without `choices` (or null
//!   ones) that holds no usage (a provider's own kind of event), and a chunk after a choice's finish that says nothing.
//! * An event's framing is normalised (`data: `, LF) even where its payload needs no change.
//! * The event that a stream's end left without its blank line counts if it is whole: JSON that parses was not cut.
//! * A finish reason that says that the answer broke off is an error; [`super::finish`] has the table.

mod calls;
mod ending;
mod frame;
mod held;
mod reasoning;
mod shape;

use self::ending::{Content, Ending, Endings, write_head};
use self::frame::{decode_into, is_done, is_error, is_error_status, is_json, write_error_frame};
use crate::answer::bounds::{Calls, Excess, MAX_HELD_REASON_BYTES, MAX_USAGE_BYTES};
use crate::answer::choices::Choices;
use crate::answer::chunk::{Choice, Chunk, Holder, text_of};
use crate::answer::context::AnswerContext;
use crate::answer::error::{StreamError, StreamErrorKind};
use crate::answer::keeper::Keeper;
use crate::answer::summary::Summary;
use crate::answer::template::Template;
use crate::answer::think::may_hold_tag;
use crate::answer::usage::{Names, with_openai_names};
use crate::json::edit::Edits;
use crate::json::{Kind, Span, Text, Value};
use crate::refusal::Refusal;
use crate::spare;
use crate::sse::{Event, Item, Parser, SseLimits};

pub(crate) use calls::{kind_to_set, new_call_id, set_arguments, write_arguments};
pub(crate) use held::{Arguments as ArgumentsRead, Progress};
pub use shape::{ChatChoice, ChoiceRules, Course, Finish};

const FRAME_HEAD: &[u8] = b"data: ";
const FRAME_END: &[u8] = b"\n\n";

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// More may come.
    Open,
    /// `[DONE]` has gone out.
    Done,
    /// An error frame has gone out.
    Failed,
}

/// What is known of the frames that an event has put out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// Nothing: they have to be read.
    Unread,
    /// It is one frame, with this payload, which was read as this chunk.
    Read(&'a [u8], &'a Chunk),
    /// It is one frame, the last one with this string, still escaped, in the place of its string.
    Same(&'a [u8]),
}

/// The same, as it is kept.
#[derive(Clone, Copy, Debug)]
enum Kept {
    Nothing,
    Chunk,
    String(Span),
}

/// Turns one upstream stream into frames, by the rules of one API: chat completions, unless said otherwise.
#[derive(Debug)]
pub struct Transformer<Rules = ChatChoice> {
    parser: Parser,
    shaper: Shaper<Rules>,
}

impl Transformer {
    /// For a stream of chat completions that is about to begin.
    #[must_use]
    pub fn new(context: AnswerContext, include_usage: bool, limits: SseLimits) -> Self {
        Self::with_rules(context, include_usage, limits)
    }
}

impl<Rules: ChoiceRules> Transformer<Rules> {
    /// For a stream that is about to begin.
    #[must_use]
    pub fn with_rules(context: AnswerContext, include_usage: bool, limits: SseLimits) -> Self {
        Self { parser: Parser::new(limits), shaper: Shaper::new(context, include_usage) }
    }

    /// Take in what was read and append the frames that it completes. Ignored once the state is final.
    pub fn feed(&mut self, input: &[u8], output: &mut Vec<u8>) -> StreamState {
        if self.shaper.state != StreamState::Open {
            return self.shaper.state;
        }
        let mut reader = self.parser.read(input);
        while self.shaper.state == StreamState::Open {
            match reader.next() {
                Ok(Some(item)) => self.shaper.item(&item, true, output),
                Ok(None) => break,
                Err(_) => self.shaper.fail(StreamError::new(StreamErrorKind::EventTooLarge), output),
            }
        }
        self.shaper.state
    }

    /// The same, for a reader of the frames: `take` is given what each event has put out, and how it came to be. `buffer`
    /// is where that is written; it is empty afterwards.
    pub(crate) fn feed_each(
        &mut self,
        input: &[u8],
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(&[u8], Origin<'_>),
    ) -> StreamState {
        let mut reader = self.parser.read(input);
        while self.shaper.state == StreamState::Open {
            self.shaper.origin = Kept::Nothing;
            match reader.next() {
                Ok(Some(item)) => self.shaper.item(&item, true, buffer),
                Ok(None) => break,
                Err(_) => self.shaper.fail(StreamError::new(StreamErrorKind::EventTooLarge), buffer),
            }
            if !buffer.is_empty() {
                take(buffer, self.shaper.origin(buffer));
                buffer.clear();
            }
        }
        self.shaper.state
    }

    /// The upstream closed the stream cleanly: append what is due.
    pub fn finish(&mut self, output: &mut Vec<u8>) -> StreamState {
        // At most an unterminated unknown field and then the event that it is in.
        for _ in 0..2 {
            if self.shaper.state != StreamState::Open {
                return self.shaper.state;
            }
            match self.parser.finish() {
                Ok(Some(item)) => self.shaper.item(&item, false, output),
                Ok(None) => {}
                Err(_) => self.shaper.fail(StreamError::new(StreamErrorKind::EventTooLarge), output),
            }
        }
        if self.shaper.state == StreamState::Open {
            self.shaper.end(output);
        }
        self.shaper.state
    }

    /// The stream broke: append the error frame. Ignored once the state is final.
    pub fn fail(&mut self, error: StreamError, output: &mut Vec<u8>) {
        if self.shaper.state == StreamState::Open {
            self.shaper.fail(error, output);
        }
    }

    /// How many bytes an event holds that a read has cut.
    #[must_use]
    pub const fn carried_bytes(&self) -> usize {
        self.parser.carried_bytes()
    }

    /// The account so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        &self.shaper.summary
    }

    /// Why the stream failed.
    #[must_use]
    pub const fn error(&self) -> Option<&StreamError> {
        self.shaper.error.as_ref()
    }
}

/// Everything of the transformer but the parser, so that an event may borrow the one while the other works.
#[derive(Debug)]
struct Shaper<Rules> {
    context: AnswerContext,
    include_usage: bool,
    state: StreamState,
    error: Option<StreamError>,
    summary: Summary,
    chunk: Chunk,
    edits: Edits,
    choices: Choices<Rules>,
    /// What their tool calls amount to.
    calls: Calls,
    /// Their finish reasons, until the stream ends.
    endings: Endings,
    /// The choice whose finish reason the summary has.
    summarised: Option<usize>,
    /// Tags in content are taken out, of one choice at least.
    has_inline: bool,
    /// The last chunk, where nothing was decided on it but what holds for the next one too.
    template: Template,
    /// Gathers reasoning, where the next turn will need it.
    keeper: Option<Keeper>,
    /// The payload of the usage chunk that is due at the end; empty while there is none.
    usage_chunk: Vec<u8>,
    /// Reused for payloads that must be changed before they can be read.
    scratch: Vec<u8>,
    /// What is known of the last event's frames.
    origin: Kept,
}

/// What one choice of a chunk came to.
struct Shaped {
    /// The client hears something new of it.
    says_something: bool,
    /// Some of its content is held back.
    holds_back: bool,
    /// It has something besides a finish reason.
    has_content: bool,
    /// Its place, where it ends here.
    ends: Option<usize>,
    /// Its place, where it has ended before.
    goes_on: Option<usize>,
}

impl<Rules: ChoiceRules> Shaper<Rules> {
    fn new(context: AnswerContext, include_usage: bool) -> Self {
        Self {
            keeper: context.keep_reasoning.then(Keeper::default),
            context,
            include_usage,
            state: StreamState::Open,
            error: None,
            summary: Summary::default(),
            chunk: Chunk::default(),
            edits: Edits::new(),
            choices: Choices::new(Rules::HOLDER.max_choices()),
            calls: Calls::default(),
            endings: Endings::default(),
            summarised: None,
            has_inline: false,
            template: Template::default(),
            usage_chunk: Vec::new(),
            scratch: Vec::new(),
            origin: Kept::Nothing,
        }
    }

    /// How the last event's frames came to be, which are alone in a buffer.
    fn origin<'a>(&'a self, frames: &'a [u8]) -> Origin<'a> {
        match self.origin {
            Kept::Nothing => Origin::Unread,
            Kept::Chunk => {
                Origin::Read(&frames[FRAME_HEAD.len()..frames.len() - FRAME_END.len()], &self.chunk)
            }
            Kept::String(span) => Origin::Same(span.of(frames)),
        }
    }

    fn item(&mut self, item: &Item<'_>, terminated: bool, output: &mut Vec<u8>) {
        match *item {
            Item::Unknown { name, value } => self.bare_line(name, value, terminated, output),
            Item::Event(event) if is_done(event.data) => self.end(output),
            Item::Event(event) if event.data.is_empty() => {}
            // Its end was cut off; what is left of the stream says whether that matters.
            Item::Event(event) if !terminated && !is_json(event.data) => {}
            Item::Event(event) if is_error(&event) => {
                let refusal = Refusal::read(event.data);
                let status = event.http_status.filter(|status| is_error_status(*status)).or(refusal.status);
                self.refuse(Refusal { status, ..refusal }, output);
            }
            Item::Event(event) => self.event(&event, output),
        }
    }

    /// A line that is no event: `error: {…}` (GPUStack), or an error as bare JSON.
    fn bare_line(&mut self, name: &[u8], value: &[u8], terminated: bool, output: &mut Vec<u8>) {
        let refusal = match name {
            b"error" if terminated || is_json(value) => Some(Refusal::read(value)),
            // The first colon was taken for the end of a name.
            [b'{' | b'[', ..] => Refusal::find(&[name, b":", value].concat()),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.refuse(refusal, output);
        }
    }

    fn event(&mut self, event: &Event<'_>, output: &mut Vec<u8>) {
        if let Some(string) = self.template.string_of(event.data)
            && !(self.has_inline && may_hold_tag(string))
        {
            let end = self.template.write(string, output);
            self.origin = Kept::String(Span { start: end - string.len(), end });
            self.summary.frames += 1;
            self.summary.output_bytes += Text::new(string).decoded_bytes() as u64;
            if let Some(keeper) = &mut self.keeper {
                keeper.same_but(string);
            }
            return;
        }
        self.template.forget();
        let utf8 = simdutf8::basic::from_utf8(event.data).is_ok();
        // In a canonical frame, data is one line.
        if utf8 && (event.canonical.is_some() || memchr::memchr(b'\n', event.data).is_none()) {
            return self.payload(event.data, event.canonical, output);
        }
        let mut payload = std::mem::take(&mut self.scratch);
        if decode_into(&mut payload, event.data) {
            self.payload(&payload, None, output);
        } else {
            self.fail(StreamError::not_a(Rules::NAME), output);
        }
        spare::clear(&mut payload);
        self.scratch = payload;
    }

    /// Judge one payload, which is UTF-8 without a line feed, and append its frame.
    fn payload(&mut self, payload: &[u8], canonical: Option<&[u8]>, output: &mut Vec<u8>) {
        let mut chunk = std::mem::take(&mut self.chunk);
        match chunk.read(payload, Rules::HOLDER) {
            Ok(()) => self.chunk_read(&chunk, payload, canonical, output),
            Err(error) => {
                let error = error.of_answer(Rules::NAME, payload, &self.context.secret);
                self.fail(error, output);
            }
        }
        chunk.release();
        self.chunk = chunk;
        self.edits.clear();
    }

    fn chunk_read(&mut self, chunk: &Chunk, payload: &[u8], canonical: Option<&[u8]>, output: &mut Vec<u8>) {
        if self.summary.id.is_none() || self.summary.model.is_none() {
            self.summary.named(text_of(chunk.id.as_ref(), payload), text_of(chunk.model.as_ref(), payload));
        }
        let usage = chunk.usage_value(payload).map(|value| (value, Names::of(payload, value)));
        if let Some((_, usage)) = &usage {
            self.summary.usage = Some(usage.usage());
            self.summary.metered();
        }
        if let Some(refusal) = chunk.refusal(payload) {
            return self.refuse(refusal, output);
        }
        let listed = chunk.choices_member.is_some_and(|member| member.value.kind == Kind::Array);
        if chunk.choices.is_empty() && (usage.is_some() || !listed) {
            if let Some(usage) = &usage {
                self.keep_usage_chunk(chunk, payload, usage);
                self.check_usage_chunk(output);
            }
            return;
        }

        self.edits.clear();
        let before = self.choices.len();
        let bytes_before = self.summary.output_bytes;
        let mut says_something = chunk.choices.is_empty();
        let mut holds_back = false;
        let mut has_content = false;
        let (mut ended, mut reopened) = (Vec::new(), Vec::new());
        for (position, choice) in chunk.choices.iter().enumerate() {
            match self.shape_choice(chunk, (position, choice), payload) {
                Ok(shaped) => {
                    says_something |= shaped.says_something;
                    holds_back |= shaped.holds_back;
                    has_content |= shaped.has_content;
                    ended.extend(shaped.ends);
                    reopened.extend(shaped.goes_on);
                }
                Err(error) => return self.fail(error, output),
            }
        }
        if let Some(usage) = &usage {
            self.summary.metered();
            self.keep_usage_of(chunk, payload, usage);
            self.check_usage_chunk(output);
        }
        if !says_something || self.state != StreamState::Open {
            return;
        }
        for place in reopened {
            self.endings.reopen(place, &self.choices, &self.context, output);
        }
        shape::top_level(chunk, Rules::OBJECT, payload, &self.context, &mut self.edits);
        if !ended.is_empty() {
            let content = match has_content {
                _ if ended.len() < chunk.choices.len() || is_any_twice(&ended) => Content::Others,
                true => Content::Theirs,
                false => Content::Nothing,
            };
            return self.emit_ending(chunk, (payload, canonical), ended, content, output);
        }
        let start = output.len();
        self.emit(chunk, (payload, canonical), output);
        if start == 0 && self.edits.is_empty() {
            self.origin = Kept::Chunk;
        }
        // A first chunk of a choice is unlike the others, and one with usage or a finish too.
        if let [choice] = &chunk.choices[..]
            && self.choices.len() == before
            && usage.is_none()
            && !holds_back
            && choice.finish_reason.is_none_or(|reason| reason.value.kind == Kind::Null)
            && let Some(string) = Rules::only_text(choice, payload)
            && string.as_text(payload).map_or(0, Text::decoded_bytes) as u64
                == self.summary.output_bytes - bytes_before
            && let Some(moved) = self.edits.moved(string.span)
        {
            self.template.remember(payload, string, &output[start..], FRAME_HEAD.len() + moved);
        }
    }

    /// Collect the edits of one of a chunk's choices.
    fn shape_choice(
        &mut self,
        chunk: &Chunk,
        (position, choice): (usize, &Choice),
        payload: &[u8],
    ) -> Result<Shaped, StreamError> {
        let index = choice.index.and_then(|index| index.value.as_u64(payload));
        if choice.finish_reason.is_some_and(|reason| reason.value.span.len() > MAX_HELD_REASON_BYTES) {
            return Err(Excess::FinishReason.into());
        }
        let known = self.choices.len();
        let place = self.choices.place(index.unwrap_or(position as u64))?;
        let state = &mut self.choices[place];
        let (was_finished, calls) = (state.course().is_finished(), state.calls());
        let finish = state.shape(chunk, choice, payload, &self.context, &mut self.edits);
        self.summary.output_bytes += state.output_bytes() as u64;
        self.calls.replace(calls, state.calls())?;
        self.summary.reasoning_seen |= state.reasoning_seen();
        self.has_inline |= state.has_inline();
        let is_emptied = state.is_emptied() && finish == Finish::No && !choice.says_more;
        // A role comes with the first chunk of a choice.
        let is_first = place == known && Rules::HOLDER == Holder::Delta;
        let has_content = state.said() || choice.says_more || is_first;
        let says_something = state.said() || !(was_finished || is_emptied);
        let holds_back = state.holds_back();
        let ends = match finish {
            Finish::Error => return Err(StreamError::new(StreamErrorKind::ErrorEvent)),
            Finish::Reason(reason) => {
                self.summarise(place, reason);
                Some(place)
            }
            Finish::No => None,
        };
        let goes_on = self.endings.has(place).then_some(place);
        Ok(Shaped { says_something, holds_back, has_content, ends, goes_on })
    }

    /// The summary has the finish reason of the choice that ends first.
    fn summarise(&mut self, place: usize, reason: String) {
        if *self.summarised.get_or_insert(place) == place {
            self.summary.finish_reason = None;
            self.summary.finish(reason);
        }
    }

    /// Hold the frame that ends choices until the stream ends.
    fn emit_ending(
        &mut self,
        chunk: &Chunk,
        event: (&[u8], Option<&[u8]>),
        places: Vec<usize>,
        content: Content,
        output: &mut Vec<u8>,
    ) {
        let mut frame = Vec::new();
        self.emit(chunk, event, &mut frame);
        self.endings.hold(Ending { frame, places, content }, &self.choices, &self.context, output);
    }

    /// Append the payload with the collected edits as a frame.
    fn emit(&mut self, chunk: &Chunk, (payload, canonical): (&[u8], Option<&[u8]>), output: &mut Vec<u8>) {
        self.summary.frames += 1;
        let start = output.len() + FRAME_HEAD.len();
        match canonical {
            Some(frame) if self.edits.is_empty() => output.extend_from_slice(frame),
            _ => {
                output.extend_from_slice(FRAME_HEAD);
                self.edits.apply(payload, output);
                output.extend_from_slice(FRAME_END);
            }
        }
        match &mut self.keeper {
            Some(keeper) if self.edits.is_empty() => keeper.chunk(chunk, payload),
            Some(keeper) => keeper.frame(&output[start..]),
            None => {}
        }
    }

    /// Keep a chunk that holds nothing but usage, for the end.
    fn keep_usage_chunk(&mut self, chunk: &Chunk, payload: &[u8], usage: &(Value, Names)) {
        if chunk.choices_member.is_none_or(|member| member.value.kind == Kind::Null) {
            return self.keep_usage_of(chunk, payload, usage);
        }
        self.edits.clear();
        shape::usage_chunk(chunk, Rules::OBJECT, payload, &self.context, &mut self.edits);
        if let Some(usage) = chunk.usage
            && let Some(named) = with_openai_names(payload, usage.value)
        {
            self.edits.replace(usage.value.span, named);
        }
        self.usage_chunk.clear();
        self.edits.apply(payload, &mut self.usage_chunk);
    }

    /// Keep the usage that rides on a chunk, as the usage chunk that the end asks for.
    fn keep_usage_of(&mut self, chunk: &Chunk, payload: &[u8], (usage, names): &(Value, Names)) {
        self.usage_chunk.clear();
        let output = &mut self.usage_chunk;
        write_head(chunk, Rules::OBJECT, payload, &self.context, output);
        output.extend_from_slice(b"[],\"usage\":");
        match names.with_openai(payload, *usage) {
            Some(usage) => output.extend_from_slice(&usage),
            None => output.extend_from_slice(usage.span.of(payload)),
        }
        output.push(b'}');
    }

    /// It is kept until the end, so it must not be large.
    fn check_usage_chunk(&mut self, output: &mut Vec<u8>) {
        if self.usage_chunk.len() > MAX_USAGE_BYTES {
            self.usage_chunk = Vec::new();
            self.fail(Excess::Usage.into(), output);
        }
    }

    /// The upstream's `[DONE]`, or its clean end.
    fn end(&mut self, output: &mut Vec<u8>) {
        if self.choices.is_empty() || !(0..self.choices.len()).all(|place| self.endings.has(place)) {
            return self.fail(StreamError::new(StreamErrorKind::Truncated), output);
        }
        self.endings.finish(output);
        if self.include_usage && !self.usage_chunk.is_empty() {
            output.extend_from_slice(FRAME_HEAD);
            output.extend_from_slice(&self.usage_chunk);
            output.extend_from_slice(b"\n\n");
            self.summary.frames += 1;
        }
        output.extend_from_slice(b"data: [DONE]\n\n");
        self.summary.complete = true;
        self.keep_turns();
        self.state = StreamState::Done;
    }

    /// Also of an answer that broke off: some clients send what they got of it back, and ask for the rest.
    fn keep_turns(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            self.summary.turns = keeper.finish();
        }
    }

    /// The upstream says that it failed.
    fn refuse(&mut self, refusal: Refusal, output: &mut Vec<u8>) {
        self.fail(StreamError::told(refusal, &self.context.secret), output);
    }

    fn fail(&mut self, error: StreamError, output: &mut Vec<u8>) {
        self.endings.finish(output);
        write_error_frame(&error, output);
        self.keep_turns();
        self.summary.error = Some(error.kind);
        self.error = Some(error);
        self.state = StreamState::Failed;
    }
}

fn is_any_twice(places: &[usize]) -> bool {
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests;
