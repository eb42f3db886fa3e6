//! Items become messages.

use super::*;
use crate::request::media::Modality;

fn seal() -> Seal {
    Seal::new(&[7; 32], b"ann").unwrap()
}

/// Each row: name, `input`, `messages`, what was dropped.
fn check(rows: &[(&str, &str, &str, &[&str])]) {
    for (name, input, messages, dropped) in rows {
        let converted = converted(&with_input(input));
        let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
        assert_eq!(chat["messages"], json(messages), "{name}");
        assert_eq!(converted.dropped, *dropped, "{name}");
    }
}

const CALL_A: &str = r#"{"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1}"}"#;
const CALL_B: &str = r#"{"type":"function_call","call_id":"b","name":"g","arguments":""}"#;
const OUTPUT_A: &str = r#"{"type":"function_call_output","call_id":"a","output":"A"}"#;
const OUTPUT_B: &str = r#"{"type":"function_call_output","call_id":"b","output":""}"#;
const CHAT_A: &str = r#"{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}"#;
const CHAT_B: &str = r#"{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}"#;
const TOOL_A: &str = r#"{"role":"tool","tool_call_id":"a","content":"A"}"#;
const TOOL_B: &str = r#"{"role":"tool","tool_call_id":"b","content":""}"#;

#[test]
fn messages() {
    check(&[
        ("a string", r#""Hi\n""#, r#"[{"role":"user","content":"Hi\n"}]"#, &[]),
        (
            "items with a role and no type; developer stays where it is",
            r#"[{"role":"user","content":"a"},{"role":"developer","content":"b"},{"role":"system","content":"c"}]"#,
            r#"[{"role":"user","content":"a"},{"role":"developer","content":"b"},{"role":"system","content":"c"}]"#,
            &[],
        ),
        (
            "texts of one message",
            r#"[{"type":"message","role":"user","id":"msg_1","status":"completed",
                 "content":[{"type":"input_text","text":"a\""},{"type":"input_text","text":"b"}]}]"#,
            r#"[{"role":"user","content":"a\"\nb"}]"#,
            &[],
        ),
        (
            "an image among texts",
            r#"[{"role":"user","content":[{"type":"input_text","text":"a"},
                 {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"original"},
                 {"type":"input_image","image_url":"https://x/y.png","detail":null,"file_id":null}]}]"#,
            r#"[{"role":"user","content":[{"type":"text","text":"a"},
                 {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"high"}},
                 {"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]"#,
            &[],
        ),
        (
            "sounds and files",
            r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
                 {"type":"input_file","filename":"a.pdf","file_data":"data:,x"},
                 {"type":"input_file","file_url":"https://x"},{"type":"input_image","file_id":"file_1"},
                 {"type":"input_video","video_url":"https://x"}]}]"#,
            r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},
                 {"type":"file","file":{"file_data":"data:,x","filename":"a.pdf"}}]}]"#,
            &["content.input_file.file_url", "content.input_image.file_id", "content.input_video"],
        ),
        (
            "a message of which nothing is left",
            r#"[{"role":"user","content":"a"},{"role":"user","content":[{"type":"input_image","file_id":"f"}]},
                {"role":"user","content":[]}]"#,
            r#"[{"role":"user","content":"a"}]"#,
            &["content.input_image.file_id"],
        ),
        (
            "an answer",
            r#"[{"role":"user","content":"a"},{"type":"message","role":"assistant","content":[
                 {"type":"output_text","text":"b","annotations":[]},{"type":"output_text","text":"c"},
                 {"type":"refusal","refusal":"d"}]}]"#,
            r#"[{"role":"user","content":"a"},{"role":"assistant","content":"bcd"}]"#,
            &[],
        ),
        (
            "two answers are one message, an empty one is none",
            r#"[{"role":"assistant","content":""},{"role":"user","content":"a"},{"role":"assistant","content":"b"},
                {"type":"custom_tool_call_output"},{"role":"assistant","content":"c"}]"#,
            r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b\nc"}]"#,
            &["input.custom_tool_call_output"],
        ),
        (
            "what is not known",
            r#"[{"role":"user","content":"a"},{"type":"web_search_call","id":"ws_1","status":"completed"},
                {"type":"compaction","encrypted_content":"x"},{"type":"item_reference","id":"msg_1"},
                {"type":"web_search_call","id":"ws_2"}]"#,
            r#"[{"role":"user","content":"a"}]"#,
            &["input.web_search_call", "input.compaction", "input.item_reference"],
        ),
    ]);
}

