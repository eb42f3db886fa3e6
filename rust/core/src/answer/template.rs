//! A short cut for the chunks of one answer, which nearly always differ in one string only.
//!
//! A [`Template`] is the last chunk without that string. A chunk with the same bytes around another (well-formed, not
//! empty) string is the same chunk to every rule, so what was decided for the last one holds for it, unread. It pays: a
//! clean stream goes through the transformer several times as fast (`make bench`, cases `clean` and `unlike`). The merger
//! uses it too: without it, clean streams merge at 321 instead of 1,862 MB/s, which is 0.8 µs more for a chunk of 320
//! bytes, where the whole exchange takes 5 to 20 µs (2026-11-26).

use crate::json::{Kind, Scanner, Value};

/// What is before and after the string: in the chunks that come in, and in what was made of the last of them.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// Up to and with the string's first quote. Empty: there is no template.
    head: Vec<u8>,
    /// From its last quote on.
    tail: Vec<u8>,
    output_head: Vec<u8>,
    output_tail: Vec<u8>,
    /// Chunks in a row that were unlike the one before.
    unlike: u32,
}

/// After so many in a row, only one of [`RARELY`] is remembered: the next one will hardly be like it.
const MANY_UNLIKE: u32 = 4;
const RARELY: u32 = 16;

/// A chunk with more than this around its string is no template: four copies of it would be kept.
const MAX_AROUND_BYTES: usize = 16 * 1024;

impl Template {
    /// Forget the template: a chunk was not like it.
    pub(crate) fn forget(&mut self) {
        self.head.clear();
        self.unlike = self.unlike.wrapping_add(1);
    }

    /// Remember `chunk` around `string`, one of its strings that says something, and the `output` made of it, in which
    /// that string begins at `output_start`. Not where there is much around it.
    pub(crate) fn remember(&mut self, chunk: &[u8], string: Value, output: &[u8], output_start: usize) {
        let (start, end) = (string.span.start + 1, string.span.end - 1);
        debug_assert!(string.kind == Kind::String && end > start);
        if self.unlike > MANY_UNLIKE && !self.unlike.is_multiple_of(RARELY) {
            return;
        }
        let output_start = output_start + 1;
        let output_end = output_start + (end - start);
        if (chunk.len() + output.len()).saturating_sub(2 * (end - start)) > MAX_AROUND_BYTES {
            return self.forget();
        }
        chunk[..start].clone_into(&mut self.head);
        chunk[end..].clone_into(&mut self.tail);
        output[..output_start].clone_into(&mut self.output_head);
        output[output_end..].clone_into(&mut self.output_tail);
    }

