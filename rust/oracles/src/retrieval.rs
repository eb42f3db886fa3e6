//! Embeddings and rerank: the request and the whole answer, each of any bytes.

use llmgw_core::answer::context::{AnswerContext, Vectors};
use llmgw_core::answer::error::StreamError;
use llmgw_core::api::embeddings::{self, EmbeddingRequest};
use llmgw_core::api::rerank::{self, RerankRequest};
use llmgw_core::dialect::Dialect;
use llmgw_core::request::error::{RequestError, RequestErrorCode};
use llmgw_core::request::facts::Facts;
use llmgw_core::request::refused::{Refused, Refuses};
use llmgw_core::request::{Rewrite, Route, ThinkingModes, UpstreamStream};

use crate::raw::{Members, depth, is_ambiguous, is_json, items};
use crate::request::{kind, readable};
use crate::rules::context;
use crate::{Choices, facts};

/// Any bytes, from a client and from a provider: what is taken is what the contract allows, nothing but what it names is
/// changed, and each vector is in the form that was asked for, the same floats in both.
pub fn retrieval(input: &[u8]) {
    let route = route(input);
    let embeddings =
        EmbeddingRequest::scan(input).map(|request| (request.splice(input, &route), request.facts));
    request(input, &route, &["input"], embeddings);
    let reranked = RerankRequest::scan(input).map(|request| (request.splice(input, &route), request.facts));
    request(input, &route, &["query", "documents"], reranked);
    for vectors in [Vectors::AsTheyCome, Vectors::Floats, Vectors::Base64] {
        answer(input, "data", vectors, embeddings::clean);
    }
    answer(input, "results", Vectors::Base64, rerank::clean);
}

fn route(input: &[u8]) -> Route {
    let mut choices = Choices::of(input);
    let float_only: Refuses = [Refused::Base64Embeddings].into_iter().collect();
    Route {
        upstream_model: choices.one_of(&["m", "other \"model\""]).to_owned(),
        dialect: Dialect::EnableThinking,
        thinking_modes: ThinkingModes::BOTH,
        refuses: choices.one_of(&[Refuses::NOTHING, float_only]),
        restore_reasoning: choices.coin(),
        upstream_stream: UpstreamStream::Always,
        drop: ["encoding_format", "x", "model", "input", "query", "documents"]
            .into_iter()
            .filter(|_| choices.coin() && choices.coin())
            .map(str::to_owned)
            .collect(),
    }
}

fn request(body: &[u8], route: &Route, required: &[&str], taken: Result<(Rewrite, Facts), RequestError>) {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let is_embedding = required == ["input"];
    let (rewrite, facts) = match taken {
        Ok(taken) => taken,
        Err(error) => {
            match error.code {
                RequestErrorCode::InvalidJson => {
                    assert!(!is_json(body), "JSON, and refused as none: {error:?}");
                }
                RequestErrorCode::TooDeep => assert!(depth(body) > llmgw_core::json::MAX_DEPTH),
                _ => assert!(
                    readable(text).is_none_or(|members| is_refused(&members, required)),
                    "for nothing: {error:?}"
                ),
            }
            return;
        }
    };
    let Some(before) = readable(text) else { return };
    assert!(!is_refused(&before, required), "taken in spite of it");
    facts::retrieval(&facts, &before, required);
    let output = rewrite.body.map_or_else(
        || body.to_vec(),
        |pieces| pieces.iter().map(|piece| piece.bytes(body)).collect::<Vec<_>>().concat(),
    );
    let after = Members::of(std::str::from_utf8(&output).unwrap()).unwrap();
    let keeps = |name: &str| name == "model" || required.contains(&name);
    let mut touched = vec!["model", "llmgw_thinking"];
    touched.extend(route.drop.iter().map(String::as_str).filter(|name| !keeps(name)));
    let format = |members: &Members| -> Option<String> {
        members.given("encoding_format").and_then(|value| serde_json::from_str(value).ok())
    };
    if is_embedding && route.refuses.has(Refused::Base64Embeddings) {
        assert_ne!(format(&after).as_deref(), Some("base64"));
        if format(&before).as_deref() == Some("base64") && !touched.contains(&"encoding_format") {
            assert_eq!(format(&after).as_deref(), Some("float"));
            touched.push("encoding_format");
        }
    }
    assert_eq!(before.others(&touched), after.others(&touched));
    let model: String = serde_json::from_str(after.given("model").unwrap()).unwrap();
    assert_eq!(model, route.upstream_model);
    assert!(after.all("llmgw_thinking").is_empty());
}

