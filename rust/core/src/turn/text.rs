//! What a text says, digested while it comes in pieces.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::json::Text;

/// `\ud83d`
const ESCAPED_UNIT_BYTES: usize = 6;

/// Reads a JSON string that comes in pieces, still escaped: half a surrogate pair waits for its other half.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    half: Vec<u8>,
}

impl Pieces {
    /// One more piece, as far as it can be read.
    pub(crate) fn read<'a>(&mut self, raw: &'a [u8]) -> Cow<'a, str> {
        if self.half.is_empty() && half_at_end(raw).is_none() {
            return Text::new(raw).decode();
        }
        let mut whole = std::mem::take(&mut self.half);
        whole.extend_from_slice(raw);
        if let Some(at) = half_at_end(&whole) {
            self.half = whole.split_off(at);
        }
        Cow::Owned(Text::new(&whole).decode().into_owned())
    }

    /// What is left at the end: half a pair reads as U+FFFD.
    pub(crate) fn rest(&mut self) -> String {
        Text::new(&std::mem::take(&mut self.half)).decode().into_owned()
    }
}

/// Where a high surrogate begins that a string ends with.
pub(crate) fn half_at_end(raw: &[u8]) -> Option<usize> {
    let at = raw.len().checked_sub(ESCAPED_UNIT_BYTES)?;
    let high = matches!(raw[at..], [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _]);
    let escaped = || raw[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
    (high && !escaped()).then_some(at)
}

/// Digests a text. A run of white space counts as one blank, and at the text's ends as none: clients trim what they send
/// back, join its parts by line feeds, write LF for CRLF.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextDigest {
    digest: Sha256,
    pieces: Pieces,
    /// White space has come that counts if anything follows.
    blank: bool,
    /// How long it is, without what does not count.
    bytes: usize,
}

impl TextDigest {
    /// A string's next piece, still escaped.
    pub(crate) fn piece(&mut self, raw: &[u8]) {
        let text = self.pieces.read(raw);
        self.text(&text);
    }

    /// The next piece, read already.
    pub(crate) fn text(&mut self, text: &str) {
        for (position, word) in text.as_bytes().split(u8::is_ascii_whitespace).enumerate() {
            self.blank |= position > 0;
            if word.is_empty() {
                continue;
            }
            if std::mem::take(&mut self.blank) && self.bytes > 0 {
                self.digest.update(b" ");
                self.bytes += 1;
            }
            self.digest.update(word);
            self.bytes += word.len();
        }
    }

    /// Whether it says nothing, so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.pieces.half.is_empty()
    }

    /// How much it says and the digest of that.
    pub(crate) fn finish(mut self) -> (usize, [u8; 32]) {
        let rest = self.pieces.rest();
        self.text(&rest);
        (self.bytes, self.digest.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::key::is_escaped_text;

    fn of(pieces: &[&str]) -> (usize, [u8; 32]) {
        let mut digest = TextDigest::default();
        for piece in pieces {
            digest.piece(piece.as_bytes());
        }
        digest.finish()
    }

    #[test]
    fn white_space_counts_as_one_blank() {
        for (one, other, same) in [
            ("a b", r"  a \r\n\t b\n", true),
            ("", r" \n ", true),
            ("a b", "ab", false),
            ("a b", "b a", false),
            ("你好", r"\u4f60\u597d", true),
        ] {
            assert_eq!(of(&[one]) == of(&[other]), same, "{one} and {other}");
        }
        assert_eq!(of(&[r" a \n b "]).0, 3);
    }

    #[test]
    fn a_text_says_the_same_however_it_is_cut() {
        let text = r"Two  words,\n\ud83d\ude00 \\ud83d \u4f60 \ud83d";
        let whole = of(&[text]);
        assert_eq!(whole, of(&[r"Two words, 😀 \\ud83d 你 \ufffd"]));
        // A piece is a JSON string of its own: no cut is inside an escape.
        let whole_escapes =
            |&at: &usize| text.is_char_boundary(at) && is_escaped_text(&text.as_bytes()[..at]);
        let cuts: Vec<_> = (0..=text.len()).filter(whole_escapes).collect();
        for (position, &one) in cuts.iter().enumerate() {
            for &other in &cuts[position..] {
                let pieces = [&text[..one], &text[one..other], &text[other..]];
                assert_eq!(of(&pieces), whole, "cut at {one} and {other}");
            }
        }
    }
}
