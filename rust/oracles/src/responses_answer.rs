//! Answers as OpenAI's Responses: the grammar of their events, and that they say what the chat answer says.

use std::collections::HashSet;
use std::sync::Arc;

use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::stream::StreamState;
use llmgw_core::api::Api;
use llmgw_core::api::reply::Reply;
use llmgw_core::api::responses::ResponsesReply;
use llmgw_core::api::responses::tools::{CallKind, OfferedTool, ToolNames};
use llmgw_core::seal::Seal;
use llmgw_core::sse::SseLimits;
use serde_json::{Value, json};

use crate::answer::{Said, is_any_event_ambiguous, said};
use crate::arrivals;
use crate::deltas::compose;
use crate::raw::is_ambiguous;
use crate::rules::{context, payloads, read, transform_for};

/// Any bytes from a provider, and the stream that they make as choices: the events keep OpenAI's grammar, they are the same
/// however the bytes arrive, and they say what chat's frames say.
pub fn responses_answer(input: &[u8]) {
    check(input);
    check(&compose(input));
}

/// Everything that must hold of one upstream stream.
pub fn check(stream: &[u8]) {
    let shown = answer(stream, true);
    let sealed = answer(stream, false);
    let chat = transform_for(context(), [stream], true);
    let Some(response) = shown else { return };
    assert_eq!(response["status"] == "failed", chat.state == StreamState::Failed);
    if chat.state == StreamState::Failed || is_any_event_ambiguous(stream) {
        return;
    }
    let usage = chat.summary.usage.filter(|usage| usage.prompt_tokens.and(usage.completion_tokens).is_some());
    let tokens = usage.and_then(|usage| Some((usage.prompt_tokens?, usage.completion_tokens?)));
    let written = &response["usage"];
    assert_eq!(tokens, written["input_tokens"].as_u64().zip(written["output_tokens"].as_u64()));
    let Some(said) = said(&payloads(&chat.output)) else { return };
    let nothing = Said::default();
    let said = said.get(&0).unwrap_or(&nothing);
    check_said(&response, said);
    if let Some(sealed) = sealed {
        check_said(&sealed, said);
    }
}

/// The response that a stream comes to, after its events were judged. None where they hold half a pair of surrogates,
/// which `serde_json` can't read.
fn answer(stream: &[u8], shown: bool) -> Option<Value> {
    let events = run([stream], shown, AnswerMode::Stream { include_usage: false });
    let response = check_events(&events.0);
    for pieces in arrivals(stream) {
        let again = run(pieces, shown, AnswerMode::Stream { include_usage: false });
        if shown {
            assert_eq!(text(&again.0), text(&events.0));
        } else {
            // No seal is like another.
            assert_eq!(opened(check_events(&again.0)), opened(response.clone()));
        }
    }
    let whole = run([stream], shown, AnswerMode::Merged);
    assert_eq!(whole.1, events.1);
    if whole.1 == StreamState::Done {
        assert_eq!(opened(read(text(&whole.0))), opened(response.clone()));
    } else {
        assert_eq!(whole.0, b"", "an error is for the pipeline to tell");
        assert_eq!(response["status"], "failed");
    }
    let last = text(&events.0).rsplit("\ndata: ").next()?;
    let last: Value = serde_json::from_str(last).ok()?;
    Some(opened(last["response"].clone()))
}

/// What these pieces come to: shown as a summary, or hidden and sealed.
fn run<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    shown: bool,
    mode: AnswerMode,
) -> (Vec<u8>, StreamState) {
    let mut tools = ToolNames::default();
    for (function, kind, namespace, name) in TOOLS {
        let tool = OfferedTool { kind, namespace: namespace.map(str::to_owned), name: name.to_owned() };
        tools.add(function.to_owned(), tool);
    }
    let reply = ResponsesReply {
        model: "m".to_owned(),
        shows_reasoning: shown,
        seals_reasoning: !shown,
        seal: seal(),
        tools: if shown { ToolNames::default() } else { tools },
        echo: b"\"store\":false".to_vec(),
    };
    let context = AnswerContext { reply: Reply::Responses(Arc::new(reply)), ..context() };
    let mut machine = Api::Chat.machine(mode, context, SseLimits::default());
    let mut output = Vec::new();
    for piece in pieces {
        machine.feed(Some(piece), &mut output);
    }
    let state = machine.feed(None, &mut output);
    (output, state)
}

