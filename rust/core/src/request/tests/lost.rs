//! Turns that lost their reasoning: which they are, what they are known by, how they get it back.

use super::*;
use crate::request::rewrite;
use crate::turn::key::{FirstCall, TurnKey};

const CALLS: &str =
    r#"[{"id": "call_0123456789", "type": "function", "function": {"name": "f", "arguments": "{}"}}]"#;
const BY_NAME: &str =
    r#"[{"id":"get_weather:0","type":"function","function":{"name":"get_weather","arguments":"{}"}}]"#;

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

fn keys(body: &str) -> Vec<TurnKey> {
    ChatRequest::scan(body.as_bytes()).unwrap().lost_turn_keys(body.as_bytes(), b"1")
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
        ("no calls", r#"{"role": "assistant", "content": "x"}"#.to_owned(), 0),
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
fn a_random_id_is_enough_to_know_a_turn_by() {
    let user = r#"{"role": "user", "content": "x"}"#;
    let [key] = keys(&body(&[user, &assistant("")]))[..] else { panic!() };
    for (name, messages) in [
        ("another history", vec![assistant("")]),
        ("other arguments", vec![user.to_owned(), assistant("").replace("{}", "{ }")]),
        ("other white space", vec![user.to_owned(), assistant(" ")]),
    ] {
        let messages: Vec<_> = messages.iter().map(String::as_str).collect();
        assert_eq!(keys(&body(&messages)), [key], "{name}");
    }
    let other = assistant("").replace("0123456789", "0123456780");
    assert_ne!(keys(&body(&[user, &other])), [key], "another id");
    let body = body(&[&assistant("")]);
    let request = ChatRequest::scan(body.as_bytes()).unwrap();
    assert_ne!(request.lost_turn_keys(body.as_bytes(), b"2"), [key], "another scope");
}

#[test]
fn an_id_that_comes_again_is_known_by_its_conversation() {
    let system = r#"{"role": "system", "content": "It is 10:00."}"#;
    let user = r#"{"role": "user", "content": "x"}"#;
    let call = |calls: &str| format!(r#"{{"role": "assistant", "tool_calls": {calls}}}"#);
    let [key] = keys(&body(&[system, user, &call(BY_NAME)]))[..] else { panic!() };
    for (name, messages, same) in [
        ("another time", vec![&*system.replace("10:00", "10:01"), user, &call(BY_NAME)], true),
        ("no system", vec![user, &call(BY_NAME)], true),
        ("other bytes for the same arguments", vec![user, &call(&BY_NAME.replace("{}", " { } "))], true),
        ("another question", vec![&user.replace('x', "y"), &call(BY_NAME)], false),
        ("one message more", vec![user, user, &call(BY_NAME)], false),
        ("other arguments", vec![user, &call(&BY_NAME.replace("{}", r#"{\"a\":1}"#))], false),
        ("another function", vec![user, &call(&BY_NAME.replace("get_weather\"", "get_time\""))], false),
    ] {
        assert_eq!(keys(&body(&messages)) == [key], same, "{name}");
    }
}

#[test]
fn the_key_of_an_answer_is_that_of_the_turn_that_comes_back() {
    let (user, tool) =
        (r#"{"role":"user","content":"x"}"#, r#"{"role":"tool","tool_call_id":"c","content":"1"}"#);
    let call = format!(r#"{{"role":"assistant","tool_calls":{BY_NAME}}}"#);
    let first_call =
        FirstCall { id: "get_weather:0".into(), name: "get_weather".into(), arguments: "{}".into() };
    let mut messages = vec![user];
    let mut expected = Vec::new();
    for _turn in 0..3 {
        let asked = body(&messages);
        let request = ChatRequest::scan(asked.as_bytes()).unwrap();
        assert_eq!(request.lost_turn_keys(asked.as_bytes(), b"1"), expected);
        expected.push(request.turn_key(asked.as_bytes(), b"1", &first_call));
        messages.extend([call.as_str(), tool]);
    }
    assert_eq!(expected.iter().collect::<std::collections::HashSet<_>>().len(), 3);
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
