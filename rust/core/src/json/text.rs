//! JSON strings: finding their end quickly, reading them, writing them.

use std::borrow::Cow;

use super::block;

/// The inside of a JSON string, still escaped. Known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a [u8],
}

impl<'a> Text<'a> {
    /// What is between the quotes of a string that the scanner has accepted.
    #[must_use]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The bytes between the quotes.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Whether the string is `""`.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The text itself. A lone surrogate reads as U+FFFD; so does anything that is not UTF-8.
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        if memchr::memchr(b'\\', self.raw).is_none() {
            return String::from_utf8_lossy(self.raw);
        }
        let mut decoded = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            decoded.extend_from_slice(&rest[..at]);
            let (character, length) = decode_escape(&rest[at..]);
            decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[at + length..];
        }
        decoded.extend_from_slice(rest);
        Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
    }

    /// Append the text until `output` is so many bytes long, however long the text is. The last character may be cut.
    pub(crate) fn append_to(self, output: &mut Vec<u8>, most: usize) {
        let mut rest = self.raw;
        while output.len() < most && !rest.is_empty() {
            let plain = &rest[..rest.len().min(most - output.len())];
            let length = memchr::memchr(b'\\', plain).unwrap_or(plain.len());
            output.extend_from_slice(&plain[..length]);
            rest = &rest[length..];
            if output.len() < most && rest.first() == Some(&b'\\') {
                let (character, length) = decode_escape(rest);
                output.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[length..];
            }
        }
        output.truncate(most);
    }

    /// How long the text is in UTF-8, its escapes read. Half a surrogate pair counts two, whether or not its other half is
    /// there: so a text has as many bytes as its pieces, wherever it is cut.
    #[must_use]
    #[inline]
    pub fn decoded_bytes(self) -> usize {
        let mut bytes = self.raw.len();
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let unit = rest[at + 1..].strip_prefix(b"u").and_then(unit);
            let (length, saved) =
                unit.map_or((2, 1), |unit| (UNIT_ESCAPE_BYTES, UNIT_ESCAPE_BYTES - unit_bytes(unit)));
            bytes = bytes.saturating_sub(saved);
            rest = &rest[rest.len().min(at + length)..];
        }
        bytes
    }

    /// Whether the text, its escapes read, is `other`.
    #[must_use]
    #[inline]
    pub fn is(self, other: &str) -> bool {
        if self.raw == other.as_bytes() {
            return !other.as_bytes().contains(&b'\\');
        }
        // An escape is longer than what it stands for, so only a longer spelling can still be equal.
        self.raw.len() > other.len() && self.decodes_to(other)
    }

    /// Whether the text, its escapes read, begins with `start`.
    #[must_use]
    pub fn starts_with(self, start: &str) -> bool {
        let begin = &self.raw[..self.raw.len().min(start.len())];
        if !begin.contains(&b'\\') {
            return begin == start.as_bytes();
        }
        // No escape of one character is longer than six bytes.
        Self::new(&self.raw[..self.raw.len().min(6 * start.len())]).decode().starts_with(start)
    }

    // Apart, so that comparing with a constant, which nearly always settles it, is small enough to be inlined.
    #[cold]
    fn decodes_to(self, other: &str) -> bool {
        memchr::memchr(b'\\', self.raw).is_some() && self.decode() == other
    }

    /// The text of a key to match on: borrowed, without a look at it, unless it holds an escape.
    #[must_use]
    #[inline]
    pub fn key(self) -> Cow<'a, [u8]> {
        if self.raw.contains(&b'\\') {
            Cow::Owned(self.decode().into_owned().into_bytes())
        } else {
            Cow::Borrowed(self.raw)
        }
    }
}

/// The character that an escape stands for, and the escape's length in bytes. `escape` begins with a backslash.
fn decode_escape(escape: &[u8]) -> (char, usize) {
    const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;
    match escape.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let Some(high) = unit_at(escape, 2) else { return (REPLACEMENT, escape.len().min(6)) };
            if !(0xd800..0xdc00).contains(&high) {
                return (char::from_u32(high).unwrap_or(REPLACEMENT), 6);
            }
            let low = if escape.get(6..8) == Some(b"\\u") { unit_at(escape, 8) } else { None };
            match low {
                Some(low @ 0xdc00..=0xdfff) => {
                    let scalar = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(scalar).unwrap_or(REPLACEMENT), 12)
                }
                _ => (REPLACEMENT, 6),
            }
        }
        Some(&byte) => (char::from(byte), 2),
        None => (REPLACEMENT, 1),
    }
}

