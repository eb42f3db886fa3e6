//! Running whole streams, and the rules of the contract's "Answers, streaming".

use std::collections::HashMap;

use llmgw_core::answer::context::AnswerContext;
use llmgw_core::answer::error::StreamError;
use llmgw_core::answer::merge::Merger;
use llmgw_core::answer::stream::{StreamState, Transformer};
use llmgw_core::answer::summary::Summary;
use llmgw_core::sse::SseLimits;
use serde_json::Value;

use crate::Lcg;

/// The context of every run here.
#[must_use]
pub fn context() -> AnswerContext {
    AnswerContext {
        request_id: "req-1".into(),
        model: "upstream-model".into(),
        created_s: 1_700_000_000,
        ..AnswerContext::default()
    }
}

/// What comes out of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The frames.
    pub output: Vec<u8>,
    /// How it ended.
    pub state: StreamState,
    /// The account of it.
    pub summary: Summary,
}

/// Through the transformer, in these pieces.
pub fn transform<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, include_usage: bool) -> Outcome {
    transform_for(context(), chunks, include_usage)
}

/// The same in a context of one's own.
pub fn transform_for<'a>(
    context: AnswerContext,
    chunks: impl IntoIterator<Item = &'a [u8]>,
    include_usage: bool,
) -> Outcome {
    let mut transformer = Transformer::new(context, include_usage, SseLimits::default());
    let mut output = Vec::new();
    for chunk in chunks {
        transformer.feed(chunk, &mut output);
    }
    let state = transformer.finish(&mut output);
    Outcome { output, state, summary: transformer.summary().clone() }
}

/// Merged, from these pieces.
///
/// # Errors
/// The error of a stream that is not a success, as a sentence.
pub fn merge<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, String> {
    merge_for(context(), chunks).map_err(|error| error.to_string())
}

/// The same in a context of one's own.
///
/// # Errors
/// The error of a stream that is not a success.
pub fn merge_for<'a>(
    context: AnswerContext,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, StreamError> {
    let mut merger = Merger::new(context, SseLimits::default());
    for chunk in chunks {
        merger.feed(chunk);
    }
    merger.finish();
    merger.into_completion()
}

/// Cut points that are the same in every run: every byte of a short input, else a spread of them.
pub fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let step = (length / 200).max(1);
    // Coprime to most line lengths, so that cuts fall everywhere.
    let step = if step > 1 { step | 1 } else { 1 };
    (0..=length).step_by(step)
}

/// Pieces of pseudo-random sizes from 1 to `most` bytes.
#[must_use]
pub fn pieces(input: &[u8], most: usize, seed: u64) -> Vec<&[u8]> {
    let mut sizes = Lcg::new(seed);
    let mut rest = input;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let size = (1 + sizes.below(most)).min(rest.len());
        let (piece, tail) = rest.split_at(size);
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// The frames of a stream: each exactly `data: PAYLOAD` and a blank line.
#[must_use]
pub fn payloads(stream: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stream).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "the last frame has no blank line");
    text.split_terminator("\n\n")
        .map(|frame| {
            let payload = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("no data line: {frame:?}"));
            assert!(!payload.contains(['\n', '\r']) && !payload.is_empty(), "more than one line: {frame:?}");
            payload.to_owned()
        })
        .collect()
}

/// A payload's JSON. `serde_json` refuses half a pair of surrogates, of which the other half comes with the next delta,
/// so any are read as other characters.
#[must_use]
pub fn read(payload: &str) -> Value {
    serde_json::from_str(&payload.replace("\\ud", "\\u0").replace("\\uD", "\\u0")).unwrap()
}

