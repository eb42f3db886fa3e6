//! Native requests: what is spliced, to the byte, and that nothing else is.

use proptest::prelude::*;

use super::super::Native;
use super::super::request::{InChat, splice};
use crate::answer::context::AnswerMode;
use crate::dialect::Dialect;
use crate::json::edit::joined;
use crate::request::refused::Refuses;
use crate::request::{ChatRequest, Rewrite, Route, ThinkingModes, UpstreamStream};
use crate::seal::Seal;

/// A chat body in which nothing was said.
const NOTHING: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

fn route() -> Route {
    Route {
        upstream_model: "m".to_owned(),
        dialect: Dialect::ThinkingObject,
        thinking_modes: ThinkingModes::BOTH,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Never,
        drop: Vec::new(),
        refuses: Refuses::NOTHING,
    }
}

fn wanting() -> Route {
    Route { restore_reasoning: true, ..route() }
}

/// The upstream's body, and the rewrite.
fn spliced(api: Native, body: &str, route: &Route, chat: &str, kept: &[Option<&str>]) -> (String, Rewrite) {
    let request = ChatRequest::scan(chat.as_bytes()).unwrap();
    let reasoning: Vec<_> = kept.iter().map(|it| it.map(str::as_bytes)).collect();
    let chat = InChat { request: &request, body: chat.as_bytes(), reasoning: &reasoning };
    let rewrite = splice(api, body.as_bytes(), route, chat).unwrap();
    let sent = match &rewrite.body {
        Some(pieces) => String::from_utf8(joined(pieces, body.as_bytes())).unwrap(),
        None => body.to_owned(),
    };
    (sent, rewrite)
}

fn sealed() -> String {
    Seal::new(&[7; 32], b"ann").unwrap().seal(b"hm").unwrap()
}

fn of(dialect: Dialect) -> Route {
    Route { dialect, ..route() }
}

fn always() -> Route {
    Route { thinking_modes: ThinkingModes { on: true, off: false }, ..route() }
}

fn switched(api: Native, name: &str, route: &Route, body: &str, expected: &str, thinking: Option<&str>) {
    let (sent, rewrite) = spliced(api, body, route, NOTHING, &[]);
    assert_eq!(sent, expected, "{name}");
    let said = rewrite.thinking.map(|it| format!("{}; {}", it.asked_as_str(), it.sent.as_str()));
    assert_eq!(said.as_deref(), thinking, "{name}");
    assert_eq!(rewrite.mode, AnswerMode::Plain);
    let again = spliced(api, &sent, route, NOTHING, &[]).0;
    assert_eq!(again, sent, "{name}: once is enough");
}