/// The length of an escape such as `\u4f60`.
pub(super) const UNIT_ESCAPE_BYTES: usize = 6;

/// How many bytes of UTF-8 a UTF-16 unit stands for. Half a surrogate pair has half of the pair's.
#[inline]
pub(super) const fn unit_bytes(unit: u16) -> usize {
    match unit {
        ..0x80 => 1,
        0x80..0x800 | 0xd800..0xe000 => 2,
        _ => 3,
    }
}

fn unit_at(escape: &[u8], at: usize) -> Option<u32> {
    unit(escape.get(at..)?).map(u32::from)
}

/// The UTF-16 unit of the four hexadecimal digits that come first.
#[inline]
pub(super) fn unit(digits: &[u8]) -> Option<u16> {
    const NONE: u8 = 0xff;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            values[b"0123456789ABCDEF"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let [a, b, c, d] = digits.first_chunk::<4>()?.map(|digit| VALUES[usize::from(digit)]);
    (a | b | c | d != NONE).then(|| u16::from_be_bytes([a << 4 | b, c << 4 | d]))
}

/// The offset of the first byte at or after `from` that ends a run of plain string bytes: a quote, a backslash or a
/// control character. The input's length where there is none.
#[inline]
pub(super) fn find_special(input: &[u8], from: usize) -> usize {
    let mut position = from;
    // Most strings of a chunk are short.
    for _ in 0..4 {
        let Some(lane) = input.get(position..).and_then(<[u8]>::first_chunk) else {
            return find_special_by_words(input, position);
        };
        let special = block::special_bits_of_lane(lane);
        if special != 0 {
            return position + special.trailing_zeros() as usize;
        }
        position += lane.len();
    }
    while let Some(block) = input.get(position..).and_then(<[u8]>::first_chunk) {
        let special = block::special_bits(block);
        if special != 0 {
            return position + special.trailing_zeros() as usize;
        }
        position += block.len();
    }
    find_special_by_words(input, position)
}

/// Less than a block before the input's end.
fn find_special_by_words(input: &[u8], mut position: usize) -> usize {
    while let Some(found) = special_in_word(input, position) {
        if found != 0 {
            return position + found.trailing_zeros() as usize / 8;
        }
        position += WORD;
    }
    find_special_slow(input, position)
}

const WORD: usize = size_of::<u64>();

/// The high bit of the first special byte of the word that begins here (see [`special_bytes`]); `None` where the input
/// ends before the word does.
#[inline]
fn special_in_word(input: &[u8], position: usize) -> Option<u64> {
    let mut word = [0; WORD];
    word.copy_from_slice(input.get(position..position + WORD)?);
    Some(special_bytes(u64::from_le_bytes(word)))
}

#[inline]
fn find_special_slow(input: &[u8], from: usize) -> usize {
    input[from..].iter().position(|&byte| is_special(byte)).map_or(input.len(), |at| from + at)
}

#[inline]
const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// The high bit of each special byte of a little-endian word. Bits above the lowest set one may be wrong (a borrow
/// runs upwards), the lowest is right: see "Determine if a word has a byte less than n" in Anderson's Bit Twiddling
/// Hacks, <https://graphics.stanford.edu/~seander/bithacks.html>.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    (control | quotes | backslashes) & HIGHS
}

/// Append `text` as a JSON string, quotes and all.
pub fn write_string(text: &str, output: &mut Vec<u8>) {
    output.push(b'"');
    write_escaped(text.as_bytes(), output);
    output.push(b'"');
}

/// `text` as a JSON string, quotes and all.
#[must_use]
pub fn string(text: &str) -> Vec<u8> {
    let mut output = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut output);
    output
}

