//! Reasoning that is inline, between `<think>` and `</think>` in the content (MiniMax M2, and open models behind
//! servers without a reasoning parser).
//!
//! The tags go, what is between them is reasoning, and content keeps every other byte. Where that leaves room: tags
//! nest, and reasoning ends where the outermost closes; a tag that closes nothing goes; one that is never closed makes
//! all that follows reasoning; other spellings of a tag are text.
//!
//! Texts are taken apart as they are in JSON, still escaped: so each escape stays as it was spelled, and half of a
//! surrogate pair meets its other half in the next piece. A tag may be escaped itself (Go's encoder writes `\u003c`).

use crate::named_enum;

const OPEN: &[u8] = b"<think>";
const CLOSE: &[u8] = b"</think>";

named_enum! {
    /// How an upstream marks reasoning inside of content.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum ReasoningTags {
        /// Not at all.
        #[default]
        None = "none",
        /// `<think>…</think>`
        Think = "think",
    }
}

/// Whether a text may hold a tag or the start of one: `<`, or an escape that may stand for it.
#[must_use]
#[inline]
pub(crate) fn may_hold_tag(text: &[u8]) -> bool {
    memchr::memchr(b'<', text).is_some() || memchr::memmem::find(text, b"\\u003").is_some()
}

/// Whether a text begins with a tag that opens reasoning, but for white space.
pub(crate) fn begins_with_tag(text: &[u8]) -> bool {
    let mut rest = text;
    while let [b'\\', b'n' | b'r' | b't', behind @ ..] | [b' ', behind @ ..] = rest {
        rest = behind;
    }
    matches!(tag(rest, OPEN), Tag::Whole(_))
}

/// Text taken apart, still escaped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) content: Vec<u8>,
    pub(crate) reasoning: Vec<u8>,
}

/// Takes apart a text that comes in pieces, each the inside of a well-formed JSON string.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    depth: usize,
    /// The end of the last piece, where it may be the start of a tag.
    held: Vec<u8>,
}

impl Splitter {
    /// Whether a piece of which [`may_hold_tag`] says no is reasoning as it stands (`true`) or content as it stands
    /// (`false`); `None` where it has to be taken apart.
    pub(crate) const fn plain(&self) -> Option<bool> {
        if self.held.is_empty() { Some(self.depth > 0) } else { None }
    }

    /// The next piece.
    pub(crate) fn push(&mut self, piece: &[u8], split: &mut Split) {
        let mut held = std::mem::take(&mut self.held);
        let mut rest = if held.is_empty() {
            piece
        } else {
            held.extend_from_slice(piece);
            &held[..]
        };
        while let Some(at) = memchr::memchr2(b'<', b'\\', rest) {
            self.say(&rest[..at], split);
            rest = &rest[at..];
            match (tag(rest, OPEN), tag(rest, CLOSE)) {
                (Tag::Whole(length), _) => {
                    self.depth += 1;
                    rest = &rest[length..];
                }
                (_, Tag::Whole(length)) => {
                    self.depth = self.depth.saturating_sub(1);
                    rest = &rest[length..];
                }
                (Tag::Start, _) | (_, Tag::Start) => {
                    self.held = rest.to_vec();
                    return;
                }
                (Tag::No, Tag::No) => {
                    let (text, behind) = rest.split_at(character(rest).1);
                    self.say(text, split);
                    rest = behind;
                }
            }
        }
        self.say(rest, split);
    }

    /// The end of the text: what was held is text after all.
    pub(crate) fn finish(&mut self, split: &mut Split) {
        let held = std::mem::take(&mut self.held);
        self.say(&held, split);
    }

    fn say(&self, text: &[u8], split: &mut Split) {
        if self.depth > 0 { &mut split.reasoning } else { &mut split.content }.extend_from_slice(text);
    }
}

/// Whether a text begins with a tag.
enum Tag {
    /// Yes, and the tag is this long.
    Whole(usize),
    /// The text ends before the tag does.
    Start,
    No,
}

fn tag(text: &[u8], tag: &[u8]) -> Tag {
    let mut at = 0;
    for &wanted in tag {
        if at == text.len() {
            return Tag::Start;
        }
        let (found, length) = character(&text[at..]);
        if found != Some(wanted) {
            return Tag::No;
        }
        at += length;
    }
    Tag::Whole(at)
}

/// What a text that is not empty begins with, if it is ASCII, and the length of that in bytes. Of a longer character
/// that stands there unescaped only the first byte counts.
fn character(text: &[u8]) -> (Option<u8>, usize) {
    match *text {
        [b'\\', b'u', ref digits @ ..] => {
            let code = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
            let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (code.filter(u8::is_ascii), text.len().min(6))
        }
        [b'\\', b'/', ..] => (Some(b'/'), 2),
        // Of the other short escapes none stands for a character of a tag.
        [b'\\', ..] => (None, text.len().min(2)),
        [byte, ..] => (Some(byte), 1),
        [] => (None, 0),
    }
}

/// A whole text taken apart.
pub(crate) fn split(text: &[u8]) -> Split {
    let (mut splitter, mut split) = (Splitter::default(), Split::default());
    splitter.push(text, &mut split);
    splitter.finish(&mut split);
    split
}

#[cfg(test)]
mod tests;
