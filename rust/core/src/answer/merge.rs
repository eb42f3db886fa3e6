//! A stream of deltas into one `chat.completion`, for models that answer only in streams.
//!
//! The merger reads what the [`Transformer`] puts out and never an upstream's own frames, so every quirk is known in
//! one place and what a client merges for itself from our stream is what it gets from us merged.
//!
//! Text is concatenated as it is, still escaped: `\ud83d` at the end of one delta and `\ude00` at the start of the
//! next make one character, as they must. Where the contract is silent: `obfuscation`, OpenAI's padding of streams, goes;
//! `audio` is in [`audio`], members without a rule in [`extras`].

mod audio;
mod call;
mod extras;
mod logprobs;

use super::bounds::{Excess, MAX_CHOICES};
use super::choices::{Choices, Indexed};
use super::chunk::{self, CallKind, Chunk, ChunkError, Holder, MAX_OTHERS, Other, Place, ToolCall};
use super::context::AnswerContext;
use super::error::{StreamError, StreamErrorKind};
use super::reasoning;
use super::stream::{Origin, StreamState, Transformer};
use super::summary::Summary;
use super::template::Template;
use crate::json::text::write_string;
use crate::json::{Kind, Member, Text, Value};
use crate::spare;
use crate::sse::SseLimits;

use self::audio::Audio;
use self::call::Call;
use self::extras::{Extras, Room};
use self::logprobs::Logprobs;

/// Merges one upstream stream.
#[derive(Debug)]
pub struct Merger {
    transformer: Transformer,
    /// Where the transformer writes the frames of one event.
    frames: Vec<u8>,
    fed_bytes: usize,
    context: AnswerContext,
    taker: Taker,
}

/// Takes in the transformer's frames.
#[derive(Debug)]
struct Taker {
    completion: Completion,
    /// The last frame that had to be read, where all that it said was one piece of text.
    template: Template,
    /// What the last frame said, where all of it was one piece of text.
    target: Target,
    chunk: Chunk,
    /// There was more than is merged.
    excess: Option<StreamError>,
}

/// Where the one piece of text of a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The frame says something else.
    NotKnown,
    /// Nowhere: it is reasoning.
    Reasoning,
    /// To the choice at this place.
    Content(usize),
}

impl Merger {
    /// For a stream that is about to begin.
    #[must_use]
    pub fn new(context: AnswerContext, limits: SseLimits) -> Self {
        Self {
            transformer: Transformer::new(context.clone(), true, limits),
            frames: Vec::new(),
            fed_bytes: 0,
            context,
            taker: Taker {
                completion: Completion::new(),
                template: Template::default(),
                target: Target::NotKnown,
                chunk: Chunk::default(),
                excess: None,
            },
        }
    }

    /// Take in what was read.
    pub fn feed(&mut self, input: &[u8]) -> StreamState {
        self.fed_bytes += input.len();
        let taker = &mut self.taker;
        let state =
            self.transformer.feed_each(input, &mut self.frames, |frames, origin| taker.take(frames, origin));
        self.state(state)
    }

    /// The upstream closed the stream cleanly.
    pub fn finish(&mut self) -> StreamState {
        let state = self.transformer.finish(&mut self.frames);
        self.taker.take(&self.frames, Origin::Unread);
        self.state(state)
    }

    fn state(&mut self, state: StreamState) -> StreamState {
        self.taker.chunk.release();
        spare::clear(&mut self.frames);
        if self.taker.excess.is_some() { StreamState::Failed } else { state }
    }

    /// How much was fed: the end writes it all out.
    #[must_use]
    pub const fn fed_bytes(&self) -> usize {
        self.fed_bytes
    }

    /// The account so far.
    #[must_use]
    pub const fn summary(&self) -> &Summary {
        self.transformer.summary()
    }

    /// Why the stream failed.
    #[must_use]
    pub const fn error(&self) -> Option<&StreamError> {
        match self.transformer.error() {
            None => self.taker.excess.as_ref(),
            error => error,
        }
    }

