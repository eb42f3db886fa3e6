//! What holds for every body.

use proptest::prelude::*;
use serde_json::Value;

use super::drawn::Drawn;
use super::{chat, converted};

/// The `messages` of a chat body, as they are written, without the list's end.
fn prefix(chat: &str) -> &str {
    let body = chat.strip_prefix(r#"{"model":"m","messages":["#).unwrap();
    let mut items = serde_json::Deserializer::from_str(chat).into_iter::<Value>();
    let messages = items.next().unwrap().unwrap()["messages"].as_array().unwrap().len();
    // Each message is read once more, to find where the last one ends.
    let mut at = 0;
    for _ in 0..messages {
        let mut message = serde_json::Deserializer::from_str(&body[at..]).into_iter::<Value>();
        message.next().unwrap().unwrap();
        at += message.byte_offset() + 1;
    }
    &body[..at - 1]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_not_named_is_said(seed: u64) {
        let drawn = Drawn::conversation(seed);
        let converted = converted(&drawn.body(drawn.messages.len(), None));
        let chat = String::from_utf8(converted.chat).unwrap();
        for (text, left_out) in &drawn.texts {
            match left_out {
                None => prop_assert!(chat.contains(text), "{text} is not in {chat}"),
                Some(kind) => {
                    prop_assert!(!chat.contains(text), "{text} is in {chat}");
                    prop_assert!(converted.dropped.iter().any(|named| named == kind), "{kind}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_keys_means_nothing(seed: u64, order: u64) {
        let drawn = Drawn::conversation(seed);
        let all = drawn.messages.len();
        let read = |body: &str| serde_json::from_str::<Value>(&chat(body)).unwrap();
        prop_assert_eq!(read(&drawn.body(all, None)), read(&drawn.body(all, Some(order))));
    }

    #[test]
    fn a_conversation_that_grows_keeps_its_bytes(seed: u64) {
        let drawn = Drawn::conversation(seed);
        let whole = chat(&drawn.body(drawn.messages.len(), None));
        for (at, (_, may_end)) in drawn.messages.iter().enumerate() {
            if *may_end {
                let shorter = chat(&drawn.body(at + 1, None));
                prop_assert!(prefix(&whole).starts_with(prefix(&shorter)), "{shorter}\n{whole}");
            }
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(bytes: Vec<u8>, text in r"\PC{0,80}") {
        llmgw_oracles::messages_request(&bytes);
        llmgw_oracles::messages_request(text.as_bytes());
        llmgw_oracles::messages_request(format!(r#"{{"model":"m","messages":[{{"role":"user","content":{text}}}]}}"#).as_bytes());
    }

    #[test]
    fn drawn_bodies_hold_what_the_oracle_says(seed: u64, order: u64) {
        let drawn = Drawn::conversation(seed);
        llmgw_oracles::messages_request(drawn.body(drawn.messages.len(), Some(order)).as_bytes());
    }
}
