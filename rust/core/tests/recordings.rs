//! Every recorded stream in `../shared/streams`: the same output however it is cut, and always within the rules.
//!
//! Skipped, saying so, where that folder is absent (it is a sibling of the checkout and no part of it).

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::answer::stream::StreamState;
use llmgw_core::api::messages::ShownThinking;
use llmgw_oracles::messages_answer;
use llmgw_oracles::rules::{check_rules, cuts, merge, pieces, transform};
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