/// What the functions of composed streams stand for, in the answers that are sealed.
const TOOLS: [(&str, CallKind, Option<&str>, &str); 3] = [
    ("f", CallKind::Custom, None, "apply_patch"),
    ("g", CallKind::Function, Some("space"), "g"),
    ("c", CallKind::LocalShell, None, "local_shell"),
];

fn seal() -> Option<Seal> {
    Seal::new(&[1; 32], b"client")
}

/// The response with what is sealed in it opened.
fn opened(mut response: Value) -> Value {
    for item in response["output"].as_array_mut().into_iter().flatten() {
        if let Some(sealed) = item["encrypted_content"].as_str() {
            let open = seal().unwrap().open(sealed.as_bytes()).expect("it does not open");
            item["encrypted_content"] = json!(String::from_utf8(open).unwrap());
        }
    }
    response
}

/// A client's view of an item that is open.
struct OpenItem {
    item: Value,
    /// What its deltas add up to, part by part.
    texts: Vec<String>,
    part_open: bool,
    text_done: bool,
}

/// Check the events of one answer by OpenAI's grammar: what each needs to have had before it, and that what comes later
/// repeats what came before. Returns the response of the last one.
///
/// # Panics
/// Where they break a rule.
#[must_use]
pub fn check_events(output: &[u8]) -> Value {
    let frames: Vec<&str> = text(output).split_terminator("\n\n").collect();
    assert!(output.ends_with(b"\n\n"));
    let mut events = frames.iter().enumerate().map(|(number, frame)| {
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        assert!(!data.contains(['\n', '\r']), "{frame}");
        let event = read(data);
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(number)), "{frame}");
        event
    });
    let created = events.next().unwrap();
    let progress = events.next().unwrap();
    assert_eq!(
        (&created["type"], &progress["type"]),
        (&json!("response.created"), &json!("response.in_progress"))
    );
    assert_eq!(created["response"], progress["response"]);
    assert_eq!(
        (&created["response"]["status"], &created["response"]["output"]),
        (&json!("in_progress"), &json!([]))
    );
    let mut items: Vec<Result<Value, OpenItem>> = Vec::new();
    let mut ids = HashSet::new();
    let mut last = None;
    for event in events {
        assert!(last.is_none(), "something comes behind the last event: {event}");
        let name = event["type"].as_str().unwrap().strip_prefix("response.").unwrap().to_owned();
        match &*name {
            "completed" | "incomplete" | "failed" => {
                assert_eq!(event["response"]["status"], *name);
                last = Some(event["response"].clone());
            }
            "output_item.added" => {
                assert_eq!(event["output_index"], items.len());
                let item = event["item"].clone();
                check_id(&item);
                assert!(ids.insert(item["id"].to_string()), "an id twice: {event}");
                assert!(matches!(item["status"].as_str(), Some("in_progress") | None), "{event}");
                assert!(
                    items
                        .iter()
                        .all(|item| item.as_ref().err().is_none_or(|open| open.item["call_id"].is_string())),
                    "a message or reasoning is still open: {event}"
                );
                items.push(Err(OpenItem { item, texts: Vec::new(), part_open: false, text_done: false }));
            }
            _ => {
                let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
                let slot =
                    items.get_mut(index).unwrap_or_else(|| panic!("of an item that is not there: {event}"));
                let Err(open) = slot else { panic!("of an item that is done: {event}") };
                if name == "output_item.done" {
                    let item = event["item"].clone();
                    open.check_done(&item);
                    *slot = Ok(item);
                } else {
                    assert_eq!(event["item_id"], open.item["id"], "{event}");
                    open.take(&name, &event);
                }
            }
        }
    }
    let last = last.expect("no last event");
    assert_eq!(last["id"], created["response"]["id"]);
    if last["status"] == "failed" {
        assert!(last["error"]["message"].is_string() && last["error"]["code"].is_string());
        assert_eq!(last["output"], json!([]));
    } else {
        let items: Vec<Value> = items
            .into_iter()
            .map(|item| item.unwrap_or_else(|open| panic!("never done: {}", open.item)))
            .collect();
        assert_eq!(last["output"], Value::Array(items));
        assert!(last["error"].is_null());
        assert_eq!(last["incomplete_details"].is_object(), last["status"] == "incomplete");
    }
    last
}

