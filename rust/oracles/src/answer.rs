//! Streams and whole answers: the contract's rules, the same however they arrive, the same merged as streamed.

use std::collections::{BTreeMap, HashSet};

use llmgw_core::answer::completion;
use llmgw_core::answer::context::AnswerContext;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::sse::{Item, Parser, SseLimits};
use serde_json::Value;

use crate::completions::events;
use crate::raw::is_ambiguous;
use crate::rules::{Outcome, check_rules, context, merge_for, payloads, transform_for};
use crate::{Choices, arrivals, counts};

fn contexts() -> [AnswerContext; 2] {
    [ReasoningTags::None, ReasoningTags::Think]
        .map(|reasoning_tags| AnswerContext { reasoning_tags, ..context() })
}

/// Any bytes from a provider: the frames keep the contract, and are the same however the bytes arrive.
pub fn stream(input: &[u8]) {
    let include_usage = Choices::of(input).coin();
    let clear = !is_any_event_ambiguous(input);
    let [plain, think] = contexts().map(|context| {
        let whole = transform_for(context.clone(), [input], include_usage);
        for pieces in arrivals(input) {
            assert_eq!(transform_for(context.clone(), pieces, include_usage), whole);
        }
        if clear {
            check_rules(&whole, include_usage);
            counts::stream(&whole, &payloads(&whole.output), "delta", input);
            if whole.state == StreamState::Done {
                let again = transform_for(self::context(), [&whole.output[..]], true);
                assert_eq!(text(&again.output), text(&whole.output), "put right once, and again");
            }
        }
        whole
    });
    if clear {
        check_inline(&plain, &think, &talkative(input));
    }
}

/// Whether readers may differ in what the stream says.
pub(crate) fn is_any_event_ambiguous(input: &[u8]) -> bool {
    let mut parser = Parser::new(SseLimits::default());
    let mut reader = parser.read(input);
    let mut ambiguous = false;
    let mut look = |item: &Item<'_>| {
        if let Item::Event(event) = item {
            let data = String::from_utf8_lossy(event.data);
            ambiguous |= data.starts_with(['{', ' ', '\t', '\n']) && is_ambiguous(&data);
        }
    };
    while let Ok(Some(item)) = reader.next() {
        look(&item);
    }
    for _ in 0..2 {
        if let Ok(Some(item)) = parser.finish() {
            look(&item);
        }
    }
    ambiguous
}

/// What was said of one choice.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) content: String,
    pub(crate) reasoning: String,
    /// Id, name and arguments of each.
    pub(crate) calls: Vec<[String; 3]>,
    pub(crate) finish_reason: String,
}

/// What a client makes of a stream. None where it holds what `serde_json` can't read: half a surrogate pair.
pub(crate) fn said(frames: &[String]) -> Option<BTreeMap<u64, Said>> {
    let mut choices = BTreeMap::<u64, Said>::new();
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for frame in frames.iter().filter(|frame| *frame != "[DONE]") {
        let chunk: Value = serde_json::from_str(frame).ok()?;
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let said = choices.entry(choice["index"].as_u64().unwrap()).or_default();
            let delta = &choice["delta"];
            said.content += &string(&delta["content"]);
            said.reasoning += &string(&delta["reasoning_content"]);
            said.finish_reason += &string(&choice["finish_reason"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                if index == said.calls.len() {
                    said.calls.push(Default::default());
                }
                for (slot, value) in said.calls[index].iter_mut().zip(call_parts(call)) {
                    *slot += &string(value);
                }
            }
        }
    }
    Some(choices)
}

/// A call's id, name and arguments.
fn call_parts(call: &Value) -> [&Value; 3] {
    if call["custom"].is_object() {
        [&call["id"], &call["custom"]["name"], &call["custom"]["input"]]
    } else {
        [&call["id"], &call["function"]["name"], &call["function"]["arguments"]]
    }
}

/// The choices with content behind a finish reason, where nothing is held back for the rest of a tag.
fn talkative(input: &[u8]) -> HashSet<u64> {
    let (mut finished, mut talkative) = (HashSet::new(), HashSet::new());
    for event in events(input) {
        let Ok(chunk) = serde_json::from_str::<Value>(&event.replace("\\ud", "\\u0").replace("\\uD", "\\u0"))
        else {
            continue;
        };
        for (position, choice) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(position as u64);
            let content = &choice["delta"]["content"];
            if finished.contains(&index) && !content.is_null() && content != "" {
                talkative.insert(index);
            }
            if !choice["finish_reason"].is_null() {
                finished.insert(index);
            }
        }
    }
    talkative
}

/// Splitting out inline reasoning loses the tags, and nothing else.
fn check_inline(plain: &Outcome, think: &Outcome, talkative: &HashSet<u64>) {
    if plain.state != StreamState::Done {
        return;
    }
    assert_eq!(think.state, StreamState::Done);
    let (Some(plain), Some(think)) = (said(&payloads(&plain.output)), said(&payloads(&think.output))) else {
        return;
    };
    for ((index, plain), (same, think)) in plain.iter().zip(&think) {
        assert_eq!(index, same);
        if talkative.contains(index) {
            continue;
        }
        let (mut content, mut reasoning, mut depth, mut rest) =
            (String::new(), 0, 0_usize, &plain.content[..]);
        while let Some(first) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("<think>") {
                (depth, rest) = (depth + 1, behind);
            } else if let Some(behind) = rest.strip_prefix("</think>") {
                (depth, rest) = (depth.saturating_sub(1), behind);
            } else {
                if depth > 0 {
                    reasoning += first.len_utf8();
                } else {
                    content.push(first);
                }
                rest = &rest[first.len_utf8()..];
            }
        }
        assert_eq!(think.content, content);
        // What is said inline and in a field comes out once.
        let (fewest, most) = (plain.reasoning.len().max(reasoning), plain.reasoning.len() + reasoning);
        assert!((fewest..=most).contains(&think.reasoning.len()), "{}", think.reasoning);
        assert_eq!((&think.calls, &think.finish_reason), (&plain.calls, &plain.finish_reason));
    }
}

