//! Answers in Anthropic's events: their grammar, and that they say what the chat answer says.

use std::sync::Arc;

use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::stream::StreamState;
use llmgw_core::api::Api;
use llmgw_core::api::messages::{MessagesReply, ShownThinking};
use llmgw_core::api::reply::Reply;
use llmgw_core::seal::{Seal, is_sealed};
use llmgw_core::sse::SseLimits;
use serde_json::{Map, Value, json};

use crate::answer::{Said, is_any_event_ambiguous, said};
use crate::arrivals;
use crate::deltas::compose;
use crate::rules::{Outcome, context, payloads, read, transform_for};

/// The input tokens that the request is estimated at.
const ESTIMATE: u64 = 7;

/// Any bytes from a provider, and the stream that they make as choices: the events keep Anthropic's grammar, they are the
/// same however the bytes arrive, and they say what chat's frames say.
pub fn messages_answer(input: &[u8]) {
    check(input);
    check(&compose(input));
}

/// Everything that must hold of one upstream stream.
///
/// # Panics
/// Where it does not hold.
pub fn check(stream: &[u8]) {
    let chat = transform_for(context(), [stream], true);
    let clear = !is_any_event_ambiguous(stream);
    let whole_chat = if clear { said(&payloads(&chat.output)) } else { None };
    for thinking in ShownThinking::ALL {
        for has_seal in [false, true] {
            let message = check_events(stream, thinking, has_seal);
            assert_eq!(message.is_some(), chat.state == StreamState::Done);
            if let (Some(message), Some(said)) = (message, &whole_chat) {
                check_said(&message, said.get(&0).unwrap_or(&Said::default()), thinking, &chat);
            }
        }
    }
}

/// The message that a stream comes to, after its events were judged. None where it is broken.
fn check_events(stream: &[u8], thinking: ShownThinking, has_seal: bool) -> Option<Value> {
    let mode = AnswerMode::Stream { include_usage: true };
    let streamed = run(thinking, has_seal, mode, [stream]);
    for pieces in arrivals(stream) {
        let again = run(thinking, has_seal, mode, pieces);
        assert_eq!(again.0, streamed.0);
        assert_eq!(without_signatures(&again.1), without_signatures(&streamed.1));
    }
    let (accumulated, events) = accumulate(&streamed.1, has_seal);
    let (state, whole) = run(thinking, has_seal, AnswerMode::Merged, [stream]);
    assert_eq!(state, streamed.0);
    if state == StreamState::Done {
        let mut whole = read(&whole);
        blank_signatures(&mut whole);
        let message = accumulated.expect("complete, without its end");
        assert_same(&message, &whole);
        Some(message)
    } else {
        assert_eq!(whole, "", "an error is for the pipeline to tell");
        assert!(accumulated.is_none(), "an end in spite of an error");
        assert_eq!(events.last().unwrap()["type"], "error");
        None
    }
}

/// What these pieces come to: events, or one message.
pub fn run<'a>(
    thinking: ShownThinking,
    has_seal: bool,
    mode: AnswerMode,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (StreamState, String) {
    let reply = MessagesReply {
        model: "alias \"m\"".into(),
        input_tokens: ESTIMATE,
        thinking,
        seal: has_seal.then(|| Seal::new(&[1; 32], b"client").unwrap()),
        stop_sequences: vec!["END".into()],
    };
    let context = AnswerContext { reply: Reply::Messages(Arc::new(reply)), ..context() };
    let mut machine = Api::Chat.machine(mode, context, SseLimits::default());
    let mut output = Vec::new();
    for piece in pieces {
        machine.feed(Some(piece), &mut output);
    }
    let state = machine.feed(None, &mut output);
    (state, String::from_utf8(output).unwrap())
}

/// Each seal has its own nonce.
fn without_signatures(events: &str) -> String {
    let mut parts = events.split("\"signature\":\"");
    let head = parts.next().unwrap_or_default().to_owned();
    parts.fold(head, |text, part| {
        text + "\"signature\":\"" + part.split_once('"').map_or("", |(_, rest)| rest)
    })
}

fn blank_signatures(message: &mut Value) {
    for block in message["content"].as_array_mut().unwrap() {
        if block["type"] == "thinking" {
            block["signature"] = json!("");
        }
    }
}

