//! The clean-up of an answer that came whole ("Answers, not streaming" in the contract).
//!
//! As with streams, what needs no change stays byte for byte. Where the contract is silent: a whole answer without a
//! finish reason (old Ollama) gets the one that its content tells, `tool_calls` or `stop`, for its end is not in doubt;
//! an answer with an `error` or without choices is an error, whatever its HTTP status said.

mod calls;
mod logprobs;

use std::borrow::Cow;

use self::calls::clean_calls;
pub(crate) use self::calls::{Called, called};
use self::logprobs::clean_logprobs;
use super::chunk::{Choice, Chunk, Delta, Holder, ToolCall, text_of};
use super::context::AnswerContext;
use super::echo;
use super::error::{StreamError, StreamErrorKind};
use super::finish::{Reason, STOP, fitting, translate};
use super::reasoning::{More, Parts, blocks_text, remove_hidden};
use super::stream::{ChatChoice, ChoiceRules, new_call_id, write_arguments};
use super::summary::Summary;
use super::think::{self, ReasoningTags, Split, may_hold_tag};
use super::usage::{read_usage, with_openai_names};
use crate::json::edit::{Edits, MemberChanges};
use crate::json::text::quoted;
use crate::json::{Kind, Member, Text, Value};
use crate::turn::key::{FirstCall, Said, Turn};

/// A cleaned answer and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// The new body; none where the upstream's needs no change.
    pub body: Option<Vec<u8>>,
    /// The account of it.
    pub summary: Summary,
}

/// Clean up one answer.
///
/// # Errors
/// [`StreamErrorKind::InvalidEvent`] where it is not a completion, [`StreamErrorKind::ErrorEvent`] where it is an error.
pub fn clean(body: &[u8], context: &AnswerContext) -> Result<Cleaned, StreamError> {
    let inline = context.reasoning_tags == ReasoningTags::Think;
    let rules = WholeRules { name: ChatChoice::NAME, object: "chat.completion", holder: Holder::Message };
    clean_with(&rules, body, context, |chunk, (position, choice), edits, summary| {
        let (reason, shown_bytes) = clean_choice(chunk, choice, position, body, context, edits)?;
        let reasoning = reasoning_of(choice, inline, body);
        let said_bytes = [shown_bytes, choice.delta.other_bytes, Text::new(&reasoning).decoded_bytes()];
        let called = choice.tool_calls(chunk).iter().map(|call| call_bytes(call, body));
        summary.output_bytes += said_bytes.into_iter().chain(called).sum::<usize>() as u64;
        summary.reasoning_seen |= !reasoning.is_empty();
        if context.keep_reasoning && !reasoning.is_empty() {
            let index = choice.index.and_then(|index| index.value.as_u64(body)).unwrap_or(position as u64);
            let said = match choice.tool_calls(chunk).iter().find(|call| call.is_named(body)) {
                Some(call) => Said::Call(first_call(call, (index, &context.request_id), body)),
                None => Said::text(&text_shown(&choice.delta, inline, body)),
            };
            summary.turns.extend(Turn::whole(said, &reasoning));
        }
        Ok(reason)
    })
}

/// What a whole answer of an API is.
pub(crate) struct WholeRules {
    /// In an error's message.
    pub(crate) name: &'static str,
    pub(crate) object: &'static str,
    /// What holds a choice's text.
    pub(crate) holder: Holder,
}

/// Clean up one answer, each of its choices with `clean_choice`, which returns the finish reason that the client sees.
pub(crate) fn clean_with(
    rules: &WholeRules,
    body: &[u8],
    context: &AnswerContext,
    mut clean_choice: impl FnMut(
        &Chunk,
        (usize, &Choice),
        &mut Edits,
        &mut Summary,
    ) -> Result<String, StreamError>,
) -> Result<Cleaned, StreamError> {
    if simdutf8::basic::from_utf8(body).is_err() {
        return Err(StreamError::not_a(rules.name));
    }
    let mut chunk = Chunk::default();
    let read = chunk.read(body, rules.holder);
    read.map_err(|error| error.of_answer(rules.name, body, &context.secret))?;
    if let Some(refusal) = chunk.refusal(body) {
        return Err(StreamError::told(refusal, &context.secret));
    }
    if chunk.choices.is_empty() {
        return Err(StreamError::not_a(rules.name));
    }
    let mut summary = Summary { frames: 1, complete: true, ..Summary::default() };
    summary.usage = chunk.usage_value(body).map(|usage| read_usage(body, usage));
    summary.named(text_of(chunk.id.as_ref(), body), text_of(chunk.model.as_ref(), body));
    let mut edits = Edits::new();
    for choice in chunk.choices.iter().enumerate() {
        let reason = clean_choice(&chunk, choice, &mut edits, &mut summary)?;
        summary.finish(reason);
    }
    let mut changes = chunk.make_whole(rules.object, body, context, &mut edits);
    if chunk.id.is_some_and(|id| id.value.kind == Kind::String && id.value.is_blank(body)) {
        changes.set(&mut edits, chunk.id, "id", quoted(context.request_id.as_bytes()));
    }
    if let Some(usage) = chunk.usage.filter(|usage| usage.value.kind == Kind::Object)
        && let Some(named) = with_openai_names(body, usage.value)
    {
        edits.replace(usage.value.span, named);
    }
    changes.finish(&mut edits, body, chunk.span, chunk.members);
    let body = (!edits.is_empty()).then(|| {
        let mut output = Vec::with_capacity(edits.edited_length(body.len()));
        edits.apply(body, &mut output);
        output
    });
    Ok(Cleaned { body, summary })
}

