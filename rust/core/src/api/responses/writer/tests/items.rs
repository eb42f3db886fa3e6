//! What comes out of streams that end well: the events and their order, the items.

use serde_json::{Value, json};

use super::*;

fn text(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn message(parts: &[Value]) -> Value {
    json!({"type": "message", "role": "assistant", "content": parts, "status": "completed"})
}

fn function(index: usize, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "call_id": format!("call_{index}"), "name": name, "arguments": arguments,
        "status": "completed"})
}

/// These chunks come to these items.
fn check_items(name: &str, chunks: &str, expected: &[Value]) {
    let events = streamed(reply(), &(chunks.to_owned() + &end("stop")));
    assert_eq!(items(&events), expected, "{name}");
    assert_eq!(events[events.len() - 1]["type"], "response.completed", "{name}");
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

#[test]
fn items_of_answers() {
    let reasoning =
        |text: &str| json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]});
    let rows: [(&str, String, Vec<Value>); 7] = [
        ("text", chunk(r#""content":"a\"b""#), vec![message(&[text("a\"b")])]),
        ("nothing", chunk(r#""content":"""#), vec![]),
        ("no arguments", call(0, "f", &[]), vec![function(0, "f", "{}")]),
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
            vec![message(&[text("a")]), reasoning("b"), message(&[text("c")])],
        ),
        (
            "a refusal behind text",
            chunk(r#""content":"a""#) + &chunk(r#""refusal":"no""#) + &chunk(r#""refusal":"!""#),
            vec![message(&[text("a"), json!({"type": "refusal", "refusal": "no!"})])],
        ),
    ];
    for (name, chunks, expected) in rows {
        check_items(name, &chunks, &expected);
    }
}

#[test]
fn field_23_calls_alone_have_no_message() {
    check_items("calls alone", &call(0, "f", &["{\\\"a\\\":", "1}"]), &[function(0, "f", "{\"a\":1}")]);
}

#[test]
fn field_25_arguments_in_one_piece_are_not_lost() {
    let whole = r#""tool_calls":[{"index":0,"id":"call_0","function":{"name":"f","arguments":"{\"a\":1}"}}]"#;
    check_items("with the name", &chunk(whole), &[function(0, "f", "{\"a\":1}")]);
    check_items("behind it", &call(0, "f", &["{\\\"a\\\":1}"]), &[function(0, "f", "{\"a\":1}")]);
}

#[test]
fn field_27_a_name_that_comes_empty_later_stays() {
    let empty = r#""tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"}"}}]"#;
    check_items("an empty name", &(call(0, "f", &["{"]) + &chunk(empty)), &[function(0, "f", "{}")]);
}

#[test]
fn field_28_a_custom_tool_gets_its_raw_input() {
    let pieces = ["{\\\"inp", "ut\\\":\\\"*** Begin\\\\", "n+\\\\\\\"x\\\\\\\"\\\"}"];
    let expected = json!({"type": "custom_tool_call", "call_id": "call_0", "name": "apply_patch",
        "input": "*** Begin\n+\"x\"", "status": "completed"});
    check_items("a patch", &call(0, "apply_patch", &pieces), &[expected]);
}

#[test]
fn field_30_a_tool_of_a_namespace_is_called_by_its_own_name() {
    let expected = json!({"type": "function_call", "call_id": "call_0", "name": "sleep", "namespace": "clock",
        "arguments": "{}", "status": "completed"});
    check_items("a namespace", &call(0, "clock__sleep", &["{}"]), &[expected]);
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