#[test]
fn calls_and_outputs() {
    let unanswered =
        r#"{"role":"tool","tool_call_id":"a","content":"No output: the call was not answered."}"#;
    check(&[
        (
            "parallel calls are one message, their outputs in the order of the calls",
            &format!("[{CALL_A},{CALL_B},{OUTPUT_B},{OUTPUT_A}]"),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A},{CHAT_B}]}},{TOOL_A},{TOOL_B}]"#
            ),
            &[],
        ),
        (
            "one after the other",
            &format!("[{CALL_A},{OUTPUT_A},{CALL_B},{OUTPUT_B}]"),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{TOOL_A},
                    {{"role":"assistant","content":null,"tool_calls":[{CHAT_B}]}},{TOOL_B}]"#
            ),
            &[],
        ),
        (
            "an output that comes late",
            &format!(r#"[{CALL_A},{{"role":"user","content":"x"}},{OUTPUT_A}]"#),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{TOOL_A},{{"role":"user","content":"x"}}]"#
            ),
            &[],
        ),
        (
            "text with calls",
            &format!(r#"[{{"role":"assistant","content":"so"}},{CALL_A},{OUTPUT_A}]"#),
            &format!(r#"[{{"role":"assistant","content":"so","tool_calls":[{CHAT_A}]}},{TOOL_A}]"#),
            &[],
        ),
        (
            "field 38: a call that nobody answered",
            &format!(r#"[{CALL_A},{{"role":"user","content":"x"}}]"#),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{unanswered},{{"role":"user","content":"x"}}]"#
            ),
            &[],
        ),
        (
            "field 38: an output without a call",
            &format!(
                r#"[{{"role":"user","content":"x"}},{OUTPUT_A},{{"type":"function_call_output","output":"x"}}]"#
            ),
            r#"[{"role":"user","content":"x"}]"#,
            &["input.function_call_output"],
        ),
        (
            "an id that comes again",
            &format!("[{CALL_A},{OUTPUT_A},{CALL_A},{OUTPUT_A}]"),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{TOOL_A},
                    {{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{TOOL_A}]"#
            ),
            &[],
        ),
        (
            "the later of two calls gets the output",
            &format!(r#"[{CALL_A},{{"role":"user","content":"x"}},{CALL_A},{OUTPUT_A},{OUTPUT_A}]"#),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{unanswered},{{"role":"user","content":"x"}},
                    {{"role":"assistant","content":null,"tool_calls":[{CHAT_A}]}},{TOOL_A}]"#
            ),
            &["input.function_call_output"],
        ),
        (
            "images of outputs go behind all of them",
            &format!(
                r#"[{CALL_A},{CALL_B},{{"type":"function_call_output","call_id":"a","output":[
                     {{"type":"input_image","image_url":"data:,x"}}]}},
                    {{"type":"function_call_output","call_id":"b","output":[{{"type":"input_text","text":"1"}},
                     {{"type":"input_text","text":"2"}}]}}]"#
            ),
            &format!(
                r#"[{{"role":"assistant","content":null,"tool_calls":[{CHAT_A},{CHAT_B}]}},
                    {{"role":"tool","tool_call_id":"a","content":"The output is in the next user message."}},
                    {{"role":"tool","tool_call_id":"b","content":"1\n2"}},
                    {{"role":"user","content":[{{"type":"text","text":"Output of the call a:"}},
                      {{"type":"image_url","image_url":{{"url":"data:,x"}}}}]}}]"#
            ),
            &[],
        ),
        (
            "arguments that are no string",
            r#"[{"type":"function_call","call_id":"a","name":"f","arguments":{"x": "\""}}]"#,
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":
                 {"name":"f","arguments":"{\"x\":\"\\\"\"}"}}]},
                {"role":"tool","tool_call_id":"a","content":"No output: the call was not answered."}]"#,
            &[],
        ),
    ]);
}

