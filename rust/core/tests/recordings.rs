//! Every recorded stream in `../shared/streams`: the same output however it is cut, and always within the rules.
//!
//! Skipped, saying so, where that folder is absent (it is a sibling of the checkout and no part of it).

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llmgw_core::answer::context::{AnswerContext, AnswerMode};
use llmgw_core::answer::stream::StreamState;
use llmgw_core::answer::summary::Summary;
use llmgw_core::api::Api;
use llmgw_core::api::messages::{MessagesReply, ShownThinking};
use llmgw_core::api::reply::Reply;
use llmgw_core::sse::SseLimits;
use llmgw_oracles::messages_answer;
use llmgw_oracles::rules::{check_rules, context, cuts, merge, pieces, transform};
use serde_json::Value;

fn recordings() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/streams");
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sse") {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    if found.is_empty() {
        eprintln!("skipped: there are no recordings in {}", root.display());
    }
    found.sort();
    found
}

#[test]
fn every_recording_keeps_the_rules() {
    for (name, stream) in recordings() {
        eprintln!("{name}");
        for include_usage in [false, true] {
            let outcome = transform([&stream[..]], include_usage);
            check_rules(&outcome, include_usage);
            assert_eq!(
                outcome.state == StreamState::Failed,
                is_no_success(&stream),
                "{name}: {:?}",
                outcome.summary
            );
        }
    }
}

/// Whether the recording holds an error, or never gives a finish reason (both of Snowflake's): read independently of
/// the code under test.
fn is_no_success(stream: &[u8]) -> bool {
    let events = String::from_utf8_lossy(stream);
    let payloads = events.lines().filter_map(|line| line.strip_prefix("data:"));
    let chunks: Vec<Value> = payloads.filter_map(|data| serde_json::from_str(data).ok()).collect();
    let finished = |chunk: &Value| {
        chunk["choices"][0]["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty())
    };
    chunks.iter().any(|chunk| chunk["error"].is_object()) || !chunks.iter().any(finished)
}

#[test]
fn every_recording_comes_out_the_same_however_it_is_cut() {
    for (name, stream) in recordings() {
        let whole = transform([&stream[..]], true);
        let merged = merge([&stream[..]]);
        for cut in cuts(stream.len()) {
            assert_eq!(transform([&stream[..cut], &stream[cut..]], true), whole, "{name} cut at {cut}");
        }
        for (most, seed) in [(1, 1), (7, 2), (200, 3), (5_000, 4)] {
            let pieces = pieces(&stream, most, seed);
            assert_eq!(transform(pieces.iter().copied(), true), whole, "{name} in pieces up to {most}");
            assert_eq!(merge(pieces), merged, "{name} merged from pieces up to {most}");
        }
    }
}

#[test]
fn every_recording_merges_into_what_its_frames_say() {
    for (name, stream) in recordings() {
        let outcome = transform([&stream[..]], true);
        let merged = merge([&stream[..]]);
        assert_eq!(merged.is_ok(), outcome.state == StreamState::Done, "{name}");
        let Ok(merged) = merged else { continue };
        let merged: Value = serde_json::from_slice(&merged).unwrap();
        let mut content = String::new();
        let mut reason = String::new();
        for payload in llmgw_oracles::rules::payloads(&outcome.output) {
            let Ok(chunk) = serde_json::from_str::<Value>(&payload) else { continue };
            for choice in chunk["choices"].as_array().unwrap().iter().filter(|choice| choice["index"] == 0) {
                content.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
                reason.push_str(choice["finish_reason"].as_str().unwrap_or_default());
            }
            if chunk["usage"].is_object() {
                assert_eq!(merged["usage"], chunk["usage"], "{name}");
            }
        }
        let message = &merged["choices"][0]["message"];
        assert_eq!(message["content"].as_str().unwrap_or_default(), content, "{name}");
        assert_eq!(
            message["content"].is_null(),
            content.is_empty() && message.get("tool_calls").is_some(),
            "{name}"
        );
        assert_eq!(merged["choices"][0]["finish_reason"], reason.as_str(), "{name}");
        for absent in ["reasoning_content", "reasoning", "reasoning_details"] {
            assert!(message.get(absent).is_none(), "{name}");
        }
    }
}

#[test]
fn every_recording_as_a_response_says_what_its_frames_say() {
    for (name, stream) in recordings() {
        eprintln!("{name}");
        llmgw_oracles::responses_answer::check(&stream);
    }
}

/// Also failure 2 of the field: a stream of Qwen's that had no end in Anthropic's words.
#[test]
fn field_02_every_recording_comes_out_as_a_message() {
    for (name, stream) in recordings() {
        eprintln!("{name}");
        messages_answer::check(&stream);
        let answer = |pieces: &[&[u8]]| {
            let mode = AnswerMode::Stream { include_usage: false };
            messages_answer::run(ShownThinking::Summarized, false, mode, pieces.iter().copied())
        };
        let whole = answer(&[&stream]);
        assert_eq!(whole.1.contains("event: message_stop"), !is_no_success(&stream), "{name}");
        for cut in cuts(stream.len()).step_by(4) {
            assert_eq!(answer(&[&stream[..cut], &stream[cut..]]), whole, "{name} cut at {cut}");
        }
        for (most, seed) in [(1, 1), (200, 3)] {
            assert_eq!(answer(&pieces(&stream, most, seed)), whole, "{name} in pieces up to {most}");
        }
    }
}

/// The account of a stream from these pieces.
fn account<'a>(mode: AnswerMode, reply: Reply, pieces: impl IntoIterator<Item = &'a [u8]>) -> Summary {
    let context = AnswerContext { reply, ..context() };
    let mut machine = Api::Chat.machine(mode, context, SseLimits::default());
    let mut output = Vec::new();
    for piece in pieces.into_iter().map(Some).chain([None]) {
        machine.feed(piece, &mut output);
    }
    machine.summary().clone()
}

