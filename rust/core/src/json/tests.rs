//! Rows of what is JSON and what is not, and the property that `serde_json` says the same.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn verdict(input: &[u8]) -> Result<(), JsonError> {
    check_utf8(input)?;
    let mut scanner = Scanner::new(input);
    scanner.value()?;
    scanner.end()
}

#[test]
fn faults_have_a_kind_and_an_offset() {
    use JsonErrorKind as K;
    for (input, kind, offset) in [
        (&b""[..], K::UnexpectedEnd, 0),
        (b"  ", K::UnexpectedEnd, 2),
        (b"{", K::UnexpectedEnd, 1),
        (b"{\"a\"", K::UnexpectedEnd, 4),
        (b"{\"a\" 1}", K::UnexpectedByte, 5),
        (b"{\"a\":}", K::UnexpectedByte, 5),
        (b"{\"a\":1,}", K::UnexpectedByte, 7),
        (b"{a:1}", K::UnexpectedByte, 1),
        (b"[1,]", K::UnexpectedByte, 3),
        (b"[1 2]", K::UnexpectedByte, 3),
        (b"nul", K::UnexpectedEnd, 3),
        (b"nulL", K::UnexpectedByte, 3),
        (b"TRUE", K::UnexpectedByte, 0),
        (b"\"a", K::UnexpectedEnd, 2),
        (b"\"a\nb\"", K::ControlCharacter, 2),
        (b"\"\\x\"", K::InvalidEscape, 2),
        (b"\"\\u00g0\"", K::InvalidEscape, 5),
        (b"01", K::InvalidNumber, 1),
        (b"-", K::UnexpectedEnd, 1),
        (b"-a", K::InvalidNumber, 1),
        (b"1.", K::UnexpectedEnd, 2),
        (b"1.e3", K::InvalidNumber, 2),
        (b"1e+", K::UnexpectedEnd, 3),
        (b"1 1", K::TrailingData, 2),
        (b"{} x", K::TrailingData, 3),
        (b"\"\xff\"", K::InvalidUtf8, 1),
        (b"\xef\xbb\xbf{}", K::UnexpectedByte, 0),
    ] {
        let name = String::from_utf8_lossy(input);
        assert_eq!(verdict(input), Err(JsonError { kind, offset }), "{name}");
    }
}

#[test]
fn nesting_is_capped_at_the_named_depth() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(verdict(nested(MAX_DEPTH).as_bytes()), Ok(()));
        let error = verdict(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(error.kind, JsonErrorKind::TooDeep);
        assert_eq!(error.offset, open.len() * MAX_DEPTH);
    }
}

#[test]
fn values_read_as_what_they_are() {
    let input = br#"{"t":true,"n":42,"f":1.5,"s":"\u0061","z":null,"b":" ","e":[ ],"x":{"y":1}}"#;
    let mut seen = Vec::new();
    let mut scanner = Scanner::new(input);
    scanner
        .object(|scanner, key| {
            let value = scanner.member(&key)?.value;
            seen.push((
                key.text.decode().into_owned(),
                value.as_bool(input),
                value.as_u64(input),
                value.as_text(input).map(|text| text.decode().into_owned()),
                value.is_blank(input),
            ));
            Ok::<_, JsonError>(())
        })
        .unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        seen,
        [
            ("t".to_owned(), Some(true), None, None, false),
            ("n".to_owned(), None, Some(42), None, false),
            ("f".to_owned(), None, None, None, false),
            ("s".to_owned(), None, None, text("a"), false),
            ("z".to_owned(), None, None, None, true),
            ("b".to_owned(), None, None, text(" "), false),
            ("e".to_owned(), None, None, None, true),
            ("x".to_owned(), None, None, None, false),
        ]
    );
}

/// JSON-like bytes: mostly tokens, so that many are nearly valid.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(":".to_owned()),
        Just(",".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"a\":".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(" ".to_owned()),
        Just("\\u12".to_owned()),
        "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        "\"[a-z\\\\\"\u{0}-\u{1f}\u{80}-\u{ff}]{0,12}\"",
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat().into_bytes())
}