/// A message's reasoning under whatever name, still escaped; empty where there is none.
fn reasoning_of<'a>(choice: &Choice, inline: bool, input: &'a [u8]) -> Cow<'a, [u8]> {
    let message = &choice.delta;
    let listed = |list: Option<Member>| list.filter(|list| list.value.kind == Kind::Array);
    if let Some(text) = text_of(message.reasoning_content.as_ref(), input)
        .or_else(|| text_of(message.reasoning.as_ref(), input))
    {
        return Cow::Borrowed(text.raw());
    }
    let mut reasoning = Vec::new();
    if let Some(details) = listed(message.reasoning_details) {
        reasoning = blocks_text(input, details.value);
    }
    if let Some(content) = listed(message.content).filter(|_| reasoning.is_empty()) {
        reasoning = Parts::read(input, content.value).reasoning;
    }
    if let Some(holder) = choice.delta_member.filter(|_| message.more_reasoning && reasoning.is_empty()) {
        reasoning = More::read(input, holder.value).text;
    }
    if inline
        && reasoning.is_empty()
        && let Some(split) = inline_split(message, input)
    {
        reasoning = split.reasoning;
    }
    Cow::Owned(reasoning)
}

/// A message's text, as the client sees it, still escaped.
fn text_shown<'a>(message: &Delta, inline: bool, input: &'a [u8]) -> Cow<'a, [u8]> {
    let Some(content) = message.content.map(|content| content.value) else { return Cow::Borrowed(b"") };
    if let Some(split) = inline_split(message, input).filter(|_| inline) {
        return Cow::Owned(split.content);
    }
    match content.as_text(input) {
        Some(text) => Cow::Borrowed(text.raw()),
        None if content.kind == Kind::Array => Cow::Owned(Parts::read(input, content).text),
        None => Cow::Borrowed(b""),
    }
}

/// A message's first tool call, as the client sees it.
fn first_call(call: &ToolCall, choice: (u64, &str), input: &[u8]) -> FirstCall {
    let text = |member| text_of(member, input).map(|text| text.decode().into_owned());
    let arguments = write_arguments(input, call.arguments.map(|arguments| arguments.value));
    FirstCall {
        id: text(call.id.as_ref()).unwrap_or_else(|| new_call_id(choice, 0)),
        name: text(call.name.as_ref()).unwrap_or_default(),
        arguments: Text::new(&arguments[1..arguments.len() - 1]).decode().into_owned(),
    }
}

/// How much text a call is: its name and its arguments.
fn call_bytes(call: &ToolCall, input: &[u8]) -> usize {
    text_of(call.name.as_ref(), input).map_or(0, Text::decoded_bytes) + call.argument_bytes(input)
}

/// Collect the edits of one choice; returns the finish reason that the client sees, and how much content that is.
fn clean_choice(
    chunk: &Chunk,
    choice: &Choice,
    position: usize,
    input: &[u8],
    context: &AnswerContext,
    edits: &mut Edits,
) -> Result<(String, usize), StreamError> {
    let holder = choice.delta_member.filter(|holder| holder.value.kind == Kind::Object);
    let Some(holder) = holder else { return Err(StreamError::new(StreamErrorKind::InvalidEvent)) };
    let calls = choice.tool_calls(chunk);
    let message = &choice.delta;
    let mut changes = MemberChanges::new();
    remove_reasoning(message, holder.value, input, edits, &mut changes);
    if text_of(message.role.as_ref(), input).is_none() {
        changes.set(edits, message.role, "role", &b"\"assistant\""[..]);
    }
    let shown = clean_content(choice, calls, context.reasoning_tags, input, edits, &mut changes);
    let inline = context.reasoning_tags == ReasoningTags::Think;
    let reasoned = choice.logprobs.is_some() && !reasoning_of(choice, inline, input).is_empty();
    clean_logprobs(choice, reasoned.then_some(&*shown), input, edits);
    let index = choice.index.and_then(|index| index.value.as_u64(input)).unwrap_or(position as u64);
    clean_calls(message, calls, input, (index, &context.request_id), edits, &mut changes);
    changes.finish(edits, input, holder.value.span, message.members);
    let mut around = MemberChanges::new();
    if choice.more_reasoning {
        remove_more(More::read(input, choice.as_value()), input, edits, &mut around);
    }
    let ending = Ending { position, called: called(calls, input) };
    Ok((clean_ending(choice, &ending, input, edits, around)?, Text::new(&shown).decoded_bytes()))
}

