//! Tool calls: an upstream's deltas ⇒ OpenAI's.

use super::*;

/// Tool-call deltas ⇒ tool-call deltas.
fn check_calls(name: &str, input: &[&str], expected: &[&str]) {
    let frames = |entries: &[&str]| {
        let deltas = entries.iter().map(|entries| delta(&format!(r#"{{"tool_calls":[{entries}]}}"#)));
        std::iter::once(delta(r#"{"role":"assistant"}"#)).chain(deltas).collect::<Vec<_>>()
    };
    check(name, &frames(input), &frames(expected));
}

#[test]
fn tool_calls() {
    let a = r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#;
    let a_more = r#"{"index":0,"function":{"arguments":"{}"}}"#;
    let b = r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}"#;
    check_calls("as OpenAI does", &[a, a_more, b], &[a, a_more, b]);
    check_calls("in one piece", &[b], &[&b.replace("\"index\":1", "\"index\":0")]);
    check_calls("not from 0, with gaps", &[&a.replace(":0", ":3"), &b.replace(":1", ":7")], &[a, b]);
    check_calls(
        "no index",
        &[&a.replace("\"index\":0,", ""), &b.replace("\"index\":1,", "")],
        &[
            r#"{"id":"a","type":"function","function":{"name":"f","arguments":""},"index":0}"#,
            r#"{"id":"b","type":"function","function":{"name":"g","arguments":"{}"},"index":1}"#,
        ],
    );
    check_calls(
        "no index, in pieces",
        &[
            r#"{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}"#,
            r#"{"function":{"arguments":"}"}}"#,
        ],
        &[
            r#"{"id":"a","type":"function","function":{"name":"f","arguments":"{"},"index":0}"#,
            r#"{"function":{"arguments":"}"},"index":0}"#,
        ],
    );
    check_calls("one index for two ids", &[a, &b.replace(":1", ":0")], &[a, b]);
    check_calls("twice in one delta", &[&format!("{a},{}", b.replace(":1", ":0"))], &[&format!("{a},{b}")]);
    check_calls(
        "id and name again, and empty",
        &[
            a,
            r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}"#,
            r#"{"index":0,"id":"","type":null,"function":{"name":"","arguments":"}"}}"#,
        ],
        &[a, r#"{"index":0,"function":{"arguments":"{"}}"#, r#"{"index":0,"function":{"arguments":"}"}}"#],
    );
    check_calls(
        "ids that change under one index",
        &[a, r#"{"index":0,"id":"z","function":{"arguments":"{}"}}"#],
        &[a, a_more],
    );
    check_calls(
        "arguments null, absent, an object",
        &[
            r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":null}}"#,
            r#"{"index":0,"function":{}}"#,
            r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":{"x": "é\n"}}}"#,
        ],
        &[
            a,
            r#"{"index":0,"function":{"arguments":""}}"#,
            r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{\"x\": \"é\\n\"}"}}"#,
        ],
    );
    check_calls(
        "no id, no type",
        &[
            r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":1,"id":null,"function":{"name":"g","arguments":"{}"}}"#,
        ],
        &[
            r#"{"index":0,"function":{"name":"f","arguments":"{}"},"id":"call_req_0_0","type":"function"}"#,
            r#"{"index":1,"id":"call_req_0_1","function":{"name":"g","arguments":"{}"},"type":"function"}"#,
        ],
    );
    check_calls(
        "no id, one index, two names",
        &[
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{}"}}"#,
            r#"{"index":0,"type":"function","function":{"name":"g","arguments":"{}"}}"#,
        ],
        &[
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{}"},"id":"call_req_0_0"}"#,
            r#"{"index":1,"type":"function","function":{"name":"g","arguments":"{}"},"id":"call_req_0_1"}"#,
        ],
    );
}

#[test]
fn calls_without_an_id() {
    check_calls(
        "the name again with each piece, no id",
        &[
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{\"a\":"}}"#,
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":"\"}\"}"}}"#,
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":""}}"#,
        ],
        &[
            r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{\"a\":"},"id":"call_req_0_0"}"#,
            r#"{"index":0,"function":{"arguments":"\"}\"}"}}"#,
            r#"{"index":0,"function":{"arguments":""}}"#,
        ],
    );
    let whole = r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{}"}}"#;
    let whole_first =
        r#"{"index":0,"type":"function","function":{"name":"f","arguments":"{}"},"id":"call_req_0_0"}"#;
    let whole_second =
        r#"{"index":1,"type":"function","function":{"name":"f","arguments":"{}"},"id":"call_req_0_1"}"#;
    check_calls("whole, one index, one name, no id", &[whole, whole], &[whole_first, whole_second]);
    check_calls(
        "the same in one delta",
        &[&format!("{whole},{whole}")],
        &[&format!("{whole_first},{whole_second}")],
    );
    let empty = |call: &str| call.replace("{}", "");
    check_calls(
        "in one delta, without arguments",
        &[&format!("{0},{0}", empty(whole))],
        &[&format!("{},{}", empty(whole_first), empty(whole_second))],
    );
    check_calls(
        "no index either, the name with each piece",
        &[
            r#"{"type":"function","function":{"name":"f","arguments":"{"}}"#,
            r#"{"type":"function","function":{"name":"f","arguments":"}"}}"#,
            r#"{"type":"function","function":{"name":"f","arguments":"{}"}}"#,
        ],
        &[
            r#"{"type":"function","function":{"name":"f","arguments":"{"},"index":0,"id":"call_req_0_0"}"#,
            r#"{"function":{"arguments":"}"},"index":0}"#,
            r#"{"type":"function","function":{"name":"f","arguments":"{}"},"index":1,"id":"call_req_0_1"}"#,
        ],
    );
}