/// Whether the contract has anything against a body.
fn is_refused(body: &Members, required: &[&str]) -> bool {
    let more: &[&str] = if required == ["input"] { &["encoding_format"] } else { &[] };
    let known = ["model", "llmgw_thinking"].iter().chain(required).chain(more);
    known.into_iter().any(|&name| {
        let is_required = name == "model" || required.contains(&name);
        body.all(name).len() > 1 || body.given(name).map_or(is_required, |value| !holds(name, value))
    })
}

/// Whether a field may have this value, which is not null.
fn holds(name: &str, value: &str) -> bool {
    match name {
        "input" => matches!(kind(value), '"' | '[' | '{'),
        "query" => matches!(kind(value), '"' | '{'),
        "documents" => kind(value) == '[',
        "llmgw_thinking" => kind(value) == 't',
        _ => kind(value) == '"',
    }
}

type Clean = fn(&[u8], &AnswerContext) -> Result<llmgw_core::answer::completion::Cleaned, StreamError>;

fn answer(input: &[u8], list: &str, vectors: Vectors, clean: Clean) {
    let context = AnswerContext { vectors, ..context() };
    let Ok(cleaned) = clean(input, &context) else { return };
    assert!(cleaned.summary.complete && cleaned.summary.finish_reason.is_none());
    assert_ne!(cleaned.body.as_deref(), Some(input), "an edit that changes nothing");
    let body = cleaned.body.unwrap_or_else(|| input.to_vec());
    let (text, before) = (std::str::from_utf8(&body).unwrap(), std::str::from_utf8(input).unwrap());
    assert!(is_json(&body), "{text}");
    if is_ambiguous(text) || is_ambiguous(before) {
        return;
    }
    assert_eq!(clean(&body, &context).unwrap().body, None, "put right once, and again: {text}");
    let (after, before) = (Members::of(text).unwrap(), Members::of(before).unwrap());
    assert_eq!(after.given("object"), Some("\"list\""), "{text}");
    assert_eq!(kind(after.given("model").unwrap()), '"', "{text}");
    assert!(after.all("error").is_empty(), "{text}");
    let touched = [list, "object", "model", "error"];
    assert_eq!(after.others(&touched), before.others(&touched));
    let (after, before) = (after.first(list).unwrap(), before.first(list).unwrap());
    if list == "results" {
        assert_eq!(after, before);
        return;
    }
    let (after, before) = (items(after).unwrap(), items(before).unwrap());
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(&before) {
        item(after.get(), before.get(), vectors);
    }
}

/// One embedding.
fn item(after: &str, before: &str, vectors: Vectors) {
    let (Some(after), Some(before)) = (Members::of(after), Members::of(before)) else {
        return assert_eq!(after, before);
    };
    assert_eq!(after.others(&["embedding"]), before.others(&["embedding"]));
    let (Some(after), Some(before)) = (after.first("embedding"), before.first("embedding")) else { return };
    match (vectors, kind(before)) {
        (Vectors::Base64, '[') => match numbers(before) {
            Some(floats) => assert_eq!(after, format!("\"{}\"", base64(&floats))),
            None => assert_eq!(after, before),
        },
        (Vectors::Floats, '"') => {
            let sent: String = serde_json::from_str(before).unwrap();
            let (sent, floats) = (sent.trim_end_matches('='), numbers(after).unwrap());
            let ours = base64(&floats);
            let ours = ours.trim_end_matches('=');
            // The bits of the last sign that stand for nothing may be any.
            assert_eq!(ours.len(), sent.len());
            let certain = ours.len().saturating_sub(1);
            assert_eq!(ours[..certain], sent[..certain]);
        }
        _ => assert_eq!(after, before),
    }
}

/// The numbers of a list that holds nothing else, as floats that are finite.
fn numbers(list: &str) -> Option<Vec<f32>> {
    let float = |number: &str| number.parse::<f32>().ok().filter(|float| float.is_finite());
    items(list)?
        .iter()
        .map(|item| Some(item.get()).filter(|item| kind(item) == '0').and_then(float))
        .collect()
}

/// By the definition: all bits in a row, six of them a sign.
fn base64(floats: &[f32]) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<_> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    let bits: Vec<_> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| usize::from(byte >> bit & 1))).collect();
    let sign = |six: &[usize]| {
        let number = (0..6).fold(0, |number, at| number << 1 | six.get(at).copied().unwrap_or_default());
        SIGNS[number] as char
    };
    let mut text: String = bits.chunks(6).map(sign).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}
