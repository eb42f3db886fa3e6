//! How much text came in another API's own words.

use super::super::*;
use crate::answer::summary::Summary;
use crate::api::native::relay::Relay;
use crate::sse::SseLimits;

/// The account of a stream of these events, the same wherever it is cut in two.
fn streamed(api: Native, events: &[&str]) -> Summary {
    let stream = format!("data: {}\n\n", events.join("\n\ndata: "));
    let read = |pieces: [&[u8]; 2]| {
        let mut relay = Relay::new(api, AnswerContext::default(), SseLimits::default());
        for piece in pieces {
            relay.feed(Some(piece), &mut Vec::new());
        }
        relay.feed(None, &mut Vec::new());
        relay.summary().clone()
    };
    let whole = read([stream.as_bytes(), b""]);
    for cut in 0..stream.len() {
        assert_eq!(read([&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]]), whole, "cut at {cut}");
    }
    whole
}

fn whole(api: Native, body: &str) -> Summary {
    clean(api, body.as_bytes(), &AnswerContext::default()).unwrap().summary
}

#[test]
fn messages_count_what_their_deltas_say() {
    let events = [
        r#"{"type":"message_start","message":{"usage":{"input_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm\n"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQBAAAA"}}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"AAAA"}}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"ab"}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t","name":"fn","input":{}}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"server_tool_use","id":"s","name":"g","input":{}}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
        r#"{"type":"content_block_start","index":5,"content_block":{"type":"web_search_tool_result","content":[{"title":"not said"}]}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    for (count, expected) in
        [(1, 0), (3, 3), (6, 3), (7, 5), (9, 7), (10, 11), (11, 14), (12, 15), (13, 17), (15, 17)]
    {
        assert_eq!(streamed(Native::Messages, &events[..count]).output_bytes, expected, "{count} events");
    }
    let body = r#"{"type":"message","content":[{"type":"thinking","thinking":"hm\n","signature":"EqQB"},{"type":"text","text":"ab"},{"type":"tool_use","id":"t","name":"fn","input":{"a":1}},{"type":"server_tool_use","id":"s","name":"g","input":{}},{"type":"web_search_tool_result","content":[]}],"usage":{}}"#;
    assert_eq!(whole(Native::Messages, body).output_bytes, 17);
}

#[test]
fn field_b2_responses_count_each_text_once_whether_or_not_it_is_repeated() {
    let events = [
        r#"{"type":"response.created","response":{"id":"r"}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}"#,
        r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#,
        r#"{"type":"response.reasoning_summary_text.done","text":"hm"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"AAAA"}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.output_text.delta","delta":"a\u4f60","obfuscation":"xxxx"}"#,
        r#"{"type":"response.refusal.delta","delta":"no"}"#,
        r#"{"type":"response.output_text.done","text":"a\u4f60"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"a\u4f60"},{"type":"refusal","refusal":"no"}]}}"#,
        r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"fn","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
        r#"{"type":"response.audio.delta","delta":"AAAA"}"#,
        r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"fn","arguments":"{}"}}"#,
        r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","name":"fn","arguments":"{}"}]}}"#,
    ];
    for (count, expected) in
        [(2, 0), (3, 2), (5, 2), (7, 6), (8, 8), (10, 8), (11, 10), (12, 12), (14, 12), (15, 12)]
    {
        assert_eq!(streamed(Native::Responses, &events[..count]).output_bytes, expected, "{count} events");
    }
    let items = [events[0], events[4], events[9], events[13], events[14]];
    assert_eq!(streamed(Native::Responses, &items).output_bytes, 12, "an upstream without deltas");
    let output = r#"[{"type":"message","content":[{"type":"output_text","text":"abc"}]},{"type":"custom_tool_call","name":"g","input":"x"}]"#;
    let last =
        format!(r#"{{"type":"response.completed","response":{{"status":"completed","output":{output}}}}}"#);
    assert_eq!(streamed(Native::Responses, &[events[0], &last]).output_bytes, 5, "only the last event");
    let body = format!(r#"{{"object":"response","status":"completed","output":{output}}}"#);
    assert_eq!(whole(Native::Responses, &body).output_bytes, 5);
}

/// Failure B.3 of the field: what a cache had is apart in Anthropic's words, in both events of a stream.
#[test]
fn field_b3_the_prompt_of_a_native_stream_has_its_caches_in_it() {
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":1}}}"#;
    let zeros = r#"{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}"#;
    let all = r#"{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":3,"output_tokens":20}"#;
    for (name, start, usage, stops) in [
        ("at the start", start, r#"{"output_tokens":20}"#, true),
        ("at both", start, all, true),
        ("without the caches at the end", start, r#"{"input_tokens":10,"output_tokens":20}"#, true),
        ("at the end (MiniMax)", zeros, all, true),
        ("broken off behind it", start, all, false),
    ] {
        let delta =
            format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{usage}}}"#);
        let stop = r#"{"type":"message_stop"}"#;
        let events = [start, &delta, stop];
        let usage = streamed(Native::Messages, &events[..2 + usize::from(stops)]).usage.unwrap();
        let counts =
            (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, usage.cache_write_tokens);
        assert_eq!(counts, (Some(17), Some(20), Some(3), Some(4)), "{name}");
    }
    let body = format!(r#"{{"type":"message","content":[],"usage":{all}}}"#);
    let usage = whole(Native::Messages, &body).usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.cache_write_tokens), (Some(17), Some(4)), "whole");
}
