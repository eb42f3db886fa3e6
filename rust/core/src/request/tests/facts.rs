//! What limits and prices need to know of a body: name, body, what comes out.

use super::*;
use crate::api::completions::CompletionRequest;
use crate::api::embeddings::EmbeddingRequest;
use crate::api::rerank::RerankRequest;
use crate::api::{messages, responses};
use crate::request::facts::{Facts, TOKEN_BYTES};

/// Of a chat body with these members.
fn body_of(members: &str) -> Facts {
    ChatRequest::scan(format!(r#"{{"model":"ignored",{members}}}"#).as_bytes()).unwrap().facts
}

/// Of one with these members and a message without a word.
fn chat(members: &str) -> Facts {
    body_of(&format!(r#""messages":[{{"role":"user","content":""}}],{members}"#))
}

/// Of one with a message that has these members beside its role.
fn message(members: &str) -> Facts {
    body_of(&format!(r#""messages":[{{"role":"assistant",{members}}}]"#))
}

#[test]
fn text_is_what_a_model_reads() {
    let tools = r#"[{"type":"function","function":{"name":"f","description":"d","parameters":{"x": 1}}}]"#;
    let schema = r#"{"type":"json_schema","json_schema":{"name":"a","schema":{}}}"#;
    for (name, facts, expected) in [
        ("a string", message(r#""content":"abc""#), 3),
        ("other letters", message(r#""content":"é你😀""#), 9),
        ("escapes", message(r#""content":"\"\n\\\u0041\u00e9\u4f60\ud83d\ude00""#), 3 + 1 + 2 + 3 + 4),
        ("an escape in a key", message(r#""c\u006fntent":"abc""#), 3),
        ("parts", message(r#""content":[{"type":"text","text":"abc"},{"type":"text","text":"d"}]"#), 4),
        ("a part without a type", message(r#""content":[{"text":"abc"}]"#), 3),
        ("a part of another kind", message(r#""content":[{"type":"refusal","refusal":"abc"}]"#), 3),
        ("no object among parts", message(r#""content":["abc",1]"#), 3),
        ("reasoning", message(r#""content":null,"reasoning_content":"abc""#), 3),
        ("reasoning under another name", message(r#""reasoning":"abc","refusal":"de""#), 5),
        ("names and ids", message(r#""name":"abc","tool_call_id":"call_1","content":"x""#), 1),
        ("sealed reasoning", message(r#""reasoning_details":[{"data":"abc"}],"content":"x""#), 1),
        (
            "a call",
            message(
                r#""tool_calls":[{"id":"i","type":"function","function":{"name":"fn","arguments":"{\"a\":1}"}}]"#,
            ),
            "i".len() + "function".len() + "fn".len() + r#"{"a":1}"#.len(),
        ),
        ("an old call", message(r#""function_call":{"name":"f","arguments":"{}"}"#), 3),
        ("tools, as they stand", chat(&format!(r#""tools":{tools}"#)), tools.len()),
        ("functions", chat(r#""functions":[{"name":"f"}]"#), r#"[{"name":"f"}]"#.len()),
        ("a schema", chat(&format!(r#""response_format":{schema}"#)), schema.len()),
        (
            "what no model reads",
            chat(
                r#""stop":"abc","metadata":{"a":"b"},"user":"u","prompt_cache_key":"k","tool_choice":"auto","reasoning_effort":"low","service_tier":"auto","suffix":null"#,
            ),
            0,
        ),
    ] {
        assert_eq!((facts.text_bytes, facts.images), (expected, 0), "{name}");
    }
}

#[test]
fn media_are_counted_and_their_bytes_are_not() {
    let data = "A".repeat(1000);
    for (name, part) in [
        (
            "an image",
            format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
        ),
        ("an image without a type", format!(r#"{{"image_url":"{data}"}}"#)),
        ("a film", format!(r#"{{"type":"video","video":["{data}","{data}"]}}"#)),
        ("a sound", format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#)),
        ("a file", format!(r#"{{"type":"file","file":{{"file_data":"{data}","filename":"a.pdf"}}}}"#)),
    ] {
        let text = r#"{"type":"text","text":"abc"}"#;
        let facts = message(&format!(r#""content":[{text},{part},{part},{text}]"#));
        assert_eq!((facts.text_bytes, facts.images), (6, 2), "{name}");
        let captioned = part.replacen('{', r#"{"text":"abc","#, 1);
        assert_eq!(message(&format!(r#""content":[{captioned}]"#)).text_bytes, 3, "{name} and a text");
    }
}

#[test]
fn the_least_sensible_limit_counts() {
    for (name, members, expected) in [
        ("none", r#""n":1"#, None),
        ("one", r#""max_tokens":5"#, Some(5)),
        ("each name", r#""max_tokens":5,"max_completion_tokens":4,"max_output_tokens":3"#, Some(3)),
        ("in any order", r#""max_output_tokens":5,"max_completion_tokens":6,"max_tokens":7"#, Some(5)),
        (
            "a whole number, however it is spelled",
            r#""max_tokens":1e3,"max_completion_tokens":2000.0"#,
            Some(1000),
        ),
        ("negative", r#""max_tokens":-1,"max_completion_tokens":7"#, Some(7)),
        ("nothing at all", r#""max_tokens":0,"max_completion_tokens":7"#, Some(7)),
        ("half a token", r#""max_tokens":0.5"#, None),
        ("huge", r#""max_tokens":99999999999,"max_completion_tokens":1e300"#, None),
        ("null", r#""max_tokens":null"#, None),
        ("no number", r#""max_output_tokens":"7""#, None),
    ] {
        assert_eq!(chat(members).max_output_tokens, expected, "{name}");
    }
}

#[test]
fn choices_multiply_what_is_written() {
    for (name, members, expected) in [
        ("none asked for", r#""x":1"#, 1),
        ("some", r#""n":3"#, 3),
        ("a float", r#""n":3.0"#, 3),
        ("none", r#""n":0"#, 1),
        ("negative", r#""n":-3"#, 1),
        ("no number", r#""n":"3""#, 1),
        ("null", r#""n":null"#, 1),
        ("more than there are", r#""n":129"#, 128),
        ("huge", r#""n":1e9"#, 128),
    ] {
        assert_eq!(chat(members).choices(), expected, "{name}");
    }
}

#[test]
fn a_batch_counts_whole() {
    let completions = |members: &str| {
        let body = format!(r#"{{"model":"ignored",{members}}}"#);
        CompletionRequest::scan(body.as_bytes()).unwrap().facts
    };
    for (name, members, text_bytes, choices) in [
        ("a prompt", r#""prompt":"abc""#, 3, 1),
        ("a suffix", r#""prompt":"abc","suffix":"de""#, 5, 1),
        ("prompts", r#""prompt":["abc","de",""]"#, 5, 3),
        ("tokens", r#""prompt":[1,2,3]"#, 3 * TOKEN_BYTES, 1),
        ("prompts of tokens", r#""prompt":[[1,2],[3]]"#, 3 * TOKEN_BYTES, 2),
        ("no prompts", r#""prompt":[]"#, 0, 1),
        ("several of each", r#""prompt":["a","b"],"n":3"#, 2, 6),
        ("the best of several", r#""prompt":["a","b"],"n":1,"best_of":4"#, 2, 8),
    ] {
        let facts = completions(members);
        assert_eq!((facts.text_bytes, facts.choices()), (text_bytes, choices), "{name}");
    }
    let limit = |limit: &str| completions(&format!(r#""prompt":"a","max_tokens":{limit}"#)).max_output_tokens;
    assert_eq!((limit("0"), limit("5"), limit("-1")), (Some(0), Some(5), None));
}

#[test]
fn inputs_and_documents_count_whole() {
    let embeddings = |members: &str| {
        let body = format!(r#"{{"model":"ignored","user":"u","max_tokens":5,"n":7,{members}}}"#);
        EmbeddingRequest::scan(body.as_bytes()).unwrap().facts
    };
    let rerank = |members: &str| {
        let body = format!(r#"{{"model":"ignored","user":"u","max_tokens":5,"n":7,{members}}}"#);
        RerankRequest::scan(body.as_bytes()).unwrap().facts
    };
    for (name, facts, text_bytes, images) in [
        ("a text", embeddings(r#""input":"abc""#), 3, 0),
        ("texts", embeddings(r#""input":["abc","é"],"encoding_format":"float""#), 5, 0),
        ("tokens", embeddings(r#""input":[1,2,3]"#), 3 * TOKEN_BYTES, 0),
        ("lists of tokens", embeddings(r#""input":[[1,2],[3]]"#), 3 * TOKEN_BYTES, 0),
        ("Jina", embeddings(r#""input":[{"text":"abc"},{"image":"AAAA"},{"image":null}]"#), 3, 1),
        (
            "DashScope",
            embeddings(r#""input":{"contents":[{"text":"abc"},{"image":"AAAA"},{"video":"AAAA"}]}"#),
            3,
            2,
        ),
        ("a query and documents", rerank(r#""query":"ab","documents":["abc","d"]"#), 6, 0),
        (
            "documents that are objects",
            rerank(r#""query":{"text":"ab"},"documents":[{"text":"abc","page":3},{"image":"AAAA"}]"#),
            5,
            1,
        ),
        ("an instruction", rerank(r#""query":"ab","documents":[],"instruct":"x","instruction":"yz""#), 5, 0),
        ("what is no text", rerank(r#""query":"ab","documents":[],"top_n":5,"return_documents":true"#), 2, 0),
    ] {
        assert_eq!((facts.text_bytes, facts.images), (text_bytes, images), "{name}");
        assert_eq!((facts.max_output_tokens, facts.choices()), (None, 1), "{name}");
        assert_eq!(facts.user.as_deref(), Some("u"), "{name}");
    }
}

#[test]
fn the_last_user_counts() {
    for (name, members, expected) in [
        ("a user", r#""user":"anna""#, Some("anna")),
        ("two", r#""user":"anna","user":"bert""#, Some("bert")),
        ("nobody", r#""user":" ""#, None),
        ("null", r#""user":null"#, None),
        ("no name", r#""user":7"#, None),
        ("an escaped key", r#""us\u0065r":"anna""#, Some("anna")),
    ] {
        assert_eq!(chat(members).user.as_deref(), expected, "{name}");
    }
}

/// Of a body of another API, as the Python side has them.
fn converted(api: &str, body: &str) -> Facts {
    let converted = match api {
        "messages" => messages::convert(body.as_bytes(), messages::Options::default()),
        _ => responses::convert(body.as_bytes(), None),
    };
    let converted = converted.unwrap();
    let mut facts = ChatRequest::scan(&converted.chat).unwrap().facts;
    facts.user = facts.user.or(converted.user);
    facts
}

#[test]
fn bodies_of_other_apis_have_the_same_facts() {
    let data = "A".repeat(1000);
    let image = format!(
        r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
    );
    let messages = converted(
        "messages",
        &format!(
            r#"{{"model":"m","max_tokens":9,"metadata":{{"user_id":"anna"}},"system":"abc","messages":[
                {{"role":"user","content":[{{"type":"text","text":"de"}},{image}]}},
                {{"role":"assistant","content":[{{"type":"thinking","thinking":"hm","signature":"{data}"}},{{"type":"tool_use","id":"t1","name":"f","input":{{"a":1}}}}]}},
                {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t1","content":"four"}}]}}]}}"#
        ),
    );
    // Of the call also its id and type.
    let call = "t1".len() + "function".len() + "f".len() + r#"{"a":1}"#.len();
    let expected = "abc".len() + "de".len() + "hm".len() + call + "four".len();
    assert_eq!((messages.text_bytes, messages.images), (expected, 1));
    assert_eq!((messages.max_output_tokens, messages.choices()), (Some(9), 1));
    assert_eq!(messages.user.as_deref(), Some("anna"));

    let image = format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#);
    let responses = converted(
        "responses",
        &format!(
            r#"{{"model":"m","max_output_tokens":9,"safety_identifier":"anna","instructions":"abc","input":[
                {{"role":"user","content":[{{"type":"input_text","text":"de"}},{image}]}},
                {{"type":"function_call","call_id":"t1","name":"f","arguments":"{{\"a\":1}}"}},
                {{"type":"function_call_output","call_id":"t1","output":"four"}}]}}"#
        ),
    );
    assert_eq!((responses.text_bytes, responses.images), (expected - "hm".len(), 1));
    assert_eq!((responses.max_output_tokens, responses.choices()), (Some(9), 1));
    assert_eq!(responses.user.as_deref(), Some("anna"));
    let both = r#"{"model":"m","input":"x","user":"anna","safety_identifier":"bert"}"#;
    assert_eq!(converted("responses", both).user.as_deref(), Some("anna"));
}
