//! The other fields: those that pass, those that chat completions have by another name, those that they lack.

use crate::api::dropped::Dropped;
use crate::api::words::{self, comma, member};
use crate::json::{Kind, Scanner, Text, Value};
use crate::request::refusal::Refusal;
use crate::request::scan::Field;

use super::items::string;
use super::top::{Own, SHARED, Top};

/// What chat completions lack and a model does not notice, or what is answered for: `include`, `store`, `metadata`,
/// `client_metadata`, `safety_identifier`, `stream_options`, `background` and `previous_response_id`. Of these nothing is said;
/// of the following is, unless they ask for what happens anyway.
const LACKING: [Own; 9] = [
    Own::ServiceTier,
    Own::Truncation,
    Own::TopLogprobs,
    Own::MaxToolCalls,
    Own::PromptCacheRetention,
    Own::PromptCacheOptions,
    Own::ContextManagement,
    Own::Moderation,
    Own::Choices,
];

/// Append all of them but `tools`, `tool_choice` and what becomes messages.
pub(super) fn write(top: &Top<'_>, output: &mut Vec<u8>, dropped: &mut Dropped) -> Result<(), Refusal> {
    let body = top.body;
    let limit = top.number(Own::MaxOutputTokens)?;
    let (format, verbosity) = text_members(top)?;
    let format = format.map(|format| Format::read(body, format)).transpose()?;
    let (effort, _) = reasoning_members(top)?;

    for field in SHARED {
        let Some(given) = top.chat_field(field) else { continue };
        let instead = match field {
            Field::MaxTokens => limit.is_some(),
            Field::ResponseFormat => format.is_some(),
            Field::ReasoningEffort => effort.is_some(),
            _ => false,
        };
        if instead {
            dropped.add(field.name(), b"");
        } else {
            comma(output);
            output.extend_from_slice(given.span.of(body));
        }
    }
    if let Some(limit) = limit {
        member(Field::MaxTokens.name(), limit.span.of(body), output);
    }
    if let Some(format) = format {
        format.write(body, output, dropped);
    }
    if verbosity.is_some() {
        dropped.add("text", b"verbosity");
    }
    if let Some(effort) = effort {
        member(Field::ReasoningEffort.name(), effort.span.of(body), output);
        let switch = [Field::LlmgwThinking, Field::EnableThinking];
        if switch.iter().all(|&field| top.chat_field(field).is_none()) {
            let off = string(effort, body)?.is("none");
            member(Field::LlmgwThinking.name(), if off { b"false" } else { b"true" }, output);
        }
    }
    for own in [Own::User, Own::PromptCacheKey] {
        if let Some(value) = top.text(own)? {
            member(own.name(), value.span.of(body), output);
        }
    }
    for own in LACKING {
        if let Some(value) = top.own(own)
            && !is_default(own, value, body)
        {
            dropped.add(own.name(), b"");
        }
    }
    Ok(())
}

/// Whether a field asks for what happens without it.
fn is_default(own: Own, value: Value, body: &[u8]) -> bool {
    let is = |text: &str| value.as_text(body).is_some_and(|given| given.is(text));
    match own {
        Own::ServiceTier => is("auto") || is("default"),
        Own::Truncation => is("disabled"),
        Own::TopLogprobs => value.as_u64(body) == Some(0),
        Own::Choices => value.as_u64(body) == Some(1),
        _ => value.is_blank(body),
    }
}

/// `format` and `verbosity` of `text`, unless they are null.
fn text_members(top: &Top<'_>) -> Result<(Option<Value>, Option<Value>), Refusal> {
    two_members(top, Own::Text, "format", "verbosity")
}

/// `effort` and `summary` of `reasoning`, unless they are null.
fn reasoning_members(top: &Top<'_>) -> Result<(Option<Value>, Option<Value>), Refusal> {
    let (effort, summary) = two_members(top, Own::Reasoning, "effort", "summary")?;
    for value in [effort, summary].into_iter().flatten() {
        string(value, top.body)?;
    }
    Ok((effort, summary))
}

