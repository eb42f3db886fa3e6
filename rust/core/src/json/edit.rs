//! Edits of a document: spans replaced, members removed or added in place, every other byte as it was.

use std::borrow::Cow;

use super::value::{Member, Span};

/// One replacement. An empty span is an insertion, an empty text a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What goes.
    pub span: Span,
    /// What comes.
    pub text: Cow<'static, [u8]>,
}

/// A piece of an edited document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the input.
    Kept(Span),
    /// Others. Not empty.
    New(Cow<'static, [u8]>),
}

impl Piece {
    /// The bytes themselves; `input` is the document that was edited.
    #[must_use]
    pub fn bytes<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Kept(span) => &input[span.start..span.end],
            Self::New(text) => text,
        }
    }
}

/// An edited document, whole.
#[must_use]
pub fn joined(pieces: &[Piece], input: &[u8]) -> Vec<u8> {
    pieces.iter().map(|piece| piece.bytes(input)).collect::<Vec<_>>().concat()
}

/// So many edits one that is used again has room for.
const MAX_SPARE_EDITS: usize = 256;

/// Edits of one document, collected in any order and applied at once.
#[derive(Debug, Default)]
pub struct Edits {
    edits: Vec<Edit>,
}

impl Edits {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { edits: Vec::new() }
    }

    /// Whether the document stays as it is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Forget all, keep the memory unless it is much.
    pub fn clear(&mut self) {
        self.edits.clear();
        if self.edits.capacity() > MAX_SPARE_EDITS {
            self.edits = Vec::new();
        }
    }

    /// Replace a span.
    pub fn replace(&mut self, span: Span, text: impl Into<Cow<'static, [u8]>>) {
        self.edits.push(Edit { span, text: text.into() });
    }

    /// Insert at an offset. Insertions at one offset come out in the order in which they were made.
    pub fn insert(&mut self, offset: usize, text: impl Into<Cow<'static, [u8]>>) {
        self.replace(Span { start: offset, end: offset }, text);
    }

    /// Change which members an object has, comma by comma.
    ///
    /// `object` is the object's span, `members` how many it has, `removed` those that go (in any order), `added`
    /// the text of new last members (`"key": value`, without commas), `separator` the comma in the style of the
    /// surroundings (`,` or `, `).
    pub fn members(
        &mut self,
        input: &[u8],
        object: Span,
        members: usize,
        removed: &mut [Member],
        added: &[Cow<'static, [u8]>],
        separator: &'static str,
    ) {
        removed.sort_unstable_by_key(|member| member.ordinal);
        for (gone_before, member) in removed.iter().enumerate() {
            let kept_before = member.ordinal > gone_before;
            self.replace(removal(input, member, kept_before), Cow::Borrowed(&[][..]));
        }
        let mut first = members == removed.len();
        let end = trim_end(input, object.end - 1);
        for text in added {
            let mut addition = Vec::with_capacity(separator.len() + text.len());
            if !first {
                addition.extend_from_slice(separator.as_bytes());
            }
            first = false;
            addition.extend_from_slice(text);
            self.insert(end, addition);
        }
    }

    /// Where a span of the input is in the edited document; none where an edit touches it.
    #[must_use]
    pub fn moved(&self, span: Span) -> Option<usize> {
        let (mut added, mut removed) = (0, 0);
        for edit in &self.edits {
            if edit.span.end <= span.start {
                added += edit.text.len();
                removed += edit.span.len();
            } else if edit.span.start < span.end {
                return None;
            }
        }
        Some(span.start + added - removed)
    }

    /// How long the edited document is, for an input of that length.
    #[must_use]
    pub fn edited_length(&self, input_length: usize) -> usize {
        self.edits.iter().fold(input_length, |length, edit| length + edit.text.len() - edit.span.len())
    }

    /// The edited document as its pieces, none of them copied. For an input of that length.
    ///
    /// Edits must not overlap; a removal and an insertion may touch.
    #[must_use]
    pub fn pieces(mut self, input_length: usize) -> Vec<Piece> {
        self.edits.sort_by_key(|edit| edit.span.start);
        let mut pieces = Vec::with_capacity(2 * self.edits.len() + 1);
        let mut position = 0;
        let keep = |start: usize, end: usize, pieces: &mut Vec<Piece>| {
            if start < end {
                pieces.push(Piece::Kept(Span { start, end }));
            }
        };
        for Edit { span, text } in self.edits {
            debug_assert!(span.start >= position, "edits overlap");
            keep(position, span.start, &mut pieces);
            if !text.is_empty() {
                pieces.push(Piece::New(text));
            }
            position = position.max(span.end);
        }
        keep(position, input_length, &mut pieces);
        pieces
    }

    /// Append the edited document to `output`.
    ///
    /// Edits must not overlap; a removal and an insertion may touch.
    pub fn apply(&mut self, input: &[u8], output: &mut Vec<u8>) {
        self.edits.sort_by_key(|edit| edit.span.start);
        output.reserve(input.len());
        let mut position = 0;
        for edit in &self.edits {
            debug_assert!(edit.span.start >= position, "edits overlap");
            output.extend_from_slice(&input[position..edit.span.start.max(position)]);
            output.extend_from_slice(&edit.text);
            position = position.max(edit.span.end);
        }
        output.extend_from_slice(&input[position..]);
    }
}

/// What changes among the members of one object, in the style of upstreams' chunks (no space after a comma).
#[derive(Debug, Default)]
pub struct MemberChanges {
    removed: Vec<Member>,
    added: Vec<Cow<'static, [u8]>>,
}

