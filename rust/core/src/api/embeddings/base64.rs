//! Base64 (RFC 4648, section 4), step by step: with its padding out; in, the padding may be missing.
//!
//! A step is three floats: the smallest number of them that needs no padding.

const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING: u8 = b'=';
/// What a byte that is no sign stands for.
const NO_SIGN: u8 = 0xff;

const STEP_BYTES: usize = 12;
/// What a step is in base64.
pub(super) const STEP_SIGNS: usize = 16;

/// By each byte, the six bits that it stands for.
const BITS: [u8; 256] = {
    let mut bits = [NO_SIGN; 256];
    let mut index = 0;
    while index < SIGNS.len() {
        #[allow(clippy::cast_possible_truncation, reason = "there are 64")]
        let value = index as u8;
        bits[SIGNS[index] as usize] = value;
        index += 1;
    }
    bits
};

/// Bytes in, four at a time, signs out.
#[derive(Default)]
pub(super) struct Encoder {
    /// What waits for a whole step.
    held: [u8; STEP_BYTES],
    held_bytes: usize,
}

impl Encoder {
    /// Take four bytes; append the signs of a step that is whole.
    pub(super) fn push(&mut self, bytes: [u8; 4], output: &mut Vec<u8>) {
        self.held[self.held_bytes..self.held_bytes + bytes.len()].copy_from_slice(&bytes);
        self.held_bytes += bytes.len();
        if self.held_bytes == STEP_BYTES {
            self.finish(output);
        }
    }

    /// Append the signs of what is left.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        encode(&self.held[..self.held_bytes], output);
        self.held_bytes = 0;
    }
}

fn encode(bytes: &[u8], output: &mut Vec<u8>) {
    let (groups, rest) = bytes.as_chunks::<3>();
    for &group in groups {
        output.extend_from_slice(&signs(group));
    }
    match *rest {
        [one] => {
            let [first, second, ..] = signs([one, 0, 0]);
            output.extend_from_slice(&[first, second, PADDING, PADDING]);
        }
        [one, two] => {
            let [first, second, third, _] = signs([one, two, 0]);
            output.extend_from_slice(&[first, second, third, PADDING]);
        }
        _ => {}
    }
}

fn signs([one, two, three]: [u8; 3]) -> [u8; 4] {
    let group = u32::from_be_bytes([0, one, two, three]);
    [18, 12, 6, 0].map(|shift| SIGNS[(group >> shift & 63) as usize])
}

/// The bytes that a text stands for, step by step; none in place of a step that is no base64.
pub(super) struct Decoder<'a> {
    signs: std::slice::Chunks<'a, u8>,
}

impl<'a> Decoder<'a> {
    /// None where the padding is wrong.
    pub(super) fn new(text: &'a [u8]) -> Option<Self> {
        let padding = text.iter().rev().take_while(|&&sign| sign == PADDING).count();
        if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
            return None;
        }
        Some(Self { signs: text[..text.len() - padding].chunks(STEP_SIGNS) })
    }
}

impl Iterator for Decoder<'_> {
    type Item = Option<Step>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(Step::of(self.signs.next()?))
    }
}

/// Up to twelve bytes.
#[derive(Default)]
pub(super) struct Step {
    bytes: [u8; STEP_BYTES],
    length: usize,
}

impl Step {
    fn of(signs: &[u8]) -> Option<Self> {
        let mut step = Self::default();
        let (groups, rest) = signs.as_chunks::<4>();
        for &group in groups {
            step.push(&bytes(group)?);
        }
        match *rest {
            [] => {}
            // Bits that stand for nothing are let through, as most readers do.
            [first, second] => step.push(&bytes([first, second, b'A', b'A'])?[..1]),
            [first, second, third] => step.push(&bytes([first, second, third, b'A'])?[..2]),
            _ => return None,
        }
        Some(step)
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl std::ops::Deref for Step {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn bytes(group: [u8; 4]) -> Option<[u8; 3]> {
    let bits = group.map(|sign| BITS[sign as usize]);
    // Only of a byte that is no sign are the highest bits set.
    if bits.iter().any(|&bits| bits > 63) {
        return None;
    }
    let [first, second, third, fourth] = bits.map(u32::from);
    let [_, one, two, three] = (first << 18 | second << 12 | third << 6 | fourth).to_be_bytes();
    Some([one, two, three])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        Decoder::new(text)?.try_fold(Vec::new(), |bytes, step| Some([&bytes[..], &step?].concat()))
    }

    /// RFC 4648, section 10, longer ones, and texts that are none.
    #[test]
    fn rows() {
        let rows = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("foobarfoobar", "Zm9vYmFyZm9vYmFy"),
            ("foobarfoobarf", "Zm9vYmFyZm9vYmFyZg=="),
        ];
        for (bytes, text) in rows {
            let mut output = Vec::new();
            encode(bytes.as_bytes(), &mut output);
            assert_eq!(output, text.as_bytes());
            for text in [text, text.trim_end_matches('=')] {
                assert_eq!(decoded(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
            }
        }
        for text in
            ["Z", "Zg=", "Zg===", "=", "====", "Zm9vY", "Zm-v", "Zm_v", "Zm9v Zm9v", "Zg==Zg==", "Zmé"]
        {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_encoded_in_steps_is_what_is_encoded_at_once() {
        for floats in 0_u8..10 {
            let bytes: Vec<_> = (0..floats * 4).collect();
            let (mut encoder, mut in_steps, mut at_once) = (Encoder::default(), Vec::new(), Vec::new());
            let (quads, _) = bytes.as_chunks::<4>();
            for &quad in quads {
                encoder.push(quad, &mut in_steps);
            }
            encoder.finish(&mut in_steps);
            encode(&bytes, &mut at_once);
            assert_eq!(in_steps, at_once);
        }
    }
}