#[test]
fn field_28_calls_of_other_tools() {
    check(&[
        (
            "a custom tool: its input is a string in the arguments",
            r#"[{"type":"custom_tool_call","call_id":"a","name":"apply_patch","input":"*** \"x\"\n\\"},
                {"type":"custom_tool_call_output","call_id":"a","output":"Done"}]"#,
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":
                 {"name":"apply_patch","arguments":"{\"input\":\"*** \\\"x\\\"\\n\\\\\"}"}}]},
                {"role":"tool","tool_call_id":"a","content":"Done"}]"#,
            &[],
        ),
        (
            "the local shell, whose output has the call's id in `id`",
            r#"[{"type":"local_shell_call","id":"lsh_1","call_id":"a","status":"completed","action":
                 {"type":"exec","command":["ls", "-l"],"env":{},"user":null}},
                {"type":"local_shell_call_output","id":"a","output":"{\"output\":\"\"}"}]"#,
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":
                 {"name":"local_shell","arguments":"{\"command\":[\"ls\",\"-l\"],\"env\":{}}"}}]},
                {"role":"tool","tool_call_id":"a","content":"{\"output\":\"\"}"}]"#,
            &[],
        ),
        (
            "a tool of a namespace, also where it is not offered",
            r#"[{"type":"function_call","call_id":"a","namespace":"clock","name":"sleep","arguments":"{}"},
                {"type":"function_call_output","call_id":"a","output":"A"}]"#,
            r#"[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":
                 {"name":"clock__sleep","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"A"}]"#,
            &[],
        ),
    ]);
}

