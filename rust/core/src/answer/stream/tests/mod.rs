//! Rows of frames: what an upstream sends ⇒ what the client gets. Each input is also cut at every byte.

mod calls;
mod counts;
mod ends;
mod inline;

use proptest::prelude::*;

use super::*;

fn context() -> AnswerContext {
    AnswerContext { request_id: "req".into(), model: "m".into(), created_s: 7, ..AnswerContext::default() }
}

fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, include_usage: bool) -> (String, Transformer) {
    let mut transformer = Transformer::new(context(), include_usage, SseLimits::default());
    let mut output = Vec::new();
    for chunk in chunks {
        transformer.feed(chunk, &mut output);
    }
    transformer.finish(&mut output);
    (String::from_utf8(output).unwrap(), transformer)
}

fn run_every_way(input: &str, include_usage: bool) -> (String, Transformer) {
    let whole = run([input.as_bytes()], include_usage);
    for cut in 0..input.len() {
        let (output, transformer) = run([&input.as_bytes()[..cut], &input.as_bytes()[cut..]], include_usage);
        assert_eq!(output, whole.0, "cut at {cut}");
        assert_eq!(transformer.summary(), whole.1.summary(), "cut at {cut}");
    }
    assert_eq!(run(input.as_bytes().chunks(1), include_usage).0, whole.0, "byte by byte");
    whole
}

const HEAD: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":"#;
const FINISH: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const DONE: &str = "data: [DONE]\n\n";

fn frame(payload: &str) -> String {
    format!("data: {payload}\n\n")
}

