//! Native answers on plain bytes: whole frames, cut anywhere, and what is read of them.

use super::super::*;
use crate::answer::context::AnswerMode;
use crate::answer::error::{StreamError, StreamErrorKind};
use crate::answer::stream::StreamState;
use crate::answer::summary::Summary;
use crate::answer::usage::Usage;
use crate::api::Api;
use crate::api::native::relay::Relay;
use crate::sse::SseLimits;
use crate::turn::key::{FirstCall, Said, Turn};

const MESSAGE: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_start\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"h\\u006d \"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"嗯\"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQB/+=\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t:0\",\"name\":\"t\",\"input\":{}}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"}}\n\n",
    "event: content_block_delta\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\":1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSE: &str = concat!(
    "event: response.created\n",
    "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"in_progress\"}}\n\n",
    "event: response.in_progress\n",
    "data: {\"type\":\"response.in_progress\",\"sequence_number\":1,\"response\":{\"id\":\"resp_1\"}}\n\n",
    "event: response.reasoning_text.delta\n",
    "data: {\"type\":\"response.reasoning_text.delta\",\"sequence_number\":2,\"delta\":\"hm\"}\n\n",
    "event: response.output_item.done\n",
    "data: {\"type\":\"response.output_item.done\",\"sequence_number\":3,\"item\":{\"type\":\"reasoning\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}]}}\n\n",
    "event: response.output_item.done\n",
    "data: {\"type\":\"response.output_item.done\",\"sequence_number\":4,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_0123456789\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n",
    "event: response.completed\n",
    "data: {\"type\":\"response.completed\",\"sequence_number\":5,\"response\":{\"status\":\"completed\",\"output\":[{\"type\":\"function_call\",\"call_id\":\"again\",\"name\":\"f\",\"arguments\":\"{}\"}],\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":12}}}\n\n",
);

const LIMITS: SseLimits = SseLimits { max_line_bytes: 1 << 20, max_event_bytes: 1 << 20 };

fn context() -> AnswerContext {
    AnswerContext { request_id: "req_1".to_owned(), keep_reasoning: true, ..AnswerContext::default() }
}

fn relay(api: Native) -> Relay {
    Relay::new(api, context(), LIMITS)
}

/// What comes out, the state and the relay.
fn through(api: Native, pieces: &[&[u8]], ends: bool) -> (String, StreamState, Relay) {
    let mut relay = relay(api);
    let mut output = Vec::new();
    let mut state = StreamState::Open;
    for piece in pieces {
        state = relay.feed(Some(piece), &mut output);
    }
    if ends {
        state = relay.feed(None, &mut output);
    }
    (String::from_utf8(output).unwrap(), state, relay)
}

fn call(id: &str, name: &str, arguments: &str) -> Said {
    Said::Call(FirstCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() })
}

#[test]
fn field_18_bytes_go_out_as_they_came_wherever_they_are_cut() {
    for (api, stream) in [(Native::Messages, MESSAGE), (Native::Responses, RESPONSE)] {
        let ways = [stream.to_owned(), stream.replace('\n', "\r\n"), stream.replace('\n', "\r")];
        for stream in ways {
            let whole = through(api, &[stream.as_bytes()], true);
            assert_eq!((whole.0.as_str(), whole.1), (stream.as_str(), StreamState::Done));
            for cut in 0..=stream.len() {
                let (head, tail) = stream.as_bytes().split_at(cut);
                let (output, state, relay) = through(api, &[head, tail], true);
                // Between the CR and the LF of a frame's last line end, the LF comes too late to go out.
                if stream.contains("\r\n") {
                    assert_eq!(output.replace("\r\n", "\r"), stream.replace("\r\n", "\r"), "cut at {cut}");
                } else {
                    assert_eq!(output, stream, "cut at {cut}");
                }
                assert_eq!(state, StreamState::Done);
                assert_eq!(relay.summary(), whole.2.summary(), "cut at {cut}");
            }
        }
    }
}

