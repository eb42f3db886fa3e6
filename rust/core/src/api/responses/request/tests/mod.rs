//! Tests of the conversion, rule by rule, and the properties that hold for every body.

mod errors;
mod fields;
mod going_on;
mod items;
mod tools;

use serde_json::Value as Json;

use super::*;
use crate::request::ChatRequest;

/// Convert a body that breaks no rule; the chat body is one that the chat path accepts.
fn converted(body: &str) -> Converted {
    let converted = convert(body.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {body}"));
    ChatRequest::scan(&converted.chat).unwrap_or_else(|error| panic!("{error}: {body}"));
    converted
}

fn chat(body: &str) -> Json {
    serde_json::from_slice(&converted(body).chat).unwrap()
}

fn reply(body: &str) -> Arc<ResponsesReply> {
    match converted(body).reply {
        Reply::Responses(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// A body with this `input` and nothing else.
fn with_input(input: &str) -> String {
    format!(r#"{{"model":"m","input":{input}}}"#)
}

/// A body with these members beside a short `input`.
fn with_members(members: &str) -> String {
    format!(r#"{{"model":"m","input":"Hi",{members}}}"#)
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
