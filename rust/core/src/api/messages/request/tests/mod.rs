//! Rows: a body, and what it is in chat's words.

mod drawn;
mod properties;

use serde_json::Value;

use super::*;
use crate::api::messages::ShownThinking;
use crate::request::ChatRequest;
use crate::request::error::RequestErrorCode::{
    DuplicateField, InvalidJson, InvalidType, MissingField, TooDeep,
};

const SEALED_FOR: &[u8] = b"ann";

fn seal() -> Seal {
    Seal::new(&[7; 32], SEALED_FOR).unwrap()
}

fn converted(body: &str) -> Converted {
    let seal = seal();
    let options = Options { seal: Some(&seal), keep_marks_of: &[] };
    let converted = convert(body.as_bytes(), options).unwrap_or_else(|error| panic!("{error}: {body}"));
    ChatRequest::scan(&converted.chat).unwrap_or_else(|error| panic!("{error}: {body}"));
    serde_json::from_slice::<Value>(&converted.chat).unwrap();
    converted
}

fn chat(body: &str) -> String {
    String::from_utf8(converted(body).chat).unwrap()
}

/// The messages of a body that has these.
fn messages(messages: &str) -> String {
    let chat = chat(&format!(r#"{{"model":"m","messages":[{messages}]}}"#));
    let inner = chat.strip_prefix(r#"{"model":"m","messages":["#).and_then(|rest| rest.strip_suffix("]}"));
    inner.unwrap().to_owned()
}

/// What these members become, behind the messages, and what is dropped.
fn fields(members: &str) -> (String, Vec<String>) {
    let Converted { chat, dropped, .. } =
        converted(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],{members}}}"#));
    let chat = String::from_utf8(chat).unwrap();
    let head = r#"{"model":"m","messages":[{"role":"user","content":"q"}]"#;
    let rest = chat.strip_prefix(head).and_then(|rest| rest.strip_suffix("}")).unwrap();
    (rest.trim_start_matches(',').to_owned(), dropped)
}

fn reply(body: &str) -> Arc<MessagesReply> {
    match converted(body).reply {
        Reply::Messages(reply) => reply,
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_strings_or_parts() {
    for (name, body, expected) in [
        ("a string", r#"{"role":"user","content":"a\n\u4f60"}"#, r#"{"role":"user","content":"a\n\u4f60"}"#),
        (
            "one block is a string",
            r#"{"role":"user","content":[{"type":"text","text":"a"}]}"#,
            r#"{"role":"user","content":"a"}"#,
        ),
        (
            "two are parts, whatever the order of keys",
            r#"{"content":[{"text":"a","type":"text"},{"type":"text","text":"b"}],"role":"user"}"#,
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
        ),
        (
            "empty texts are left out",
            r#"{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"b"}]}"#,
            r#"{"role":"user","content":"b"}"#,
        ),
        ("nothing is an empty text", r#"{"role":"user","content":[]}"#, r#"{"role":"user","content":""}"#),
        (
            "an assistant's are one, as its answer was",
            r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
            r#"{"role":"assistant","content":"ab"}"#,
        ),
        (
            "assistant messages in a row are one",
            r#"{"role":"assistant","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]}"#,
            r#"{"role":"assistant","content":"ab"}"#,
        ),
        (
            "user messages in a row stay",
            r#"{"role":"user","content":"a"},{"role":"user","content":"b"}"#,
            r#"{"role":"user","content":"a"},{"role":"user","content":"b"}"#,
        ),
        (
            "an image",
            r#"{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image\/png","data":"iVBO"}}]}"#,
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,iVBO"}}]}"#,
        ),
        (
            "an image by its address, and text behind it",
            r#"{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x/y"}},{"type":"text","text":"?"}]}"#,
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y"}},{"type":"text","text":"?"}]}"#,
        ),
        (
            "a document of text",
            r#"{"role":"user","content":[{"type":"document","title":"T","context":"C","source":{"type":"text","media_type":"text/plain","data":"D"}}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"T"},{"type":"text","text":"C"},{"type":"text","text":"D"}]}"#,
        ),
        (
            "a document of blocks",
            r#"{"role":"user","content":[{"type":"document","source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#,
        ),
        (
            "a PDF",
            r#"{"role":"user","content":[{"type":"document","title":"T","source":{"type":"base64","media_type":"application/pdf","data":"JVBE"}}]}"#,
            r#"{"role":"user","content":[{"type":"file","file":{"filename":"T","file_data":"data:application/pdf;base64,JVBE"}}]}"#,
        ),
        (
            "a search result",
            r#"{"role":"user","content":[{"type":"search_result","source":"S","title":"T","content":[{"type":"text","text":"a"}]}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"T"},{"type":"text","text":"S"},{"type":"text","text":"a"}]}"#,
        ),
    ] {
        assert_eq!(messages(body), expected, "{name}");
    }
}

#[test]
fn system_prompts() {
    let question = r#""messages":[{"role":"user","content":"q"}]"#;
    for (name, system, expected) in [
        ("a string", r#""a""#, r#"{"role":"system","content":"a"},"#),
        ("a block", r#"[{"type":"text","text":"a"}]"#, r#"{"role":"system","content":"a"},"#),
        (
            "blocks in their order",
            r#"[{"type":"text","text":"b"},{"type":"text","text":"a"}]"#,
            r#"{"role":"system","content":[{"type":"text","text":"b"},{"type":"text","text":"a"}]},"#,
        ),
        ("an empty one", r#""""#, ""),
        ("none", "null", ""),
        ("no blocks", "[]", ""),
    ] {
        let expected = format!(r#"{{"model":"m","messages":[{expected}{{"role":"user","content":"q"}}]}}"#);
        assert_eq!(chat(&format!(r#"{{"model":"m","system":{system},{question}}}"#)), expected, "{name}");
        assert_eq!(
            chat(&format!(r#"{{{question},"system":{system},"model":"m"}}"#)),
            expected,
            "{name}, last"
        );
    }
}

#[test]
fn field_14_the_billing_line_is_left_out() {
    let line = "x-anthropic-billing-header: cc_version=2.1.332.0b8; cch=abc;";
    let escaped = line.replace('x', r"\u0078");
    for (name, system) in [
        ("a block", format!(r#"[{{"type":"text","text":"{line}"}},{{"type":"text","text":"a"}}]"#)),
        ("with escapes", format!(r#"[{{"type":"text","text":"{escaped}"}},{{"type":"text","text":"a"}}]"#)),
        ("the first line of a string", format!(r#""{line}\na""#)),
    ] {
        let body = format!(
            r#"{{"model":"m","system":{system},"messages":[{{"role":"system","content":"{line}"}},{{"role":"user","content":"q"}}]}}"#
        );
        let expected =
            r#"{"model":"m","messages":[{"role":"system","content":"a"},{"role":"user","content":"q"}]}"#;
        assert_eq!(chat(&body), expected, "{name}");
        assert_eq!(converted(&body).dropped, [""; 0], "{name}");
    }
}

#[test]
fn field_15_a_system_message_in_mid_conversation_stays_where_it_is() {
    let body = r#"{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"},{"role":"developer","content":"d"}"#;
    assert_eq!(messages(body), body);
}

#[test]
fn field_16_marks_change_no_other_byte() {
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let body = |mark: &str| {
        format!(
            r#"{{"model":"m","system":[{{"type":"text","text":"s"{mark}}}],"tools":[{{"name":"f","input_schema":{{}}{mark}}}],"messages":[
            {{"role":"user","content":[{{"type":"text","text":"a"{mark}}}]}},
            {{"role":"assistant","content":[{{"type":"text","text":"b"{mark}}},{{"type":"tool_use","id":"1","name":"f","input":{{}}{mark}}}]}},
            {{"role":"user","content":[{{"type":"tool_result","tool_use_id":"1","content":[{{"type":"text","text":"c"{mark}}}]{mark}}}]}}]}}"#
        )
    };
    assert_eq!(chat(&body(mark)), chat(&body("")));
    assert_eq!(converted(&body(mark)).dropped, [""; 0]);
    let as_strings = body("").replace(r#"[{"type":"text","text":"a"}]"#, r#""a""#);
    assert_eq!(chat(&as_strings), chat(&body("")), "a client marks a text, and unmarks it in the next turn");
}

#[test]
fn field_11_marks_stay_where_the_upstream_knows_them() {
    let body = |mark: &str| {
        format!(
            r#"{{"model":"m","system":[{{"type":"text","text":"s"{mark}}}],"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":"b"}},{{"role":"user","content":[{{"type":"text","text":"c"}},{{"type":"image","source":{{"type":"url","url":"u"}}{mark}}}]}}]}}"#
        )
    };
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let keep_marks_of = ["other", "m"].map(str::to_owned);
    let options = Options { seal: None, keep_marks_of: &keep_marks_of };
    let kept = |body: String| String::from_utf8(convert(body.as_bytes(), options).unwrap().chat).unwrap();
    let expected = format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":[{{"type":"text","text":"s"{mark}}}]}},{{"role":"user","content":[{{"type":"text","text":"a"}}]}},{{"role":"assistant","content":[{{"type":"text","text":"b"}}]}},{{"role":"user","content":[{{"type":"text","text":"c"}},{{"type":"image_url","image_url":{{"url":"u"}}{mark}}}]}}]}}"#
    );
    assert_eq!(kept(body(mark)), expected);
    assert_eq!(kept(body("")), expected.replace(mark, ""), "without marks nothing else is different");
    let of_another = |body: String| body.replacen(r#""model":"m""#, r#""model":"n""#, 1);
    assert_eq!(kept(of_another(body(mark))), of_another(chat(&body(""))), "a model that does not know them");
}

/// An assistant message with these calls.
fn calls(ids: &[&str]) -> String {
    let calls: Vec<_> = ids
        .iter()
        .map(|id| format!(r#"{{"type":"tool_use","id":"{id}","name":"f","input":{{"a":"{id}\n"}}}}"#))
        .collect();
    format!(r#"{{"role":"assistant","content":[{}]}}"#, calls.join(","))
}

fn called(ids: &[&str]) -> String {
    let calls: Vec<_> = ids
        .iter()
        .map(|id| {
            format!(
                r#"{{"id":"{id}","type":"function","function":{{"name":"f","arguments":"{{\"a\":\"{id}\\n\"}}"}}}}"#
            )
        })
        .collect();
    format!(r#"{{"role":"assistant","content":"","tool_calls":[{}]}}"#, calls.join(","))
}

fn result(id: &str, content: &str) -> String {
    format!(r#"{{"type":"tool_result","tool_use_id":"{id}","content":{content}}}"#)
}

fn tool(id: &str, content: &str) -> String {
    format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"{content}"}}"#)
}

fn user(blocks: &[String]) -> String {
    format!(r#"{{"role":"user","content":[{}]}}"#, blocks.join(","))
}

#[test]
fn field_05_results_are_tool_messages_in_the_order_of_the_calls() {
    let text = r#"{"type":"text","text":"and now?"}"#.to_owned();
    let said = r#"{"role":"user","content":"and now?"}"#.to_owned();
    for (name, behind, expected) in [
        (
            "in order",
            vec![user(&[result("1", r#""a""#), result("2", r#""b""#)])],
            vec![tool("1", "a"), tool("2", "b")],
        ),
        (
            "in another order, with text before them",
            vec![user(&[text.clone(), result("2", r#""b""#), result("1", r#""a""#)])],
            vec![tool("1", "a"), tool("2", "b"), said.clone()],
        ),
        (
            "in two messages",
            vec![user(&[result("2", r#""b""#)]), user(&[text.clone(), result("1", r#""a""#)])],
            vec![tool("1", "a"), tool("2", "b"), said.clone()],
        ),
        (
            "a system message between call and results",
            vec![
                r#"{"role":"system","content":"s"}"#.to_owned(),
                user(&[result("1", r#""a""#), result("2", r#""b""#)]),
            ],
            vec![tool("1", "a"), tool("2", "b"), r#"{"role":"system","content":"s"}"#.to_owned()],
        ),
        (
            "an empty one, and one with several texts",
            vec![user(&[
                r#"{"type":"tool_result","tool_use_id":"1"}"#.to_owned(),
                result("2", r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#),
            ])],
            vec![tool("1", ""), tool("2", r"a\nb")],
        ),
        (
            "one is missing",
            vec![user(&[result("2", r#""b""#)])],
            vec![tool("1", "(no result)"), tool("2", "b")],
        ),
        ("all are", vec![], vec![tool("1", "(no result)"), tool("2", "(no result)")]),
        (
            "one too many",
            vec![user(&[
                result("1", r#""a""#),
                result("2", r#""b""#),
                result("2", r#""c""#),
                result("3", r#""d""#),
            ])],
            vec![
                tool("1", "a"),
                tool("2", "b"),
                r#"{"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}"#
                    .to_owned(),
            ],
        ),
    ] {
        let body = [vec![calls(&["1", "2"])], behind].concat().join(",");
        let expected = [vec![called(&["1", "2"])], expected].concat().join(",");
        assert_eq!(messages(&body), expected, "{name}");
    }
    let alone = user(&[result("1", r#""a""#)]);
    assert_eq!(messages(&alone), r#"{"role":"user","content":"a"}"#, "a result without a call");
}

#[test]
fn the_same_id_twice() {
    let behind = user(&[result("1", r#""a""#), result("1", r#""b""#)]);
    let expected = [called(&["1", "1"]), tool("1", "a"), tool("1", "b")].join(",");
    assert_eq!(messages(&[calls(&["1", "1"]), behind].join(",")), expected);
}

#[test]
fn field_17_images_of_results_come_behind_all_of_them() {
    let image = |url: &str| format!(r#"{{"type":"image","source":{{"type":"url","url":"{url}"}}}}"#);
    let shown = |url: &str| format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
    let results = [
        result("2", &format!("[{}]", image("B"))),
        result("1", &format!(r#"[{{"type":"text","text":"a"}},{}]"#, image("A"))),
    ];
    let behind = [&results[..], &[r#"{"type":"text","text":"t"}"#.to_owned()]].concat();
    let tools = [called(&["1", "2"]), tool("1", "a"), tool("2", "")].join(",");
    let said = format!(r#",{{"role":"user","content":[{},{}]}}"#, shown("A"), shown("B"));
    assert_eq!(messages(&[calls(&["1", "2"]), user(&results)].join(",")), format!("{tools}{said}"));
    let said = said.replace("]}", r#",{"type":"text","text":"t"}]}"#);
    assert_eq!(messages(&[calls(&["1", "2"]), user(&behind)].join(",")), format!("{tools}{said}"));
}

#[test]
fn a_result_says_that_it_is_an_error() {
    for (content, expected) in [
        (r#""exit code 1""#, "Error: exit code 1"),
        (r#""""#, "Error"),
        ("[]", "Error"),
        ("null", "Error"),
        (r#""<tool_use_error>no</tool_use_error>""#, "<tool_use_error>no</tool_use_error>"),
        (r#"[{"type":"text","text":""},{"type":"text","text":"no"}]"#, "Error: no"),
    ] {
        let behind = user(&[result("1", &format!(r#"{content},"is_error":true"#))]);
        let expected = [called(&["1"]), tool("1", expected)].join(",");
        assert_eq!(messages(&[calls(&["1"]), behind].join(",")), expected, "{content}");
    }
}

#[test]
fn field_01_thinking_is_the_reasoning_of_its_message() {
    let omitted = [&b"t"[..], "想\\n".as_bytes()].concat();
    let signature = |text: &[u8], client: &[u8]| Seal::new(&[7; 32], client).unwrap().seal(text).unwrap();
    let ours = signature(&omitted, SEALED_FOR);
    for (name, blocks, expected) in [
        ("shown", r#"{"type":"thinking","thinking":"a\n","signature":"EqQB"}"#.to_owned(), Some(r"a\n")),
        (
            "several",
            r#"{"type":"thinking","thinking":"a"},{"type":"thinking","thinking":"b","signature":""}"#
                .to_owned(),
            Some(r"a\n\nb"),
        ),
        (
            "omitted, in our signature",
            format!(r#"{{"type":"thinking","thinking":"","signature":"{ours}"}}"#),
            Some(r"想\n"),
        ),
        (
            "of another client",
            format!(r#"{{"type":"thinking","thinking":"","signature":"{}"}}"#, signature(&omitted, b"bob")),
            None,
        ),
        (
            "no JSON text",
            format!(r#"{{"type":"thinking","thinking":"","signature":"{}"}}"#, signature(b"t\"", SEALED_FOR)),
            None,
        ),
        (
            "a digest of something that did not come back",
            format!(r#"{{"type":"thinking","thinking":"","signature":"{}"}}"#, signature(b"dxx", SEALED_FOR)),
            None,
        ),
        (
            "of Anthropic",
            r#"{"type":"thinking","thinking":"","signature":"EqQBCkYIBxgCKkBb"}"#.to_owned(),
            None,
        ),
    ] {
        let body = format!(r#"{{"role":"assistant","content":[{blocks},{{"type":"text","text":"t"}}]}}"#);
        let reasoning = expected.map_or_else(String::new, |text| format!(r#","reasoning_content":"{text}""#));
        let expected = format!(r#"{{"role":"assistant","content":"t"{reasoning}}}"#);
        assert_eq!(messages(&body), expected, "{name}");
    }
}

#[test]
fn field_06_nothing_is_lost_without_a_word() {
    let body = r#"{"model":"m","messages":[
        {"role":"user","content":[{"type":"text","text":"q","citations":[{"cited_text":"x"}]},{"type":"container_upload","file_id":"f"},{"type":"image","source":{"type":"file","file_id":"f"}}]},
        {"role":"assistant","id":"msg_1","content":[{"type":"redacted_thinking","data":"x"},{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"image","source":{"type":"url","url":"u"}}]},
        {"role":"user","content":[{"type":"tool_use","id":"s","name":"n","input":{}},{"type":"thinking","thinking":"x"}]}],
        "tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"},"defer_loading":true}],
        "container":"c","context_management":{"edits":[]},"thinking":{"type":"enabled","budget_tokens":1024}}"#;
    let expected = [
        "content.citations",
        "content.container_upload",
        "content.image.file",
        "messages.id",
        "content.redacted_thinking",
        "content.server_tool_use",
        "content.image",
        "content.tool_use",
        "content.thinking",
        "tools.web_search_20250305",
        "tools.defer_loading",
        "container",
        "context_management",
        "thinking.budget_tokens",
    ];
    assert_eq!(converted(body).dropped, expected);
}

#[test]
fn fields_in_chats_words() {
    let tool = r#""tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}]"#;
    let function = r#""tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}]"#;
    let rows: Vec<(String, String, &[&str])> = vec![
        (r#""max_tokens":10,"stream":true,"top_k":5,"x":{"y":[1]}"#.into(), r#""max_tokens":10,"stream":true,"top_k":5,"x":{"y":[1]}"#.into(), &[]),
        (r#""stop_sequences":["a"],"top_p":0.5"#.into(), r#""top_p":0.5,"stop":["a"]"#.into(), &[]),
        (r#""stop_sequences":[]"#.into(), String::new(), &[]),
        (r#""stop_sequences":["a"],"stop":"b""#.into(), r#""stop":"b""#.into(), &["stop_sequences"]),
        (r#""stop_sequences":["a"],"stop":null"#.into(), r#""stop":["a"]"#.into(), &[]),
        (r#""metadata":{"user_id":"u\"","k":1}"#.into(), r#""user":"u\"""#.into(), &["metadata.k"]),
        (r#""thinking":{"type":"adaptive","display":"omitted"}"#.into(), r#""llmgw_thinking":true"#.into(), &[]),
        (r#""thinking":{"type":"disabled"}"#.into(), r#""llmgw_thinking":false"#.into(), &[]),
        (r#""thinking":{"type":"disabled"},"llmgw_thinking":true"#.into(), r#""llmgw_thinking":true"#.into(), &[]),
        (r#""output_config":{"effort":"high"}"#.into(), r#""reasoning_effort":"high""#.into(), &[]),
        (r#""output_config":{"effort":"high","task_budget":{}},"reasoning_effort":"low""#.into(), r#""reasoning_effort":"low""#.into(), &["output_config.task_budget", "output_config.effort"]),
        (r#""output_format":{"type":"json_schema","schema":{"a":1}}"#.into(), r#""response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"a":1}}}"#.into(), &[]),
        (r#""output_config":{"format":{"schema":{"a":1},"type":"json_schema"}}"#.into(), r#""response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"a":1}}}"#.into(), &[]),
        (r#""output_config":{"format":{"type":"grammar"}}"#.into(), String::new(), &["output_config.format.grammar"]),
        (r#""cache_control":{"type":"ephemeral"},"service_tier":"auto""#.into(), String::new(), &["service_tier"]),
        (tool.into(), function.into(), &[]),
        (r#""tools":[{"type":"custom","name":"f","strict":true}]"#.into(), r#""tools":[{"type":"function","function":{"name":"f","strict":true}}]"#.into(), &[]),
        (r#""tools":[],"tool_choice":{"type":"auto"}"#.into(), String::new(), &["tool_choice"]),
        (format!(r#""tool_choice":{{"type":"any","disable_parallel_tool_use":true}},{tool}"#), format!(r#"{function},"tool_choice":"required","parallel_tool_calls":false"#), &[]),
        (format!(r#"{tool},"tool_choice":{{"type":"auto"}}"#), format!(r#"{function},"tool_choice":"auto""#), &[]),
        (format!(r#"{tool},"tool_choice":{{"type":"none"}}"#), format!(r#"{function},"tool_choice":"none""#), &[]),
        (format!(r#"{tool},"tool_choice":{{"type":"tool","name":"f"}}"#), format!(r#"{function},"tool_choice":{{"type":"function","function":{{"name":"f"}}}}"#), &[]),
    ];
    for (members, expected, dropped) in rows {
        let found = fields(&members);
        assert_eq!(
            (found.0, found.1.iter().map(String::as_str).collect::<Vec<_>>()),
            (expected, dropped.to_vec()),
            "{members}"
        );
    }
}

#[test]
fn how_reasoning_is_shown() {
    for (members, expected) in [
        ("", ShownThinking::Hidden),
        (r#","thinking":{"type":"disabled"}"#, ShownThinking::Hidden),
        (r#","thinking":{"type":"enabled"}"#, ShownThinking::Summarized),
        (r#","thinking":{"type":"adaptive","display":"summarized"}"#, ShownThinking::Summarized),
        (r#","thinking":{"type":"adaptive","display":"omitted"}"#, ShownThinking::Omitted),
        (r#","llmgw_thinking":true"#, ShownThinking::Summarized),
        (r#","enable_thinking":false"#, ShownThinking::Hidden),
    ] {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],"stop_sequences":["a\n"]{members}}}"#
        );
        let reply = reply(&body);
        assert_eq!(reply.thinking, expected, "{members}");
        assert_eq!((reply.model.as_str(), &reply.stop_sequences[..]), ("m", &["a\n".to_owned()][..]));
    }
}

#[test]
fn faults_name_the_place_in_the_clients_body() {
    let in_message = |content: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{{"role":"user","content":{content}}}]}}"#
        )
    };
    let with =
        |members: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"q"}}],{members}}}"#);
    let deep = |depth: usize| {
        with(&format!(
            r#""tools":[{{"name":"f","input_schema":{}{}}}]"#,
            "[".repeat(depth),
            "]".repeat(depth)
        ))
    };
    convert(deep(124).as_bytes(), Options::default()).unwrap();
    for (body, code, param) in [
        ("[]".to_owned(), InvalidType, None),
        ("{".to_owned(), InvalidJson, None),
        ("{}".to_owned(), MissingField, Some("model")),
        (r#"{"model":"m"}"#.to_owned(), MissingField, Some("messages")),
        (r#"{"model":1,"messages":[]}"#.to_owned(), InvalidType, Some("model")),
        (r#"{"model":"m","messages":[]}"#.to_owned(), InvalidType, Some("messages")),
        (r#"{"model":"m","messages":{}}"#.to_owned(), InvalidType, Some("messages")),
        (r#"{"model":"m","messages":[1]}"#.to_owned(), InvalidType, Some("messages[0]")),
        (
            r#"{"model":"m","messages":[{"role":"user"}]}"#.to_owned(),
            MissingField,
            Some("messages[0].content"),
        ),
        (r#"{"model":"m","messages":[{"content":"x"}]}"#.to_owned(), MissingField, Some("messages[0].role")),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#.to_owned(),
            InvalidType,
            Some("messages[0].role"),
        ),
        (r#"{"model":"m","model":"m"}"#.to_owned(), DuplicateField, Some("model")),
        (in_message("1"), InvalidType, Some("messages[1].content")),
        (
            in_message(r#"[{"type":"text","text":"a"},{"type":"text"}]"#),
            MissingField,
            Some("messages[1].content[1].text"),
        ),
        (in_message(r#"[{"type":"text","text":1}]"#), InvalidType, Some("messages[1].content[0].text")),
        (in_message(r#"[{"text":"a"}]"#), MissingField, Some("messages[1].content[0].type")),
        (
            in_message(r#"[{"type":"text","text":"a","text":"b"}]"#),
            DuplicateField,
            Some("messages[1].content[0].text"),
        ),
        (in_message(r#"[{"type":"image"}]"#), MissingField, Some("messages[1].content[0].source")),
        (
            in_message(r#"[{"type":"image","source":{"type":"base64","data":"x"}}]"#),
            MissingField,
            Some("messages[1].content[0].source.media_type"),
        ),
        (
            in_message(r#"[{"type":"tool_result","content":"x"}]"#),
            MissingField,
            Some("messages[1].content[0].tool_use_id"),
        ),
        (
            in_message(
                r#"[{"type":"tool_result","tool_use_id":"x","content":[{"type":"text","text":null}]}]"#,
            ),
            MissingField,
            Some("messages[1].content[0].content[0].text"),
        ),
        (with(r#""max_tokens":"1""#), InvalidType, Some("max_tokens")),
        (with(r#""stream":1"#), InvalidType, Some("stream")),
        (with(r#""stop_sequences":["a",1]"#), InvalidType, Some("stop_sequences[1]")),
        (with(r#""metadata":{"user_id":1}"#), InvalidType, Some("metadata.user_id")),
        (with(r#""thinking":{"type":"on"}"#), InvalidType, Some("thinking.type")),
        (with(r#""thinking":{}"#), MissingField, Some("thinking.type")),
        (with(r#""tools":[{"description":"d"}]"#), MissingField, Some("tools[0].name")),
        (with(r#""tool_choice":"auto""#), InvalidType, Some("tool_choice")),
        (with(r#""tool_choice":{"type":"tool"}"#), MissingField, Some("tool_choice.name")),
        (
            with(r#""output_config":{"format":{"type":"json_schema"}}"#),
            MissingField,
            Some("output_config.format.schema"),
        ),
    ] {
        let error = convert(body.as_bytes(), Options::default()).unwrap_err();
        assert_eq!((error.code, error.param.as_deref()), (code, param), "{body}: {error}");
        assert!(error.offset <= body.len() && !error.message.is_empty(), "{body}");
    }
    assert_eq!(convert(deep(125).as_bytes(), Options::default()).unwrap_err().code, TooDeep);
}
