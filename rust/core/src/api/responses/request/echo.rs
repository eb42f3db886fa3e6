//! What the response object repeats of its request.

use crate::api::words::{self, compact};
use crate::json::{Kind, Value};
use crate::request::scan::Field;

use super::top::{Own, Top};

/// So much is repeated, for each answer has it three times. `instructions` and `tools` that do not fit are repeated as null and
/// as an empty list.
const MAX_ECHO_BYTES: usize = 64 * 1024;

/// What a member is where the request does not give it, or in a type that the response object does not have.
const MEMBERS: [(Own, &[Kind], &[u8]); 14] = [
    (Own::MaxOutputTokens, &[Kind::Number], b"null"),
    (Own::Metadata, &[Kind::Object], b"{}"),
    (Own::ParallelToolCalls, &[Kind::Boolean], b"true"),
    (Own::PreviousResponseId, &[Kind::String], b"null"),
    (Own::PromptCacheKey, &[Kind::String], b"null"),
    (Own::Reasoning, &[Kind::Object], br#"{"effort":null,"summary":null}"#),
    (Own::SafetyIdentifier, &[Kind::String], b"null"),
    (Own::ServiceTier, &[Kind::String], b"null"),
    (Own::Text, &[Kind::Object], br#"{"format":{"type":"text"}}"#),
    (Own::ToolChoice, &[Kind::String, Kind::Object], br#""auto""#),
    (Own::TopLogprobs, &[Kind::Number], b"null"),
    (Own::Truncation, &[Kind::String], br#""disabled""#),
    (Own::User, &[Kind::String], b"null"),
    (Own::Instructions, &[Kind::String], b"null"),
];

/// The members; `keeps` says whether the conversation is kept. Without a comma before or behind them.
pub(super) fn echo(top: &Top<'_>, keeps: bool) -> Vec<u8> {
    let mut output = b"\"background\":false,\"store\":".to_vec();
    output.extend_from_slice(if keeps { b"true" } else { b"false" });
    for field in [Field::Temperature, Field::TopP] {
        let given = top.chat_field(field).map(|member| member.value);
        write(top.body, field.name(), given, b"null", &mut output);
    }
    for (own, kinds, default) in MEMBERS {
        let given = top.own(own).filter(|value| kinds.contains(&value.kind));
        write(top.body, own.name(), given, default, &mut output);
    }
    let tools = top.own(Own::Tools).filter(|value| value.kind == Kind::Array);
    write(top.body, Own::Tools.name(), tools, b"[]", &mut output);
    output
}

/// Append a member, if it still fits.
fn write(body: &[u8], name: &str, given: Option<Value>, default: &[u8], output: &mut Vec<u8>) {
    words::name(name, output);
    let start = output.len();
    // White space may be most of it.
    if let Some(value) = given.filter(|value| value.span.len() <= 2 * MAX_ECHO_BYTES) {
        compact(body, value, output);
    }
    if output.len() == start || output.len() > MAX_ECHO_BYTES {
        output.truncate(start);
        output.extend_from_slice(default);
    }
}