    /// The merged answer.
    ///
    /// # Errors
    /// What the stream failed of; [`StreamErrorKind::Truncated`] where it has not ended.
    pub fn into_completion(self) -> Result<Vec<u8>, StreamError> {
        if let Some(error) = self.error() {
            return Err(error.clone());
        }
        if !self.summary().complete {
            return Err(StreamError::new(StreamErrorKind::Truncated));
        }
        Ok(self.taker.completion.write(&self.context))
    }
}

impl Taker {
    fn take(&mut self, frames: &[u8], origin: Origin<'_>) {
        match origin {
            _ if self.excess.is_some() => {}
            Origin::Same(text) if self.target != Target::NotKnown => self.say(text),
            Origin::Read(payload, chunk) => {
                self.template.forget();
                self.add(chunk, payload);
            }
            Origin::Unread | Origin::Same(_) => payloads(frames).for_each(|payload| self.frame(payload)),
        }
    }

    /// A frame that is not known yet. Those behind one with too much in it are not looked at.
    fn frame(&mut self, payload: &[u8]) {
        if self.excess.is_some() {
            return;
        }
        if let Some(text) = self.template.string_of(payload) {
            return self.say(text);
        }
        self.template.forget();
        let mut chunk = std::mem::take(&mut self.chunk);
        // The transformer puts out well-formed chunks, and after them `[DONE]` or an error, which are none.
        if chunk.read(payload, Holder::Delta).is_ok()
            && let Some(text) = self.add(&chunk, payload)
        {
            self.template.remember(payload, text, payload, text.span.start);
        }
        self.chunk = chunk;
    }

    /// The last frame, with this text.
    fn say(&mut self, text: &[u8]) {
        if let Target::Content(place) = self.target
            && let Some(choice) = self.completion.choices.get_mut(place)
        {
            choice.content.text.extend_from_slice(text);
        }
    }

    /// Take in a chunk. Returns its text, where the next one may differ in that only.
    fn add(&mut self, chunk: &Chunk, payload: &[u8]) -> Option<Value> {
        self.target = Target::NotKnown;
        if let Err(error) = self.completion.add(chunk, payload) {
            self.excess = match error {
                ChunkError::Excess(excess) => Some(excess.into()),
                ChunkError::NotAChunk => None,
            };
            return None;
        }
        let [choice] = &chunk.choices[..] else { return None };
        let text = choice.delta.only_text(payload)?;
        let plain = |member: Option<Member>| member.is_none_or(|member| member.value.kind == Kind::Null);
        if choice.delta.says_more || choice.says_more || !plain(choice.finish_reason) || !plain(chunk.usage) {
            return None;
        }
        let is_content = choice.delta.content.is_some_and(|content| content.value == text);
        self.target = if is_content {
            Target::Content(self.completion.choices.place(index_of(choice, payload)).ok()?)
        } else {
            Target::Reasoning
        };
        Some(text)
    }
}

/// A choice's index; 0 where it has none.
fn index_of(choice: &chunk::Choice, input: &[u8]) -> u64 {
    choice.index.and_then(|index| index.value.as_u64(input)).unwrap_or(0)
}

/// The payloads of frames that the transformer has written.
fn payloads(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let payload = rest.strip_prefix(b"data: ")?;
        let end = memchr::memchr(b'\n', payload)?;
        rest = payload.get(end + 2..)?;
        Some(&payload[..end])
    })
}

/// A string that grows, still escaped.
#[derive(Debug, Default)]
struct Growing {
    text: Vec<u8>,
}

impl Growing {
    fn append(&mut self, input: &[u8], value: Value) {
        if let Some(text) = value.as_text(input) {
            self.text.extend_from_slice(text.raw());
        }
    }

    fn write(&self, output: &mut Vec<u8>) {
        output.push(b'"');
        output.extend_from_slice(&self.text);
        output.push(b'"');
    }
}

#[derive(Debug)]
struct Completion {
    id: Vec<u8>,
    created: Vec<u8>,
    model: Vec<u8>,
    choices: Choices<Choice>,
    usage: Vec<u8>,
    extras: Extras,
    room: Room,
}

#[derive(Debug, Default)]
struct Choice {
    index: u64,
    content: Growing,
    refusal: Growing,
    tool_calls: Vec<Call>,
    function_call: Option<Call>,
    audio: Option<Audio>,
    logprobs: Option<Logprobs>,
    finish_reason: Vec<u8>,
    message_extras: Extras,
    extras: Extras,
}

