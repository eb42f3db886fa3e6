//! Calls of tools that the assistant made, as calls of functions.

use crate::api::responses::tools::{CUSTOM_PARAMETER, CallKind};
use crate::api::words::{self, comma, compact, text_member};
use crate::json::{JsonError, Kind, Scanner, Text, Value, text};

use super::items::Call;
use super::tools::Tools;

/// Append a call as an item of `tool_calls`.
pub(super) fn write(body: &[u8], call: &Call, tools: &Tools, output: &mut Vec<u8>) {
    let raw = |value: Option<Value>| value.and_then(|value| value.as_text(body)).map_or(&b""[..], Text::raw);
    comma(output);
    output.push(b'{');
    text_member("id", raw(Some(call.id)), output);
    output.extend_from_slice(br#","type":"function","function":{"#);
    words::name("name", output);
    let function = tools.function_of(body, call);
    text::write_string(&function, output);
    output.extend_from_slice(b",\"arguments\":\"");
    match (call.kind, call.payload) {
        (CallKind::Custom, payload) => {
            output.extend_from_slice(br#"{\""#);
            output.extend_from_slice(CUSTOM_PARAMETER.as_bytes());
            output.extend_from_slice(br#"\":\""#);
            // A string within a string: its escapes are escaped once more.
            text::write_escaped(raw(payload), output);
            output.extend_from_slice(br#"\"}"#);
        }
        (CallKind::LocalShell, Some(action)) => text::write_escaped(&arguments_of(body, action), output),
        (CallKind::Function, Some(arguments)) if arguments.kind != Kind::String => {
            let mut json = Vec::with_capacity(arguments.span.len());
            compact(body, arguments, &mut json);
            text::write_escaped(&json, output);
        }
        // Providers read arguments as JSON.
        (_, payload) if raw(payload).is_empty() => output.extend_from_slice(b"{}"),
        (_, payload) => output.extend_from_slice(raw(payload)),
    }
    output.extend_from_slice(b"\"}}");
}

/// The action of a `local_shell_call` without its type, which is always `exec`, and without what is null.
fn arguments_of(body: &[u8], action: Value) -> Vec<u8> {
    let mut arguments = b"{".to_vec();
    // It has been scanned before, so it can't fail.
    let _ = Scanner::of(body, action).object(|scanner, key| {
        let value = scanner.value()?;
        if !key.text.is("type") && value.kind != Kind::Null {
            comma(&mut arguments);
            arguments.push(b'"');
            arguments.extend_from_slice(key.text.raw());
            arguments.extend_from_slice(b"\":");
            compact(body, value, &mut arguments);
        }
        Ok::<_, JsonError>(())
    });
    arguments.push(b'}');
    arguments
}