#[test]
fn the_model_and_the_switch_of_messages() {
    let (object, none, always) = (of(Dialect::ThinkingObject), of(Dialect::Native), always());
    let named = Route { upstream_model: "up/\"m".to_owned(), ..route() };
    let dropping = Route { drop: vec!["metadata".to_owned(), "model".to_owned()], ..route() };
    let rows = [
        ("nothing to do", &object, r#"{"model" :"m", "x":[1 , 2]}"#, r#"{"model" :"m", "x":[1 , 2]}"#, None),
        (
            "another name",
            &named,
            r#"{"model" : "a","mod\u0065l":"b"}"#,
            r#"{"model" : "up/\"m","mod\u0065l":"up/\"m"}"#,
            None,
        ),
        (
            "ours on",
            &object,
            r#"{"model":"m","llmgw_thinking":true,"x":1}"#,
            r#"{"model":"m","thinking": {"type": "enabled"},"x":1}"#,
            Some("on; thinking_object"),
        ),
        (
            "ours off wins",
            &object,
            r#"{"thinking":{"type":"enabled","budget_tokens":9},"llmgw_thinking":false}"#,
            r#"{"thinking":{"type": "disabled"}}"#,
            Some("off; thinking_object"),
        ),
        (
            "both agree",
            &object,
            r#"{"thinking":{"type":"adaptive"},"llmgw_thinking":true}"#,
            r#"{"thinking":{"type":"adaptive"}}"#,
            Some("on; thinking_object"),
        ),
        (
            "the client's own",
            &object,
            r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#,
            r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#,
            Some("on; thinking_object"),
        ),
        (
            "a mode that the model lacks",
            &always,
            r#"{"thinking":{"type":"disabled"},"x":1}"#,
            r#"{"x":1}"#,
            Some("off; ignored"),
        ),
        (
            "ours, of a mode that it lacks",
            &always,
            r#"{"llmgw_thinking":false,"thinking":{"type":"enabled"}}"#,
            r#"{"thinking":{"type":"enabled"}}"#,
            Some("off; ignored"),
        ),
        (
            "no known switch",
            &none,
            r#"{"llmgw_thinking":false,"thinking":{"type":"disabled"}}"#,
            r#"{"thinking":{"type":"disabled"}}"#,
            Some("off; ignored"),
        ),
        (
            "no known switch, no word of ours",
            &none,
            r#"{"thinking":{"type":"disabled"}}"#,
            r#"{"thinking":{"type":"disabled"}}"#,
            None,
        ),
        ("null says nothing", &object, r#"{"llmgw_thinking":null,"x":1}"#, r#"{"x":1}"#, None),
        ("dropped", &dropping, r#"{"metadata":{"user_id":"u"},"model":"m"}"#, r#"{"model":"m"}"#, None),
    ];
    for (name, route, body, expected, thinking) in rows {
        switched(Native::Messages, name, route, body, expected, thinking);
    }
}

#[test]
fn the_switch_of_responses() {
    let (object, none, always) = (of(Dialect::ThinkingObject), of(Dialect::Native), always());
    let boolean = of(Dialect::EnableThinking);
    let rows = [
        (
            "ours off",
            &object,
            r#"{"llmgw_thinking":false,"x":1}"#,
            r#"{"reasoning": {"effort": "none"},"x":1}"#,
            Some("off; reasoning_effort"),
        ),
        (
            "ours on",
            &object,
            r#"{"reasoning":{"effort":"none","summary":"auto"},"llmgw_thinking":true}"#,
            r#"{"reasoning":{"effort":"medium","summary":"auto"}}"#,
            Some("on; reasoning_effort"),
        ),
        (
            "no effort yet",
            &object,
            r#"{"reasoning":{"summary":"auto"},"llmgw_thinking":false}"#,
            r#"{"reasoning":{"effort": "none", "summary":"auto"}}"#,
            Some("off; reasoning_effort"),
        ),
        (
            "the client's own",
            &object,
            r#"{"reasoning":{"effort":"high"}}"#,
            r#"{"reasoning":{"effort":"high"}}"#,
            Some("on; reasoning_effort"),
        ),
        (
            "nothing",
            &object,
            r#"{"reasoning":{"summary":"auto"}}"#,
            r#"{"reasoning":{"summary":"auto"}}"#,
            None,
        ),
        (
            "a boolean too",
            &boolean,
            r#"{"reasoning":{"effort":"none"}}"#,
            r#"{"reasoning":{"effort":"none"}, "enable_thinking": false}"#,
            Some("off; enable_thinking"),
        ),
        (
            "ours as a boolean",
            &boolean,
            r#"{"llmgw_thinking":true}"#,
            r#"{"enable_thinking": true}"#,
            Some("on; enable_thinking"),
        ),
        (
            "the boolean itself",
            &boolean,
            r#"{"enable_thinking":true}"#,
            r#"{"enable_thinking":true}"#,
            Some("on; enable_thinking"),
        ),
        (
            "the boolean for another family",
            &object,
            r#"{"enable_thinking":false}"#,
            r#"{"reasoning": {"effort": "none"}}"#,
            Some("off; reasoning_effort"),
        ),
        (
            "a mode that the model lacks",
            &always,
            r#"{"reasoning":{"effort":"none"},"x":1}"#,
            r#"{"x":1}"#,
            Some("off; ignored"),
        ),
        (
            "no known switch",
            &none,
            r#"{"llmgw_thinking":false,"reasoning":{"effort":"low"}}"#,
            r#"{"reasoning":{"effort":"low"}}"#,
            Some("off; ignored"),
        ),
    ];
    for (name, route, body, expected, thinking) in rows {
        switched(Native::Responses, name, route, body, expected, thinking);
    }
}

/// Two calls, each in a turn of its own, and a text.
const CHAT: &str = r#"{"model":"m","messages":[
 {"role":"user","content":"hi"},
 {"role":"assistant","content":null,"tool_calls":[{"id":"call_aaaaaaaaa","type":"function","function":{"name":"f","arguments":"{}"}}]},
 {"role":"tool","tool_call_id":"call_aaaaaaaaa","content":"1"},
 {"role":"assistant","content":"It is one.","reasoning_content":"own"},
 {"role":"user","content":"and?"},
 {"role":"assistant","content":"It is one."}
],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
const KEPT: [Option<&str>; 2] = [Some("f\\u006frst"), Some("last")];

#[test]
fn field_37_lost_thinking_comes_back_in_messages() {
    let use_a = r#"{"type":"tool_use","id":"call_aaaaaaaaa","name":"f","input":{}}"#;
    let back = |text: &str| format!(r#"{{"type": "thinking", "thinking": "{text}", "signature": ""}}"#);
    let text = r#"{"type":"text","text":"It is one.","cache_control":{"type":"ephemeral"}}"#;
    let ours = sealed();
    let rows = [
        ("before a call", format!("[ {use_a}]"), format!("[ {}, {use_a}]", back("f\\u006frst")), 1),
        (
            "empty, of another's",
            format!(r#"[{{"type":"thinking","thinking":"","signature":"x"}},{use_a}]"#),
            format!(r#"[{{"type":"thinking","thinking":"f\u006frst","signature":"x"}},{use_a}]"#),
            1,
        ),
        (
            "empty, of ours",
            format!(r#"[{{"type":"thinking","thinking":"","signature":"{ours}"}},{use_a}]"#),
            format!(r#"[{{"type":"thinking","thinking":"f\u006frst","signature":""}},{use_a}]"#),
            1,
        ),
        (
            "there, of ours",
            format!(r#"[{{"type":"thinking","thinking":"t","signature":"{ours}"}},{use_a}]"#),
            format!(r#"[{{"type":"thinking","thinking":"t","signature":""}},{use_a}]"#),
            0,
        ),
        (
            "there, of the provider",
            format!(r#"[{{"thinking":"t","signature":"EqQ","type":"thinking"}},{use_a}]"#),
            format!(r#"[{{"thinking":"t","signature":"EqQ","type":"thinking"}},{use_a}]"#),
            0,
        ),
        (
            "a text, what the client said of it first",
            format!("[{text}]"),
            format!("[{}, {text}]", back("own")),
            1,
        ),
        (
            "a bare text",
            r#""It  is one.\n""#.to_owned(),
            format!(r#"[{}, {{"type": "text", "text": "It  is one.\n"}}]"#, back("own")),
            1,
        ),
        ("of nobody", r#""Another.""#.to_owned(), r#""Another.""#.to_owned(), 0),
        ("nothing at all", "[]".to_owned(), "[]".to_owned(), 0),
    ];
    for (name, content, expected, restored) in rows {
        let body = |content: &str| {
            format!(
                r#"{{"messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","content":{content}}}]}}"#
            )
        };
        let (sent, rewrite) = spliced(Native::Messages, &body(&content), &wanting(), CHAT, &KEPT);
        assert_eq!(sent, body(&expected), "{name}");
        assert_eq!(rewrite.restored, restored, "{name}");
    }
}

#[test]
fn turns_that_say_the_same_keep_their_order() {
    let said = r#"{"role":"assistant","content":"It is one."}"#;
    let body = format!(r#"{{"messages":[{said},{said},{said}]}}"#);
    let (sent, rewrite) = spliced(Native::Messages, &body, &wanting(), CHAT, &KEPT);
    let places = ["own", "last"].map(|text| sent.find(&format!("\"thinking\": \"{text}\"")).unwrap());
    assert!(places[0] < places[1]);
    assert_eq!(rewrite.restored, 2);
}

#[test]
fn field_13_thinking_signed_by_us_goes_where_nobody_wants_it() {
    let ours = format!(r#"{{"type":"thinking","thinking":"t","signature":"{}"}}"#, sealed());
    let theirs = r#"{"type":"thinking","thinking":"t","signature":"EqQBCkYIBxgCKkBb/+="}"#;
    let redacted = r#"{"type":"redacted_thinking","data":"xyz"}"#;
    let text = r#"{"type":"text","text":"t"}"#;
    let rows = [
        ("ours first", format!("[{ours}, {text}]"), format!("[{text}]")),
        ("ours last", format!("[{text} , {ours}]"), format!("[{text}]")),
        ("ours between", format!("[{theirs},{ours},{ours},{text}]"), format!("[{theirs},{text}]")),
        ("others stay", format!("[{theirs},{redacted},{text}]"), format!("[{theirs},{redacted},{text}]")),
    ];
    let body = |content: &str| format!(r#"{{"messages":[{{"role":"assistant","content":{content}}}]}}"#);
    for (name, content, expected) in rows {
        let sent = spliced(Native::Messages, &body(&content), &route(), NOTHING, &[]).0;
        assert_eq!(sent, body(&expected), "{name}");
    }
    let only = body(&format!("[{ours}]")).replace("\"messages\":[", "\"messages\":[{\"role\":\"user\"}, ");
    let sent = spliced(Native::Messages, &only, &route(), NOTHING, &[]).0;
    assert_eq!(sent, r#"{"messages":[{"role":"user"}]}"#, "nothing is left of the message");
}

#[test]
fn field_37_lost_reasoning_comes_back_in_responses() {
    let call = r#"{"type":"function_call","call_id":"call_aaaaaaaaa","name":"f","arguments":"{}"}"#;
    let text =
        r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"It is one."}]}"#;
    let out = r#"{"type":"function_call_output","call_id":"call_aaaaaaaaa","output":"1"}"#;
    let back = |text: &str| format!(r#""content": [{{"type": "reasoning_text", "text": "{text}"}}]"#);
    let ours = sealed();
    let rows = [
        (
            "before a call",
            format!("[{call}, {out}]"),
            format!(r#"[{{"type": "reasoning", "summary": [], {}}}, {call}, {out}]"#, back("f\\u006frst")),
            1,
        ),
        (
            "into its item",
            format!(r#"[{{"type":"reasoning","id":"rs_1","summary":[]}},{call}]"#),
            format!(r#"[{{"type":"reasoning","id":"rs_1","summary":[], {}}},{call}]"#, back("f\\u006frst")),
            1,
        ),
        (
            "instead of nothing, and of what we sealed",
            format!(
                r#"[{{"type":"reasoning","encrypted_content":"{ours}","content":null,"summary":[]}},{call}]"#
            ),
            format!(r#"[{{"type":"reasoning","summary":[], {}}},{call}]"#, back("f\\u006frst")),
            1,
        ),
        (
            "there",
            format!(r#"[{{"type":"reasoning","content":[{{"type":"reasoning_text","text":"t"}}]}},{call}]"#),
            format!(r#"[{{"type":"reasoning","content":[{{"type":"reasoning_text","text":"t"}}]}},{call}]"#),
            0,
        ),
        (
            "once for a turn",
            format!("[{text},{call},{call},{out},{out}]"),
            format!(
                r#"[{{"type": "reasoning", "summary": [], {}}}, {text},{call},{call},{out},{out}]"#,
                back("f\\u006frst")
            ),
            1,
        ),
        (
            "a text after a result",
            format!("[{call},{out},{text}]"),
            format!(
                r#"[{{"type": "reasoning", "summary": [], {}}}, {call},{out},{{"type": "reasoning", "summary": [], {}}}, {text}]"#,
                back("f\\u006frst"),
                back("own")
            ),
            2,
        ),
        (
            "a short message",
            r#"[{"role":"assistant","content":"It is one."}]"#.to_owned(),
            format!(
                r#"[{{"type": "reasoning", "summary": [], {}}}, {{"role":"assistant","content":"It is one."}}]"#,
                back("own")
            ),
            1,
        ),
        ("a text for all", "\"hi\"".to_owned(), "\"hi\"".to_owned(), 0),
    ];
    for (name, input, expected, restored) in rows {
        let (sent, rewrite) =
            spliced(Native::Responses, &format!(r#"{{"input":{input}}}"#), &wanting(), CHAT, &KEPT);
        assert_eq!(sent, format!(r#"{{"input":{expected}}}"#), "{name}");
        assert_eq!(rewrite.restored, restored, "{name}");
    }
}

#[test]
fn field_31_what_we_sealed_goes_to_no_other_gateway() {
    let ours = format!(r#"{{"type":"reasoning","summary":[],"encrypted_content":"{}"}}"#, sealed());
    let theirs = r#"{"type":"reasoning","summary":[],"encrypted_content":"gAAAAABm"}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let body = format!(r#"{{"input":[{ours},{theirs},{call},{ours}]}}"#);
    let sent = spliced(Native::Responses, &body, &route(), NOTHING, &[]).0;
    assert_eq!(sent, format!(r#"{{"input":[{theirs},{call}]}}"#));
}

#[test]
fn reasoning_is_not_put_back_where_nobody_insists_on_it() {
    let body = r#"{"messages":[{"role":"assistant","content":"It is one."}]}"#;
    let no_tools = CHAT.replace("\"tool_calls\"", "\"x\"").replace("\"tools\"", "\"y\"");
    let off = CHAT.replacen('{', "{\"enable_thinking\":false,", 1);
    for (name, route, chat, kept) in [
        ("not wanted", route(), CHAT, &KEPT[..]),
        ("no tools", wanting(), no_tools.as_str(), &KEPT[..]),
        ("thinking is off", wanting(), off.as_str(), &KEPT[..]),
        ("no JSON text", wanting(), &CHAT.replace("own", ""), &[Some("\""), Some("\"")]),
    ] {
        let (sent, rewrite) = spliced(Native::Messages, body, &route, chat, kept);
        assert_eq!((sent.as_str(), rewrite.restored), (body, 0), "{name}");
    }
}

/// A JSON value in an odd spelling.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.50E+2".to_owned()),
        "[a-z\\u{4e00}]{0,4}".prop_map(|text| format!("\"{text}\\u0041\\/\"")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[ {}]", items.join(" ,"))),
            prop::collection::vec(("[a-z]{1,3}", inner), 0..3).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

/// A block or an item as clients send them, known and unknown.
fn block() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        r#""type":"text""#,
        r#""type":"thinking","signature":"EqQB+/=""#,
        r#""type":"server_tool_use","id":"srvtoolu_1""#,
        r#""type":"web_search_tool_result","encrypted_content":"Ev0DCioIAxgC""#,
        r#""type":"tool_use","id":"c""#,
        r#""type":"reasoning","encrypted_content":"gAAAAA""#,
        r#""type":"function_call","call_id":"c""#,
        r#""cache_control":{"type":"ephemeral"}"#,
        r#""role":"assistant""#,
    ]);
    (kind, value()).prop_map(|(kind, value)| format!("{{{kind}, \"x\":{value}}}"))
}

fn blocks() -> impl Strategy<Value = String> {
    prop::collection::vec(block(), 0..4).prop_map(|blocks| format!("[{}]", blocks.join(" ,")))
}

fn body() -> impl Strategy<Value = String> {
    let role = prop::sample::select(vec!["user", "assistant", "system"]);
    let message = (role, prop_oneof![blocks(), value()])
        .prop_map(|(role, content)| format!("{{ \"role\":\"{role}\" ,\"content\":{content} }}"));
    let messages = prop::collection::vec(message, 0..4).prop_map(|it| format!("[{}]", it.join(",\r\n")));
    (messages, blocks(), value(), value()).prop_map(|(messages, items, system, more)| {
        format!("{{\"model\": \"m\" , \"system\":{system},\"messages\":{messages} ,\"input\":{items},\"more\":{more}}}")
    })
}

proptest! {
    /// Nothing but the named spans changes, whatever a body holds: unknown blocks, signatures, marks, odd spellings.
    #[test]
    fn field_20_every_other_byte_stays(body in body(), wants in any::<bool>()) {
        for api in [Native::Messages, Native::Responses] {
            let route = Route { restore_reasoning: wants, ..route() };
            let (sent, rewrite) = spliced(api, &body, &route, CHAT, &[]);
            prop_assert_eq!(&sent, &body);
            prop_assert_eq!(rewrite.body, None);
            let renamed = Route { upstream_model: "other".to_owned(), ..route };
            let (sent, _) = spliced(api, &body, &renamed, CHAT, &[]);
            prop_assert_eq!(sent, body.replacen("\"model\": \"m\"", "\"model\": \"other\"", 1));
        }
    }

    /// What is put back is all that is added, and it makes a valid body.
    #[test]
    fn what_is_put_back_is_all_that_is_added(body in body()) {
        let said = r#"{"role":"assistant","content":"It is one."}"#;
        let body = body.replacen("\"messages\":[", &format!("\"messages\":[{said}, "), 1).replace(", ]", "]");
        let (sent, rewrite) = spliced(Native::Messages, &body, &wanting(), CHAT, &KEPT);
        let back = r#"[{"type": "thinking", "thinking": "own", "signature": ""}, {"type": "text", "text": "It is one."}]"#;
        prop_assert_eq!(sent.replacen(back, "\"It is one.\"", 1), body);
        prop_assert!(rewrite.restored >= 1);
        prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&sent).is_ok());
    }
}
