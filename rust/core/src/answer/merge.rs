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

use super::bounds::MAX_CHOICES;
use super::choices::{Choices, Indexed};
use super::chunk::{CallKind, Chunk, ChunkError, Holder};
use super::context::AnswerContext;
use super::error::{StreamError, StreamErrorKind};
use super::reasoning;
use super::stream::{StreamState, Transformer};
use super::summary::Summary;
use super::template::Template;
use crate::json::text::write_string;
use crate::json::{Kind, Member, Scanner, Value};
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
    frames: Vec<u8>,
    fed_bytes: usize,
    completion: Completion,
    context: AnswerContext,
    /// The last chunk, where all that it said was one piece of text.
    template: Template,
    /// Where that text belongs: the choice's place in the completion, or nowhere for reasoning.
    target: Option<usize>,
    chunk: Chunk,
    /// There was more than is merged.
    excess: Option<StreamError>,
}

impl Merger {
    /// For a stream that is about to begin.
    #[must_use]
    pub fn new(context: AnswerContext, limits: SseLimits) -> Self {
        Self {
            transformer: Transformer::new(context.clone(), true, limits),
            frames: Vec::new(),
            fed_bytes: 0,
            completion: Completion::new(),
            context,
            template: Template::default(),
            target: None,
            chunk: Chunk::default(),
            excess: None,
        }
    }

    /// Take in what was read.
    pub fn feed(&mut self, input: &[u8]) -> StreamState {
        self.fed_bytes += input.len();
        let state = self.transformer.feed(input, &mut self.frames);
        self.take_frames(state)
    }

    /// The upstream closed the stream cleanly.
    pub fn finish(&mut self) -> StreamState {
        let state = self.transformer.finish(&mut self.frames);
        self.take_frames(state)
    }

    fn take_frames(&mut self, state: StreamState) -> StreamState {
        let taken = std::mem::take(&mut self.frames);
        for frame in frames(&taken) {
            if self.excess.is_none() {
                self.take_frame(frame);
            }
        }
        self.frames = taken;
        self.chunk.release();
        spare::clear(&mut self.frames);
        if self.excess.is_some() { StreamState::Failed } else { state }
    }

    fn take_frame(&mut self, frame: &[u8]) {
        if let Some(text) = self.template.string_of(frame) {
            if let Some(choice) = self.target.and_then(|target| self.completion.choices.get_mut(target)) {
                choice.content.text.extend_from_slice(text);
            }
            return;
        }
        self.template.forget();
        // The transformer puts out well-formed chunks, and after them `[DONE]` or an error, which are none.
        match self.completion.add(frame) {
            Ok(()) if self.chunk.read(frame, Holder::Delta).is_ok() => self.remember(frame),
            Err(ChunkError::Excess(excess)) => self.excess = Some(excess.into()),
            _ => {}
        }
    }

    /// Take a chunk for a template, where it differs from the next one only in its text.
    fn remember(&mut self, frame: &[u8]) {
        let [choice] = &self.chunk.choices[..] else { return };
        let Some(text) = choice.delta.only_text(frame) else { return };
        let plain = |member: Option<Member>| member.is_none_or(|member| member.value.kind == Kind::Null);
        if choice.delta.says_more
            || choice.says_more
            || !plain(choice.finish_reason)
            || !plain(self.chunk.usage)
        {
            return;
        }
        let index = choice.index.and_then(|index| index.value.as_u64(frame)).unwrap_or(0);
        let is_content = choice.delta.content.is_some_and(|content| content.value == text);
        self.target =
            self.completion.choices.iter().position(|known| known.index == index).filter(|_| is_content);
        self.template.remember(frame, text, frame, text.span.start);
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
            None => self.excess.as_ref(),
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
        Ok(self.completion.write(&self.context))
    }
}

