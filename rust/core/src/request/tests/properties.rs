//! What holds for every body, valid or not.

use llmgw_oracles::raw::Members;
use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::error::RequestErrorCode;
use super::refused::Refused;
use super::*;

fn read(body: &[u8]) -> Members {
    serde_json::from_slice(body).unwrap()
}

/// White space as it may stand between tokens.
fn space() -> impl Strategy<Value = String> {
    "[ \n\r\t]{0,2}"
}

/// A JSON value in an odd spelling.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        text(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..3), space())
                .prop_map(|(items, space)| format!("[{space}{}]", items.join(&format!("{space},")))),
            prop::collection::vec((text(), space(), inner), 0..3).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, space, value)| format!("{key}{space}:{value}")).collect();
                format!("{{{}}}", members.join(" , "))
            }),
        ]
    })
}

/// A JSON string with escapes, quotes and all.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z /]{1,4}",
        Just("/think".to_owned()),
        Just("\\/no_think".to_owned()),
        Just("\\u002fthink".to_owned()),
        Just("\\\\".to_owned()),
        Just("\\n".to_owned()),
        Just("\\ud83d".to_owned()),
        Just("你\u{2028}".to_owned()),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn message() -> impl Strategy<Value = String> {
    let role = prop::sample::select(vec!["user", "assistant", "system", "tool", "developer"]);
    let part = prop_oneof![
        text().prop_map(|text| format!(r#"{{"type":"text","text":{text}}}"#)),
        Just(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}"#.to_owned()),
    ];
    let content = prop_oneof![
        text(),
        Just("null".to_owned()),
        prop::collection::vec(part, 0..3).prop_map(|parts| format!("[{}]", parts.join(",")))
    ];
    let more = prop::sample::select(vec![
        "",
        r#","refusal":null"#,
        r#", "tool_calls" : null ,"n\u0061me":null"#,
        r#","reasoning_content":null,"x":{"y":null}"#,
    ]);
    (role, content, space(), more).prop_map(|(role, content, space, more)| {
        format!(r#"{{{space}"role":"{role}","content":{space}{content}{more}}}"#)
    })
}

/// Members of a body, in any order: the required ones, the ones that a rewrite may touch, and others. A calm body has
/// no thinking switch and no stream, or null ones.
fn members(calm: bool) -> impl Strategy<Value = Vec<(String, String)>> {
    let optional = |name: &'static str, values: &[&'static str]| {
        let member =
            prop::sample::select(values.to_vec()).prop_map(move |value| (name.to_owned(), value.to_owned()));
        prop::option::of(member)
    };
    let (stream, switch): (&[_], &[_]) = if calm {
        (&["false", "null"], &["null"])
    } else {
        (&["true", "false", "null"], &["true", "false", "null"])
    };
    let (effort, reasoning): (&[_], _) = if calm {
        (&["null", r#""minimal""#], "{}")
    } else {
        (&[r#""minimal""#, r#""no\u006ee""#, r#""none""#], r#"{"enabled" : false}"#)
    };
    let touched = vec![
        optional("stream", stream),
        optional("enable_thinking", switch),
        optional("llmgw_thinking", switch),
        optional("stream_options", &["null", "{}", r#"{"include_usage":true}"#, r#"{ "x":[] }"#]),
        optional("thinking", &["null", "1", "{ }", r#"{"type":"enabled"}"#, r#"{"keep": "all" }"#]),
        optional("chat_template_kwargs", &["[]", "{}", r#"{"enable_thinking":false,"y":1.0}"#]),
        optional("seed", &["null", "-0", "123456789012345678901234567890"]),
        optional("max_tokens", &["null", "7"]),
        optional("max_completion_tokens", &["null", "5.0e0"]),
        optional("reasoning_effort", effort),
        optional("reasoning", &["null", "true", r#"{"effort":"high","enabled":true}"#, reasoning]),
    ];
    let others =
        prop::collection::vec((prop::sample::select(vec!["x", "y", "metadata", "user"]), value()), 0..4)
            .prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
            });
    let messages =
        prop::collection::vec(message(), 1..4).prop_map(|messages| format!("[{}]", messages.join(" ,")));
    (touched, others, messages)
        .prop_map(|(touched, others, messages)| {
            let required =
                [("model".to_owned(), r#""caf\u00e9""#.to_owned()), ("messages".to_owned(), messages)];
            required.into_iter().chain(touched.into_iter().flatten()).chain(others).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

const CALM: bool = true;

/// A body of these members with white space between all tokens.
fn body(calm: bool) -> impl Strategy<Value = String> {
    (members(calm), space(), space()).prop_map(|(members, before, behind)| {
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("\"{name}\"{before}:{behind}{value}")).collect();
        format!("{before}{{{behind}{}{before}}}{behind}", members.join(&format!("{before},{behind}")))
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    let streams = vec![UpstreamStream::Auto, UpstreamStream::Always, UpstreamStream::Never];
    (
        prop::sample::select(vec!["café", "other \"model\""]),
        prop::sample::select(Dialect::ALL.to_vec()),
        prop::sample::select(streams),
        prop::sample::subsequence(vec!["seed", "x", "user", "stream_options", "thinking"], 0..=3),
        prop::sample::subsequence(Refused::ALL.to_vec(), 0..=Refused::ALL.len()),
    )
        .prop_map(|(model, dialect, upstream_stream, drop, refuses)| Route {
            upstream_model: model.to_owned(),
            dialect,
            thinking_modes: ThinkingModes::BOTH,
            refuses: refuses.into_iter().collect(),
            restore_reasoning: false,
            upstream_stream,
            drop: drop.into_iter().map(str::to_owned).collect(),
        })
}

/// Whether `part` comes out of `whole` by leaving bytes out.
fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|other| other == byte))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn serde_json_agrees_on_what_is_json(value in prop_oneof![
        value(),
        "[\\[\\]{}:,\"\\\\a0-9eE.u+ \n-]{0,12}",
        (value(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(value, index, character)| {
            let mut characters: Vec<char> = value.chars().collect();
            let at = index.index(characters.len());
            characters[at] = character;
            characters.into_iter().collect()
        }),
    ]) {
        let body = format!(r#"{{"model":"m","messages":[{{}}],"x":{value}}}"#);
        let reference = serde_json::from_str::<IgnoredAny>(&body).is_ok();
        let scanned = ChatRequest::scan(body.as_bytes());
        if let Err(error) = &scanned
            && error.code == RequestErrorCode::DuplicateField
        {
            // `1,"model":1` has closed `x`: JSON, and yet to be refused.
            prop_assert!(reference);
        } else {
            prop_assert_eq!(scanned.is_ok(), reference, "{}", body);
        }
    }

    #[test]
    fn a_body_without_switch_and_stream_comes_out_identical(body in body(CALM), dialect in prop::sample::select(Dialect::ALL.to_vec())) {
        let route = Route { upstream_model: "café".to_owned(), ..plain(dialect) };
        prop_assert_eq!(rewrite(&body, &route), Rewritten { body: None, thinking: None, mode: AnswerMode::Plain, restored: 0 });

        let renamed = Route { upstream_model: "other".to_owned(), ..plain(dialect) };
        prop_assert_eq!(upstream_body(&body, &renamed), body.replacen(r#""caf\u00e9""#, r#""other""#, 1));
    }

    #[test]
    fn untouched_bytes_stay_untouched(body in body(!CALM), route in any_route()) {
        let request = ChatRequest::scan(body.as_bytes()).unwrap();
        let Rewritten { body: output, thinking, mode, .. } = Rewritten::of(&request, body.as_bytes(), &route, &[]);
        prop_assert_ne!(output.as_deref(), Some(body.as_bytes()), "an edit that changes nothing");
        let output = output.unwrap_or_else(|| body.clone().into_bytes());
        let (before, after) = (read(body.as_bytes()), read(&output));

        // What the rewrite may touch at all; every other member is there, verbatim and in order.
        let mut touched = vec!["model"];
        if route.refuses != Refuses::NOTHING {
            touched.extend(["messages", "max_tokens", "max_completion_tokens", "reasoning_effort"]);
        }
        touched.extend(route.drop.iter().map(String::as_str));
        if thinking.is_some() {
            touched.extend(["enable_thinking", "llmgw_thinking", "thinking", "chat_template_kwargs"]);
            touched.extend(["reasoning_effort", "reasoning"]);
        }
        if mode != AnswerMode::Plain {
            touched.extend(["stream", "stream_options"]);
        }
        if matches!(thinking, Some(ThinkingOutcome { sent: ThinkingSent::Dialect(Dialect::Directive), .. })) {
            touched.push("messages");
        }
        prop_assert_eq!(before.others(&touched), after.others(&touched));

        // Every kept value of an object that got another member is there as well, byte for byte.
        for name in ["stream_options", "thinking", "chat_template_kwargs"] {
            let (Some(before), Some(after)) = (before.first(name), after.first(name)) else { continue };
            if let (true, Ok(before), Ok(after)) =
                (before.starts_with('{'), serde_json::from_str::<Members>(before), serde_json::from_str::<Members>(after))
            {
                let set = ["include_usage", "type", "enable_thinking"];
                prop_assert_eq!(before.others(&set), after.others(&set));
            }
        }

        // What the upstream must and must not see.
        prop_assert_eq!(serde_json::from_str::<String>(after.first("model").unwrap()).unwrap(), route.upstream_model.clone());
        if mode != AnswerMode::Plain {
            prop_assert_eq!(after.first("stream"), Some("true"));
            let options: serde_json::Value = serde_json::from_str(after.first("stream_options").unwrap()).unwrap();
            prop_assert_eq!(&options["include_usage"], &serde_json::Value::Bool(true));
        }
        if let Some(outcome) = thinking {
            let own = matches!(outcome.sent, ThinkingSent::Dialect(Dialect::EnableThinking));
            let expected = own.then(|| outcome.asked.to_string());
            prop_assert_eq!(after.first("llmgw_thinking"), None);
            prop_assert_eq!(after.first("enable_thinking"), expected.as_deref());
        }

        // The rewrite has nothing to add to its own work.
        let again = ChatRequest::scan(&output).unwrap();
        if thinking.is_none_or(|outcome| outcome.sent != ThinkingSent::Dialect(Dialect::EnableThinking)) {
            let settled = Route { upstream_stream: UpstreamStream::Never, drop: Vec::new(), ..route };
            prop_assert_eq!(Rewritten::of(&again, &output, &settled, &[]).body, None);
        }
    }

    #[test]
    fn the_fuzzers_oracle_holds(body in body(!CALM)) {
        llmgw_oracles::rewrite(body.as_bytes());
        llmgw_oracles::request(body.as_bytes());
    }

    #[test]
    fn the_directive_is_all_that_changes_in_messages(body in body(!CALM), on: bool) {
        // The switch of this test stands first, another one would be a duplicate.
        let mut body = body.replace("llmgw_thinking", "unrelated");
        let brace = body.find('{').unwrap();
        body.insert_str(brace + 1, &format!(r#""llmgw_thinking":{on},"#));
        let output = upstream_body(&body, &Route { upstream_model: "café".to_owned(), ..plain(Dialect::Directive) });
        let (before, after) = (read(body.as_bytes()), read(output.as_bytes()));
        let (before, after) = (before.first("messages").unwrap(), after.first("messages").unwrap());
        let (wanted, other) = if on { ("/think", "/no_think") } else { ("/no_think", "/think") };

        // One span differs: what goes is the other directive or nothing, what comes holds the wanted one.
        let start = before.bytes().zip(after.bytes()).take_while(|(one, two)| one == two).count();
        let rest = before.len().min(after.len()) - start;
        let end = before.bytes().rev().zip(after.bytes().rev()).take(rest).take_while(|(one, two)| one == two).count();
        let gone = &before.as_bytes()[start..before.len() - end];
        let spelled_out = [other.to_owned(), other.replacen('/', "\\/", 1), other.replacen('/', "\\u002f", 1)];
        prop_assert!(spelled_out.iter().any(|spelling| is_subsequence(gone, spelling.as_bytes())), "{} => {}", before, after);
        if before != after {
            prop_assert!(after.contains(wanted));
        }
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), body in body(!CALM), at in any::<prop::sample::Index>()) {
        let route = plain(Dialect::Directive);
        let mut spoilt = body.clone().into_bytes();
        let position = at.index(spoilt.len());
        spoilt.splice(position..=position, bytes.iter().copied());
        for hostile in [&bytes[..], &spoilt[..]] {
            if let Ok(request) = ChatRequest::scan(hostile) {
                let _ = Rewritten::of(&request, hostile, &route, &[]);
            }
        }
    }
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let body = r#"{"model":"caf\u00e9","messages":[{"role":"user","content":[{"type":"text","text":"你\n"},{"type":
        "image_url"}]}],"stream":true,"stream_options":{"include_usage":true},"stop":["a"],"x":-1.5e3,"z":null}"#;
    assert!(ChatRequest::scan(body.as_bytes()).is_ok());
    for cut in 0..body.len() {
        let error = ChatRequest::scan(&body.as_bytes()[..cut]).unwrap_err();
        assert_eq!(error.code, RequestErrorCode::InvalidJson, "cut at {cut}");
        assert!(error.offset <= cut, "cut at {cut}");
    }
}