/// A valid document with a few bytes changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    let tree = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| { serde_json::Value::Object(members.into_iter().collect()) }),
        ]
    });
    (tree, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(
        |(tree, changes)| {
            let mut bytes = serde_json::to_vec(&tree).unwrap();
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn serde_json_agrees_on_what_is_valid(input in prop_oneof![json_like(), mutated(), prop::collection::vec(any::<u8>(), 0..40)]) {
        // `IgnoredAny` reads as much as the scanner: the grammar, and neither ranges nor surrogates.
        let reference = std::str::from_utf8(&input).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        prop_assert_eq!(verdict(&input).is_ok(), reference, "{:?}", String::from_utf8_lossy(&input));
    }

    #[test]
    fn a_cut_document_is_never_whole(input in mutated(), cut in any::<prop::sample::Index>()) {
        if verdict(&input).is_ok() && matches!(input.first(), Some(b'{' | b'[' | b'"')) {
            let cut = cut.index(input.len());
            prop_assert!(verdict(&input[..cut]).is_err());
        }
    }
}

proptest! {
    /// Longer than any block, with escapes across their borders.
    #[test]
    fn long_strings(parts in prop::collection::vec(
        prop_oneof![
            8 => (0_usize..80).prop_map(|length| "x".repeat(length)),
            4 => prop::sample::select(vec!["\\n", "\\\"", "\\\\", "\\u4f60", "\\ud83d\\ude42", "你", "/"]).prop_map(str::to_owned),
            1 => prop::sample::select(vec!["\"", "\\x", "\\u12", "\n", "\u{1f}", "\u{7f}"]).prop_map(str::to_owned),
        ],
        0..12,
    )) {
        let input = format!("\"{}\"", parts.concat());
        let expected = serde_json::from_str::<IgnoredAny>(&input).is_ok();
        prop_assert_eq!(verdict(input.as_bytes()).is_ok(), expected, "{}", input);
        if expected {
            let mut scanner = Scanner::new(input.as_bytes());
            let value = scanner.value().unwrap();
            prop_assert_eq!(value.span, Span { start: 0, end: input.len() });
        }
    }

    /// The same, also where something is wrong, and how long the text is.
    #[test]
    fn long_strings_byte_by_byte(parts in prop::collection::vec(
        prop_oneof![
            4 => (0_usize..70).prop_map(|length| "x".repeat(length)),
            4 => (1_usize..7).prop_map(|length| "\\".repeat(length)),
            8 => prop::sample::select(vec!["\\n", "\\t", "\\r", "\\/", "\\b", "\\f", "\\u4f60", "\\u0041", "\\u07fF", "n", "u", "你"])
                .prop_map(str::to_owned),
            1 => prop::sample::select(vec!["\\\"", "\\\\", "\\ud83d", "\\u12", "\\u12g4", "\n", "\u{1f}"]).prop_map(str::to_owned),
        ],
        0..16,
    )) {
        let input = format!("\"{}\"", parts.concat());
        let mut scanner = Scanner::new(input.as_bytes());
        let found = scanner.value().map(|value| (value.span.end, scanner.text_bytes()));
        prop_assert_eq!(found, byte_by_byte(input.as_bytes()), "{}", input);
    }
}

/// Where a string ends and how long its text is, the slow way.
fn byte_by_byte(input: &[u8]) -> Result<(usize, usize), JsonError> {
    use JsonErrorKind as K;
    let error = |kind, offset| Err(JsonError { kind, offset });
    let (mut at, mut text_bytes) = (1, 0);
    loop {
        match input.get(at..).unwrap_or_default() {
            [] => return error(K::UnexpectedEnd, input.len()),
            [b'"', ..] => return Ok((at + 1, text_bytes)),
            [b'\\', b'u', digits @ ..] => {
                let valid = digits.iter().take(4).take_while(|digit| digit.is_ascii_hexdigit()).count();
                if valid < 4 {
                    let kind = if digits.len() == valid { K::UnexpectedEnd } else { K::InvalidEscape };
                    return error(kind, at + 2 + valid);
                }
                let unit = u32::from_str_radix(str::from_utf8(&digits[..4]).unwrap(), 16).unwrap();
                text_bytes += char::from_u32(unit).map_or(2, char::len_utf8);
                at += 6;
            }
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => {
                text_bytes += 1;
                at += 2;
            }
            [b'\\'] => return error(K::UnexpectedEnd, at + 1),
            [b'\\', ..] => return error(K::InvalidEscape, at + 1),
            [..0x20, ..] => return error(K::ControlCharacter, at),
            _ => {
                text_bytes += 1;
                at += 1;
            }
        }
    }
}
