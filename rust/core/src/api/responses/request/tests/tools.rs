//! Tools become functions, and calls of those go back as calls of the tools.

use super::*;
use crate::api::responses::tools::{CallKind, CalledTool};

/// The functions of a body with these tools, and what was dropped.
fn functions(tools: &str) -> (Json, Vec<String>) {
    let converted = converted(&with_members(&format!(r#""tools":{tools}"#)));
    let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
    (chat["tools"].clone(), converted.dropped)
}

#[test]
fn tools_become_functions() {
    let how = "Call it with a JSON object whose one member, `input`, is the whole input as a string.";
    let input = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
    let grammar = format!(
        r#"[{{"type":"function","function":{{"name":"apply_patch","description":"Edits files.\n\n{how}\n\nIts input must match this grammar (lark):\nstart: \"x\"","parameters":{input}}}}}]"#
    );
    let plain = format!(
        r#"[{{"type":"function","function":{{"name":"t","description":"{how}","parameters":{input}}}}}]"#
    );
    let rows: [(&str, &str, &str, &[&str]); 11] = [
        (
            "a function",
            r#"[{"type":"function","name":"f","description":"d","parameters":{"type":"object", "x": 1.0},"strict":true}]"#,
            r#"[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","x":1.0},"strict":true}}]"#,
            &[],
        ),
        (
            "a function of nothing",
            r#"[{"type":"function","name":"f","description":null,"parameters":null,"strict":false,"defer_loading":false}]"#,
            r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
            &[],
        ),
        (
            "what a function lacks",
            r#"[{"type":"function","name":"f","output_schema":{"type":"string"},"async":true}]"#,
            r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]"#,
            &["tools.function.output_schema", "tools.function.async"],
        ),
        (
            "chat's own form",
            r#"[{"type":"function","function":{"name":"f","x":1}}]"#,
            r#"[{"type":"function","function":{"name":"f","x":1}}]"#,
            &[],
        ),
        (
            "field 28: a custom tool with a grammar",
            r#"[{"type":"custom","name":"apply_patch","description":"Edits files.","format":{"type":"grammar","syntax":"lark","definition":"start: \"x\""}}]"#,
            &grammar,
            &[],
        ),
        (
            "field 29: a custom tool of any text",
            r#"[{"type":"custom","name":"t","format":{"type":"text"}}]"#,
            &plain,
            &[],
        ),
        (
            "field 30: a namespace",
            r#"[{"type":"namespace","name":"clock","description":"Time.","tools":[
                {"type":"function","name":"sleep","description":"Sleeps.","parameters":{}},{"type":"function","name":"now"}]}]"#,
            r#"[{"type":"function","function":{"name":"clock__sleep","description":"Time.\n\nSleeps.","parameters":{}}},
                {"type":"function","function":{"name":"clock__now","parameters":{"type":"object","properties":{}}}}]"#,
            &[],
        ),
        (
            "Codex's namespaces of MCP servers end with the joint",
            r#"[{"type":"namespace","name":"mcp__fs__","description":"","tools":[{"type":"function","name":"read","parameters":{}}]}]"#,
            r#"[{"type":"function","function":{"name":"mcp__fs__read","parameters":{}}}]"#,
            &[],
        ),
        (
            "field 33: what is nobody's here",
            r#"[{"type":"web_search","external_web_access":false},{"type":"image_generation"},{"type":"mcp","server_label":"x"},
                {"type":"function","name":"f","parameters":{}},{"type":"web_search"},{"type":"tool_search"},{"type":"apply_patch"}]"#,
            r#"[{"type":"function","function":{"name":"f","parameters":{}}}]"#,
            &[
                "tools.web_search",
                "tools.image_generation",
                "tools.mcp",
                "tools.tool_search",
                "tools.apply_patch",
            ],
        ),
        ("only those", r#"[{"type":"web_search"}]"#, "null", &["tools.web_search"]),
        (
            "one tool twice",
            r#"[{"type":"function","name":"f","parameters":{}},{"type":"function","name":"f"}]"#,
            r#"[{"type":"function","function":{"name":"f","parameters":{}}}]"#,
            &["tools.duplicate"],
        ),
    ];
    for (name, tools, expected, dropped) in rows {
        assert_eq!(
            functions(tools),
            (json(expected), dropped.iter().map(|&it| it.to_owned()).collect()),
            "{name}"
        );
    }
}

#[test]
fn a_local_shell_is_a_function() {
    let (functions, _) = functions(r#"[{"type":"local_shell"}]"#);
    assert_eq!(functions[0]["function"]["name"], "local_shell");
    assert_eq!(functions[0]["function"]["parameters"]["required"], json(r#"["command"]"#));
}

#[test]
fn field_30_additional_tools_are_tools() {
    let body = with_input(
        r#"[{"type":"additional_tools","id":"at_1","role":"developer","tools":[{"type":"namespace","name":"functions",
             "description":"","tools":[{"type":"custom","name":"exec"},{"type":"function","name":"wait","parameters":{}}]}]},
            {"role":"user","content":"Hi"},
            {"type":"custom_tool_call","call_id":"a","namespace":"functions","name":"exec","input":"1"},
            {"type":"custom_tool_call","call_id":"b","name":"exec","input":"2"}]"#,
    );
    let chat = chat(&body);
    assert_eq!(chat["tools"][0]["function"]["name"], "functions__exec");
    assert_eq!(chat["tools"][1]["function"]["name"], "functions__wait");
    for call in 0..2 {
        assert_eq!(chat["messages"][1]["tool_calls"][call]["function"]["name"], "functions__exec");
    }
    let names = &reply(&body).tools;
    let exec = CalledTool { kind: CallKind::Custom, namespace: Some("functions"), name: "exec" };
    assert_eq!(names.called("functions__exec"), exec);
    assert_eq!(names.called("exec"), exec);
}

