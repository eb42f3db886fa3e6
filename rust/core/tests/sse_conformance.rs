//! The cases about parsing in the web platform tests' suite for `EventSource`
//! (<https://github.com/web-platform-tests/wpt/tree/master/eventsource>, 3-Clause BSD): its inputs, in rows of our own.
//!
//! Each row bears the name of its file there. The suite's server puts two line feeds behind most messages; here they
//! are written out. What concerns connections, requests and the browser's API is not a parser's.

#![allow(clippy::unwrap_used, missing_docs)]

use llmgw_core::sse::{Item, Parser, SseLimits};

/// Type, data and id of each event, and the reconnection time. An event of type `message` has an empty type here.
type Heard = (Vec<(String, String, String)>, Option<u64>);

fn heard(pieces: &[&[u8]]) -> Heard {
    let mut parser = Parser::new(SseLimits::default());
    let mut events = Vec::new();
    for piece in pieces {
        let mut reader = parser.read(piece);
        while let Some(item) = reader.next().unwrap() {
            if let Item::Event(event) = item {
                let texts = [event.event_type, event.data, event.last_event_id]
                    .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                let [event_type, data, last_event_id] = texts;
                events.push((event_type, data, last_event_id));
            }
        }
    }
    (events, parser.retry_ms())
}

struct Row {
    file: &'static str,
    input: String,
    events: Vec<(&'static str, &'static str, &'static str)>,
    retry_ms: Option<u64>,
}

fn row(
    file: &'static str,
    input: impl Into<String>,
    events: &[(&'static str, &'static str, &'static str)],
) -> Row {
    Row { file, input: input.into(), events: events.to_vec(), retry_ms: None }
}

fn data(data: &'static str) -> (&'static str, &'static str, &'static str) {
    ("", data, "")
}

fn rows() -> Vec<Row> {
    let long = "x".repeat(2048);
    let comments = format!("data:1\r:\0\n:\r\ndata:2\n:{long}\rdata:3\n:data:fail\r:{long}\ndata:4\n\n");
    let with_retry = |row: Row, retry_ms| Row { retry_ms: Some(retry_ms), ..row };
    vec![
        row(
            "event-data",
            "data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
            &[data("msg\nmsg"), data(""), data("end")],
        ),
        row("format-bom", "\u{feff}data:1\n\n\u{feff}data:2\n\ndata:3\n\n", &[data("1"), data("3")]),
        row("format-bom-2", "\u{feff}\u{feff}data:1\n\ndata:2\n\ndata:3\n\n", &[data("2"), data("3")]),
        row("format-comments", comments, &[data("1\n2\n3\n4")]),
        with_retry(
            row(
                "format-data-before-final-empty-line",
                "retry:1000\ndata:test1\n\nid:test\ndata:test2",
                &[data("test1")],
            ),
            1000,
        ),
        row(
            "format-field-data",
            "data:\n\ndata\ndata\n\ndata:test\n\n",
            &[data(""), data("\n"), data("test")],
        ),
        row("format-field-event-empty", "event: \ndata:data\n\n", &[data("data")]),
        row("format-field-event", "event:test\ndata:x\n\ndata:x\n\n", &[("test", "x", ""), data("x")]),
        row("format-field-id", "id:…\ndata:hello\n\n", &[("", "hello", "…")]),
        row(
            "format-field-id-2",
            "id:…\ndata:hello\n\ndata:…\n\ndata:…\n\n",
            &[("", "hello", "…"), ("", "…", "…"), ("", "…", "…")],
        ),
        row(
            "format-field-id-3 (persists)",
            "id: 1\ndata: 1\n\ndata: 2\n\n",
            &[("", "1", "1"), ("", "2", "1")],
        ),
        row(
            "format-field-id-3 (changes and persists)",
            "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\ndata: 3\n\n",
            &[("", "1", "1"), ("", "2", "2"), ("", "3", "2")],
        ),
        row(
            "format-field-id-3 (resets)",
            "id: 1\ndata: 1\n\nid: \ndata: 2\n\ndata: 3\n\n",
            &[("", "1", "1"), data("2"), data("3")],
        ),
        row(
            "format-field-id-3 (resets, no colon)",
            "id: 1\ndata: 1\n\nid\ndata: 2\n\n",
            &[("", "1", "1"), data("2")],
        ),
        // The file there has the older rule, by which the id was taken; the specification now ignores it.
        row("format-field-id-null", "id:\0\0\ndata:hello\n\n", &[data("hello")]),
        row(
            "format-field-parsing",
            "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
            &[data("\0\n 2\n1\n3\n\n4")],
        ),
        with_retry(row("format-field-retry", "retry:02000\ndata:x\n\n", &[data("x")]), 2000),
        with_retry(
            row("format-field-retry-bogus", "retry:2000\nretry:1000x\ndata:x\n\n", &[data("x")]),
            2000,
        ),
        row("format-field-retry-empty", "retry\ndata:test\n\n", &[data("test")]),
        with_retry(
            row("format-field-retry-empty (after one)", "retry:7\nretry\ndata:test\n\n", &[data("test")]),
            7,
        ),
        row(
            "format-field-unknown",
            "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
            &[data("test\n\ntest")],
        ),
        row("format-leading-space", "data:\ttest\rdata: \ndata:test\n\n", &[data("\ttest\n\ntest")]),
        row("format-newlines", "data:test\r\ndata\ndata:test\r\n\r", &[data("test\n\ntest")]),
        row("format-null-character", "data:\0\n\n\n\n", &[data("\0")]),
        row("format-utf-8", "data:ok…\n\n", &[data("ok…")]),
    ]
}

#[test]
fn every_case_is_heard_as_the_suite_expects_however_it_is_cut() {
    for Row { file, input, events, retry_ms } in rows() {
        let text = |&(event_type, data, id): &(&str, &str, &str)| {
            (event_type.to_owned(), data.to_owned(), id.to_owned())
        };
        let expected: Heard = (events.iter().map(text).collect(), retry_ms);
        let input = input.as_bytes();
        assert_eq!(heard(&[input]), expected, "{file}");
        for cut in 0..=input.len() {
            assert_eq!(heard(&[&input[..cut], &input[cut..]]), expected, "{file}, cut at {cut}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(heard(&bytes), expected, "{file}, byte by byte");
    }
}
