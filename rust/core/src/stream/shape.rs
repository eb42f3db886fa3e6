//! What the contract changes in one chunk.

use super::calls::CallState;
use crate::chunk::{Choice, Chunk, Delta, text_of};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::{Text, quoted, string, write_escaped};
use crate::json::{JsonError, Kind, Member, Scanner, Span, Value};
use crate::request::AnswerContext;
use crate::think::{ReasoningTags, Split, Splitter};

/// What is known of one choice of a stream.
#[derive(Debug)]
pub(crate) struct ChoiceState {
    index: u64,
    role_sent: bool,
    finished: bool,
    calls: Vec<CallState>,
    /// Takes content apart that has reasoning inside.
    splitter: Splitter,
    /// Whether any reasoning text came.
    pub(crate) reasoning_seen: bool,
}

/// What a chunk says of a choice's end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing yet, or nothing new.
    No,
    /// The finish reason, as the client sees it.
    Reason(String),
    /// The generation broke off.
    Error,
}

/// What a delta's content has of reasoning inside.
enum Inline {
    Nothing,
    /// This, escaped; the content is edited.
    Reasoning(Vec<u8>),
    /// Content is reasoning as it stands, and renamed.
    AllOfContent,
}

/// Whether a string, still escaped, may hold a tag or a part of one: `<`, or an escape that may stand for it.
pub(super) fn may_hold_tag(raw: &[u8]) -> bool {
    memchr::memchr(b'<', raw).is_some() || memchr::memmem::find(raw, b"\\u").is_some()
}

/// How an upstream's finish reason comes out.
pub(crate) enum Reason {
    /// Unchanged.
    AsIs,
    /// In OpenAI's spelling.
    Translated(&'static str),
    /// Not at all: the generation broke off.
    Error,
}

/// Spellings of other APIs: Mistral's `model_length`, Anthropic's `end_turn`, text-generation-inference's
/// `eos_token`, GLM's `sensitive` and `network_error`, DeepSeek's `insufficient_system_resource`, vLLM's `abort`,
/// OpenRouter's `error`.
pub(crate) fn translate(reason: &str) -> Reason {
    match reason {
        "eos" | "eos_token" | "end_turn" | "stop_sequence" | "complete" | "COMPLETE" | "STOP" => {
            Reason::Translated("stop")
        }
        "max_tokens" | "model_length" | "MAX_TOKENS" => Reason::Translated("length"),
        "tool_use" | "tool_call" => Reason::Translated("tool_calls"),
        "sensitive" => Reason::Translated("content_filter"),
        "error" | "network_error" | "abort" | "insufficient_system_resource" => Reason::Error,
        _ => Reason::AsIs,
    }
}

impl ChoiceState {
    pub(crate) fn new(index: u64) -> Self {
        Self {
            index,
            role_sent: false,
            finished: false,
            calls: Vec::new(),
            splitter: Splitter::default(),
            reasoning_seen: false,
        }
    }

    pub(crate) const fn index(&self) -> u64 {
        self.index
    }

    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Collect the edits that a chunk's choice needs, and remember what it said.
    pub(crate) fn shape(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) -> Finish {
        let mut changes = MemberChanges::new();
        if choice.index.is_none_or(|index| index.value.as_u64(input).is_none()) {
            changes.set(edits, choice.index, "index", self.index.to_string().into_bytes());
        }
        match choice.delta_member {
            Some(delta) if delta.value.kind == Kind::Object => {
                self.delta(chunk, choice, delta, input, context, edits);
            }
            delta => changes.set(edits, delta, "delta", self.new_delta()),
        }
        let finish = self.finish_reason(choice.finish_reason, input, edits, &mut changes);
        if let Some(usage) = choice.usage.filter(|usage| usage.value.kind != Kind::Null) {
            changes.remove(usage);
        }
        changes.finish(edits, input, choice.span, choice.members);
        finish
    }

    /// The delta of a choice that came without one.
    const fn new_delta(&mut self) -> &'static [u8] {
        if self.role_sent {
            b"{}"
        } else {
            self.role_sent = true;
            b"{\"role\":\"assistant\"}"
        }
    }

