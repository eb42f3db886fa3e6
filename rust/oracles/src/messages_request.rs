//! A Messages body in chat's words, against `serde_json` and the rules that chat upstreams have for a conversation.

use llmgw_core::api::messages::{Options, convert};
use llmgw_core::json::MAX_DEPTH;
use llmgw_core::request::ChatRequest;
use llmgw_core::request::error::RequestErrorCode;
use llmgw_core::seal::Seal;
use serde_json::Value;

use crate::raw::{depth, is_json};

/// Any bytes: what is taken is a chat body that every upstream takes, and what is refused deserves it.
pub fn messages_request(body: &[u8]) {
    let seal = Seal::new(&[7; 32], b"client").unwrap();
    let marked = ["m".to_owned()];
    for keep_marks_of in [&[][..], &marked] {
        match convert(body, Options { seal: Some(&seal), keep_marks_of }) {
            Ok(converted) => {
                assert!(is_json(body), "taken, and no JSON");
                assert!(depth(body) <= MAX_DEPTH);
                let request = ChatRequest::scan(&converted.chat);
                let request = request.unwrap_or_else(|error| panic!("chat refuses it: {error}"));
                let kinds = &converted.dropped;
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                assert!(kinds.iter().all(|kind| !kind.is_empty() && kind.bytes().all(is_plain)), "{kinds:?}");
                assert!(kinds.iter().enumerate().all(|(at, kind)| !kinds[..at].contains(kind)), "{kinds:?}");
                // Half a surrogate pair is beyond the reference.
                let Ok(chat) = serde_json::from_slice::<Value>(&converted.chat) else { return };
                assert_eq!(chat["model"].as_str(), Some(request.model.as_str()));
                check_messages(chat["messages"].as_array().unwrap(), !keep_marks_of.is_empty());
                check_tools(&chat);
                if let Ok(asked) = serde_json::from_slice::<Value>(body) {
                    check_said(&asked, &chat);
                }
            }
            Err(error) => {
                assert!(error.offset <= body.len() && !error.message.is_empty());
                match error.code {
                    RequestErrorCode::InvalidJson => assert!(!is_json(body), "JSON, and refused: {error:?}"),
                    // A schema gets one level deeper.
                    RequestErrorCode::TooDeep => assert!(depth(body) >= MAX_DEPTH),
                    RequestErrorCode::WrongApi | RequestErrorCode::PreviousResponseNotFound => {
                        panic!("of another API: {error:?}")
                    }
                    RequestErrorCode::InvalidType
                    | RequestErrorCode::MissingField
                    | RequestErrorCode::UnsupportedValue
                    | RequestErrorCode::DuplicateField => {}
                }
            }
        }
    }
}

/// Each call has its result right behind it, in the order of the calls, and nothing else is one.
fn check_messages(messages: &[Value], keeps_marks: bool) {
    let mut waiting: Vec<&Value> = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap();
        if role == "tool" {
            assert!(!waiting.is_empty(), "a result without a call");
            assert_eq!(&message["tool_call_id"], waiting.remove(0));
        } else {
            assert!(waiting.is_empty(), "a call without a result");
            assert!(["system", "developer", "user", "assistant"].contains(&role));
        }
        if let Some(calls) = message.get("tool_calls") {
            assert_eq!(role, "assistant");
            waiting = calls.as_array().unwrap().iter().map(|call| &call["id"]).collect();
            assert!(!waiting.is_empty());
            assert!(calls.as_array().unwrap().iter().all(|call| call["function"]["arguments"].is_string()));
        }
        match &message["content"] {
            Value::String(text) => assert!(!keeps_marks || text.is_empty() || text == "(no result)"),
            Value::Array(parts) => {
                assert!(!parts.is_empty() && (keeps_marks || parts.len() > 1 || parts[0]["type"] != "text"));
                for part in parts {
                    assert!(part.get("text").is_none_or(|text| text.as_str() != Some("")), "an empty part");
                    assert!(keeps_marks || part.get("cache_control").is_none());
                }
            }
            other => panic!("content {other}"),
        }
        assert!(message.get("reasoning_content").is_none_or(|text| text.as_str() != Some("")));
    }
    assert!(waiting.is_empty(), "a call without a result");
}

fn check_tools(chat: &Value) {
    let tools = chat.get("tools").map(|tools| tools.as_array().unwrap());
    assert!(tools.is_none_or(|tools| !tools.is_empty()));
    assert!(chat.get("tool_choice").is_none() || tools.is_some());
    for tool in tools.into_iter().flatten() {
        assert!(tool["type"] == "function" && tool["function"]["name"].is_string());
    }
}

/// What users write arrives, in its order.
fn check_said(asked: &Value, chat: &Value) {
    let arrived = |role: &str| {
        let messages =
            chat["messages"].as_array().unwrap().iter().filter(move |message| message["role"] == role);
        messages.flat_map(|message| texts(&message["content"])).collect::<Vec<_>>()
    };
    let users = arrived("user");
    let mut rest = users.iter();
    for message in asked["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user") {
        for text in texts(&message["content"]) {
            assert!(rest.any(|said| *said == text), "{text:?} did not arrive: {users:?}");
        }
    }
}

/// The texts of a content that say something.
fn texts(content: &Value) -> Vec<&str> {
    let texts: Vec<&str> = match content {
        Value::Array(parts) => {
            let is_text = |part: &&Value| part["type"] == "text";
            parts.iter().filter(is_text).filter_map(|part| part["text"].as_str()).collect()
        }
        content => content.as_str().into_iter().collect(),
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}
