use super::key::*;
use crate::answer::completion;
use crate::answer::context::AnswerContext;
use crate::answer::merge::Merger;
use crate::answer::stream::Transformer;
use crate::answer::summary::Summary;
use crate::answer::think::ReasoningTags;
use crate::sse::SseLimits;

fn context() -> AnswerContext {
    AnswerContext {
        request_id: "req".into(),
        model: "m".into(),
        keep_reasoning: true,
        ..AnswerContext::default()
    }
}

fn turn(id: &str, name: &str, arguments: &str, reasoning: &str) -> Turn {
    let call = FirstCall { id: id.into(), name: name.into(), arguments: arguments.into() };
    Turn { said: Said::Call(call), reasoning: Some(reasoning.into()) }
}

fn spoken(text: &str, reasoning: &str) -> Turn {
    Turn { said: Said::text(text.as_bytes()), reasoning: Some(reasoning.into()) }
}

fn stream(deltas: &[&str]) -> String {
    let chunk = |delta: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    deltas.iter().map(chunk).collect::<String>() + end
}

fn transformed(context: &AnswerContext, stream: &[u8], cut: usize) -> Summary {
    let mut transformer = Transformer::new(context.clone(), false, SseLimits::default());
    let mut output = Vec::new();
    for piece in [&stream[..cut], &stream[cut..]] {
        transformer.feed(piece, &mut output);
    }
    transformer.finish(&mut output);
    transformer.summary().clone()
}

const CALL: &str = r#"{"tool_calls":[{"index":0,"id":"call_0123456789","type":"function","function":{"name":"f","arguments":""}}]}"#;

