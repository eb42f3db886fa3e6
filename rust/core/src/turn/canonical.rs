//! JSON in the one spelling that all its spellings share: what SDKs parse and write anew is still the same.
//!
//! Keys are sorted (of a key that comes twice the last value counts, as parsers have it), white space goes, escapes are
//! read, numbers are compared by their value and not by their digits: JavaScript writes `1` for `1.0`. Large integers
//! are exact all the same: two ids that differ in the last of twenty digits are two.

use std::borrow::Cow;

use crate::json::{JsonError, Kind, Scanner, Text};

/// Of longer JSON every byte counts: the tree that sorting needs takes many times the bytes that it is made of.
pub(super) const MAX_CANONICAL_BYTES: usize = 256 * 1024;

/// What a call without arguments says, however it says so.
const NOTHING: &[u8] = b"{}";

/// JSON in that spelling; anything else as it is.
pub(super) fn canonical(json: &str) -> Cow<'_, [u8]> {
    let input = json.as_bytes();
    if input.iter().all(u8::is_ascii_whitespace) {
        return Cow::Borrowed(NOTHING);
    }
    let tree = if input.len() > MAX_CANONICAL_BYTES { None } else { Tree::whole(input) };
    let Some(tree) = tree else { return Cow::Borrowed(input) };
    let mut output = Vec::with_capacity(input.len());
    tree.write(&mut output);
    Cow::Owned(output)
}

enum Tree<'a> {
    Text(Text<'a>),
    Number(&'a [u8]),
    /// `true`, `false`, `null`
    Word(&'a [u8]),
    Array(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Tree<'a> {
    fn whole(input: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(input);
        let tree = Self::read(&mut scanner).ok()?;
        scanner.end().ok().map(|()| tree)
    }

    /// The scanner refuses what is nested too deep.
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, JsonError> {
        match scanner.peek()? {
            Kind::Object => Self::object(scanner),
            Kind::Array => {
                let mut items = Vec::new();
                scanner.array(|scanner, _| {
                    items.push(Self::read(scanner)?);
                    Ok::<_, JsonError>(())
                })?;
                Ok(Self::Array(items))
            }
            kind => {
                let (input, value) = (scanner.input(), scanner.value()?);
                Ok(match value.as_text(input) {
                    Some(text) => Self::Text(text),
                    None if kind == Kind::Number => Self::Number(value.span.of(input)),
                    None => Self::Word(value.span.of(input)),
                })
            }
        }
    }

    fn object(scanner: &mut Scanner<'a>) -> Result<Self, JsonError> {
        let mut members = Vec::new();
        scanner.object(|scanner, key| {
            members.push((key.text.decode(), Self::read(scanner)?));
            Ok::<_, JsonError>(())
        })?;
        // Stable: those of one key stay in their order.
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self::Object(members))
    }

    fn write(&self, output: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_text(&text.decode(), output),
            Self::Number(number) => write_number(number, output),
            Self::Word(word) => output.extend_from_slice(word),
            Self::Array(items) => {
                output.push(b'[');
                for item in items {
                    item.write(output);
                    output.push(b',');
                }
                output.push(b']');
            }
            Self::Object(members) => write_members(members, output),
        }
    }
}

fn write_members(members: &[(Cow<'_, str>, Tree<'_>)], output: &mut Vec<u8>) {
    output.push(b'{');
    for (position, (key, value)) in members.iter().enumerate() {
        if members.get(position + 1).is_some_and(|(next, _)| next == key) {
            continue;
        }
        write_text(key, output);
        value.write(output);
        output.push(b',');
    }
    output.push(b'}');
}

/// Behind its length, no text can be taken for another with a quote inside.
fn write_text(text: &str, output: &mut Vec<u8>) {
    output.push(b'"');
    output.extend_from_slice(text.len().to_string().as_bytes());
    output.push(b':');
    output.extend_from_slice(text.as_bytes());
}

/// Its digits without zeros at either end, and the power of ten that they are multiplied with.
fn write_number(number: &[u8], output: &mut Vec<u8>) {
    // Most numbers are whole, and a list may have very many of them.
    if number.last() != Some(&b'0') && !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        output.extend_from_slice(number);
        return output.extend_from_slice(b"e0");
    }
    let Some((digits, power)) = value_of(number) else { return output.extend_from_slice(number) };
    if digits.is_empty() {
        return output.push(b'0');
    }
    if number.starts_with(b"-") {
        output.push(b'-');
    }
    output.extend_from_slice(&digits);
    output.push(b'e');
    output.extend_from_slice(power.to_string().as_bytes());
}