#[test]
fn field_24_reasoning_is_the_following_messages() {
    let thought = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"s"},{"type":"summary_text","text":"t"}]}"#;
    let told = r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"content":[{"type":"reasoning_text","text":"c"}]}"#;
    let foreign = r#"{"type":"reasoning","summary":[],"encrypted_content":"gAAAAABm"}"#;
    check(&[
        (
            "a summary",
            &format!(r#"[{thought},{{"role":"assistant","content":"a"}}]"#),
            r#"[{"role":"assistant","content":"a","reasoning_content":"s\n\nt"}]"#,
            &[],
        ),
        (
            "of calls; the text counts more than its summary",
            &format!("[{told},{CALL_A},{OUTPUT_A}]"),
            &format!(
                r#"[{{"role":"assistant","content":null,"reasoning_content":"c","tool_calls":[{CHAT_A}]}},{TOOL_A}]"#
            ),
            &[],
        ),
        (
            "between sentences: all of it, and they stay one text",
            &format!(
                r#"[{told},{{"role":"assistant","content":"a "}},{told},{{"role":"assistant","content":"b"}},{CALL_A},{OUTPUT_A}]"#
            ),
            &format!(
                r#"[{{"role":"assistant","content":"a b","reasoning_content":"c\nc","tool_calls":[{CHAT_A}]}},{TOOL_A}]"#
            ),
            &[],
        ),
        (
            "that led to nothing",
            &format!(r#"[{{"role":"user","content":"x"}},{told},{{"role":"user","content":"y"}}]"#),
            r#"[{"role":"user","content":"x"},{"role":"user","content":"y"}]"#,
            &["input.reasoning"],
        ),
        (
            "field 31: sealed by somebody else",
            &format!(r#"[{foreign},{{"role":"assistant","content":"a"}}]"#),
            r#"[{"role":"assistant","content":"a"}]"#,
            &["input.reasoning"],
        ),
    ]);
}

#[test]
fn field_31_sealed_reasoning_opens_for_its_client() {
    let sealed = seal().seal(b"tthe ").unwrap();
    let quoted = seal().seal(br#"tsaid \"no\""#).unwrap();
    let signature = seal().seal(b"xother").unwrap();
    let broken = seal().seal(br#"t""#).unwrap();
    let convert_with = |seal: &Seal, sealed: &str| {
        let input = format!(
            r#"[{{"type":"reasoning","summary":[{{"type":"summary_text","text":"s"}}],"encrypted_content":"{sealed}"}},
                {{"role":"assistant","content":"a"}}]"#
        );
        let chat = convert(with_input(&input).as_bytes(), Some(seal)).unwrap().chat;
        let chat: Json = serde_json::from_slice(&chat).unwrap();
        chat["messages"][0]["reasoning_content"].as_str().map(str::to_owned)
    };
    let other = Seal::new(&[7; 32], b"bob").unwrap();
    for (name, seal, sealed, expected) in [
        ("its own", &seal(), &sealed, "the "),
        ("with escapes", &seal(), &quoted, r#"said "no""#),
        ("another client's", &other, &sealed, "s"),
        ("of another kind", &seal(), &signature, "s"),
        ("what can't stand in a string", &seal(), &broken, "s"),
    ] {
        assert_eq!(convert_with(seal, sealed).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn instructions_come_first() {
    for (instructions, expected) in [
        (r#""Be kind\n""#, r#"[{"role":"system","content":"Be kind\n"},{"role":"user","content":"Hi"}]"#),
        (r#""""#, r#"[{"role":"user","content":"Hi"}]"#),
        ("null", r#"[{"role":"user","content":"Hi"}]"#),
    ] {
        let body = with_members(&format!(r#""instructions":{instructions}"#));
        assert_eq!(chat(&body)["messages"], json(expected), "{instructions}");
    }
    let alone = chat(r#"{"model":"m","instructions":"a","input":[]}"#);
    assert_eq!(alone["messages"], json(r#"[{"role":"system","content":"a"}]"#));
}

#[test]
fn what_is_not_text_is_placed_in_the_clients_body() {
    let body = with_input(&format!(
        r#"[{{"role":"user","content":[{{"type":"input_text","text":"a"}},{{"type":"input_file","file_data":"data:,x"}}]}},
            {CALL_A},{{"type":"function_call_output","call_id":"a","output":[{{"type":"input_image","image_url":"u"}}]}},
            {{"role":"user","content":[{{"type":"input_image","image_url":"u"}}]}}]"#
    ));
    let media = [(Modality::File, "input[0].content[1]"), (Modality::Image, "input[2].output[0]")];
    assert_eq!(converted(&body).media, media.map(|(modality, place)| (modality, place.to_owned())));
}

#[test]
fn field_38_each_call_has_one_output_right_behind() {
    let call =
        |id: &str| format!(r#"{{"type":"function_call","call_id":"{id}","name":"f","arguments":"{{}}"}}"#);
    let output = |id: &str| format!(r#"{{"type":"function_call_output","call_id":"{id}","output":"{id}"}}"#);
    let user = r#"{"role":"user","content":"x"}"#.to_owned();
    // Every order of two calls, one output of them, one of nobody, and a user.
    let items = [call("a"), call("b"), output("b"), output("c"), user];
    let mut orders = vec![vec![]];
    for _ in 0..items.len() {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                (0..items.len())
                    .filter(|at| !order.contains(at))
                    .map(|at| [&order[..], &[at]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let input = order.iter().map(|&at| items[at].as_str()).collect::<Vec<_>>().join(",");
        let messages = chat(&with_input(&format!("[{input}]")))["messages"].clone();
        let mut waiting = Vec::new();
        for message in messages.as_array().unwrap() {
            if message["role"] == "tool" {
                assert_eq!(message["tool_call_id"], waiting.remove(0), "{messages}");
                continue;
            }
            assert!(waiting.is_empty(), "{messages}");
            waiting.extend(
                message["tool_calls"].as_array().into_iter().flatten().map(|call| call["id"].clone()),
            );
        }
        assert!(waiting.is_empty(), "{messages}");
    }
}
