//! How streams end: well, badly, or with an error.

use super::*;

#[test]
fn ends() {
    let role = || delta(r#"{"role":"assistant"}"#);
    let finish = || frame(FINISH);
    let done = || DONE.to_owned();
    let truncated = || error(TRUNCATED, "upstream_error");
    let reason =
        |reason: &str| choices(&format!(r#"[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]"#));
    let two = r#"[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop"},{"index":1,"delta":{"role":"assistant"},"finish_reason":null}]"#;
    let both = &two.replace("null", "\"length\"");
    let other = choices(r#"[{"index":1,"delta":{},"finish_reason":"length"}]"#);
    let rows: Vec<(&str, Vec<String>, Vec<String>)> = vec![
        ("[DONE]", vec![role(), finish(), done()], vec![role(), finish(), done()]),
        ("no [DONE]", vec![role(), finish()], vec![role(), finish(), done()]),
        (
            "[DONE] without a blank line",
            vec![role(), finish(), "data: [DONE]\n".into()],
            vec![role(), finish(), done()],
        ),
        (
            "[DONE] without a line end",
            vec![role(), finish(), "data:[DONE] ".into()],
            vec![role(), finish(), done()],
        ),
        (
            "the finish without a blank line",
            vec![role(), format!("data: {FINISH}")],
            vec![role(), finish(), done()],
        ),
        ("no finish", vec![role(), done()], vec![role(), truncated()]),
        ("no finish, no [DONE]", vec![role()], vec![role(), truncated()]),
        ("a cut event", vec![role(), format!("data: {}", &FINISH[..40])], vec![role(), truncated()]),
        (
            "a cut event behind the finish",
            vec![role(), finish(), "data: {\"id\"".into()],
            vec![role(), finish(), done()],
        ),
        ("nothing", vec![], vec![truncated()]),
        ("[DONE] alone", vec![done()], vec![truncated()]),
        ("something behind [DONE]", vec![role(), finish(), done(), role()], vec![role(), finish(), done()]),
        (
            "an empty finish is none",
            vec![role(), reason(""), done()],
            vec![role(), choices(r#"[{"index":0,"delta":{},"finish_reason":null}]"#), truncated()],
        ),
        (
            "one of two choices",
            vec![choices(two), done()],
            vec![choices(&two.replace("\"stop\"", "null")), finish(), truncated()],
        ),
        (
            "both of two",
            vec![choices(two), other.clone(), done()],
            vec![choices(&two.replace("\"stop\"", "null")), finish(), other, done()],
        ),
        ("both of two at once", vec![choices(both), done()], vec![choices(both), done()]),
        (
            "another API's spelling",
            vec![role(), reason("end_turn"), done()],
            vec![role(), reason("stop"), done()],
        ),
        ("an unknown reason", vec![role(), reason("odd"), done()], vec![role(), reason("odd"), done()]),
        (
            "a broken generation",
            vec![role(), reason("insufficient_system_resource"), done()],
            vec![role(), error("The upstream reported an error.", "upstream_error")],
        ),
        (
            "no JSON",
            vec![role(), frame("oops"), done()],
            vec![role(), error(NO_COMPLETION, "upstream_error")],
        ),
        (
            "no object",
            vec![role(), frame("[1]"), done()],
            vec![role(), error(NO_COMPLETION, "upstream_error")],
        ),
        (
            "content of another type",
            vec![role(), delta(r#"{"content":{"text":"a"}}"#), done()],
            vec![role(), error(NO_COMPLETION, "upstream_error")],
        ),
        (
            "choices of another type",
            vec![role(), choices("{}"), done()],
            vec![role(), error(NO_COMPLETION, "upstream_error")],
        ),
    ];
    for (name, input, expected) in rows {
        assert_eq!(run_every_way(&input.concat(), false).0, expected.concat(), "{name}");
    }
}

#[test]
fn errors_end_in_an_error() {
    let role = || delta(r#"{"role":"assistant"}"#);
    for (name, input, message, status) in [
        (
            "an object",
            frame(r#"{"error":{"message":"no \"luck\"","code":429}}"#),
            r#"no \"luck\""#,
            Some(429),
        ),
        ("a string", frame(r#"{"error":"no luck"}"#), "no luck", None),
        ("no message", frame(r#"{"error":{"message":null}}"#), "The upstream reported an error.", None),
        (
            "an error event",
            "event: error\ndata: {\"error\":{\"message\":\"no luck\",\"status_code\":400}}\n\n".to_owned(),
            "no luck",
            Some(400),
        ),
        (
            "an error event, bare",
            "event: error\ndata: {\"message\":\"no luck\"}\n\n".to_owned(),
            "no luck",
            None,
        ),
        (
            "an error event, text",
            "event: error\ndata: oops\n\n".to_owned(),
            "The upstream reported an error.",
            None,
        ),
        (
            "in a chunk with choices",
            choices(
                r#"[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"error":{"code":502,"message":"no luck"}"#,
            ),
            "no luck",
            Some(502),
        ),
        (
            "at a choice",
            choices(
                r#"[{"index":0,"delta":{},"finish_reason":null,"error":{"code":503,"message":"no luck"}}]"#,
            ),
            "no luck",
            Some(503),
        ),
        ("a bare line", "error: {\"message\":\"no luck\"}\n\n".to_owned(), "no luck", None),
    ] {
        let input = [role(), input, frame(FINISH), DONE.to_owned()].concat();
        let (output, transformer) = run_every_way(&input, true);
        assert_eq!(output, [role(), error(message, "upstream_error")].concat(), "{name}");
        let error = transformer.error().unwrap();
        assert_eq!((error.kind, error.status), (StreamErrorKind::ErrorEvent, status), "{name}");
        assert!(!transformer.summary().complete);
    }
}

#[test]
fn an_error_chunk_still_pays_its_usage() {
    let input = [
        delta(r#"{"role":"assistant"}"#),
        choices(r#"[],"error":{"message":"x"},"usage":{"prompt_tokens":43,"completion_tokens":10}"#),
    ];
    let (_, transformer) = run_every_way(&input.concat(), true);
    let summary = transformer.summary();
    assert_eq!(summary.usage.unwrap().completion_tokens, Some(10));
    assert_eq!(summary.usage_source(), crate::answer::usage::UsageSource::Partial);
}

#[test]
fn a_long_error_message_is_cut_at_a_character() {
    let long = "é".repeat(3_000);
    let (output, transformer) = run([frame(&format!(r#"{{"error":"{long}"}}"#)).as_bytes()], false);
    assert_eq!(transformer.error().unwrap().message.len(), StreamError::MAX_MESSAGE_BYTES);
    assert!(output.len() < 2 * StreamError::MAX_MESSAGE_BYTES);
}

#[test]
fn a_transport_fault_ends_in_an_error() {
    for (kind, code) in [
        (StreamErrorKind::Reset, "upstream_error"),
        (StreamErrorKind::IdleTimeout, "upstream_timeout"),
        (StreamErrorKind::TotalTimeout, "upstream_timeout"),
        (StreamErrorKind::Draining, "overloaded"),
    ] {
        let mut transformer = Transformer::new(context(), true, SseLimits::default());
        let mut output = Vec::new();
        transformer.feed(delta(r#"{"role":"assistant"}"#).as_bytes(), &mut output);
        transformer.feed(b"data: {\"half", &mut output);
        transformer.fail(StreamError::new(kind), &mut output);
        assert_eq!(transformer.finish(&mut output), StreamState::Failed);
        let expected =
            [delta(r#"{"role":"assistant"}"#), error(&StreamError::new(kind).message, code)].concat();
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }
}

#[test]
fn an_event_beyond_the_cap_ends_in_an_error() {
    let limits = SseLimits { max_line_bytes: 200, max_event_bytes: 200 };
    let mut transformer = Transformer::new(context(), false, limits);
    let mut output = Vec::new();
    transformer.feed(delta(r#"{"role":"assistant"}"#).as_bytes(), &mut output);
    assert_eq!(transformer.feed(&[b'x'; 300], &mut output), StreamState::Failed);
    assert_eq!(transformer.error().unwrap().kind, StreamErrorKind::EventTooLarge);
}

#[test]
fn the_finish_comes_behind_all_content() {
    let role = || delta(r#"{"role":"assistant"}"#);
    let text = |text: &str| delta(&format!(r#"{{"content":"{text}"}}"#));
    let ending = |delta: &str, reason: &str| {
        choices(&format!(r#"[{{"index":0,"delta":{delta},"finish_reason":"{reason}"}}]"#))
    };
    let finish = || frame(FINISH);
    let long = "x".repeat(300 * 1024);
    for (name, input, expected, reason) in [
        ("content behind it", vec![role(), finish(), text("a")], vec![role(), text("a"), finish()], "stop"),
        (
            "content with it and behind it",
            vec![role(), ending(r#"{"content":"a"}"#, "stop"), text("b")],
            vec![role(), text("a"), text("b"), finish()],
            "stop",
        ),
        (
            "on every chunk, the last one counts",
            vec![
                ending(r#"{"role":"assistant"}"#, "stop"),
                ending(r#"{"content":"a"}"#, "stop"),
                ending(r#"{"content":"b"}"#, "length"),
            ],
            vec![role(), text("a"), ending(r#"{"content":"b"}"#, "length")],
            "length",
        ),
        (
            "twice, with nothing between",
            vec![role(), ending("{}", "tool_calls"), ending("{}", "stop")],
            vec![role(), ending("{}", "tool_calls")],
            "tool_calls",
        ),
        (
            "a call behind it",
            vec![
                role(),
                ending("{}", "end_turn"),
                delta(
                    r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                ),
            ],
            vec![
                role(),
                delta(
                    r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                ),
                ending("{}", "tool_calls"),
            ],
            "stop",
        ),
        (
            "too long to be held",
            vec![role(), ending(&format!(r#"{{"content":"{long}"}}"#), "stop")],
            vec![role(), text(&long), finish()],
            "stop",
        ),
        (
            "an error behind it",
            vec![role(), ending(r#"{"content":"a"}"#, "stop"), frame(r#"{"error":"no luck"}"#)],
            vec![role(), ending(r#"{"content":"a"}"#, "stop"), error("no luck", "upstream_error")],
            "stop",
        ),
    ] {
        let is_error = name.starts_with("an error");
        let (input, expected) = (input.concat() + DONE, expected.concat() + if is_error { "" } else { DONE });
        let (output, transformer) =
            if input.len() > 4_000 { run([input.as_bytes()], false) } else { run_every_way(&input, false) };
        assert_eq!(output, expected, "{name}");
        assert_eq!(transformer.summary().finish_reason.as_deref(), Some(reason), "{name}");
        assert_eq!(transformer.summary().complete, !is_error, "{name}");
    }
}