#[test]
fn what_is_read_on_the_side() {
    let told = |api, stream: &str| through(api, &[stream.as_bytes()], true).2.summary().clone();
    let message = told(Native::Messages, MESSAGE);
    let usage = Usage {
        prompt_tokens: Some(15),
        completion_tokens: Some(7),
        reasoning_tokens: None,
        cached_tokens: Some(5),
        ..Usage::default()
    };
    let turn = Turn { said: call("t:0", "t", "{\"a\":1}"), reasoning: Some("h\\u006d 嗯".into()) };
    let expected = Summary {
        finish_reason: Some("tool_calls".to_owned()),
        id: Some("m".to_owned()),
        model: None,
        usage: Some(usage),
        output_bytes: "hm 嗯".len() as u64 + r#"t{"a":1}"#.len() as u64,
        metered_bytes: "hm 嗯".len() as u64 + r#"t{"a":1}"#.len() as u64,
        reasoning_seen: true,
        frames: 11,
        complete: true,
        error: None,
        turns: vec![turn],
    };
    assert_eq!(message, expected);
    let response = told(Native::Responses, RESPONSE);
    let usage = Usage {
        prompt_tokens: Some(9),
        completion_tokens: Some(3),
        reasoning_tokens: Some(2),
        cached_tokens: Some(4),
        ..Usage::default()
    };
    let turn = Turn { said: call("call_0123456789", "f", ""), reasoning: Some("hm".into()) };
    let output_bytes = "hm".len() as u64 + "f{}".len() as u64;
    let expected = Summary {
        id: Some("resp_1".to_owned()),
        model: Some("m".to_owned()),
        usage: Some(usage),
        output_bytes,
        metered_bytes: output_bytes,
        frames: 4,
        turns: vec![turn],
        ..expected
    };
    assert_eq!(response, expected);
}

#[test]
fn a_first_usage_counts_none_of_the_text() {
    let (before, _) = MESSAGE.split_once("event: message_delta").unwrap();
    let (_, _, relay) = through(Native::Messages, &[before.as_bytes()], true);
    let summary = relay.summary();
    assert!(summary.usage.is_some());
    assert_eq!(summary.unmetered_bytes(), summary.output_bytes);
    assert_eq!(through(Native::Messages, &[MESSAGE.as_bytes()], true).2.summary().unmetered_bytes(), 0);
}

#[test]
fn what_opens_a_stream_waits_for_what_says_something() {
    for (api, stream) in [(Native::Messages, MESSAGE), (Native::Responses, RESPONSE)] {
        let frames: Vec<_> = stream.split_inclusive("\n\n").collect();
        let mut relay = relay(api);
        let mut output = Vec::new();
        for frame in &frames[..2] {
            relay.feed(Some(frame.as_bytes()), &mut output);
        }
        assert_eq!((output.len(), relay.summary().frames), (0, 0));
        relay.feed(Some(frames[2].as_bytes()), &mut output);
        assert_eq!(String::from_utf8_lossy(&output), frames[..3].concat());
        assert_eq!(relay.summary().frames, 1);
    }
}

#[test]
fn a_stream_that_breaks_off_ends_with_its_apis_own_event() {
    let message = MESSAGE.split_inclusive("\n\n").take(4).collect::<String>();
    let response = RESPONSE.split_inclusive("\n\n").take(3).collect::<String>();
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":3,\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}}}\n\n";
    let flat = "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"boom\",\"param\":null}\n\n";
    let api_error = |kind: &str, message: &str| {
        format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"{message}\"}},\"request_id\":\"req_1\"}}\n\n"
        )
    };
    let our_failed = |code: &str, message: &str| {
        format!(
            "event: response.failed\ndata: {{\"type\":\"response.failed\",\"sequence_number\":3,\"response\":{{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":0,\"status\":\"failed\",\"error\":{{\"code\":\"{code}\",\"message\":\"{message}\"}},\"incomplete_details\":null,\"model\":\"m\",\"output\":[],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\",\"tools\":[],\"usage\":null}}}}\n\n"
        )
    };
    let cut = StreamError::new(StreamErrorKind::Truncated).message;
    let cut = cut.as_str();
    let rows = [
        ("cut", Native::Messages, &message, "", api_error("api_error", cut), StreamErrorKind::Truncated),
        (
            "done",
            Native::Messages,
            &message,
            "data: [DONE]\n\n",
            api_error("api_error", cut),
            StreamErrorKind::Truncated,
        ),
        (
            "an error",
            Native::Messages,
            &message,
            overloaded,
            api_error("overloaded_error", "Overloaded"),
            StreamErrorKind::ErrorEvent,
        ),
        (
            "no JSON",
            Native::Messages,
            &message,
            "data: {\n\n",
            api_error("api_error", "The upstream sent something that is no event."),
            StreamErrorKind::InvalidEvent,
        ),
        (
            "cut",
            Native::Responses,
            &response,
            "",
            our_failed("server_error", cut),
            StreamErrorKind::Truncated,
        ),
        (
            "failed",
            Native::Responses,
            &response,
            failed,
            our_failed("rate_limit_exceeded", "slow down"),
            StreamErrorKind::ErrorEvent,
        ),
        (
            "an error",
            Native::Responses,
            &response,
            flat,
            our_failed("server_error", "boom"),
            StreamErrorKind::ErrorEvent,
        ),
    ];
    for (name, api, begun, more, expected, kind) in rows {
        let (output, state, relay) = through(api, &[begun.as_bytes(), more.as_bytes()], true);
        assert_eq!(output, format!("{begun}{expected}"), "{name}");
        assert_eq!(state, StreamState::Failed, "{name}");
        assert_eq!(relay.error().map(|error| error.kind), Some(kind), "{name}");
        assert!(!relay.summary().complete && relay.summary().turns.is_empty(), "{name}");
    }
}

