//! Rows: an upstream's whole answer ⇒ ours.

use super::*;
use crate::answer::usage::Usage;

fn context() -> AnswerContext {
    AnswerContext { request_id: "req".into(), model: "m".into(), created_s: 7, ..AnswerContext::default() }
}

const HEAD: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"real","choices":"#;

fn cleaned(body: &str) -> String {
    let cleaned = clean(body.as_bytes(), &context()).unwrap();
    let output = cleaned.body.map_or_else(|| body.to_owned(), |body| String::from_utf8(body).unwrap());
    let again = clean(output.as_bytes(), &context()).unwrap();
    assert_eq!(again.body, None, "cleaning is done once: {output}");
    output
}

/// An answer with this message.
fn answer(message: &str, finish_reason: &str) -> String {
    format!(r#"{HEAD}[{{"index":0,"message":{message},"finish_reason":{finish_reason}}}]}}"#)
}

#[test]
fn reasoning_goes_wherever_it_is() {
    let kept = r#""role":"assistant","content":"a""#;
    for (name, message, expected) in [
        ("reasoning_text and an opaque copy", r#","reasoning_text":"r","reasoning_opaque":"x""#, ""),
        ("thinking", r#","thinking":"r""#, ""),
        (
            "blocks",
            r#","thinking_blocks":[{"type":"thinking","thinking":"r","signature":"s"}],"x":1"#,
            r#","x":1"#,
        ),
        ("an object", r#","reasoning":{"text":"r"},"reasoning_content":"""#, ""),
        (
            "in the provider's object",
            r#","provider_specific_fields":{"reasoning":"r","x":1}"#,
            r#","provider_specific_fields":{"x":1}"#,
        ),
        (
            "in a list of the provider's",
            r#","model_extra":[{"type":"thinking","thinking":"r"},{"x":{"thinking_blocks":[{"thinking":"r"}]}}]"#,
            r#","model_extra":[{"x":{}}]"#,
        ),
        (
            "a signature that the next turn needs",
            r#","extra_content":{"google":{"thought_signature":"s"}}"#,
            r#","extra_content":{"google":{"thought_signature":"s"}}"#,
        ),
    ] {
        let cleaned =
            clean(answer(&format!("{{{kept}{message}}}"), "\"stop\"").as_bytes(), &context()).unwrap();
        let output = cleaned.body.map(|body| String::from_utf8(body).unwrap());
        let expected = answer(&format!("{{{kept}{expected}}}"), "\"stop\"");
        assert_eq!(output.unwrap_or_else(|| expected.clone()), expected, "{name}");
        assert_eq!(cleaned.summary.reasoning_seen, !name.contains("signature"), "{name}");
    }
    let tokens = |tokens: &[&str]| {
        let items: Vec<String> =
            tokens.iter().map(|token| format!(r#"{{"token":"{token}","logprob":-0.5}}"#)).collect();
        format!(r#","logprobs":{{"content":[{}],"refusal":null}}"#, items.join(","))
    };
    let reasoned = |logprobs: &str| {
        answer(r#"{"role":"assistant","content":"a b","reasoning":"r"}"#, &format!("\"stop\"{logprobs}"))
    };
    let shown =
        |logprobs: &str| answer(r#"{"role":"assistant","content":"a b"}"#, &format!("\"stop\"{logprobs}"));
    for (before, after) in [
        (&["r", "a", " b"][..], &["a", " b"][..]),
        (&["<think>", "r", "</think>", "a", " b", "<|end|>"], &["a", " b", "<|end|>"]),
        (&["r", "x"], &[]),
    ] {
        assert_eq!(cleaned(&reasoned(&tokens(before))), shown(&tokens(after)));
        assert_eq!(cleaned(&shown(&tokens(before))), shown(&tokens(before)), "nothing was reasoned");
    }
    for (message, content) in [
        (r#"{"role":"assistant","content":"<think>\nr\n</think>\n\na","reasoning_content":"r"}"#, r"\n\na"),
        (
            r#"{"role":"assistant","content":"<think>x</think>a","reasoning_content":"r"}"#,
            "<think>x</think>a",
        ),
        (r#"{"role":"assistant","content":"<think>\n</think>a"}"#, r"<think>\n</think>a"),
    ] {
        let expected = format!(r#"{{"role":"assistant","content":"{content}"}}"#);
        assert_eq!(cleaned(&answer(message, "\"stop\"")), answer(&expected, "\"stop\""));
    }
    let around = |members: &str| answer(&format!("{{{kept}}}"), &format!("\"stop\"{members}"));
    for (members, expected) in [
        (
            r#","logprobs":{"content":[],"reasoning_content":[{"token":"r"}]}"#,
            r#","logprobs":{"content":[]}"#,
        ),
        (
            r#","reasoning":"r","provider_specific_fields":{"thinking":"r"}"#,
            r#","provider_specific_fields":{}"#,
        ),
    ] {
        assert_eq!(cleaned(&around(members)), around(expected));
    }
}

#[test]
fn tool_calls() {
    let message = |calls: &str| format!(r#"{{"role":"assistant","content":null,"tool_calls":[{calls}]}}"#);
    let text = r#"{"role":"assistant","content":""}"#;
    let custom = r#"{"id":"c","type":"custom","custom":{"name":"run","input":"1+1"}}"#;
    let function = r#"{"id":"f","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let nameless = r#"{"id":"n","type":"function","function":{"name":"","arguments":""}}"#;
    let foreign = r#"{"id":"m","type":"mcp","mcp":{"name":"x"}}"#;
    for (name, calls, expected) in [
        ("custom", custom.to_owned(), message(custom)),
        ("a kind that nobody knows", foreign.into(), message(foreign)),
        (
            "custom beside a function",
            format!("{custom},{function}"),
            message(&format!("{custom},{function}")),
        ),
        (
            "custom without a type",
            custom.replace(r#""type":"custom","#, ""),
            message(r#"{"id":"c","custom":{"name":"run","input":"1+1"},"type":"custom"}"#),
        ),
        (
            "custom that calls itself a function",
            custom.replace(r#""type":"custom""#, r#""type":"function","function":null"#),
            message(custom),
        ),
        ("no input", custom.replace(r#","input":"1+1""#, ""), message(&custom.replace("1+1", ""))),
        (
            "another type of function",
            function.replace(r#""type":"function""#, r#""type":"builtin_function""#),
            message(&function.replace(r#""type":"function""#, r#""type":"builtin_function""#)),
        ),
        ("a nameless one among others", format!("{nameless},{function},{nameless}"), message(function)),
        ("nameless ones alone", format!("{nameless},{{}}"), text.into()),
    ] {
        assert_eq!(
            cleaned(&answer(&message(&calls), "\"length\"")),
            answer(&expected, "\"length\""),
            "{name}"
        );
    }
    for (calls, told, reason) in [
        (nameless, "\"tool_calls\"", "stop"),
        (nameless, "\"tool_use\"", "stop"),
        (nameless, "null", "stop"),
        (function, "null", "tool_calls"),
        (function, "\"stop\"", "tool_calls"),
        (function, "\"end_turn\"", "tool_calls"),
        (function, "\"length\"", "length"),
        (function, "\"content_filter\"", "content_filter"),
        (function, "\"of_tomorrow\"", "of_tomorrow"),
        (nameless, "\"stop\"", "stop"),
    ] {
        let cleaned: serde_json::Value =
            serde_json::from_str(&cleaned(&answer(&message(calls), told))).unwrap();
        assert_eq!(cleaned["choices"][0]["finish_reason"], reason, "{calls} {told}");
    }
}

#[test]
fn messages() {
    let call = r#"{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let with_call = |content: &str| format!(r#"{{"role":"assistant",{content}"tool_calls":[{call}]}}"#);
    for (name, message, expected) in [
        ("nothing to do", r#"{ "role":"assistant", "content":"\u0061" }"#.to_owned(), r#"{ "role":"assistant", "content":"\u0061" }"#.to_owned()),
        ("reasoning_content", r#"{"role":"assistant","reasoning_content":"hm","content":"a"}"#.into(), r#"{"role":"assistant","content":"a"}"#.into()),
        ("every kind of reasoning", r#"{"reasoning":"hm","role":"assistant","content":"a","reasoning_details":[{"text":"hm"}]}"#.into(), r#"{"role":"assistant","content":"a"}"#.into()),
        ("tool_calls null", r#"{"role":"assistant","content":"a","tool_calls":null}"#.into(), r#"{"role":"assistant","content":"a"}"#.into()),
        ("tool_calls empty", r#"{"role":"assistant","tool_calls":[],"content":"a"}"#.into(), r#"{"role":"assistant","content":"a"}"#.into()),
        ("content null without calls", r#"{"role":"assistant","content":null}"#.into(), r#"{"role":"assistant","content":""}"#.into()),
        ("content absent", r#"{"role":"assistant"}"#.into(), r#"{"role":"assistant","content":""}"#.into()),
        ("no role", r#"{"content":"a"}"#.into(), r#"{"content":"a","role":"assistant"}"#.into()),
        ("content as a list", r#"{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"a"}]}"#.into(), r#"{"role":"assistant","content":"a"}"#.into()),
        ("calls alone", with_call(r#""content":null,"#), with_call(r#""content":null,"#)),
        ("calls beside an empty content", with_call(r#""content":"","#), with_call(r#""content":null,"#)),
        ("calls beside a content", with_call(r#""content":"a","#), with_call(r#""content":"a","#)),
        ("calls without a content", with_call(""), format!(r#"{{"role":"assistant","tool_calls":[{call}],"content":null}}"#)),
        ("a refusal", r#"{"role":"assistant","content":null,"refusal":"no"}"#.into(), r#"{"role":"assistant","content":null,"refusal":"no"}"#.into()),
        ("a refusal without a content", r#"{"role":"assistant","refusal":"no"}"#.into(), r#"{"role":"assistant","refusal":"no","content":null}"#.into()),
        ("content null beside a member without a rule", r#"{"role":"assistant","content":null,"annotations":[1]}"#.into(), r#"{"role":"assistant","content":"","annotations":[1]}"#.into()),
        (
            "calls by other rules",
            r#"{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":{"x":1}}},{"id":"","type":"","function":{"name":"g"}}]}"#.into(),
            r#"{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"},"id":"call_req_0_0","type":"function"},{"id":"call_req_0_1","type":"function","function":{"name":"g","arguments":""}}]}"#.into(),
        ),
    ] {
        let reason =
            if expected.contains(r#""tool_calls":[{"#) { "\"tool_calls\"" } else { "\"stop\"" };
        assert_eq!(cleaned(&answer(&message, "\"stop\"")), answer(&expected, reason), "{name}");
    }
}

#[test]
fn inline_reasoning() {
    let context = AnswerContext { reasoning_tags: ReasoningTags::Think, ..context() };
    for (name, content, expected, reasoned) in [
        ("none", "\"a\\n\"", "\"a\\n\"", false),
        ("some", "\"<think>hm</think>\\n\\na\"", "\"\\n\\na\"", true),
        ("escaped", "\"\\u003cthink\\u003ehm\\u003c/think\\u003ea\"", "\"a\"", true),
        ("nothing else", "\"<think>hm\"", "\"\"", true),
        ("a sign", "\"1 < 2 \\u0041\"", "\"1 < 2 \\u0041\"", false),
        ("escapes stay", "\"<think>\\u4f60</think>\\u00e9\\/\"", "\"\\u00e9\\/\"", true),
        ("half of a pair of surrogates", "\"<think>x</think>\\ud83d\"", "\"\\ud83d\"", true),
        ("in a list", "[{\"type\":\"text\",\"text\":\"<think>hm</th\"},{\"text\":\"ink>a\"}]", "\"a\"", true),
        ("a list without", "[{\"type\":\"text\",\"text\":\"a\"}]", "\"a\"", false),
    ] {
        let body = answer(&format!(r#"{{"role":"assistant","content":{content}}}"#), "\"stop\"");
        let cleaned = clean(body.as_bytes(), &context).unwrap();
        let output = cleaned.body.map_or_else(|| body.clone(), |body| String::from_utf8(body).unwrap());
        assert_eq!(
            output,
            answer(&format!(r#"{{"role":"assistant","content":{expected}}}"#), "\"stop\""),
            "{name}"
        );
        assert_eq!(cleaned.summary.reasoning_seen, reasoned, "{name}");
    }
}

#[test]
fn finish_reasons() {
    let plain = r#"{"role":"assistant","content":"a"}"#;
    let calls = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}"#;
    for (message, told, expected) in [
        (plain, "\"length\"", "\"length\""),
        (plain, "\"content_filter\"", "\"content_filter\""),
        (plain, "\"end_turn\"", "\"stop\""),
        (plain, "\"\"", "\"stop\""),
        (plain, "null", "\"stop\""),
        (calls, "null", "\"tool_calls\""),
        (calls, "\"tool_use\"", "\"tool_calls\""),
    ] {
        assert_eq!(cleaned(&answer(message, told)), answer(message, expected), "{told}");
    }
    let absent = format!(r#"{HEAD}[{{"message":{plain}}}]}}"#);
    assert_eq!(
        cleaned(&absent),
        format!(r#"{HEAD}[{{"message":{plain},"finish_reason":"stop","index":0}}]}}"#)
    );
}

#[test]
fn top_level_members() {
    let choices = r#"[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]"#;
    assert_eq!(
        cleaned(&format!(r#"{{"choices":{choices},"error":null,"usage":{{"prompt_tokens":1}}}}"#)),
        format!(
            r#"{{"choices":{choices},"usage":{{"prompt_tokens":1}},"object":"chat.completion","id":"req","created":7,"model":"m"}}"#
        )
    );
    assert_eq!(
        cleaned(&format!(
            r#"{{"id":"","object":"x","created":null,"model":null,"choices":{choices},"x":1.0}}"#
        )),
        format!(
            r#"{{"id":"req","object":"chat.completion","created":7,"model":"m","choices":{choices},"x":1.0}}"#
        )
    );
}

#[test]
fn what_is_no_answer_is_an_error() {
    use StreamErrorKind as K;
    for (name, body, kind, status) in [
        ("an error", r#"{"error":{"message":"no luck","code":429},"choices":[]}"#, K::ErrorEvent, Some(429)),
        ("an error as a string", r#"{"error":"no luck"}"#, K::ErrorEvent, None),
        ("no choices", r#"{"id":"c","choices":[]}"#, K::InvalidEvent, None),
        ("another object", r#"{"id":"c"}"#, K::InvalidEvent, None),
        ("content of another type", r#"{"choices":[{"message":{"content":7}}]}"#, K::InvalidEvent, None),
        ("no message", r#"{"choices":[{"index":0}]}"#, K::InvalidEvent, None),
        ("no JSON", "<html>", K::InvalidEvent, None),
        ("a cut answer", r#"{"choices":[{"index":0,"message":{"content":"a"#, K::InvalidEvent, None),
        (
            "a broken generation",
            r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"error"}]}"#,
            K::ErrorEvent,
            None,
        ),
    ] {
        let error = clean(body.as_bytes(), &context()).unwrap_err();
        assert_eq!((error.kind, error.status), (kind, status), "{name}");
    }
    assert_eq!(clean(b"{\"choices\":\"\xff\"}", &context()).unwrap_err().kind, K::InvalidEvent);
}

#[test]
fn the_summary_says_what_was_seen() {
    let body = answer(r#"{"role":"assistant","content":"a","reasoning_content":"hm"}"#, "\"stop\"");
    let body =
        format!("{},\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}", &body[..body.len() - 1]);
    let summary = clean(body.as_bytes(), &context()).unwrap().summary;
    let usage = Usage { prompt_tokens: Some(1), completion_tokens: Some(2), ..Usage::default() };
    let expected = Summary {
        finish_reason: Some("stop".into()),
        id: Some("c".into()),
        model: Some("real".into()),
        usage: Some(usage),
        output_bytes: 3,
        metered_bytes: 0,
        reasoning_seen: true,
        frames: 1,
        complete: true,
        error: None,
        turns: Vec::new(),
    };
    assert_eq!(summary, expected);
    let empty = answer(r#"{"role":"assistant","content":"a","reasoning_content":""}"#, "\"stop\"");
    assert!(!clean(empty.as_bytes(), &context()).unwrap().summary.reasoning_seen);
}