/// Two members of an object that may be absent.
fn two_members(
    top: &Top<'_>,
    own: Own,
    one: &'static str,
    other: &'static str,
) -> Result<(Option<Value>, Option<Value>), Refusal> {
    let Some(object) = top.object(own)? else { return Ok((None, None)) };
    let mut found = [None; 2];
    Scanner::of(top.body, object).object(|scanner, key| {
        let value = scanner.value()?;
        for (name, slot) in [one, other].into_iter().zip(&mut found) {
            if key.text.is(name) && slot.replace(value).is_some() {
                return Err(Refusal::twice(name, key.start));
            }
        }
        Ok(())
    })?;
    let [one, other] = found.map(|value| value.filter(|value| value.kind != Kind::Null));
    Ok((one, other))
}

/// Whether reasoning is shown: a summary is asked for.
pub(super) fn shows_reasoning(top: &Top<'_>) -> Result<bool, Refusal> {
    let (_, summary) = reasoning_members(top)?;
    // Its older name.
    let (older, _) = two_members(top, Own::Reasoning, "generate_summary", "context")?;
    let asks = |value: Value| value.as_text(top.body).is_some_and(|summary| !summary.is("none"));
    Ok(summary.or(older).is_some_and(asks))
}

/// Whether `include` asks for sealed reasoning. What else it asks for is left out.
pub(super) fn seals_reasoning(top: &Top<'_>, dropped: &mut Dropped) -> Result<bool, Refusal> {
    let Some(include) = top.array(Own::Include)? else { return Ok(false) };
    let mut seals = false;
    Scanner::of(top.body, include).array(|scanner, _| {
        let value = scanner.value()?;
        let asked = string(value, top.body)?;
        if asked.is("reasoning.encrypted_content") {
            seals = true;
        } else {
            dropped.add("include", asked.raw());
        }
        Ok::<_, Refusal>(())
    })?;
    Ok(seals)
}

/// `text.format`.
struct Format<'a> {
    kind: Text<'a>,
    /// Of a `json_schema`: `name`, `description`, `schema` and `strict`.
    members: [Option<Value>; SCHEMA_MEMBERS.len()],
}

const SCHEMA_MEMBERS: [&str; 4] = ["name", "description", "schema", "strict"];

impl<'a> Format<'a> {
    fn read(body: &'a [u8], format: Value) -> Result<Self, Refusal> {
        if format.kind != Kind::Object {
            return Err(Refusal::wrong_type("must be an object", format.span.start));
        }
        let (mut kind, mut members) = (None, [None; SCHEMA_MEMBERS.len()]);
        Scanner::of(body, format).object(|scanner, key| {
            let value = scanner.value()?;
            let twice = if key.text.is("type") {
                kind.replace(value).is_some()
            } else if let Some(at) = SCHEMA_MEMBERS.iter().position(|name| key.text.is(name)) {
                members[at].replace(value).is_some()
            } else {
                false
            };
            if twice { Err(Refusal::twice("type", key.start)) } else { Ok(()) }
        })?;
        let kind = string(kind.ok_or(Refusal::lacks("type", format.span.start))?, body)?;
        Ok(Self { kind, members })
    }

    fn write(&self, body: &[u8], output: &mut Vec<u8>, dropped: &mut Dropped) {
        let kind = self.kind.decode();
        match &*kind {
            "text" => {}
            "json_object" => member(Field::ResponseFormat.name(), br#"{"type":"json_object"}"#, output),
            "json_schema" => {
                words::name(Field::ResponseFormat.name(), output);
                output.extend_from_slice(br#"{"type":"json_schema","json_schema":{"#);
                for (name, value) in SCHEMA_MEMBERS.into_iter().zip(self.members) {
                    if let Some(value) = value {
                        member(name, value.span.of(body), output);
                    }
                }
                output.extend_from_slice(b"}}");
            }
            unknown => dropped.add("text.format", unknown.as_bytes()),
        }
    }
}
