//! Rows: a stream ⇒ the one answer it merges into.

use serde_json::{Value, json};

use super::*;

fn context() -> AnswerContext {
    AnswerContext { request_id: "req".into(), model: "m".into(), created_s: 7, ..AnswerContext::default() }
}

fn merge(chunks: &[&[u8]]) -> Result<Vec<u8>, StreamError> {
    let mut merger = Merger::new(context(), SseLimits::default());
    for chunk in chunks {
        merger.feed(chunk);
    }
    merger.finish();
    merger.into_completion()
}

/// Merge these payloads, as one piece and cut at every byte.
fn merged(payloads: &[&str]) -> Result<Value, StreamError> {
    let stream = payloads.iter().fold(String::new(), |stream, payload| stream + "data: " + payload + "\n\n");
    let whole = merge(&[stream.as_bytes()]);
    for cut in 0..stream.len() {
        assert_eq!(merge(&[&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]]), whole, "cut at {cut}");
    }
    whole.map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

fn delta(delta: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"real","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

fn finish(reason: &str) -> String {
    delta("{}").replace("\"finish_reason\":null", &format!("\"finish_reason\":\"{reason}\""))
}

/// The message that these deltas merge into.
fn message(deltas: &[&str], reason: &str) -> Value {
    let mut payloads: Vec<String> = deltas.iter().map(|text| delta(text)).collect();
    payloads.push(finish(reason));
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    merged(&payloads).unwrap()["choices"][0]["message"].clone()
}

#[test]
fn messages() {
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    for (name, deltas, reason, expected) in [
        (
            "content; reasoning goes",
            &[
                r#"{"role":"assistant","content":""}"#,
                r#"{"reasoning_content":"hm"}"#,
                r#"{"content":"a\n"}"#,
                r#"{"content":"b"}"#,
            ][..],
            "stop",
            json!({"role": "assistant", "content": "a\nb", "refusal": null}),
        ),
        (
            "no content",
            &[r#"{"role":"assistant"}"#],
            "stop",
            json!({"role": "assistant", "content": "", "refusal": null}),
        ),
        (
            "a pair of surrogates, cut between its halves",
            &[r#"{"content":"\ud83d"}"#, r#"{"content":"\ude00"}"#],
            "stop",
            json!({"role": "assistant", "content": "😀", "refusal": null}),
        ),
        (
            "tool calls alone",
            &[
                r#"{"content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}},{"index":0,"function":{"arguments":"{\"x\":"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#,
            ],
            "tool_calls",
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]}),
        ),
        (
            "tool calls beside content, from an upstream with other rules",
            &[r#"{"content":"so"}"#, r#"{"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}"#],
            "tool_calls",
            json!({"role": "assistant", "content": "so", "refusal": null, "tool_calls": [call("call_req_0_0", "f", "{\"x\":1}")]}),
        ),
        (
            "escaped keys",
            &[
                r#"{"cont\u0065nt":"a"}"#,
                r#"{"tool_calls":[{"ind\u0065x":0,"\u0069d":"a","function":{"n\u0061me":"f","argument\u0073":"{}"}}]}"#,
            ],
            "tool_calls",
            json!({"role": "assistant", "content": "a", "refusal": null, "tool_calls": [call("a", "f", "{}")]}),
        ),
        (
            "a refusal",
            &[r#"{"content":null,"refusal":"n"}"#, r#"{"refusal":"o"}"#],
            "stop",
            json!({"role": "assistant", "content": null, "refusal": "no"}),
        ),
        (
            "members without a rule",
            &[
                r#"{"annotations":[]}"#,
                r#"{"annotations":[1, 2],"channel":"x"}"#,
                r#"{"annotations":[3],"channel":"y"}"#,
                r#"{"channel":null}"#,
            ],
            "stop",
            json!({"role": "assistant", "content": "", "refusal": null, "annotations": [1, 2, 3], "channel": "y"}),
        ),
        (
            "the API before tools",
            &[r#"{"function_call":{"name":"f","arguments":"{"}}"#, r#"{"function_call":{"arguments":"}"}}"#],
            "function_call",
            json!({"role": "assistant", "content": null, "refusal": null, "function_call": {"name": "f", "arguments": "{}"}}),
        ),
    ] {
        assert_eq!(message(deltas, reason), expected, "{name}");
    }
}

#[test]
fn the_whole_answer() {
    let merged = merged(&[
        r#"{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[1]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":5,"model":"real","system_fingerprint":"x","choices":[{"index":1,"delta":{"content":"b"},"logprobs":{"content":[{"t":1}],"refusal":null},"finish_reason":"length"}],"usage":{"prompt_tokens":1},"obfuscation":"zz"}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":5,"model":"real","service_tier":null,"choices":[{"delta":{"content":"a"},"index":0,"logprobs":null,"finish_reason":"stop","stop_reason":7},{"index":1,"delta":{},"logprobs":{"content":[{"t":2}, {"t":3}]},"finish_reason":null}],"usage":{"prompt_tokens":2}}"#,
    ])
    .unwrap();
    assert_eq!(
        merged,
        json!({
            "id": "c", "object": "chat.completion", "created": 5, "model": "real",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "a", "refusal": null}, "logprobs": null, "finish_reason": "stop", "stop_reason": 7},
                {"index": 1, "message": {"role": "assistant", "content": "b", "refusal": null}, "logprobs": {"content": [{"t": 1}, {"t": 2}, {"t": 3}], "refusal": null}, "finish_reason": "length"},
            ],
            "usage": {"prompt_tokens": 2},
            "prompt_filter_results": [1], "system_fingerprint": "x",
        })
    );
}

#[test]
fn what_an_upstream_does_not_say_is_filled_in() {
    let merged = merged(&[r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#]).unwrap();
    assert_eq!(
        (&merged["id"], &merged["model"], &merged["created"]),
        (&json!("req"), &json!("m"), &json!(7))
    );
    assert!(merged.get("usage").is_none(), "usage is never invented");
}

#[test]
fn a_stream_that_is_no_success_is_no_answer() {
    for (name, payloads, kind) in [
        ("no finish", vec![delta(r#"{"content":"a"}"#)], StreamErrorKind::Truncated),
        (
            "an error",
            vec![delta(r#"{"content":"a"}"#), r#"{"error":{"message":"no luck","code":429}}"#.to_owned()],
            StreamErrorKind::ErrorEvent,
        ),
        ("no JSON", vec!["oops".to_owned()], StreamErrorKind::InvalidEvent),
    ] {
        let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
        assert_eq!(merged(&payloads).unwrap_err().kind, kind, "{name}");
    }
    let mut unfinished = Merger::new(context(), SseLimits::default());
    unfinished.feed(format!("data: {}\n\n", delta("{}")).as_bytes());
    assert_eq!(unfinished.into_completion().unwrap_err().kind, StreamErrorKind::Truncated);
}
