//! How much text came: each text once, escapes read, whatever became of the stream.

use super::*;
use crate::answer::completion::clean;
use crate::answer::think::ReasoningTags;

/// The count of a stream with these deltas, the same however it is cut.
fn counted(deltas: &[&str]) -> u64 {
    let frames: String = deltas.iter().map(|each| delta(each)).collect();
    let (_, ended) = run_every_way(&[&frames, &frame(FINISH), DONE].concat(), true);
    let (_, broken) = run_every_way(&frames, true);
    assert_eq!(ended.summary().output_bytes, broken.summary().output_bytes, "ended as well as broken off");
    ended.summary().output_bytes
}

#[test]
fn each_text_is_counted_once() {
    for (name, deltas, expected) in [
        ("nothing", &[r#"{"role":"assistant"}"#][..], 0),
        ("content", &[r#"{"content":"ab"}"#, r#"{"content":"c"}"#], 3),
        (
            "content in many chunks alike",
            &[r#"{"content":"a"}"#, r#"{"content":"b"}"#, r#"{"content":"cd"}"#, r#"{"content":"\n\u4f60"}"#],
            8,
        ),
        ("escapes", &[r#"{"content":"\"\\\u00e9"}"#], 4),
        ("a pair of surrogates that is cut", &[r#"{"content":"\ud83d"}"#, r#"{"content":"\ude00"}"#], 4),
        (
            "parts",
            &[r#"{"content":[{"type":"text","text":"ab"},{"type":"thinking","thinking":[{"text":"c"}]}]}"#],
            3,
        ),
        ("reasoning", &[r#"{"reasoning_content":"ab"}"#, r#"{"reasoning_content":"c","content":"d"}"#], 4),
        ("reasoning under two names", &[r#"{"reasoning":"ab","reasoning_content":"ab"}"#], 2),
        (
            "reasoning and its details",
            &[r#"{"reasoning":"ab","reasoning_details":[{"type":"reasoning.text","text":"ab"}]}"#],
            2,
        ),
        ("only details", &[r#"{"reasoning_details":[{"type":"reasoning.text","text":"ab"}]}"#], 2),
        ("a refusal", &[r#"{"refusal":"no"}"#, r#"{"refusal":"."}"#], 3),
        (
            "an old call",
            &[
                r#"{"function_call":{"name":"f","arguments":"{\"a\""}}"#,
                r#"{"function_call":{"arguments":":1}"}}"#,
            ],
            8,
        ),
        (
            "a call, whose name comes again and again",
            &[
                r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"fn","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"name":"fn","arguments":"{\"a\""}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#,
            ],
            9,
        ),
        (
            "arguments before the name",
            &[
                r#"{"tool_calls":[{"index":0,"id":"x","function":{"arguments":"{}"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"name":"fn"}}]}"#,
            ],
            4,
        ),
        (
            "arguments as an object",
            &[r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"fn","arguments":{"a":1}}}]}"#],
            9,
        ),
        (
            "a custom call",
            &[r#"{"tool_calls":[{"index":0,"id":"x","type":"custom","custom":{"name":"fn","input":"ab"}}]}"#],
            4,
        ),
        (
            "what is no text",
            &[r#"{"content":"a","annotations":[{"url":"long"}],"audio":{"data":"AAAA"}}"#],
            1,
        ),
    ] {
        assert_eq!(counted(deltas), expected, "{name}");
    }
}

#[test]
fn all_choices_are_counted() {
    let both = choices(
        r#"[{"index":0,"delta":{"content":"ab"},"finish_reason":null},{"index":1,"delta":{"content":"c"},"finish_reason":null}]"#,
    );
    assert_eq!(run_every_way(&both, true).1.summary().output_bytes, 3);
}

#[test]
fn inline_reasoning_is_counted_once_and_its_tags_are_not() {
    let context = AnswerContext { reasoning_tags: ReasoningTags::Think, ..context() };
    for (name, deltas, expected) in [
        (
            "inline",
            &[r#"{"content":"<think>ab"}"#, r#"{"content":"c</thi"}"#, r#"{"content":"nk>de"}"#][..],
            5,
        ),
        (
            "also in a field",
            &[
                r#"{"content":"<think>ab","reasoning_content":"ab"}"#,
                r#"{"content":"c</think>de","reasoning_content":"c"}"#,
            ],
            5,
        ),
    ] {
        let frames: String = deltas.iter().map(|each| delta(each)).collect();
        let stream = [&frames, &frame(FINISH), DONE].concat();
        let mut transformer = Transformer::new(context.clone(), true, SseLimits::default());
        let mut output = Vec::new();
        transformer.feed(stream.as_bytes(), &mut output);
        assert_eq!(transformer.summary().output_bytes, expected, "{name}");
        assert!(transformer.summary().complete);
    }
}

#[test]
fn whole_answers_are_counted_alike() {
    for (name, message, expected) in [
        ("content", r#"{"content":"ab\n\u4f60"}"#, 6),
        ("reasoning beside it", r#"{"content":"ab","reasoning_content":"cde","reasoning":"cde"}"#, 5),
        ("parts", r#"{"content":[{"type":"thinking","thinking":"abc"},{"type":"text","text":"d"}]}"#, 4),
        ("inline, and in a field", r#"{"content":"<think>abc</think>d","reasoning_content":"abc"}"#, 4),
        ("a refusal", r#"{"content":null,"refusal":"no"}"#, 2),
        (
            "calls",
            r#"{"content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"fn","arguments":"{\"a\":1}"}},{"function":{"name":"g","arguments":{"a":1}}}]}"#,
            9 + 8,
        ),
    ] {
        let body = format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#);
        assert_eq!(clean(body.as_bytes(), &context()).unwrap().summary.output_bytes, expected, "{name}");
    }
}