/// What the text of a delta is, of which the log probabilities are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Nothing but reasoning, which a merged answer does not show.
    Reasoning,
    Content,
}

type Read<T = ()> = Result<T, ChunkError>;

/// Keep the first value that says something; Azure's first chunk has `"created":0`.
fn keep_first(slot: &mut Vec<u8>, input: &[u8], value: Value) {
    if slot.is_empty() && !value.is_blank(input) && value.span.of(input) != b"0" {
        slot.extend_from_slice(value.span.of(input));
    }
}

impl Completion {
    const fn new() -> Self {
        Self {
            id: Vec::new(),
            created: Vec::new(),
            model: Vec::new(),
            choices: Choices::new(MAX_CHOICES),
            usage: Vec::new(),
            extras: Extras::new(),
            room: Room::new(),
        }
    }

    fn add(&mut self, chunk: &Chunk, input: &[u8]) -> Read {
        for (slot, member) in
            [(&mut self.id, chunk.id), (&mut self.created, chunk.created), (&mut self.model, chunk.model)]
        {
            if let Some(member) = member {
                keep_first(slot, input, member.value);
            }
        }
        if let Some(usage) = chunk.usage.filter(|usage| usage.value.kind == Kind::Object) {
            usage.value.span.of(input).clone_into(&mut self.usage);
        }
        if chunk.others.len() == MAX_OTHERS {
            return Err(Excess::Extras.into());
        }
        for other in chunk.others.iter().filter(|other| other.place == Place::Chunk) {
            let key = Text::new(other.key.of(input));
            if !key.is("obfuscation") {
                self.extras.set(key.raw(), input, other.value, &mut self.room)?;
            }
        }
        for choice in &chunk.choices {
            let place = self.choices.place(index_of(choice, input))?;
            self.choices[place].add(chunk, choice, input, &mut self.room)?;
        }
        Ok(())
    }

    fn write(mut self, context: &AnswerContext) -> Vec<u8> {
        let mut output = Vec::with_capacity(1024);
        output.extend_from_slice(b"{\"id\":");
        write_or(&self.id, &context.request_id, &mut output);
        output.extend_from_slice(b",\"object\":\"chat.completion\",\"created\":");
        if self.created.is_empty() {
            output.extend_from_slice(context.created_s.to_string().as_bytes());
        }
        output.extend_from_slice(&self.created);
        output.extend_from_slice(b",\"model\":");
        write_or(&self.model, &context.model, &mut output);
        output.extend_from_slice(b",\"choices\":[");
        self.choices.sort_by_key(|choice| choice.index);
        for (position, choice) in self.choices.iter().enumerate() {
            if position > 0 {
                output.push(b',');
            }
            choice.write(&mut output);
        }
        output.push(b']');
        if !self.usage.is_empty() {
            output.extend_from_slice(b",\"usage\":");
            output.extend_from_slice(&self.usage);
        }
        self.extras.write(&mut output);
        output.push(b'}');
        output
    }
}

/// A JSON string as it came, else this text as one.
fn write_or(string: &[u8], otherwise: &str, output: &mut Vec<u8>) {
    if string.is_empty() { write_string(otherwise, output) } else { output.extend_from_slice(string) }
}

impl Indexed for Choice {
    fn at(index: u64) -> Self {
        Self { index, ..Self::default() }
    }

    fn index(&self) -> u64 {
        self.index
    }
}

impl Choice {
    fn add(&mut self, chunk: &Chunk, choice: &chunk::Choice, input: &[u8], room: &mut Room) -> Read {
        let about = self.add_delta(chunk, choice, input, room)?;
        if let Some(reason) = choice.finish_reason.filter(|reason| reason.value.kind == Kind::String) {
            reason.value.span.of(input).clone_into(&mut self.finish_reason);
        }
        let others = &chunk.others[choice.others.start..choice.others.end];
        for other in others.iter().filter(|other| other.place == Place::Choice) {
            let key = Text::new(other.key.of(input));
            let name = key.key();
            // Perplexity and text-completion servers repeat the text beside the delta.
            if !matches!(&*name, b"message" | b"text") && reasoning::name_of(&name).is_none() {
                self.extras.set_shown(key.raw(), input, other.value, room)?;
            }
        }
        if let Some(logprobs) = choice.logprobs.filter(|logprobs| logprobs.value.kind == Kind::Object) {
            let merged = self.logprobs.get_or_insert_default();
            merged.add(input, logprobs.value, about, room)?;
        }
        Ok(())
    }