/// How much text a recording holds: read independently of the code under test.
fn bytes_said(stream: &[u8]) -> u64 {
    let events = String::from_utf8_lossy(stream);
    let payloads = events.lines().filter_map(|line| line.strip_prefix("data:"));
    let chunks = payloads.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let mut names = HashMap::new();
    let mut bytes = 0;
    for choice in chunks.flat_map(|chunk| chunk["choices"].as_array().cloned().unwrap_or_default()) {
        let delta = &choice["delta"];
        let length = |value: &Value| value.as_str().map_or(0, str::len);
        bytes += length(&delta["content"]);
        for part in delta["content"].as_array().into_iter().flatten() {
            bytes += length(&part["text"]);
            bytes += part["thinking"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| length(&it["text"]))
                .sum::<usize>();
        }
        // The same reasoning may come under more than one name.
        let details = delta["reasoning_details"].as_array().into_iter().flatten();
        let details = details.map(|detail| length(&detail["text"])).sum();
        let reasoning = [length(&delta["reasoning_content"]), length(&delta["reasoning"]), details];
        bytes += reasoning.into_iter().find(|&length| length > 0).unwrap_or_default();
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            bytes += length(&call["function"]["arguments"]);
            let known = names.entry((call["index"].to_string(), call["id"].to_string())).or_insert(0);
            let name = length(&call["function"]["name"]);
            if *known == 0 && name > 0 {
                (*known, bytes) = (name, bytes + name);
            }
        }
    }
    bytes as u64
}

#[test]
fn every_recording_is_counted_by_its_own_text() {
    for (name, stream) in recordings() {
        assert_eq!(transform([&stream[..]], true).summary.output_bytes, bytes_said(&stream), "{name}");
    }
}

#[test]
fn every_recording_has_one_account_whatever_is_made_of_it() {
    let reply = MessagesReply {
        model: "m".into(),
        input_tokens: 1,
        thinking: ShownThinking::Hidden,
        seal: None,
        stop_sequences: Vec::new(),
    };
    let messages = Reply::Messages(Arc::new(reply));
    for (name, stream) in recordings() {
        let said = |summary: &Summary| (summary.output_bytes, summary.usage, summary.complete);
        let whole = said(&transform([&stream[..]], true).summary);
        for mode in [AnswerMode::Stream { include_usage: false }, AnswerMode::Merged] {
            for reply in [Reply::AsAsked, messages.clone()] {
                let account = account(mode, reply, pieces(&stream, 500, 1));
                assert_eq!(said(&account), whole, "{name}: {}", mode.as_str());
            }
        }
    }
}

/// Failure B.2 of the field: a stream that broke, and was paid for in full or not at all.
#[test]
fn field_b2_a_stream_that_breaks_is_counted_up_to_its_break() {
    for (name, stream) in recordings() {
        let mut before = 0;
        for cut in cuts(stream.len()).step_by(8).chain([stream.len()]) {
            let counted = transform([&stream[..cut]], false).summary.output_bytes;
            // An event is whole or it is nothing; the last one may lack its blank line.
            let events = stream[..cut].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            assert!(counted >= bytes_said(&stream[..events]), "{name} cut at {cut}");
            assert!(counted >= before && counted <= bytes_said(&stream), "{name} cut at {cut}");
            before = counted;
        }
        assert!(before > 0 || bytes_said(&stream) == 0, "{name}");
    }
}

/// Reasoning is a part of what is generated, once: also where the provider (xAI) tells it apart.
#[test]
fn field_b3_every_recording_counts_its_reasoning_once() {
    let mut apart = Vec::new();
    for (name, stream) in recordings() {
        let Some(told) = transform([&stream[..]], true).summary.usage else { continue };
        let usage = told.in_parts();
        let (Some(prompt), Some(output)) = (usage.prompt_tokens, usage.completion_tokens) else { continue };
        let text = String::from_utf8_lossy(&stream);
        let totals = text.rsplit("\"total_tokens\":").take(text.matches("\"total_tokens\":").count());
        let total = totals.into_iter().next().map(|rest| {
            rest.trim_start()
                .chars()
                .take_while(char::is_ascii_digit)
                .collect::<String>()
                .parse::<u64>()
                .unwrap()
        });
        assert_eq!(total, Some(prompt + output), "{name}");
        assert!(usage.reasoning_tokens.unwrap_or_default() <= output, "{name}");
        assert!(usage.cached_tokens.unwrap_or_default() <= prompt, "{name}");
        apart.extend(told.reasoning_apart.then_some(name));
    }
    assert!(apart.iter().all(|name| name.contains("xai")), "{apart:?}");
    assert!(apart.len() == 4 || recordings().is_empty(), "{apart:?}");
}