    /// The string, still escaped, where `chunk` is the remembered one but for it.
    #[inline]
    pub(crate) fn string_of<'a>(&mut self, chunk: &'a [u8]) -> Option<&'a [u8]> {
        let end = chunk.len().checked_sub(self.tail.len())?;
        if self.head.is_empty() || end <= self.head.len() {
            return None;
        }
        if chunk[..self.head.len()] != self.head[..] || chunk[end..] != self.tail[..] {
            return None;
        }
        // The string must end where the tail begins: else the tail's bytes are only the end of another chunk.
        let string = Scanner::at_offset(chunk, self.head.len() - 1).value().ok()?;
        if string.span.end != end + 1 {
            return None;
        }
        let text = &chunk[self.head.len()..end];
        simdutf8::basic::from_utf8(text).ok()?;
        self.unlike = 0;
        Some(text)
    }

    /// The string, and what is behind the remembered part, where `chunk` begins with that but for the string. Of chunks that
    /// are known to be JSON.
    #[inline]
    pub(crate) fn string_and_rest<'a>(&mut self, chunk: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let start = self.head.len();
        if self.head.is_empty() || !chunk.starts_with(&self.head) {
            return None;
        }
        let end = Scanner::at_offset(chunk, start - 1).value().ok()?.span.end - 1;
        let rest = chunk[end..].strip_prefix(&self.tail[..])?;
        if end == start {
            return None;
        }
        self.unlike = 0;
        Some((&chunk[start..end], rest))
    }

    /// Append what is made of a chunk with this string; returns where in the output the string ends.
    #[inline]
    pub(crate) fn write(&self, string: &[u8], output: &mut Vec<u8>) -> usize {
        output.reserve(self.output_head.len() + string.len() + self.output_tail.len());
        output.extend_from_slice(&self.output_head);
        output.extend_from_slice(string);
        let end = output.len();
        output.extend_from_slice(&self.output_tail);
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_chunk_around_another_string_matches() {
        let chunk = br#"{"a":"x","b":1}"#;
        let string = Scanner::at_offset(chunk, 5).value().unwrap();
        let mut template = Template::default();
        assert_eq!(template.string_of(chunk), None, "nothing is remembered");
        template.remember(chunk, string, b"<\"x\">", 1);
        for (name, chunk, expected) in [
            ("itself", &br#"{"a":"x","b":1}"#[..], Some(&b"x"[..])),
            ("another string", br#"{"a":"y z","b":1}"#, Some(b"y z")),
            ("escapes", br#"{"a":"\"\n\\","b":1}"#, Some(br#"\"\n\\"#)),
            ("other letters", "{\"a\":\"你\",\"b\":1}".as_bytes(), Some("你".as_bytes())),
            ("an empty string", br#"{"a":"","b":1}"#, None),
            ("no string", br#"{"a":null,"b":1}"#, None),
            ("another head", br#"{"A":"y","b":1}"#, None),
            ("another tail", br#"{"a":"y","b":2}"#, None),
            ("a member between", br#"{"a":"y","c":"","b":1}"#, None),
            ("a string that runs on", br#"{"a":"y\","b":1}"#, None),
            ("a bad escape", br#"{"a":"\x","b":1}"#, None),
            ("a control character", b"{\"a\":\"\x01\",\"b\":1}", None),
            ("no UTF-8", b"{\"a\":\"\xff\",\"b\":1}", None),
            ("shorter than the template", br#"{"a":"#, None),
            ("head and tail overlapping", br#"{"a":","b":1}"#, None),
        ] {
            assert_eq!(template.string_of(chunk), expected, "{name}");
        }
        let mut output = Vec::new();
        template.write(b"y z", &mut output);
        assert_eq!(output, b"<\"y z\">");
        template.forget();
        assert_eq!(template.string_of(chunk), None);
    }

    #[test]
    fn what_is_behind_the_remembered_part_may_be_anything() {
        let chunk = br#"{"a":"x"}"#;
        let mut template = Template::default();
        assert_eq!(template.string_and_rest(chunk), None, "nothing is remembered");
        template.remember(&chunk[..8], Scanner::at_offset(chunk, 5).value().unwrap(), chunk, 5);
        for (name, chunk, expected) in [
            ("itself", &br#"{"a":"x"}"#[..], Some((&b"x"[..], &b"}"[..]))),
            ("more of it", br#"{"a":"y\"","b":"y"}"#, Some((br#"y\""#, br#","b":"y"}"#))),
            ("an empty string", br#"{"a":"","b":1}"#, None),
            ("no string", br#"{"a":null}"#, None),
            ("another head", br#"{"A":"y"}"#, None),
            ("shorter than the template", br#"{"a":"#, None),
        ] {
            assert_eq!(template.string_and_rest(chunk), expected, "{name}");
        }
    }

    #[test]
    fn a_long_string_makes_a_template_and_much_around_it_does_not() {
        let long = "x".repeat(MAX_AROUND_BYTES);
        for (name, chunk, is_one) in [
            ("the string", format!("{{\"a\":\"{long}\"}}"), true),
            ("another", format!("{{\"a\":\"x\",\"b\":\"{long}\"}}"), false),
        ] {
            let chunk = chunk.as_bytes();
            let string = Scanner::at_offset(chunk, 5).value().unwrap();
            let mut template = Template::default();
            template.remember(chunk, string, chunk, 5);
            assert_eq!(template.string_of(chunk).is_some(), is_one, "{name}");
        }
    }
}
