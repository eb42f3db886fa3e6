//! Rows: a body ⇒ what the upstream gets, or why it is refused; what an upstream sends ⇒ what the client gets.

use proptest::prelude::*;

use super::*;
use crate::answer::error::StreamErrorKind;
use crate::answer::usage::{Usage, UsageSource};
use crate::dialect::Dialect;
use crate::request::error::RequestErrorCode;
use crate::request::refused::Refuses;
use crate::request::{ThinkingModes, UpstreamStream};

fn route(refuses: Refuses, drop: &[&str]) -> Route {
    Route {
        upstream_model: "m".into(),
        dialect: Dialect::EnableThinking,
        thinking_modes: ThinkingModes::BOTH,
        refuses,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Always,
        drop: drop.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn spliced(body: &str, route: &Route) -> String {
    let rewrite = EmbeddingRequest::scan(body.as_bytes()).unwrap().splice(body.as_bytes(), route);
    assert_eq!((rewrite.mode, rewrite.thinking, rewrite.restored), (AnswerMode::Plain, None, 0));
    rewrite.body.map_or_else(
        || body.to_owned(),
        |pieces| pieces.iter().map(|piece| str::from_utf8(piece.bytes(body.as_bytes())).unwrap()).collect(),
    )
}

#[test]
fn requests() {
    let float_only: Refuses = [Refused::Base64Embeddings].into_iter().collect();
    let rows = [
        (
            "nothing to change",
            r#"{"model":"m","input":"a","encoding_format":"base64"}"#,
            Refuses::NOTHING,
            &[][..],
            r#"{"model":"m","input":"a","encoding_format":"base64"}"#,
        ),
        (
            "the model",
            r#"{"model": "x" , "input":["a",[1,2]]}"#,
            Refuses::NOTHING,
            &[],
            r#"{"model": "m" , "input":["a",[1,2]]}"#,
        ),
        (
            "fields of this API and of servers, big numbers, escapes",
            r#"{"dimensions":1e3,"model":"m","user":"\u0061","input":[[123456789012345678901]],"stream":true,"task":{},"messages":1}"#,
            Refuses::NOTHING,
            &[],
            r#"{"dimensions":1e3,"model":"m","user":"\u0061","input":[[123456789012345678901]],"stream":true,"task":{},"messages":1}"#,
        ),
        (
            "no base64",
            r#"{"model":"m","encoding_format" : "base64","input":"a"}"#,
            float_only,
            &[],
            r#"{"model":"m","encoding_format" : "float","input":"a"}"#,
        ),
        (
            "no base64, in escapes",
            r#"{"model":"m","encoding_format":"b\u0061se64","input":"a"}"#,
            float_only,
            &[],
            r#"{"model":"m","encoding_format":"float","input":"a"}"#,
        ),
        (
            "another format is left to the upstream",
            r#"{"model":"m","encoding_format":"int8","input":"a"}"#,
            float_only,
            &[],
            r#"{"model":"m","encoding_format":"int8","input":"a"}"#,
        ),
        (
            "no format",
            r#"{"model":"m","encoding_format":null,"input":"a"}"#,
            float_only,
            &[],
            r#"{"model":"m","encoding_format":null,"input":"a"}"#,
        ),
        (
            "dropped",
            r#"{"model":"m","encoding_format":"base64","input":{"text":"a"},"user":"u"}"#,
            float_only,
            &["encoding_format", "user", "model", "input"],
            r#"{"model":"m","input":{"text":"a"}}"#,
        ),
        (
            "the gateway's own switch",
            r#"{"model":"m","llmgw_thinking":true,"input":""}"#,
            Refuses::NOTHING,
            &[],
            r#"{"model":"m","input":""}"#,
        ),
    ];
    for (name, body, refuses, drop, expected) in rows {
        assert_eq!(spliced(body, &route(refuses, drop)), expected, "{name}");
    }
}

#[test]
fn what_is_asked_for() {
    for (format, expected) in [
        (r#","encoding_format":"base64""#, Vectors::Base64),
        (r#","encoding_format":"float""#, Vectors::Floats),
        (r#","encoding_format":"int8""#, Vectors::AsTheyCome),
        (r#","encoding_format":null"#, Vectors::AsTheyCome),
        ("", Vectors::AsTheyCome),
    ] {
        let body = format!(r#"{{"model":"x\u0079","input":"a"{format}}}"#);
        let request = EmbeddingRequest::scan(body.as_bytes()).unwrap();
        assert_eq!((&request.model[..], request.vectors), ("xy", expected), "{format}");
    }
}

#[test]
fn refusals() {
    use RequestErrorCode::{DuplicateField, InvalidJson, InvalidType, MissingField};
    for (body, code, param, message) in [
        (r"{}", MissingField, Some("model"), "`model` is required."),
        (r#"{"model":"m"}"#, MissingField, Some("input"), "`input` is required."),
        (r#"{"model":"m","input":null}"#, MissingField, Some("input"), "`input` is required."),
        (
            r#"{"model":"m","messages":[{}]}"#,
            MissingField,
            Some("input"),
            "`input` is required; the body has `messages`, as chat completions do: POST /v1/chat/completions serves those.",
        ),
        (
            r#"{"model":"m","query":"a","documents":[]}"#,
            MissingField,
            Some("input"),
            "`input` is required; the body has `documents`, as bodies of rerank do: POST /v1/rerank serves those.",
        ),
        (
            r#"{"model":"m","input":1}"#,
            InvalidType,
            Some("input"),
            "`input` must be a string, an array or an object.",
        ),
        (
            r#"{"model":"m","input":"a","encoding_format":["float"]}"#,
            InvalidType,
            Some("encoding_format"),
            "`encoding_format` must be a string.",
        ),
        (
            r#"{"model":"m","input":"a","inp\u0075t":"b"}"#,
            DuplicateField,
            Some("input"),
            "`input` must not be given twice.",
        ),
        (r#"["a"]"#, InvalidType, None, "The request body must be a JSON object."),
        (
            r#"{"model":"m","input":"a""#,
            InvalidJson,
            Some("input"),
            "The request body is not valid JSON: the input ends inside a value at byte 24.",
        ),
    ] {
        let error = EmbeddingRequest::scan(body.as_bytes()).unwrap_err();
        let found = (error.code, error.param.as_deref(), &error.message[..]);
        assert_eq!(found, (code, param, message), "{body}");
    }
}

fn context(vectors: Vectors) -> AnswerContext {
    AnswerContext { model: "up".into(), vectors, ..AnswerContext::default() }
}

fn cleaned(body: &str, vectors: Vectors) -> (String, crate::answer::summary::Summary) {
    let cleaned = clean(body.as_bytes(), &context(vectors)).unwrap();
    let output = cleaned.body.map_or_else(|| body.to_owned(), |body| String::from_utf8(body).unwrap());
    (output, cleaned.summary)
}

#[test]
fn answers() {
    use Vectors::{AsTheyCome, Base64, Floats};
    let rows = [
        (
            "nothing to change",
            Floats,
            r#" {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-7]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}} "#,
            r#" {"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-1e-7]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}} "#,
        ),
        (
            "base64 as asked",
            Base64,
            r#"{"object":"list","data":[{"embedding":"AACAPw=="}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding":"AACAPw=="}],"model":"m"}"#,
        ),
        (
            "floats for base64",
            Base64,
            r#"{"object":"list","data":[{"embedding": [1, -2.50 ,0.1] ,"index":0},{"index":1,"embedding":[]}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding": "AACAPwAAIMDNzMw9" ,"index":0},{"index":1,"embedding":""}],"model":"m"}"#,
        ),
        (
            "base64 for floats, with escapes and without padding",
            Floats,
            r#"{"object":"list","data":[{"embedding":"AACAPwAAIMDNzMw9"},{"embedding":"AACAPw"},{"embedding":"\u0041ACAPw=="},{"embedding":""}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding":[1.0,-2.5,0.1]},{"embedding":[1.0]},{"embedding":[1.0]},{"embedding":[]}],"model":"m"}"#,
        ),
        (
            "floats far from one",
            Floats,
            r#"{"object":"list","data":[{"embedding":"AQAAAP//f38AAACAAAAAAA=="}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding":[1e-45,3.4028235e38,-0.0,0.0]}],"model":"m"}"#,
        ),
        (
            "nothing asked for",
            AsTheyCome,
            r#"{"object":"list","data":[{"embedding":"AACA"},{"embedding":[1]}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding":"AACA"},{"embedding":[1]}],"model":"m"}"#,
        ),
        (
            "lists that are no vectors of floats",
            Base64,
            r#"{"object":"list","data":[{"embedding":[[1],[2]]},{"embedding":[1,null]},{"embedding":[1e39]},{"embedding":null},[1],7,{"embedding":[1]}],"model":"m"}"#,
            r#"{"object":"list","data":[{"embedding":[[1],[2]]},{"embedding":[1,null]},{"embedding":[1e39]},{"embedding":null},[1],7,{"embedding":"AACAPw=="}],"model":"m"}"#,
        ),
        (
            "what is absent",
            Base64,
            r#"{"data":[{"embedding":[1]}],"error":null}"#,
            r#"{"data":[{"embedding":"AACAPw=="}],"object":"list","model":"up"}"#,
        ),
        (
            "another object, a model that is none",
            AsTheyCome,
            r#"{"object":"embedding_list","model":"","data":[],"id":"e1"}"#,
            r#"{"object":"list","model":"up","data":[],"id":"e1"}"#,
        ),
    ];
    for (name, vectors, body, expected) in rows {
        let (output, summary) = cleaned(body, vectors);
        assert_eq!(output, expected, "{name}");
        assert!(summary.complete && summary.frames == 1 && summary.finish_reason.is_none(), "{name}");
    }
}

#[test]
fn usages() {
    let used = |prompt_tokens| Some(Usage { prompt_tokens: Some(prompt_tokens), ..Usage::default() });
    for (name, usage, expected, source) in [
        ("both", r#"{"prompt_tokens":3,"total_tokens":4}"#, used(3), UsageSource::Upstream),
        ("a total", r#"{"total_tokens":4}"#, used(4), UsageSource::Upstream),
        ("another API's", r#"{"input_tokens":5,"total_tokens":5}"#, used(5), UsageSource::Upstream),
        ("none", "null", None, UsageSource::None),
        ("nothing in it", "{}", None, UsageSource::None),
    ] {
        let body = format!(r#"{{"object":"list","data":[],"model":"m","usage":{usage}}}"#);
        let (_, summary) = cleaned(&body, Vectors::AsTheyCome);
        assert_eq!((summary.usage, summary.usage_source()), (expected, source), "{name}");
    }
}

#[test]
fn no_answers() {
    use StreamErrorKind::{ErrorEvent, InvalidEvent};
    let none = "The upstream sent something that is no list of embeddings.";
    for (vectors, body, kind, status, message) in [
        (Vectors::Floats, &b"{}"[..], InvalidEvent, None, none),
        (Vectors::Floats, b"[1]", InvalidEvent, None, none),
        (Vectors::Floats, b"{\"data\":[1}", InvalidEvent, None, none),
        (Vectors::Floats, b"{\"data\":[]} x", InvalidEvent, None, none),
        (Vectors::Floats, b"{\"data\":[\"\xff\"]}", InvalidEvent, None, none),
        (Vectors::Floats, br#"{"data":{"embedding":[1]}}"#, InvalidEvent, None, none),
        (Vectors::Floats, br#"{"choices":[{"message":{}}]}"#, InvalidEvent, None, none),
        // No base64; no floats; not a number.
        (Vectors::Floats, br#"{"data":[{"embedding":"?"}]}"#, InvalidEvent, None, none),
        (Vectors::Floats, br#"{"data":[{"embedding":"AAA="}]}"#, InvalidEvent, None, none),
        (Vectors::Floats, br#"{"data":[{"embedding":"AADAfw=="}]}"#, InvalidEvent, None, none),
        (
            Vectors::Base64,
            br#"{"error":{"message":"too long","code":"InvalidParameter"}}"#,
            ErrorEvent,
            Some(400),
            "too long",
        ),
        (
            Vectors::Base64,
            br#"{"object":"error","message":"no such model","code":404}"#,
            ErrorEvent,
            Some(404),
            "no such model",
        ),
        (
            Vectors::Base64,
            br#"{"data":[{"embedding":[1]}],"base_resp":{"status_code":1002,"status_msg":"rate limit"}}"#,
            ErrorEvent,
            Some(429),
            "rate limit",
        ),
        (Vectors::Base64, br#"{"data":[],"error":"overloaded"}"#, ErrorEvent, Some(503), "overloaded"),
    ] {
        let error = clean(body, &context(vectors)).unwrap_err();
        let found = (error.kind, error.status, &error.message[..]);
        assert_eq!(found, (kind, status, message), "{}", String::from_utf8_lossy(body));
    }
}

/// Base64 by its definition: all bits in a row, six of them a sign.
fn reference(floats: &[f32]) -> String {
    const SIGNS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<_> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    let mut bits = bytes.iter().map(|byte| format!("{byte:08b}")).collect::<Vec<_>>().concat();
    while !bits.len().is_multiple_of(6) {
        bits.push('0');
    }
    let sign = |six: &[u8]| {
        SIGNS.as_bytes()[usize::from_str_radix(str::from_utf8(six).unwrap(), 2).unwrap()] as char
    };
    let mut text: String = bits.as_bytes().chunks(6).map(sign).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// A finite float, from any bits; and one of the ways to write it that mean just this one.
fn written() -> impl Strategy<Value = (f32, String)> {
    let float = any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |float| float.is_finite());
    (float, 0..4_u8).prop_map(|(float, way)| {
        let text = match way {
            0 => format!("{float}"),
            1 => format!("{float:E}"),
            2 => format!("{:e}", f64::from(float)),
            _ => format!("{:.160}", f64::from(float)),
        };
        (float, text)
    })
}

fn answer(vectors: &[String]) -> String {
    let items: Vec<_> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| format!(r#" {{"index":{index},"embedding":{vector},"x":[1,"\n"]}}"#))
        .collect();
    format!(r#"{{"data":[{} ],"object":"list","model":"m","y":{{"data":[]}}}}"#, items.join(","))
}

proptest! {
    /// Numbers in any spelling become the base64 of their floats, and these become the floats again; all around them
    /// stays.
    #[test]
    fn both_ways_as_by_the_definition(
        vectors in prop::collection::vec(prop::collection::vec(written(), 0..40), 0..6)
    ) {
        let floats: Vec<Vec<f32>> =
            vectors.iter().map(|vector| vector.iter().map(|(float, _)| *float).collect()).collect();
        let lists: Vec<_> = vectors.iter().map(|vector| {
            let texts: Vec<_> = vector.iter().map(|(_, text)| text.as_str()).collect();
            format!("[{}]", texts.join(" , "))
        }).collect();
        let encoded: Vec<_> = floats.iter().map(|floats| format!("\"{}\"", reference(floats))).collect();
        prop_assert_eq!(cleaned(&answer(&lists), Vectors::Base64).0, answer(&encoded));

        let (decoded, _) = cleaned(&answer(&encoded), Vectors::Floats);
        let read: serde_json::Value = serde_json::from_str(&decoded).unwrap();
        for (index, floats) in floats.iter().enumerate() {
            let numbers = read["data"][index]["embedding"].as_array().unwrap();
            #[allow(clippy::cast_possible_truncation, reason = "to the float that it was")]
            let found: Vec<u32> = numbers.iter().map(|n| (n.as_f64().unwrap() as f32).to_bits()).collect();
            let expected: Vec<u32> = floats.iter().map(|float| float.to_bits()).collect();
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(cleaned(&decoded, Vectors::Base64).0, answer(&encoded));
    }

    /// Nothing that an upstream sends makes it panic, and what it takes is JSON.
    #[test]
    fn any_bytes(body in any::<Vec<u8>>(), text in "[\\[\\]{}\",:a-z0-9. ]{0,80}", base64 in any::<bool>()) {
        let context = context(if base64 { Vectors::Base64 } else { Vectors::Floats });
        let nested = format!(r#"{{"data":[{{"embedding":{text}}}]}}"#);
        for body in [&body[..], text.as_bytes(), nested.as_bytes()] {
            if let Ok(cleaned) = clean(body, &context) {
                let output = cleaned.body.as_deref().unwrap_or(body);
                let read = serde_json::from_slice::<serde_json::Value>(output).unwrap();
                prop_assert!(read["data"].is_array() && read["object"] == "list");
            }
        }
    }
}