#[test]
fn an_error_before_anything_was_said_has_a_status() {
    let opening = MESSAGE.split_inclusive("\n\n").next().unwrap();
    let rows = [
        (
            "Anthropic's",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n",
        ),
        (
            "OpenAI's, without a type",
            "data: {\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n",
        ),
    ];
    for (name, error) in rows {
        let (_, state, relay) = through(Native::Messages, &[opening.as_bytes(), error.as_bytes()], false);
        assert_eq!(state, StreamState::Failed, "{name}");
        let error = relay.error().unwrap();
        assert_eq!((error.kind, error.status), (StreamErrorKind::ErrorEvent, Some(503)), "{name}");
        assert_eq!(relay.summary().frames, 0, "{name}");
    }
}

#[test]
fn the_upstreams_key_is_not_told() {
    let mut relay = Relay::new(
        Native::Messages,
        AnswerContext { secret: crate::secret::Secret::new(Some("sk-secret-key")), ..context() },
        LIMITS,
    );
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"bad sk-secret-key\"}}\n\n";
    let mut output = Vec::new();
    relay.feed(Some(error.as_bytes()), &mut output);
    assert!(!String::from_utf8(output).unwrap().contains("sk-secret"));
}

#[test]
fn comments_end_here_and_what_is_unknown_goes_on() {
    let unknown =
        "event: content_block_hint\nid: 7\ndata: {\"type\":\"content_block_hint\",\ndata: \"x\":[1]}\n\n";
    let stream = format!("\u{feff}: hello\n\n{MESSAGE}").replacen(
        "event: message_delta",
        &format!(": wait\n\nretry: 5\n\n{unknown}event: message_delta"),
        1,
    );
    let (output, state, relay) = through(Native::Messages, &[stream.as_bytes()], true);
    let expected = MESSAGE.replacen("event: message_delta", &format!("{unknown}event: message_delta"), 1);
    assert_eq!((output.as_str(), state), (expected.as_str(), StreamState::Done));
    assert_eq!(relay.summary().frames, 12);
}

#[test]
fn a_last_frame_without_its_blank_line_counts_if_it_is_whole() {
    for cut in 1..=2 {
        let stream = &MESSAGE[..MESSAGE.len() - cut];
        let (output, state, _) = through(Native::Messages, &[stream.as_bytes()], true);
        assert_eq!((output.as_str(), state), (MESSAGE, StreamState::Done), "{cut}");
    }
    let (output, state, _) = through(Native::Messages, &[&MESSAGE.as_bytes()[..MESSAGE.len() - 4]], true);
    assert!(output.contains("event: error\n") && !output.contains("message_stop"));
    assert_eq!(state, StreamState::Failed);
}