/// A frame whose one choice has this delta.
fn delta(delta: &str) -> String {
    frame(&format!(r#"{HEAD}[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#))
}

/// A frame with these choices.
fn choices(choices: &str) -> String {
    frame(&format!("{HEAD}{choices}}}"))
}

/// What comes out where the last frame is an error.
fn error(message: &str, code: &str) -> String {
    frame(&format!(
        r#"{{"error":{{"message":"{message}","type":"upstream_error","param":null,"code":"{code}"}}}}"#
    ))
}

const TRUNCATED: &str = "The answer ended without a finish reason. Try again later.";
const NO_COMPLETION: &str = "The upstream sent something that is no chat completion.";

/// Frames in front of the finish ⇒ frames in front of the finish. It says `stop`, and comes out as what fits.
fn check(name: &str, input: &[String], expected: &[String]) {
    let input = [input.concat(), frame(FINISH), DONE.to_owned()].concat();
    let calls = expected.iter().any(|frame| frame.contains(r#""tool_calls":[{"#));
    let finish = FINISH.replace("stop", if calls { "tool_calls" } else { "stop" });
    let expected = [expected.concat(), frame(&finish), DONE.to_owned()].concat();
    assert_eq!(run_every_way(&input, false).0, expected, "{name}");
}

#[test]
fn deltas() {
    let role = || delta(r#"{"role":"assistant","content":""}"#);
    let same = |text: &str| (vec![role(), delta(text)], vec![role(), delta(text)]);
    let changed = |from: &str, to: &str| (vec![role(), delta(from)], vec![role(), delta(to)]);
    let first = |from: &str, to: &str| (vec![delta(from)], vec![delta(to)]);
    for (name, (input, expected)) in [
        ("content", same(r#"{"content":"a"}"#)),
        ("content null", same(r#"{"content":null}"#)),
        ("reasoning_content", same(r#"{"reasoning_content":"a"}"#)),
        ("reasoning_content null beside content", same(r#"{"content":"a","reasoning_content":null}"#)),
        ("spelling is kept", same(r#"{ "content" : "\u0061\/" , "x":1.50e+2}"#)),
        ("role again", changed(r#"{"role":"assistant","content":"a"}"#, r#"{"content":"a"}"#)),
        ("role null again", changed(r#"{"content":"a","role":null}"#, r#"{"content":"a"}"#)),
        ("role empty again", changed(r#"{"role":"","content":"a"}"#, r#"{"content":"a"}"#)),
        ("role never", first(r#"{"content":"a"}"#, r#"{"content":"a","role":"assistant"}"#)),
        ("role empty", first(r#"{"role":"","content":"a"}"#, r#"{"role":"assistant","content":"a"}"#)),
        ("role null", first(r#"{"role":null}"#, r#"{"role":"assistant"}"#)),
        ("an empty first delta", first("{}", r#"{"role":"assistant"}"#)),
        ("a null first delta", first("null", r#"{"role":"assistant"}"#)),
        ("a null delta", changed("null", "{}")),
        ("reasoning", changed(r#"{"reasoning":"a"}"#, r#"{"reasoning_content":"a"}"#)),
        ("reasoning null", changed(r#"{"content":"a","reasoning":null}"#, r#"{"content":"a"}"#)),
        (
            "reasoning twice",
            changed(r#"{"reasoning":"a","reasoning_content":"a"}"#, r#"{"reasoning_content":"a"}"#),
        ),
        (
            "reasoning beside a null",
            changed(r#"{"reasoning_content":null,"reasoning":"a"}"#, r#"{"reasoning_content":"a"}"#),
        ),
        (
            "reasoning_details alone",
            changed(
                r#"{"reasoning_details":[{"type":"reasoning.text","text":"a\n"},{"text":"b"}]}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","text":"a\n"},{"text":"b"}],"reasoning_content":"a\nb"}"#,
            ),
        ),
        (
            "reasoning_details beside reasoning",
            changed(
                r#"{"reasoning":"a","reasoning_details":[{"text":"a"}]}"#,
                r#"{"reasoning_content":"a","reasoning_details":[{"text":"a"}]}"#,
            ),
        ),
        (
            "content as a list",
            changed(
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a\""}]},{"type":"text","text":"b"}]}"#,
                r#"{"content":"b","reasoning_content":"a\""}"#,
            ),
        ),
        ("content as an empty list", changed(r#"{"content":[]}"#, r#"{"content":""}"#)),
        ("tool_calls null", changed(r#"{"content":"a","tool_calls":null}"#, r#"{"content":"a"}"#)),
        ("an escaped key", changed(r#"{"content":"a","rol\u0065":"assistant"}"#, r#"{"content":"a"}"#)),
    ] {
        check(name, &input, &expected);
    }
}

#[test]
fn choices_and_chunks() {
    let role = || delta(r#"{"role":"assistant","content":""}"#);
    let changed = |from: String, to: String| (vec![role(), from], vec![role(), to]);
    for (name, (input, expected)) in [
        (
            "no finish_reason",
            changed(choices(r#"[{"index":0,"delta":{"content":"a"}}]"#), delta(r#"{"content":"a"}"#)),
        ),
        (
            "an empty finish_reason",
            changed(
                choices(r#"[{"index":0,"delta":{"content":"a"},"finish_reason":""}]"#),
                delta(r#"{"content":"a"}"#),
            ),
        ),
        (
            "no index",
            changed(
                choices(r#"[{"delta":{"content":"a"},"finish_reason":null}]"#),
                choices(r#"[{"delta":{"content":"a"},"finish_reason":null,"index":0}]"#),
            ),
        ),
        (
            "no delta",
            changed(
                choices(r#"[{"index":0,"finish_reason":null}]"#),
                choices(r#"[{"index":0,"finish_reason":null,"delta":{}}]"#),
            ),
        ),
        ("a leading chunk without choices", (vec![choices("[]"), role()], vec![choices("[]"), role()])),
        ("a chunk of another kind", (vec![role(), frame(r#"{"type":"ping"}"#)], vec![role()])),
        (
            "another object",
            changed(
                delta(r#"{"content":"a"}"#).replace("chat.completion.chunk", ""),
                delta(r#"{"content":"a"}"#),
            ),
        ),
        (
            "what makes a chunk is missing",
            changed(
                frame(r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}]}"#),
                frame(
                    r#"{"choices":[{"index":0,"delta":{},"finish_reason":null}],"object":"chat.completion.chunk","id":"req","created":7,"model":"m"}"#,
                ),
            ),
        ),
        (
            "or null",
            changed(
                frame(r#"{"id":null,"created":null,"model":null,"object":null,"choices":[]}"#),
                frame(
                    r#"{"id":"req","created":7,"model":"m","object":"chat.completion.chunk","choices":[]}"#,
                ),
            ),
        ),
        (
            "error null",
            changed(
                choices(r#"[{"index":0,"delta":{},"finish_reason":null}],"error":null"#),
                choices(r#"[{"index":0,"delta":{},"finish_reason":null}]"#),
            ),
        ),
        (
            "usage null stays",
            changed(
                choices(r#"[{"index":0,"delta":{},"finish_reason":null}],"usage":null"#),
                choices(r#"[{"index":0,"delta":{},"finish_reason":null}],"usage":null"#),
            ),
        ),
        (
            "logprobs and unknown members stay",
            changed(
                choices(
                    r#"[{"index":0,"delta":{"x":[1]},"logprobs":{"content":[]},"finish_reason":null}],"p":"abc""#,
                ),
                choices(
                    r#"[{"index":0,"delta":{"x":[1]},"logprobs":{"content":[]},"finish_reason":null}],"p":"abc""#,
                ),
            ),
        ),
    ] {
        check(name, &input, &expected);
    }
}

#[test]
fn framing() {
    let role = || delta(r#"{"role":"assistant"}"#);
    for (name, input) in [
        ("comments", format!(": hi\n\n{}: there\n\n", role())),
        ("CRLF", role().replace('\n', "\r\n")),
        ("CR", role().replace('\n', "\r")),
        ("no space", role().replace("data: ", "data:")),
        ("id, retry and event", format!("id: 1\nretry: 5\nevent: message\n{}", role())),
        ("an empty event", format!("data:\n\ndata\n\n{}", role())),
        ("a byte order mark", format!("\u{feff}{}", role())),
        ("an unknown field", format!("nonsense: 1\n{}", role())),
    ] {
        check(name, &[input], &[role()]);
    }
    check(
        "several data lines",
        &[role().replace(r#","created""#, ",\ndata: \"created\"")],
        &[role().replace(r#","created""#, r#", "created""#)],
    );
}

#[test]
fn invalid_utf8_is_replaced_as_the_specification_says() {
    let mut input = delta(r#"{"role":"assistant","content":"a?b"}"#).into_bytes();
    let at = input.iter().position(|&byte| byte == b'?').unwrap();
    input[at] = 0xff;
    input.extend_from_slice(&[frame(FINISH), DONE.to_owned()].concat().into_bytes());
    let expected =
        [delta("{\"role\":\"assistant\",\"content\":\"a\u{fffd}b\"}"), frame(FINISH), DONE.to_owned()]
            .concat();
    assert_eq!(run([&input[..]], false).0, expected);
    assert_eq!(run(input.chunks(1), false).0, expected);
}

#[test]
fn frames_without_a_change_keep_their_bytes() {
    let odd = "{ \"choices\" :[ {\"finish_reason\":null ,\"index\": 0,\"delta\":{\"role\":\"assistant\",\"content\":\"\\u4f60\u{2028}\"}}],\t\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"y\",\"created\":1E3 } ";
    check("odd", &[frame(odd)], &[frame(odd)]);
}

#[test]
fn usage_comes_once_at_the_end_and_only_if_asked_for() {
    let role = || delta(r#"{"role":"assistant"}"#);
    let riding = |usage: &str, choice: &str| choices(&format!("[{choice}],\"usage\":{usage}"));
    let usage_chunk = |usage: &str| choices(&format!("[],\"usage\":{usage}"));
    let plain = r#"{"index":0,"delta":{"content":"a"},"finish_reason":null}"#;
    let finish = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
    let spaced = |usage: &str| usage_chunk(usage).replace(",\"usage\"", " , \"usage\"");
    let rows = [
        (
            "its own chunk",
            vec![role(), frame(FINISH), spaced(r#"{"prompt_tokens": 1}"#)],
            vec![role(), frame(FINISH)],
            Some(spaced(r#"{"prompt_tokens": 1}"#)),
        ),
        (
            "cumulative, on every chunk",
            vec![role(), riding(r#"{"prompt_tokens":1}"#, plain), riding(r#"{"prompt_tokens":2}"#, finish)],
            vec![role(), choices(&format!("[{plain}]")), choices(&format!("[{finish}]"))],
            Some(usage_chunk(r#"{"prompt_tokens":2}"#)),
        ),
        (
            "at the choice",
            vec![
                role(),
                choices(r#"[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":3}}]"#),
            ],
            vec![role(), frame(FINISH)],
            Some(usage_chunk(r#"{"prompt_tokens":3}"#)),
        ),
        (
            "on a chunk that repeats the finish",
            vec![
                role(),
                frame(FINISH),
                riding(
                    r#"{"prompt_tokens":4}"#,
                    r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}"#,
                ),
            ],
            vec![role(), frame(FINISH)],
            Some(usage_chunk(r#"{"prompt_tokens":4}"#)),
        ),
        (
            "without choices",
            vec![role(), frame(FINISH), frame(r#"{"usage":{"prompt_tokens":5}}"#)],
            vec![role(), frame(FINISH)],
            Some(frame(
                r#"{"id":"req","object":"chat.completion.chunk","created":7,"model":"m","choices":[],"usage":{"prompt_tokens":5}}"#,
            )),
        ),
        (
            "with null choices",
            vec![role(), frame(FINISH), choices(r#"null,"usage":{"prompt_tokens":6}"#)],
            vec![role(), frame(FINISH)],
            Some(usage_chunk(r#"{"prompt_tokens":6}"#)),
        ),
        (
            "before the finish",
            vec![role(), usage_chunk(r#"{"prompt_tokens":7}"#), frame(FINISH)],
            vec![role(), frame(FINISH)],
            Some(usage_chunk(r#"{"prompt_tokens":7}"#)),
        ),
        ("never", vec![role(), frame(FINISH)], vec![role(), frame(FINISH)], None),
    ];
    for (name, input, expected, usage) in rows {
        let input = [input.concat(), DONE.to_owned()].concat();
        let (without, transformer) = run_every_way(&input, false);
        assert_eq!(without, [expected.concat(), DONE.to_owned()].concat(), "{name}, not asked for");
        assert_eq!(transformer.summary().usage.is_some(), usage.is_some(), "{name}: the ledger's");
        let (with, _) = run_every_way(&input, true);
        assert_eq!(
            with,
            [expected.concat(), usage.unwrap_or_default(), DONE.to_owned()].concat(),
            "{name}, asked for"
        );
    }
}

#[test]
fn choices_are_kept_apart() {
    let input = choices(
        r#"[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":"stop"},{"index":1,"delta":{"tool_calls":[{"id":"x","function":{"name":"f"}}]},"finish_reason":"tool_calls"}]"#,
    );
    let expected = choices(
        r#"[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":"stop"},{"index":1,"delta":{"tool_calls":[{"id":"x","function":{"name":"f","arguments":""},"index":0,"type":"function"}],"role":"assistant"},"finish_reason":"tool_calls"}]"#,
    );
    assert_eq!(
        run_every_way(&[input, DONE.to_owned()].concat(), false).0,
        [expected, DONE.to_owned()].concat()
    );
}

#[test]
fn the_summary_says_what_was_seen() {
    let usage = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":5},"prompt_tokens_details":{"cached_tokens":3}}"#;
    let input = [
        delta(r#"{"role":"assistant"}"#),
        delta(r#"{"reasoning":"hm"}"#),
        frame(FINISH),
        choices(&format!("[],\"usage\":{usage}")),
        DONE.to_owned(),
    ];
    let (_, transformer) = run_every_way(&input.concat(), false);
    let expected = Summary {
        finish_reason: Some("stop".into()),
        id: Some("c".into()),
        model: Some("m".into()),
        usage: Some(crate::answer::usage::Usage {
            prompt_tokens: Some(10),
            completion_tokens: Some(20),
            reasoning_tokens: Some(5),
            cached_tokens: Some(3),
            ..crate::answer::usage::Usage::default()
        }),
        output_bytes: 2,
        metered_bytes: 2,
        reasoning_seen: true,
        frames: 3,
        complete: true,
        error: None,
        turns: Vec::new(),
    };
    assert_eq!(transformer.summary(), &expected);
    for (name, usage, reasoning, cached) in [
        ("Moonshot, Azure", r#"{"reasoning_tokens":5,"cached_tokens":3}"#, Some(5), Some(3)),
        ("DeepSeek", r#"{"prompt_cache_hit_tokens":3}"#, None, Some(3)),
        ("null details", r#"{"prompt_tokens_details":null,"completion_tokens_details":null}"#, None, None),
        ("no integers", r#"{"reasoning_tokens":-1,"cached_tokens":1.5}"#, None, None),
    ] {
        let input = [frame(FINISH), choices(&format!("[],\"usage\":{usage}")), DONE.to_owned()].concat();
        let read = run([input.as_bytes()], false).1.summary().usage.unwrap();
        assert_eq!((read.reasoning_tokens, read.cached_tokens), (reasoning, cached), "{name}");
    }
}

#[test]
fn what_no_usage_counts_is_what_came_after_the_last_one() {
    let text = r#"{"content":"12345678"}"#;
    let usage = r#","usage":{"prompt_tokens":10,"completion_tokens":2}"#;
    let counted = choices(&format!(r#"[{{"index":0,"delta":{text},"finish_reason":null}}]{usage}"#));
    let apart = choices(&format!("[]{usage}"));
    for (name, frames, expected) in [
        ("no usage", [delta(text), delta(text)].concat(), 16),
        ("usage with the text", [counted.clone(), counted.clone()].concat(), 0),
        ("text after it", [counted.clone(), delta(text)].concat(), 8),
        ("usage before all text", [apart.clone(), delta(text), delta(text)].concat(), 16),
        ("usage of its own behind the text", [delta(text), apart.clone()].concat(), 0),
        ("a whole answer", [apart, delta(text), frame(FINISH), DONE.to_owned()].concat(), 0),
    ] {
        let (_, transformer) = run_every_way(&frames, false);
        assert_eq!(transformer.summary().unmetered_bytes(), expected, "{name}");
    }
}

/// Streams of quirky and broken frames.
fn stream_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        delta(r#"{"role":"assistant","content":"a"}"#),
        delta(r#"{"content":"é","reasoning":"r"}"#),
        delta(
            r#"{"tool_calls":[{"id":"x","function":{"name":"f","arguments":{}}},{"index":4,"function":{"arguments":"1"}}]}"#,
        ),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"1"}}]}"#),
        choices(
            r#"[{"delta":{},"finish_reason":"stop"},{"index":1,"delta":null}],"usage":{"prompt_tokens":1}"#,
        ),
        choices(r#"[{"index":1,"delta":{},"finish_reason":"length"}]"#),
        frame(FINISH),
        DONE.to_owned(),
        ": c\r\n\r\n".to_owned(),
        "data: {\"cut".to_owned(),
        "\n\n".to_owned(),
        "\r".to_owned(),
        "data: 1\ndata: 2\n\n".to_owned(),
        "event: error\n".to_owned(),
        "error: {}\n\n".to_owned(),
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_cut_gives_the_same_frames(input in stream_like(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6), include_usage: bool) {
        let whole = run([&input[..]], include_usage);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let cut = run(cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]), include_usage);
        prop_assert_eq!(&cut.0, &whole.0);
        prop_assert_eq!(cut.1.summary(), whole.1.summary());
    }

    #[test]
    fn what_comes_out_goes_through_unchanged(input in stream_like()) {
        let (once, transformer) = run([&input[..]], true);
        if transformer.summary().complete {
            prop_assert_eq!(run([once.as_bytes()], true).0, once);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(input in prop::collection::vec(any::<u8>(), 0..200)) {
        run([&input[..]], true);
    }
}