fn check_id(item: &Value) {
    let prefix = match item["type"].as_str().unwrap() {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        "custom_tool_call" => "ctc_",
        "local_shell_call" => "lsh_",
        other => panic!("an item of type {other}"),
    };
    let id = item["id"].as_str().unwrap();
    assert!(id.starts_with(prefix) && id.len() <= 64, "{id}");
    if item["type"] != "message" && item["type"] != "reasoning" {
        assert!(item["call_id"].as_str().is_some_and(|id| !id.is_empty()), "{item}");
    }
    if item["type"] == "function_call" || item["type"] == "custom_tool_call" {
        assert!(item["name"].as_str().is_some_and(|name| !name.is_empty()), "{item}");
    }
}

/// What an item's text is called, in it and in the events about it.
fn text_name(item: &Value) -> &'static str {
    match item["type"].as_str() {
        Some("function_call") => "arguments",
        Some("custom_tool_call") => "input",
        _ => "text",
    }
}

impl OpenItem {
    fn take(&mut self, name: &str, event: &Value) {
        let kind = self.item["type"].as_str().unwrap();
        let expected = match name {
            "content_part.added" | "content_part.done" | "output_text.delta" | "output_text.done"
            | "refusal.delta" | "refusal.done" => "message",
            "function_call_arguments.delta" | "function_call_arguments.done" => "function_call",
            "custom_tool_call_input.delta" | "custom_tool_call_input.done" => "custom_tool_call",
            _ if name.starts_with("reasoning_summary_") => "reasoning",
            _ => panic!("an event of no known type: {event}"),
        };
        assert_eq!(kind, expected, "{event}");
        let has_parts = matches!(kind, "message" | "reasoning");
        if has_parts {
            let place = if kind == "message" { "content_index" } else { "summary_index" };
            let parts = self.texts.len() - usize::from(self.part_open);
            assert_eq!(event[place], parts, "{event}");
        } else if self.texts.is_empty() {
            self.texts.push(String::new());
        }
        let part_text =
            |part: &Value| part.get("text").unwrap_or(&part["refusal"]).as_str().unwrap().to_owned();
        if name.ends_with("part.added") {
            assert!(!self.part_open && part_text(&event["part"]).is_empty(), "{event}");
            self.texts.push(String::new());
            (self.part_open, self.text_done) = (true, false);
            return;
        }
        assert!(self.part_open || !has_parts, "{event}");
        let text = self.texts.last_mut().unwrap();
        if name.ends_with("part.done") {
            assert!(self.text_done);
            assert_eq!(part_text(&event["part"]), *text, "{event}");
            self.part_open = false;
        } else if name.ends_with("delta") {
            assert!(!self.text_done, "{event}");
            let delta = event["delta"].as_str().unwrap();
            assert!(!delta.is_empty(), "{event}");
            text.push_str(delta);
            assert_eq!(name == "output_text.delta", event["logprobs"].is_array());
        } else {
            assert!(!self.text_done, "{event}");
            let name = if name == "refusal.done" { "refusal" } else { text_name(&self.item) };
            assert_eq!(event[name].as_str(), Some(&**text), "{event}");
            self.text_done = true;
        }
    }

