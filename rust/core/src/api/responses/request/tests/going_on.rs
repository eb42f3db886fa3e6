//! Conversations that are kept.

use super::*;

fn keeping(body: &str, keeping: Keeping<'_>) -> Converted {
    convert_keeping(body.as_bytes(), None, keeping).unwrap()
}

fn echo_of(converted: &Converted) -> Json {
    match &converted.reply {
        Reply::Responses(reply) => json(&format!("{{{}}}", String::from_utf8(reply.echo.clone()).unwrap())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_kept_of_a_request() {
    let rows: [(&str, Option<&str>); 4] = [
        (r#""input":"a\"""#, Some(r#"{"role":"user","content":"a\""}"#)),
        (
            r#""input":[ {"role":"user","content":"a"} ],"store":true"#,
            Some(r#"{"role":"user","content":"a"}"#),
        ),
        (r#""input":"a","store":null"#, Some(r#"{"role":"user","content":"a"}"#)),
        (r#""input":"a","store":false"#, None),
    ];
    for (members, expected) in rows {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let kept = keeping(&body, Keeping::New);
        assert_eq!(kept.kept_items.as_deref().map(String::from_utf8_lossy).as_deref(), expected, "{members}");
        assert_eq!(echo_of(&kept)["store"], Json::Bool(expected.is_some()), "{members}");
        assert_eq!(keeping(&body, Keeping::Nothing).kept_items, None);
    }
}

#[test]
fn what_was_kept_comes_before_the_new_input() {
    let call = r#"{"type":"function_call","call_id":"a","name":"f","arguments":"{}"}"#;
    let output = r#"{"type":"function_call_output","call_id":"a","output":"A"}"#;
    let kept = format!(r#"{{"role":"user","content":"x"}},{call}"#);
    let body =
        format!(r#"{{"model":"m","input":[{output}],"instructions":"b","previous_response_id":"resp_1"}}"#);
    let converted = keeping(&body, Keeping::GoingOn(kept.as_bytes()));
    let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
    let expected = r#"[{"role":"system","content":"b"},{"role":"user","content":"x"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"a","content":"A"}]"#;
    assert_eq!(chat["messages"], json(expected));
    assert_eq!(converted.kept_items.as_deref(), Some(format!("{kept},{output}").as_bytes()));
    assert_eq!(echo_of(&converted)["previous_response_id"], "resp_1");

    let text = r#"{"model":"m","input":"y","previous_response_id":"resp_1"}"#;
    let converted = keeping(text, Keeping::GoingOn(br#"{"role":"user","content":"x"}"#));
    let chat: Json = serde_json::from_slice(&converted.chat).unwrap();
    assert_eq!(chat["messages"], json(r#"[{"role":"user","content":"x"},{"role":"user","content":"y"}]"#));
}

#[test]
fn a_fault_is_placed_in_the_clients_body() {
    let body = r#"{"model":"m","input":[{"role":"user","content":1}],"previous_response_id":"resp_1"}"#;
    let kept = br#"{"role":"user","content":"x"},{"role":"user","content":"y"}"#;
    let error = convert_keeping(body.as_bytes(), None, Keeping::GoingOn(kept)).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("input[0].content"));
}

#[test]
fn the_head_of_a_body() {
    let body =
        br#"{"model":"m","stream":true,"input":[{"type":"function_call_output","call_id":"a","output":""}],
        "previous_response_id":"resp_1"}"#;
    let expected =
        Head { model: "m".to_owned(), stream: true, previous_response_id: Some("resp_1".to_owned()) };
    assert_eq!(head(body).unwrap(), expected);
    assert_eq!(head(br#"{"model":"m","input":"a"}"#).unwrap().previous_response_id, None);
    assert_eq!(head(br#"{"model":"m"}"#).unwrap_err().param.as_deref(), Some("input"));
}
