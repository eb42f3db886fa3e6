use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::answer::bounds::MAX_WAITING_BYTES;
use crate::answer::error::StreamErrorKind;
use crate::answer::stream::StreamState;
use crate::api::convert::Converter;
use crate::api::messages::signature::Signed;
use crate::api::reply::Reply;
use crate::seal::Seal;
use crate::sse::SseLimits;

const SHOWN: ShownThinking = ShownThinking::Summarized;

fn seal() -> Seal {
    Seal::new(&[1; 32], b"ann").unwrap()
}

fn converter(thinking: ShownThinking, seal: Option<Seal>, output: Output) -> Converter {
    let reply = MessagesReply {
        model: "alias".into(),
        input_tokens: 7,
        thinking,
        seal,
        stop_sequences: vec!["END".into()],
    };
    let context = AnswerContext {
        request_id: "req_1".into(),
        model: "upstream-model".into(),
        reply: Reply::Messages(Arc::new(reply)),
        ..AnswerContext::default()
    };
    Converter::new(&context, output, SseLimits::default()).unwrap()
}

/// A stream of the given deltas, and what ends it.
fn stream_of(deltas: &[&str], end: &str) -> String {
    let frame = |delta: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    deltas.iter().map(frame).collect::<String>() + end
}

fn finish(reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
    )
}

fn run(mut converter: Converter, stream: &str) -> (StreamState, String) {
    let mut output = Vec::new();
    converter.feed(Some(stream.as_bytes()), &mut output);
    let state = converter.feed(None, &mut output);
    (state, String::from_utf8(output).unwrap())
}

/// The data of events, each under its own name.
fn events(output: &str) -> Vec<Value> {
    let event = |frame: &str| {
        let (name, data) = frame.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    };
    output.split_terminator("\n\n").map(event).collect()
}

/// An event in few words: indices of blocks, texts, without signatures.
fn brief(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let delta = &event["delta"];
    match event["type"].as_str().unwrap() {
        "content_block_start" => {
            let block = &event["content_block"];
            format!("+{} {}", event["index"], text(&block["type"]))
                + &block["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default()
        }
        "content_block_delta" => {
            let said = ["text", "thinking", "partial_json"].map(|name| text(&delta[name])).concat();
            if delta["type"] == "signature_delta" { "signature".into() } else { format!(">{said}") }
        }
        "content_block_stop" => format!("-{}", event["index"]),
        "message_delta" => text(&delta["stop_reason"]),
        "error" => format!("{}!", text(&event["error"]["type"])),
        other => other.strip_prefix("message_").unwrap().to_owned(),
    }
}

fn briefly(output: &str) -> String {
    events(output).iter().map(brief).collect::<Vec<_>>().join(" ")
}

/// A call's first delta.
fn call(index: usize, name: &str, arguments: &str) -> String {
    json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function",
        "function": {"name": name, "arguments": arguments}}]})
    .to_string()
}

/// A further one.
fn more(index: usize, arguments: &str) -> String {
    json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}).to_string()
}

#[test]
fn one_answer_byte_for_byte() {
    let usage = r#"{"prompt_tokens":12,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#;
    let end = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"tool_calls\"}}],\"usage\":{usage}}}\n\ndata: [DONE]\n\n"
    );
    let deltas = [
        r#"{"role":"assistant","content":""}"#,
        r#"{"content":"Hi \u4f60\n"}"#,
        r#"{"content":"!"}"#,
        &call(0, "f", ""),
        &more(0, "{\"a\":"),
        &more(0, "1}"),
    ];
    let stream = stream_of(&deltas, &end);
    let (state, output) = run(converter(SHOWN, None, Output::Stream), &stream);
    assert_eq!(state, StreamState::Done);
    let expected = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"alias","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi \u4f60\n"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"!"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_0","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":5}}

event: message_stop
data: {"type":"message_stop"}

"#;
    assert_eq!(output, expected);
    let (_, whole) = run(converter(SHOWN, None, Output::Whole), &stream);
    let expected = r#"{"id":"msg_1","type":"message","role":"assistant","model":"alias","content":[{"type":"text","text":"Hi \u4f60\n!"},{"type":"tool_use","id":"call_0","name":"f","input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":5}}"#;
    assert_eq!(whole, expected);
}

