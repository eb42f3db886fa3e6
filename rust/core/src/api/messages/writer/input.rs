//! A call's arguments as the `input` of a `tool_use` block, which is always an object.
//!
//! Arguments that are no object go as a text: `{"arguments":"…"}`, and the text of a custom call as `{"input":"…"}`. None,
//! or `null`, are `{}`.

use std::borrow::Cow;

use crate::answer::chunk::CallKind;
use crate::answer::stream::{ArgumentsRead, Progress};
use crate::json::{Kind, Scanner, Text};

/// The arguments of one call, as far as they have come.
#[derive(Debug)]
pub(super) struct Arguments {
    shape: Shape,
    kind: CallKind,
    read: ArgumentsRead,
}

/// What they turned out to be.
#[derive(Debug)]
enum Shape {
    /// Nothing that tells; this much of it, still escaped.
    Unknown(Vec<u8>),
    Object,
    Text,
}

const NULL: &str = "null";

impl Arguments {
    pub(super) fn new(kind: CallKind) -> Self {
        Self { shape: Shape::Unknown(Vec::new()), kind, read: ArgumentsRead::default() }
    }

    /// Whether an object has closed.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.shape, Shape::Object) && self.read.progress == Progress::Whole
    }

    /// What a piece of them adds to the JSON, both still escaped.
    pub(super) fn piece<'a>(&mut self, raw: &'a [u8]) -> Cow<'a, [u8]> {
        match &mut self.shape {
            Shape::Object => {
                self.read.read(raw);
                Cow::Borrowed(raw)
            }
            Shape::Text => Cow::Owned(escaped_again(raw)),
            Shape::Unknown(before) => {
                before.extend_from_slice(raw);
                let text = Text::new(before).decode();
                let said = text.trim_ascii_start();
                if self.kind == CallKind::Function && NULL.starts_with(said) {
                    if said.is_empty() {
                        before.clear();
                    }
                    return Cow::Borrowed(b"");
                }
                let is_object = self.kind == CallKind::Function && said.starts_with('{');
                let before = std::mem::take(before);
                if is_object {
                    self.read.read(&before);
                    self.shape = Shape::Object;
                    Cow::Owned(before)
                } else {
                    self.shape = Shape::Text;
                    Cow::Owned(self.text(&before))
                }
            }
        }
    }

    /// What their end adds.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        match &self.shape {
            Shape::Object => Vec::new(),
            Shape::Text => b"\\\"}".to_vec(),
            Shape::Unknown(before) => {
                let text = Text::new(before).decode();
                if matches!(text.trim_ascii_start(), "" | NULL) {
                    b"{}".to_vec()
                } else {
                    [&self.text(before)[..], b"\\\"}"].concat()
                }
            }
        }
    }

    /// The beginning of an object that has them as a text.
    fn text(&self, raw: &[u8]) -> Vec<u8> {
        [b"{\\\"", self.kind.arguments().as_bytes(), b"\\\":\\\"", &escaped_again(raw)].concat()
    }
}

