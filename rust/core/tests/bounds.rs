//! How much structure one answer may have: at each cap it passes, one beyond it fails with a typed error.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use llmgw_core::answer::bounds::{
    MAX_CALL_NAME_BYTES, MAX_CHOICES, MAX_EXTRAS, MAX_FINISH_REASON_BYTES, MAX_HELD_REASON_BYTES,
    MAX_TEXT_CHOICES, MAX_TOOL_CALLS, MAX_USAGE_BYTES,
};
use llmgw_core::answer::completion;
use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::error::StreamErrorKind;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::answer::summary::Summary;
use llmgw_core::api::Api;
use llmgw_core::sse::SseLimits;

const STREAM: AnswerMode = AnswerMode::Stream { include_usage: true };
const DONE: &str = "data: [DONE]\n\n";

/// A stream's end and the account of it.
fn played(api: Api, mode: AnswerMode, stream: &str) -> (StreamState, Summary) {
    let mut machine = api.machine(mode, AnswerContext::default(), SseLimits::default());
    let mut output = Vec::new();
    machine.feed(Some(stream.as_bytes()), &mut output);
    let state = machine.feed(None, &mut output);
    (state, machine.summary().clone())
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(",")
}

fn finished(index: usize) -> String {
    format!(r#"{{"index":{index},"delta":{{"content":"x"}},"finish_reason":"stop"}}"#)
}

fn with_calls(calls: &str) -> String {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{calls}]}}}}]}}"#))
}

