//! Rows: a body ⇒ what the upstream gets, or why it is refused; what an upstream sends ⇒ what the client gets.

use proptest::prelude::*;

use super::*;
use crate::answer::error::StreamErrorKind;
use crate::answer::stream::{StreamState, Transformer};
use crate::dialect::Dialect;
use crate::request::error::RequestErrorCode;
use crate::request::refused::Refuses;
use crate::request::{ThinkingModes, UpstreamStream};
use crate::sse::SseLimits;

fn route(drop: &[&str]) -> Route {
    Route {
        upstream_model: "m".into(),
        dialect: Dialect::EnableThinking,
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: true,
        upstream_stream: UpstreamStream::Always,
        drop: drop.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[test]
fn requests() {
    let rows = [
        ("nothing to change", r#"{"model":"m","prompt":"a"}"#, &[][..], r#"{"model":"m","prompt":"a"}"#),
        ("the model", r#"{"model": "x" , "prompt":"a"}"#, &[], r#"{"model": "m" , "prompt":"a"}"#),
        (
            "texts and tokens",
            r#"{"model":"m","prompt":["a",[1,2],3]}"#,
            &[],
            r#"{"model":"m","prompt":["a",[1,2],3]}"#,
        ),
        (
            "fields of this API, of servers, and of chat",
            r#"{"model":"m","prompt":"a","suffix":"\u0062","echo":true,"logprobs":1,"best_of":1e0,"tools":7,"enable_thinking":"x","thinking":[],"response_format":1,"messages":{},"stream_options":null}"#,
            &[],
            r#"{"model":"m","prompt":"a","suffix":"\u0062","echo":true,"logprobs":1,"best_of":1e0,"tools":7,"enable_thinking":"x","thinking":[],"response_format":1,"messages":{},"stream_options":null}"#,
        ),
        (
            "the gateway's own switch",
            r#"{"model":"m","llmgw_thinking":true,"prompt":"a"}"#,
            &[],
            r#"{"model":"m","prompt":"a"}"#,
        ),
        (
            "the same, null",
            r#"{"llmgw_thinking":null,"model":"m","prompt":"a"}"#,
            &[],
            r#"{"model":"m","prompt":"a"}"#,
        ),
        (
            "dropped",
            r#"{"model":"m","seed":1,"messages":[],"prompt":"a","x":2}"#,
            &["seed", "messages", "x", "model", "prompt"],
            r#"{"model":"m","prompt":"a"}"#,
        ),
        (
            "a stream",
            r#"{"model":"m","prompt":"a","stream":true}"#,
            &["stream", "stream_options"],
            r#"{"model":"m","prompt":"a","stream":true, "stream_options": {"include_usage": true}}"#,
        ),
        (
            "a stream with options",
            r#"{"model":"m","prompt":"a","stream":true,"stream_options":{"x":1,"include_usage":false}}"#,
            &[],
            r#"{"model":"m","prompt":"a","stream":true,"stream_options":{"x":1,"include_usage":true}}"#,
        ),
    ];
    for (name, body, drop, expected) in rows {
        let request = CompletionRequest::scan(body.as_bytes()).unwrap();
        let rewrite = request.splice(body.as_bytes(), &route(drop));
        let output = rewrite.body.map_or_else(
            || body.to_owned(),
            |pieces| {
                pieces.iter().map(|piece| str::from_utf8(piece.bytes(body.as_bytes())).unwrap()).collect()
            },
        );
        assert_eq!(output, expected, "{name}");
        let mode = if name.starts_with("a stream") {
            AnswerMode::Stream { include_usage: false }
        } else {
            AnswerMode::Plain
        };
        assert_eq!((rewrite.mode, rewrite.thinking, rewrite.restored), (mode, None, 0), "{name}");
    }
    let asked = br#"{"model":"x\u0079","prompt":"","stream":true,"stream_options":{"include_usage":true}}"#;
    let request = CompletionRequest::scan(asked).unwrap();
    assert_eq!((&request.model[..], request.stream, request.include_usage), ("xy", true, true));
    assert_eq!(request.splice(asked, &route(&[])).mode, AnswerMode::Stream { include_usage: true });
}

#[test]
fn refusals() {
    use RequestErrorCode::{DuplicateField, InvalidJson, InvalidType, MissingField, TooDeep};
    let nested = format!(r#"{{"model":"m","prompt":{}"#, "[".repeat(200));
    for (body, code, param, message) in [
        (r"{}", MissingField, Some("model"), "`model` is required."),
        (r#"{"model":"m"}"#, MissingField, Some("prompt"), "`prompt` is required."),
        (r#"{"model":"m","prompt":null}"#, MissingField, Some("prompt"), "`prompt` is required."),
        (
            r#"{"model":"m","messages":[{}]}"#,
            MissingField,
            Some("prompt"),
            "`prompt` is required; the body has `messages`, as chat completions do: POST /v1/chat/completions serves those.",
        ),
        (
            r#"{"model":"m","input":"a"}"#,
            MissingField,
            Some("prompt"),
            "`prompt` is required; the body has `input`, as bodies of embeddings (POST /v1/embeddings) and of the \
             Responses API (POST /v1/responses) do.",
        ),
        (r#"{"model":null,"prompt":"a"}"#, MissingField, Some("model"), "`model` is required."),
        (r#"{"model":1,"prompt":"a"}"#, InvalidType, Some("model"), "`model` must be a string."),
        (
            r#"{"model":"m","prompt":{}}"#,
            InvalidType,
            Some("prompt"),
            "`prompt` must be a string or an array.",
        ),
        (
            r#"{"model":"m","prompt":1}"#,
            InvalidType,
            Some("prompt"),
            "`prompt` must be a string or an array.",
        ),
        (
            r#"{"model":"m","prompt":"a","stream":"yes"}"#,
            InvalidType,
            Some("stream"),
            "`stream` must be a boolean.",
        ),
        (r#"{"model":"m","prompt":"a","seed":1.5}"#, InvalidType, Some("seed"), "`seed` must be an integer."),
        (
            r#"{"model":"m","prompt":"a","stop":[1]}"#,
            InvalidType,
            Some("stop[0]"),
            "`stop[0]` must be a string.",
        ),
        (
            r#"{"model":"m","prompt":"a","llmgw_thinking":1}"#,
            InvalidType,
            Some("llmgw_thinking"),
            "`llmgw_thinking` must be a boolean.",
        ),
        (
            r#"{"model":"m","prompt":"a","pr\u006fmpt":"b"}"#,
            DuplicateField,
            Some("prompt"),
            "`prompt` must not be given twice.",
        ),
        ("[]", InvalidType, None, "The request body must be a JSON object."),
        (&nested, TooDeep, None, "The request body is nested deeper than 128 levels."),
        (
            "{",
            InvalidJson,
            None,
            "The request body is not valid JSON: the input ends inside a value at byte 1.",
        ),
    ] {
        let error = CompletionRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, &error.message[..]), (code, message), "{body:.60}");
        if code != TooDeep {
            assert_eq!(error.param.as_deref(), param, "{body:.60}");
        }
    }
    let twice = br#"{"model":"m","prompt":"a","messages":1,"messages":2}"#;
    assert!(CompletionRequest::scan(twice).is_ok(), "not a field of this API");
}

fn context() -> AnswerContext {
    AnswerContext { request_id: "req".into(), model: "m".into(), created_s: 7, ..AnswerContext::default() }
}

fn run<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    include_usage: bool,
) -> (String, Transformer<TextChoice>) {
    let mut transformer = Transformer::with_rules(context(), include_usage, SseLimits::default());
    let mut output = Vec::new();
    for piece in pieces {
        transformer.feed(piece, &mut output);
    }
    transformer.finish(&mut output);
    (String::from_utf8(output).unwrap(), transformer)
}

fn run_every_way(input: &str, include_usage: bool) -> (String, Transformer<TextChoice>) {
    let whole = run([input.as_bytes()], include_usage);
    for cut in 0..input.len() {
        let (output, transformer) = run([&input.as_bytes()[..cut], &input.as_bytes()[cut..]], include_usage);
        assert_eq!(output, whole.0, "cut at {cut}");
        assert_eq!(transformer.summary(), whole.1.summary(), "cut at {cut}");
    }
    assert_eq!(run(input.as_bytes().chunks(1), include_usage).0, whole.0, "byte by byte");
    whole
}

const HEAD: &str = r#"{"id":"c","object":"text_completion","created":1,"model":"m","choices":"#;
const DONE: &str = "data: [DONE]\n\n";

fn frame(payload: &str) -> String {
    format!("data: {payload}\n\n")
}

/// A frame with these choices, and what else there is.
fn choices(choices: &str) -> String {
    frame(&format!("{HEAD}{choices}}}"))
}

fn text(text: &str) -> String {
    choices(&format!(r#"[{{"index":0,"text":"{text}","logprobs":null,"finish_reason":null}}]"#))
}

fn finish() -> String {
    choices(r#"[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}]"#)
}

fn error(message: &str) -> String {
    frame(&format!(
        r#"{{"error":{{"message":"{message}","type":"upstream_error","param":null,"code":"upstream_error"}}}}"#
    ))
}

#[test]
fn streams() {
    let changed = |from: &str, to: &str| (choices(from), choices(to));
    let same = |from: &str| changed(from, from);
    for (name, (input, expected)) in [
        ("text", same(r#"[{"index":0,"text":"a","logprobs":null,"finish_reason":null}]"#)),
        ("spelling", same(r#"[ {"text" : "\u0061\/","index":0 , "finish_reason":null,"x":1.50e+2} ]"#)),
        (
            "members of vLLM's",
            same(
                r#"[{"index":0,"text":"a","logprobs":{"tokens":["a"]},"finish_reason":null,"stop_reason":null,"prompt_logprobs":null}],"usage":null"#,
            ),
        ),
        (
            "reasoning under any name is nothing here",
            same(r#"[{"index":0,"text":"a","finish_reason":null,"reasoning":"b","reasoning_content":null}]"#),
        ),
        (
            "text null",
            changed(
                r#"[{"index":0,"text":null,"finish_reason":null}]"#,
                r#"[{"index":0,"text":"","finish_reason":null}]"#,
            ),
        ),
        (
            "no text, no finish_reason, no index",
            changed(
                r#"[{"logprobs":null}]"#,
                r#"[{"logprobs":null,"index":0,"text":"","finish_reason":null}]"#,
            ),
        ),
        (
            "finish_reason empty",
            changed(
                r#"[{"index":0,"text":"a","finish_reason":""}]"#,
                r#"[{"index":0,"text":"a","finish_reason":null}]"#,
            ),
        ),
        (
            "errors null",
            changed(
                r#"[{"index":0,"text":"a","finish_reason":null,"error":null}],"error":null"#,
                r#"[{"index":0,"text":"a","finish_reason":null}]"#,
            ),
        ),
        (
            "usage on a chunk",
            changed(
                r#"[{"index":0,"text":"a","finish_reason":null}],"usage":{"prompt_tokens":1}"#,
                r#"[{"index":0,"text":"a","finish_reason":null}]"#,
            ),
        ),
        (
            "what makes a chunk is missing",
            (
                frame(r#"{"choices":[{"index":0,"text":"a","finish_reason":null}]}"#),
                frame(
                    r#"{"choices":[{"index":0,"text":"a","finish_reason":null}],"object":"text_completion","id":"req","created":7,"model":"m"}"#,
                ),
            ),
        ),
        ("another object", (text("a").replace("text_completion", "completion"), text("a"))),
        ("an event of another kind", (frame(r#"{"type":"ping"}"#), String::new())),
        ("framing", (text("a").replace("data: ", ": hi\r\nid: 1\r\ndata:").replace('\n', "\r\n"), text("a"))),
        (
            "text alone, again and again",
            (text("a") + &text("\\n") + &text("你"), text("a") + &text("\\n") + &text("你")),
        ),
    ] {
        let input = [text("x"), input, finish(), DONE.to_owned()].concat();
        let expected = [text("x"), expected, finish(), DONE.to_owned()].concat();
        let (output, transformer) = run_every_way(&input, false);
        assert_eq!(output, expected, "{name}");
        assert_eq!(transformer.summary().finish_reason.as_deref(), Some("stop"), "{name}");
    }
}

#[test]
fn usage_comes_once_if_it_was_asked_for() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
    let riding = finish().replace("}\n", &format!(",\"usage\":{usage}}}\n"));
    let alone = choices("[]").replace("}\n", &format!(",\"usage\":{usage}}}\n"));
    for (name, input) in [
        ("with the finish (DeepSeek)", format!("{}{riding}{DONE}", text("a"))),
        ("alone (vLLM)", format!("{}{}{alone}{DONE}", text("a"), finish())),
        ("both", format!("{}{riding}{alone}{DONE}", text("a"))),
    ] {
        for asked in [false, true] {
            let (output, transformer) = run_every_way(&input, asked);
            let chunk = if asked { &alone[..] } else { "" };
            assert_eq!(output, format!("{}{}{chunk}{DONE}", text("a"), finish()), "{name}");
            let read = transformer.summary().usage.unwrap();
            assert_eq!((read.prompt_tokens, read.completion_tokens), (Some(3), Some(2)), "{name}");
        }
    }
}

#[test]
fn ends() {
    const TRUNCATED: &str = "The answer ended without a finish reason. Try again later.";
    const NO_COMPLETION: &str = "The upstream sent something that is no text completion.";
    use StreamErrorKind::{ErrorEvent, InvalidEvent, Truncated};
    let said = frame(r#"{"error":{"message":"no more","code":503}}"#);
    let other = choices(r#"[{"index":1,"text":"b","finish_reason":null}]"#);
    for (name, input, kind, message) in [
        ("nothing", String::new(), Truncated, TRUNCATED),
        ("no finish", [text("a"), DONE.to_owned()].concat(), Truncated, TRUNCATED),
        ("no finish, no [DONE]", text("a"), Truncated, TRUNCATED),
        ("one choice of two", [other, finish(), DONE.to_owned()].concat(), Truncated, TRUNCATED),
        ("an error", said.clone(), ErrorEvent, "no more"),
        ("an error midway", [text("a"), said].concat(), ErrorEvent, "no more"),
        ("an error event", "event: error\ndata: {\"message\":\"no more\"}\n\n".into(), ErrorEvent, "no more"),
        ("a bare line", "error: {\"message\":\"no more\"}\n".into(), ErrorEvent, "no more"),
        (
            "an error at a choice",
            choices(r#"[{"index":0,"text":"","finish_reason":null,"error":{"message":"no more"}}]"#),
            ErrorEvent,
            "no more",
        ),
        (
            "an error as a finish reason",
            choices(r#"[{"index":0,"text":"","finish_reason":"insufficient_system_resource"}]"#),
            ErrorEvent,
            "The upstream reported an error.",
        ),
        ("no JSON", frame("nonsense"), InvalidEvent, NO_COMPLETION),
        ("text that is none", choices(r#"[{"index":0,"text":1}]"#), InvalidEvent, NO_COMPLETION),
    ] {
        let (output, transformer) = run_every_way(&input, true);
        assert!(output.ends_with(&error(message)), "{name}: {output}");
        assert_eq!(transformer.error().map(|error| error.kind), Some(kind), "{name}");
        let shown = if input.starts_with(&text("a")) { text("a") } else { String::new() };
        assert!(name == "one choice of two" || output == shown + &error(message), "{name}: {output}");
    }
    for (from, to) in [("eos", "stop"), ("max_tokens", "length"), ("length", "length"), ("new", "new")] {
        let input = finish().replace("\"stop\"", &format!("\"{from}\""));
        let (output, transformer) = run_every_way(&input, false);
        assert_eq!(output, input.replace(from, to) + DONE);
        assert_eq!(transformer.summary().finish_reason.as_deref(), Some(to));
    }
    let several = [text("a"), choices(r#"[{"index":1,"text":"b","finish_reason":"length"}]"#), finish()];
    let (output, transformer) = run_every_way(&several.concat(), false);
    assert_eq!(output, several.concat() + DONE);
    assert_eq!(transformer.summary().frames, 3);
    let behind = [finish(), text(""), finish(), text("b")].concat();
    assert_eq!(run_every_way(&behind, false).0, [text("b"), finish(), DONE.to_owned()].concat());
}

#[test]
fn whole_answers() {
    let whole = |choices: &str| format!("{HEAD}{choices}}}");
    for (name, input, expected, reason) in [
        (
            "nothing to change",
            whole(r#"[{"text":"a","index":0,"logprobs":null,"finish_reason":"length"}],"usage":null"#),
            None,
            "length",
        ),
        (
            "no finish reason, no index",
            whole(r#"[{"text":"a"}]"#),
            Some(whole(r#"[{"text":"a","finish_reason":"stop","index":0}]"#)),
            "stop",
        ),
        (
            "another spelling, null text",
            whole(r#"[{"text":null,"index":0,"finish_reason":"eos_token"}],"error":null"#),
            Some(whole(r#"[{"text":"","index":0,"finish_reason":"stop"}]"#)),
            "stop",
        ),
        (
            "what makes a completion is missing",
            r#"{"choices":[{"text":"a","index":0,"finish_reason":"stop"}]}"#.into(),
            Some(
                r#"{"choices":[{"text":"a","index":0,"finish_reason":"stop"}],"object":"text_completion","id":"req","created":7,"model":"m"}"#
                    .into(),
            ),
            "stop",
        ),
    ] {
        let cleaned = clean(input.as_bytes(), &context()).unwrap();
        assert_eq!(cleaned.body.map(|body| String::from_utf8(body).unwrap()), expected, "{name}");
        assert_eq!(cleaned.summary.finish_reason.as_deref(), Some(reason), "{name}");
    }
    let usage = whole(r#"[{"text":"","index":0,"finish_reason":"stop"}],"usage":{"completion_tokens":9}"#);
    let summary = clean(usage.as_bytes(), &context()).unwrap().summary;
    assert_eq!(summary.usage.and_then(|usage| usage.completion_tokens), Some(9));
    for (input, kind, message) in [
        (
            whole("[]"),
            StreamErrorKind::InvalidEvent,
            "The upstream sent something that is no text completion.",
        ),
        (
            whole(r#"[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]"#),
            StreamErrorKind::InvalidEvent,
            "The upstream sent something that is no text completion.",
        ),
        (r#"{"error":"no"}"#.into(), StreamErrorKind::ErrorEvent, "no"),
        (
            whole(r#"[{"text":"a","finish_reason":"abort"}]"#),
            StreamErrorKind::ErrorEvent,
            "The upstream reported an error.",
        ),
    ] {
        let error = clean(input.as_bytes(), &context()).unwrap_err();
        assert_eq!((error.kind, &error.message[..]), (kind, message), "{input}");
    }
}

proptest! {
    #[test]
    fn however_it_is_cut(
        texts in prop::collection::vec("[a-z<你\"\\\\n]{0,6}", 0..6),
        indices in prop::collection::vec(0..2_u8, 6),
        ends in prop::sample::select(vec!["stop", "", "abort", "eos"]),
        mut cuts in prop::collection::vec(0..2_000_usize, 0..8),
        include_usage: bool,
    ) {
        let mut input = String::new();
        for (text, index) in texts.iter().zip(&indices) {
            let text = serde_json::to_string(text).unwrap();
            input += &choices(&format!(r#"[{{"index":{index},"text":{text},"finish_reason":null}}]"#));
        }
        for index in 0..2 {
            input += &choices(&format!(
                r#"[{{"index":{index},"text":"","finish_reason":"{ends}"}}],"usage":{{"prompt_tokens":1}}"#
            ));
        }
        cuts.retain(|cut| *cut < input.len());
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &input.as_bytes()[pair[0]..pair[1]]);
        let (output, transformer) = run(pieces, include_usage);
        let (whole, reference) = run([input.as_bytes()], include_usage);
        prop_assert_eq!(output, whole);
        prop_assert_eq!(transformer.summary(), reference.summary());
    }
}

#[test]
fn the_state_at_the_end() {
    let mut transformer = Transformer::<TextChoice>::with_rules(context(), false, SseLimits::default());
    let mut output = Vec::new();
    assert_eq!(transformer.feed(text("a").as_bytes(), &mut output), StreamState::Open);
    assert_eq!(transformer.feed(finish().as_bytes(), &mut output), StreamState::Open);
    assert_eq!(transformer.feed(DONE.as_bytes(), &mut output), StreamState::Done);
    assert!(transformer.summary().complete && !transformer.summary().reasoning_seen);
}
