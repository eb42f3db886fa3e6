//! What a scan accepts, refuses and finds.

use super::*;
use crate::json::MAX_DEPTH;
use crate::request::error::RequestErrorCode as Code;
use crate::request::scan::CHAT;

/// A body with these members behind the required ones.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{}}],{members}}}"#)
}

#[test]
fn documented_types_are_accepted() {
    for members in [
        r#""max_tokens":1,"temperature":0.5,"top_p":1e0,"seed":-7"#,
        r#""max_tokens":1.5,"temperature":-1e999,"top_p":123456789012345678901234567890"#,
        r#""seed":123456789012345678901234567890"#,
        r#""stream":true,"stream_options":{"include_usage":false,"other":[1]}"#,
        r#""stream_options":{}"#,
        r#""stream_options":{"include_usage":null}"#,
        r#""tools":[],"tool_choice":"auto""#,
        r#""tools":[1],"tool_choice":{}"#,
        r#""enable_thinking":true,"llmgw_thinking":false"#,
        r#""response_format":{"type":"json_schema","json_schema":{}}"#,
        r#""stop":"x""#,
        r#""stop":[]"#,
        r#""stop":["a","b"]"#,
        r#""reasoning_effort":"a level of next year""#,
        r#""thinking":{"type":"enabled","keep":"all"},"chat_template_kwargs":{"enable_thinking":1}"#,
        r#""thinking":true,"chat_template_kwargs":"x""#,
        r#""max_completion_tokens":-1.5,"reasoning":[],"x":1"#,
        r#""reasoning":{"x":1,"x":2,"effort":5,"enabled":"no"}"#,
        r#""max_completion_tokens":null,"reasoning":null"#,
        r#""max_tokens":null,"temperature":null,"top_p":null,"seed":null,"stream":null,"stream_options":null,
           "tools":null,"tool_choice":null,"enable_thinking":null,"llmgw_thinking":null,"response_format":null,
           "stop":null,"reasoning_effort":null,"thinking":null,"chat_template_kwargs":null"#,
        r#""x":1,"x":2,"":{},"":{"a":1,"a":2}"#,
        r#""stream_options":{"x":1,"x":2},"thinking":{"x":1,"x":2},"chat_template_kwargs":{"x":1,"x":2}"#,
        r#""Model":1,"MESSAGES":2,"stream ":3"#,
        r#""y":"\ud800 \u2028","z":1e999"#,
        "\"y\":\"\u{2028}\u{feff}\u{7f}\"",
    ] {
        let body = with(members);
        assert!(ChatRequest::scan(body.as_bytes()).is_ok(), "{body}");
    }
    for messages in [
        r#"[{"role":null,"content":null}]"#,
        r#"[{"role":5,"content":{"type":"text"}},{"content":[1,null,"a",[],{}]}]"#,
        r#"[{"content":[{"type":5,"text":{},"image_url":null}],"name":1,"name":2}]"#,
    ] {
        let body = format!(r#" {{"messages":{messages},"model":"m"}}{}"#, "\r\n\t ");
        assert!(ChatRequest::scan(body.as_bytes()).is_ok(), "{body}");
    }
}

#[test]
fn other_types_are_refused() {
    // The offset is that of the value; the needle is looked for from the right.
    for (members, param, expected, needle) in [
        (r#""max_tokens":"1""#, "max_tokens", "a number", "\"1\""),
        (r#""max_completion_tokens":[1]"#, "max_completion_tokens", "a number", "[1]"),
        (r#""temperature":true"#, "temperature", "a number", "true"),
        (r#""top_p":[]"#, "top_p", "a number", "[]"),
        (r#""seed": 1.0"#, "seed", "an integer", "1.0"),
        (r#""seed":1e3"#, "seed", "an integer", "1e3"),
        (r#""seed":1E3"#, "seed", "an integer", "1E3"),
        (r#""seed":"1""#, "seed", "an integer", "\"1\""),
        (r#""stream":1"#, "stream", "a boolean", "1"),
        (r#""stream":"true""#, "stream", "a boolean", "\"true\""),
        (r#""stream_options":true"#, "stream_options", "an object", "true"),
        (r#""stream_options":[]"#, "stream_options", "an object", "[]"),
        (r#""stream_options":{"include_usage":1}"#, "stream_options.include_usage", "a boolean", "1"),
        (r#""tools":{}"#, "tools", "an array", "{}"),
        (r#""tool_choice":[]"#, "tool_choice", "a string or an object", "[]"),
        (r#""enable_thinking":"on""#, "enable_thinking", "a boolean", "\"on\""),
        (r#""llmgw_thinking":0"#, "llmgw_thinking", "a boolean", "0"),
        (r#""response_format":"json""#, "response_format", "an object with a string `type`", "\"json\""),
        (r#""response_format":{}"#, "response_format", "an object with a string `type`", "{}"),
        (
            r#""response_format":{"type":null}"#,
            "response_format",
            "an object with a string `type`",
            "{\"type\"",
        ),
        (r#""response_format":{"type":1}"#, "response_format.type", "a string", "1"),
        (r#""stop":1"#, "stop", "a string or an array of strings", "1"),
        (r#""stop":{}"#, "stop", "a string or an array of strings", "{}"),
        (r#""stop":["a",null]"#, "stop[1]", "a string", "null"),
        (r#""stop":[["a"]]"#, "stop[0]", "a string", "[\"a"),
        (r#""reasoning_effort":3"#, "reasoning_effort", "a string", "3"),
        (r#""s\u0065ed":true"#, "seed", "an integer", "true"),
    ] {
        let body = with(members);
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::InvalidType, "{body}");
        assert_eq!(error.message, format!("`{param}` must be {expected}."), "{body}");
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert_eq!(error.offset, body.rfind(needle).unwrap(), "{body}");
    }
    for (body, param, expected, offset) in [
        (r#"{"model":1,"messages":[{}]}"#, "model", "a string", 9),
        (r#"{"messages":[]}"#, "messages", "a non-empty array of objects", 12),
        (r#"{"messages": "hi"}"#, "messages", "a non-empty array of objects", 13),
        (r#"{"messages":[{}, 1]}"#, "messages[1]", "an object", 17),
        (r#"{"messages":[null]}"#, "messages[0]", "an object", 13),
    ] {
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.offset), (Code::InvalidType, offset), "{body}");
        assert_eq!(error.message, format!("`{param}` must be {expected}."), "{body}");
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn the_body_must_be_an_object() {
    for (body, offset) in [("[]", 0), (" \"x\"", 1), ("null", 0), ("12 ", 0), ("[{\"model\":1}]", 0)] {
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param, error.offset), (Code::InvalidType, None, offset), "{body}");
    }
}

#[test]
fn model_and_messages_must_be_there() {
    for (body, param, offset) in [
        ("{}", "model", 1),
        (r#"{"messages":[{}]} "#, "model", 16),
        (r#"{"model":null,"messages":[{}]}"#, "model", 9),
        (r#"{"model":"m"}"#, "messages", 12),
        (r#"{"model":"m","messages":null}"#, "messages", 24),
        (r#"{"model":"m","x":{"messages":[{}]}}"#, "messages", 34),
    ] {
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.offset), (Code::MissingField, offset), "{body}");
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert_eq!(error.message, format!("`{param}` is required."), "{body}");
    }
}

#[test]
fn a_field_that_is_read_stands_once() {
    for field in CHAT {
        let name = field.name();
        assert_eq!(Field::named(name.as_bytes()), Some(field));
        // Null both times, so that no type is in the way, and the second one's key spelled with an escape.
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        let body = format!(r#"{{"{name}":null, "{escaped}":null}}"#);
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (Code::DuplicateField, Some(name)), "{body}");
        assert_eq!(error.offset, body.find("\"\\u").unwrap(), "{body}");
        assert_eq!(error.message, format!("`{name}` must not be given twice."));
    }
    for (body, param) in [
        (
            with(r#""stream_options":{"include_usage":true,"include_usage":true}"#),
            "stream_options.include_usage",
        ),
        (with(r#""response_format":{"type":"text","x":1,"t\u0079pe":"text"}"#), "response_format.type"),
        (with(r#""thinking":{"type":null,"type":1}"#), "thinking.type"),
        (
            with(r#""chat_template_kwargs":{"enable_thinking":1,"enable\u005fthinking":1}"#),
            "chat_template_kwargs.enable_thinking",
        ),
        (with(r#""reasoning":{"effort":"none","effort":1}"#), "reasoning.effort"),
        (with(r#""reasoning":{"enabled":null,"e\u006eabled":false}"#), "reasoning.enabled"),
        (r#"{"messages":[{},{"role":"user","role":"user"}]}"#.to_owned(), "messages[1].role"),
        (
            r#"{"messages":[{"content":null,"role":"user","c\u006fntent":""}]}"#.to_owned(),
            "messages[0].content",
        ),
        (
            r#"{"messages":[{"content":[0,{"type":"a","type":"a"}]}]}"#.to_owned(),
            "messages[0].content[1].type",
        ),
        (
            r#"{"messages":[{"content":[{"text":"a","tex\u0074":1}]}]}"#.to_owned(),
            "messages[0].content[0].text",
        ),
        (
            r#"{"messages":[{"content":[{"image_url":null,"image_url":{}}]}]}"#.to_owned(),
            "messages[0].content[0].image_url",
        ),
        (
            r#"{"messages":[{"content":[{"video_url":null,"vide\u006f_url":{}}]}]}"#.to_owned(),
            "messages[0].content[0].video_url",
        ),
        (
            r#"{"messages":[{"content":[{"input_audio":1,"type":"a","input_audio":2}]}]}"#.to_owned(),
            "messages[0].content[0].input_audio",
        ),
    ] {
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (Code::DuplicateField, Some(param)), "{body}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for (body, param, offset) in [
        (&b""[..], None, 0),
        (b"{", None, 1),
        (b"\xef\xbb\xbf{\"model\":\"m\",\"messages\":[{}]}", None, 0),
        (b"{\"model\":\"m\",\"messages\":[{}]} x", None, 30),
        (b"{\"model\":\"m\",\"messages\":[{}]}{}", None, 29),
        (b"{\"model\":\"m\",}", None, 13),
        (b"{'model':1}", None, 1),
        (b"{\"model\":\"m", Some("model"), 11),
        (b"{\"model\":\"m\xff\",\"messages\":[{}]}", Some("model"), 11),
        (b"{\"messages\":[{\"content\":\"a\nb\"}]}", Some("messages[0].content"), 26),
        (b"{\"messages\":[{\"content\":[{},{\"x\":\"\\q\"}]}]}", Some("messages[0].content[1].x"), 35),
        (b"{\"seed\":01}", Some("seed"), 9),
        (b"{\"x\":[1,NaN]}", Some("x[1]"), 8),
        (b"[1,]", Some("[1]"), 3),
    ] {
        let name = String::from_utf8_lossy(body);
        let error = ChatRequest::scan(body).unwrap_err();
        assert_eq!((error.code, error.offset), (Code::InvalidJson, offset), "{name}");
        assert_eq!(error.param.as_deref(), param, "{name}");
    }
    let error = ChatRequest::scan(b"{\"x\":[1,NaN]}").unwrap_err();
    assert_eq!(error.message, "The request body is not valid JSON: unexpected byte at byte 8.");
}

#[test]
fn depth_is_capped() {
    // The body itself is one level.
    let nested = |depth: usize| with(&format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    assert!(ChatRequest::scan(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
    let body = nested(MAX_DEPTH);
    let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
    assert_eq!((error.code, error.offset), (Code::TooDeep, body.rfind('[').unwrap()));
    assert_eq!(error.message, "The request body is nested deeper than 128 levels.");
    assert!(error.param.unwrap().starts_with("x[0][0]"));
    // Far too deep is refused as early, without using up the stack.
    assert_eq!(ChatRequest::scan("[".repeat(1 << 20).as_bytes()).unwrap_err().code, Code::TooDeep);
}

#[test]
fn what_the_gateway_needs_is_found() {
    let body = br#"{"messages":[{}],"stream":true,"mod\u0065l":"caf\u00e9/\ud83d\ude00",
        "stream_options":{"include_usage":true},"enable_thinking":false}"#;
    let request = ChatRequest::scan(body).unwrap();
    assert_eq!(request.model, "café/😀");
    assert!(request.stream && request.include_usage);
    assert_eq!(request.enable_thinking, Some(false));
    assert_eq!(request.media, []);

    let request =
        ChatRequest::scan(with(r#""stream":null,"stream_options":{"include_usage":null}"#).as_bytes());
    let request = request.unwrap();
    assert!(!request.stream && !request.include_usage);
    assert_eq!(request.thinking(), None);
}

#[test]
fn the_gateways_own_switch_wins() {
    for (members, expected) in [
        (r#""enable_thinking":true"#, Some(true)),
        (r#""llmgw_thinking":false"#, Some(false)),
        (r#""enable_thinking":true,"llmgw_thinking":false"#, Some(false)),
        (r#""llmgw_thinking":true,"enable_thinking":false"#, Some(true)),
        (r#""llmgw_thinking":null,"enable_thinking":false"#, Some(false)),
        (r#""llmgw_thinking":null,"enable_thinking":null"#, None),
        (r#""x":{"llmgw_thinking":true}"#, None),
    ] {
        assert_eq!(ChatRequest::scan(with(members).as_bytes()).unwrap().thinking(), expected, "{members}");
    }
}

#[test]
fn what_is_not_text_is_named_where_it_comes_first() {
    use Modality::{Audio, File, Image, Video};
    let at =
        |modality, message: usize, part: usize| (modality, format!("messages[{message}].content[{part}]"));
    for (messages, media) in [
        (r#"{"content":"image_url"}"#, vec![]),
        (r#"{"content":[{"type":"text","text":"image_url"}]}"#, vec![]),
        (r#"{"content":[{"type":"text","text":"a","image_url":null}]}"#, vec![]),
        (r#"{"content":["image_url",{"x":{"type":"image_url"}}]}"#, vec![]),
        (r#"{"content":[{"type":"text","text":"a","file":"a.py","video":1}]}"#, vec![]),
        (r#"{"x":[{"type":"image_url"}]}"#, vec![]),
        (r#"{"content":[{"type":"image_url","image_url":{"url":"u"}}]}"#, vec![at(Image, 0, 0)]),
        (r#"{"content":[{"type":"im\u0061ge_url"}]}"#, vec![at(Image, 0, 0)]),
        (r#"{"content":[1,{"im\u0061ge_url":"u"}]}"#, vec![at(Image, 0, 1)]),
        (
            r#"{},{"role":"tool","content":[{},{"type":"image_url"},{"type":"image_url"}]},{"content":[{"type":"image_url"}]}"#,
            vec![at(Image, 1, 1)],
        ),
        (r#"{"content":[{"type":"video_url","video_url":{"url":"u"}}]}"#, vec![at(Video, 0, 0)]),
        (r#"{"content":[{"type":"video","video":["u","v"]}]}"#, vec![at(Video, 0, 0)]),
        (
            r#"{"content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}"#,
            vec![at(Audio, 0, 0)],
        ),
        (r#"{"content":[{"audio_url":{"url":"u"}}]}"#, vec![at(Audio, 0, 0)]),
        (r#"{"content":[{"type":"file","file":{"file_data":""}}]}"#, vec![at(File, 0, 0)]),
        (
            r#"{"content":[{"type":"input_file"},{"type":"input_image"}]}"#,
            vec![at(File, 0, 0), at(Image, 0, 1)],
        ),
        (
            r#"{"content":[{"type":"video_url"},{"type":"audio"},{"type":"video"}]},{"content":[{"type":"file"},{"type":"image"}]}"#,
            vec![at(Video, 0, 0), at(Audio, 0, 1), at(File, 1, 0), at(Image, 1, 1)],
        ),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
        assert_eq!(ChatRequest::scan(body.as_bytes()).unwrap().media, media, "{body}");
    }
}

#[test]
fn a_body_of_another_api_is_told_so() {
    for (members, param, code, words) in [
        (
            r#""input":"a""#,
            "messages",
            Code::MissingField,
            &["`input`", "Responses API", "POST /v1/responses"][..],
        ),
        (r#""input":[],"instructions":"b""#, "messages", Code::MissingField, &["Responses API"]),
        (r#""input":[],"messages":null"#, "messages", Code::MissingField, &["Responses API"]),
        (r#""prompt":"a""#, "messages", Code::MissingField, &["`prompt`", "POST /v1/completions serves"]),
        (
            r#""system":"a","messages":[{}]"#,
            "system",
            Code::WrongApi,
            &["Messages API", "POST /v1/messages serves", "role `system`"],
        ),
        (r#""messages":[{}],"system":[{"type":"text"}]"#, "system", Code::WrongApi, &["Messages API"]),
        (r#""messages":[{}],"stop\u005fsequences":["a"]"#, "stop_sequences", Code::WrongApi, &["`stop`"]),
        (
            r#""input":"a","messages":[{}],"anthropic_version":"x""#,
            "anthropic_version",
            Code::WrongApi,
            &["Messages API"],
        ),
        (
            r#""input":"a","system":"b""#,
            "messages",
            Code::MissingField,
            &["`system`, which is a field of the Messages API"],
        ),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let error = ChatRequest::scan(body.as_bytes()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (code, Some(param)), "{body}");
        for word in words {
            assert!(error.message.contains(word), "{}", error.message);
        }
    }
    // Without a sign, or with one that says nothing, it is what it is.
    for members in [
        r#""input":"a","prompt":"b""#,
        r#""system":null,"stop_sequences":null"#,
        r#""x":{"system":"a"},"metadata":{"input":"a"}"#,
        r#""max_tokens":5,"top_k":1,"System":"a""#,
    ] {
        assert!(ChatRequest::scan(with(members).as_bytes()).is_ok(), "{members}");
    }
    let error = ChatRequest::scan(br#"{"input":"a"}"#).unwrap_err();
    assert_eq!(error.message, "`model` is required.");
}
