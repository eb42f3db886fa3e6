//! The targets whose every input means something, on inputs that nobody chose: a short fuzz run in each test run.

#![allow(missing_docs)]

use llmgw_oracles::{Lcg, deltas, messages_answer, responses_answer, responses_request};

fn on_streams_put_together_of_quirks(holds: fn(&[u8])) {
    let mut numbers = Lcg::new(1);
    for _ in 0..3_000 {
        let mut choices = [0; 160];
        for byte in &mut choices {
            *byte = u8::try_from(numbers.below(256)).unwrap_or_default();
        }
        holds(&choices);
    }
}

#[test]
fn streams_put_together_of_quirks_keep_the_rules() {
    on_streams_put_together_of_quirks(deltas);
}

#[test]
fn and_come_out_as_responses() {
    on_streams_put_together_of_quirks(responses_answer);
}

#[test]
fn and_come_out_as_messages() {
    on_streams_put_together_of_quirks(messages_answer);
}

/// Words that mean something in a Responses body.
const WORDS: [&str; 22] = [
    r#"{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}"#,
    r#"{"type":"function_call_output","call_id":"a","output":"A"}"#,
    r#"{"type":"custom_tool_call","call_id":"b","name":"exec","input":"x"}"#,
    r#"{"type":"custom_tool_call_output","call_id":"b","output":[{"type":"input_image","image_url":"u"}]}"#,
    r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]}"#,
    r#"{"role":"assistant","content":[{"type":"output_text","text":"t"}]}"#,
    r#"{"role":"user","content":"u"}"#,
    r#"{"type":"additional_tools","tools":[{"type":"custom","name":"exec"}]}"#,
    r#"{"type":"web_search_call"}"#,
    r#""tools":[{"type":"function","name":"f"}],"#,
    r#""store":true,"#,
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"x\"",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\"",
];

/// A saved body with pieces taken out and words put in.
fn mutated(body: &[u8], numbers: &mut Lcg) -> Vec<u8> {
    let mut mutated = body.to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(mutated.len() + 1);
        let gone = numbers.below(12).min(mutated.len() - at);
        let word = if numbers.below(2) == 0 { "" } else { WORDS[numbers.below(WORDS.len())] };
        mutated.splice(at..at + gone, word.bytes());
    }
    mutated
}

/// Items in any order.
fn put_together(numbers: &mut Lcg) -> Vec<u8> {
    let items: Vec<_> = (0..numbers.below(9)).map(|_| WORDS[numbers.below(9)]).collect();
    format!(r#"{{"model":"m",{}"input":[{}]}}"#, WORDS[9 + numbers.below(2)], items.join(",")).into_bytes()
}

#[test]
fn responses_bodies_become_chat_bodies() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/fuzz/responses_request");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let saved: Vec<_> = paths.iter().filter_map(|path| std::fs::read(path).ok()).collect();
    assert!(saved.len() >= 20, "the corpus has shrunk");
    let mut numbers = Lcg::new(7);
    for round in 0..20_000 {
        responses_request(&put_together(&mut numbers));
        responses_request(&mutated(&saved[round % saved.len()], &mut numbers));
    }
}
