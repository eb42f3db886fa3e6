//! Writing JSON out of what another body says: members with names of our own, texts and values as they stand there.
//!
//! A comma comes by itself, wherever something stands before in the same object or list: the last byte of what has been
//! written tells, for a value ends with none of `{`, `[` and `:`.

use crate::json::text::write_escaped;
use crate::json::{Scanner, Value};

/// A comma, unless this is the first in its object or list.
pub(super) fn comma(output: &mut Vec<u8>) {
    if !matches!(output.last(), None | Some(b'{' | b'[' | b':')) {
        output.push(b',');
    }
}

/// A list or an object begins, as the next item of a list.
pub(super) fn open(bracket: u8, output: &mut Vec<u8>) {
    comma(output);
    output.push(bracket);
}

/// A member's name. Its value comes next.
pub(super) fn name(name: &str, output: &mut Vec<u8>) {
    comma(output);
    output.push(b'"');
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b"\":");
}

/// A member and its value, which is JSON already.
pub(super) fn member(key: &str, value: &[u8], output: &mut Vec<u8>) {
    name(key, output);
    output.extend_from_slice(value);
}

/// A member and its text, which is escaped already.
pub(super) fn text_member(key: &str, raw: &[u8], output: &mut Vec<u8>) {
    name(key, output);
    text(&[raw], output);
}

/// A string of these pieces, which are escaped already.
pub(super) fn text(pieces: &[&[u8]], output: &mut Vec<u8>) {
    output.push(b'"');
    for piece in pieces {
        output.extend_from_slice(piece);
    }
    output.push(b'"');
}

/// A string that holds this JSON.
pub(super) fn json_text(json: &[u8], output: &mut Vec<u8>) {
    output.push(b'"');
    write_escaped(json, output);
    output.push(b'"');
}

/// A value that has been scanned before, in one line without white space between its tokens.
pub(super) fn compact(input: &[u8], value: Value, output: &mut Vec<u8>) {
    let json = value.span.of(input);
    let mut position = 0;
    while let Some(&byte) = json.get(position) {
        let start = position;
        match byte {
            b'"' => {
                // It has been scanned before, so it can't fail.
                let string = Scanner::at_offset(json, position).value();
                position = string.map_or(json.len(), |string| string.span.end);
                output.extend_from_slice(&json[start..position]);
            }
            b' ' | b'\n' | b'\r' | b'\t' => position += 1,
            _ => {
                position += 1;
                output.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_come_by_themselves() {
        let mut output = Vec::new();
        open(b'{', &mut output);
        text_member("a", br"\n", &mut output);
        name("b", &mut output);
        open(b'[', &mut output);
        open(b'{', &mut output);
        output.push(b'}');
        open(b'{', &mut output);
        member("c", b"[]", &mut output);
        member("d", b"{}", &mut output);
        output.extend_from_slice(b"}]");
        name("e", &mut output);
        json_text(b"{\"f\": \"\n\"}", &mut output);
        name("g", &mut output);
        text(&[b"h", b"[", b"{"], &mut output);
        output.push(b'}');
        let expected = r#"{"a":"\n","b":[{},{"c":[],"d":{}}],"e":"{\"f\": \"\n\"}","g":"h[{"}"#;
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn a_compact_value_is_one_line_and_says_the_same() {
        for (json, expected) in [
            ("{ \"a b\" : [ 1 ,\n\t-2.5e3 ] , \"c\\\" \" : { } }", "{\"a b\":[1,-2.5e3],\"c\\\" \":{}}"),
            ("\" a \"", "\" a \""),
            ("[]", "[]"),
            ("12", "12"),
        ] {
            let value = Scanner::new(json.as_bytes()).value().unwrap();
            let mut output = Vec::new();
            compact(json.as_bytes(), value, &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }
}
