//! Text completions: the request, the stream and the whole answer, each of any bytes.

use std::collections::{BTreeMap, HashSet};

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::answer::stream::{StreamState, Transformer};
use llmgw_core::api::completions::{CompletionRequest, TextChoice, clean};
use llmgw_core::dialect::Dialect;
use llmgw_core::request::error::RequestErrorCode;
use llmgw_core::request::refused::Refuses;
use llmgw_core::request::{Route, ThinkingModes, UpstreamStream};
use llmgw_core::sse::{Item, Parser, SseLimits};
use serde_json::Value;

use crate::answer::is_any_event_ambiguous;
use crate::raw::{Members, depth, is_ambiguous, is_json, items};
use crate::request::{kind, object_holds, readable};
use crate::rules::{Outcome, context, payloads, read};
use crate::{Choices, arrivals, counts, facts};

/// Any bytes, from a client and from a provider: what is taken is what the contract allows, what goes out keeps it, and
/// no text is lost.
pub fn completions(input: &[u8]) {
    request(input);
    stream(input);
    whole(input);
}

fn request(body: &[u8]) {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let request = match CompletionRequest::scan(body) {
        Ok(request) => request,
        Err(error) => {
            match error.code {
                RequestErrorCode::InvalidJson => {
                    assert!(!is_json(body), "JSON, and refused as none: {error:?}");
                }
                RequestErrorCode::TooDeep => assert!(depth(body) > llmgw_core::json::MAX_DEPTH),
                _ => assert!(
                    readable(text).is_none_or(|members| is_refused(&members)),
                    "for nothing: {error:?}"
                ),
            }
            return;
        }
    };
    let Some(before) = readable(text) else { return };
    assert!(!is_refused(&before), "taken in spite of it");
    assert_eq!(request.stream, before.given("stream") == Some("true"));
    facts::completion(&request.facts, &before);
    let mut choices = Choices::of(body);
    let route = Route {
        upstream_model: choices.one_of(&["m", "other \"model\""]).to_owned(),
        dialect: choices.one_of(&Dialect::ALL),
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: choices.coin(),
        upstream_stream: UpstreamStream::Always,
        drop: ["seed", "x", "stream", "prompt", "messages"]
            .into_iter()
            .filter(|_| choices.coin() && choices.coin())
            .map(str::to_owned)
            .collect(),
    };
    let rewrite = request.splice(body, &route);
    let streams = rewrite.mode != AnswerMode::Plain;
    assert_eq!(streams, request.stream);
    let output = rewrite.body.map_or_else(
        || body.to_vec(),
        |pieces| pieces.iter().map(|piece| piece.bytes(body)).collect::<Vec<_>>().concat(),
    );
    let after = Members::of(std::str::from_utf8(&output).unwrap()).unwrap();
    let mut touched = vec!["model", "llmgw_thinking"];
    touched.extend(streams.then_some("stream_options"));
    touched.extend(route.drop.iter().map(String::as_str).filter(|name| match *name {
        "prompt" => false,
        "stream" => !streams,
        _ => true,
    }));
    assert_eq!(before.others(&touched), after.others(&touched));
    let model: String = serde_json::from_str(after.given("model").unwrap()).unwrap();
    assert_eq!(model, route.upstream_model);
    assert!(after.all("llmgw_thinking").is_empty());
    if streams {
        let options = after.given("stream_options").and_then(Members::of).unwrap();
        assert_eq!(options.all("include_usage"), ["true"]);
        let before = before.given("stream_options").and_then(Members::of);
        let others = before.as_ref().map(|options| options.others(&["include_usage"]));
        assert_eq!(options.others(&["include_usage"]), others.unwrap_or_default());
    }
}

/// Whether the contract has anything against a body.
fn is_refused(body: &Members) -> bool {
    FIELDS.iter().any(|name| {
        let required = matches!(*name, "model" | "prompt");
        body.all(name).len() > 1 || body.given(name).map_or(required, |value| !holds(name, value))
    })
}

const FIELDS: [&str; 10] = [
    "model",
    "prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "stream",
    "stream_options",
    "stop",
    "llmgw_thinking",
];

/// Whether a field may have this value, which is not null.
fn holds(name: &str, value: &str) -> bool {
    match name {
        "model" => kind(value) == '"',
        "prompt" => matches!(kind(value), '"' | '['),
        "max_tokens" | "temperature" | "top_p" => kind(value) == '0',
        "seed" => kind(value) == '0' && !value.contains(['.', 'e', 'E']),
        "stream_options" => {
            object_holds(value, "include_usage", |value| matches!(kind(value), 't' | 'n'), true)
        }
        "stop" => {
            kind(value) == '"'
                || items(value).is_some_and(|items| items.iter().all(|item| kind(item.get()) == '"'))
        }
        _ => kind(value) == 't',
    }
}

