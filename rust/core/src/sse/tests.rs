//! Rows of streams ⇒ items, each cut at every byte, and the property that any cut gives the same.

use proptest::prelude::*;

use super::*;

/// An item with its own bytes, so that runs can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Event { data: String, event_type: String, id: String, canonical: bool },
    Unknown(String, String),
    Unterminated(Box<Owned>),
    Error(SseError),
}

fn owned(item: &Item<'_>) -> Owned {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match *item {
        Item::Unknown { name, value } => Owned::Unknown(text(name), text(value)),
        Item::Event(event) => {
            if let Some(canonical) = event.canonical {
                assert_eq!(canonical, [DATA_PREFIX, event.data, b"\n\n"].concat());
            }
            Owned::Event {
                data: text(event.data),
                event_type: text(event.event_type),
                id: text(event.last_event_id),
                canonical: event.canonical.is_some(),
            }
        }
    }
}

fn parse_with<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limits: SseLimits) -> Vec<Owned> {
    let mut parser = Parser::new(limits);
    let mut items = Vec::new();
    for chunk in chunks {
        let mut reader = parser.read(chunk);
        loop {
            match reader.next() {
                Ok(Some(item)) => items.push(owned(&item)),
                Ok(None) => break,
                Err(error) => {
                    items.push(Owned::Error(error));
                    return items;
                }
            }
        }
    }
    for _ in 0..2 {
        match parser.finish() {
            Ok(Some(item)) => items.push(Owned::Unterminated(Box::new(owned(&item)))),
            Ok(None) => {}
            Err(error) => items.push(Owned::Error(error)),
        }
    }
    items
}

fn parse<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
    parse_with(chunks, SseLimits::default())
}