/// What is already escaped, between quotes.
#[must_use]
pub fn quoted(raw: &[u8]) -> Vec<u8> {
    [b"\"", raw, b"\""].concat()
}

/// Append the escaped inside of a JSON string that reads as `text`.
pub fn write_escaped(text: &[u8], output: &mut Vec<u8>) {
    let mut position = 0;
    while position < text.len() {
        let special = find_special(text, position);
        output.extend_from_slice(&text[position..special]);
        let Some(&byte) = text.get(special) else { break };
        match byte {
            b'"' => output.extend_from_slice(b"\\\""),
            b'\\' => output.extend_from_slice(b"\\\\"),
            b'\n' => output.extend_from_slice(b"\\n"),
            b'\r' => output.extend_from_slice(b"\\r"),
            b'\t' => output.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                output.extend_from_slice(b"\\u00");
                output.push(HEX[usize::from(byte >> 4)]);
                output.push(HEX[usize::from(byte & 15)]);
            }
        }
        position = special + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_reads_every_escape() {
        for (name, raw, expected) in [
            ("plain", r"abc", "abc"),
            ("each short escape", r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            ("a unit", r"\u0041\u00e9\u4f60", "Aé你"),
            ("a pair", r"\ud83d\ude00!", "😀!"),
            ("a lone high surrogate", r"\ud83dx", "\u{fffd}x"),
            ("a lone low surrogate", r"\ude00x", "\u{fffd}x"),
            ("two high surrogates", r"\ud83d\ud83d", "\u{fffd}\u{fffd}"),
            ("a high surrogate, then an escape", r"\ud83d\n", "\u{fffd}\n"),
        ] {
            assert_eq!(Text::new(raw.as_bytes()).decode(), expected, "{name}");
        }
    }

    #[test]
    fn decoded_bytes_are_those_of_the_decoded_text() {
        let bytes = |raw: &str| Text::new(raw.as_bytes()).decoded_bytes();
        for raw in [
            "",
            "abc",
            "é你😀",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0000\u007F\u0080\u07ff\u0800\uFFFF你\n",
            r"\ud83d\uDE00!",
        ] {
            assert_eq!(bytes(raw), Text::new(raw.as_bytes()).decode().len(), "{raw}");
        }
        assert_eq!(bytes(r"\ud83d") + bytes(r"\ude00"), "😀".len(), "a pair that is cut");
        assert_eq!(bytes(r"\\u0041"), 6, "an escaped backslash, and no unit behind it");
        for odd in [r"\", r"\u", r"\u12", "\\é"] {
            assert!(bytes(odd) <= odd.len(), "{odd}: no string of JSON, and no panic");
        }
    }

    #[test]
    fn is_reads_escapes_and_only_then() {
        for (raw, other, expected) in [
            ("model", "model", true),
            (r"mod\u0065l", "model", true),
            (r"m\u006fd\u0065l", "model", true),
            ("models", "model", false),
            (r"mod\u0066l", "model", false),
            (r"a\\b", r"a\b", true),
            (r"a\b", r"a\b", false),
        ] {
            assert_eq!(Text::new(raw.as_bytes()).is(other), expected, "{raw} is {other}");
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_wherever_it_stands() {
        for special in [b'"', b'\\', 0x00, 0x1f, b'\n'] {
            for length in 0..200 {
                // 0x20, 0x7f and high bytes sit next to what is special, and are not.
                let mut input: Vec<u8> = [b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']']
                    .into_iter()
                    .cycle()
                    .take(length)
                    .collect();
                assert_eq!(find_special(&input, 0), length);
                input.push(special);
                input.extend_from_slice(b"tail\"tail");
                for from in 0..=length {
                    assert_eq!(find_special(&input, from), length, "{special:#x} at {length} from {from}");
                }
            }
        }
    }

    #[test]
    fn written_strings_read_back() {
        let every_low_byte: String = (0..0x80_u8).map(char::from).chain("é你😀".chars()).collect();
        let mut written = Vec::new();
        write_string(&every_low_byte, &mut written);
        assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), every_low_byte);
        assert_eq!(Text::new(&written[1..written.len() - 1]).decode(), every_low_byte);
    }
}