fn check(name: &str, deltas: &[&str], expected: &str) {
    let stream = stream_of(deltas, &finish("stop"));
    let (state, output) = run(converter(SHOWN, Some(seal()), Output::Stream), &stream);
    assert_eq!((state, briefly(&output)), (StreamState::Done, expected.to_owned()), "{name}");
}

/// Also failures 2 (every block and the message end), 4 (thinking is no text) and 9 (it is there).
#[test]
fn field_03_blocks_come_one_behind_the_other() {
    let c = call;
    let rows: [(&str, &[&str], &str); 6] = [
        ("nothing", &[r#"{"role":"assistant"}"#], "start end_turn stop"),
        (
            "thinking, then text",
            &[r#"{"reasoning_content":"a"}"#, r#"{"reasoning_content":"b"}"#, r#"{"content":"c"}"#],
            "start +0 thinking >a >b signature -0 +1 text >c -1 end_turn stop",
        ),
        (
            "field 3: interleaved thinking",
            &[
                r#"{"reasoning_content":"a"}"#,
                r#"{"content":"b"}"#,
                r#"{"reasoning_content":"c"}"#,
                &c(0, "f", "{}"),
            ],
            "start +0 thinking >a signature -0 +1 text >b -1 +2 thinking >c signature -2 +3 tool_use f >{} -3 \
             tool_use stop",
        ),
        (
            "both in one delta",
            &[r#"{"content":"b","reasoning_content":"a"}"#],
            "start +0 thinking >a signature -0 +1 text >b -1 end_turn stop",
        ),
        ("a refusal", &[r#"{"content":null,"refusal":"No."}"#], "start +0 text >No. -0 refusal stop"),
        (
            "half a surrogate pair waits for the other",
            &[
                r#"{"content":"a\ud83d"}"#,
                r#"{"content":"\ude00b"}"#,
                r#"{"content":"\ud83d"}"#,
                r#"{"reasoning_content":"x"}"#,
            ],
            "start +0 text >a >😀b >\u{fffd} -0 +1 thinking >x signature -1 end_turn stop",
        ),
    ];
    for (name, deltas, expected) in rows {
        check(name, deltas, expected);
    }
}

#[test]
fn what_comes_with_a_call_waits_until_it_is_whole() {
    let c = call;
    let rows: [(&str, &[&str], &str); 8] = [
        (
            "parallel calls",
            &[&c(0, "f", "{\"a\""), &more(0, ":1}"), &c(1, "g", ""), &more(1, "{}")],
            "start +0 tool_use f >{\"a\" >:1} -0 +1 tool_use g >{} -1 tool_use stop",
        ),
        (
            "interleaved calls",
            &[
                &c(0, "f", ""),
                &c(1, "g", ""),
                &more(1, "{\"b\":"),
                &more(0, "{\"a\":"),
                &more(1, "1"),
                &more(0, "2}"),
                &more(1, "}"),
            ],
            "start +0 tool_use f >{\"a\": >2} -0 +1 tool_use g >{\"b\":1 >} -1 tool_use stop",
        ),
        (
            "calls without arguments",
            &[&c(0, "f", ""), &c(1, "g", ""), &c(2, "h", "{\"c\":3}")],
            "start +0 tool_use f >{} -0 +1 tool_use g >{} -1 +2 tool_use h >{\"c\":3} -2 tool_use stop",
        ),
        (
            "text in the middle of a call",
            &[
                &c(0, "f", "{"),
                r#"{"content":"a"}"#,
                r#"{"content":"b"}"#,
                &more(0, "}"),
                r#"{"content":"c"}"#,
            ],
            "start +0 tool_use f >{ >} -0 +1 text >ab >c -1 tool_use stop",
        ),
        (
            "text and calls behind a call that is never whole",
            &[
                &c(0, "f", "{"),
                r#"{"content":"a"}"#,
                &c(1, "g", "{}"),
                r#"{"reasoning_content":"b"}"#,
                r#"{"content":"c"}"#,
                &more(1, " "),
            ],
            "start +0 tool_use f >{ -0 +1 text >a -1 +2 tool_use g >{}  -2 +3 thinking >b signature -3 +4 text >c -4 \
             tool_use stop",
        ),
        (
            "more behind the end of a call",
            &[&c(0, "f", "{}"), r#"{"content":"a"}"#, &more(0, "\n"), r#"{"content":"b"}"#],
            "start +0 tool_use f >{} -0 +1 text >a >b -1 tool_use stop",
        ),
        (
            "arguments that are no object",
            &[&c(0, "f", "[1,"), &more(0, "\"a\"]")],
            "start +0 tool_use f >{\"arguments\":\"[1, >\\\"a\\\"] >\"} -0 tool_use stop",
        ),
        (
            "a custom call",
            &[r#"{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"f","input":"x\n"}}]}"#],
            "start +0 tool_use f >{\"input\":\"x\\n >\"} -0 tool_use stop",
        ),
    ];
    for (name, deltas, expected) in rows {
        check(name, deltas, expected);
    }
}

#[test]
fn field_12_the_signature_is_of_the_text_and_repeats_none_of_it() {
    let deltas = [
        r#"{"reasoning_content":"Let me "}"#,
        r#"{"reasoning_content":"think.\n"}"#,
        r#"{"content":"Yes."}"#,
    ];
    let stream = stream_of(&deltas, &finish("stop"));
    for (thinking, shown, signed) in [
        (ShownThinking::Summarized, Some("Let me think.\n"), Some(Signed::Shown)),
        (ShownThinking::Omitted, Some(""), Some(Signed::Omitted(b"Let me think.\\n".to_vec()))),
        (ShownThinking::Hidden, None, None),
    ] {
        for seal_of_request in [Some(seal()), None] {
            let has_seal = seal_of_request.is_some();
            let (_, output) = run(converter(thinking, seal_of_request.clone(), Output::Stream), &stream);
            let events = events(&output);
            let deltas: Vec<&Value> = events.iter().map(|event| &event["delta"]).collect();
            let said: String = deltas.iter().filter_map(|delta| delta["thinking"].as_str()).collect();
            let signatures: Vec<&str> =
                deltas.iter().filter_map(|delta| delta["signature"].as_str()).collect();
            assert_eq!(said, shown.unwrap_or_default());
            assert_eq!(signatures.len(), usize::from(shown.is_some() && has_seal));
            let (_, whole) = run(converter(thinking, seal_of_request, Output::Whole), &stream);
            let whole: Value = serde_json::from_str(&whole).unwrap();
            let block = &whole["content"][0];
            if let Some(shown) = shown {
                assert_eq!(block["type"], "thinking");
                assert_eq!(block["thinking"], shown);
                assert_eq!(block["signature"].as_str().unwrap().is_empty(), !has_seal);
            } else {
                assert_eq!(block["type"], "text");
            }
            let escaped = shown.unwrap_or_default().replace('\n', "\\n");
            for signature in signatures.into_iter().chain(block["signature"].as_str().filter(|_| has_seal)) {
                let read = Signed::read(&seal(), signature.as_bytes(), escaped.as_bytes());
                assert_eq!(read, signed, "{thinking:?}");
            }
        }
    }
}

#[test]
fn every_finish_reason_has_its_stop_reason() {
    let met = |stop_reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"stop_reason\":{stop_reason},\"finish_reason\":\"stop\"}}]}}\n\n"
        )
    };
    let text = r#"{"content":"a"}"#;
    let call = call(0, "f", "{");
    let rows: [(&str, &[&str], String, &str, Value); 11] = [
        ("stop", &[text], finish("stop"), "end_turn", Value::Null),
        ("length", &[text], finish("length"), "max_tokens", Value::Null),
        ("length in a call", &[&call], finish("length"), "max_tokens", Value::Null),
        ("calls", &[&call], finish("tool_calls"), "tool_use", Value::Null),
        ("stop with calls", &[&call], finish("stop"), "tool_use", Value::Null),
        ("calls without any", &[text], finish("tool_calls"), "end_turn", Value::Null),
        ("a filter", &[text], finish("content_filter"), "refusal", Value::Null),
        ("an unknown one", &[text], finish("whim"), "end_turn", Value::Null),
        ("a stop sequence", &[text], met("\"E\\u004eD\""), "stop_sequence", json!("END")),
        ("one that nobody asked for", &[text], met("\"other\""), "end_turn", Value::Null),
        ("a token", &[text], met("151643"), "end_turn", Value::Null),
    ];
    for (name, deltas, end, reason, sequence) in rows {
        let stream = stream_of(deltas, &end);
        let (_, output) = run(converter(SHOWN, None, Output::Stream), &stream);
        let delta = &events(&output).iter().rev().nth(1).unwrap()["delta"].clone();
        let (_, whole) = run(converter(SHOWN, None, Output::Whole), &stream);
        let whole: Value = serde_json::from_str(&whole).unwrap();
        for told in [delta, &whole] {
            assert_eq!((&told["stop_reason"], &told["stop_sequence"]), (&json!(reason), &sequence), "{name}");
        }
    }
}

#[test]
fn usage_counts_cached_tokens_once() {
    for (usage, expected) in [
        ("null", [7, 0, 0]),
        (r#"{"prompt_tokens":10,"completion_tokens":3}"#, [10, 0, 3]),
        (r#"{"prompt_tokens":10,"completion_tokens":3,"prompt_cache_hit_tokens":4}"#, [6, 4, 3]),
        (r#"{"prompt_tokens":10,"cached_tokens":12,"reasoning_tokens":2}"#, [0, 12, 0]),
        (r#"{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":3}"#, [10, 4, 3]),
    ] {
        let end = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n{}", finish("stop"));
        let stream = stream_of(&[r#"{"content":"a"}"#], &end);
        let (_, output) = run(converter(SHOWN, None, Output::Stream), &stream);
        let (_, whole) = run(converter(SHOWN, None, Output::Whole), &stream);
        let whole: Value = serde_json::from_str(&whole).unwrap();
        for told in [events(&output).iter().rev().nth(1).unwrap(), &whole] {
            let counts = ["input_tokens", "cache_read_input_tokens", "output_tokens"]
                .map(|name| told["usage"][name].as_u64().unwrap());
            assert_eq!(counts, expected, "{usage}");
            let details = &told["usage"]["output_tokens_details"];
            assert_eq!(details.is_null(), !usage.contains("reasoning"), "{usage}");
            assert!(details.is_null() || *details == json!({"thinking_tokens": 2}));
        }
    }
}

/// Case 52 of the battery: a stream that breaks in any state ends with an error, and never as if it were complete.
#[test]
fn a_stream_broken_in_each_of_its_states_is_an_error() {
    let thinking = r#"{"reasoning_content":"a"}"#;
    let text = r#"{"content":"b"}"#;
    let call = call(0, "f", "{");
    let rows: [(&str, &[&str], &str); 6] = [
        ("before its start", &[], ""),
        ("behind the first chunk", &[r#"{"role":"assistant"}"#], "start "),
        ("in thinking", &[thinking], "start +0 thinking >a "),
        ("in text", &[thinking, text], "start +0 thinking >a signature -0 +1 text >b "),
        ("in a call", &[text, &call], "start +0 text >b -0 +1 tool_use f >{ "),
        ("while something waits", &[&call, text], "start +0 tool_use f >{ "),
    ];
    for (name, deltas, expected) in rows {
        let stream = stream_of(deltas, "");
        for (kind, error) in [
            (StreamErrorKind::Reset, "api_error"),
            (StreamErrorKind::IdleTimeout, "timeout_error"),
            (StreamErrorKind::Draining, "overloaded_error"),
        ] {
            let mut converter = converter(SHOWN, Some(seal()), Output::Stream);
            let mut output = Vec::new();
            converter.feed(Some(stream.as_bytes()), &mut output);
            converter.break_off(StreamError::new(kind), &mut output);
            let output = String::from_utf8(output).unwrap();
            assert_eq!(briefly(&output), format!("{expected}{error}!"), "{name}");
        }
        let ends = [
            ("a clean end without a finish", String::new(), "api_error"),
            (
                "an error event",
                "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n".to_owned(),
                "rate_limit_error",
            ),
            ("no JSON", "data: {\n\n".to_owned(), "api_error"),
        ];
        for (end, bytes, error) in ends {
            let (state, output) =
                run(converter(SHOWN, Some(seal()), Output::Stream), &(stream.clone() + &bytes));
            assert_eq!(state, StreamState::Failed);
            assert_eq!(briefly(&output), format!("{expected}{error}!"), "{name}, {end}");
            let (state, output) =
                run(converter(SHOWN, Some(seal()), Output::Whole), &(stream.clone() + &bytes));
            assert_eq!((state, &output[..]), (StreamState::Failed, ""), "{name}, {end}, whole");
        }
    }
}

#[test]
fn an_error_says_what_the_upstream_said_and_for_which_request() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
                  data: {\"error\":{\"message\":\"Too \\\"much\\\"\",\"status\":503}}\n\n";
    let (_, output) = run(converter(SHOWN, None, Output::Stream), stream);
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Too \"much\""},
        "request_id": "req_1"});
    assert_eq!(events(&output).last(), Some(&error));
}

#[test]
fn the_end_of_a_whole_answer_is_as_much_work_as_the_answer() {
    let stream = stream_of(&[r#"{"content":"a"}"#], "");
    for (output, expected) in [(Output::Stream, 0), (Output::Whole, 2 * stream.len())] {
        let mut converter = converter(SHOWN, None, output);
        for _ in 0..2 {
            converter.feed(Some(stream.as_bytes()), &mut Vec::new());
        }
        assert_eq!(converter.backlog_bytes(), expected, "{output:?}");
    }
}

#[test]
fn what_waits_has_a_cap() {
    let long = "x".repeat(MAX_WAITING_BYTES / 4);
    let text = json!({ "content": long }).to_string();
    let behind = call(1, "g", &long);
    let first = call(0, "f", "{");
    for (name, deltas, fits) in [
        ("text", vec![&first, &text, &text, &text], true),
        ("more text", vec![&first, &text, &text, &text, &text], false),
        ("a call", vec![&first, &behind, &text, &text], true),
        ("a call and more text", vec![&first, &behind, &text, &text, &text], false),
    ] {
        let deltas: Vec<&str> = deltas.into_iter().map(String::as_str).collect();
        let stream = stream_of(&deltas, &finish("stop"));
        for output in [Output::Stream, Output::Whole] {
            let (state, output) = run(converter(SHOWN, None, output), &stream);
            assert_eq!(state == StreamState::Done, fits, "{name}");
            assert!(fits || !output.contains("message_stop"), "{name}");
        }
    }
    let frees = [&first[..], &text, &text, &more(0, "}"), &call(1, "g", "{"), &text, &text, &text];
    let (state, _) = run(converter(SHOWN, None, Output::Stream), &stream_of(&frees, &finish("stop")));
    assert_eq!(state, StreamState::Done, "what has come out does not count");
}

mod properties {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// One delta: of text, of thinking, or of one of three calls.
    fn delta() -> impl Strategy<Value = (u8, String)> {
        (0_u8..8, "[a-z{}\":1\\\\\n你😀]{0,6}")
    }

    fn stream(deltas: &[(u8, String)]) -> String {
        let mut begun = [false; 3];
        let written: Vec<String> = deltas
            .iter()
            .map(|(kind, text)| match kind {
                0 | 1 => json!({ "content": text }).to_string(),
                2 => json!({ "reasoning_content": text }).to_string(),
                3 => json!({ "content": text, "reasoning_content": "r" }).to_string(),
                kind => {
                    let index = usize::from(*kind % 3);
                    if std::mem::replace(&mut begun[index], true) {
                        more(index, text)
                    } else {
                        call(index, "f", if text.len() < 3 { "{}" } else { text })
                    }
                }
            })
            .collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        stream_of(&written, &finish("stop"))
    }

    proptest! {
        #[test]
        fn the_events_are_the_same_however_the_stream_is_cut(
            deltas in vec(delta(), 0..12),
            cuts in vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream = stream(&deltas);
            let (_, whole) = run(converter(SHOWN, None, Output::Stream), &stream);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut converter = converter(SHOWN, None, Output::Stream);
            let mut output = Vec::new();
            for piece in cuts.windows(2) {
                converter.feed(Some(&stream.as_bytes()[piece[0]..piece[1]]), &mut output);
            }
            converter.feed(None, &mut output);
            prop_assert_eq!(String::from_utf8(output).unwrap(), whole);
        }
    }
}