    fn delta(
        &mut self,
        chunk: &Chunk,
        choice: &Choice,
        member: Member,
        input: &[u8],
        context: &AnswerContext,
        edits: &mut Edits,
    ) {
        let delta = &choice.delta;
        let mut changes = MemberChanges::new();
        match delta.role {
            Some(role) if self.role_sent => changes.remove(role),
            role if !self.role_sent && text_of(role.as_ref(), input).is_none() => {
                changes.set(edits, role, "role", &b"\"assistant\""[..]);
            }
            _ => {}
        }
        self.role_sent = true;
        let finishing = text_of(choice.finish_reason.as_ref(), input).is_some();
        let inline = context.reasoning_tags == ReasoningTags::Think;
        self.text(delta, inline.then_some(finishing), input, edits, &mut changes);
        match delta.tool_calls {
            Some(calls) if calls.value.kind == Kind::Null => changes.remove(calls),
            Some(_) => {
                for call in choice.tool_calls(chunk) {
                    CallState::shape(&mut self.calls, call, input, (self.index, &context.request_id), edits);
                }
            }
            None => {}
        }
        changes.finish(edits, input, member.value.span, delta.members);
    }

    /// Content and reasoning: content comes out as a string, reasoning as `reasoning_content`, once. `inline` where
    /// content may have reasoning inside, with whether the choice finishes here.
    fn text(
        &mut self,
        delta: &Delta,
        inline: Option<bool>,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) {
        let mut reasoned = text_of(delta.reasoning_content.as_ref(), input).is_some();
        // A null or an empty string; gives way where the text comes under another name.
        let mut blank = delta.reasoning_content.filter(|_| !reasoned);
        if let Some(reasoning) = delta.reasoning {
            if text_of(Some(&reasoning), input).is_some() && !reasoned {
                edits.replace(key_span(input, reasoning), &b"\"reasoning_content\""[..]);
                reasoned = true;
                if let Some(blank) = blank.take() {
                    changes.remove(blank);
                }
            } else if matches!(reasoning.value.kind, Kind::String | Kind::Null) {
                changes.remove(reasoning);
            }
        }
        let mut new_reasoning = Vec::new();
        if let Some(content) = delta.content.filter(|content| content.value.kind == Kind::Array) {
            let parts = Parts::read(input, content.value);
            edits.replace(content.value.span, quoted(&parts.text));
            new_reasoning = parts.reasoning;
        }
        if let Some(details) = delta.reasoning_details.filter(|_| new_reasoning.is_empty()) {
            new_reasoning = details_text(input, details.value);
        }
        if let Some(finishing) = inline.filter(|_| !reasoned && new_reasoning.is_empty()) {
            match self.inline(delta, finishing, input, edits, changes) {
                Inline::Nothing => {}
                Inline::Reasoning(text) => new_reasoning = text,
                Inline::AllOfContent => {
                    if let Some(blank) = blank {
                        changes.remove(blank);
                    }
                    reasoned = true;
                }
            }
        }
        if !reasoned && !new_reasoning.is_empty() {
            changes.set(edits, blank, "reasoning_content", quoted(&new_reasoning));
            reasoned = true;
        }
        self.reasoning_seen |= reasoned;
    }

    /// Take reasoning out of the content.
    fn inline(
        &mut self,
        delta: &Delta,
        finishing: bool,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) -> Inline {
        let content = delta.content.filter(|content| content.value.kind == Kind::String);
        let text = text_of(content.as_ref(), input);
        if let Some(is_reasoning) = self.splitter.plain() {
            let Some(text) = text else { return Inline::Nothing };
            if !may_hold_tag(text.raw()) {
                // The bytes stay, under one name or the other.
                if let Some(content) = content.filter(|_| is_reasoning) {
                    edits.replace(key_span(input, content), &b"\"reasoning_content\""[..]);
                    return Inline::AllOfContent;
                }
                return Inline::Nothing;
            }
        }
        let told = text.map(Text::decode).unwrap_or_default();
        let mut split = Split::default();
        self.splitter.push(&told, &mut split);
        if finishing {
            self.splitter.finish(&mut split);
        }
        if split.content != told {
            changes.set(edits, delta.content, "content", string(&split.content));
        }
        let mut reasoning = Vec::new();
        write_escaped(split.reasoning.as_bytes(), &mut reasoning);
        Inline::Reasoning(reasoning)
    }