    fn check_done(&self, item: &Value) {
        assert!(!self.part_open, "a part is still open: {item}");
        for name in ["id", "type", "role", "call_id", "name", "namespace"] {
            assert_eq!(item.get(name), self.item.get(name), "{item}");
        }
        let parts = item["content"].as_array().or(item["summary"].as_array());
        let text = |part: &Value| part.get("text").unwrap_or(&part["refusal"]).as_str().unwrap().to_owned();
        match item["type"].as_str().unwrap() {
            "message" | "reasoning" => {
                assert_eq!(parts.unwrap().iter().map(text).collect::<Vec<_>>(), self.texts, "{item}");
            }
            "local_shell_call" => assert!(item["action"]["command"].is_array(), "{item}"),
            _ => {
                assert!(self.text_done, "{item}");
                assert_eq!(item[text_name(item)].as_str(), self.texts.first().map(String::as_str), "{item}");
            }
        }
        if item["type"] != "reasoning" {
            assert!(matches!(item["status"].as_str(), Some("completed" | "incomplete")), "{item}");
        }
    }
}

/// The items say what a chat client has been told.
fn check_said(response: &Value, said: &Said) {
    let items = response["output"].as_array().unwrap();
    let of = |kind: &'static str| items.iter().filter(move |item| item["type"] == kind);
    let texts = of("message").flat_map(|item| item["content"].as_array().unwrap());
    let content: String = texts.filter_map(|part| part["text"].as_str()).collect();
    assert_eq!(content, said.content);
    let reasoning: String = of("reasoning")
        .map(|item| match item["encrypted_content"].as_str() {
            Some(opened) => {
                serde_json::from_str(&format!("\"{}\"", opened.strip_prefix('t').unwrap())).unwrap()
            }
            None => item["summary"][0]["text"].as_str().unwrap().to_owned(),
        })
        .collect();
    assert_eq!(reasoning, said.reasoning);
    let calls: Vec<&Value> = items.iter().filter(|item| item["call_id"].is_string()).collect();
    assert_eq!(calls.len(), said.calls.len());
    for (call, [id, name, arguments]) in calls.into_iter().zip(&said.calls) {
        assert_eq!(call["call_id"], **id);
        check_call(call, name, arguments);
    }
    let expected = match &*said.finish_reason {
        "length" | "content_filter" => "incomplete",
        _ => "completed",
    };
    assert_eq!(response["status"], expected);
}

fn check_call(call: &Value, function: &str, arguments: &str) {
    let given = if is_ambiguous(arguments) { None } else { serde_json::from_str::<Value>(arguments).ok() };
    match call["type"].as_str().unwrap() {
        "function_call" => {
            assert_eq!(call["name"], function);
            let is_added = arguments.is_empty() && call["status"] == "completed";
            assert_eq!(call["arguments"], if is_added { "{}" } else { arguments });
        }
        "custom_tool_call" => {
            assert_eq!((&call["name"], function), (&json!("apply_patch"), "f"));
            let input = call["input"].as_str().unwrap();
            let only = given.as_ref().and_then(Value::as_object).filter(|members| members.len() == 1);
            match only.and_then(|members| members.get("input")?.as_str()) {
                // An upstream's own custom call may have such a text too.
                Some(text) => assert!(input == text || input == arguments, "{call} of {arguments}"),
                None if !arguments.contains("input") => assert_eq!(input, arguments),
                None => {}
            }
        }
        _ => {
            let Some(given) = given else { return };
            let words = match &given["command"] {
                Value::Array(words) => words.iter().filter(|word| word.is_string()).count(),
                Value::String(_) => 3,
                _ => 0,
            };
            assert_eq!(call["action"]["command"].as_array().unwrap().len(), words, "{call} of {arguments}");
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