/// What stands in a JSON string, as it stands in a JSON string inside of a JSON string.
fn escaped_again(raw: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(raw.len());
    for &byte in raw {
        if matches!(byte, b'\\' | b'"') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

/// Append gathered arguments as the JSON that they are. Of JSON that was cut off, or breaks, what came whole: all members
/// with their values, as the SDK reads it.
pub(super) fn write_whole(arguments: Text<'_>, output: &mut Vec<u8>) {
    let json = arguments.decode();
    let json = json.trim_ascii().as_bytes();
    let mut scanner = Scanner::new(json);
    let is_object = scanner.value().is_ok_and(|value| value.kind == Kind::Object) && scanner.end().is_ok();
    if is_object {
        return output.extend_from_slice(json);
    }
    let start = output.len();
    Closing::default().close(json, output);
    let closed = &output[start..];
    if !Scanner::new(closed).value().is_ok_and(|value| value.kind == Kind::Object) {
        output.truncate(start);
        output.extend_from_slice(b"{}");
    }
}

/// Closes JSON where it was cut off.
#[derive(Default)]
struct Closing {
    /// What closes the open containers.
    closers: Vec<u8>,
    /// As many of them are open where the last value ends.
    depth: usize,
    /// Where that is.
    end: usize,
}

impl Closing {
    fn close(mut self, json: &[u8], output: &mut Vec<u8>) {
        // Where it breaks, what came before is kept.
        let _ = self.read(json);
        output.extend_from_slice(&json[..self.end]);
        output.extend(self.closers[..self.depth].iter().rev());
    }

    /// Read as far as it goes. None where it breaks, or ends.
    fn read(&mut self, json: &[u8]) -> Option<()> {
        let mut at = 0;
        loop {
            at = self.value(json, at)?;
            // Behind a value: its containers may end, or the next value comes.
            loop {
                let closer = *self.closers.last()?;
                at = after_space(json, at);
                match *json.get(at)? {
                    byte if byte == closer => {
                        self.closers.pop();
                        at += 1;
                        self.ends(at);
                    }
                    b',' => {
                        at = self.key(json, at + 1, closer)?;
                        break;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// A value, or the beginning of a container down to its first scalar.
    fn value(&mut self, json: &[u8], mut at: usize) -> Option<usize> {
        loop {
            at = after_space(json, at);
            let closer = match *json.get(at)? {
                b'{' => b'}',
                b'[' => b']',
                _ => {
                    let value = Scanner::at_offset(json, at).value().ok()?;
                    self.ends(value.span.end);
                    return Some(value.span.end);
                }
            };
            self.closers.push(closer);
            at += 1;
            self.ends(at);
            let next = after_space(json, at);
            if json.get(next) == Some(&closer) {
                return Some(at);
            }
            at = self.key(json, at, closer)?;
        }
    }

    /// The key of the next value, in an object.
    #[allow(clippy::unused_self, reason = "it is a step of the reading")]
    fn key(&self, json: &[u8], at: usize, closer: u8) -> Option<usize> {
        if closer == b']' {
            return Some(at);
        }
        let at = after_space(json, at);
        let key = Scanner::at_offset(json, at).value().ok().filter(|key| key.kind == Kind::String)?;
        let colon = after_space(json, key.span.end);
        (json.get(colon) == Some(&b':')).then_some(colon + 1)
    }

    fn ends(&mut self, at: usize) {
        (self.end, self.depth) = (at, self.closers.len());
    }
}

fn after_space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::text::string;

    fn input_of(kind: CallKind, pieces: &[&str]) -> String {
        let mut arguments = Arguments::new(kind);
        let mut json = Vec::new();
        for piece in pieces {
            let quoted = string(piece);
            json.extend_from_slice(&arguments.piece(&quoted[1..quoted.len() - 1]));
        }
        json.extend_from_slice(&arguments.rest());
        Text::new(&json).decode().into_owned()
    }

    #[test]
    fn input_is_always_an_object() {
        let function = CallKind::Function;
        for (name, kind, pieces, expected) in [
            ("an object", function, &[r#"{"a":"#, r#""b\n"}"#][..], r#"{"a":"b\n"}"#),
            ("behind white space", function, &[" \n", "{", "}"], "{}"),
            ("none", function, &[], "{}"),
            ("empty ones", function, &["", " "], "{}"),
            ("null", function, &[" nu", "ll"], "{}"),
            ("a part of null", function, &["nu"], r#"{"arguments":"nu"}"#),
            ("a list", function, &["[\"a", "\\n\"]"], r#"{"arguments":"[\"a\\n\"]"}"#),
            ("a text", function, &["n", "o \"\\", "\n"], r#"{"arguments":"no \"\\\n"}"#),
            ("a custom call", CallKind::Custom, &["{\"", "\n"], r#"{"input":"{\"\n"}"#),
            ("an empty custom call", CallKind::Custom, &[], "{}"),
        ] {
            assert_eq!(input_of(kind, pieces), expected, "{name}");
            assert!(serde_json::from_str::<serde_json::Value>(expected).unwrap().is_object());
        }
    }

    #[test]
    fn what_was_cut_off_is_closed_behind_its_last_value() {
        for (json, expected) in [
            (r#" {"a": 1} "#, r#"{"a": 1}"#),
            (r#"{"a":1,"b":[{"c":"d"},2],"e":{}}"#, r#"{"a":1,"b":[{"c":"d"},2],"e":{}}"#),
            ("{", "{}"),
            (r#"{"a"#, "{}"),
            (r#"{"a":"#, "{}"),
            (r#"{"a":"b"#, "{}"),
            (r#"{"a":"b""#, r#"{"a":"b"}"#),
            (r#"{"a":"b","#, r#"{"a":"b"}"#),
            (r#"{"a":tru"#, "{}"),
            (r#"{"a":12"#, r#"{"a":12}"#),
            (r#"{"a":[1,{"b":[]},{"c":"#, r#"{"a":[1,{"b":[]},{}]}"#),
            (r#"{"a":[[1],"#, r#"{"a":[[1]]}"#),
            (r#"{"a":{"b":1}"#, r#"{"a":{"b":1}}"#),
            (r#"{"a":1}{"b":2}"#, r#"{"a":1}"#),
            (r#"{"a":1,,"b":2}"#, r#"{"a":1}"#),
            ("", "{}"),
            ("[1]", "{}"),
        ] {
            let mut output = b"<".to_vec();
            write_whole(Text::new(&string(json)[1..string(json).len() - 1]), &mut output);
            assert_eq!(String::from_utf8(output).unwrap(), format!("<{expected}"), "{json}");
        }
    }
}