/// Reasoning never comes out of an answer that is not streamed, wherever it is.
fn remove_reasoning(
    message: &Delta,
    object: Value,
    input: &[u8],
    edits: &mut Edits,
    changes: &mut MemberChanges,
) {
    if let Some(reasoning) = message.reasoning_content {
        changes.remove(reasoning);
    }
    if message.more_reasoning {
        return remove_more(More::read(input, object), input, edits, changes);
    }
    for reasoning in [message.reasoning, message.reasoning_details].into_iter().flatten() {
        changes.remove(reasoning);
    }
}

fn remove_more(more: More, input: &[u8], edits: &mut Edits, changes: &mut MemberChanges) {
    for member in more.aliases.into_iter().chain(more.others) {
        changes.remove(member);
    }
    for member in more.hiding {
        remove_hidden(input, member.value, edits);
    }
}

/// What a choice's end depends on.
pub(crate) struct Ending {
    /// Its place among the choices: its index, where it has none.
    pub(crate) position: usize,
    pub(crate) called: Called,
}

/// What a choice has around its text: index and finish reason, with what they are where the upstream gave none.
/// Returns the finish reason that the client sees.
pub(crate) fn clean_ending(
    choice: &Choice,
    ending: &Ending,
    input: &[u8],
    edits: &mut Edits,
    mut changes: MemberChanges,
) -> Result<String, StreamError> {
    let told = text_of(choice.finish_reason.as_ref(), input).map(|text| text.decode().into_owned());
    let translated = match told.as_deref().map(translate) {
        Some(Reason::Error) => return Err(StreamError::new(StreamErrorKind::ErrorEvent)),
        Some(Reason::Translated(to)) => to,
        Some(Reason::AsIs) => "",
        Some(Reason::NotYet) | None => STOP,
    };
    let said = if translated.is_empty() { told.as_deref().unwrap_or_default() } else { translated };
    let reason = fitting(said, ending.called).unwrap_or(translated);
    if !reason.is_empty() {
        changes.set(edits, choice.finish_reason, "finish_reason", quoted(reason.as_bytes()));
    }
    if choice.index.is_none_or(|index| index.value.as_u64(input).is_none()) {
        changes.set(edits, choice.index, "index", ending.position.to_string().into_bytes());
    }
    changes.finish(edits, input, choice.span, choice.members);
    Ok(if reason.is_empty() { told.unwrap_or_default() } else { reason.to_owned() })
}

/// The content taken apart, where it may have tags in it.
fn inline_split(message: &Delta, input: &[u8]) -> Option<Split> {
    let content = message.content?.value;
    let listed = (content.kind == Kind::Array).then(|| Parts::read(input, content).text);
    let text = listed.as_deref().or_else(|| content.as_text(input).map(Text::raw))?;
    may_hold_tag(text).then(|| think::split(text))
}

/// Whether what is between tags is the reasoning that a field has too.
fn is_said_twice(choice: &Choice, split: &Split, input: &[u8]) -> bool {
    let field = reasoning_of(choice, false, input);
    !field.is_empty() && echo::is_same(&split.reasoning, &field)
}

/// Content is a string, or null where tool calls (or a refusal, or audio) stand alone.
///
/// Returns the text that the client gets, still escaped.
fn clean_content<'a>(
    choice: &Choice,
    calls: &[ToolCall],
    reasoning_tags: ReasoningTags,
    input: &'a [u8],
    edits: &mut Edits,
    changes: &mut MemberChanges,
) -> Cow<'a, [u8]> {
    let message = &choice.delta;
    let has_calls = called(calls, input) == Called::Something;
    let blank = if !has_calls && !message.replaces_content { &b"\"\""[..] } else { b"null" };
    let Some(content) = message.content else {
        changes.add("content", blank);
        return Cow::Borrowed(&[]);
    };
    let inline = inline_split(message, input)
        .filter(|split| reasoning_tags == ReasoningTags::Think || is_said_twice(choice, split, input));
    let told = content.value.as_text(input).map(Text::raw);
    let text = match (inline, content.value.kind) {
        (Some(split), _) => split.content,
        (None, Kind::Array) => Parts::read(input, content.value).text,
        (None, _) => {
            if content.value.is_blank(input) && content.value.span.of(input) != blank {
                edits.replace(content.value.span, blank);
            }
            return Cow::Borrowed(told.unwrap_or_default());
        }
    };
    if told != Some(&text) {
        edits.replace(content.value.span, if text.is_empty() { blank.to_vec() } else { quoted(&text) });
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests;