impl MemberChanges {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { removed: Vec::new(), added: Vec::new() }
    }

    /// A member goes.
    pub fn remove(&mut self, member: Member) {
        self.removed.push(member);
    }

    /// A new last member comes; `value` is JSON.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        let mut text = Vec::with_capacity(name.len() + value.len() + 3);
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text.extend_from_slice(value);
        self.added.push(Cow::Owned(text));
    }

    /// The same, with a key that is escaped already.
    pub(crate) fn add_raw(&mut self, key: &[u8], value: &[u8]) {
        self.added.push(Cow::Owned([b"\"", key, b"\":", value].concat()));
    }

    /// A member gets this value, or comes with it.
    pub fn set(
        &mut self,
        edits: &mut Edits,
        member: Option<Member>,
        name: &str,
        value: impl Into<Cow<'static, [u8]>>,
    ) {
        let value = value.into();
        match member {
            Some(member) => edits.replace(member.value.span, value),
            None => self.add(name, &value),
        }
    }

    /// Make the changes edits of the document; `members` is how many members the object has.
    pub fn finish(mut self, edits: &mut Edits, input: &[u8], object: Span, members: usize) {
        if !self.removed.is_empty() || !self.added.is_empty() {
            edits.members(input, object, members, &mut self.removed, &self.added, ",");
        }
    }
}

/// The bytes that go with a member: the comma before it where a member stays before it, else the comma after it.
fn removal(input: &[u8], member: &Member, kept_before: bool) -> Span {
    let Span { start, end } = member.span;
    if kept_before {
        let comma = trim_end(input, start) - 1;
        debug_assert_eq!(input[comma], b',');
        return Span { start: trim_end(input, comma), end };
    }
    let next = trim_start(input, end);
    if input[next] == b',' { Span { start, end: trim_start(input, next + 1) } } else { Span { start, end } }
}

/// The offset after the last byte before `offset` that is not white space.
fn trim_end(input: &[u8], mut offset: usize) -> usize {
    while offset > 0 && is_whitespace(input[offset - 1]) {
        offset -= 1;
    }
    offset
}

/// The offset of the first byte at or after `offset` that is not white space.
fn trim_start(input: &[u8], mut offset: usize) -> usize {
    while input.get(offset).copied().is_some_and(is_whitespace) {
        offset += 1;
    }
    offset
}

const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonError, Scanner};

    /// Remove the members named in `removed`, add `added`.
    fn edited(input: &str, removed: &[&str], added: &[&'static str]) -> String {
        let bytes = input.as_bytes();
        let mut scanner = Scanner::new(bytes);
        let (mut gone, mut members) = (Vec::new(), 0);
        let object = scanner
            .object(|scanner, key| {
                let member = scanner.member(&key)?;
                members += 1;
                if removed.iter().any(|name| key.text.is(name)) {
                    gone.push(member);
                }
                Ok::<_, JsonError>(())
            })
            .unwrap();
        gone.reverse();
        let added: Vec<_> = added.iter().map(|text| Cow::Borrowed(text.as_bytes())).collect();
        let mut edits = Edits::new();
        edits.members(bytes, object, members, &mut gone, &added, ", ");
        let mut output = Vec::new();
        edits.apply(bytes, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn members_go_and_come_with_their_commas() {
        for (name, input, removed, added, expected) in [
            ("nothing", r#" {"a": 1} "#, &[][..], &[][..], r#" {"a": 1} "#),
            ("the first", r#"{"a": 1, "b": 2}"#, &["a"], &[], r#"{"b": 2}"#),
            ("the last", r#"{"a": 1, "b": 2}"#, &["b"], &[], r#"{"a": 1}"#),
            ("one between", r#"{"a":1 , "b":2 , "c":3}"#, &["b"], &[], r#"{"a":1 , "c":3}"#),
            ("the only one", r#"{ "a": 1 }"#, &["a"], &[], r"{  }"),
            ("the first two", r#"{"a":1,"b":2,"c":3}"#, &["a", "b"], &[], r#"{"c":3}"#),
            ("the last two", r#"{"a":1,"b":2,"c":3}"#, &["b", "c"], &[], r#"{"a":1}"#),
            ("first and last", r#"{"a":1,"b":2,"c":3}"#, &["a", "c"], &[], r#"{"b":2}"#),
            ("all", r#"{"a":1,"b":2,"c":3}"#, &["a", "b", "c"], &[], r"{}"),
            ("one more", r#"{"a":1}"#, &[], &[r#""b": 2"#], r#"{"a":1, "b": 2}"#),
            ("into an empty one", "{ }", &[], &[r#""b": 2"#], r#"{"b": 2 }"#),
            ("all for one", r#"{"a":1}"#, &["a"], &[r#""b": 2"#], r#"{"b": 2}"#),
            (
                "the last for two",
                r#"{"a":1,"b":2}"#,
                &["b"],
                &[r#""c": 3"#, r#""d": 4"#],
                r#"{"a":1, "c": 3, "d": 4}"#,
            ),
            (
                "all for two",
                r#"{"a":1,"b":2}"#,
                &["a", "b"],
                &[r#""c": 3"#, r#""d": 4"#],
                r#"{"c": 3, "d": 4}"#,
            ),
        ] {
            assert_eq!(edited(input, removed, added), expected, "{name}");
        }
    }
}
