//! Rows: a body ⇒ what the upstream gets, or why it is refused; what an upstream sends ⇒ what the client gets.

use super::*;
use crate::answer::error::StreamErrorKind;
use crate::answer::usage::Usage;
use crate::dialect::Dialect;
use crate::request::error::RequestErrorCode;
use crate::request::refused::Refuses;
use crate::request::{ThinkingModes, UpstreamStream};

fn route(drop: &[&str]) -> Route {
    Route {
        upstream_model: "m".into(),
        dialect: Dialect::Native,
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Always,
        drop: drop.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[test]
fn requests() {
    let rows = [
        (
            "Jina's",
            r#"{"model":"m","query":"a","documents":["b",{"text":"c"}],"top_n":1,"return_documents":false}"#,
            &[][..],
            r#"{"model":"m","query":"a","documents":["b",{"text":"c"}],"top_n":1,"return_documents":false}"#,
        ),
        (
            "Cohere's",
            r#"{"documents":["b"], "max_tokens_per_doc":4096,"model": "x" ,"query":{"image":"u"}}"#,
            &[],
            r#"{"documents":["b"], "max_tokens_per_doc":4096,"model": "m" ,"query":{"image":"u"}}"#,
        ),
        (
            "dropped",
            r#"{"model":"m","query":"a","documents":[],"llmgw_thinking":false,"top_n":1,"x":2}"#,
            &["top_n", "x", "query", "documents", "model"],
            r#"{"model":"m","query":"a","documents":[]}"#,
        ),
    ];
    for (name, body, drop, expected) in rows {
        let rewrite = RerankRequest::scan(body.as_bytes()).unwrap().splice(body.as_bytes(), &route(drop));
        let output = rewrite.body.map_or_else(
            || body.to_owned(),
            |pieces| {
                pieces.iter().map(|piece| str::from_utf8(piece.bytes(body.as_bytes())).unwrap()).collect()
            },
        );
        assert_eq!(output, expected, "{name}");
        assert_eq!(
            (rewrite.mode, rewrite.thinking, rewrite.restored),
            (AnswerMode::Plain, None, 0),
            "{name}"
        );
    }
    assert_eq!(RerankRequest::scan(br#"{"query":"","documents":[],"model":"x\u0079"}"#).unwrap().model, "xy");
}

#[test]
fn refusals() {
    use RequestErrorCode::{DuplicateField, InvalidType, MissingField};
    for (body, code, param, message) in [
        (r#"{"query":"a","documents":[]}"#, MissingField, "model", "`model` is required."),
        (r#"{"model":"m","documents":[]}"#, MissingField, "query", "`query` is required."),
        (r#"{"model":"m","query":"a"}"#, MissingField, "documents", "`documents` is required."),
        (
            r#"{"model":"m","query":"a","input":["b"]}"#,
            MissingField,
            "documents",
            "`documents` is required; the body has `input`, as bodies of embeddings (POST /v1/embeddings) and of the \
             Responses API (POST /v1/responses) do.",
        ),
        (
            r#"{"model":"m","query":["a"],"documents":[]}"#,
            InvalidType,
            "query",
            "`query` must be a string or an object.",
        ),
        (
            r#"{"model":"m","query":"a","documents":"b"}"#,
            InvalidType,
            "documents",
            "`documents` must be an array.",
        ),
        (
            r#"{"model":"m","query":"a","documents":[],"documents":["b"]}"#,
            DuplicateField,
            "documents",
            "`documents` must not be given twice.",
        ),
    ] {
        let error = RerankRequest::scan(body.as_bytes()).unwrap_err();
        let found = (error.code, error.param.as_deref(), &error.message[..]);
        assert_eq!(found, (code, Some(param), message), "{body}");
    }
}

#[test]
fn answers() {
    let used = |prompt_tokens, completion_tokens| {
        Some(Usage { prompt_tokens: Some(prompt_tokens), completion_tokens, ..Usage::default() })
    };
    let rows = [
        (
            "Jina's",
            r#"{"model":"m","object":"list","usage":{"total_tokens":15},"results":[{"index":1,"relevance_score":0.90}]}"#,
            r#"{"model":"m","object":"list","usage":{"total_tokens":15},"results":[{"index":1,"relevance_score":0.90}]}"#,
            used(15, None),
        ),
        (
            "Cohere's",
            r#"{"id":"r1","results":[{"index":0,"relevance_score":1e-3}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}"#,
            r#"{"id":"r1","results":[{"index":0,"relevance_score":1e-3}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}},"object":"list","model":"up"}"#,
            None,
        ),
        (
            "Cohere's with tokens",
            r#"{"results":[],"model":"m","object":"list","meta":{"billed_units":{"input_tokens":9,"search_units":1},"tokens":{"input_tokens":8,"output_tokens":0}}}"#,
            r#"{"results":[],"model":"m","object":"list","meta":{"billed_units":{"input_tokens":9,"search_units":1},"tokens":{"input_tokens":8,"output_tokens":0}}}"#,
            used(8, Some(0)),
        ),
        (
            "billed tokens alone",
            r#"{"results":[],"model":"m","object":"list","usage":null,"meta":{"tokens":null,"billed_units":{"input_tokens":9}}}"#,
            r#"{"results":[],"model":"m","object":"list","usage":null,"meta":{"tokens":null,"billed_units":{"input_tokens":9}}}"#,
            used(9, None),
        ),
        (
            "an error that is none",
            r#"{"error":null,"results":[],"model":"m","object":"list"}"#,
            r#"{"results":[],"model":"m","object":"list"}"#,
            None,
        ),
    ];
    let context = AnswerContext { model: "up".into(), ..AnswerContext::default() };
    for (name, body, expected, usage) in rows {
        let cleaned = clean(body.as_bytes(), &context).unwrap();
        let output = cleaned.body.map_or_else(|| body.to_owned(), |body| String::from_utf8(body).unwrap());
        assert_eq!((&output[..], cleaned.summary.usage), (expected, usage), "{name}");
        assert!(cleaned.summary.complete && cleaned.summary.finish_reason.is_none(), "{name}");
    }
    for (body, kind, message) in [
        (
            r#"{"data":[]}"#,
            StreamErrorKind::InvalidEvent,
            "The upstream sent something that is no list of rerank results.",
        ),
        (r#"{"detail":"bad model"}"#, StreamErrorKind::ErrorEvent, "bad model"),
    ] {
        let error = clean(body.as_bytes(), &context).unwrap_err();
        assert_eq!((error.kind, &error.message[..]), (kind, message), "{body}");
    }
}
