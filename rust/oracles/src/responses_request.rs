//! A Responses body in chat's words: a body that the chat path takes, with nothing lost that is not named.

use std::collections::HashSet;

use llmgw_core::api::reply::Reply;
use llmgw_core::api::responses::{Keeping, convert, convert_keeping, head};
use llmgw_core::json::MAX_DEPTH;
use llmgw_core::request::ChatRequest;
use llmgw_core::request::error::{RequestError, RequestErrorCode};
use llmgw_core::seal::Seal;
use serde_json::Value;

use crate::raw::depth;

/// Read as a Responses body, any bytes are either refused for a reason or become a chat body.
pub fn responses_request(body: &[u8]) {
    let seal = Seal::new(&[1; 32], b"client").unwrap();
    let converted = match convert(body, Some(&seal)) {
        Ok(converted) => converted,
        Err(error) => return refused(body, &error),
    };
    let request = ChatRequest::scan(&converted.chat).unwrap_or_else(|error| panic!("no chat body: {error}"));
    for kind in &converted.dropped {
        assert!(kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{kind}");
    }
    assert_eq!(converted.dropped.iter().collect::<HashSet<_>>().len(), converted.dropped.len());
    let Reply::Responses(reply) = &converted.reply else { panic!("{:?}", converted.reply) };
    assert_eq!(reply.model, request.model);
    assert!(reply.echo.len() < 128 * 1024);
    assert!(!reply.echo.contains(&b'\n'), "an event is one line");

    let head = head(body).unwrap();
    assert_eq!((&head.model, head.stream, head.previous_response_id), (&request.model, request.stream, None));
    // Half a surrogate pair is beyond the reference.
    let (Ok(given), Ok(chat)) =
        (serde_json::from_slice::<Value>(body), serde_json::from_slice::<Value>(&converted.chat))
    else {
        return;
    };
    let echo = [b"{", &reply.echo[..], b"}"].concat();
    assert!(serde_json::from_slice::<Value>(&echo).is_ok_and(|echo| echo["store"] == Value::Bool(false)));
    calls_have_their_outputs(&chat);
    functions_have_names(&chat);
    users_are_heard(&given, &chat, &converted.dropped);
    goes_on(body, &given, &chat);
}

fn refused(body: &[u8], error: &RequestError) {
    assert!(error.offset <= body.len());
    assert!(!error.message.is_empty());
    let json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match error.code {
        // Of a number's range and of half pairs the reference thinks otherwise.
        RequestErrorCode::InvalidJson => assert!(!json, "JSON, and refused as none: {error:?}"),
        // A tool comes to be one level deeper.
        RequestErrorCode::TooDeep => assert!(depth(body) >= MAX_DEPTH),
        _ => {}
    }
}

/// Each call has a tool message right behind its message, in the order of the calls; and there are no others.
fn calls_have_their_outputs(chat: &Value) {
    let mut waiting: Vec<&Value> = Vec::new();
    for message in chat["messages"].as_array().unwrap() {
        if message["role"] == "tool" {
            assert!(!waiting.is_empty(), "an output without a call");
            assert_eq!(&message["tool_call_id"], waiting.remove(0));
            assert!(message["content"].is_string());
            continue;
        }
        assert!(waiting.is_empty(), "a call without an output");
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["type"] == "function" && call["function"]["arguments"].is_string());
            waiting.push(&call["id"]);
        }
        if message["role"] == "assistant" {
            assert!(!waiting.is_empty() || message["content"].as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    assert!(waiting.is_empty(), "a call without an output");
}

fn functions_have_names(chat: &Value) {
    let tools = chat["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let names: HashSet<_> = tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), tools.len(), "two functions of one name");
    assert!(tools.iter().all(|tool| tool["type"] == "function"), "a type that chat completions lack");
    assert!(!tools.is_empty() || chat.get("tool_choice").is_none());
}

/// Items that become something.
const KNOWN: [&str; 9] = [
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "reasoning",
    "additional_tools",
];

/// What users said as plain strings comes in the same order, and only what is named is gone.
fn users_are_heard(given: &Value, chat: &Value, dropped: &[String]) {
    let said = |messages: &Value| -> Vec<String> {
        let messages = messages.as_array().into_iter().flatten();
        messages
            .filter(|message| message["role"] == "user" && message["content"].is_string())
            .map(|message| message["content"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let mut heard = said(&chat["messages"]).into_iter();
    if let Some(text) = given["input"].as_str() {
        assert_eq!(heard.next().as_deref(), Some(text));
        return;
    }
    for item in given["input"].as_array().into_iter().flatten() {
        let is_message = item["type"] == "message" || item["type"].is_null();
        if is_message && item["role"] == "user" && item["content"].is_string() {
            let text = item["content"].as_str();
            assert!(heard.any(|said| Some(&*said) == text), "a user was not heard: {text:?}");
        }
        if let Some(kind) = item["type"].as_str()
            && !KNOWN.contains(&kind)
        {
            let named = dropped.iter().any(|name| name.starts_with("input.") || name == "others");
            assert!(named, "{kind} is gone without a word");
        }
    }
}

/// The same conversation in two requests is the same conversation, as long as calls are not torn from their outputs.
fn goes_on(body: &[u8], given: &Value, chat: &Value) {
    let kept = convert_keeping(body, None, Keeping::New).unwrap().kept_items;
    let Some(kept) = kept.filter(|_| given["store"] != Value::Bool(false)) else { return };
    let next = serde_json::json!({"model": "m", "input": "Go on", "instructions": given["instructions"],
        "tools": given["tools"], "previous_response_id": "resp_1"});
    let Ok(next) = convert_keeping(next.to_string().as_bytes(), None, Keeping::GoingOn(&kept)) else {
        return;
    };
    let next: Value = serde_json::from_slice(&next.chat).unwrap();
    let (before, after) = (chat["messages"].as_array().unwrap(), next["messages"].as_array().unwrap());
    assert_eq!(after.last().unwrap()["content"], "Go on");
    // What this body opens with its seal, the second one does not.
    if before.iter().all(|message| message.get("reasoning_content").is_none()) {
        assert_eq!(&after[..after.len() - 1], before.as_slice(), "the beginning has changed");
    }
}
