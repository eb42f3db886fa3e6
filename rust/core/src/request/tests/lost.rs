//! Turns that lost their reasoning: which they are, what they are known by, how they get it back.

use super::*;
use crate::request::rewrite;

const CALLS: &str =
    r#"[{"id": "call_0123456789", "type": "function", "function": {"name": "f", "arguments": "{}"}}]"#;

fn body(messages: &[&str]) -> String {
    format!(r#"{{"model": "m", "messages": [{}]}}"#, messages.join(", "))
}

fn assistant(more: &str) -> String {
    format!(r#"{{"role": "assistant", "content": null, "tool_calls": {CALLS}{more}}}"#)
}

fn restoring(dialect: Dialect) -> Route {
    Route { restore_reasoning: true, ..plain(dialect) }
}

fn lost(body: &str) -> usize {
    ChatRequest::scan(body.as_bytes()).unwrap().lost_turns(body.as_bytes(), &restoring(Dialect::Native))
}

fn restored(body: &str, route: &Route, reasoning: &[Option<&[u8]>]) -> (String, usize) {
    let request = ChatRequest::scan(body.as_bytes()).unwrap();
    let rewrite = Rewritten::of(&request, body.as_bytes(), route, reasoning);
    let output = rewrite.body.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap());
    (output, rewrite.restored)
}

#[test]
fn which_turns_are_lost() {
    for (name, message, expected) in [
        ("no reasoning", assistant(""), 1),
        ("null", assistant(r#", "reasoning_content": null"#), 1),
        ("an empty string", assistant(r#", "reasoning_content": """#), 1),
        ("another name for it", assistant(r#", "reasoning": "r""#), 1),
        ("its own", assistant(r#", "reasoning_content": "r""#), 0),
        ("its own, of another type", assistant(r#", "reasoning_content": 0"#), 0),
        ("no calls, no tools", r#"{"role": "assistant", "content": "x"}"#.to_owned(), 0),
        ("null calls", r#"{"role": "assistant", "tool_calls": null}"#.to_owned(), 0),
        ("an empty list", r#"{"role": "assistant", "tool_calls": [ ]}"#.to_owned(), 0),
        ("calls of another type", r#"{"role": "assistant", "tool_calls": {"a": 1}}"#.to_owned(), 0),
        ("another role", format!(r#"{{"role": "user", "content": "x", "tool_calls": {CALLS}}}"#), 0),
        ("no role", format!(r#"{{"tool_calls": {CALLS}}}"#), 0),
        ("escaped keys", assistant("").replace("role", "r\\u006fle"), 1),
    ] {
        assert_eq!(lost(&body(&[&message])), expected, "{name}");
    }
}

#[test]
fn without_tools_no_turn_is_lost_and_with_them_every_one() {
    let (text, blank) = (r#"{"role": "assistant", "content": "x"}"#, r#"{"role": "assistant"}"#);
    let own = r#"{"role": "assistant", "content": "x", "reasoning_content": "r"}"#;
    for (name, messages, tools, expected) in [
        ("no tools", vec![text, blank], "", 0),
        ("null", vec![text, blank], "null", 0),
        ("an empty list", vec![text, blank], "[ ]", 0),
        ("offered", vec![text, blank, own], r#"[{"type": "function"}]"#, 2),
        ("called", vec![text, &assistant(""), own], "", 2),
        ("called by a turn that has its own", vec![text, &assistant(r#", "reasoning_content": "r""#)], "", 1),
        ("called by somebody else", vec![text, &assistant("").replace("assistant", "user")], "", 0),
    ] {
        let tools = if tools.is_empty() { String::new() } else { format!(r#""tools": {tools}, "#) };
        let body = body(&messages).replacen('{', &format!("{{{tools}"), 1);
        assert_eq!(lost(&body), expected, "{name}");
    }
}

#[test]
fn no_member_that_is_read_may_come_twice() {
    for (member, value) in [("tool_calls", CALLS), ("reasoning_content", "null")] {
        let twice = format!(r#"{{"role": "assistant", "{member}": {value}, "{member}": {value}}}"#);
        let error = ChatRequest::scan(body(&[&twice]).as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(format!("messages[0].{member}").as_str()));
        assert_eq!(error.code.as_str(), "duplicate_field");
    }
}

#[test]
fn reasoning_goes_where_it_is_missing_and_nothing_else_changes() {
    let reasoning = br#"a \"b\" \u4f60"#;
    for (name, before, after) in [
        ("absent", "", r#", "reasoning_content": "a \"b\" \u4f60""#),
        (
            "null",
            r#", "reasoning_content" : null , "x":1.0"#,
            r#", "reasoning_content" : "a \"b\" \u4f60" , "x":1.0"#,
        ),
        ("empty", r#", "reasoning_content":"""#, r#", "reasoning_content":"a \"b\" \u4f60""#),
    ] {
        let user = r#"{ "role":"user","content" : "\u00e9" }"#;
        let input = body(&[user, &assistant(before), user]);
        let expected = body(&[user, &assistant(after), user]);
        let restored = restored(&input, &restoring(Dialect::Native), &[Some(reasoning)]);
        assert_eq!(restored, (expected, 1), "{name}");
    }
}

#[test]
fn where_nothing_is_put_back() {
    let switched =
        |members: &str| body(&[&assistant("")]).replace("{\"model\"", &format!("{{{members}, \"model\""));
    let plain_body = body(&[&assistant("")]);
    let kept = Some(&b"r"[..]);
    for (name, input, route, reasoning, wants, expected) in [
        ("wanted", plain_body.clone(), restoring(Dialect::Native), kept, true, 1),
        ("not wanted", plain_body.clone(), plain(Dialect::Native), kept, false, 0),
        ("not kept", plain_body.clone(), restoring(Dialect::Native), None, true, 0),
        (
            "no JSON text",
            plain_body.clone(),
            restoring(Dialect::Native),
            Some(&b"a\", \"b\": \""[..]),
            true,
            0,
        ),
        ("cut in an escape", plain_body.clone(), restoring(Dialect::Native), Some(&b"a\\"[..]), true, 0),
        ("no UTF-8", plain_body, restoring(Dialect::Native), Some(&b"\xff"[..]), true, 0),
        (
            "switched off",
            switched(r#""llmgw_thinking": false"#),
            restoring(Dialect::ThinkingObject),
            kept,
            false,
            0,
        ),
        (
            "switched on",
            switched(r#""llmgw_thinking": true"#),
            restoring(Dialect::ThinkingObject),
            kept,
            true,
            1,
        ),
        (
            "off, but not sent",
            switched(r#""llmgw_thinking": false"#),
            restoring(Dialect::Native),
            kept,
            true,
            1,
        ),
        (
            "off by object",
            switched(r#""thinking": {"type": "disabled"}"#),
            restoring(Dialect::Native),
            kept,
            false,
            0,
        ),
        (
            "on by object",
            switched(r#""thinking": {"type": "enabled"}"#),
            restoring(Dialect::Native),
            kept,
            true,
            1,
        ),
        (
            "off by object, on by switch",
            switched(r#""thinking": {"type": "disabled"}, "llmgw_thinking": true"#),
            restoring(Dialect::ThinkingObject),
            kept,
            true,
            1,
        ),
    ] {
        assert_eq!(restored(&input, &route, &[reasoning]).1, expected, "{name}");
        let wanted = ChatRequest::scan(input.as_bytes()).unwrap().lost_turns(input.as_bytes(), &route);
        assert_eq!(wanted > 0, wants, "{name}");
    }
}

#[test]
fn each_turn_gets_its_own() {
    let own = assistant(r#", "reasoning_content": "own""#);
    let input = body(&[&assistant(""), &own, &assistant(r#", "n": 2"#), &assistant(r#", "n": 3"#)]);
    let (output, restored) =
        restored(&input, &restoring(Dialect::Native), &[Some(b"one"), None, Some(b"three")]);
    let (one, three) = (r#", "reasoning_content": "one""#, r#", "n": 3, "reasoning_content": "three""#);
    assert_eq!(output, body(&[&assistant(one), &own, &assistant(r#", "n": 2"#), &assistant(three)]));
    assert_eq!(restored, 2);
}

#[test]
fn a_request_grows_within_bounds_and_the_last_turns_come_first() {
    let turns: Vec<_> = (0..4).map(|number| assistant(&format!(r#", "n": {number}"#))).collect();
    let input = body(&turns.iter().map(String::as_str).collect::<Vec<_>>());
    let text = "x".repeat(rewrite::MAX_RESTORED_BYTES / 3);
    let kept = vec![Some(text.as_bytes()); 4];
    let (output, count) = restored(&input, &restoring(Dialect::Native), &kept);
    assert_eq!((count, output.len() < input.len() + rewrite::MAX_RESTORED_BYTES + 256), (3, true));
    assert!(output.contains(r#""n": 0}"#) && output.contains(r#""n": 1, "reasoning_content""#));
}