/// The whole input, then cut at every byte, then byte by byte: always the same.
fn parse_every_way(input: &[u8]) -> Vec<Owned> {
    let whole = parse([input]);
    for cut in 0..=input.len() {
        assert_eq!(parse([&input[..cut], &input[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(parse(input.chunks(1)), whole, "byte by byte");
    whole
}

fn event(data: &str) -> Owned {
    typed("", data)
}

fn canonical(data: &str) -> Owned {
    Owned::Event { data: data.into(), event_type: String::new(), id: String::new(), canonical: true }
}

fn typed(event_type: &str, data: &str) -> Owned {
    Owned::Event { data: data.into(), event_type: event_type.into(), id: String::new(), canonical: false }
}

fn with_id(id: &str, data: &str) -> Owned {
    Owned::Event { data: data.into(), event_type: String::new(), id: id.into(), canonical: false }
}

fn unterminated(item: Owned) -> Owned {
    Owned::Unterminated(Box::new(item))
}

#[test]
fn events_are_read_to_the_letter() {
    let rows: Vec<(&str, &[u8], Vec<Owned>)> = vec![
        ("one event", b"data: a\n\n", vec![canonical("a")]),
        ("two events", b"data: a\n\ndata: b\n\n", vec![canonical("a"), canonical("b")]),
        ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", vec![event("a"), event("b")]),
        ("CR", b"data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
        (
            "line ends of every kind",
            b"data: a\r\n\ndata: b\n\rdata: c\r\r\n",
            vec![event("a"), event("b"), event("c")],
        ),
        ("CR, then LF is one line end", b"data: a\r\ndata: b\r\n\r\n", vec![event("a\nb")]),
        ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", vec![canonical("a")]),
        (
            "only one mark is skipped",
            b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n",
            vec![Owned::Unknown("\u{feff}data".into(), "a".into())],
        ),
        ("no space", b"data:a\n\n", vec![event("a")]),
        ("only one space goes", b"data:  a\n\n", vec![canonical(" a")]),
        ("a tab stays", b"data:\ta\n\n", vec![event("\ta")]),
        ("several lines", b"data: a\ndata\ndata: b\n\n", vec![event("a\n\nb")]),
        ("a comment", b": hi\ndata: a\n\n", vec![canonical("a")]),
        ("a comment inside", b"data: a\n: hi\n\n", vec![event("a")]),
        ("comments alone", b": hi\n\n:\n\n", vec![]),
        (
            "a typed event",
            b"event: error\ndata: a\n\n",
            vec![Owned::Event {
                data: "a".into(),
                event_type: "error".into(),
                id: String::new(),
                canonical: true,
            }],
        ),
        ("the type is the event's own", b"event: x\n\ndata: a\n\n", vec![canonical("a")]),
        ("the type behind the data", b"data: a\nevent: x\n\n", vec![typed("x", "a")]),
        ("empty data is an event", b"data:\n\ndata\n\n", vec![event(""), event("")]),
        ("no data is none", b"event: x\nid: 1\n\n", vec![]),
        ("an id stays", b"id: 1\ndata:a\n\ndata:b\n\n", vec![with_id("1", "a"), with_id("1", "b")]),
        ("an id with NUL is ignored", b"id: 1\0\ndata:a\n\n", vec![event("a")]),
        (
            "an unknown field",
            b"error: {\"x\":1}\n\n",
            vec![Owned::Unknown("error".into(), "{\"x\":1}".into())],
        ),
        (
            "a field without a colon",
            b"nonsense\ndata:a\n\n",
            vec![Owned::Unknown("nonsense".into(), String::new()), event("a")],
        ),
        ("a colon in the value", b"data: a:b: c\n\n", vec![canonical("a:b: c")]),
        (
            "U+2028 and U+0085 end no line",
            "data: a\u{2028}b\u{85}c\n\n".as_bytes(),
            vec![canonical("a\u{2028}b\u{85}c")],
        ),
        ("UTF-8 cut anywhere", "data: é你😀\n\n".as_bytes(), vec![canonical("é你😀")]),
        (
            "no blank line at the end",
            b"data: a\n\ndata: [DONE]\n",
            vec![canonical("a"), unterminated(event("[DONE]"))],
        ),
        ("no line end at the end", b"data: [DONE]", vec![unterminated(event("[DONE]"))]),
        ("a CR at the very end", b"data: a\n\r", vec![event("a")]),
        (
            "a cut mark at the end",
            b"\xef\xbb",
            vec![unterminated(Owned::Unknown("\u{fffd}".into(), String::new()))],
        ),
        ("nothing", b"", vec![]),
    ];
    for (name, input, expected) in rows {
        assert_eq!(parse_every_way(input), expected, "{name}");
    }
}

#[test]
fn retry_takes_digits_only() {
    for (input, expected) in
        [(&b"retry: 1500\n"[..], Some(1500)), (b"retry: 1.5\n", None), (b"retry: -1\n", None)]
    {
        let mut parser = Parser::new(SseLimits::default());
        assert_eq!(parser.read(input).next(), Ok(None));
        assert_eq!(parser.retry_ms(), expected);
    }
}

#[test]
fn caps_end_in_a_typed_error_however_the_stream_is_cut() {
    let limits = SseLimits { max_line_bytes: 16, max_event_bytes: 20 };
    let line_too_long = Owned::Error(SseError::LineTooLong { limit: 16 });
    let event_too_large = Owned::Error(SseError::EventTooLarge { limit: 20 });
    for (name, input, expected) in [
        ("a line at the cap", &b"data: 0123456789\n\n"[..], vec![canonical("0123456789")]),
        ("a line beyond it", b"data: 0123456789a\n\n", vec![line_too_long.clone()]),
        ("a line without an end", b"data: a\n\ndata: 0123456789abcdef", vec![canonical("a"), line_too_long]),
        ("an event at the cap", b"data:0123456789\ndata:012345678\n\n", vec![event("0123456789\n012345678")]),
        ("an event beyond it", b"data:0123456789\ndata:0123456789\n\n", vec![event_too_large.clone()]),
        (
            "type and data at the cap",
            b"data:0123456789\nevent:0123456789\n\n",
            vec![typed("0123456789", "0123456789")],
        ),
        ("type and data beyond it", b"data:0123456789a\nevent:0123456789\n\n", vec![event_too_large]),
    ] {
        for cut in 0..=input.len() {
            assert_eq!(parse_with([&input[..cut], &input[cut..]], limits), expected, "{name}, cut at {cut}");
        }
        assert_eq!(parse_with(input.chunks(1), limits), expected, "{name}, byte by byte");
    }
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let mut parser = Parser::new(SseLimits::default());
    for _ in 0..10_000 {
        for input in [&b"data: 0123456789\n\ndata: 01234"[..], b"56789\n\n"] {
            let mut reader = parser.read(input);
            assert!(matches!(reader.next(), Ok(Some(Item::Event(_)))));
            assert_eq!(reader.next(), Ok(None));
        }
    }
    assert!(allocated(&parser) < 1024, "{}", allocated(&parser));
}

fn allocated(parser: &Parser) -> usize {
    let vectors = [&parser.line, &parser.held, &parser.event_type, &parser.last_event_id];
    vectors.map(Vec::capacity).iter().sum()
}

/// How much is allocated after each of these reads.
fn read_all(parser: &mut Parser, input: &[u8]) -> usize {
    let mut reader = parser.read(input);
    while reader.next().unwrap().is_some() {}
    allocated(parser)
}

#[test]
fn an_event_within_one_read_is_not_copied() {
    let mut parser = Parser::new(SseLimits::default());
    let input = b": hi\ndata: {\"a\":1}\n\nunknown: x\ndata: b\r\n\r\n";
    let mut reader = parser.read(input);
    while let Some(item) = reader.next().unwrap() {
        if let Item::Event(event) = item {
            assert!(input.as_ptr_range().contains(&event.data.as_ptr()));
        }
    }
    assert_eq!(allocated(&parser), 0);
}

#[test]
fn lines_that_say_nothing_are_not_kept_with_an_open_event() {
    let long = "x".repeat(1000);
    for (name, line) in [
        ("comments", format!(": {long}\n")),
        ("unknown fields", format!("unknown: {long}\n")),
        ("reconnection times", "retry: 1000\n".to_owned()),
        ("types", format!("event: {long}\n")),
        ("ids", format!("id: {long}\n")),
    ] {
        let mut parser = Parser::new(SseLimits::default());
        read_all(&mut parser, b"data: {}\n");
        for _ in 0..1_000 {
            assert!(read_all(&mut parser, line.as_bytes()) < 4 * 1024, "{name}");
            assert!(read_all(&mut parser, &line.as_bytes()[..5]) < 4 * 1024, "{name}");
            assert!(read_all(&mut parser, &line.as_bytes()[5..]) < 4 * 1024, "{name}");
        }
        let mut reader = parser.read(b"\n");
        assert!(matches!(reader.next(), Ok(Some(Item::Event(_)))), "{name}");
    }
}

#[test]
fn a_large_event_leaves_no_large_buffer() {
    let mut parser = Parser::new(SseLimits::default());
    let event = format!("data: {}\n\n", "x".repeat(1024 * 1024));
    for piece in event.as_bytes().chunks(4096) {
        read_all(&mut parser, piece);
    }
    assert!(read_all(&mut parser, b"data: y\n\n") <= crate::spare::MAX_SPARE_BYTES);
}

fn stream_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"data"[..],
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"event: x",
        b"id: 1",
        b"\xef\xbb\xbf",
        b"{}",
        b"\0",
        b"\xe4\xbd",
        b"\xa0",
        b"error: 1",
        b": c",
        b"data: y\n\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_cut_gives_the_same_events(input in stream_like(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let whole = parse([&input[..]]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]);
        prop_assert_eq!(parse(chunks), whole);
    }
}