/// Any bytes from a provider: the merged answer is what a client would make of the stream, however the bytes arrive.
pub fn merge(input: &[u8]) {
    for context in contexts() {
        let whole = merge_for(context.clone(), [input]);
        for pieces in arrivals(input) {
            assert_eq!(merge_for(context.clone(), pieces), whole);
        }
        let streamed = transform_for(context, [input], true);
        assert_eq!(whole.is_ok(), streamed.state == StreamState::Done);
        let (Ok(merged), false) = (&whole, is_any_event_ambiguous(input)) else { continue };
        let Some(said) = said(&payloads(&streamed.output)) else { continue };
        check_merged(merged, &said, &streamed);
    }
}

fn check_merged(merged: &[u8], said: &BTreeMap<u64, Said>, streamed: &Outcome) {
    let Ok(completion) = serde_json::from_slice::<Value>(merged) else {
        // Two halves of a surrogate pair that do not belong together; whatever else it may be, it is JSON.
        assert!(crate::raw::is_json(merged), "{}", text(merged));
        return;
    };
    let choices = completion["choices"].as_array().unwrap();
    assert_eq!(choices.len(), said.len());
    for (choice, (index, said)) in choices.iter().zip(said) {
        let message = &choice["message"];
        assert_eq!(choice["index"].as_u64(), Some(*index));
        assert_eq!(choice["finish_reason"], said.finish_reason.as_str());
        assert_eq!(message["content"].as_str().unwrap_or_default(), said.content);
        for (call, said) in message["tool_calls"].as_array().into_iter().flatten().zip(&said.calls) {
            for (part, said) in call_parts(call).into_iter().zip(said) {
                assert_eq!(part.as_str().unwrap_or_default(), said);
            }
        }
        assert_eq!(message["tool_calls"].as_array().map_or(0, Vec::len), said.calls.len());
        check_message(message);
    }
    let usage = payloads(&streamed.output).into_iter().rev().find_map(|frame| {
        let chunk: Value = serde_json::from_str(&frame).ok()?;
        chunk["usage"].is_object().then(|| chunk["usage"].clone())
    });
    assert_eq!(completion.get("usage"), usage.as_ref());
    // It is what an answer that came whole would have to be.
    let again = completion::clean(merged, &context()).unwrap();
    let shown = choices.iter().map(|choice| counts::message(&choice["message"])).sum::<u64>();
    assert_eq!(again.summary.output_bytes, shown);
    assert_eq!(again.body.as_deref().map(text), None, "{}", text(merged));
}

/// "Answers, not streaming" in the contract.
fn check_message(message: &Value) {
    assert!(message["role"].is_string());
    for reasoning in
        ["reasoning_content", "reasoning", "reasoning_details", "reasoning_text", "thinking_blocks"]
    {
        assert!(message.get(reasoning).is_none(), "{message}");
    }
    assert!(message["content"].is_string() || message["content"].is_null(), "{message}");
    let calls = message.get("tool_calls");
    assert!(calls.is_none_or(|calls| calls.as_array().is_some_and(|calls| !calls.is_empty())), "{message}");
    for call in calls.and_then(Value::as_array).into_iter().flatten() {
        assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()), "{message}");
        assert!(call["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{message}");
        if call.get("function").is_some() || call.get("custom").is_some() {
            let [_, name, arguments] = call_parts(call);
            assert!(arguments.is_string(), "{message}");
            assert!(name.as_str().is_some_and(|name| !name.is_empty()), "{message}");
        }
    }
    let stands_in =
        calls.is_some() || ["refusal", "audio", "function_call"].iter().any(|name| !message[*name].is_null());
    assert!(message["content"].is_string() || stands_in, "{message}");
}

/// Any bytes from a provider as a whole answer: an error, or what the contract says, and then for good.
pub fn clean(input: &[u8]) {
    for context in contexts() {
        let Ok(cleaned) = completion::clean(input, &context) else { continue };
        assert_ne!(cleaned.body.as_deref(), Some(input), "an edit that changes nothing");
        let body = cleaned.body.unwrap_or_else(|| input.to_vec());
        assert!(crate::raw::is_json(&body), "{}", text(&body));
        if is_ambiguous(text(&body)) || is_ambiguous(text(input)) {
            continue;
        }
        // Tags in what is left are text.
        let again = completion::clean(&body, &self::context()).unwrap();
        assert_eq!(again.body.as_deref().map(text), None, "{}", text(&body));
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else { continue };
        assert_eq!(answer["object"], "chat.completion");
        assert!(answer["id"].is_string() && answer["model"].is_string() && answer["created"].is_number());
        assert!(answer.get("error").is_none());
        for choice in answer["choices"].as_array().unwrap() {
            assert!(choice["index"].is_u64());
            assert!(choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()));
            check_message(&choice["message"]);
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
