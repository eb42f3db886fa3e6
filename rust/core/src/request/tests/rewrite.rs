//! Model, stream and dropped fields: the client's bytes => the upstream's bytes.

use super::*;

const USAGE: &str = r#""stream_options": {"include_usage": true}"#;

#[test]
fn the_model_is_renamed_where_the_names_differ() {
    for (name, body, upstream_model, expected) in [
        ("the same", r#"{"model" : "a","messages":[{}]}"#, "a", None),
        ("the same with an escape", r#"{"model":"\u0061","messages":[{}]}"#, "a", None),
        (
            "another",
            r#" {"messages" : [{ }] , "model" : "a" , "n":1.0} "#,
            "b/c",
            Some(r#" {"messages" : [{ }] , "model" : "b/c" , "n":1.0} "#),
        ),
        (
            "one that needs escapes",
            r#"{"mod\u0065l":"a","messages":[{"model":"a"}]}"#,
            "b\"\\é\n",
            Some(r#"{"mod\u0065l":"b\"\\é\n","messages":[{"model":"a"}]}"#),
        ),
    ] {
        let route = Route { upstream_model: upstream_model.to_owned(), ..plain(Dialect::Native) };
        assert_eq!(rewrite(body, &route).body.as_deref(), expected.map(str::as_bytes), "{name}");
    }
}

#[test]
fn a_streaming_upstream_is_asked_for_usage() {
    for (name, members, expected) in [
        ("asked", r#","stream":true,"stream_options":{"include_usage":true}"#, None),
        ("absent", r#","stream":true"#, Some(format!(r#","stream":true, {USAGE}"#))),
        (
            "null",
            r#","stream":true,"stream_options":null ,"n":1"#,
            Some(r#","stream":true,"stream_options":{"include_usage": true} ,"n":1"#.to_owned()),
        ),
        (
            "switched off",
            r#","stream":true,"stream_options":{"include_usage" : false,"x":1}"#,
            Some(r#","stream":true,"stream_options":{"include_usage" : true,"x":1}"#.to_owned()),
        ),
        (
            "null inside",
            r#","stream":true,"stream_options":{"include_usage":null}"#,
            Some(r#","stream":true,"stream_options":{"include_usage":true}"#.to_owned()),
        ),
        (
            "other options",
            r#","stream_options":{"x":1},"stream":true"#,
            Some(r#","stream_options":{"x":1, "include_usage": true},"stream":true"#.to_owned()),
        ),
        (
            "no options",
            r#","stream_options":{},"stream":true"#,
            Some(r#","stream_options":{"include_usage": true},"stream":true"#.to_owned()),
        ),
    ] {
        let body = |members: &str| format!(r#"{{"model":"m","messages":[{{}}]{members}}}"#);
        let rewrite = rewrite(&body(members), &plain(Dialect::Native));
        let expected = expected.map(|members| body(&members).into_bytes());
        assert_eq!(rewrite.body, expected, "{name}");
        assert_eq!(rewrite.mode, AnswerMode::Stream { include_usage: name == "asked" }, "{name}");
    }
}

#[test]
fn the_upstream_streams_for_a_client_that_does_not() {
    for (name, members, expected) in [
        ("absent", "", format!(r#", "stream": true, {USAGE}"#)),
        ("false", r#","stream" : false"#, format!(r#","stream" : true, {USAGE}"#)),
        ("null", r#","stream":null ,"n":1"#, format!(r#","stream":true ,"n":1, {USAGE}"#)),
        (
            "with options",
            r#","stream_options":{"include_usage":false}"#,
            r#","stream_options":{"include_usage":true}, "stream": true"#.to_owned(),
        ),
    ] {
        let body = |members: &str| format!(r#"{{"model":"m","messages":[{{}}]{members}}}"#);
        let always = Route { upstream_stream: UpstreamStream::Always, ..plain(Dialect::Native) };
        assert_eq!(rewrite(&body(members), &always).mode, AnswerMode::Merged);
        assert_eq!(upstream_body(&body(members), &always), body(&expected), "{name}");
        // Not merged: what stands there is between the client and the upstream.
        let Rewritten { body: untouched, mode, .. } =
            rewrite(&body(members), &plain(Dialect::EnableThinking));
        assert_eq!((untouched, mode), (None, AnswerMode::Plain), "{name}");
    }
}

#[test]
fn the_answer_mode_follows_client_dialect_and_route() {
    use UpstreamStream::{Always, Auto, Never};
    const STREAM: AnswerMode = AnswerMode::Stream { include_usage: false };
    const WITH_USAGE: AnswerMode = AnswerMode::Stream { include_usage: true };
    for (members, dialect, upstream_stream, expected) in [
        ("", Dialect::EnableThinking, Auto, AnswerMode::Merged),
        (r#","enable_thinking":true"#, Dialect::EnableThinking, Auto, AnswerMode::Merged),
        (r#","enable_thinking":null"#, Dialect::EnableThinking, Auto, AnswerMode::Merged),
        (r#","enable_thinking":false"#, Dialect::EnableThinking, Auto, AnswerMode::Plain),
        (
            r#","enable_thinking":true,"llmgw_thinking":false"#,
            Dialect::EnableThinking,
            Auto,
            AnswerMode::Plain,
        ),
        (r#","enable_thinking":true"#, Dialect::EnableThinking, Never, AnswerMode::Plain),
        (r#","enable_thinking":false"#, Dialect::EnableThinking, Always, AnswerMode::Merged),
        (r#","enable_thinking":true"#, Dialect::ChatTemplateKwargs, Auto, AnswerMode::Plain),
        (r#","enable_thinking":true"#, Dialect::Directive, Auto, AnswerMode::Plain),
        (r#","enable_thinking":true"#, Dialect::ThinkingObject, Auto, AnswerMode::Plain),
        ("", Dialect::Native, Auto, AnswerMode::Plain),
        ("", Dialect::Native, Always, AnswerMode::Merged),
        (r#","stream":true"#, Dialect::Native, Never, STREAM),
        (r#","stream":true"#, Dialect::EnableThinking, Auto, STREAM),
        (r#","stream":true,"stream_options":{"include_usage":true}"#, Dialect::Native, Always, WITH_USAGE),
        (r#","stream_options":{"include_usage":true}"#, Dialect::Native, Always, AnswerMode::Merged),
    ] {
        let body = format!(r#"{{"model":"m","messages":[{{}}]{members}}}"#);
        let route = Route { upstream_stream, ..plain(dialect) };
        assert_eq!(rewrite(&body, &route).mode, expected, "{members} {dialect} {upstream_stream:?}");
    }
}

#[test]
fn dropped_fields_leave() {
    for (name, dropped, body, expected) in [
        (
            "none of them there",
            &["seed", "x"][..],
            r#"{"model":"m","messages":[{}]}"#,
            r#"{"model":"m","messages":[{}]}"#,
        ),
        (
            "known ones",
            &["seed", "reasoning_effort", "seed"],
            r#"{"seed":1,"model":"m" , "reasoning_effort":"low","messages":[{"seed":1}]}"#,
            r#"{"model":"m","messages":[{"seed":1}]}"#,
        ),
        (
            "null ones and unknown ones, each time they stand there",
            &["x", "stop", "a\"b"],
            r#"{"x":1,"model":"m","\u0078":{"x":2},"messages":[{}],"stop":null,"a\"b":[],"y":1,"x":3}"#,
            r#"{"model":"m","messages":[{}],"y":1}"#,
        ),
        (
            "a single unknown one",
            &["x"],
            r#"{"model":"m","x":[1],"messages":[{}]}"#,
            r#"{"model":"m","messages":[{}]}"#,
        ),
        (
            "never what makes the request",
            &["model", "messages"],
            r#"{"model":"m","messages":[{}]}"#,
            r#"{"model":"m","messages":[{}]}"#,
        ),
        (
            "a stream's own only where nothing streams",
            &["stream", "stream_options"],
            r#"{"model":"m","messages":[{}],"stream":false,"stream_options":{}}"#,
            r#"{"model":"m","messages":[{}]}"#,
        ),
        (
            "setting wins over dropping",
            &["stream", "stream_options"],
            r#"{"model":"m","messages":[{}],"stream":true}"#,
            r#"{"model":"m","messages":[{}],"stream":true, "stream_options": {"include_usage": true}}"#,
        ),
        (
            "a thinking object where no switch is given",
            &["thinking", "enable_thinking"],
            r#"{"enable_thinking":null,"model":"m","messages":[{}],"thinking":{"type":"enabled"}}"#,
            r#"{"model":"m","messages":[{}]}"#,
        ),
        (
            "but not where the switch sets it",
            &["thinking", "enable_thinking"],
            r#"{"enable_thinking":true,"model":"m","messages":[{}],"thinking":{"x":1}}"#,
            r#"{"model":"m","messages":[{}],"thinking":{"x":1, "type": "enabled"}}"#,
        ),
    ] {
        let drop = dropped.iter().map(|&name| name.to_owned()).collect();
        let route = Route { drop, ..plain(Dialect::ThinkingObject) };
        assert_eq!(upstream_body(body, &route), expected, "{name}");
    }
}

#[test]
fn all_edits_at_once() {
    let body = r#"{
  "enable_thinking": true,
  "seed": 12345678901234567890,
  "model": "public",
  "llmgw_thinking": false,
  "temperature": 0.70,
  "messages": [
    {"role": "user", "content": "caf\u00e9 \/think"}
  ],
  "logit_bias": {"1": 1e2},
  "user": "\ud83d"
}
"#;
    let route = Route {
        upstream_model: "deepseek-v4-pro".to_owned(),
        dialect: Dialect::Directive,
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Always,
        drop: vec!["seed".to_owned(), "user".to_owned()],
    };
    let expected = r#"{
  "model": "deepseek-v4-pro",
  "temperature": 0.70,
  "messages": [
    {"role": "user", "content": "caf\u00e9 /no_think"}
  ],
  "logit_bias": {"1": 1e2}, "stream": true, "stream_options": {"include_usage": true}
}
"#;
    assert_eq!(upstream_body(body, &route), expected);
}
