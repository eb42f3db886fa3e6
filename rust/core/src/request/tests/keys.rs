//! What lost turns are known by: what messages say, and not how they are written.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::turn::key::{FirstCall, Said, TurnKey, TurnKeys, scope_of};

const SCOPE: TurnKey = [1; 32];

fn keys_in(body: &[u8], scope: TurnKey) -> Vec<TurnKeys> {
    let keys = ChatRequest::scan(body).unwrap().lost_turn_keys(body, &[scope]);
    keys.into_iter().map(|mut scopes| scopes.remove(0)).collect()
}

fn all_keys(messages: &Value) -> Vec<TurnKeys> {
    keys_in(json!({"model": "m", "messages": messages}).to_string().as_bytes(), SCOPE)
}

/// The key of the last turn.
fn last(messages: &Value) -> TurnKey {
    all_keys(messages).pop().unwrap().own
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn answer(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

fn call_of(id: &str, arguments: &str) -> Value {
    let call =
        json!({"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}});
    json!({"role": "assistant", "content": null, "tool_calls": [call]})
}

fn result_of(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

/// A turn with a call that is numbered, and what was said before it.
fn numbered() -> Vec<Value> {
    vec![
        json!({"role": "system", "content": "It is 10:00."}),
        user("How is the weather?"),
        call_of("get_weather:0", r#"{"city": "Paris", "days": 1}"#),
        result_of("get_weather:0", "18 degrees"),
        answer("It is mild."),
        user("And in Rome?"),
        call_of("get_weather:1", r#"{"city": "Rome", "days": 2}"#),
    ]
}

/// A conversation in which one message is another.
fn with(at: usize, message: Value) -> Value {
    let mut messages = numbered();
    messages[at] = message;
    Value::Array(messages)
}

#[test]
fn a_random_id_is_enough_to_know_a_turn_by() {
    let turn = call_of("call_0123456789", "{}");
    let expected = all_keys(&json!([user("x"), turn])).pop().unwrap();
    assert_eq!(expected.hints, [[0; 32]; 0]);
    for (name, messages) in [
        ("another history", json!([turn])),
        ("other arguments", json!([user("x"), call_of("call_0123456789", "[1]")])),
        (
            "more calls of the same turn",
            json!([{"role": "assistant", "tool_calls": [turn["tool_calls"][0], 1]}]),
        ),
    ] {
        assert_eq!(last(&messages), expected.own, "{name}");
    }
    assert_ne!(last(&json!([user("x"), call_of("call_0123456780", "{}")])), expected.own, "another id");
    let body = json!({"model": "m", "messages": [turn]}).to_string();
    assert_ne!(
        keys_in(body.as_bytes(), scope_of(b"1", "http://b.example"))[0].own,
        expected.own,
        "another scope"
    );
}

#[test]
fn no_two_scopes_meet() {
    let (a, b) = ("http://a.example", "http://b.example");
    let scopes =
        [scope_of(b"1", a), scope_of(b"1", b), scope_of(b"2", a), scope_of(b"1", ""), scope_of(b"", a)];
    for messages in [json!([user("x"), call_of("call_0123456789", "{}")]), Value::Array(numbered())] {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let found = ChatRequest::scan(body.as_bytes()).unwrap().lost_turn_keys(body.as_bytes(), &scopes);
        let keys: Vec<_> =
            found.iter().flatten().flat_map(|keys| [&[keys.own], &keys.hints[..]].concat()).collect();
        assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), keys.len());
        assert!(found.iter().all(|turn| turn.len() == scopes.len()));
    }
}

#[test]
fn what_says_the_same_has_the_same_key() {
    let expected = last(&Value::Array(numbered()));
    let parts = json!([{"type": "text", "text": "How is the "}, {"type": "text", "text": "weather?"}]);
    let with_more = |at: usize, more: Value| {
        let mut message = numbered()[at].clone();
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with(at, message)
    };
    let mut shorter = numbered();
    shorter.remove(0);
    let mut longer = numbered();
    longer.insert(4, answer(""));
    for (name, messages) in [
        ("another time", with(0, json!({"role": "developer", "content": "It is 10:01."}))),
        ("no system", Value::Array(shorter)),
        ("a text in parts", with(1, json!({"role": "user", "content": parts}))),
        (
            "an empty part",
            with(
                1,
                json!({"role": "user", "content": [{"type": "text", "text": ""}, "How is the weather?"]}),
            ),
        ),
        (
            "a mark for a cache",
            with(
                1,
                json!({"role": "user", "content":
            [{"type": "text", "text": "How is the weather?", "cache_control": {"type": "ephemeral"}}]}),
            ),
        ),
        ("other white space", with(1, user("  How is\r\nthe weather? \n"))),
        ("other arguments", with(2, call_of("get_weather:0", "{ \"days\":1.0,\"city\": \"P\\u0061ris\"}"))),
        (
            "arguments as an object",
            with(
                2,
                json!({"role": "assistant", "tool_calls": [{"id": "get_weather:0", "function":
            {"name": "get_weather", "arguments": {"days": 1, "city": "Paris"}}}]}),
            ),
        ),
        ("other arguments of its own", with(6, call_of("get_weather:1", r#"{"days":2,"city":"Rome"}"#))),
        ("empty beside calls", with_more(2, json!({"content": ""}))),
        ("blank beside calls", with_more(6, json!({"content": [{"type": "text", "text": " "}]}))),
        ("null members", with_more(2, json!({"refusal": null, "audio": null, "function_call": null}))),
        (
            "members more",
            with_more(4, json!({"annotations": [], "id": "msg_1", "name": "Bot", "tool_calls": null})),
        ),
        ("its own reasoning", with_more(2, json!({"reasoning_content": "hm", "reasoning": "hm"}))),
        (
            "reasoning in a part",
            with(
                4,
                json!({"role": "assistant", "content":
            [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is mild."}]}),
            ),
        ),
        (
            "a tool by its name",
            with_more(3, json!({"name": "get_weather", "content": [{"type": "text", "text": "18 degrees"}]})),
        ),
        ("a message that says nothing", Value::Array(longer)),
    ] {
        assert_eq!(last(&messages), expected, "{name}");
    }
}

#[test]
fn what_says_something_else_has_another_key() {
    let expected = last(&Value::Array(numbered()));
    let picture = |url: &str| {
        json!({"role": "user", "content":
        [{"type": "text", "text": "How is the weather?"}, {"type": "image_url", "image_url": {"url": url}}]})
    };
    let mut shorter = numbered();
    shorter.drain(1..4);
    let mut turned = numbered();
    turned.swap(3, 4);
    let cases = [
        ("another question", with(1, user("How is the food?"))),
        (
            "asked by somebody",
            with(1, json!({"role": "user", "name": "Ann", "content": "How is the weather?"})),
        ),
        (
            "asked by somebody else",
            with(1, json!({"role": "user", "name": "Bob", "content": "How is the weather?"})),
        ),
        ("another role", with(1, answer("How is the weather?"))),
        ("a picture", with(1, picture("http://a.example/1"))),
        ("another picture", with(1, picture("http://a.example/2"))),
        ("other arguments before", with(2, call_of("get_weather:0", r#"{"city": "Paris", "days": 2}"#))),
        ("another result", with(3, result_of("get_weather:0", "19 degrees"))),
        ("another call's result", with(3, result_of("get_weather:1", "18 degrees"))),
        ("other arguments", with(6, call_of("get_weather:1", r#"{"city": "Rome", "days": 3}"#))),
        ("another number", with(6, call_of("get_weather:2", r#"{"city": "Rome", "days": 2}"#))),
        ("one turn less", Value::Array(shorter)),
        ("another order", Value::Array(turned)),
        ("no call, but its text", with(6, answer("get_weather:1"))),
    ];
    let mut seen = vec![expected];
    for (name, messages) in cases {
        let key = last(&messages);
        assert!(!seen.contains(&key), "{name}");
        seen.push(key);
    }
}

#[test]
fn the_key_of_an_answer_is_that_of_the_turn_that_comes_back() {
    let call = |id: &str| {
        Said::Call(FirstCall { id: id.into(), name: "get_weather".into(), arguments: "{}".into() })
    };
    let turns = [
        (user("one"), call("get_weather:0"), call_of("get_weather:0", " { } ")),
        (result_of("get_weather:0", "1"), call("call_0123456789"), call_of("call_0123456789", "{}")),
        (result_of("call_0123456789", "2"), Said::text(b"It is \\u006did.\\n"), answer("It is mid.")),
        (user("again"), Said::text(b"It is mid."), answer("It is mid.")),
        (user("again"), Said::text(b""), answer("")),
    ];
    let mut messages = Vec::new();
    let mut expected = Vec::new();
    for (asked, said, comes_back) in turns {
        messages.push(asked);
        let body = json!({"model": "m", "messages": messages}).to_string();
        assert_eq!(keys_in(body.as_bytes(), SCOPE), expected);
        let request = ChatRequest::scan(body.as_bytes()).unwrap();
        expected.push(request.turn_keys(body.as_bytes(), &SCOPE, &said));
        messages.push(comes_back);
    }
    assert_eq!(all_keys(&Value::Array(messages)), expected);
    let own: std::collections::HashSet<_> = expected.iter().map(|keys| keys.own).collect();
    assert_eq!(own.len(), expected.len());
}

#[test]
fn what_a_shortened_history_leaves_of_a_turn() {
    let long = "A long answer. ".repeat(20);
    let turns = |messages: &[Value]| all_keys(&Value::Array(messages.to_vec()));
    let mut whole = numbered();
    whole.extend([result_of("get_weather:1", "20 degrees"), answer(&long)]);
    let [_, _, call, text] = &turns(&whole)[..] else { panic!() };
    assert_eq!((call.hints.len(), text.hints.len()), (1, 2));

    let [_, _, cut_call, cut_text] = &turns(&[&[user("A summary.")], &whole[2..]].concat())[..] else {
        panic!()
    };
    assert_ne!((cut_call.own, cut_text.own), (call.own, text.own));
    assert_eq!((&cut_call.hints, &cut_text.hints), (&call.hints, &text.hints), "the oldest are gone");

    let cut_result = [&whole[..7], &[result_of("get_weather:1", "…")], &whole[8..]].concat();
    let [_, _, same, cut_text] = &turns(&cut_result)[..] else { panic!() };
    assert_eq!(same, call);
    assert_eq!(cut_text.hints[1], text.hints[1], "a result was cut");
    assert_ne!(cut_text.hints[0], text.hints[0]);

    let other = [&whole[..5], &[user("And in Bonn?")], &whole[6..]].concat();
    let [_, _, other, _] = &turns(&other)[..] else { panic!() };
    assert_ne!(other.hints, call.hints, "another question");
}

/// JSON in another spelling: other white space, other order, other escapes.
fn respelled(value: &Value, spelling: &mut Spelling) -> String {
    let space = spelling.space();
    match value {
        Value::String(text) => spelling.text(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| respelled(item, spelling)).collect();
            format!("[{space}{}{space}]", items.join(&format!("{space},")))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if spelling.coin() {
                members.reverse();
            }
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, value)| format!("{}{space}:{}", spelling.text(key), respelled(value, spelling)))
                .collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        }
        Value::Number(number) if number.is_i64() && spelling.coin() => format!("{number}.0"),
        other => other.to_string(),
    }
}

/// Decides how something is written.
struct Spelling(u64);

impl Spelling {
    fn next(&mut self, of: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % of
    }

    fn coin(&mut self) -> bool {
        self.next(2) == 0
    }

    fn space(&mut self) -> &'static str {
        ["", " ", "\n\t"][usize::try_from(self.next(3)).unwrap()]
    }

    fn text(&mut self, text: &str) -> String {
        let mut written = String::from("\"");
        for unit in text.encode_utf16() {
            match char::from_u32(unit.into()) {
                Some(character) if character.is_alphanumeric() && self.coin() => written.push(character),
                _ => _ = write!(written, "\\u{unit:04x}"),
            }
        }
        written + "\""
    }

    /// A message as another client writes it.
    fn message(&mut self, message: &Value) -> Value {
        let mut message = message.as_object().unwrap().clone();
        self.content(&mut message);
        for (name, value) in [("refusal", Value::Null), ("reasoning", json!("hm")), ("x", json!([1]))] {
            if self.coin() {
                message.insert(name.to_owned(), value);
            }
        }
        if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
            for call in calls {
                let arguments = call["function"]["arguments"].as_str().unwrap();
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                call["function"]["arguments"] = respelled(&arguments, self).into();
                call["index"] = 0.into();
            }
        }
        Value::Object(message)
    }

    fn content(&mut self, message: &mut Map<String, Value>) {
        match message.get("content").cloned() {
            Some(Value::String(text)) if self.coin() => {
                let at = text.char_indices().nth(1).map_or(0, |(at, _)| at);
                let parts = [&text[..at], &text[at..]].map(|text| json!({"type": "text", "text": text}));
                message.insert("content".to_owned(), json!(parts));
            }
            Some(Value::Null) => match self.next(3) {
                0 => _ = message.remove("content"),
                1 => _ = message.insert("content".to_owned(), json!("")),
                _ => {}
            },
            _ => {}
        }
    }
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        "[a-zé😀\" \\\\]{0,4}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zé]{0,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map("[a-z]{1,3}", value, 0..3)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn message() -> impl Strategy<Value = Value> {
    let text = "[a-zé😀]{1,6}( [a-z]{1,3}){0,2}";
    prop_oneof![
        text.prop_map(|text| user(&text)),
        text.prop_map(|text| answer(&text)),
        (0..3, arguments()).prop_map(|(number, arguments)| call_of(
            &format!("get_weather:{number}"),
            &arguments.to_string()
        )),
        (0..3, text).prop_map(|(number, text)| result_of(&format!("get_weather:{number}"), &text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn same_meaning_other_bytes_same_keys(messages in prop::collection::vec(message(), 1..6), seed: u64) {
        let mut spelling = Spelling(seed);
        let written: Vec<_> = messages.iter().map(|message| spelling.message(message)).collect();
        let body = format!(r#"{{"model":"m","messages":{}}}"#, respelled(&json!(written), &mut spelling));
        prop_assert_eq!(keys_in(body.as_bytes(), SCOPE), all_keys(&json!(messages)), "{}", body);
    }

    #[test]
    fn different_meaning_different_keys(
        one in prop::collection::vec(message(), 1..5),
        other in prop::collection::vec(message(), 1..5),
        turn in message().prop_filter("an answer", |message| message["role"] == "assistant"),
    ) {
        let keys = |before: &[Value]| last(&json!([before, std::slice::from_ref(&turn)].concat()));
        prop_assert_eq!(keys(&one) == keys(&other), one == other);
    }
}