    fn finish_reason(
        &mut self,
        member: Option<Member>,
        input: &[u8],
        edits: &mut Edits,
        changes: &mut MemberChanges,
    ) -> Finish {
        let Some(member) = member else {
            changes.add("finish_reason", b"null");
            return Finish::No;
        };
        if member.value.kind == Kind::Null {
            return Finish::No;
        }
        let Some(reason) = text_of(Some(&member), input).map(|text| text.decode().into_owned()) else {
            edits.replace(member.value.span, &b"null"[..]);
            return Finish::No;
        };
        let translated = match translate(&reason) {
            Reason::Error => return Finish::Error,
            Reason::AsIs => None,
            Reason::Translated(to) => Some(to),
        };
        if self.finished {
            edits.replace(member.value.span, &b"null"[..]);
            return Finish::No;
        }
        self.finished = true;
        if let Some(to) = translated {
            edits.replace(member.value.span, quoted(to.as_bytes()));
        }
        Finish::Reason(translated.map_or(reason, str::to_owned))
    }
}

/// What the contract changes outside of the choices: the members that make a chunk one, the usage that rides on it.
pub(super) fn top_level(chunk: &Chunk, input: &[u8], context: &AnswerContext, edits: &mut Edits) {
    let usage = chunk.usage.filter(|usage| usage.value.kind != Kind::Null);
    members(chunk, input, context, usage, edits);
}

/// The same for a usage chunk, which keeps its usage.
pub(super) fn usage_chunk(chunk: &Chunk, input: &[u8], context: &AnswerContext, edits: &mut Edits) {
    members(chunk, input, context, None, edits);
}

fn members(chunk: &Chunk, input: &[u8], context: &AnswerContext, usage: Option<Member>, edits: &mut Edits) {
    let mut changes = chunk.make_whole(b"chat.completion.chunk", input, context, edits);
    if let Some(usage) = usage {
        changes.remove(usage);
    }
    changes.finish(edits, input, chunk.span, chunk.members);
}

/// A member's key, quotes included.
fn key_span(input: &[u8], member: Member) -> Span {
    let mut escaped = false;
    let rest = &input[member.span.start + 1..member.span.end];
    let length = rest.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Span { start: member.span.start, end: member.span.start + length.map_or(0, |length| length + 2) }
}

/// Content as a list of parts, taken apart: Mistral's `{type: "text"}` and `{type: "thinking"}`. Still escaped.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) text: Vec<u8>,
    pub(crate) reasoning: Vec<u8>,
}

impl Parts {
    pub(crate) fn read(input: &[u8], list: Value) -> Self {
        let mut parts = Self::default();
        let _ = Scanner::at(input, list).array(|scanner, _| {
            let part = scanner.value()?;
            if let Some(text) = part.as_text(input) {
                parts.text.extend_from_slice(text.raw());
            } else if part.kind == Kind::Object {
                parts.read_part(input, part)?;
            }
            Ok::<_, JsonError>(())
        });
        parts
    }

    fn read_part(&mut self, input: &[u8], part: Value) -> Result<(), JsonError> {
        Scanner::at(input, part).object(|scanner, key| {
            let value = scanner.member(&key)?.value;
            match (key.text.raw(), value.kind) {
                (b"text", Kind::String) => self.text.extend_from_slice(inside(input, value)),
                (b"thinking", Kind::String) => self.reasoning.extend_from_slice(inside(input, value)),
                // Mistral nests a list of text parts.
                (b"thinking", Kind::Array) => {
                    let nested = Self::read(input, value);
                    self.reasoning.extend_from_slice(&nested.text);
                    self.reasoning.extend_from_slice(&nested.reasoning);
                }
                _ => {}
            }
            Ok::<_, JsonError>(())
        })?;
        Ok(())
    }
}

/// The texts in `reasoning_details`, still escaped.
pub(crate) fn details_text(input: &[u8], details: Value) -> Vec<u8> {
    if details.kind == Kind::Array { Parts::read(input, details).text } else { Vec::new() }
}

fn inside(input: &[u8], string: Value) -> &[u8] {
    &input[string.span.start + 1..string.span.end - 1]
}