/// Whether a chunk's choice has text or calls.
fn speaks(choice: &Value) -> bool {
    let delta = &choice["delta"];
    let texts = ["content", "reasoning_content"].map(|name| &delta[name]);
    texts.iter().any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
        || delta["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
}

/// Check every rule that the contract has for a stream's frames.
pub fn check_rules(outcome: &Outcome, include_usage: bool) {
    let mut payloads = payloads(&outcome.output);
    let last = payloads.pop().expect("an empty stream");
    match outcome.state {
        StreamState::Done => assert_eq!(last, "[DONE]"),
        StreamState::Failed => {
            let error: Value = serde_json::from_str(&last).unwrap();
            let error = &error["error"];
            assert!(
                error["message"].is_string()
                    && error["code"].is_string()
                    && error["type"] == "upstream_error"
            );
            assert!(error.get("param").is_some_and(Value::is_null));
        }
        StreamState::Open => panic!("a finished stream is open"),
    }
    let mut choices: HashMap<u64, (bool, bool, usize)> = HashMap::new();
    let mut usage_chunks = 0;
    for payload in &payloads {
        let chunk = read(payload);
        assert_eq!(usage_chunks, 0, "something follows the usage chunk");
        assert_eq!(chunk["object"], "chat.completion.chunk", "{payload}");
        assert!(
            chunk["id"].is_string() && chunk["model"].is_string() && chunk["created"].is_number(),
            "{payload}"
        );
        assert!(chunk.get("error").is_none(), "{payload}");
        let listed = chunk["choices"].as_array().unwrap();
        if chunk["usage"].is_object() {
            assert!(listed.is_empty(), "usage rides on a chunk: {payload}");
            usage_chunks += 1;
        }
        for choice in listed {
            let index = choice["index"].as_u64().unwrap();
            let (role_seen, finished, calls) = choices.entry(index).or_default();
            assert!(!*finished || !speaks(choice), "content behind the finish: {payload}");
            let reason = choice.get("finish_reason").unwrap_or_else(|| panic!("no finish_reason: {payload}"));
            if let Some(reason) = reason.as_str() {
                assert!(!*finished && !reason.is_empty(), "a second finish: {payload}");
                *finished = true;
            } else {
                assert!(reason.is_null());
            }
            assert!(choice.get("usage").is_none_or(Value::is_null), "{payload}");
            let delta = choice["delta"].as_object().unwrap();
            assert_eq!(delta.contains_key("role"), !*role_seen, "role once, in the first delta: {payload}");
            if let Some(role) = delta.get("role") {
                assert!(role.as_str().is_some_and(|role| !role.is_empty()), "{payload}");
            }
            *role_seen = true;
            for alias in ["reasoning", "reasoning_text", "thinking"] {
                assert!(!delta.contains_key(alias), "{payload}");
            }
            assert!(
                delta.get("content").is_none_or(|content| content.is_string() || content.is_null()),
                "{payload}"
            );
            let Some(tool_calls) = delta.get("tool_calls") else { continue };
            for call in tool_calls.as_array().unwrap() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                assert!(index <= *calls, "a gap in the indices: {payload}");
                let first = index == *calls;
                if first {
                    *calls += 1;
                    assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()), "{payload}");
                    assert!(call["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{payload}");
                } else {
                    assert!(call.get("id").is_none() && call.get("type").is_none(), "a second id: {payload}");
                }
                assert!(call.get("function").is_none() || call.get("custom").is_none(), "{payload}");
                let parts = [("function", "arguments"), ("custom", "input")];
                let part = parts.into_iter().find_map(|(kind, text)| Some((call.get(kind)?, text)));
                let Some((part, text)) = part else { continue };
                assert!(part[text].is_string(), "{payload}");
                assert_eq!(first, part.get("name").is_some(), "the name once, in the first delta: {payload}");
                assert!(!first || part["name"].as_str().is_some_and(|name| !name.is_empty()), "{payload}");
            }
        }
    }
    if outcome.state == StreamState::Done {
        assert!(!choices.is_empty() && choices.values().all(|(_, finished, _)| *finished));
        assert_eq!(usage_chunks, usize::from(include_usage && outcome.summary.usage.is_some()));
    } else {
        assert_eq!(usage_chunks, 0);
    }
}
