//! The thinking switch in each dialect: the client's bytes => the upstream's bytes.

use super::*;

#[test]
fn the_contracts_table() {
    for (model, switch, upstream, header) in [
        ("qwen3.6-plus", r#""llmgw_thinking": true"#, r#", "enable_thinking": true"#, "on; enable_thinking"),
        (
            "qwen3.6-plus",
            r#""llmgw_thinking": false"#,
            r#", "enable_thinking": false"#,
            "off; enable_thinking",
        ),
        ("qwen3-32b", r#""enable_thinking": true"#, r#", "enable_thinking": true"#, "on; enable_thinking"),
        ("qwen3-32b", r#""enable_thinking": false"#, r#", "enable_thinking": false"#, "off; enable_thinking"),
        ("glm-5", r#""llmgw_thinking": true"#, r#", "thinking": {"type": "enabled"}"#, "on; thinking_object"),
        (
            "glm-5",
            r#""llmgw_thinking": false"#,
            r#", "thinking": {"type": "disabled"}"#,
            "off; thinking_object",
        ),
        (
            "glm-5",
            r#""enable_thinking": true"#,
            r#", "thinking": {"type": "enabled"}"#,
            "on; thinking_object",
        ),
        (
            "glm-5",
            r#""enable_thinking": false"#,
            r#", "thinking": {"type": "disabled"}"#,
            "off; thinking_object",
        ),
        ("kimi-k3", r#""llmgw_thinking": true"#, "", "on; ignored"),
        ("kimi-k3", r#""enable_thinking": false"#, "", "off; ignored"),
        ("MiniMax-M3", r#""enable_thinking": true"#, "", "on; ignored"),
    ] {
        let route = Route { upstream_stream: UpstreamStream::Never, ..route(model) };
        let start = format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "Hi"}}]"#);
        let input = format!("{start}, {switch}}}");
        assert_eq!(upstream_body(&input, &route), format!("{start}{upstream}}}"), "{input}");
        assert_eq!(rewrite(&input, &route).header(), header, "{input}");
    }
    for (switch, text, header) in [
        (r#""llmgw_thinking": true"#, "Hi /think", "on; directive"),
        (r#""llmgw_thinking": false"#, "Hi /no_think", "off; directive"),
        (r#""enable_thinking": true"#, "Hi /think", "on; directive"),
        (r#""enable_thinking": false"#, "Hi /no_think", "off; directive"),
    ] {
        let route = route("deepseek-v4-pro");
        let start = r#"{"model": "deepseek-v4-pro", "messages": [{"role": "user", "content": "#;
        let input = format!(r#"{start}"Hi"}}], {switch}}}"#);
        assert_eq!(upstream_body(&input, &route), format!(r#"{start}"{text}"}}]}}"#), "{input}");
        assert_eq!(rewrite(&input, &route).header(), header, "{input}");
    }
    for (switch, upstream, header) in [
        ("true", r#""chat_template_kwargs": {"enable_thinking": true}"#, "on; chat_template_kwargs"),
        ("false", r#""chat_template_kwargs": {"enable_thinking": false}"#, "off; chat_template_kwargs"),
    ] {
        let route = plain(Dialect::ChatTemplateKwargs);
        let start = r#"{"model": "m", "messages": [{}], "#;
        let input = format!(r#"{start}"llmgw_thinking": {switch}}}"#);
        assert_eq!(upstream_body(&input, &route), format!("{start}{upstream}}}"));
        assert_eq!(rewrite(&input, &route).header(), header);
    }
}

#[test]
fn a_mode_that_the_model_lacks_is_not_sent() {
    let only = |on: bool| ThinkingModes { on, off: !on };
    for (dialect, modes, switch, upstream, header, mode) in [
        (Dialect::EnableThinking, only(true), "false", "", "off; ignored", AnswerMode::Merged),
        (
            Dialect::EnableThinking,
            only(true),
            "true",
            r#""enable_thinking": true"#,
            "on; enable_thinking",
            AnswerMode::Merged,
        ),
        (Dialect::EnableThinking, only(false), "true", "", "on; ignored", AnswerMode::Merged),
        (
            Dialect::EnableThinking,
            only(false),
            "false",
            r#""enable_thinking": false"#,
            "off; enable_thinking",
            AnswerMode::Plain,
        ),
        (Dialect::ThinkingObject, only(true), "false", "", "off; ignored", AnswerMode::Plain),
        (Dialect::Directive, only(true), "false", "", "off; ignored", AnswerMode::Plain),
        (Dialect::ChatTemplateKwargs, only(false), "true", "", "on; ignored", AnswerMode::Plain),
    ] {
        let route = Route { thinking_modes: modes, upstream_stream: UpstreamStream::Auto, ..plain(dialect) };
        let messages = r#""messages": [{"role": "user", "content": "x"}]"#;
        let input = format!(
            r#"{{"model": "m", {messages}, "llmgw_thinking": {switch}, "enable_thinking": {switch}}}"#
        );
        let rewrite = rewrite(&input, &route);
        assert_eq!((rewrite.header().as_str(), rewrite.mode), (header, mode), "{input}");
        let body = String::from_utf8(rewrite.body.unwrap()).unwrap();
        let body = body.replace(r#", "stream": true, "stream_options": {"include_usage": true}"#, "");
        let separator = if upstream.is_empty() { "" } else { ", " };
        assert_eq!(body, format!(r#"{{"model": "m", {messages}{separator}{upstream}}}"#), "{dialect}");
    }
}

/// Rows of members that stand between `model` and `messages`, and what becomes of them.
fn check(dialect: Dialect, rows: &[(&str, &str, &str)]) {
    for (name, members, expected) in rows {
        let body = |members: &str| format!(r#"{{"model":"m",{members}"messages":[{{"role":"tool"}}]}}"#);
        let input = body(members);
        assert_eq!(upstream_body(&input, &plain(dialect)), body(expected), "{dialect}: {name}");
        let changes = rewrite(&input, &plain(dialect)).body.is_some();
        assert_eq!(changes, members != expected, "{dialect}: {name}");
    }
}

#[test]
fn without_a_switch_nothing_comes_and_nothing_goes() {
    let rows = ["", r#""enable_thinking":null,"#, r#""llmgw_thinking":null,"thinking":{"type":"x"},"#]
        .map(|members| ("no switch", members, members));
    for dialect in Dialect::ALL {
        check(dialect, &rows);
        let body = r#"{"model":"m","enable_thinking":null,"messages":[{}]}"#;
        assert_eq!(rewrite(body, &plain(dialect)).thinking, None);
    }
}

#[test]
fn enable_thinking_stays_where_it_stands() {
    check(
        Dialect::EnableThinking,
        &[
            ("right", r#""enable_thinking":true,"#, r#""enable_thinking":true,"#),
            ("the other's name", r#""llmgw_thinking":false,"#, r#""enable_thinking": false,"#),
            ("overruled", r#""enable_thinking":true,"llmgw_thinking":false,"#, r#""enable_thinking":false,"#),
            (
                "overruled before",
                r#""llmgw_thinking":true, "enable_thinking":false,"#,
                r#" "enable_thinking":true,"#,
            ),
            ("agreed", r#""llmgw_thinking":true,"enable_thinking": true,"#, r#""enable_thinking": true,"#),
            ("null", r#""enable_thinking":null,"llmgw_thinking":true,"#, r#""enable_thinking":true,"#),
            (
                "the other null",
                r#""enable_thinking":true,"llmgw_thinking":null,"#,
                r#""enable_thinking":true,"#,
            ),
            ("escaped key", r#""enable\u005fthinking":true,"#, r#""enable\u005fthinking":true,"#),
            (
                "not alone",
                r#""a":1,"llmgw_thinking":true ,"b":2,"#,
                r#""a":1,"enable_thinking": true ,"b":2,"#,
            ),
            (
                "an object of others",
                r#""thinking":{"a":1},"enable_thinking":true,"#,
                r#""thinking":{"a":1},"enable_thinking":true,"#,
            ),
        ],
    );
}

#[test]
fn a_thinking_object_keeps_its_other_members() {
    check(
        Dialect::ThinkingObject,
        &[
            (
                "in place",
                r#""a":1, "enable_thinking":true, "b":2,"#,
                r#""a":1, "thinking": {"type": "enabled"}, "b":2,"#,
            ),
            (
                "of the first",
                r#""llmgw_thinking":false,"a":1,"enable_thinking":true,"#,
                r#""thinking": {"type": "disabled"},"a":1,"#,
            ),
            (
                "of the first, the other way",
                r#""enable_thinking":false,"llmgw_thinking":true,"a":1,"#,
                r#""thinking": {"type": "enabled"},"a":1,"#,
            ),
            (
                "null ones go",
                r#""enable_thinking":null,"llmgw_thinking":true,"#,
                r#""thinking": {"type": "enabled"},"#,
            ),
            (
                "set",
                r#""thinking":{"type":"auto","x":1},"llmgw_thinking":true,"#,
                r#""thinking":{"type":"enabled","x":1},"#,
            ),
            (
                "set from a number",
                r#""thinking":{"type":1},"llmgw_thinking":false,"#,
                r#""thinking":{"type":"disabled"},"#,
            ),
            (
                "right",
                r#""thinking":{"type" : "enabled"},"llmgw_thinking":true,"#,
                r#""thinking":{"type" : "enabled"},"#,
            ),
            (
                "right with an escape",
                r#""thinking":{"type":"enabl\u0065d"},"llmgw_thinking":true,"#,
                r#""thinking":{"type":"enabl\u0065d"},"#,
            ),
            (
                "added",
                r#""thinking":{"clear_thinking":false},"llmgw_thinking":true,"enable_thinking":true,"#,
                r#""thinking":{"clear_thinking":false, "type": "enabled"},"#,
            ),
            (
                "added to nothing",
                r#""enable_thinking":true,"thinking":{ },"#,
                r#""thinking":{"type": "enabled" },"#,
            ),
            ("null", r#""enable_thinking":true,"thinking": null,"#, r#""thinking": {"type": "enabled"},"#),
            (
                "no object",
                r#""thinking":true,"enable_thinking":false,"#,
                r#""thinking":{"type": "disabled"},"#,
            ),
        ],
    );
}

#[test]
fn chat_template_kwargs_keep_their_other_members() {
    check(
        Dialect::ChatTemplateKwargs,
        &[
            (
                "in place",
                r#""enable_thinking":true,"#,
                r#""chat_template_kwargs": {"enable_thinking": true},"#,
            ),
            (
                "set",
                r#""chat_template_kwargs":{"enable_thinking":true,"x":1},"llmgw_thinking":false,"#,
                r#""chat_template_kwargs":{"enable_thinking":false,"x":1},"#,
            ),
            (
                "right",
                r#""chat_template_kwargs":{"enable_thinking": true},"llmgw_thinking":true,"#,
                r#""chat_template_kwargs":{"enable_thinking": true},"#,
            ),
            (
                "added",
                r#""llmgw_thinking":false,"chat_template_kwargs":{"x":{"y":1.0}},"#,
                r#""chat_template_kwargs":{"x":{"y":1.0}, "enable_thinking": false},"#,
            ),
            (
                "no object",
                r#""chat_template_kwargs":[],"llmgw_thinking":false,"#,
                r#""chat_template_kwargs":{"enable_thinking": false},"#,
            ),
        ],
    );
}

#[test]
fn a_native_thinking_object_is_none_of_our_business() {
    check(
        Dialect::Native,
        &[
            ("the boolean goes", r#""enable_thinking":true,"#, ""),
            ("both go", r#""a":1,"enable_thinking":true,"llmgw_thinking":null,"#, r#""a":1,"#),
            (
                "the object stays",
                r#""enable_thinking":false,"thinking":{"type" : "enabled"},"#,
                r#""thinking":{"type" : "enabled"},"#,
            ),
        ],
    );
}

#[test]
fn the_last_user_text_takes_the_directive() {
    const PART: &str = r#"{"type": "text", "text": "/no_think"}"#;
    for (name, messages, expected) in [
        (
            "the last of two",
            r#"{"role":"user","content":"a"},{"role":"user","content":"b"}"#,
            r#"{"role":"user","content":"a"},{"role":"user","content":"b /no_think"}"#.to_owned(),
        ),
        (
            "behind it others",
            r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"tool","content":"c"},{"role":"system","content":"d"}"#,
            r#"{"role":"user","content":"a /no_think"},{"role":"assistant","content":"b"},{"role":"tool","content":"c"},{"role":"system","content":"d"}"#.to_owned(),
        ),
        (
            "content before role, both with escapes",
            r#"{"c\u006fntent" : "a" , "role":"us\u0065r"}"#,
            r#"{"c\u006fntent" : "a /no_think" , "role":"us\u0065r"}"#.to_owned(),
        ),
        (
            "replaced",
            r#"{"role":"user","content":"a\n\/think "}"#,
            r#"{"role":"user","content":"a\n/no_think "}"#.to_owned(),
        ),
        (
            "one without text is passed over",
            r#"{"role":"user","content":"a"},{"role":"user","content":null},{"role":"user"},{"role":"user","content":1}"#,
            r#"{"role":"user","content":"a /no_think"},{"role":"user","content":null},{"role":"user"},{"role":"user","content":1}"#.to_owned(),
        ),
        (
            "the last text part",
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"text":"b","type":"text"},{"type":"image_url"},{"type":"x","text":"c"},{"type":"text","text":5}]}"#,
            r#"{"role":"user","content":[{"type":"text","text":"a"},{"text":"b /no_think","type":"text"},{"type":"image_url"},{"type":"x","text":"c"},{"type":"text","text":5}]}"#.to_owned(),
        ),
        (
            "only images",
            r#"{"role":"user","content":[ {"type":"image_url","image_url":{"url":"u"}} ]}"#,
            format!(r#"{{"role":"user","content":[ {{"type":"image_url","image_url":{{"url":"u"}}}}, {PART} ]}}"#),
        ),
        ("no part", r#"{"role":"user","content":[ ]}"#, format!(r#"{{"role":"user","content":[{PART} ]}}"#)),
        (
            "no user",
            r#"{"role":"system","content":"a"},{"role":"system","content":"b"},{"role":"assistant","content":"c"}"#,
            r#"{"role":"system","content":"a"},{"role":"system","content":"b /no_think"},{"role":"assistant","content":"c"}"#.to_owned(),
        ),
        (
            "no user, a developer",
            r#"{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":""}]}"#,
            r#"{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"/no_think"}]}"#.to_owned(),
        ),
        (
            "a user without text",
            r#"{"role":"system","content":"a"},{"role":"user","content":null}"#,
            r#"{"role":"system","content":"a /no_think"},{"role":"user","content":null}"#.to_owned(),
        ),
    ] {
        let input = format!(r#"{{"model":"m","messages":[{messages}],"llmgw_thinking":false}}"#);
        let outcome = rewrite(&input, &plain(Dialect::Directive)).thinking.unwrap();
        assert_eq!(outcome, ThinkingOutcome { asked: false, sent: ThinkingSent::Dialect(Dialect::Directive) });
        let expected = format!(r#"{{"model":"m","messages":[{expected}]}}"#);
        assert_eq!(upstream_body(&input, &plain(Dialect::Directive)), expected, "{name}");
    }
}

#[test]
fn a_directive_without_a_place_is_ignored() {
    for messages in [
        r"{}",
        r#"{"role":"assistant","content":"a"},{"role":"tool","content":"b"}"#,
        r#"{"role":"user","content":{"type":"text","text":"a"}},{"role":1,"content":"b"},{"content":"c"}"#,
    ] {
        let input = format!(r#"{{"model":"m","messages":[{messages}],"enable_thinking":true}}"#);
        assert_eq!(rewrite(&input, &plain(Dialect::Directive)).header(), "on; ignored");
        let expected = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
        assert_eq!(upstream_body(&input, &plain(Dialect::Directive)), expected);
    }
}

/// Fields that say "do not think" without a boolean, and those that do not.
const OFF: [&str; 6] = [
    r#""reasoning_effort":"none","#,
    r#""reasoning_effort":"n\u006fne","#,
    r#""reasoning":{"effort":"none"},"#,
    r#""reasoning":{"enabled":false,"exclude":true},"#,
    r#""reasoning":{"enabled":true,"effort":"none"},"#,
    r#""reasoning":{"max_tokens":1,"\u0065nabled":false},"#,
];
const NO_WORD: [&str; 12] = [
    r#""reasoning_effort":"high","#,
    r#""reasoning_effort":"minimal","#,
    r#""reasoning_effort":"None","#,
    r#""reasoning_effort":null,"#,
    r#""reasoning":null,"#,
    r#""reasoning":false,"#,
    r#""reasoning":{},"#,
    r#""reasoning":{"enabled":true},"#,
    r#""reasoning":{"effort":"high","exclude":true},"#,
    r#""reasoning":{"effort":null,"enabled":null},"#,
    r#""reasoning":{"enabled":"false","effort":0},"#,
    r#""x":{"reasoning_effort":"none"},"#,
];

#[test]
fn no_effort_is_the_switch_where_there_is_one() {
    for (dialect, sent) in [
        (Dialect::EnableThinking, r#""enable_thinking": false,"#),
        (Dialect::ThinkingObject, r#""thinking": {"type": "disabled"},"#),
        (Dialect::ChatTemplateKwargs, r#""chat_template_kwargs": {"enable_thinking": false},"#),
        // No message takes it.
        (Dialect::Directive, ""),
    ] {
        check(dialect, &OFF.map(|off| ("off", off, sent)));
        check(dialect, &NO_WORD.map(|members| ("no word", members, members)));
    }
    let all = [&OFF[..], &NO_WORD[..]].concat();
    check(Dialect::Native, &all.iter().map(|members| ("native", *members, *members)).collect::<Vec<_>>());
}

#[test]
fn no_effort_beside_other_switches() {
    check(
        Dialect::EnableThinking,
        &[
            (
                "the boolean wins",
                r#""enable_thinking":true,"reasoning_effort":"none","#,
                r#""enable_thinking":true,"#,
            ),
            (
                "the gateway's own as well",
                r#""reasoning":{"effort":"none"},"a":1,"llmgw_thinking":true,"#,
                r#""enable_thinking": true,"a":1,"#,
            ),
            (
                "null is no word",
                r#""enable_thinking":null,"reasoning_effort":"none","#,
                r#""enable_thinking":false,"#,
            ),
            (
                "one that says no, one that says how much",
                r#""reasoning_effort":"high","reasoning":{"enabled":false},"#,
                r#""reasoning_effort":"high","enable_thinking": false,"#,
            ),
            (
                "both",
                r#""reasoning":{"enabled":false},"a":1,"reasoning_effort":"none","#,
                r#""enable_thinking": false,"a":1,"#,
            ),
        ],
    );
    check(
        Dialect::ThinkingObject,
        &[(
            "an object of the client's",
            r#""thinking":{"type":"enabled","x":1},"reasoning_effort":"none","#,
            r#""thinking":{"type":"disabled","x":1},"#,
        )],
    );
    check(
        Dialect::Native,
        &[(
            "only the boolean goes",
            r#""enable_thinking":true,"reasoning_effort":"none","reasoning":{"enabled":false},"#,
            r#""reasoning_effort":"none","reasoning":{"enabled":false},"#,
        )],
    );
}

#[test]
fn no_effort_shows_as_off() {
    let body =
        |members: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{members}}}"#);
    for (members, field, thinking) in [
        (r#""reasoning_effort":"none""#, Some("reasoning_effort"), Some(false)),
        (r#""reasoning":{"enabled":false}"#, Some("reasoning"), Some(false)),
        (r#""reasoning":{"enabled":false},"enable_thinking":true"#, Some("enable_thinking"), Some(true)),
        (r#""reasoning_effort":"low""#, None, None),
    ] {
        let request = ChatRequest::scan(body(members).as_bytes()).unwrap();
        assert_eq!((request.thinking_field(), request.thinking()), (field, thinking), "{members}");
    }
    let off = body(r#""reasoning_effort":"none""#);
    for (dialect, header) in
        [(Dialect::EnableThinking, "off; enable_thinking"), (Dialect::Directive, "off; directive")]
    {
        assert_eq!(rewrite(&off, &plain(dialect)).header(), header);
    }
    assert_eq!(rewrite(&off, &plain(Dialect::Native)).thinking, None);
    let auto = Route { upstream_stream: UpstreamStream::Auto, ..plain(Dialect::EnableThinking) };
    assert_eq!(rewrite(&off, &auto).mode, AnswerMode::Plain);
    let always = ThinkingModes { on: true, off: false };
    let lacking = Route { thinking_modes: always, ..plain(Dialect::EnableThinking) };
    assert_eq!(rewrite(&off, &lacking).header(), "off; ignored");
    assert_eq!(upstream_body(&off, &lacking), off.replace(r#","reasoning_effort":"none""#, ""));
}
