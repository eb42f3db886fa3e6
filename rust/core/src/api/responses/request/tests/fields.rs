//! The fields beside `input` and `tools`.

use super::*;

#[test]
#[allow(clippy::too_many_lines, reason = "rows")]
fn fields_in_chat_words() {
    let rows: [(&str, &str, &str, &[&str]); 22] = [
        (
            "what chat completions have too",
            r#""stream":true,"temperature": 0.5,"top_p":1,"user":"u","seed":1"#,
            r#"{"stream":true,"temperature":0.5,"top_p":1,"user":"u","seed":1}"#,
            &[],
        ),
        (
            "null is absent",
            r#""stream":null,"temperature":null,"tools":null,"tool_choice":null,"reasoning":null,"text":null,"previous_response_id":null,"conversation":null,"prompt":null,"include":null,"metadata":null"#,
            "{}",
            &[],
        ),
        (
            "what no API knows passes",
            r#""chat_template_kwargs":{"a":1},"top_k":5,"x":[1, 2]"#,
            r#"{"chat_template_kwargs":{"a":1},"top_k":5,"x":[1,2]}"#,
            &[],
        ),
        ("the limit", r#""max_output_tokens":100"#, r#"{"max_tokens":100}"#, &[]),
        (
            "the limit twice",
            r#""max_output_tokens":100,"max_tokens":5"#,
            r#"{"max_tokens":100}"#,
            &["max_tokens"],
        ),
        ("chat's limit alone", r#""max_tokens":5"#, r#"{"max_tokens":5}"#, &[]),
        (
            "effort: on",
            r#""reasoning":{"effort":"high","summary":"auto"}"#,
            r#"{"reasoning_effort":"high","llmgw_thinking":true}"#,
            &[],
        ),
        (
            "effort: off",
            r#""reasoning":{"effort":"none"}"#,
            r#"{"reasoning_effort":"none","llmgw_thinking":false}"#,
            &[],
        ),
        ("no effort says nothing of thinking", r#""reasoning":{"summary":"auto","effort":null}"#, "{}", &[]),
        (
            "the gateway's own switch wins",
            r#""llmgw_thinking":false,"reasoning":{"effort":"high"}"#,
            r#"{"llmgw_thinking":false,"reasoning_effort":"high"}"#,
            &[],
        ),
        (
            "so does Qwen's",
            r#""enable_thinking":false,"reasoning":{"effort":"high"}"#,
            r#"{"enable_thinking":false,"reasoning_effort":"high"}"#,
            &[],
        ),
        ("text", r#""text":{"format":{"type":"text"}}"#, "{}", &[]),
        (
            "an object",
            r#""text":{"format":{"type":"json_object"}}"#,
            r#"{"response_format":{"type":"json_object"}}"#,
            &[],
        ),
        (
            "a schema",
            r#""text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}}"#,
            r#"{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}}"#,
            &[],
        ),
        (
            "another format, and how many words",
            r#""text":{"format":{"type":"grammar"},"verbosity":"low"}"#,
            "{}",
            &["text.format.grammar", "text.verbosity"],
        ),
        ("what an affinity hangs on", r#""prompt_cache_key":"k""#, r#"{"prompt_cache_key":"k"}"#, &[]),
        (
            "what is accepted and says nothing to a model",
            r#""store":true,"metadata":{"a":"b"},"client_metadata":{"a":"b"},"include":["reasoning.encrypted_content"],"background":false,"safety_identifier":"s","stream_options":{"include_obfuscation":false},"service_tier":"auto","truncation":"disabled","top_logprobs":0"#,
            "{}",
            &[],
        ),
        (
            "what is lost",
            r#""service_tier":"flex","truncation":"auto","top_logprobs":3,"include":["message.output_text.logprobs"],"max_tool_calls":1,"n":2"#,
            "{}",
            &[
                "service_tier",
                "truncation",
                "top_logprobs",
                "max_tool_calls",
                "n",
                "include.message.output_text.logprobs",
            ],
        ),
        ("parallel calls of no tools", r#""parallel_tool_calls":true"#, "{}", &[]),
        ("a choice of no tools", r#""tool_choice":"auto""#, "{}", &[]),
        ("a call of no tools", r#""tool_choice":"required""#, "{}", &["tool_choice"]),
        ("escapes in a key", r#""str\u0065am":true"#, r#"{"stream":true}"#, &[]),
    ];
    for (name, members, expected, dropped) in rows {
        let converted = converted(&with_members(members));
        let mut chat: Json = serde_json::from_slice(&converted.chat).unwrap();
        let object = chat.as_object_mut().unwrap();
        assert_eq!(object.remove("model"), Some("m".into()), "{name}");
        assert!(object.remove("messages").is_some(), "{name}");
        assert_eq!(chat, json(expected), "{name}");
        assert_eq!(converted.dropped, dropped, "{name}");
    }
}

#[test]
fn what_the_answer_is_told() {
    for (members, shows, seals) in [
        (r#""reasoning":{"summary":"auto"},"include":["reasoning.encrypted_content"]"#, true, true),
        (r#""reasoning":{"generate_summary":"concise"}"#, true, false),
        (r#""reasoning":{"summary":"none","effort":"low"}"#, false, false),
        (r#""include":[]"#, false, false),
    ] {
        let reply = reply(&with_members(members));
        assert_eq!((reply.shows_reasoning, reply.seals_reasoning), (shows, seals), "{members}");
        assert_eq!(reply.model, "m");
    }
}

fn echo(members: &str) -> Json {
    let echo = String::from_utf8(reply(&with_members(members)).echo.clone()).unwrap();
    assert!(!echo.contains('\n'), "{echo}");
    json(&format!("{{{echo}}}"))
}

#[test]
fn what_the_answer_repeats() {
    let names = [
        "background",
        "instructions",
        "max_output_tokens",
        "metadata",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ];
    let nothing = echo(r#""stream":false"#);
    let mut repeated: Vec<_> = nothing.as_object().unwrap().keys().map(String::as_str).collect();
    repeated.sort_unstable();
    assert_eq!(repeated, names);
    assert_eq!(nothing["tools"], json("[]"));
    assert_eq!(nothing["store"], json("false"));
    let much = echo(
        "\"instructions\":\"a\\nb\",\"tools\":[\n {\"type\": \"function\",\"name\":\"f\"}],\"store\":true,\"temperature\":0.5",
    );
    assert_eq!(much["instructions"], "a\nb");
    assert_eq!(much["tools"], json(r#"[{"type":"function","name":"f"}]"#));
    assert_eq!(much["temperature"], json("0.5"));
    assert_eq!(much["store"], json("false"), "nothing is kept");
}

#[test]
fn too_much_is_not_repeated() {
    let long = "x".repeat(70_000);
    let tools = format!(r#""tools":[{{"type":"function","name":"f","description":"{long}"}}],"user":"u""#);
    assert_eq!(echo(&tools)["tools"], json("[]"));
    assert_eq!(echo(&tools)["user"], "u");
    assert_eq!(echo(&format!(r#""instructions":"{long}""#))["instructions"], Json::Null);
}