/// The events' data, and the message that they add up to; none where they break off. Panics where they break the grammar:
/// `message_start`, blocks one behind the other, `message_delta`, `message_stop`; or an error at any place, as the last.
#[must_use]
pub fn accumulate(events: &str, has_seal: bool) -> (Option<Value>, Vec<Value>) {
    let events: Vec<Value> = events
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = data.strip_prefix("data: ").unwrap();
            assert!(!data.contains(['\n', '\r']), "more than one line: {event}");
            let data = read(data);
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str(), "{event}");
            data
        })
        .collect();
    let mut message: Option<Value> = None;
    let mut open: Option<Map<String, Value>> = None;
    let mut ended = false;
    for (position, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        if kind == "error" {
            assert_eq!(position, events.len() - 1, "something behind an error");
            assert!(event["error"]["type"].is_string() && event["error"]["message"].is_string(), "{event}");
            assert_eq!(event["request_id"], "req-1");
            return (None, events);
        }
        if kind == "message_start" {
            assert_eq!(position, 0);
            check_start(&event["message"]);
            message = Some(event["message"].clone());
            continue;
        }
        let message = message.as_mut().unwrap_or_else(|| panic!("not begun: {event}"));
        assert!(!ended || kind == "message_stop", "behind the end: {event}");
        match kind {
            "content_block_start" => {
                let content = message["content"].as_array().unwrap();
                assert_eq!(event["index"], content.len(), "indices rise by one");
                assert!(open.is_none(), "a second block is open: {event}");
                open = Some(event["content_block"].as_object().unwrap().clone());
            }
            "content_block_delta" => {
                assert_eq!(event["index"], message["content"].as_array().unwrap().len());
                let block = open.as_mut().unwrap_or_else(|| panic!("no block is open: {event}"));
                add_delta(block, &event["delta"]);
            }
            "content_block_stop" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], content.len());
                content.push(complete(open.take().unwrap(), has_seal));
            }
            "message_delta" => {
                assert!(open.is_none(), "a block is open at the end");
                for name in ["stop_reason", "stop_sequence"] {
                    message[name] = event["delta"][name].clone();
                }
                message["usage"] = event["usage"].clone();
                ended = true;
            }
            "message_stop" => {
                assert!(ended && position == events.len() - 1);
                return (Some(message.clone()), events);
            }
            _ => panic!("no event of Anthropic's: {event}"),
        }
    }
    panic!("neither an end nor an error");
}

fn check_start(message: &Value) {
    assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_")));
    assert_eq!(message["model"], "alias \"m\"");
    assert_eq!(message["content"], json!([]));
    assert_eq!(message["usage"]["input_tokens"], ESTIMATE);
    assert_eq!(message["usage"]["output_tokens"], 0);
}

/// More of the open block.
fn add_delta(block: &mut Map<String, Value>, delta: &Value) {
    let (kind, name) = match (delta["type"].as_str().unwrap(), block["type"].as_str().unwrap()) {
        ("text_delta", "text") => ("text", "text"),
        ("thinking_delta", "thinking") => ("thinking", "thinking"),
        ("signature_delta", "thinking") => ("signature", "signature"),
        ("input_json_delta", "tool_use") => ("partial_json", "json"),
        (delta, block) => panic!("{delta} in {block}"),
    };
    assert!(
        name == "signature" || block.get("signature").is_none_or(|signed| signed == ""),
        "signed before its end"
    );
    let said = delta[kind].as_str().unwrap();
    assert!(!said.is_empty(), "an empty delta");
    let whole = block.get(name).and_then(Value::as_str).unwrap_or_default().to_owned() + said;
    block.insert(name.to_owned(), Value::String(whole));
}

/// A block that has ended.
fn complete(mut block: Map<String, Value>, has_seal: bool) -> Value {
    if let Some(signature) = block.get_mut("signature") {
        assert_eq!(is_sealed(signature.as_str().unwrap().as_bytes()), has_seal);
        *signature = json!("");
    }
    if block["type"] == "tool_use" {
        assert_eq!(block["input"], json!({}));
        assert!(block["json"].is_string(), "a call without a piece of its input");
    }
    Value::Object(block)
}

