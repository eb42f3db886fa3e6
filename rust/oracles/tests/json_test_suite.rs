//! nst/JSONTestSuite as request bodies: `serde_json`'s verdict is ours.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use llmgw_core::request::ChatRequest;
use llmgw_core::request::error::RequestErrorCode;
use serde::de::IgnoredAny;

/// Name and bytes of each case, as the README there has it.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let lines = include_str!("../../../tests/corpus/json-test-suite/cases.tsv").lines();
    lines
        .map(|line| {
            let (name, text) = line.split_once('\t').unwrap();
            let (count, text) = match text.split_once('*') {
                Some((count, text)) if count.parse::<usize>().is_ok() => (count.parse().unwrap(), text),
                _ => (1, text),
            };
            (name, unescaped(text).repeat(count))
        })
        .collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

fn serde_json_takes(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

#[test]
fn the_verdict_is_that_of_serde_json() {
    let cases = cases();
    assert_eq!(cases.len(), 318);
    let (mut taken, mut too_deep) = (0, 0);
    for (name, json) in &cases {
        let body = [br#"{"model":"m","messages":[{}],"x":"#, &json[..], b"}"].concat();
        let verdict = ChatRequest::scan(&body).map_err(|error| error.code);
        match verdict {
            Err(RequestErrorCode::TooDeep) => too_deep += 1,
            Err(RequestErrorCode::InvalidJson) => assert!(!serde_json_takes(&body), "{name}"),
            Err(code) => panic!("{name}: {code:?}"),
            Ok(_) => {
                assert!(serde_json_takes(&body), "{name}");
                taken += 1;
            }
        }
        // Inside of a body some of them read otherwise; alone they are what their names say.
        match name.as_bytes()[0] {
            b'y' => assert!(verdict.is_ok(), "{name}"),
            b'n' => assert!(verdict.is_err() || serde_json_takes(&body), "{name}"),
            _ => {}
        }
        llmgw_oracles::request(&body);
        llmgw_oracles::rewrite(&body);
    }
    assert!(taken >= 95 && (1..=3).contains(&too_deep), "{taken} taken, {too_deep} too deep");
}

#[test]
fn alone_they_are_no_request() {
    for (name, json) in cases() {
        let code = ChatRequest::scan(&json).unwrap_err().code;
        match code {
            RequestErrorCode::TooDeep => assert!(name.contains("nested") || name.contains("open"), "{name}"),
            RequestErrorCode::InvalidJson => {
                assert!(!serde_json_takes(&json) && !name.starts_with("y_"), "{name}");
            }
            // JSON, but no object, or one without a model.
            RequestErrorCode::InvalidType | RequestErrorCode::MissingField => {
                assert!(serde_json_takes(&json) && !name.starts_with("n_"), "{name}");
            }
            RequestErrorCode::DuplicateField
            | RequestErrorCode::WrongApi
            | RequestErrorCode::UnsupportedValue
            | RequestErrorCode::PreviousResponseNotFound => panic!("{name}"),
        }
        llmgw_oracles::request(&json);
        llmgw_oracles::clean(&json);
        llmgw_oracles::stream(&[b"data: ", &json[..], b"\n\n"].concat());
    }
}
