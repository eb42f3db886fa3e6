//! What tells a conversation from others.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::request::session::MAX_SESSION_BYTES;

fn digest(body: &str) -> Option<u64> {
    ChatRequest::scan(body.as_bytes()).unwrap().opening_digest(body.as_bytes())
}

fn chat(messages: &Json) -> String {
    json!({"model": "m", "messages": messages}).to_string()
}

#[test]
fn every_turn_begins_alike() {
    let system = json!({"role": "system", "content": "Be brief."});
    let hi = json!({"role": "user", "content": "Hi"});
    let first = digest(&chat(&json!([system, hi]))).unwrap();
    let answer = json!({"role": "assistant", "content": "Hello"});
    let calls = json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    let text = |text: &str| json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]);
    let billing = "x-anthropic-billing-header: cc_version=2; cch=ab12f;";
    for (name, messages) in [
        ("a second turn", json!([system, hi, answer, {"role": "user", "content": "Go on"}])),
        ("a call", json!([system, hi, calls, {"role": "tool", "content": "1"}])),
        ("a later system message", json!([system, hi, {"role": "system", "content": "It is noon."}])),
        ("developer for system", json!([{"role": "developer", "content": "Be brief."}, hi])),
        (
            "parts and marks",
            json!([{"role": "system", "content": text("Be brief.")}, {"role": "user", "content": text("Hi")}]),
        ),
        (
            "a text in pieces",
            json!([
                {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
                hi
            ]),
        ),
        (
            "names and unknown members",
            json!([system, {"role": "user", "content": "Hi", "name": "a", "x": [1]}]),
        ),
        ("a greeting", json!([system, answer, hi])),
        ("a billing line", json!([{"role": "system", "content": format!("{billing}\nBe brief.")}, hi])),
        (
            "a billing part",
            json!([
                {"role": "system", "content": [{"type": "text", "text": billing}, {"type": "text", "text": "Be brief."}]},
                hi
            ]),
        ),
    ] {
        assert_eq!(digest(&chat(&messages)), Some(first), "{name}");
    }
    for (name, messages) in [
        ("another question", json!([system, {"role": "user", "content": "Ho"}])),
        ("another system", json!([{"role": "system", "content": "Be long."}, hi])),
        ("no system", json!([hi])),
        ("who says it", json!([{"role": "user", "content": "Be brief."}, hi])),
        (
            "two messages for one",
            json!([{"role": "system", "content": "Be "}, {"role": "system", "content": "brief."}, hi]),
        ),
        (
            "an image beside",
            json!([system, {"role": "user", "content": [
                {"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "https://h/1.png"}}
            ]}]),
        ),
    ] {
        let found = digest(&chat(&messages));
        assert!(found.is_some_and(|found| found != first), "{name}");
    }
}

#[test]
fn without_a_user_there_is_no_opening() {
    for messages in [
        json!([{"role": "system", "content": "a"}]),
        json!([{"role": "assistant", "content": "a"}, {"role": "tool", "content": "b"}]),
        json!([{"content": "a"}, {"role": 1, "content": "b"}]),
    ] {
        assert_eq!(digest(&chat(&messages)), None, "{messages}");
    }
    assert!(digest(&chat(&json!([{"role": "user"}]))).is_some());
}

#[test]
fn images_count() {
    let image = |image: Json| {
        digest(&chat(&json!([{"role": "user", "content": [{"type": "image_url", "image_url": image}]}])))
            .unwrap()
    };
    let png =
        |fill: &str, bytes: usize| json!({"url": format!("data:image/png;base64,{}", fill.repeat(bytes))});
    assert_eq!(image(json!({"url": "u", "detail": "low"})), image(json!({"detail": "low", "url": "u"})));
    assert_ne!(image(json!({"url": "https://h/1.png"})), image(json!({"url": "https://h/2.png"})));
    assert_ne!(image(png("A", 100)), image(png("B", 100)));
    assert_ne!(image(png("A", 100_000)), image(png("A", 100_004)));
    // Long ones are not read again.
    assert_eq!(image(png("A", 100_000)), image(png("B", 100_000)));
}

#[test]
fn only_the_beginning_of_a_text_is_read() {
    let asked = |system: &str, user: &str| {
        digest(&chat(&json!([{"role": "system", "content": system}, {"role": "user", "content": user}])))
            .unwrap()
    };
    let long = "y".repeat(4096);
    assert_eq!(asked(&format!("{long}now: 12:00"), "Hi"), asked(&format!("{long}now: 12:01"), "Hi"));
    assert_ne!(asked(&long[1..], "Hi"), asked(&format!("{}z", &long[2..]), "Hi"));
    assert_ne!(asked(&long, "Hi"), asked(&long, "Ho"));
    // However many parts a system prompt has, the user's message counts.
    let parts = Json::Array(vec![json!({"type": "text", "text": "a"}); 1000]);
    let many = |user: &str| {
        let mut messages = vec![json!({"role": "system", "content": parts}); 100];
        messages.push(json!({"role": "user", "content": user}));
        digest(&chat(&messages.into())).unwrap()
    };
    assert_ne!(many("Hi"), many("Ho"));
}

#[test]
fn what_a_client_says_of_its_session() {
    let said = |member: &str| {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],{member}}}"#);
        let request = ChatRequest::scan(body.as_bytes()).unwrap();
        (request.session.cache_key, request.session.client)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(said(r#""prompt_cache_key":"k-\u0031""#), (some("k-1"), None));
    assert_eq!(said(r#""prompt_cache_key":7"#), (None, None));
    assert_eq!(said(r#""prompt_cache_key":"""#), (None, None));
    assert_eq!(said(r#""user":"anna""#), (None, None));
    assert_eq!(said(r#""user":"{\"session_id\":\"s\"}""#), (None, some("s")));
    let longest = "k".repeat(MAX_SESSION_BYTES);
    assert_eq!(said(&format!(r#""prompt_cache_key":"{longest}""#)), (some(&longest), None));
    assert_eq!(said(&format!(r#""prompt_cache_key":"{longest}k""#)), (None, None));
}

/// A value written in another spelling: other white space, other escapes, its members in another order.
fn respelled(value: &Json, seed: u64) -> String {
    let space = ["", " ", "\n\t"][(seed % 3) as usize];
    match value {
        Json::String(text) => spelled(text, seed),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| respelled(item, seed / 2 + 1)).collect();
            format!("[{space}{}{space}]", items.join(&format!("{space},{space}")))
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if seed.is_multiple_of(2) {
                members.reverse();
            }
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| {
                    format!("{}{space}:{space}{}", spelled(key, seed), respelled(value, seed / 2 + 1))
                })
                .collect();
            format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
        }
        other => other.to_string(),
    }
}

/// With every character escaped, none but those that must be, or every third.
fn spelled(text: &str, seed: u64) -> String {
    let mut written = "\"".to_owned();
    for (at, sign) in text.chars().enumerate() {
        let must = sign < ' ' || sign == '"' || sign == '\\';
        if must || seed.is_multiple_of(3) || (seed % 3 == 1 && at % 3 == 0) {
            let mut units = [0; 2];
            for unit in sign.encode_utf16(&mut units) {
                let _ = write!(written, "\\u{unit:04x}");
            }
        } else {
            written.push(sign);
        }
    }
    written + "\""
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z \n\"\\\\/é你😀]{0,12}",
        // About as long as what is read.
        ("[a-zé你]", 1360..4100_usize).prop_map(|(sign, times)| sign.repeat(times)),
    ]
}

fn part() -> impl Strategy<Value = Json> {
    prop_oneof![
        4 => texts().prop_map(|text| json!({"type": "text", "text": text})),
        1 => texts().prop_map(|url| json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}})),
    ]
}

fn message(roles: &'static [&'static str]) -> impl Strategy<Value = Json> {
    let content = prop_oneof![
        texts().prop_map(Json::String),
        prop::collection::vec(part(), 0..4).prop_map(Json::Array),
        Just(Json::Null),
    ];
    (prop::sample::select(roles), content)
        .prop_map(|(role, content)| json!({"role": role, "content": content}))
}

const ANY: &[&str] = &["system", "developer", "user", "assistant", "tool"];

proptest! {
    #[test]
    fn every_turn_and_every_spelling_has_the_same_digest(
        opening in prop::collection::vec(message(&["system", "developer", "assistant"]), 0..3),
        user in message(&["user"]),
        turns in prop::collection::vec(message(ANY), 0..4),
        seed in any::<u64>(),
    ) {
        let mut messages = opening;
        messages.push(user);
        let first = digest(&chat(&messages.clone().into()));
        prop_assert!(first.is_some());
        for turn in turns {
            messages.push(turn);
            prop_assert_eq!(digest(&chat(&messages.clone().into())), first);
        }
        let mut body = Map::new();
        body.insert("stream".into(), true.into());
        body.insert("messages".into(), messages.into());
        body.insert("model".into(), "another".into());
        prop_assert_eq!(digest(&respelled(&Json::Object(body), seed)), first);
    }

    #[test]
    fn a_text_may_be_cut_anywhere(text in texts(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let signs: Vec<char> = text.chars().collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(signs.len() + 1)).collect();
        places.sort_unstable();
        places.push(signs.len());
        let mut begin = 0;
        let mut parts = Vec::new();
        for place in places {
            parts.push(json!({"type": "text", "text": signs[begin..place].iter().collect::<String>()}));
            begin = place;
        }
        let whole = digest(&chat(&json!([{"role": "user", "content": text}])));
        prop_assert_eq!(digest(&chat(&json!([{"role": "user", "content": parts}]))), whole);
    }

    #[test]
    fn different_texts_have_different_digests(one in "[a-z]{0,8}", other in "[a-z]{0,8}") {
        let asked = |text: &str| digest(&chat(&json!([{"role": "user", "content": text}])));
        prop_assert_eq!(asked(&one) == asked(&other), one == other);
    }
}