#[test]
fn field_28_each_call_goes_back_as_what_was_offered() {
    let body = with_members(
        r#""tools":[{"type":"custom","name":"apply_patch"},{"type":"local_shell"},{"type":"function","name":"a__b"},
            {"type":"namespace","name":"a","tools":[{"type":"function","name":"b"}]},
            {"type":"function","name":"local_shell"}]"#,
    );
    let functions: Vec<String> = chat(&body)["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap().to_owned())
        .collect();
    let names = &reply(&body).tools;
    let called: Vec<_> = functions.iter().map(|function| names.called(function)).collect();
    let tool = |kind, namespace, name| CalledTool { kind, namespace, name };
    assert_eq!(
        called,
        [
            tool(CallKind::Custom, None, "apply_patch"),
            tool(CallKind::LocalShell, None, "local_shell"),
            tool(CallKind::Function, None, "a__b"),
            tool(CallKind::Function, Some("a"), "b"),
            tool(CallKind::Function, None, "local_shell"),
        ]
    );
    let distinct: std::collections::HashSet<_> = functions.iter().collect();
    assert_eq!(distinct.len(), functions.len(), "{functions:?}");
}

#[test]
fn a_long_or_strange_name_is_told_apart_by_a_digest() {
    for (namespace, name) in [("n".repeat(40), "x".repeat(40)), ("你好".to_owned(), "a b".to_owned())] {
        let (functions, _) = functions(&format!(
            r#"[{{"type":"namespace","name":"{namespace}","tools":[{{"type":"function","name":"{name}"}},{{"type":"function","name":"{name}y"}}]}}]"#
        ));
        let names = [0, 1].map(|at| functions[at]["function"]["name"].as_str().unwrap().to_owned());
        assert_ne!(names[0], names[1]);
        for name in names {
            assert!(
                name.len() <= 64
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{name}"
            );
        }
    }
}

#[test]
fn choices() {
    let tools = r#""tools":[{"type":"function","name":"f"},{"type":"custom","name":"c"},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"g"}]},{"type":"local_shell"}]"#;
    let rows: [(&str, &str, &str, &[&str]); 11] = [
        (r#""auto""#, r#""auto""#, "f c n__g local_shell", &[]),
        (r#""required""#, r#""required""#, "f c n__g local_shell", &[]),
        (
            r#"{"type":"function","name":"f"}"#,
            r#"{"type":"function","function":{"name":"f"}}"#,
            "f c n__g local_shell",
            &[],
        ),
        (
            r#"{"type":"function","function":{"name":"f"}}"#,
            r#"{"type":"function","function":{"name":"f"}}"#,
            "f c n__g local_shell",
            &[],
        ),
        (
            r#"{"type":"custom","name":"c"}"#,
            r#"{"type":"function","function":{"name":"c"}}"#,
            "f c n__g local_shell",
            &[],
        ),
        (
            r#"{"type":"function","namespace":"n","name":"g"}"#,
            r#"{"type":"function","function":{"name":"n__g"}}"#,
            "f c n__g local_shell",
            &[],
        ),
        (
            r#"{"type":"local_shell"}"#,
            r#"{"type":"function","function":{"name":"local_shell"}}"#,
            "f c n__g local_shell",
            &[],
        ),
        (r#"{"type":"web_search"}"#, "null", "f c n__g local_shell", &["tool_choice.web_search"]),
        (
            r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"local_shell"}]}"#,
            r#""required""#,
            "f local_shell",
            &[],
        ),
        (
            r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"namespace","name":"n"},{"type":"custom","name":"c"}]}"#,
            r#""auto""#,
            "c n__g",
            &[],
        ),
        (r#"{"type":"allowed_tools","mode":"required","tools":[]}"#, "null", "", &["tool_choice"]),
    ];
    for (choice, expected, offered, dropped) in rows {
        let converted = converted(&with_members(&format!(
            r#"{tools},"tool_choice":{choice},"parallel_tool_calls":false"#
        )));
        let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
        assert_eq!(chat["tool_choice"], json(expected), "{choice}");
        let names: Vec<&str> = chat["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|tool| tool["function"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(" "), offered, "{choice}");
        assert_eq!(converted.dropped, dropped, "{choice}");
        assert_eq!(chat.get("parallel_tool_calls").is_some(), !names.is_empty(), "{choice}");
    }
}

#[test]
fn field_29_no_type_but_function_reaches_an_upstream() {
    let (functions, _) = functions(
        r#"[{"type":"custom","name":"c"},{"type":"local_shell"},{"type":"namespace","name":"n","tools":[{"type":"custom","name":"c"}]},
            {"type":"responses_custom_tool","name":"x"}]"#,
    );
    let kinds: Vec<_> = functions.as_array().unwrap().iter().map(|tool| &tool["type"]).collect();
    assert_eq!(kinds, ["function"; 3]);
}

#[test]
fn field_33_web_search_is_left_out_and_named() {
    let body =
        with_members(r#""tools":[{"type":"web_search"},{"type":"web_search_preview"}],"tool_choice":"auto""#);
    let converted = converted(&body);
    let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
    assert!(chat.get("tools").is_none() && chat.get("tool_choice").is_none(), "{chat}");
    assert_eq!(converted.dropped, ["tools.web_search", "tools.web_search_preview"]);
}
