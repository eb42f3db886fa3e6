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

#[test]
fn field_21_nothing_is_said_before_its_item_is_there() {
    let stream = [
        &chunk(r#""role":"assistant","content":"""#)[..],
        &chunk(r#""reasoning_content":"hm""#),
        &chunk(r#""content":"a""#),
        &chunk(r#""content":"b\n""#),
        &call(0, "f", &["{}"]),
        &end("tool_calls"),
    ]
    .concat();
    let expected = [
        "created",
        "in_progress",
        "output_item.added 0 reasoning",
        "reasoning_summary_part.added 0",
        "reasoning_summary_text.delta 0 \"hm\"",
        "reasoning_summary_text.done 0 \"hm\"",
        "reasoning_summary_part.done 0",
        "output_item.done 0 reasoning",
        "output_item.added 1 message",
        "content_part.added 1",
        "output_text.delta 1 \"a\"",
        "output_text.delta 1 \"b\\n\"",
        "output_text.done 1 \"ab\\n\"",
        "content_part.done 1",
        "output_item.done 1 message",
        "output_item.added 2 function_call",
        "function_call_arguments.delta 2 \"{}\"",
        "function_call_arguments.done 2 \"{}\"",
        "output_item.done 2 function_call",
        "completed",
    ];
    assert_eq!(outline(&streamed(reply(), &stream)), expected);
}

#[test]
fn the_bytes_of_a_stream() {
    let stream = chunk(r#""content":"é\n""#) + &end("stop");
    let mut machine = machine(ResponsesReply { echo: b"\"store\":false".to_vec(), ..reply() }, STREAM);
    let mut output = Vec::new();
    machine.feed(Some(stream.as_bytes()), &mut output);
    let response = |status: &str, output: &str| {
        format!(
            r#""response":{{"id":"resp_0a","object":"response","created_at":1700000000,"status":"{status}","error":null,"incomplete_details":null,"model":"team/\"coder\"","output":[{output}],"usage":null,"store":false}}"#
        )
    };
    let part = r#"{"type":"output_text","annotations":[],"logprobs":[],"text":"é\n"}"#;
    let item = format!(
        r#"{{"id":"msg_0a_0","type":"message","role":"assistant","content":[{part}],"status":"completed"}}"#
    );
    let place = r#""item_id":"msg_0a_0","output_index":0,"content_index":0"#;
    let events = [
        ("response.created", response("in_progress", "")),
        ("response.in_progress", response("in_progress", "")),
        (
            "response.output_item.added",
            r#""output_index":0,"item":{"id":"msg_0a_0","type":"message","role":"assistant","content":[],"status":"in_progress"}"#
                .to_owned(),
        ),
        ("response.content_part.added", format!(r#"{place},"part":{}"#, part.replace(r"é\n", ""))),
        ("response.output_text.delta", format!(r#"{place},"delta":"é\n","logprobs":[]"#)),
        ("response.output_text.done", format!(r#"{place},"logprobs":[],"text":"é\n""#)),
        ("response.content_part.done", format!(r#"{place},"part":{part}"#)),
        ("response.output_item.done", format!(r#""output_index":0,"item":{item}"#)),
        ("response.completed", response("completed", &item)),
    ];
    let frames: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(number, (name, members))| {
            format!("event: {name}\ndata: {{\"type\":\"{name}\",{members},\"sequence_number\":{number}}}\n\n")
        })
        .collect();
    assert_eq!(String::from_utf8(output).unwrap(), frames.concat());
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

#[test]
fn items_of_answers() {
    let text = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let message = |parts: Value| json!({"type": "message", "role": "assistant", "content": parts, "status": "completed"});
    let reasoning =
        |text: &str| json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]});
    let function = |index: usize, name: &str, arguments: &str| {
        json!({"type": "function_call", "call_id": format!("call_{index}"), "name": name, "arguments": arguments,
            "status": "completed"})
    };
    let rows: [(&str, String, Vec<Value>); 12] = [
        ("text", chunk(r#""content":"a\"b""#), vec![message(json!([text("a\"b")]))]),
        ("nothing", chunk(r#""content":"""#), vec![]),
        ("field_23: calls alone", call(0, "f", &["{\\\"a\\\":", "1}"]), vec![function(0, "f", "{\"a\":1}")]),
        (
            "field_25: arguments in one piece",
            call(0, "f", &["{\\\"a\\\":1}"]),
            vec![function(0, "f", "{\"a\":1}")],
        ),
        ("no arguments", call(0, "f", &[]), vec![function(0, "f", "{}")]),
        (
            "field_27: a name that comes empty later",
            call(0, "f", &["{"])
                + &chunk(r#""tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"}"}}]"#),
            vec![function(0, "f", "{}")],
        ),
        (
            "field_28: a custom tool",
            call(0, "apply_patch", &["{\\\"inp", "ut\\\":\\\"*** Begin\\\\", "n+\\\\\\\"x\\\\\\\"\\\"}"]),
            vec![json!({"type": "custom_tool_call", "call_id": "call_0", "name": "apply_patch",
                "input": "*** Begin\n+\"x\"", "status": "completed"})],
        ),
        (
            "field_30: a tool of a namespace",
            call(0, "clock__sleep", &["{}"]),
            vec![json!({"type": "function_call", "call_id": "call_0", "name": "sleep", "namespace": "clock",
                "arguments": "{}", "status": "completed"})],
        ),
        (
            "a local shell",
            call(0, "local_shell", &["{\\\"command\\\":[\\\"ls\\\"],", "\\\"timeout_ms\\\":5}"]),
            vec![json!({"type": "local_shell_call", "call_id": "call_0", "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": 5}})],
        ),
        (
            "calls in turns",
            call(0, "f", &["{\\\"a\\\":"]) + &call(1, "g", &["{"]) + &more(0, "1}") + &more(1, "}"),
            vec![function(0, "f", "{\"a\":1}"), function(1, "g", "{}")],
        ),
        (
            "reasoning behind text, and text behind that",
            chunk(r#""content":"a""#) + &chunk(r#""reasoning_content":"b""#) + &chunk(r#""content":"c""#),
            vec![message(json!([text("a")])), reasoning("b"), message(json!([text("c")]))],
        ),
        (
            "a refusal behind text",
            chunk(r#""content":"a""#) + &chunk(r#""refusal":"no""#) + &chunk(r#""refusal":"!""#),
            vec![message(json!([text("a"), {"type": "refusal", "refusal": "no!"}]))],
        ),
    ];
    for (name, chunks, expected) in rows {
        let events = streamed(reply(), &(chunks + &end("stop")));
        assert_eq!(items(&events), expected, "{name}");
        assert_eq!(events[events.len() - 1]["type"], "response.completed", "{name}");
    }
}

#[test]
fn field_22_calls_come_whole_in_item_done() {
    let stream = call(0, "f", &["{\\\"a\\\":1}"])
        + &call(1, "apply_patch", &["{\\\"input\\\":\\\"x\\\"}"])
        + &end("stop");
    let events = streamed(reply(), &stream);
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    let calls: Vec<_> = done
        .iter()
        .map(|event| {
            let item = &event["item"];
            (
                item["type"].as_str(),
                item["name"].as_str(),
                item["arguments"].as_str().or(item["input"].as_str()),
            )
        })
        .collect();
    let expected = [
        (Some("function_call"), Some("f"), Some("{\"a\":1}")),
        (Some("custom_tool_call"), Some("apply_patch"), Some("x")),
    ];
    assert_eq!(calls, expected);
}

#[test]
fn field_26_and_32_ids_are_openai_s_and_stay() {
    let stream = [
        &chunk(r#""reasoning_content":"a""#)[..],
        &chunk(r#""content":"b""#),
        &call(0, "f", &["{}"]),
        &call(1, "apply_patch", &["{}"]),
        &call(2, "local_shell", &["{}"]),
        &end("stop"),
    ]
    .concat();
    let events = streamed(reply(), &stream);
    let ids: Vec<_> = last(&events)["output"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, ["rs_0a_0", "msg_0a_1", "fc_0a_2", "ctc_0a_3", "lsh_0a_4"]);
    assert_eq!(last(&events)["id"], "resp_0a");
    for event in events.iter().filter(|event| event["output_index"].is_u64()) {
        let id = event.get("item_id").unwrap_or(&event["item"]["id"]);
        let place = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        assert_eq!(id, ids[place], "{event}");
    }
}

#[test]
fn reasoning_as_it_is_asked_for() {
    let stream = chunk(r#""reasoning_content":"a\n""#) + &chunk(r#""reasoning_content":"b""#) + &end("stop");
    for (shows_reasoning, seals_reasoning) in [(true, true), (true, false), (false, true), (false, false)] {
        let row = format!("shown {shows_reasoning}, sealed {seals_reasoning}");
        let events = streamed(ResponsesReply { shows_reasoning, seals_reasoning, ..reply() }, &stream);
        let items = items(&events);
        if !shows_reasoning && !seals_reasoning {
            assert_eq!(items, [] as [Value; 0], "{row}");
            continue;
        }
        let item = &items[0];
        let summary =
            if shows_reasoning { json!([{"type": "summary_text", "text": "a\nb"}]) } else { json!([]) };
        assert_eq!(item["summary"], summary, "{row}");
        let sealed = item["encrypted_content"].as_str();
        let opened = sealed.map(|sealed| seal().unwrap().open(sealed.as_bytes()).unwrap());
        assert_eq!(opened.as_deref(), seals_reasoning.then_some(&b"ta\\nb"[..]), "{row}");
        let deltas = events.iter().filter(|event| event["delta"].is_string()).count();
        assert_eq!(deltas, if shows_reasoning { 2 } else { 0 }, "{row}");
    }
    let events = streamed(
        ResponsesReply { shows_reasoning: false, seals_reasoning: true, seal: None, ..reply() },
        &stream,
    );
    assert_eq!(items(&events), [] as [Value; 0], "nothing to seal it with");
}

#[test]
fn reasoning_that_is_too_long_to_be_sealed() {
    let long = "x".repeat(crate::seal::MAX_SEALED_BYTES);
    for shows_reasoning in [true, false] {
        for (text, is_sealed) in [(&long[..], false), (&long[1..], true)] {
            let stream = chunk(&format!("\"reasoning_content\":\"{text}\"")) + &end("stop");
            let reply = ResponsesReply { shows_reasoning, seals_reasoning: true, ..reply() };
            let items = items(&streamed(reply, &stream));
            assert_eq!(items[0]["encrypted_content"].is_string(), is_sealed);
        }
    }
}

#[test]
fn ends_of_answers() {
    let chunks = chunk(r#""content":"a""#) + &call(0, "f", &["{\\\"a"]);
    for (reason, event, details, call) in [
        ("stop", "completed", Value::Null, "completed"),
        ("tool_calls", "completed", Value::Null, "completed"),
        ("length", "incomplete", json!({"reason": "max_output_tokens"}), "incomplete"),
        ("content_filter", "incomplete", json!({"reason": "content_filter"}), "incomplete"),
        ("something_else", "completed", Value::Null, "completed"),
    ] {
        let events = streamed(reply(), &(chunks.clone() + &end(reason)));
        let response = last(&events);
        assert_eq!(events[events.len() - 1]["type"], format!("response.{event}"), "{reason}");
        assert_eq!(
            (&response["status"], &response["incomplete_details"]),
            (&json!(event), &details),
            "{reason}"
        );
        let statuses: Vec<_> = items(&events).iter().map(|item| item["status"].clone()).collect();
        assert_eq!(statuses, ["completed", call], "only what was cut off is incomplete: {reason}");
    }
    let events = streamed(reply(), &(call(0, "f", &[]) + &end("length")));
    assert_eq!(items(&events)[0]["arguments"], "", "cut off before its arguments");
}

#[test]
fn usage_of_answers() {
    let full = json!({"input_tokens": 10, "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 4},
        "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 17});
    for (name, usage, expected) in [
        (
            "all of it",
            r#"{"prompt_tokens":10,"completion_tokens":7,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#,
            full,
        ),
        (
            "no details",
            r#"{"prompt_tokens":1,"completion_tokens":2}"#,
            json!({"input_tokens": 1, "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
                "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 3}),
        ),
        ("half of it", r#"{"prompt_tokens":1}"#, Value::Null),
        ("none", "null", Value::Null),
    ] {
        let usage = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
        let stream =
            chunk(r#""content":"a""#) + &end("stop").replace("data: [DONE]", &(usage + "data: [DONE]"));
        assert_eq!(last(&streamed(reply(), &stream))["usage"], expected, "{name}");
    }
}

#[test]
fn field_32_a_stream_ends_with_a_terminal_event_and_fault_52_in_each_of_its_states() {
    let states = [
        ("before anything", String::new()),
        ("at the role", chunk(r#""role":"assistant","content":"""#)),
        ("in reasoning", chunk(r#""reasoning_content":"a""#)),
        ("in a text", chunk(r#""content":"a""#)),
        ("in a refusal", chunk(r#""refusal":"a""#)),
        ("behind a call's name", call(0, "f", &[])),
        ("in a call", call(0, "f", &["{"])),
        ("in a custom call", call(0, "apply_patch", &["{\\\"inp"])),
        ("in a custom call's text", call(0, "apply_patch", &["{\\\"input\\\":\\\"a\\\\"])),
        ("in a local shell's call", call(0, "local_shell", &["{"])),
        ("in the second call", call(0, "f", &["{}"]) + &call(1, "g", &["{"])),
    ];
    for (name, chunks) in states {
        for kind in StreamErrorKind::ALL {
            let mut machine = machine(reply(), STREAM);
            let mut output = Vec::new();
            machine.feed(Some(chunks.as_bytes()), &mut output);
            machine.fail(StreamError::new(kind), &mut output);
            let length = output.len();
            machine.feed(Some(end("stop").as_bytes()), &mut output);
            assert_eq!(output.len(), length, "{name}: nothing comes behind the end");
            let outline = outline(&events(&output));
            assert_eq!(outline[..2], ["created", "in_progress"], "{name}");
            assert_eq!(
                outline.iter().filter(|line| line.starts_with("output_item.done")).count(),
                0,
                "{name}"
            );
            assert_eq!(outline[outline.len() - 1], "failed", "{name}");
            let events = events(&output);
            let error = json!({"code": "server_error", "message": StreamError::new(kind).message});
            assert_eq!((&last(&events)["status"], &last(&events)["error"]), (&json!("failed"), &error));
            assert_eq!(last(&events)["output"], json!([]), "{name}");
        }
        // The upstream ends the stream by itself.
        let events = streamed(reply(), &chunks);
        assert_eq!(events[events.len() - 1]["type"], "response.failed", "{name}");
    }
}

#[test]
fn errors_have_openai_s_codes() {
    for (name, status, code, expected) in [
        ("a limit", Some(429), None, "rate_limit_exceeded"),
        ("what was asked for", Some(400), None, "invalid_prompt"),
        (
            "a conversation that is too long",
            Some(400),
            Some("context_length_exceeded"),
            "context_length_exceeded",
        ),
        ("the gateway's own key", Some(401), Some("invalid_api_key"), "server_error"),
        ("a fault", Some(500), None, "server_error"),
        ("no status", None, None, "server_error"),
    ] {
        let mut machine = machine(reply(), STREAM);
        let mut output = Vec::new();
        machine.feed(Some(chunk(r#""content":"a""#).as_bytes()), &mut output);
        let message = "it said \"no\"".to_owned();
        let error = StreamError {
            kind: StreamErrorKind::ErrorEvent,
            message: message.clone(),
            status,
            code: code.map(str::to_owned),
        };
        machine.fail(error, &mut output);
        assert_eq!(last(&events(&output))["error"], json!({"code": expected, "message": message}), "{name}");
    }
}

#[test]
fn a_whole_answer_is_the_response_of_the_last_event() {
    let stream = [
        &chunk(r#""reasoning_content":"a""#)[..],
        &chunk(r#""content":"b""#),
        &call(0, "apply_patch", &["{\\\"input\\\":\\\"x\\\"}"]),
        &end("length"),
    ]
    .concat();
    let mut whole = machine(reply(), AnswerMode::Merged);
    let mut body = Vec::new();
    whole.feed(Some(stream.as_bytes()), &mut body);
    assert_eq!(whole.feed(None, &mut body), StreamState::Done);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(&body, last(&streamed(reply(), &stream)));

    let mut broken = machine(reply(), AnswerMode::Merged);
    let mut body = Vec::new();
    broken.feed(Some(chunk(r#""content":"b""#).as_bytes()), &mut body);
    assert_eq!(broken.feed(None, &mut body), StreamState::Failed);
    assert_eq!(body, b"", "the pipeline says it");
}

#[test]
fn an_answer_beyond_the_cap_is_an_error() {
    let long = "x".repeat(1 << 20);
    for (name, delta) in [
        ("text", format!("\"content\":\"{long}\"")),
        ("reasoning", format!("\"reasoning_content\":\"{long}\"")),
        (
            "arguments",
            format!(
                r#""tool_calls":[{{"index":0,"id":"c","function":{{"name":"f","arguments":"{long}"}}}}]"#
            ),
        ),
    ] {
        for mode in [STREAM, AnswerMode::Merged] {
            let mut machine = machine(reply(), mode);
            let mut output = Vec::new();
            for _ in 0..15 {
                assert_eq!(
                    machine.feed(Some(chunk(&delta).as_bytes()), &mut output),
                    StreamState::Open,
                    "{name}"
                );
            }
            output.clear();
            machine.feed(Some(chunk(&delta).as_bytes()), &mut output);
            assert_eq!(
                machine.error().map(|error| error.kind),
                Some(StreamErrorKind::InvalidEvent),
                "{name}"
            );
            assert!(!machine.summary().complete && machine.summary().error.is_some(), "{name}");
            let ends =
                output.ends_with(b"\n\n") && String::from_utf8_lossy(&output).contains("response.failed");
            assert_eq!(ends, mode == STREAM, "{name}");
        }
    }
}