/// The payloads of frames that the transformer has written.
fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
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

    fn add(&mut self, chunk: &[u8]) -> Read {
        let mut scanner = Scanner::new(chunk);
        scanner.object(|scanner, key| {
            match &*key.text.key() {
                b"choices" => {
                    scanner.array(|scanner, _| self.add_choice(scanner))?;
                }
                name => {
                    let value = scanner.value()?;
                    match name {
                        b"id" => keep_first(&mut self.id, chunk, value),
                        b"created" => keep_first(&mut self.created, chunk, value),
                        b"model" => keep_first(&mut self.model, chunk, value),
                        b"usage" if value.kind == Kind::Object => {
                            value.span.of(chunk).clone_into(&mut self.usage);
                        }
                        b"usage" | b"object" | b"error" | b"obfuscation" => {}
                        _ => self.extras.set(key.text.raw(), chunk, value, &mut self.room)?,
                    }
                }
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    fn add_choice(&mut self, scanner: &mut Scanner<'_>) -> Read {
        let input = scanner.input();
        let start = scanner.value()?;
        // The index may come after the delta, so it is looked for first.
        let mut index = 0;
        let mut scanner = Scanner::of(input, start);
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("index") {
                index = value.as_u64(input).unwrap_or(0);
            }
            Ok::<_, ChunkError>(())
        })?;
        let place = self.choices.place(index)?;
        self.choices[place].add(&mut Scanner::of(input, start), &mut self.room)
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
    fn add(&mut self, scanner: &mut Scanner<'_>, room: &mut Room) -> Read {
        let input = scanner.input();
        let (mut about, mut logprobs) = (About::Content, None);
        scanner.object(|scanner, key| {
            match &*key.text.key() {
                b"delta" => about = self.add_delta(scanner, room)?,
                name => {
                    let value = scanner.value()?;
                    match name {
                        b"finish_reason" if value.kind == Kind::String => {
                            value.span.of(input).clone_into(&mut self.finish_reason);
                        }
                        b"logprobs" if value.kind == Kind::Object => logprobs = Some(value),
                        // Perplexity and text-completion servers repeat the text beside the delta.
                        b"index" | b"finish_reason" | b"logprobs" | b"message" | b"text" => {}
                        name if reasoning::name_of(name).is_some() => {}
                        _ => self.extras.set_shown(key.text.raw(), input, value, room)?,
                    }
                }
            }
            Ok::<_, ChunkError>(())
        })?;
        if let Some(logprobs) = logprobs {
            let merged = self.logprobs.get_or_insert_default();
            merged.add(input, logprobs, about, room)?;
        }
        Ok(())
    }

    fn add_delta(&mut self, scanner: &mut Scanner<'_>, room: &mut Room) -> Read<About> {
        let input = scanner.input();
        let (mut reasons, mut speaks) = (false, false);
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            let says = !value.is_blank(input);
            match &*key.text.key() {
                b"role" => return Ok(()),
                name if reasoning::name_of(name).is_some() => {
                    reasons |= says;
                    return Ok(());
                }
                b"content" => self.content.append(input, value),
                b"refusal" => self.refusal.append(input, value),
                b"tool_calls" if value.kind == Kind::Array => {
                    Scanner::of(input, value).array(|scanner, _| self.add_call(scanner, room))?;
                }
                // The API before tools: one call, without an id.
                b"function_call" if value.kind == Kind::Object => {
                    let call = self.function_call.get_or_insert_default();
                    call.add_payload(CallKind::Function, input, value, room)?;
                }
                b"audio" if value.kind == Kind::Object => {
                    self.audio.get_or_insert_default().add(input, value, room)?;
                }
                b"tool_calls" | b"function_call" => {}
                _ => self.message_extras.extend_shown(key.text.raw(), input, value, room)?,
            }
            speaks |= says;
            Ok::<_, ChunkError>(())
        })?;
        Ok(if reasons && !speaks { About::Reasoning } else { About::Content })
    }

    fn add_call(&mut self, scanner: &mut Scanner<'_>, room: &mut Room) -> Read {
        let input = scanner.input();
        let entry = scanner.value()?;
        let mut index = 0;
        Scanner::of(input, entry).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("index") {
                index = value.as_u64(input).and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
            }
            Ok::<_, ChunkError>(())
        })?;
        // The transformer numbers calls from 0 without gaps.
        if index >= self.tool_calls.len() {
            room.take_call()?;
            self.tool_calls.push(Call::default());
            index = self.tool_calls.len() - 1;
        }
        self.tool_calls[index].add(input, entry, room)
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
