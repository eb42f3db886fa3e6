//! Spoken answers, merged: what was said, and the sound of it, each out of its pieces.

use super::extras::{Extras, Room};
use super::{Growing, Read};
use crate::answer::chunk::ChunkError;
use crate::json::{Kind, Scanner, Value};

/// The `audio` of a message.
#[derive(Debug, Default)]
pub(super) struct Audio {
    data: Data,
    transcript: Option<Growing>,
    extras: Extras,
}

impl Audio {
    pub(super) fn add(&mut self, input: &[u8], audio: Value, room: &mut Room) -> Read {
        Scanner::of(input, audio).object(|scanner, key| {
            let value = scanner.value()?;
            match (&*key.text.key(), value.as_text(input)) {
                (b"data", Some(text)) => self.data.append(text.decode().as_bytes()),
                (b"transcript", Some(_)) => self.transcript.get_or_insert_default().append(input, value),
                // An empty one says nothing against the one before.
                (_, Some(text)) if text.is_empty() => {}
                _ if value.kind == Kind::Null => {}
                _ => self.extras.extend(key.text.raw(), input, value, room)?,
            }
            Ok::<_, ChunkError>(())
        })?;
        Ok(())
    }

    pub(super) fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"{\"data\":\"");
        self.data.write(output);
        output.extend_from_slice(b"\",\"transcript\":");
        match &self.transcript {
            Some(transcript) => transcript.write(output),
            None => output.extend_from_slice(b"\"\""),
        }
        self.extras.write(output);
        output.push(b'}');
    }
}

/// Base64 that comes in pieces: each complete in itself, with padding or without, or cut anywhere.
///
/// Pieces are joined as the bytes that they stand for, since a text with padding in the middle is not base64. What is
/// not base64 at all is joined as text.
#[derive(Debug, Default)]
struct Data {
    /// Whole groups of four letters, none of them padded.
    groups: Vec<u8>,
    /// Bits that do not fill a group yet, in the lowest places.
    bits: u32,
    bit_count: u32,
    /// Whether the last piece ended in padding, so that the next one begins anew.
    padded: bool,
    is_text: bool,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Data {
    fn append(&mut self, piece: &[u8]) {
        if !self.is_text && !piece.iter().all(|&byte| byte == b'=' || sextet(byte).is_some()) {
            let mut written = Vec::new();
            self.write(&mut written);
            *self = Self { groups: written, is_text: true, ..Self::default() };
        }
        if self.is_text {
            crate::json::text::write_escaped(piece, &mut self.groups);
            return;
        }
        for &byte in piece {
            match sextet(byte) {
                Some(sextet) => self.push_bits(sextet),
                None => self.end_of_bytes(),
            }
        }
    }

    /// Six more bits of the text are whole bytes of the sound, once there are enough of them.
    fn push_bits(&mut self, sextet: u32) {
        self.bits = self.bits << 6 | sextet;
        self.bit_count += 6;
        self.padded = false;
        if self.bit_count >= 24 {
            self.bit_count -= 24;
            let group = self.bits >> self.bit_count;
            self.bits &= (1 << self.bit_count) - 1;
            self.groups.extend([18, 12, 6, 0].map(|shift| letter(group >> shift)));
        }
    }

    /// Padding: the bits beyond the last whole byte are none.
    fn end_of_bytes(&mut self) {
        if !self.padded {
            let surplus = self.bit_count % 8;
            self.bits >>= surplus;
            self.bit_count -= surplus;
            self.padded = true;
        }
    }

    fn write(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.groups);
        if self.bit_count >= 8 {
            let bytes = self.bit_count / 8;
            let group = (self.bits >> (self.bit_count % 8)) << (24 - 8 * bytes);
            let letters = [18, 12, 6, 0].map(|shift| letter(group >> shift));
            let kept = bytes as usize + 1;
            output.extend_from_slice(&letters[..kept]);
            output.extend_from_slice(&b"=="[kept - 2..]);
        }
    }
}

const fn letter(sextet: u32) -> u8 {
    ALPHABET[(sextet & 0x3f) as usize]
}

/// Both alphabets are read, the usual one is written.
fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_as_bytes() {
        for (name, pieces, expected) in [
            ("none", &[][..], ""),
            ("one", &["YWJj"], "YWJj"),
            ("one, padded", &["YWI="], "YWI="),
            ("padded in the middle", &["YQ==", "YmM="], "YWJj"),
            (
                "padded and whole",
                &["UklGRi1wYXJ0LW9uZQ==", "LXBhcnQtdHdv"],
                "UklGRi1wYXJ0LW9uZS1wYXJ0LXR3bw==",
            ),
            ("cut anywhere", &["Y", "WJj", "YW", "I="], "YWJjYWI="),
            ("without padding at the end", &["YWJjYQ"], "YWJjYQ=="),
            ("padding of its own", &["YQ", "=", "=", "Yg=="], "YWI="),
            ("empty ones", &["", "YWJj", ""], "YWJj"),
            ("the other alphabet", &["-_-_"], "+/+/"),
            ("no base64", &["YWJj", "a b"], "YWJja b"),
            ("no base64, with a quote", &["\""], r#"\""#),
        ] {
            let mut data = Data::default();
            for piece in pieces {
                data.append(piece.as_bytes());
            }
            let mut output = Vec::new();
            data.write(&mut output);
            assert_eq!(String::from_utf8(output).unwrap(), expected, "{name}");
        }
    }
}
