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
    check_calls(
        "a name that comes later",
        &[
            r#"{"index":0,"id":"a","type":"function","function":{"name":"","arguments":""}}"#,
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
        ],
        &[
            r#"{"index":0,"id":"a","type":"function","function":{"arguments":""}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
        ],
    );
    check_calls(
        "no function",
        &[r#"{"index":0,"id":"a","type":"function"}"#, r#"{"index":0,"function":null}"#],
        &[r#"{"index":0,"id":"a","type":"function","function":{"arguments":""}}"#, r#"{"index":0}"#],
    );
}
