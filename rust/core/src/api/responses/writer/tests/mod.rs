//! Rows: what an upstream's stream comes to, and where each may break off.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::answer::context::{AnswerContext, AnswerMode};
use crate::answer::error::{StreamError, StreamErrorKind};
use crate::answer::stream::StreamState;
use crate::api::reply::Reply;
use crate::api::responses::ResponsesReply;
use crate::api::responses::tools::{CallKind, OfferedTool, ToolNames};
use crate::api::{Api, Machine};
use crate::seal::Seal;
use crate::sse::SseLimits;

mod ends;
mod items;

const STREAM: AnswerMode = AnswerMode::Stream { include_usage: true };

fn seal() -> Option<Seal> {
    Seal::new(&[7; 32], b"ann")
}

fn reply() -> ResponsesReply {
    let mut tools = ToolNames::default();
    for (function, kind, namespace, name) in [
        ("apply_patch", CallKind::Custom, None, "apply_patch"),
        ("local_shell", CallKind::LocalShell, None, "local_shell"),
        ("clock__sleep", CallKind::Function, Some("clock"), "sleep"),
    ] {
        let tool = OfferedTool { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() };
        tools.add(function.to_owned(), tool);
    }
    ResponsesReply {
        model: "team/\"coder\"".to_owned(),
        shows_reasoning: true,
        seals_reasoning: false,
        seal: seal(),
        tools,
        echo: br#""store":false,"tools":[]"#.to_vec(),
    }
}

fn machine(reply: ResponsesReply, mode: AnswerMode) -> Machine {
    let context = AnswerContext {
        request_id: "req_0a".to_owned(),
        model: "upstream-model".to_owned(),
        created_s: 1_700_000_000,
        reply: Reply::Responses(Arc::new(reply)),
        ..AnswerContext::default()
    };
    Api::Chat.machine(mode, context, SseLimits::default())
}

/// A chunk with this delta.
fn chunk(delta: &str) -> String {
    format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}\n\n")
}

fn end(reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
    )
}

/// The chunks of a call: its name, then its arguments in these pieces, which are escaped.
fn call(index: usize, name: &str, arguments: &[&str]) -> String {
    let mut chunks = chunk(&format!(
        r#""tool_calls":[{{"index":{index},"id":"call_{index}","type":"function","function":{{"name":"{name}","arguments":""}}}}]"#
    ));
    for piece in arguments {
        chunks += &more(index, piece);
    }
    chunks
}

fn more(index: usize, arguments: &str) -> String {
    chunk(&format!(r#""tool_calls":[{{"index":{index},"function":{{"arguments":"{arguments}"}}}}]"#))
}

/// What comes out of a stream.
fn streamed(reply: ResponsesReply, chunks: &str) -> Vec<Value> {
    let mut machine = machine(reply, STREAM);
    let mut output = Vec::new();
    machine.feed(Some(chunks.as_bytes()), &mut output);
    machine.feed(None, &mut output);
    events(&output)
}

fn events(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    let frames: Vec<&str> = text.split_terminator("\n\n").collect();
    let events = frames.iter().enumerate().map(|(number, frame)| {
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(number)));
        event
    });
    events.collect()
}

/// One line for each event: its name less `response.`, the item's place, and what it brings.
fn outline(events: &[Value]) -> Vec<String> {
    let brings = |event: &Value| {
        ["delta", "text", "arguments", "input", "refusal"]
            .iter()
            .find_map(|name| event[*name].as_str().map(|text| format!(" {text:?}")))
            .or_else(|| Some(format!(" {}", event["item"]["type"].as_str()?)))
            .unwrap_or_default()
    };
    let line = |event: &Value| {
        let name = event["type"].as_str().unwrap().trim_start_matches("response.");
        let index = event["output_index"].as_u64().map(|index| format!(" {index}")).unwrap_or_default();
        format!("{name}{index}{}", brings(event))
    };
    events.iter().map(line).collect()
}

fn last(events: &[Value]) -> &Value {
    &events[events.len() - 1]["response"]
}

/// The items of the last event; each has come whole before it.
fn items(events: &[Value]) -> Vec<Value> {
    let done: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|it| &it["item"])
        .collect();
    let mut items = last(events)["output"].as_array().unwrap().clone();
    assert_eq!(items.iter().collect::<Vec<_>>(), done);
    for item in &mut items {
        let id = item.as_object_mut().unwrap().remove("id").unwrap();
        assert!(id.as_str().unwrap().contains("_0a_"), "{id}");
    }
    items
}