/// What comes out of these frames in front of the finish, whose reason is given.
fn check_ending(name: &str, input: &[String], expected: &[String], (reason, comes_out): (&str, &str)) {
    let ending = |reason: &str| frame(&FINISH.replace("stop", reason)) + DONE;
    let (output, _) = run_every_way(&[input.concat(), ending(reason)].concat(), false);
    assert_eq!(output, [expected.concat(), ending(comes_out)].concat(), "{name}");
}

#[test]
fn a_call_waits_for_its_name() {
    let role = || delta(r#"{"role":"assistant"}"#);
    let calls = |entries: &str| delta(&format!(r#"{{"tool_calls":[{entries}]}}"#));
    let late = || calls(r#"{"index":0,"id":"a","type":"function","function":{"arguments":"{\"c\":"}}"#);
    let name = || calls(r#"{"index":0,"function":{"name":"f","arguments":"1}"}}"#);
    let whole = |rest: &str| {
        calls(&format!(r#"{{"index":0,"function":{{"name":"f","arguments":"{{\"c\":1}}"}},{rest}}}"#))
    };
    check("late", &[role(), late(), name()], &[role(), whole(r#""id":"a","type":"function""#)]);
    check(
        "late, with the role",
        &[late().replace("{\"tool_calls\"", "{\"role\":\"assistant\",\"tool_calls\""), name()],
        &[role(), whole(r#""id":"a","type":"function""#)],
    );
    check(
        "an id that comes with the name",
        &[role(), calls(r#"{"index":0}"#), calls(r#"{"index":0,"id":"b","function":{"name":"f"}}"#)],
        &[role(), calls(r#"{"index":0,"id":"b","function":{"name":"f","arguments":""},"type":"function"}"#)],
    );
    check(
        "members without a rule, and another type",
        &[
            role(),
            calls(r#"{"index":0,"type":"builtin_function","x":{"y":1},"z":2,"function":{"name":null}}"#),
            calls(r#"{"index":0,"z":3,"function":{"name":"f","arguments":{}}}"#),
        ],
        &[
            role(),
            calls(
                r#"{"index":0,"z":3,"function":{"name":"f","arguments":"{}"},"id":"call_req_0_0","type":"builtin_function","x":{"y":1}}"#,
            ),
        ],
    );
    check(
        "another call comes first",
        &[
            role(),
            calls(
                r#"{"index":0,"id":"a","function":{"arguments":"{"}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}"#,
            ),
            name(),
        ],
        &[
            role(),
            calls(r#"{"index":0,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}"#),
            calls(r#"{"index":1,"function":{"name":"f","arguments":"{1}"},"id":"a","type":"function"}"#),
        ],
    );
    check(
        "a placeholder, then a call with an id of its own",
        &[
            role(),
            calls(r#"{"index":0,"id":"a","type":"function","function":{"name":"","arguments":""}}"#),
            calls(r#"{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}"#),
        ],
        &[
            role(),
            calls(r#"{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}"#),
        ],
    );
    let never = || calls(r#"{"index":0,"id":"a","type":"function","function":{"name":"","arguments":""}}"#);
    let text = || delta(r#"{"content":"a"}"#);
    let rows = [("stop", "stop"), ("tool_calls", "stop"), ("tool_use", "stop"), ("length", "length")];
    for reason in rows {
        check_ending("never", &[role(), never(), text()], &[role(), text()], reason);
    }
    check_ending(
        "one of two never",
        &[
            role(),
            never(),
            calls(r#"{"index":1,"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}"#),
        ],
        &[
            role(),
            calls(r#"{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}"#),
        ],
        ("tool_calls", "tool_calls"),
    );
}

#[test]
fn custom_calls() {
    let first = r#"{"index":0,"id":"a","type":"custom","custom":{"name":"run","input":""}}"#;
    let piece = r#"{"index":0,"custom":{"input":"1+1"}}"#;
    check_calls("as OpenAI does", &[first, piece], &[first, piece]);
    check_calls(
        "what OpenAI says once comes again",
        &[first, r#"{"index":0,"id":"a","type":"custom","custom":{"name":"run","input":"1"}}"#],
        &[first, r#"{"index":0,"custom":{"input":"1"}}"#],
    );
    check_calls(
        "no type, no input, an empty function beside it",
        &[r#"{"index":0,"id":"a","function":{"name":"","arguments":""},"custom":{"name":"run"}}"#],
        &[r#"{"index":0,"id":"a","custom":{"name":"run","input":""},"type":"custom"}"#],
    );
    check_calls(
        "a function that calls itself custom",
        &[r#"{"index":0,"id":"a","type":"custom","function":{"name":"f","arguments":"{}"},"custom":null}"#],
        &[r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}"#],
    );
    check_calls(
        "the name late",
        &[
            r#"{"index":0,"id":"a","type":"custom","custom":{"input":"1"}}"#,
            r#"{"index":0,"custom":{"name":"run","input":"+1"}}"#,
        ],
        &[r#"{"index":0,"custom":{"name":"run","input":"1+1"},"id":"a","type":"custom"}"#],
    );
    check_calls(
        "a piece that calls itself a function",
        &[first, r#"{"index":0,"function":{"arguments":"1"}}"#],
        &[first, r#"{"index":0,"custom":{"input":"1"}}"#],
    );
    let foreign = r#"{"index":0,"id":"a","type":"mcp","mcp":{"name":"x"}}"#;
    check_calls("another kind of call", &[foreign], &[foreign]);
}
