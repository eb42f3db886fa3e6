//! What is refused, and where it says the fault is.

use super::*;

#[test]
fn faults_are_named_by_the_path_in_the_clients_body() {
    let deep = format!(
        r#""tools":[{{"type":"function","name":"f","parameters":{}{}}}]"#,
        "[".repeat(125),
        "]".repeat(125)
    );
    let rows: [(&str, &str, Option<&str>); 37] = [
        ("[]", "invalid_type", None),
        (r#"{"model":"m","input":"#, "invalid_json", Some("input")),
        (r#"{"input":"a"}"#, "missing_field", Some("model")),
        (r#"{"model":"m"}"#, "missing_field", Some("input")),
        (r#"{"model":"m","input":null}"#, "missing_field", Some("input")),
        (r#"{"model":"m","messages":[]}"#, "missing_field", Some("input")),
        (r#"{"model":"m","input":"a","messages":[]}"#, "wrong_api", Some("messages")),
        (r#"{"model":"m","input":"a","system":"x"}"#, "wrong_api", Some("system")),
        (r#"{"model":"m","input":1}"#, "invalid_type", Some("input")),
        (r#"{"model":"m","input":[]}"#, "invalid_type", Some("input")),
        (r#"{"model":"m","input":["a"]}"#, "invalid_type", Some("input[0]")),
        (r#"{"model":"m","input":"a","input":"b"}"#, "duplicate_field", Some("input")),
        (r#"{"model":"m","model":"n","input":"b"}"#, "duplicate_field", Some("model")),
        (r#"{"model":"m","input":[{"content":"a"}]}"#, "missing_field", Some("input[0].type")),
        (r#"{"model":"m","input":[{"role":"user"}]}"#, "missing_field", Some("input[0].content")),
        (
            r#"{"model":"m","input":[{"role":"tool","content":""}]}"#,
            "unsupported_value",
            Some("input[0].role"),
        ),
        (r#"{"model":"m","input":[{"role":"user","content":1}]}"#, "invalid_type", Some("input[0].content")),
        (
            r#"{"model":"m","input":[{"role":"user","content":["a"]}]}"#,
            "invalid_type",
            Some("input[0].content[0]"),
        ),
        (
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]}"#,
            "missing_field",
            Some("input[0].content[0].text"),
        ),
        (
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":1}]}]}"#,
            "invalid_type",
            Some("input[0].content[0].text"),
        ),
        (
            r#"{"model":"m","input":[{"role":"user","role":"system","content":""}]}"#,
            "duplicate_field",
            Some("input[0].role"),
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call","name":"f","arguments":""}]}"#,
            "missing_field",
            Some("input[0].call_id"),
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call","call_id":"a","arguments":""}]}"#,
            "missing_field",
            Some("input[0].name"),
        ),
        (
            r#"{"model":"m","input":[{"type":"function_call_output","call_id":"a","output":1}]}"#,
            "invalid_type",
            Some("input[0].output"),
        ),
        (r#"{"model":"m","input":"a","temperature":"hot"}"#, "invalid_type", Some("temperature")),
        (r#"{"model":"m","input":"a","max_output_tokens":"1"}"#, "invalid_type", Some("max_output_tokens")),
        (r#"{"model":"m","input":"a","instructions":[]}"#, "invalid_type", Some("instructions")),
        (
            r#"{"model":"m","input":"a","tools":[{"type":"function"}]}"#,
            "missing_field",
            Some("tools[0].name"),
        ),
        (
            r#"{"model":"m","input":"a","tools":[{"type":"function","name":1}]}"#,
            "invalid_type",
            Some("tools[0].name"),
        ),
        (r#"{"model":"m","input":"a","reasoning":{"effort":1}}"#, "invalid_type", Some("reasoning.effort")),
        (
            r#"{"model":"m","input":"a","text":{"format":{"type":1}}}"#,
            "invalid_type",
            Some("text.format.type"),
        ),
        (r#"{"model":"m","input":"a","background":true}"#, "unsupported_value", Some("background")),
        (r#"{"model":"m","input":"a","conversation":"conv_1"}"#, "unsupported_value", Some("conversation")),
        (r#"{"model":"m","input":"a","prompt":{"id":"pmpt_1"}}"#, "unsupported_value", Some("prompt")),
        (
            r#"{"model":"m","input":"a","previous_response_id":"resp_1"}"#,
            "previous_response_not_found",
            Some("previous_response_id"),
        ),
        (r#"{"model":"m","input":"a","include":[1]}"#, "invalid_type", Some("include[0]")),
        (&with_members(&deep), "too_deep", None),
    ];
    for (body, code, param) in rows {
        let error = convert(body.as_bytes(), None).unwrap_err();
        assert_eq!(error.code.as_str(), code, "{body}: {error}");
        if code != "too_deep" {
            assert_eq!(error.param.as_deref(), param, "{body}: {error}");
        }
    }
}

#[test]
fn there_are_only_so_many_items_and_tools() {
    let body = |members: &str| with_members(members);
    let tools = |count: usize| {
        let tools: Vec<_> = (0..count).map(|at| format!(r#"{{"type":"function","name":"f{at}"}}"#)).collect();
        body(&format!(r#""tools":[{}]"#, tools.join(",")))
    };
    assert!(convert(tools(1024).as_bytes(), None).is_ok());
    let error = convert(tools(1025).as_bytes(), None).unwrap_err();
    assert_eq!((error.code.as_str(), error.param.as_deref()), ("unsupported_value", Some("tools[1024]")));

    let items =
        |count: usize| with_input(&format!("[{}]", vec![r#"{"role":"user","content":""}"#; count].join(",")));
    assert!(convert(items(65_536).as_bytes(), None).is_ok());
    let error = convert(items(65_537).as_bytes(), None).unwrap_err();
    assert_eq!((error.code.as_str(), error.param.as_deref()), ("unsupported_value", Some("input[65536]")));

    let name = "x".repeat(257);
    let error = convert(body(&format!(r#""tools":[{{"type":"custom","name":"{name}"}}]"#)).as_bytes(), None)
        .unwrap_err();
    assert_eq!((error.code.as_str(), error.param.as_deref()), ("unsupported_value", Some("tools[0].name")));
}
