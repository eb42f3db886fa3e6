//! What is known of a tool call before it comes out: the pieces that wait for its name, and how far its arguments are.

use std::collections::BTreeMap;

use crate::answer::chunk::{ToolCall, text_of};
use crate::json::edit::MemberChanges;
use crate::json::{JsonError, Kind, Scanner};

/// What a member costs beyond its bytes, roughly: a node of a tree and two buffers.
const MEMBER_OVERHEAD_BYTES: usize = 64;

/// What came of a call before its name.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Still escaped.
    pub(super) arguments: Vec<u8>,
    /// The `type`, where it is none of OpenAI's.
    pub(super) foreign_kind: Option<Vec<u8>>,
    /// Members without a rule, by their keys, still escaped.
    extras: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What all of it costs.
    pub(super) bytes: usize,
}

impl Held {
    pub(super) const fn says_nothing(&self) -> bool {
        self.arguments.is_empty()
    }

    /// Keep what an entry says.
    pub(super) fn add(&mut self, entry: &ToolCall, input: &[u8]) {
        let arguments = super::write_arguments(input, entry.arguments.map(|arguments| arguments.value));
        self.arguments.extend_from_slice(&arguments[1..arguments.len() - 1]);
        self.bytes += arguments.len() - 2;
        if let Some(kind) = text_of(entry.kind.as_ref(), input)
            && !kind.is("function")
            && !kind.is("custom")
        {
            self.foreign_kind.get_or_insert_with(|| kind.raw().to_vec());
        }
        // The members have been scanned before, so that can't fail now.
        let _ = Scanner::new(entry.span.of(input)).object(|scanner, key| {
            let value = scanner.value()?;
            if is_without_rule(&key.text.key()) && value.kind != Kind::Null {
                self.keep(key.text.raw(), value.span.of(scanner.input()));
            }
            Ok::<_, JsonError>(())
        });
    }

    fn keep(&mut self, key: &[u8], value: &[u8]) {
        let before = self.extras.insert(key.to_vec(), value.to_vec());
        let freed = before.map_or(0, |before| MEMBER_OVERHEAD_BYTES + key.len() + before.len());
        self.bytes = self.bytes + MEMBER_OVERHEAD_BYTES + key.len() + value.len() - freed;
    }

    /// Add the members that this entry does not have itself.
    pub(super) fn add_extras(mut self, entry: &ToolCall, input: &[u8], changes: &mut MemberChanges) {
        if self.extras.is_empty() {
            return;
        }
        let _ = Scanner::new(entry.span.of(input)).object(|scanner, key| {
            self.extras.remove(key.text.raw());
            scanner.value()?;
            Ok::<_, JsonError>(())
        });
        for (key, value) in &self.extras {
            changes.add_raw(key, value);
        }
    }
}

fn is_without_rule(key: &[u8]) -> bool {
    !matches!(key, b"index" | b"id" | b"type" | b"function" | b"custom")
}

/// How far the arguments of a call have come. They are JSON; a text that is not is never whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) progress: Progress,
    depth: usize,
    inside: Inside,
}

/// See [`Arguments`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing has come.
    #[default]
    None,
    /// Something, and more must come.
    Begun,
    /// An object or an array has closed.
    Whole,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Value,
    String,
    /// Behind a backslash in a string.
    Escape,
}

impl Arguments {
    /// What an entry says of them.
    pub(super) fn go_on(&mut self, entry: &ToolCall, input: &[u8]) {
        let Some(arguments) = entry.arguments else { return };
        match arguments.value.as_text(input) {
            Some(text) => self.read(text.raw()),
            None if matches!(arguments.value.kind, Kind::Object | Kind::Array) => {
                self.progress = Progress::Whole;
            }
            None => {}
        }
    }

    /// `text` is JSON inside of a JSON string, so each of its own escapes has two backslashes.
    pub(crate) fn read(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let (byte, length) = unescaped(rest);
            rest = &rest[length..];
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        if byte.is_ascii_whitespace() && self.inside == Inside::Value {
            return;
        }
        self.progress = Progress::Begun;
        self.inside = match (self.inside, byte) {
            (Inside::String, b'\\') => Inside::Escape,
            (Inside::String, b'"') => Inside::Value,
            (Inside::String | Inside::Escape, _) | (Inside::Value, b'"') => Inside::String,
            (Inside::Value, b'{' | b'[') => {
                self.depth += 1;
                Inside::Value
            }
            (Inside::Value, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.progress = Progress::Whole;
                }
                Inside::Value
            }
            (Inside::Value, _) => Inside::Value,
        };
    }
}

/// The first byte of what the inside of a JSON string stands for, and the length of its spelling. Of a character that
/// is not ASCII only the fact.
fn unescaped(text: &[u8]) -> (u8, usize) {
    const OTHER: u8 = 0x80;
    match *text {
        [b'\\', b'u', ref digits @ ..] => {
            let code = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
            let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (code.unwrap_or(OTHER), text.len().min(6))
        }
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => (b' ', 2),
        [b'\\', byte, ..] => (byte, 2),
        [byte, ..] => (byte, 1),
        [] => (OTHER, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_whole_where_their_outermost_bracket_closes() {
        for (text, expected) in [
            ("", Progress::None),
            (r"\n ", Progress::None),
            ("{", Progress::Begun),
            (r#"{\"a\":1"#, Progress::Begun),
            (r#"{\"a\":1}"#, Progress::Whole),
            (r#"{\"a\":{}}\n"#, Progress::Whole),
            (r#"{\"a\":{}"#, Progress::Begun),
            (r#"{\"a}\""#, Progress::Begun),
            (r#"{\"a\\\"}\""#, Progress::Begun),
            (r#"{\"a\\\\\"}"#, Progress::Whole),
            (r"\u007b\u0022\u4f60\u0022\u007d", Progress::Whole),
            ("[]", Progress::Whole),
            ("{}{", Progress::Begun),
            ("text", Progress::Begun),
        ] {
            let mut whole = Arguments::default();
            whole.read(text.as_bytes());
            assert_eq!(whole.progress, expected, "{text}");
        }
    }
}