/// What a stream adds up to is the whole answer. Of arguments that break or are cut off, the whole answer has the part that
/// is whole: an object.
fn assert_same(streamed: &Value, whole: &Value) {
    for name in ["id", "type", "role", "model", "stop_reason", "stop_sequence", "usage"] {
        assert_eq!(streamed[name], whole[name], "{name}");
    }
    let (blocks, of_whole) = (streamed["content"].as_array().unwrap(), whole["content"].as_array().unwrap());
    assert_eq!(blocks.len(), of_whole.len());
    for (block, whole) in blocks.iter().zip(of_whole) {
        if block["type"] != "tool_use" {
            assert_eq!(block, whole);
            continue;
        }
        assert_eq!((&block["id"], &block["name"]), (&whole["id"], &whole["name"]));
        assert!(whole["input"].is_object(), "{whole}");
        if let Ok(input @ Value::Object(_)) = serde_json::from_str::<Value>(block["json"].as_str().unwrap()) {
            assert_eq!(input, whole["input"]);
        }
    }
}

/// The message says what the chat answer says.
fn check_said(message: &Value, chat: &Said, thinking: ShownThinking, outcome: &Outcome) {
    let blocks = message["content"].as_array().unwrap();
    let all = |kind: &str, name: &str| -> String {
        let blocks = blocks.iter().filter(|block| block["type"] == kind);
        blocks.map(|block| block[name].as_str().unwrap()).collect()
    };
    let expected = if thinking == ShownThinking::Summarized { &chat.reasoning[..] } else { "" };
    let text = all("text", "text");
    // A half of a surrogate pair at the end of a block reads as U+FFFD.
    if !all("thinking", "thinking").contains('\u{fffd}') {
        assert_eq!(all("thinking", "thinking"), expected);
    }
    assert!(thinking != ShownThinking::Hidden || blocks.iter().all(|block| block["type"] != "thinking"));
    // A refusal is text here, and a member of its own there.
    if !text.contains('\u{fffd}') && message["stop_reason"] != "refusal" && !has_refusal(outcome) {
        assert_eq!(text, chat.content);
    }
    let calls: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "tool_use").collect();
    // Calls of no function have no name.
    let of_chat: Vec<&[String; 3]> = chat.calls.iter().filter(|call| !call[1].is_empty()).collect();
    assert_eq!(calls.len(), of_chat.len());
    for (call, [id, name, arguments]) in calls.into_iter().zip(of_chat) {
        assert_eq!((call["id"].as_str(), call["name"].as_str()), (Some(&id[..]), Some(&name[..])));
        check_input(call["json"].as_str().unwrap(), arguments);
    }
    let usage = outcome.summary.usage.unwrap_or_default();
    let cached = usage.cached_tokens.unwrap_or(0);
    let input = usage.prompt_tokens.map_or(ESTIMATE, |prompt| prompt.saturating_sub(cached));
    assert_eq!(message["usage"]["input_tokens"], input);
    assert_eq!(message["usage"]["cache_read_input_tokens"], cached);
    assert_eq!(message["usage"]["output_tokens"], usage.completion_tokens.unwrap_or(0));
}

fn has_refusal(outcome: &Outcome) -> bool {
    outcome.output.windows(9).any(|bytes| bytes == b"\"refusal\"")
}

/// The arguments, or an object with them as its one text. Behind arguments that are whole, what else was said of them may
/// be lost: it can only break them.
fn check_input(json: &str, arguments: &str) {
    if json == arguments || (json == "{}" && matches!(arguments.trim_ascii_start(), "" | "null")) {
        return;
    }
    if let Ok(input) = serde_json::from_str::<Map<String, Value>>(json) {
        let texts: Vec<(&str, &Value)> = input.iter().map(|(name, value)| (&name[..], value)).collect();
        if let [("arguments" | "input", Value::String(text))] = texts[..]
            && text.trim_ascii_start() == arguments.trim_ascii_start()
        {
            return;
        }
        assert!(arguments.starts_with(json), "{json} of {arguments}");
        return;
    }
    assert!(arguments.trim_ascii_start() == json.trim_ascii_start(), "{json} of {arguments}");
}