    fn add_delta(
        &mut self,
        chunk: &Chunk,
        choice: &chunk::Choice,
        input: &[u8],
        room: &mut Room,
    ) -> Read<About> {
        let delta = &choice.delta;
        let says = |member: &Member| !member.value.is_blank(input);
        let mut reasons = [delta.reasoning_content, delta.reasoning_details].iter().flatten().any(says);
        let mut speaks = [delta.content, delta.tool_calls].iter().flatten().any(says);
        if let Some(content) = delta.content {
            self.content.append(input, content.value);
        }
        for call in choice.tool_calls(chunk) {
            self.add_call(call, input, room)?;
        }
        for other in &chunk.others[choice.delta_others.start..choice.delta_others.end] {
            let Other { key, value, .. } = *other;
            let key = Text::new(key.of(input));
            let says = !value.is_blank(input);
            match &*key.key() {
                name if reasoning::name_of(name).is_some() => {
                    reasons |= says;
                    continue;
                }
                b"refusal" => self.refusal.append(input, value),
                // The API before tools: one call, without an id.
                b"function_call" if value.kind == Kind::Object => {
                    let call = self.function_call.get_or_insert_default();
                    call.add_payload(CallKind::Function, input, value, room)?;
                }
                b"audio" if value.kind == Kind::Object => {
                    self.audio.get_or_insert_default().add(input, value, room)?;
                }
                b"function_call" => {}
                _ => self.message_extras.extend_shown(key.raw(), input, value, room)?,
            }
            speaks |= says;
        }
        Ok(if reasons && !speaks { About::Reasoning } else { About::Content })
    }

    fn add_call(&mut self, call: &ToolCall, input: &[u8], room: &mut Room) -> Read {
        let index = call.index.and_then(|index| index.value.as_u64(input)).unwrap_or(0);
        let mut index = usize::try_from(index).unwrap_or(0);
        // The transformer numbers calls from 0 without gaps.
        if index >= self.tool_calls.len() {
            room.take_call()?;
            self.tool_calls.push(Call::default());
            index = self.tool_calls.len() - 1;
        }
        self.tool_calls[index].add(input, call.as_item(0).value, room)
    }

    fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"{\"index\":");
        output.extend_from_slice(self.index.to_string().as_bytes());
        output.extend_from_slice(b",\"message\":{\"role\":\"assistant\",\"content\":");
        let stands_in = !self.tool_calls.is_empty()
            || self.function_call.is_some()
            || self.audio.is_some()
            || !self.refusal.text.is_empty();
        if self.content.text.is_empty() && stands_in {
            output.extend_from_slice(b"null");
        } else {
            self.content.write(output);
        }
        output.extend_from_slice(b",\"refusal\":");
        if self.refusal.text.is_empty() {
            output.extend_from_slice(b"null");
        } else {
            self.refusal.write(output);
        }
        for (position, call) in self.tool_calls.iter().enumerate() {
            output.extend_from_slice(if position == 0 { b",\"tool_calls\":[" } else { b"," });
            call.write(output);
        }
        if !self.tool_calls.is_empty() {
            output.push(b']');
        }
        if let Some(call) = &self.function_call {
            output.extend_from_slice(b",\"function_call\":");
            call.write_payload(output);
        }
        if let Some(audio) = &self.audio {
            output.extend_from_slice(b",\"audio\":");
            audio.write(output);
        }
        self.message_extras.write(output);
        output.extend_from_slice(b"},\"logprobs\":");
        match &self.logprobs {
            None => output.extend_from_slice(b"null"),
            Some(logprobs) => logprobs.write(output),
        }
        output.extend_from_slice(b",\"finish_reason\":");
        output.extend_from_slice(&self.finish_reason);
        self.extras.write(output);
        output.push(b'}');
    }
}

#[cfg(test)]
mod tests;
