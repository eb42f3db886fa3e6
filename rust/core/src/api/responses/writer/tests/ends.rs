//! How answers end: completed, cut off, failed, whole.

use serde_json::{Value, json};

use super::*;

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
fn seals_count_too() {
    let thought = chunk(&format!("\"reasoning_content\":\"{}\"", "x".repeat(1_000_000)));
    let reply = ResponsesReply { seals_reasoning: true, ..reply() };
    let mut machine = machine(reply, STREAM);
    let mut output = Vec::new();
    for number in 1..=8 {
        // A text ends the reasoning, so that it is sealed.
        let more = thought.clone() + &chunk(r#""content":"a""#);
        let state = machine.feed(Some(more.as_bytes()), &mut output);
        // As a summary and sealed, a million bytes are 2.3 million.
        let expected = if number == 8 { StreamState::Failed } else { StreamState::Open };
        assert_eq!(state, expected, "{number}");
    }
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
