//! What of the messages an upstream refuses: the client's bytes => the upstream's bytes.

use super::*;
use crate::request::messages::MAX_MENDED;
use crate::request::refused::Refused;

fn refusing(some: &[Refused]) -> Route {
    Route { refuses: some.iter().copied().collect(), ..plain(Dialect::ThinkingObject) }
}

fn body(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":[{messages}],"n":1}}"#)
}

/// Rows of messages, and what becomes of them where one thing is refused, where all is, and where something else is.
fn check(one: Refused, rows: &[(&str, &str, &str)]) {
    let all = refusing(&Refused::ALL);
    let others: Vec<_> = Refused::ALL.into_iter().filter(|other| *other != one).collect();
    for (name, messages, expected) in rows {
        assert_eq!(upstream_body(&body(messages), &refusing(&[one])), body(expected), "{name}");
        assert_eq!(upstream_body(&body(messages), &all), body(expected), "{name}, with all others");
        assert_eq!(upstream_body(&body(messages), &refusing(&others)), body(messages), "{name}, not refused");
        assert_eq!(rewrite(&body(expected), &all).body, None, "{name}, once more");
    }
}

#[test]
fn a_developer_is_a_system() {
    check(
        Refused::DeveloperRole,
        &[
            (
                "each of them",
                r#"{"role":"developer","content":"a"}, { "content" : "b" , "role" : "developer" }"#,
                r#"{"role":"system","content":"a"}, { "content" : "b" , "role" : "system" }"#,
            ),
            ("escapes", r#"{"r\u006fle":"devel\u006fper"}"#, r#"{"r\u006fle":"system"}"#),
            (
                "only as a role",
                r#"{"role":"user","content":"developer","name":"developer","x":{"role":"developer"}}"#,
                r#"{"role":"user","content":"developer","name":"developer","x":{"role":"developer"}}"#,
            ),
            ("another case", r#"{"role":"Developer"}"#, r#"{"role":"Developer"}"#),
        ],
    );
}

#[test]
fn a_text_part_without_text_leaves() {
    const IMAGE: &str = r#"{"type":"image_url","image_url":{"url":"u"}}"#;
    let with =
        |content: &str| format!(r#"{{"role":"user","content":{content}}},{{"role":"tool","content":""}}"#);
    let image_first = format!(r#"[ {IMAGE} , {{"type":"text","text":""}} ]"#);
    let between = format!(r#"[{{"type":"text","text":"a"}},{{"text":"","type":"t\u0065xt"}}, {IMAGE}]"#);
    for (name, content, expected) in [
        ("alone", r#"[{"type":"text","text":""}]"#, r#""""#.to_owned()),
        (
            "all of them",
            r#"[ {"type":"text","text":""}, {"type":"text","text":"","x":1} ]"#,
            r#""""#.to_owned(),
        ),
        (
            "before a text",
            r#"[{"type":"text","text":""} , {"type":"text","text":"a"}]"#,
            r#"[{"type":"text","text":"a"}]"#.to_owned(),
        ),
        ("behind an image", &image_first, format!("[ {IMAGE} ]")),
        ("between", &between, format!(r#"[{{"type":"text","text":"a"}}, {IMAGE}]"#)),
        (
            "white space is text",
            r#"[{"type":"text","text":" "}]"#,
            r#"[{"type":"text","text":" "}]"#.to_owned(),
        ),
        (
            "an escape is text",
            r#"[{"type":"text","text":"\n"}]"#,
            r#"[{"type":"text","text":"\n"}]"#.to_owned(),
        ),
        ("no part", "[]", "[]".to_owned()),
        (
            "no text part",
            r#"[{"text":""},{"type":"x","text":""},"",null]"#,
            r#"[{"text":""},{"type":"x","text":""},"",null]"#.to_owned(),
        ),
        (
            "no text",
            r#"[{"type":"text"},{"type":"text","text":null}]"#,
            r#"[{"type":"text"},{"type":"text","text":null}]"#.to_owned(),
        ),
        ("a string", r#""""#, r#""""#.to_owned()),
    ] {
        check(Refused::EmptyText, &[(name, &with(content), &with(&expected))]);
    }
}

#[test]
fn a_null_member_leaves() {
    check(
        Refused::Nulls,
        &[
            (
                "what SDKs echo",
                r#"{"content":"a","refusal":null,"role":"assistant","annotations":null,"audio":null,"function_call":null,"tool_calls":null}"#,
                r#"{"content":"a","role":"assistant"}"#,
            ),
            (
                "the first and the last, and white space",
                r#"{ "refusal" : null , "role":"assistant", "content":"a" , "audio" : null }"#,
                r#"{ "role":"assistant", "content":"a" }"#,
            ),
            (
                "content stands for the calls beside it",
                r#"{"role":"assistant","content":null,"tool_calls":[{"id":null}],"refusal":null}"#,
                r#"{"role":"assistant","content":null,"tool_calls":[{"id":null}]}"#,
            ),
            ("twice", r#"{"role":"assistant","refusal":null,"refusal":null}"#, r#"{"role":"assistant"}"#),
            (
                "whoever says it",
                r#"{"role":"user","content":"a","name":null}"#,
                r#"{"role":"user","content":"a"}"#,
            ),
            ("nothing else", r#"{"refusal":null}"#, "{}"),
            ("no role is no role", r#"{"role":null,"content":null}"#, r#"{"role":null,"content":null}"#),
            ("reasoning", r#"{"role":"assistant","reasoning_content":null}"#, r#"{"role":"assistant"}"#),
            (
                "only null",
                r#"{"role":"assistant","refusal":"","tool_calls":[],"audio":{"id":null}}"#,
                r#"{"role":"assistant","refusal":"","tool_calls":[],"audio":{"id":null}}"#,
            ),
        ],
    );
}

#[test]
fn all_of_it_in_one_message() {
    let messages = r#"{"role":"developer","name":null,"content":[{"type":"text","text":""},{"type":"text","text":"a"}]}"#;
    let expected = r#"{"role":"system","content":[{"type":"text","text":"a"}]}"#;
    assert_eq!(upstream_body(&body(messages), &refusing(&Refused::ALL)), body(expected));
}

#[test]
fn a_text_that_gets_a_directive_is_not_empty() {
    let route = Route { dialect: Dialect::Directive, ..refusing(&Refused::ALL) };
    let with = |parts: &str, switch: &str| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{parts}]}}]{switch}}}"#)
    };
    let given = with(r#"{"type":"text","text":""},{"type":"text","text":""}"#, r#","llmgw_thinking":false"#);
    let sent = with(r#"{"type":"text","text":"/no_think"}"#, "");
    assert_eq!(upstream_body(&given, &route), sent);
}

#[test]
fn lost_reasoning_and_nulls_of_one_message() {
    let route = Route { restore_reasoning: true, ..refusing(&Refused::ALL) };
    let calls = r#""tool_calls":[{"id":"call_0123456789","function":{"name":"f","arguments":"{}"}}]"#;
    for (members, expected) in [
        (r#","refusal":null "#, r#", "reasoning_content": "hm" "#),
        (r#","reasoning_content":null,"refusal":null"#, r#","reasoning_content":"hm""#),
        (r#","refusal":null,"reasoning_content" : "" "#, r#","reasoning_content" : "hm" "#),
    ] {
        let with = |members: &str| {
            format!(r#"{{"model":"m","tools":[1],"messages":[{{"role":"assistant",{calls}{members}}}]}}"#)
        };
        let given = with(members);
        let request = ChatRequest::scan(given.as_bytes()).unwrap();
        let rewritten = Rewritten::of(&request, given.as_bytes(), &route, &[Some(b"hm")]);
        assert_eq!(String::from_utf8(rewritten.body.unwrap()).unwrap(), with(expected));
    }
}

#[test]
fn there_is_an_end_to_mending() {
    for (message, mended) in [
        (r#"{"role":"developer"}"#, r#"{"role":"system"}"#),
        (r#"{"role":"user","name":null}"#, r#"{"role":"user"}"#),
        (r#"{"content":[{"type":"text","text":""}]}"#, r#"{"content":""}"#),
    ] {
        let list = |count: usize| vec![message; count].join(",");
        let sent = upstream_body(&body(&list(MAX_MENDED + 2)), &refusing(&Refused::ALL));
        assert_eq!(sent.matches(mended).count(), MAX_MENDED, "{message}");
        assert_eq!(sent.matches(message).count(), 2, "{message}");
    }
    // The same where one message has them all.
    let nulls = vec![r#""x":null"#; MAX_MENDED + 2].join(",");
    let sent = upstream_body(&body(&format!(r#"{{{nulls},"role":"user"}}"#)), &refusing(&Refused::ALL));
    assert_eq!(sent, body(r#"{"x":null,"x":null,"role":"user"}"#));
}