#[test]
fn a_stream_s_reasoning_is_gathered_however_it_is_cut() {
    let by_name = CALL.replace("call_0123456789", "f:0");
    let second = CALL.replace("\"index\":0", "\"index\":1").replace("456789", "456780");
    let arguments = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}"#;
    let more = r#"{"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}"#;
    let reasons = [
        r#"{"role":"assistant","reasoning_content":""}"#,
        r#"{"reasoning_content":"one "}"#,
        r#"{"reasoning_content":"two\u4f60"}"#,
        r#"{"reasoning_content":" \"three\""}"#,
    ];
    let raw = r#"one two\u4f60 \"three\""#;
    for (name, deltas, expected) in [
        (
            "reasoning, then a call",
            [&reasons[..], &[CALL]].concat(),
            vec![turn("call_0123456789", "f", "", raw)],
        ),
        (
            "an id that comes again: its arguments too",
            [&reasons[..], &[&by_name, arguments, more]].concat(),
            vec![turn("f:0", "f", r#"{"a": 1}"#, raw)],
        ),
        (
            "two calls: the first",
            [&reasons[..], &[CALL, &second]].concat(),
            vec![turn("call_0123456789", "f", "", raw)],
        ),
        (
            "content between",
            vec![reasons[1], r#"{"content":"a"}"#, r#"{"content":"b"}"#, reasons[1], CALL],
            vec![turn("call_0123456789", "f", "", "one one ")],
        ),
        (
            "another name, and a call without an id",
            vec![r#"{"reasoning":"hm"}"#, r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}"#],
            vec![turn("call_req_0_0", "f", "", "hm")],
        ),
        ("no reasoning", vec![CALL], vec![]),
        ("no call", reasons.to_vec(), vec![spoken("", raw)]),
        (
            "text",
            [
                &reasons[..],
                &[r#"{"content":"One, "}"#, r#"{"content":"two.\ud83d"}"#, r#"{"content":"\ude00"}"#],
            ]
            .concat(),
            vec![spoken("One, two.\\ud83d\\ude00", raw)],
        ),
        (
            "text before the reasoning, and letter by letter",
            vec![r#"{"content":"O"}"#, r#"{"content":"K"}"#, r#"{"content":"."}"#, reasons[1], reasons[1]],
            vec![spoken("OK.", "one one ")],
        ),
    ] {
        let stream = stream(&deltas);
        for cut in 0..=stream.len() {
            let summary = transformed(&context(), stream.as_bytes(), cut);
            assert_eq!(summary.turns, expected, "{name}, cut at {cut}");
        }
        let mut merger = Merger::new(context(), SseLimits::default());
        merger.feed(stream.as_bytes());
        assert_eq!(merger.summary().turns, expected, "{name}, merged");
        let off = AnswerContext { keep_reasoning: false, ..context() };
        assert_eq!(transformed(&off, stream.as_bytes(), 0).turns, vec![], "{name}, not wanted");
    }
}

#[test]
fn inline_reasoning_counts_as_well() {
    let context = AnswerContext { reasoning_tags: ReasoningTags::Think, ..context() };
    let stream = stream(&[r#"{"content":"<think>h"}"#, r#"{"content":"m</think>x"}"#, CALL]);
    for cut in 0..=stream.len() {
        let summary = transformed(&context, stream.as_bytes(), cut);
        assert_eq!(summary.turns, [turn("call_0123456789", "f", "", "hm")], "cut at {cut}");
    }
    let text = stream.replace(CALL, "{}");
    for cut in 0..=text.len() {
        let summary = transformed(&context, text.as_bytes(), cut);
        assert_eq!(summary.turns, [spoken("x", "hm")], "text, cut at {cut}");
    }
    let whole = r#"{"choices":[{"message":{"content":"<think>hm</think>x"}}]}"#;
    assert_eq!(completion::clean(whole.as_bytes(), &context).unwrap().summary.turns, [spoken("x", "hm")]);
}

#[test]
fn choices_are_kept_apart() {
    let of = |index: u32, delta: &str, finish: &str| {
        format!(r#"{{"index":{index},"delta":{delta},"finish_reason":{finish}}}"#)
    };
    let other = CALL.replace("456789", "456780");
    let mut stream = String::new();
    for choices in [
        [of(0, r#"{"reasoning_content":"a"}"#, "null"), of(1, r#"{"reasoning_content":"b"}"#, "null")],
        [of(1, r#"{"reasoning_content":"B"}"#, "null"), of(0, r#"{"reasoning_content":"A"}"#, "null")],
        [of(0, CALL, "\"tool_calls\""), of(1, &other, "\"tool_calls\"")],
    ] {
        stream += &["data: {\"choices\":[", &choices.join(","), "]}\n\n"].concat();
    }
    stream += "data: [DONE]\n\n";
    let expected = [turn("call_0123456789", "f", "", "aA"), turn("call_0123456780", "f", "", "bB")];
    assert_eq!(transformed(&context(), stream.as_bytes(), 0).turns, expected);
}

#[test]
fn a_stream_that_breaks_leaves_what_came_of_it() {
    for (name, delta, expected) in [
        ("a text", r#"{"content":"One, "}"#, spoken("One, ", "hm")),
        ("a call", CALL, turn("call_0123456789", "f", "", "hm")),
    ] {
        let stream = stream(&[r#"{"reasoning_content":"hm"}"#, delta]);
        let broken = &stream[..stream.find("\"finish_reason\":\"").unwrap()];
        assert_eq!(transformed(&context(), broken.as_bytes(), 0).turns, [expected], "{name}");
    }
}

#[test]
fn what_is_too_long_is_not_kept_and_says_so() {
    let piece = format!(r#"{{"reasoning_content":"{}"}}"#, "x".repeat(MAX_KEPT_BYTES / 4));
    let at_most = stream(&[&piece, &piece, &piece, &piece, CALL]);
    let kept = transformed(&context(), at_most.as_bytes(), 0).turns;
    assert_eq!(kept[0].reasoning.as_ref().map(Vec::len), Some(MAX_KEPT_BYTES));
    let one_more = stream(&[&piece, &piece, &piece, &piece, r#"{"reasoning_content":"x"}"#, CALL]);
    let turns = transformed(&context(), one_more.as_bytes(), 0).turns;
    assert_eq!(turns, [Turn { reasoning: None, ..turn("call_0123456789", "f", "", "") }]);
}

#[test]
fn a_whole_answer_is_kept_under_what_its_client_sees() {
    let whole =
        |message: &str| format!(r#"{{"choices":[{{"message":{message},"finish_reason":"tool_calls"}}]}}"#);
    let calls = r#""tool_calls":[{"id":"f:0","function":{"name":"f","arguments":{"a": 1}}}]"#;
    let anonymous = r#""tool_calls":[{"function":{"name":"f","arguments":"{}"}}]"#;
    for (name, message, expected) in [
        (
            "reasoning",
            format!(r#"{{"reasoning_content":"h\"m",{calls}}}"#),
            vec![turn("f:0", "f", r#"{"a": 1}"#, r#"h\"m"#)],
        ),
        (
            "another name",
            format!(r#"{{"reasoning":"hm",{calls}}}"#),
            vec![turn("f:0", "f", r#"{"a": 1}"#, "hm")],
        ),
        (
            "details",
            format!(r#"{{"reasoning_details":[{{"text":"h"}},{{"text":"m"}}],{calls}}}"#),
            vec![turn("f:0", "f", r#"{"a": 1}"#, "hm")],
        ),
        (
            "without an id",
            format!(r#"{{"reasoning":"hm",{anonymous}}}"#),
            vec![turn("call_req_0_0", "f", "{}", "hm")],
        ),
        ("no reasoning", format!(r#"{{"reasoning_content":"",{calls}}}"#), vec![]),
        (
            "no calls",
            r#"{"reasoning_content":"hm","content":"x\n y"}"#.to_owned(),
            vec![spoken("x y", "hm")],
        ),
        (
            "text in parts",
            r#"{"reasoning_content":"hm","content":[{"type":"text","text":"x "},{"type":"text","text":"y"}]}"#.to_owned(),
            vec![spoken("x y", "hm")],
        ),
        ("no text", r#"{"reasoning_content":"hm","content":null}"#.to_owned(), vec![spoken("", "hm")]),
    ] {
        let body = whole(&message);
        let summary = completion::clean(body.as_bytes(), &context()).unwrap().summary;
        assert_eq!(summary.turns, expected, "{name}");
        let off = AnswerContext { keep_reasoning: false, ..context() };
        assert_eq!(completion::clean(body.as_bytes(), &off).unwrap().summary.turns, [], "{name}");
    }
    let long = whole(&format!(r#"{{"reasoning":"{}",{calls}}}"#, "x".repeat(MAX_KEPT_BYTES + 1)));
    let summary = completion::clean(long.as_bytes(), &context()).unwrap().summary;
    assert_eq!(summary.turns[0].reasoning, None);
}

#[test]
fn ids_that_come_again() {
    for (id, name, unique) in [
        ("call_0123456789abcdef", "f2", true),
        ("call_00_k2jXb7", "get_weather", true),
        ("chatcmpl-tool-8f1c", "get_weather", true),
        ("D681PevKs", "get_weather", true),
        ("get_weather:0", "get_weather", false),
        ("functions.get_weather:12", "get_weather", false),
        ("call_1", "get_weather", false),
        ("tool_call_12", "get_weather", false),
        ("function-call:007", "get_weather", false),
        ("call_0_1", "get_weather", false),
        ("tool_call_1234", "get_weather", true),
        ("toolu_01AbC_7", "get_weather", true),
        ("", "get_weather", false),
        ("call_0123456789abcdef", "", true),
    ] {
        let call = FirstCall { id: id.into(), name: name.into(), arguments: String::new() };
        assert_eq!(call.has_unique_id(), unique, "{id} of {name}");
    }
}