fn call(index: usize) -> String {
    format!(r#"{{"index":{index},"id":"call_{index}","function":{{"name":"f","arguments":""}}}}"#)
}

const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn choices_at_once(count: usize) -> String {
    event(&format!(r#"{{"choices":[{}]}}"#, list(count, finished))) + DONE
}

fn choices_one_by_one(count: usize) -> String {
    (0..count).map(|index| event(&format!(r#"{{"choices":[{}]}}"#, finished(index)))).collect::<String>()
        + DONE
}

fn calls_at_once(count: usize) -> String {
    with_calls(&list(count, call)) + LAST
}

fn calls_one_by_one(count: usize) -> String {
    (0..count).map(|index| with_calls(&call(index))).collect::<String>() + LAST
}

/// As many calls, half of them in each of two choices.
fn calls_of_two_choices(count: usize) -> String {
    let half = |choice: usize, count: usize| {
        let calls = list(count, call);
        let end = r#""finish_reason":"tool_calls""#;
        event(&format!(r#"{{"choices":[{{"index":{choice},"delta":{{"tool_calls":[{calls}]}},{end}}}]}}"#))
    };
    half(0, count / 2) + &half(1, count - count / 2) + DONE
}

fn long_ids(bytes: usize) -> String {
    let half = |index: usize, bytes: usize| {
        let id = format!("{index}{}", "i".repeat(bytes - 1));
        with_calls(&format!(r#"{{"index":{index},"id":"{id}","function":{{"arguments":""}}}}"#))
    };
    half(0, bytes / 2) + &half(1, bytes - bytes / 2) + LAST
}

/// Arguments that wait for a name that never comes.
fn held_arguments(bytes: usize) -> String {
    let piece = |bytes: usize| {
        let arguments = "a".repeat(bytes);
        with_calls(&format!(r#"{{"index":0,"function":{{"arguments":"{arguments}"}}}}"#))
    };
    piece(bytes / 2) + &piece(bytes - bytes / 2) + LAST
}

fn extras_of_the_chunk(count: usize) -> String {
    event(&format!(r#"{{"choices":[],{}}}"#, list(count, |index| format!(r#""x{index}":0"#)))) + LAST
}

fn extras_of_the_delta(count: usize) -> String {
    let extras = list(count, |index| format!(r#""x{index}":[{index}]"#));
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"x",{extras}}}}}]}}"#)) + LAST
}

/// Some in the choice, some in each of two calls.
fn extras_of_all_objects(count: usize) -> String {
    let extras = |count| list(count, |index| format!(r#""x{index}":0"#));
    let (one, rest) = (extras(count / 4), extras(count - 2 * (count / 4)));
    let call = |index| format!(r#"{{"index":{index},"id":"a{index}","function":{{"name":"f"}},{one}}}"#);
    let calls = format!("{},{}", call(0), call(1));
    event(&format!(r#"{{"choices":[{{"index":0,{rest},"delta":{{"tool_calls":[{calls}]}}}}]}}"#)) + LAST
}

type Row = (&'static str, &'static [AnswerMode], usize, fn(usize) -> String);

#[test]
fn an_answer_passes_at_each_cap_and_fails_beyond_it() {
    const BOTH: &[AnswerMode] = &[STREAM, AnswerMode::Merged];
    const MERGED: &[AnswerMode] = &[AnswerMode::Merged];
    let rows: [Row; 10] = [
        ("choices at once", BOTH, MAX_CHOICES, choices_at_once),
        ("choices one by one", BOTH, MAX_CHOICES, choices_one_by_one),
        ("calls at once", BOTH, MAX_TOOL_CALLS, calls_at_once),
        ("calls one by one", BOTH, MAX_TOOL_CALLS, calls_one_by_one),
        ("calls of two choices", BOTH, MAX_TOOL_CALLS, calls_of_two_choices),
        ("ids", BOTH, MAX_CALL_NAME_BYTES, long_ids),
        ("held arguments", BOTH, MAX_CALL_NAME_BYTES, held_arguments),
        ("extras of the chunk", MERGED, MAX_EXTRAS, extras_of_the_chunk),
        ("extras of the delta", MERGED, MAX_EXTRAS, extras_of_the_delta),
        ("extras of all objects", MERGED, MAX_EXTRAS, extras_of_all_objects),
    ];
    for (name, modes, limit, stream) in rows {
        for &mode in modes {
            let (state, summary) = played(Api::Chat, mode, &stream(limit));
            assert_eq!((state, summary.error), (StreamState::Done, None), "{name}, {mode:?}");
            let (state, summary) = played(Api::Chat, mode, &stream(limit + 1));
            let invalid = Some(StreamErrorKind::InvalidEvent);
            assert_eq!(
                (state, summary.error, summary.complete),
                (StreamState::Failed, invalid, false),
                "{name}"
            );
        }
    }
}

/// Of what is repeated in one chunk, merging takes the last, as any reader of the stream does: so nothing adds up.
#[test]
fn members_that_are_repeated_are_no_way_around_a_cap() {
    let choice = |index| format!(r#""choices":[{}]"#, finished(index));
    let choices = event(&format!("{{{}}}", list(MAX_CHOICES + 1, choice))) + DONE;
    let calls = |index| format!(r#""tool_calls":[{}]"#, call(index));
    // The last one is read, and numbered from 0.
    let calls = list(MAX_TOOL_CALLS + 2, calls);
    let calls = event(&format!(r#"{{"choices":[{{"index":0,"delta":{{{calls}}}}}]}}"#)) + LAST;
    for (name, stream) in [("choices", choices), ("calls", calls)] {
        let mut machine =
            Api::Chat.machine(AnswerMode::Merged, AnswerContext::default(), SseLimits::default());
        let mut output = Vec::new();
        machine.feed(Some(stream.as_bytes()), &mut output);
        assert_eq!(machine.feed(None, &mut output), StreamState::Done, "{name}");
        let merged: serde_json::Value = serde_json::from_slice(&output).unwrap();
        assert_eq!(merged["choices"].as_array().unwrap().len(), 1, "{name}");
        let calls = merged["choices"][0]["message"]["tool_calls"].as_array().map_or(0, Vec::len);
        assert_eq!(calls, usize::from(name == "calls"), "{name}");
    }
}

#[test]
fn a_text_completion_has_room_for_a_list_of_prompts() {
    let choice = |index| format!(r#"{{"index":{index},"text":"x","finish_reason":"stop"}}"#);
    let answer = |count| format!(r#"{{"choices":[{}]}}"#, list(count, choice));
    for (count, state) in [(MAX_TEXT_CHOICES, StreamState::Done), (MAX_TEXT_CHOICES + 1, StreamState::Failed)]
    {
        let stream = event(&answer(count)) + DONE;
        assert_eq!(played(Api::Completions, STREAM, &stream).0, state, "{count}");
        let whole = Api::Completions.clean(answer(count).as_bytes(), &AnswerContext::default());
        assert_eq!(whole.is_ok(), state == StreamState::Done, "{count}");
    }
}

#[test]
fn a_whole_answer_has_the_same_caps() {
    let choice = |_| r#"{"message":{"content":"x"}}"#.to_owned();
    let choices = |count| format!(r#"{{"choices":[{}]}}"#, list(count, choice));
    let calls = |count| {
        let calls = list(count, |_| "{}".to_owned());
        format!(r#"{{"choices":[{{"message":{{"tool_calls":[{calls}]}}}}]}}"#)
    };
    let clean = |answer: &str| completion::clean(answer.as_bytes(), &AnswerContext::default());
    assert!(clean(&choices(MAX_CHOICES)).is_ok() && clean(&calls(MAX_TOOL_CALLS)).is_ok());
    for answer in [choices(MAX_CHOICES + 1), calls(MAX_TOOL_CALLS + 1)] {
        assert_eq!(clean(&answer).unwrap_err().kind, StreamErrorKind::InvalidEvent);
    }
}

#[test]
fn a_finish_reason_is_cut_for_the_ledger_and_whole_for_the_client() {
    let reason = "é".repeat(MAX_HELD_REASON_BYTES / 2 - 1);
    let stream = event(&format!(
        r#"{{"choices":[{{"index":0,"delta":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#
    )) + DONE;
    let told = played(Api::Chat, STREAM, &stream).1.finish_reason.unwrap();
    assert_eq!(told, "é".repeat(MAX_FINISH_REASON_BYTES / 2));
    let mut machine = Api::Chat.machine(STREAM, AnswerContext::default(), SseLimits::default());
    let mut output = Vec::new();
    machine.feed(Some(stream.as_bytes()), &mut output);
    machine.feed(None, &mut output);
    assert!(String::from_utf8(output).unwrap().contains(&reason));
    let longer = stream.replace(&reason, &format!("{reason}x"));
    assert_eq!(played(Api::Chat, STREAM, &longer).1.error, Some(StreamErrorKind::InvalidEvent));
}

#[test]
fn a_usage_that_is_kept_to_the_end_is_not_large() {
    for (bytes, error) in [(1000, None), (MAX_USAGE_BYTES, Some(StreamErrorKind::InvalidEvent))] {
        let usage = format!(r#"{{"choices":[],"usage":{{"prompt_tokens":1,"x":"{}"}}}}"#, "y".repeat(bytes));
        assert_eq!(played(Api::Chat, STREAM, &(event(&usage) + LAST)).1.error, error, "{bytes}");
    }
}