#[test]
fn a_frame_beyond_its_cap_fails() {
    let limits = SseLimits { max_line_bytes: 1000, max_event_bytes: 1000 };
    let long = format!("event: ping\ndata: {{\"type\":\"ping\",\"x\":\"{}\"}}\n\n", "y".repeat(1000));
    for pieces in [vec![long.as_bytes()], long.as_bytes().chunks(100).collect()] {
        let mut relay = Relay::new(Native::Messages, context(), limits);
        let mut output = Vec::new();
        let mut state = StreamState::Open;
        for piece in pieces {
            state = relay.feed(Some(piece), &mut output);
        }
        assert_eq!(state, StreamState::Failed);
        assert_eq!(relay.error().unwrap().kind, StreamErrorKind::EventTooLarge);
        assert!(output.len() < 1000);
    }
}

#[test]
fn whole_answers() {
    let message = r#"{"id":"m","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"t:0","name":"t","input":{"a": 1}}],"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let response = r#"{"id":"r","object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"hi"}]}],"usage":{"input_tokens":1,"output_tokens":2}}"#;
    let rows = [
        (Native::Messages, message, call("t:0", "t", "{\"a\": 1}")),
        (Native::Responses, response, Said::text(b"hi")),
    ];
    for (api, body, said) in rows {
        let cleaned = Api::Native(api).whole(body.as_bytes(), &context(), LIMITS).unwrap();
        assert_eq!(cleaned.body, None, "its bytes stay");
        let summary = cleaned.summary;
        assert_eq!(summary.finish_reason.as_deref(), Some("length"));
        assert_eq!(summary.usage.unwrap().completion_tokens, Some(2));
        assert_eq!(summary.turns, [Turn { said, reasoning: Some("hm".into()) }]);
        assert!(summary.complete && summary.reasoning_seen);
    }
}

#[test]
fn what_is_no_whole_answer() {
    let anthropic = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#;
    let failed = r#"{"object":"response","status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"output":[]}"#;
    let chat = r#"{"object":"chat.completion","choices":[{"message":{"content":"x"}}]}"#;
    let queued = r#"{"object":"response","status":"queued","output":[]}"#;
    let rows = [
        (Native::Messages, anthropic, StreamErrorKind::ErrorEvent, Some(429)),
        (Native::Responses, failed, StreamErrorKind::ErrorEvent, Some(429)),
        (Native::Messages, chat, StreamErrorKind::InvalidEvent, None),
        (Native::Responses, chat, StreamErrorKind::InvalidEvent, None),
        (Native::Responses, queued, StreamErrorKind::InvalidEvent, None),
        (Native::Messages, "[]", StreamErrorKind::InvalidEvent, None),
        (Native::Messages, "\u{1}", StreamErrorKind::InvalidEvent, None),
    ];
    for (api, body, kind, status) in rows {
        let error = Api::Native(api).whole(body.as_bytes(), &context(), LIMITS).unwrap_err();
        assert_eq!((error.kind, error.status), (kind, status), "{body}");
    }
}

#[test]
fn json_where_events_were_wanted_is_its_error() {
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#;
    let events = crate::answer::form::as_events(body.as_bytes());
    let mode = AnswerMode::Stream { include_usage: true };
    let mut machine = Api::Native(Native::Messages).machine(mode, context(), LIMITS);
    assert_eq!(machine.feed(Some(&events), &mut Vec::new()), StreamState::Failed);
    assert_eq!(machine.error().unwrap().status, Some(503));
}

#[test]
fn counts_of_tokens() {
    let whole = |body: &str| Api::CountTokens.whole(body.as_bytes(), &context(), LIMITS);
    let counted = whole(r#"{"input_tokens": 12, "x": 1}"#).unwrap();
    assert_eq!(counted.summary.usage.unwrap().prompt_tokens, Some(12));
    assert_eq!(counted.body, None);
    for (body, kind) in [
        (r#"{"type":"error","error":{"type":"not_found_error","message":"x"}}"#, StreamErrorKind::ErrorEvent),
        (r#"{"input_tokens":"12"}"#, StreamErrorKind::InvalidEvent),
        ("[]", StreamErrorKind::InvalidEvent),
        ("<html>", StreamErrorKind::InvalidEvent),
    ] {
        assert_eq!(whole(body).unwrap_err().kind, kind, "{body}");
    }
}