fn transform<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, include_usage: bool) -> Outcome {
    let mut transformer =
        Transformer::<TextChoice>::with_rules(context(), include_usage, SseLimits::default());
    let mut output = Vec::new();
    for piece in pieces {
        transformer.feed(piece, &mut output);
    }
    let state = transformer.finish(&mut output);
    Outcome { output, state, summary: transformer.summary().clone() }
}

fn stream(input: &[u8]) {
    let include_usage = Choices::of(input).coin();
    let whole = transform([input], include_usage);
    for pieces in arrivals(input) {
        assert_eq!(transform(pieces, include_usage), whole);
    }
    if is_any_event_ambiguous(input) {
        return;
    }
    check_frames(&whole, include_usage);
    counts::stream(&whole, &payloads(&whole.output), "text", input);
    if whole.state == StreamState::Done {
        let again = transform([&whole.output[..]], true);
        assert_eq!(
            std::str::from_utf8(&again.output),
            std::str::from_utf8(&whole.output),
            "put right once, and again"
        );
        assert_eq!(said(&payloads(&whole.output)), said(&events(input)), "text is lost");
    }
}

fn check_frames(outcome: &Outcome, include_usage: bool) {
    let mut payloads = payloads(&outcome.output);
    let last = payloads.pop().expect("an empty stream");
    let mut usage_chunks = 0;
    let mut finished = HashSet::new();
    for payload in &payloads {
        assert_eq!(usage_chunks, 0, "something follows the usage chunk");
        let chunk = read(payload);
        check_top(&chunk, payload);
        let choices = chunk["choices"].as_array().unwrap();
        let usage = chunk.get("usage").is_some_and(|usage| !usage.is_null());
        assert!(!usage || choices.is_empty(), "{payload}");
        usage_chunks += usize::from(usage);
        for choice in choices {
            assert!(choice["text"].is_string(), "{payload}");
            assert!(choice.get("error").is_none(), "{payload}");
            assert!(choice.get("usage").is_none_or(Value::is_null), "{payload}");
            let index = choice["index"].as_u64().unwrap();
            match choice.get("finish_reason").unwrap() {
                Value::Null => {}
                reason => {
                    assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{payload}");
                    assert!(finished.insert(index), "a second finish: {payload}");
                }
            }
        }
    }
    if outcome.state == StreamState::Done {
        assert_eq!(last, "[DONE]");
        assert!(!finished.is_empty());
        assert_eq!(usage_chunks, usize::from(include_usage && outcome.summary.usage.is_some()));
    } else {
        assert!(read(&last)["error"]["message"].is_string());
        assert_eq!(usage_chunks, 0);
    }
}

fn check_top(answer: &Value, payload: &str) {
    assert_eq!(answer["object"], "text_completion", "{payload}");
    assert!(
        answer["id"].is_string() && answer["model"].is_string() && answer["created"].is_number(),
        "{payload}"
    );
    assert!(answer.get("error").is_none(), "{payload}");
}

/// The payloads of a stream, as a client decodes them.
pub(crate) fn events(input: &[u8]) -> Vec<String> {
    let mut parser = Parser::new(SseLimits::default());
    let mut reader = parser.read(input);
    let mut events = Vec::new();
    let mut take = |item: &Item<'_>| {
        if let Item::Event(event) = item {
            events.push(String::from_utf8_lossy(event.data).replace('\n', " "));
        }
    };
    while let Ok(Some(item)) = reader.next() {
        take(&item);
    }
    for _ in 0..2 {
        if let Ok(Some(item)) = parser.finish() {
            take(&item);
        }
    }
    events
}

/// What a stream says, of each choice.
fn said(events: &[String]) -> BTreeMap<u64, String> {
    let mut texts = BTreeMap::<u64, String>::new();
    for event in events.iter().take_while(|event| event.trim_ascii() != "[DONE]") {
        if !is_json(event.as_bytes()) {
            continue;
        }
        let chunk = read(event);
        for (position, choice) in chunk["choices"].as_array().into_iter().flatten().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(position as u64);
            *texts.entry(index).or_default() += choice["text"].as_str().unwrap_or_default();
        }
    }
    texts
}

fn whole(input: &[u8]) {
    let Ok(cleaned) = clean(input, &context()) else { return };
    assert_ne!(cleaned.body.as_deref(), Some(input), "an edit that changes nothing");
    let body = cleaned.body.unwrap_or_else(|| input.to_vec());
    let (text, before) = (std::str::from_utf8(&body).unwrap(), std::str::from_utf8(input).unwrap());
    assert!(is_json(&body), "{text}");
    if is_ambiguous(text) || is_ambiguous(before) {
        return;
    }
    assert_eq!(clean(&body, &context()).unwrap().body, None, "put right once, and again: {text}");
    let (answer, before) = (read(text), read(before));
    check_top(&answer, text);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), before["choices"].as_array().unwrap().len());
    for (choice, before) in choices.iter().zip(before["choices"].as_array().unwrap()) {
        assert!(choice["index"].is_u64());
        assert!(choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty()));
        assert_eq!(choice["text"].as_str(), Some(before["text"].as_str().unwrap_or_default()));
    }
}
