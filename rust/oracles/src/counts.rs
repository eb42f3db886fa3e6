//! How much text an answer is, counted once more in what the client gets of it.

use serde_json::Value;

use crate::rules::Outcome;

/// The account of a chat or text stream counts what its frames show, each text once; more than that only where some was
/// held back as the stream broke, or where a call never had a name. `holder`: what holds a choice's text.
pub(crate) fn stream(outcome: &Outcome, payloads: &[String], holder: &str, input: &[u8]) {
    let Some(shown) = payloads.iter().map(|payload| frame(payload, holder)).sum::<Option<u64>>() else {
        return;
    };
    let counted = outcome.summary.output_bytes;
    let input = String::from_utf8_lossy(input);
    // A key may be escaped.
    let may_call = ["tool_calls", "\\u00"].into_iter().any(|name| input.contains(name));
    let is_exact = outcome.summary.complete && !may_call;
    assert!(counted == shown || counted > shown && !is_exact, "{counted} counted, {shown} shown");
}

/// The text of a frame. None where it has half of a surrogate pair, which the reference does not read.
fn frame(payload: &str, holder: &str) -> Option<u64> {
    if payload == "[DONE]" {
        return Some(0);
    }
    let chunk: Value = serde_json::from_str(payload).ok()?;
    let choices = chunk["choices"].as_array().into_iter().flatten();
    let held = choices.map(|choice| &choice[holder]);
    Some(held.map(|held| if held.is_string() { bytes(held) } else { message(held) }).sum())
}

/// The text of a delta or a message.
pub(crate) fn message(message: &Value) -> u64 {
    let texts =
        ["content", "reasoning_content", "refusal", "function_call"].map(|name| bytes(&message[name]));
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let [function, custom] = [&call["function"], &call["custom"]];
        [&function["name"], &function["arguments"], &custom["name"], &custom["input"]]
            .map(bytes)
            .iter()
            .sum::<u64>()
    });
    texts.into_iter().chain(calls).sum()
}

/// Of all strings in a value.
fn bytes(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(members) => members.values().map(bytes).sum(),
        _ => 0,
    }
}