/// None where the exponent is beyond all reason.
fn value_of(number: &[u8]) -> Option<(Vec<u8>, i64)> {
    let mut parts = number.splitn(2, |byte| matches!(byte, b'e' | b'E'));
    let mantissa = parts.next()?;
    let exponent: i32 = match parts.next() {
        Some(exponent) => std::str::from_utf8(exponent).ok()?.parse().ok()?,
        None => 0,
    };
    let decimals = mantissa.iter().rposition(|&byte| byte == b'.').map_or(0, |at| mantissa.len() - at - 1);
    let mut digits: Vec<u8> =
        mantissa.iter().copied().filter(u8::is_ascii_digit).skip_while(|&digit| digit == b'0').collect();
    let significant = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    let zeros = digits.len() - significant;
    digits.truncate(significant);
    let shift = i64::try_from(zeros).ok()? - i64::try_from(decimals).ok()?;
    Some((digits, i64::from(exponent) + shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::MAX_DEPTH;

    #[test]
    fn what_is_the_same_and_what_is_not() {
        for (one, other, same) in [
            (r#"{"a":"b"}"#, r#"{ "a" : "b" }"#, true),
            (r#"{"a":1,"b":[{"d":2,"c":3}]}"#, "{\"b\": [{\"c\": 3, \"d\": 2}],\n\t\"a\": 1}", true),
            (r#"{"a":"你"}"#, r#"{"a":"\u4f60"}"#, true),
            (r#"{"你":1}"#, r#"{"\u4f60":1}"#, true),
            (r#"{"a":"/"}"#, r#"{"a":"\/"}"#, true),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, true),
            (r#"{"a":1.0}"#, r#"{"a":1}"#, true),
            ("[100, 1e2, 1E+2, 10.0e1, 1000e-1]", "[100,100,100,100,100]", true),
            ("[0, -0, 0.0, 0e5]", "[0,0,0,0]", true),
            ("[0.5]", "[5e-1]", true),
            ("[-12, 120]", "[-1.2e1, 12e1]", true),
            ("[12]", "[-12]", false),
            ("", "{}", true),
            (" \n", "{ }", true),
            (r#"{"a":"b c"}"#, r#"{"a":"bc"}"#, false),
            (r#"{"a":1}"#, r#"{"a":10}"#, false),
            (r#"{"a":1}"#, r#"{"a":-1}"#, false),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, false),
            (r#"{"a":null}"#, "{}", false),
            ("[9007199254740993]", "[9007199254740992]", false),
            ("[1e99999999999]", "[1e99999999998]", false),
            ("[1,2]", "[2,1]", false),
            ("[1,2]", "[12]", false),
            ("[[1],2]", "[[1,2]]", false),
            (r#"["a","b"]"#, r#"["a\",\"b"]"#, false),
            (r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#, false),
            ("no json", "no json", true),
            ("no json", "nojson", false),
        ] {
            assert_eq!(canonical(one) == canonical(other), same, "{one} and {other}");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_compared_byte_for_byte() {
        let nested = |depth| "[ ".repeat(depth) + &"]".repeat(depth);
        assert_ne!(*canonical(&nested(MAX_DEPTH)), *nested(MAX_DEPTH).as_bytes());
        assert_eq!(*canonical(&nested(MAX_DEPTH + 1)), *nested(MAX_DEPTH + 1).as_bytes());
        let long = |bytes: usize| format!("[ {}]", "1".repeat(bytes - 3));
        assert_ne!(*canonical(&long(MAX_CANONICAL_BYTES)), *long(MAX_CANONICAL_BYTES).as_bytes());
        assert_eq!(*canonical(&long(MAX_CANONICAL_BYTES + 1)), *long(MAX_CANONICAL_BYTES + 1).as_bytes());
    }
}
